"""Draws that must lie in the prior's box, of a density that overflows it and is renormalised over it.

Each observation finishes by itself, or is given up by name: never a substitute draw.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError, listed
from cosmoinfer.parameters import Parameters

NORMALISING_DRAWS = 10_000  # at least, for the mass inside the box
MOST_PROPOSALS = 1_000_000  # for one observation, before it is given up
Listener = Callable[[int, int], None]  # rows done, rows in all
Drawn = TypeVar("Drawn")


class TooLittleInside(Exception):
    """An observation whose density lies almost wholly outside the box."""


@dataclass(frozen=True)
class Inside:
    """samples: (S, P) inside the box; log_mass: log of the share of all draws inside it, and its error."""

    samples: np.ndarray
    log_mass: float
    error: float


def draw_inside(propose: Callable[[int], np.ndarray], parameters: Parameters, draws: int) -> Inside:
    """By rejection; propose: count -> (count, P) independent draws in catalog units."""
    kept: list[np.ndarray] = []
    proposed, accepted = 0, 0
    while accepted < draws or proposed < NORMALISING_DRAWS:
        hopeless = proposed and _most_likely(accepted) / proposed * MOST_PROPOSALS < draws
        if hopeless or proposed >= MOST_PROPOSALS:
            raise TooLittleInside(f"only {accepted} of {proposed} draws fell inside the prior's box")
        theta = propose(NORMALISING_DRAWS)
        inside = parameters.inside(theta)
        kept.append(parameters.clip(theta[inside]))
        proposed, accepted = proposed + len(theta), accepted + int(inside.sum())
    mass = accepted / proposed
    return Inside(np.concatenate(kept)[:draws], float(np.log(mass)), float(np.sqrt((1 - mass) / accepted)))


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
                raise UserError(
                    f"{catalog.path}: row {catalog.index[row]}: {short}; the observation may be unlike the training "
                    "data; --skip-failed leaves it out, a flow with --support probit cannot fail so"
                ) from short
        listen(done, len(rows))
    if not kept:
        raise UserError(f"{catalog.path}: no observation could be sampled (row {listed(catalog.index[rows])})")
    return np.array(kept), drawn


def _most_likely(accepted: int) -> float:
    """More than this is not to be expected where so many were accepted: five Poisson errors."""
    return accepted + 5 * float(np.sqrt(accepted + 1)) + 10
