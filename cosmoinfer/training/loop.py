"""The one training loop. It knows no architecture: it is handed a network, a loss and rows.

The network carries M members side by side; each has its own order of the rows, its own early stopping and its own
best weights, and ends as if it had trained alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.networks.layers import expand_members
from cosmoinfer.training.checkpoints import Arrays, Checkpoint
from cosmoinfer.training.loaders import DataLoader, InMemoryLoader
from cosmoinfer.training.optimizer import MemberWeights, make_optimizer
from cosmoinfer.training.settings import (
    PLATEAU_EPOCHS,
    PLATEAU_FACTOR,
    Listener,
    Rows,
    TrainingSettings,
    learning_rate_factor,
)

CHECKPOINT_TOLERANCE = 1e-3  # of the validation loss that kept weights have, which other machines round differently
MAX_ROWS_PER_CHUNK = 2048  # a member, that are evaluated
MAX_NUMBERS_PER_CHUNK = 1 << 21  # of the data of all members: a CNN makes some tens of each

Terms = Callable[[nn.Module, Rows], torch.Tensor]


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
    augment: changes a training batch (M, B, ...), member m's rows by the m-th of ``streams``.
    """

    warm_loss: Loss | None = None
    fresh_rows: Callable[[int], Rows] | None = None
    augment: Callable[[Rows, Sequence[torch.Generator]], Rows] | None = None
    streams: Sequence[torch.Generator] = ()


NO_HOOKS = Hooks()


class DivergedError(UserError):
    """The loss of a training is no longer finite."""


@dataclass(frozen=True)
class History:
    """What a training saw, epoch by epoch: the learning curves of M members that trained side by side.

    train, validation: (E, M) mean loss of a row, over its partition.
    learning_rate: (E,) of the last step, its mean over the members that still train.
    best: (M,) the epochs whose weights are kept.

    The training loss is the mean over the epoch's batches, with dropout on; the validation loss is computed after
    the epoch, with dropout off. For a flow both are minus the mean log density, in catalog units; the moment loss
    judges the validation rows by a score of its own (``losses``).
    """

    train: np.ndarray
    validation: np.ndarray
    learning_rate: np.ndarray
    best: np.ndarray

    @property
    def best_validation(self) -> np.ndarray:
        """(M,) validation loss of the kept weights."""
        return self.validation[self.best, np.arange(self.validation.shape[1])]

    def select(self, members: slice) -> "History":
        """That of some of the members."""
        return History(self.train[:, members], self.validation[:, members], self.learning_rate, self.best[members])


