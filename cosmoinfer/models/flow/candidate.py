"""What became of what was to be mixed: architectures and supports in a race, trained flows that were joined."""

from dataclasses import dataclass

from cosmoinfer.formatting import format_with_error


@dataclass(frozen=True)
class Candidate:
    """What became of an architecture on a support.

    log_prob, error: mean of the pilot over the rows that judge it, in nat, and its error, clustered by simulation.
    pilot_share: in the mixture of all pilots. size: how many weights a member has. epochs: of all members, of the pilot
    too. members: trained in full. final_share: in the mixture of all that were trained in full.
    """

    architecture: str
    support: str
    log_prob: float
    error: float
    pilot_share: float
    size: int
    epochs: int
    members: int = 0
    final_share: float = 0.0

    def describe_pilot(self) -> str:
        """What it scored, in one line."""
        score = format_with_error(self.log_prob, self.error)
        name = f"{self.architecture}, support {self.support}"
        return f"{name}: log_prob {score} nat, pilots' share {self.pilot_share:.2f}"

    def describe(self) -> str:
        """All of it in one line."""
        outcome = f"{self.members} members, final share {self.final_share:.2f}"
        return f"{self.describe_pilot()}; {outcome}; {self.epochs} epochs of {self.size} weights"


@dataclass(frozen=True)
class JoinedFlow:
    """What became of a trained flow that was joined with others.

    architecture: of its stacks, in words. log_prob, error: mean over the validation rows, in nat, and its error,
    clustered by simulation. share: in the mixture; 0 if it was left out.
    """

    architecture: str
    log_prob: float
    error: float
    share: float

    def describe(self) -> str:
        """In one line."""
        outcome = f"share {self.share:.2f}" if self.share else "left out"
        return f"{self.architecture}: log_prob {format_with_error(self.log_prob, self.error)} nat, {outcome}"
