"""What became of each architecture and support that was raced for a place in a mixture."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """What became of an architecture on a support.

    log_prob, error: mean of the pilot over the rows that judge it, in nat, and its error, clustered by simulation.
    pilot_share: in the mixture of all pilots. weights, epochs: what it cost, the weights of a member and the epochs of
    all members, of the pilot too. members: trained in full. share: in the mixture of these.
    """

    architecture: str
    support: str
    log_prob: float
    error: float
    pilot_share: float
    weights: int
    epochs: int
    members: int = 0
    share: float = 0.0

    def describe(self) -> str:
        """In one line."""
        pilot = f"pilot {self.log_prob:.2f} +- {self.error:.2f}, share {self.pilot_share:.2f}"
        outcome = f"{self.members} members, share {self.share:.2f}"
        return (
            f"{self.architecture}, {self.support}: {pilot}; {outcome}; {self.epochs} epochs of {self.weights} weights"
        )
