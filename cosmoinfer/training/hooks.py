"""What steps into a training: noise drawn anew for every epoch, and the symmetries of periodic boxes."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from cosmoinfer.training import augmentation
from cosmoinfer.training.context import Bench, generators
from cosmoinfer.training.loop import Hooks, Loss, Rows


def training_hooks(
    bench: Bench,
    members: int,
    symmetric: Sequence[augmentation.Symmetries],
    known: Rows,
    fresh: Callable[[int], tuple[np.ndarray, ...]] | None,
    warm_loss: Loss | None = None,
    sets: bool = False,
) -> Hooks:
    """known: the parts of the training rows that come before the data, and that noise and symmetries leave alone.

    fresh: the data of an epoch, where noise is drawn anew. sets: of a row the data are a set, (R, ...), whose rows each
    have a symmetry of their own.
    """

    def drawn(epoch: int) -> Rows:
        assert fresh is not None
        return (*known, *bench.tensors(*fresh(epoch)))

    def moved(batch: Rows, streams: Sequence[torch.Generator]) -> Rows:
        data = batch[len(known) :]
        if not sets:
            return (*batch[: len(known)], *augmentation.transformed(symmetric, data, streams))
        apart = augmentation.transformed(symmetric, [one.flatten(0, 1) for one in data], streams)
        return (*batch[: len(known)], *(new.view_as(one) for new, one in zip(apart, data, strict=True)))

    still = all(one == augmentation.Symmetries() for one in symmetric)
    return Hooks(
        warm_loss,
        None if fresh is None else drawn,
        None if still else moved,
        generators(bench.seed, "augment", members),
    )
