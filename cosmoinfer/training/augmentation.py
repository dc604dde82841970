"""How training rows change from epoch to epoch: symmetries of periodic boxes, and noise that is drawn anew.

The symmetries are quarter turns, mirror images and translations of maps and grids, drawn row by row. They hold for
scalar fields in real space. Components of a vector field do not turn with their box, and redshift space has a line of
sight: there ``augment=none`` or some of the names.
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from itertools import combinations, permutations, product
from math import gcd, prod

import numpy as np
import torch

from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.training.loop import Hooks, Loss
from cosmoinfer.training.settings import Rows, TrainingContext
from cosmoinfer.training.streams import MemberStreams


@dataclass(frozen=True)
class Symmetries:
    """Of one observable. rotations: quarter turns; mirrors: of the axes; shifts: by whole cells, round the box."""

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
    def is_rotation(self) -> bool:
        """Whether it is a rotation: of determinant +1."""
        inversions = sum(first > second for first, second in combinations(self.order, 2))
        return prod(self.signs) == (-1 if inversions % 2 else 1)


def parse(text: str, kinds: Sequence[str], periodic: Sequence[bool]) -> tuple[Symmetries, ...]:
    """``augment``: auto, none, or names with commas; one entry an observable, of these kinds.

    Vectors and profiles have none. Only a periodic box has shifts. Raises UserError for names that are unknown or that
    fit no observable.
    """
    names = NAMES if text == "auto" else () if text == "none" else tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise UserError(
            f"{unknown[0]!r} is not known; {list_choices(unknown[0], ('auto', 'none', *NAMES))}", setting="augment"
        )
    symmetries = []
    for kind, wraps in zip(kinds, periodic, strict=True):
        allowed = [name for name in names if kind in ("map", "grid") and (wraps or name != "shifts")]
        symmetries.append(Symmetries(**dict.fromkeys(allowed, True)))
    unused = [name for name in names if not any(getattr(symmetry, name) for symmetry in symmetries)]
    if unused and text != "auto":
        raise UserError(
            f"expected a {'periodic ' * (unused[0] == 'shifts')}map or grid among the observables, found "
            f"{join_first(kinds)}",
            setting="augment",
            value=unused[0],
        )
    return tuple(symmetries)


def transformed(
    symmetries: Sequence[Symmetries], data: Sequence[torch.Tensor], generators: Sequence[torch.Generator]
) -> tuple[torch.Tensor, ...]:
    """Each row by a symmetry of its own, uniform in the group; one generator a member, for its share of the rows.

    data: one batch (M, B, C, H, W) or (M, B, C, D, H, W) an observable; vectors and profiles pass as they are. All maps
    of a row get the same symmetry, which then is one of each of them (of boxes of 64 and 32 cells a side: shifts by
    1/32); so do all grids. A map and a grid of a row get different ones.
    """
    moved = list(data)
    for n_axes in (2, 3):
        columns = [
            column
            for column, (symmetry, batch) in enumerate(zip(symmetries, data, strict=True))
            if symmetry != Symmetries() and batch.dim() == n_axes + 3
        ]
        if columns:
            rows = [data[column].flatten(0, 1) for column in columns]  # (M*B, C, ...)
            together = _transform_together([symmetries[column] for column in columns], rows, generators)
            for column, new in zip(columns, together, strict=True):
                moved[column] = new.view_as(data[column])
    return tuple(moved)


@lru_cache
def motions(symmetries: Symmetries, sizes: tuple[Axes, ...]) -> tuple[Motion, ...]:
    """All turns and mirror images that are symmetries of boxes of all these sizes: 8 of a square, 48 of a cube.

    Rotations alone: 4 and 24; mirrors alone: 4 and 8. Axes change places only where they are of equal length.
    """
    lengths = list(zip(*sizes, strict=True))
    identity = tuple(range(len(lengths)))
    orders = [order for order in permutations(identity) if [lengths[axis] for axis in order] == lengths]
    all_motions = [Motion(order, signs) for order in orders for signs in product((1, -1), repeat=len(identity))]
    if symmetries.rotations:
        return tuple(motion for motion in all_motions if symmetries.mirrors or motion.is_rotation)
    in_order = [motion for motion in all_motions if motion.order == identity]
    return tuple(motion for motion in in_order if symmetries.mirrors or min(motion.signs) > 0)


def _transform_together(
    symmetries: Sequence[Symmetries], data: Sequence[torch.Tensor], generators: Sequence[torch.Generator]
) -> list[torch.Tensor]:
    """Observables of as many axes, (M*B, C, ...) each: row r of all of them by one symmetry that all of them have."""
    common = Symmetries(*(all(flags) for flags in zip(*map(astuple, symmetries), strict=True)))
    sizes = tuple(tuple(rows.shape[2:]) for rows in data)
    steps = tuple(gcd(*lengths) if common.shifts else 1 for lengths in zip(*sizes, strict=True))
    group = motions(common, sizes)
    choices = _draw_choices(len(data[0]), (len(group), *steps), generators)
    return [_move(rows, group, steps, choices.to(rows.device)) for rows in data]


def _draw_choices(n_rows: int, counts: Sequence[int], generators: Sequence[torch.Generator]) -> torch.Tensor:
    """(M*B, K) whole numbers, column k uniform below counts[k], each member's from its own generator."""
    size = (n_rows // len(generators),)
    members = [[torch.randint(count, size, generator=generator) for count in counts] for generator in generators]
    return torch.cat([torch.stack(columns, dim=1) for columns in members])


def _move(data: torch.Tensor, group: Sequence[Motion], steps: Axes, choices: torch.Tensor) -> torch.Tensor:
    """Each row of data (R, C, ...) by its own symmetry, choices (R, K), in one gather.

    Cell i of output axis k comes from cell (sign i + offset) mod n of input axis order[k].
    """
    rows, channels, *axes = data.shape
    device, count = data.device, len(axes)
    order = torch.tensor([motion.order for motion in group], device=device)[choices[:, 0]]  # (R, d)
    signs = torch.tensor([motion.signs for motion in group], device=device)[choices[:, 0]]
    strides = torch.tensor([prod(axes[axis + 1 :]) for axis in range(count)], device=device)[order]
    index = torch.zeros((rows, *[1] * count), dtype=torch.long, device=device)
    for axis, length in enumerate(axes):
        offset = choices[:, 1 + axis] * (length // steps[axis]) - (signs[:, axis] < 0).long()  # -1: the last cell
        cells = (signs[:, axis, None] * torch.arange(length, device=device) + offset[:, None]) % length
        index = index + (strides[:, axis, None] * cells).reshape(rows, *[1] * axis, length, *[1] * (count - axis - 1))
    flat = index.reshape(rows, 1, -1).expand(-1, channels, -1)
    return data.flatten(2).gather(2, flat).view_as(data)


def training_hooks(
    context: TrainingContext,
    members: int,
    symmetries: Sequence[Symmetries],
    leading: Rows,
    read_with_noise: Callable[[int], tuple[np.ndarray, ...]] | None,
    warm_loss: Loss | None = None,
    sets: bool = False,
) -> Hooks:
    """leading: what of the training rows comes before the data, which noise and symmetries leave alone.

    read_with_noise: the data of an epoch, where noise is drawn anew.
    sets: the data of a row are a set, (R, ...), whose rows each have a symmetry of their own.
    """

    def fresh_rows(epoch: int) -> Rows:
        assert read_with_noise is not None
        return (*leading, *context.tensors(*read_with_noise(epoch)))

    stream = MemberStreams.of_members(context.seed, "augment", members)

    def augment(batch: Rows) -> Rows:
        data = batch[len(leading) :]
        if not sets:
            return (*batch[: len(leading)], *transformed(symmetries, data, stream.generators))
        moved = transformed(symmetries, [rows.flatten(1, 2) for rows in data], stream.generators)
        return (*batch[: len(leading)], *(new.view_as(old) for new, old in zip(moved, data, strict=True)))

    unaugmented = all(symmetry == Symmetries() for symmetry in symmetries)
    return Hooks(
        warm_loss,
        None if read_with_noise is None else fresh_rows,
        None if unaugmented else augment,
        () if unaugmented else (stream,),
    )
