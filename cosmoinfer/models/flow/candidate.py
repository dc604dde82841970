"""What became of each architecture and support that was raced for a place in a mixture."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """What became of an architecture on a support.

    log_prob, error: mean of the pilot over the validation rows, in nat, and its error, clustered by simulation.
    pilot_share: in the mixture of all pilots. members: trained in full. share: in the mixture of these.
    """

    architecture: str
    support: str
    log_prob: float
    error: float
    pilot_share: float
    members: int = 0
    share: float = 0.0

    def describe(self) -> str:
        """In one line."""
        pilot = f"pilot {self.log_prob:.2f} +- {self.error:.2f}, share {self.pilot_share:.2f}"
        return f"{self.architecture}, {self.support}: {pilot}; {self.members} members, share {self.share:.2f}"