def train(
    network: nn.Module,
    loss: Loss,
    train_rows: DataLoader,
    validation_rows: DataLoader,
    settings: TrainingSettings,
    generators: Sequence[torch.Generator],
    listen: Listener,
    score: Loss | None = None,
    hooks: Hooks = NO_HOOKS,
    checkpoint: Checkpoint | None = None,
) -> History:
    """Train all members and leave each with its best weights on the validation rows.

    score: what judges the validation rows, if not the loss, in the warm-up too. generators: one a member, for the
    order of its rows. checkpoint: keeps the training once it is finished; what it has kept is read, not trained again.
    Raises DivergedError when a loss is no longer finite.
    """
    if settings.warm_up and hooks.warm_loss is None:
        raise UserError("this loss has no warm-up", setting="warm_up", value=settings.warm_up)
    members, batch_size = len(generators), min(settings.batch_size, len(train_rows))
    steps_per_epoch = len(train_rows) // batch_size
    steps = settings.epochs * steps_per_epoch
    weights = MemberWeights(network, members)
    best = {name: value.clone() for name, value in network.state_dict().items()}
    if checkpoint is not None and (arrays := checkpoint.read()) is not None:
        kept = _restore(network, arrays, members, lambda: evaluate(network, score or loss, validation_rows, members))
        if kept is not None:
            checkpoint.accept()
            return kept
        checkpoint.discard()
        network.load_state_dict(best)
    optimizer = make_optimizer(weights.values, settings)
    best_loss, best_epoch = torch.full((members,), torch.inf), torch.zeros(members, dtype=torch.long)
    last_reduction = torch.full((members,), settings.warm_up - 1)  # the epoch from whose end a plateau is counted
    lr_scale = torch.ones(members)  # of the rate, each member's own; less than 1 after a plateau
    active = torch.ones(members, dtype=torch.bool)
    curves: list[tuple[np.ndarray, np.ndarray, float]] = []
    for epoch in range(settings.epochs):
        network.train()
        epoch_loss = hooks.warm_loss if hooks.warm_loss and epoch < settings.warm_up else loss
        rows = InMemoryLoader(hooks.fresh_rows(epoch)) if hooks.fresh_rows else train_rows
        running_loss = torch.zeros(members, device=weights.values.device)
        for step, batch_rows in enumerate(rows.batches(epoch, batch_size, generators)):
            learning_rate = settings.learning_rate * learning_rate_factor(
                settings.schedule, epoch * steps_per_epoch + step, steps
            )
            batch_rows = hooks.augment(batch_rows, hooks.streams) if hooks.augment else batch_rows
            losses = epoch_loss.reduce(epoch_loss.terms(network, batch_rows))
            gradient = weights.gradient(losses.sum(), settings.clip_norm)
            weights.step(optimizer, gradient, learning_rate, lr_scale)
            running_loss += losses.detach()
        training_loss, validation_loss = (
            (running_loss / steps_per_epoch).cpu(),
            evaluate(network, score or loss, validation_rows, members).cpu(),
        )
        if not torch.isfinite(training_loss[active]).all() or not torch.isfinite(validation_loss[active]).all():
            raise DivergedError(
                f"the loss is not finite in epoch {epoch + 1}; a lower `learning_rate` (now "
                f"{settings.learning_rate:g}) or a look at the catalog with `cosmoinfer inspect` may fix it"
            )
        improved = active & (validation_loss < best_loss)
        best_loss, best_epoch = (
            torch.where(improved, validation_loss, best_loss),
            torch.where(improved, epoch, best_epoch),
        )
        for name, value in network.state_dict().items():
            best[name][improved.to(value.device)] = value[improved.to(value.device)]
        curves.append((training_loss.numpy(), validation_loss.numpy(), learning_rate * float(lr_scale[active].mean())))
        listen(epoch + 1, settings.epochs, float(training_loss.mean()), float(validation_loss.mean()))
        if settings.schedule == "plateau":
            stagnant = epoch - torch.maximum(best_epoch, last_reduction) >= PLATEAU_EPOCHS
            last_reduction = torch.where(stagnant, epoch, last_reduction)
            lr_scale = torch.where(stagnant, lr_scale * PLATEAU_FACTOR, lr_scale)
        active &= epoch - best_epoch.clamp(min=settings.warm_up - 1) < settings.patience
        if not active.any():
            break
    network.load_state_dict(best)
    network.eval()
    train_curve, validation_curve, rates = zip(*curves, strict=True)
    history = History(np.stack(train_curve), np.stack(validation_curve), np.array(rates), best_epoch.numpy())
    if checkpoint is not None:
        checkpoint.write(_arrays(network, history))
    return history


def _arrays(network: nn.Module, history: History) -> Arrays:
    """A finished training, as a checkpoint keeps it."""
    weights = {f"weights/{name}": value.cpu().numpy() for name, value in network.state_dict().items()}
    return weights | {f"history/{item.name}": getattr(history, item.name) for item in fields(history)}


def _restore(network: nn.Module, arrays: Arrays, members: int, validate: Callable[[], torch.Tensor]) -> History | None:
    """The history of a training that was kept, whose weights the network is given.

    None if these are not of this network, or do not have the validation loss (M,) that the history says.
    """
    epochs = len(np.atleast_1d(arrays.get("history/train", 0)))
    curves, rates = np.zeros((epochs, members), np.float32), np.zeros(epochs)
    expected = _arrays(network, History(curves, curves, rates, np.zeros(members, np.int64)))
    layouts = [{name: (value.shape, value.dtype.kind) for name, value in each.items()} for each in (arrays, expected)]
    if layouts[0] != layouts[1]:
        return None
    history = History(**{item.name: arrays[f"history/{item.name}"] for item in fields(History)})
    if not ((history.best >= 0) & (history.best < epochs)).all():
        return None
    network.load_state_dict({name: torch.from_numpy(arrays[f"weights/{name}"]) for name in network.state_dict()})
    agrees = np.allclose(validate().cpu(), history.best_validation, CHECKPOINT_TOLERANCE, CHECKPOINT_TOLERANCE)
    return history if agrees else None


@torch.no_grad()
def evaluate(network: nn.Module, loss: Loss, rows: DataLoader, members: int) -> torch.Tensor:
    """The loss of each member over all rows, (M,), dropout off, in chunks of bounded size."""
    network.eval()
    terms, chunk_rows = [], MAX_NUMBERS_PER_CHUNK // (members * max(1, rows.numbers_per_row))
    for chunk in rows.chunks(min(MAX_ROWS_PER_CHUNK, max(1, chunk_rows))):
        terms.append(loss.terms(network, tuple(expand_members(field, members) for field in chunk)))
    return loss.reduce(torch.cat(terms, dim=1))
