"""Random numbers of a training: one stream a member, by its number: member 3 of 5 draws what member 3 of 10 draws."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from cosmoinfer import seeding


def generators(seed: int, purpose: str, members: int) -> list[torch.Generator]:
    """One a member."""
    return [torch.Generator().manual_seed(seeding.derive_seed(seed, purpose, member)) for member in range(members)]


@dataclass(frozen=True)
class MemberStreams:
    """Generators that are seeded anew at each place of a training, so that it can go on there without their state.

    members: their numbers. generators: one of each.
    """

    seed: int
    purpose: str
    members: Sequence[int]
    generators: Sequence[torch.Generator]

    @classmethod
    def of_members(cls, seed: int, purpose: str, members: int) -> "MemberStreams":
        """Of members 0, 1, ..."""
        return cls(seed, purpose, range(members), generators(seed, purpose, members))

    def restart(self, *place: int) -> None:
        """For an epoch, or a step of one: what is drawn there depends on no draw before it."""
        for member, generator in zip(self.members, self.generators, strict=True):
            generator.manual_seed(seeding.derive_seed(self.seed, self.purpose, member, *place))
