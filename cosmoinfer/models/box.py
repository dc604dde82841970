"""Draws that must lie in the prior's box, of a density that overflows it and is renormalised over it.

Each observation finishes by itself, or is given up by name: never a substitute draw.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.parameters import Parameters

NORMALISING_DRAWS = 10_000  # for the mass inside the box, but for
FEWEST_DRAWS, NEGLIGIBLE = 1000, 0.01  # so many, where the error of its logarithm is then no more than these nats
LARGEST = 100_000  # draws at a time
MOST_PROPOSALS = 1_000_000  # for one observation, or ten a draw if that is more, before it is given up
Listener = Callable[[int, int], None]  # rows done, rows in all
Drawn = TypeVar("Drawn")


class TooLittleInside(Exception):
    """An observation whose density lies almost wholly outside the box."""


@dataclass(frozen=True)
class Inside:
    """samples: (S, P) inside the box; log_mass: log of the share of all draws inside it, and its error. log_prob: (S,),
    before renormalisation, where proposing told it."""

    samples: np.ndarray
    log_mass: float
    error: float
    log_prob: np.ndarray | None = None


@dataclass(frozen=True)
class Proposed:
    """theta: (n, P) independent draws in catalog units; log_prob: (n,) of each, where drawing them told it."""

    theta: np.ndarray
    log_prob: np.ndarray | None = None


def draw_inside(propose: Callable[[int], Proposed], parameters: Parameters, draws: int) -> Inside:
    """By rejection, until there are as many as asked for and the mass inside is known, to 0.01 nat or from 1e4."""
    kept: list[np.ndarray] = []
    log_probs: list[np.ndarray] = []
    proposed, accepted, most = 0, 0, max(MOST_PROPOSALS, 10 * draws)
    while accepted < draws or not _known(proposed, accepted):
        hopeless = proposed >= NORMALISING_DRAWS and _most_likely(accepted) / proposed * most < draws
        if hopeless or proposed >= most:
            raise TooLittleInside(f"only {accepted} of {proposed} draws fell inside the prior's box")
        share = accepted / proposed if accepted else 1.0
        count = int(1.05 * max(draws - accepted, 0) / share)
        found = propose(min(max(count, FEWEST_DRAWS), LARGEST))
        inside = parameters.inside(found.theta)
        kept.append(parameters.clip(found.theta[inside]))
        log_probs += [] if found.log_prob is None else [found.log_prob[inside]]
        proposed, accepted = proposed + len(inside), accepted + int(inside.sum())
    mass = accepted / proposed
    log_prob = np.concatenate(log_probs)[:draws] if log_probs else None
    return Inside(np.concatenate(kept)[:draws], float(np.log(mass)), _error(proposed, accepted), log_prob)


def _known(proposed: int, accepted: int) -> bool:
    """Whether the mass inside the box is."""
    few = proposed >= FEWEST_DRAWS and accepted > 0 and _error(proposed, accepted) <= NEGLIGIBLE
    return few or proposed >= NORMALISING_DRAWS


def _error(proposed: int, accepted: int) -> float:
    """Of the logarithm of the share that was accepted."""
    missed = (proposed - accepted + 0.5) / (proposed + 1)  # none that missed is no proof that none does
    return float(np.sqrt(missed / accepted))


def row_by_row(
    catalog: Catalog, rows: np.ndarray, draw: Callable[[int], Drawn], listen: Listener, skip_failed: bool
) -> tuple[np.ndarray, list[Drawn]]:
    """The rows that could be drawn, and what ``draw`` (of a position in the catalog) gave for each."""
    kept, drawn = [], []
    for done, row in enumerate(rows, 1):
        try:
            drawn.append(draw(int(row)))
            kept.append(row)
        except TooLittleInside as short:
            if not skip_failed:
                where = f"{catalog.path}: {catalog.told(np.array([row]))}"
                raise UserError(
                    f"{where}: {short}; the observation may be unlike the training "
                    "data; --skip-failed leaves it out, a flow with --support probit cannot fail so"
                ) from short
        listen(done, len(rows))
    if not kept:
        raise UserError(f"{catalog.path}: no observation could be sampled ({catalog.told(rows)})")
    return np.array(kept), drawn


def _most_likely(accepted: int) -> float:
    """More than this is not to be expected where so many were accepted: five Poisson errors."""
    return accepted + 5 * float(np.sqrt(accepted + 1)) + 10
