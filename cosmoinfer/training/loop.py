"""The one training loop. It knows no architecture: it is handed a network, a loss and rows.

The network carries M members side by side; each has its own order of the rows, its own early stopping and its own
best weights, and ends as if it had trained alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.networks.layers import expand_members
from cosmoinfer.training.batch_share import BatchShare, Terms
from cosmoinfer.training.checkpoints import NOTHING_KEPT, Keeper
from cosmoinfer.training.loaders import DataLoader, InMemoryLoader
from cosmoinfer.training.ranks import ALONE, Ranks
from cosmoinfer.training.settings import Listener, Rows, TrainingSettings, learning_rate_factor
from cosmoinfer.training.state import History, TrainingState
from cosmoinfer.training.streams import MemberStreams

CHECKPOINT_TOLERANCE = 1e-3  # of the validation loss that kept weights have, which other machines round differently
MAX_ROWS_PER_CHUNK = 2048  # a member, that are evaluated
MAX_NUMBERS_PER_CHUNK = 1 << 21  # of the data of all members: a CNN makes some tens of each


def mean_over_rows(terms: torch.Tensor) -> torch.Tensor:
    """The mean over rows and their terms: (M, N, K) -> (M,)."""
    return terms.mean((1, 2))


@dataclass(frozen=True)
class Loss:
    """terms: network and a batch of rows (M, B, ...) -> numbers a row, (M, B, K); reduce: (M, N, K) -> (M,).

    Two steps, because some losses are no mean over rows: a validation loss reduces the whole set at once.
    """

    terms: Terms
    reduce: Callable[[torch.Tensor], torch.Tensor] = mean_over_rows


@dataclass(frozen=True)
class Hooks:
    """What may step into a training, nothing by default.

    warm_loss: what the warm-up epochs minimise.
    fresh_rows: epoch -> training rows, as many as there were, where noise is drawn anew.
    augment: changes a training batch (M, B, ...).
    streams: what draws within a step: of ``augment``, or of the network.
    """

    warm_loss: Loss | None = None
    fresh_rows: Callable[[int], Rows] | None = None
    augment: Callable[[Rows], Rows] | None = None
    streams: Sequence[MemberStreams] = ()

    def restart(self, epoch: int, step: int) -> None:
        """Let what is drawn in a step depend on its place alone."""
        for stream in self.streams:
            stream.restart(epoch, step)


NO_HOOKS = Hooks()


class DivergedError(UserError):
    """The loss of a training is no longer finite."""


def train(
    network: nn.Module,
    loss: Loss,
    train_rows: DataLoader,
    validation_rows: DataLoader,
    settings: TrainingSettings,
    order: MemberStreams,
    listen: Listener,
    score: Loss | None = None,
    hooks: Hooks = NO_HOOKS,
    keeper: Keeper = NOTHING_KEPT,
    ranks: Ranks = ALONE,
) -> History:
    """Train all members and leave each with its best weights on the validation rows.

    score: what judges the validation rows, if not the loss, in the warm-up too. order: of the rows, of each member.
    keeper: keeps the training on its way and once it is finished; what it has kept goes on. ranks: of which each sees
    its share of every batch. Raises DivergedError when a loss is no longer finite, Stopped when the keeper has kept it
    at a request.
    """
    if settings.warm_up and hooks.warm_loss is None:
        raise UserError("this loss has no warm-up", setting="warm_up", value=settings.warm_up)
    members, batch_size = len(order.generators), min(settings.batch_size, len(train_rows))
    steps_per_epoch = len(train_rows) // batch_size
    state, score = TrainingState(network, settings, members), score or loss
    share = BatchShare(network, ranks, batch_size)

    def learning_rate(step: int) -> float:
        factor = learning_rate_factor(
            settings.schedule, state.epoch * steps_per_epoch + step, settings.epochs * steps_per_epoch
        )
        return settings.learning_rate * factor

    def validate(on_chunk: Callable[[], None]) -> torch.Tensor:
        return evaluate(network, score, validation_rows, members, on_chunk, ranks).cpu()

    _resume(state, keeper, steps_per_epoch, validate)
    ranks.require_equal("training", state.digest)
    is_kept = state.is_finished
    with keeper.postponing():
        while not state.is_finished:
            network.train()
            order.restart(state.epoch)
            epoch_loss = hooks.warm_loss if hooks.warm_loss and state.epoch < settings.warm_up else loss
            rows = InMemoryLoader(hooks.fresh_rows(state.epoch)) if hooks.fresh_rows else train_rows
            for step, batch_rows in enumerate(rows.batches(state.epoch, batch_size, order.generators)):
                if step < state.step:  # before the training was stopped
                    continue
                keeper.keep(state.arrays)
                hooks.restart(state.epoch, step)
                batch_rows = hooks.augment(batch_rows) if hooks.augment else batch_rows
                if ranks.count > 1 and state.epoch == step == 0:
                    share.start(epoch_loss.terms, batch_rows)
                    hooks.restart(state.epoch, step)
                losses = epoch_loss.reduce(share.terms(epoch_loss.terms, batch_rows))
                gradient = state.weights.gradient(losses.sum(), settings.clip_norm, ranks)
                state.weights.step(state.optimizer, gradient, learning_rate(step), state.lr_scale)
                state.running_loss += losses.detach()
                state.step += 1
            training_loss = (state.running_loss / steps_per_epoch).cpu()
            validation_loss = validate(lambda: keeper.keep(state.arrays, only_at_stop=True))
            active = state.active
            if not torch.isfinite(training_loss[active]).all() or not torch.isfinite(validation_loss[active]).all():
                raise DivergedError(
                    f"the loss is not finite in epoch {state.epoch + 1}; a lower `learning_rate` (now "
                    f"{settings.learning_rate:g}) or a look at the catalog with `cosmoinfer inspect` may fix it"
                )
            state.finish_epoch(training_loss, validation_loss, learning_rate(steps_per_epoch - 1))
            listen(state.epoch, settings.epochs, float(training_loss.mean()), float(validation_loss.mean()))
        if not is_kept:
            keeper.write(state.arrays())
    network.load_state_dict(state.best)
    network.eval()
    return state.history()


def _resume(
    state: TrainingState, keeper: Keeper, steps_per_epoch: int, validate: Callable[[Callable[[], None]], torch.Tensor]
) -> None:
    """Let a training go on where it was kept, if what was kept is of it.

    The best weights of a finished one must have the validation loss that its history says.
    """
    arrays = keeper.read()
    if arrays is None:
        return
    untrained = state.arrays()
    fits = state.restore(arrays) and state.step <= steps_per_epoch
    if not fits or (state.is_finished and not _agrees(state, validate)):
        keeper.discard()
        state.restore(untrained)
        return
    epochs = state.settings.epochs
    keeper.accept(
        "trained before, read in place of training"
        if state.is_finished
        else f"goes on in epoch {state.epoch + 1} of {epochs}"
    )


def _agrees(state: TrainingState, validate: Callable[[Callable[[], None]], torch.Tensor]) -> bool:
    state.network.load_state_dict(state.best)
    expected = state.history().best_validation
    return np.allclose(validate(lambda: None), expected, CHECKPOINT_TOLERANCE, CHECKPOINT_TOLERANCE)


@torch.no_grad()
def evaluate(
    network: nn.Module,
    loss: Loss,
    rows: DataLoader,
    members: int,
    on_chunk: Callable[[], None] = lambda: None,
    ranks: Ranks = ALONE,
) -> torch.Tensor:
    """The loss of each member over all rows, (M,), dropout off, in chunks of bounded size.

    on_chunk: called before each. ranks: each of which sees its share of a chunk, where that has rows enough.
    """
    network.eval()
    terms, chunk_rows = [], MAX_NUMBERS_PER_CHUNK // (members * max(1, rows.numbers_per_row))
    for chunk in rows.chunks(min(MAX_ROWS_PER_CHUNK, max(1, chunk_rows))):
        on_chunk()
        size = len(chunk[0])
        sharing = ranks if size >= ranks.count else ALONE
        share = tuple(expand_members(field[sharing.share(size)], members) for field in chunk)
        terms.append(sharing.gather(loss.terms(network, share), size))
    return loss.reduce(torch.cat(terms, dim=1))
