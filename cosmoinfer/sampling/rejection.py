"""Draws that must lie in the prior's box and region, of a density that reaches beyond them and is renormalised there.

Each observation finishes by itself, or is given up by name: never a substitute draw.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cosmoinfer.errors import UserError
from cosmoinfer.memory import slices
from cosmoinfer.parameters import Parameters

PROPOSALS_FOR_MASS = 10_000  # that estimate the mass inside box and region, unless fewer do:
MIN_PROPOSALS = 1000  # are enough where the error of log mass is then at most
MAX_LOG_MASS_ERROR = 0.01  # nats
MAX_DRAWS_PER_PIECE = 100_000  # what is made on the way to them takes ten times their memory
MAX_PROPOSALS_PER_OBSERVATION = 1_000_000  # or ten a draw if that is more, before the observation is given up


class TooLittleInside(Exception):
    """An observation whose density lies almost wholly outside the prior's box and region."""


class NoPrediction(UserError):
    """A network gives numbers for an observation that are not finite."""


def check_draws(theta: np.ndarray, log_prob: np.ndarray | None = None) -> None:
    """theta: (k, P). log_prob: (k,), if it is known. Raises NoPrediction where a draw, or its density, is not finite.

    The density of a draw may be zero: single precision can move it across the edge of the prior.
    """
    if not np.isfinite(theta).all() or not (log_prob is None or (log_prob < np.inf).all()):
        raise NoPrediction("the draws of the posterior are not finite")


@dataclass(frozen=True)
class BoxMass:
    """log: of the fraction of all proposals inside the prior's box and region, in nats. error: its standard error."""

    log: float = 0.0
    error: float = 0.0


@dataclass(frozen=True)
class DrawPiece:
    """Some independent draws. theta: (k, P), in catalog units. log_prob: (k,), not renormalised, where it is known."""

    theta: np.ndarray
    log_prob: np.ndarray | None = None

    @classmethod
    def concatenated(cls, pieces: "Sequence[DrawPiece]") -> "DrawPiece":
        """All draws of some pieces."""
        log_probs = [piece.log_prob for piece in pieces if piece.log_prob is not None]
        return cls(np.concatenate([piece.theta for piece in pieces]), np.concatenate(log_probs) if log_probs else None)

    def select(self, draws: np.ndarray | slice) -> "DrawPiece":
        """Those of a mask (k,) or slice."""
        return DrawPiece(self.theta[draws], None if self.log_prob is None else self.log_prob[draws])


Propose = Callable[[int], DrawPiece]  # so many draws, inside or not
Pieces = Generator[DrawPiece, None, BoxMass]


class DrawStream:
    """The draws of one observation, piece by piece and once; ``mass`` is known when all have come."""

    mass: BoxMass

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[DrawPiece]:
        self.mass = yield from self._pieces


def draw_unrestricted(propose: Propose, draws: int) -> Pieces:
    """Of a density that lies inside box and region already: mass 1."""
    for place in slices(draws, MAX_DRAWS_PER_PIECE):
        yield propose(place.stop - place.start)
    return BoxMass()


def draw_inside(propose: Propose, parameters: Parameters, draws: int) -> Pieces:
    """By rejection, until there are as many as asked for and the mass inside box and region is known well enough.

    Raises TooLittleInside where proposals run out first.
    """
    pending: list[DrawPiece] = []
    proposed, accepted, yielded = 0, 0, 0
    max_proposals = max(MAX_PROPOSALS_PER_OBSERVATION, 10 * draws)
    while accepted < draws or not _mass_is_known(proposed, accepted):
        hopeless = proposed >= PROPOSALS_FOR_MASS and _max_likely_accepted(accepted) / proposed * max_proposals < draws
        if hopeless or proposed >= max_proposals:
            region = " and region" if parameters.where else ""
            raise TooLittleInside(f"only {accepted} of {proposed} draws fell inside the prior's box{region}")
        acceptance = accepted / proposed if accepted else 1.0
        count = int(1.05 * max(draws - accepted, 0) / acceptance)
        proposal = propose(min(max(count, MIN_PROPOSALS), MAX_DRAWS_PER_PIECE))
        inside = parameters.accepts(proposal.theta)
        proposed, accepted = proposed + len(inside), accepted + int(inside.sum())
        if yielded == draws:  # and only the mass is not known yet
            continue
        pending.append(proposal.select(inside))
        if accepted >= draws or accepted - yielded >= MAX_DRAWS_PER_PIECE:
            joined = DrawPiece.concatenated(pending).select(slice(draws - yielded))
            yield DrawPiece(parameters.clip(joined.theta), joined.log_prob)
            yielded += len(joined.theta)
            pending.clear()
    return BoxMass(float(np.log(accepted / proposed)), _log_mass_error(proposed, accepted))


def _mass_is_known(proposed: int, accepted: int) -> bool:
    precise = proposed >= MIN_PROPOSALS and accepted > 0 and _log_mass_error(proposed, accepted) <= MAX_LOG_MASS_ERROR
    return precise or proposed >= PROPOSALS_FOR_MASS


def _log_mass_error(proposed: int, accepted: int) -> float:
    """Standard error of the logarithm of the accepted fraction."""
    outside = (proposed - accepted + 0.5) / (proposed + 1)  # that none fell outside is no proof that none does
    return float(np.sqrt(outside / accepted))


def _max_likely_accepted(accepted: int) -> float:
    """More are not to be expected of as many proposals again: five Poisson errors above."""
    return accepted + 5 * float(np.sqrt(accepted + 1)) + 10
