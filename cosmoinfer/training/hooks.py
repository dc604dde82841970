"""What steps into a training: noise drawn anew for every epoch, and the symmetries of periodic boxes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cosmoinfer.training import augmentation
from cosmoinfer.training.context import Rows, TrainingContext, generators
from cosmoinfer.training.loss import Loss


@dataclass(frozen=True)
class Hooks:
    """What may step into a training, nothing by default.

    warm_loss: what the warm-up epochs minimise.
    fresh_rows: epoch -> training rows, as many as there were, where noise is drawn anew.
    augment: changes a training batch (M, B, ...), member m's rows by the m-th of ``streams``.
    """

    warm_loss: Loss | None = None
    fresh_rows: Callable[[int], Rows] | None = None
    augment: Callable[[Rows, Sequence[torch.Generator]], Rows] | None = None
    streams: Sequence[torch.Generator] = ()


def training_hooks(
    context: TrainingContext,
    members: int,
    symmetries: Sequence[augmentation.Symmetries],
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

    def augment(batch: Rows, streams: Sequence[torch.Generator]) -> Rows:
        data = batch[len(leading) :]
        if not sets:
            return (*batch[: len(leading)], *augmentation.transformed(symmetries, data, streams))
        moved = augmentation.transformed(symmetries, [rows.flatten(1, 2) for rows in data], streams)
        return (*batch[: len(leading)], *(new.view_as(old) for new, old in zip(moved, data, strict=True)))

    unaugmented = all(symmetry == augmentation.Symmetries() for symmetry in symmetries)
    return Hooks(
        warm_loss,
        None if read_with_noise is None else fresh_rows,
        None if unaugmented else augment,
        generators(context.seed, "augment", members),
    )
