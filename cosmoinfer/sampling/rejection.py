"""Draws that must lie in the prior's box, of a density that overflows it and is renormalised over it.

Each observation finishes by itself, or is given up by name: never a substitute draw.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cosmoinfer.parameters import Parameters

NORMALISING_DRAWS = 10_000  # for the mass inside the box, but for
FEWEST_DRAWS, NEGLIGIBLE = 1000, 0.01  # so many, where the error of its logarithm is then no more than these nats
LARGEST = 100_000  # draws at a time: what is made on the way to them would take ten times their memory
MOST_PROPOSALS = 1_000_000  # for one observation, or ten a draw if that is more, before it is given up
Keep = Callable[[int, np.ndarray, np.ndarray | None], None]  # of the first on: theta (n, P), log_prob (n,) if known


class TooLittleInside(Exception):
    """An observation whose density lies almost wholly outside the box."""


@dataclass(frozen=True)
class Mass:
    """log: of the share of all draws that lie inside the box; error: of that."""

    log: float = 0.0
    error: float = 0.0


@dataclass(frozen=True)
class Proposed:
    """theta: (n, P) independent draws in catalog units; log_prob: (n,) of each, where drawing them told it."""

    theta: np.ndarray
    log_prob: np.ndarray | None = None

    def of(self, which: np.ndarray) -> "Proposed":
        """Those of a mask (n,)."""
        return Proposed(self.theta[which], None if self.log_prob is None else self.log_prob[which])


def draw_inside(propose: Callable[[int], Proposed], parameters: Parameters, draws: int, keep: Keep) -> Mass:
    """By rejection, until there are as many as asked for and the mass inside is known, to 0.01 nat or from 1e4."""
    kept: list[Proposed] = []
    proposed, accepted, done, most = 0, 0, 0, max(MOST_PROPOSALS, 10 * draws)
    while accepted < draws or not _known(proposed, accepted):
        hopeless = proposed >= NORMALISING_DRAWS and _most_likely(accepted) / proposed * most < draws
        if hopeless or proposed >= most:
            raise TooLittleInside(f"only {accepted} of {proposed} draws fell inside the prior's box")
        share = accepted / proposed if accepted else 1.0
        count = int(1.05 * max(draws - accepted, 0) / share)
        found = propose(min(max(count, FEWEST_DRAWS), LARGEST))
        inside = parameters.inside(found.theta)
        proposed, accepted = proposed + len(inside), accepted + int(inside.sum())
        if done == draws:  # and only the mass is not known yet
            continue
        kept.append(found.of(inside))
        if accepted >= draws or accepted - done >= LARGEST:
            theta, log_prob = _together(kept, draws - done)
            keep(done, parameters.clip(theta), log_prob)
            done += len(theta)
            kept.clear()
    return Mass(float(np.log(accepted / proposed)), _error(proposed, accepted))


def _together(found: list[Proposed], most: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The first so many of all of them."""
    known = [one.log_prob for one in found if one.log_prob is not None]
    return np.concatenate([one.theta for one in found])[:most], np.concatenate(known)[:most] if known else None


def parts(count: int) -> list[slice]:
    """So many draws, a bounded number at a time."""
    return [slice(start, min(start + LARGEST, count)) for start in range(0, count, LARGEST)]


def _known(proposed: int, accepted: int) -> bool:
    """Whether the mass inside the box is."""
    few = proposed >= FEWEST_DRAWS and accepted > 0 and _error(proposed, accepted) <= NEGLIGIBLE
    return few or proposed >= NORMALISING_DRAWS


def _error(proposed: int, accepted: int) -> float:
    """Of the logarithm of the share that was accepted."""
    missed = (proposed - accepted + 0.5) / (proposed + 1)  # none that missed is no proof that none does
    return float(np.sqrt(missed / accepted))


def _most_likely(accepted: int) -> float:
    """More than this is not to be expected where so many were accepted: five Poisson errors."""
    return accepted + 5 * float(np.sqrt(accepted + 1)) + 10
