"""The symmetries of periodic boxes: quarter turns, mirror images and translations of maps and grids, drawn row by row.

They hold for scalar fields in real space. Components of a vector field do not turn with their box, and redshift space
has a line of sight: there ``augment=none`` or some of the names.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from itertools import permutations, product
from math import gcd, prod

import torch

from cosmoinfer.errors import UserError


@dataclass(frozen=True)
class Symmetries:
    """Of one summary. rotations: quarter turns; mirrors: of the axes; shifts: by whole cells, round the box."""

    rotations: bool = False
    mirrors: bool = False
    shifts: bool = False

    def __str__(self) -> str:
        return ",".join(name for name in NAMES if getattr(self, name)) or "none"


NAMES = tuple(field.name for field in fields(Symmetries))
Axes = tuple[int, ...]  # the lengths (H, W) or (D, H, W)


@dataclass(frozen=True)
class Motion:
    """Output axis k runs along input axis order[k], forwards (signs[k] = 1) or backwards (-1)."""

    order: tuple[int, ...]
    signs: tuple[int, ...]

    @property
    def turns(self) -> bool:
        """Whether it is a rotation: of determinant +1."""
        swaps = sum(one > other for place, one in enumerate(self.order) for other in self.order[place + 1 :])
        return prod(self.signs) * (-1) ** swaps == 1


def parse(text: str, kinds: Sequence[str], periodic: Sequence[bool]) -> tuple[Symmetries, ...]:
    """``augment``: auto, none, or names with commas; one entry a summary, of these kinds.

    Vectors and profiles have none. Only a periodic box has shifts.
    """
    names = NAMES if text == "auto" else () if text == "none" else tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise UserError(f"{unknown[0]!r} is not known; there are auto, none, and {', '.join(NAMES)}", setting="augment")
    found = []
    for kind, wraps in zip(kinds, periodic, strict=True):
        allowed = [name for name in names if kind in ("map", "grid") and (wraps or name != "shifts")]
        found.append(Symmetries(**dict.fromkeys(allowed, True)))
    idle = [name for name in names if not any(getattr(one, name) for one in found)]
    if idle and text != "auto":
        raise UserError(
            f"no summary is a {'periodic ' * (idle[0] == 'shifts')}map or grid", setting="augment", value=idle[0]
        )
    return tuple(found)


def transformed(
    symmetries: Sequence[Symmetries], data: Sequence[torch.Tensor], generators: Sequence[torch.Generator]
) -> tuple[torch.Tensor, ...]:
    """Each row by a symmetry of its own, uniform in the group; one generator a member, for its share of the rows.

    data: one batch (M, B, C, H, W) or (M, B, C, D, H, W) a summary; others pass as they are. All maps of a row get the
    same symmetry, which then is one of each of them (of boxes of 64 and 32 cells a side: shifts by 1/32); so do all
    grids. A map and a grid of a row get different ones.
    """
    moved = list(data)
    for axes in (2, 3):
        places = [
            place
            for place, (own, part) in enumerate(zip(symmetries, data, strict=True))
            if own != Symmetries() and part.dim() == axes + 3
        ]
        if places:
            alike = _alike(
                [symmetries[place] for place in places], [data[place].flatten(0, 1) for place in places], generators
            )
            for place, part in zip(places, alike, strict=True):
                moved[place] = part.view_as(data[place])
    return tuple(moved)


@lru_cache
def motions(symmetries: Symmetries, sizes: tuple[Axes, ...]) -> tuple[Motion, ...]:
    """All turns and mirror images that are symmetries of boxes of all these sizes: 8 of a square, 48 of a cube.

    Rotations alone: 4 and 24; mirrors alone: 4 and 8. Axes change places only where they are of equal length.
    """
    lengths = list(zip(*sizes, strict=True))
    still = tuple(range(len(lengths)))
    orders = [one for one in permutations(still) if [lengths[axis] for axis in one] == lengths]
    every = [Motion(order, signs) for order in orders for signs in product((1, -1), repeat=len(still))]
    if symmetries.rotations:
        return tuple(one for one in every if symmetries.mirrors or one.turns)
    return tuple(one for one in every if one.order == still and (symmetries.mirrors or min(one.signs) > 0))


def _alike(
    symmetries: Sequence[Symmetries], parts: Sequence[torch.Tensor], generators: Sequence[torch.Generator]
) -> list[torch.Tensor]:
    """Summaries with as many axes, each row of all of them by one symmetry that all of them have."""
    common = Symmetries(*(all(flags) for flags in zip(*(astuple(one) for one in symmetries), strict=True)))
    sizes = tuple(tuple(part.shape[2:]) for part in parts)
    steps = tuple(gcd(*lengths) if common.shifts else 1 for lengths in zip(*sizes, strict=True))
    group = motions(common, sizes)
    drawn = _draw(len(parts[0]), (len(group), *steps), generators)
    return [_moved(part, group, steps, drawn.to(part.device)) for part in parts]


def _draw(rows: int, choices: Sequence[int], generators: Sequence[torch.Generator]) -> torch.Tensor:
    """(M*B, K) whole numbers, column k uniform below choices[k], each member's from its own generator."""
    share = rows // len(generators)
    columns = [[torch.randint(most, (share,), generator=one) for most in choices] for one in generators]
    return torch.cat([torch.stack(own, dim=1) for own in columns])


def _moved(part: torch.Tensor, group: Sequence[Motion], steps: Axes, drawn: torch.Tensor) -> torch.Tensor:
    """One gather: of row r, cell i of output axis k comes from cell (sign i + offset) mod n of input axis order[k]."""
    rows, channels, *axes = part.shape
    device, count = part.device, len(axes)
    order = torch.tensor([one.order for one in group], device=device)[drawn[:, 0]]  # (R, d)
    signs = torch.tensor([one.signs for one in group], device=device)[drawn[:, 0]]
    strides = torch.tensor([prod(axes[axis + 1 :]) for axis in range(count)], device=device)[order]
    index = torch.zeros((rows, *[1] * count), dtype=torch.long, device=device)
    for axis, length in enumerate(axes):
        offset = drawn[:, 1 + axis] * (length // steps[axis]) - (signs[:, axis] < 0).long()  # -1: the last cell
        cells = (signs[:, axis, None] * torch.arange(length, device=device) + offset[:, None]) % length
        index = index + (strides[:, axis, None] * cells).reshape(rows, *[1] * axis, length, *[1] * (count - axis - 1))
    flat = index.reshape(rows, 1, -1).expand(-1, channels, -1)
    return part.flatten(2).gather(2, flat).view_as(part)
