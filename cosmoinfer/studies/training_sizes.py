"""Training sizes of a learning curve: which to take, and the held-out scores that are measured at each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cosmoinfer.errors import UserError, join_first

MAX_DEFAULT_SIZES = 5
MIN_SIZES = 3  # a power law has three unknowns
SMALLEST_DEFAULT_SIZE = 200  # simulations: with fewer, a default training tells little about larger ones
MIN_TRAINING_SIMULATIONS = 20  # a flow cannot be trained on fewer


@dataclass(frozen=True)
class HeldOutScores:
    """Log densities of the same n test rows under flows of K training sizes.

    sizes: (K,) training simulations, growing. validation: (K,) validation simulations.
    log_prob: (K, n), in nats and catalog units. simulation, index: (n,), ids and row numbers of the test rows.

    Raises UserError if a log density is not finite.
    """

    sizes: np.ndarray
    validation: np.ndarray
    log_prob: np.ndarray
    simulation: np.ndarray
    index: np.ndarray

    def __post_init__(self) -> None:
        bad = ~np.isfinite(self.log_prob)
        if bad.any():
            size, rows = self.sizes[bad.any(axis=1)][0], self.index[bad.any(axis=0)]
            raise UserError(f"the flow of {size} simulations has no density at the truth of row {join_first(rows)}")


def default_sizes(simulations: int) -> tuple[int, ...]:
    """Up to five sizes, each half of the next, from all training simulations down to 200; three in any case."""
    halved = [simulations // 2**step for step in range(MAX_DEFAULT_SIZES)]
    kept = [size for step, size in enumerate(halved) if size >= SMALLEST_DEFAULT_SIZE or step < MIN_SIZES]
    return tuple(reversed(kept))


def check_sizes(sizes: Sequence[int], simulations: int) -> tuple[int, ...]:
    """The distinct sizes in growing order.

    Raises UserError if there are fewer than three, or one is too small or exceeds the training simulations of the
    catalog.
    """
    distinct = tuple(sorted(set(sizes)))
    if len(distinct) < MIN_SIZES:
        listing = join_first(distinct) or "none"
        raise UserError(f"expected at least {MIN_SIZES} different sizes, found {listing}", setting="sizes")
    if distinct[0] < MIN_TRAINING_SIMULATIONS:
        minimum = MIN_TRAINING_SIMULATIONS
        raise UserError(f"expected at least {minimum} training simulations, found {distinct[0]}", setting="sizes")
    if distinct[-1] > simulations:
        raise UserError(
            f"{distinct[-1]} is more than the {simulations} training simulations of this split", setting="sizes"
        )
    return distinct
