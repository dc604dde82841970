"""The one training loop. It knows no architecture: it is handed a network, a loss and rows.

The network carries M members side by side; each has its own order of the rows, its own early stopping and its own
best weights, and ends as if it had trained alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.networks.embedding import Embedding
from cosmoinfer.training import learning_rate as schedule
from cosmoinfer.training.history import History

OPTIMIZERS = ("adamw", "adam", "sgd")
MIXED = ("cuda",)  # where bfloat16 is faster
ROWS_AT_ONCE = 2048  # a member, that are evaluated
NUMBERS_AT_ONCE = 1 << 21  # of the data of all members: a CNN makes some tens of each
Rows = tuple[torch.Tensor, ...]  # one tensor per thing a row has, each (N, ...)
Terms = Callable[[nn.Module, Rows], torch.Tensor]


class Feed(ABC):
    """N rows for a training, wherever they are."""

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def numbers(self) -> int:
        """Of one row."""

    @abstractmethod
    def batches(self, epoch: int, size: int, generators: Sequence[torch.Generator]) -> Iterator[Rows]:
        """N // size batches (M*size, ...), member by member, each in an order of its own; the few left over differ."""

    @abstractmethod
    def chunks(self, size: int) -> Iterator[Rows]:
        """All rows in their order, at most so many at once."""


@dataclass(frozen=True)
class Held(Feed):
    """Rows in memory."""

    rows: Rows

    def __len__(self) -> int:
        return len(self.rows[0])

    @property
    def numbers(self) -> int:
        return sum(part[0].numel() for part in self.rows)

    def batches(self, epoch: int, size: int, generators: Sequence[torch.Generator]) -> Iterator[Rows]:
        order = torch.stack([torch.randperm(len(self), generator=generator) for generator in generators])  # (M, N)
        order = order.to(self.rows[0].device)
        for start in range(0, len(self) // size * size, size):
            chosen = order[:, start : start + size].reshape(-1)  # (M*B,)
            yield tuple(part.index_select(0, chosen) for part in self.rows)  # four times as fast as indexing

    def chunks(self, size: int) -> Iterator[Rows]:
        for start in range(0, len(self), size):
            yield tuple(part[start : start + size] for part in self.rows)


@dataclass(frozen=True)
class Loss:
    """terms: network and a batch of rows (M*B, ...) -> numbers a row, (M*B, K); reduce: (M, N, K) -> (M,).

    Two steps, because some losses are no mean over rows: a validation loss reduces the whole set at once.
    """

    terms: Terms
    reduce: Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Training:
    """How to descend. ``patience``: epochs without a better validation loss after which a member stops.

    ``warm_up``: epochs that minimise a gentler loss first; patience counts from their end. ``compile``: the steps run
    as machine code made for them, which changes results by rounding. ``mixed_precision``: embeddings in bfloat16.
    """

    epochs: int = 100
    batch_size: int = 100
    learning_rate: float = 1e-3
    optimizer: str = "adamw"
    schedule: str = "cosine"
    weight_decay: float = 1e-2
    momentum: float = 0.9
    patience: int = 100
    clip: float = 5.0
    warm_up: int = 0
    compile: bool = False
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')}: expected at least 1, found {getattr(self, name)}")
        if not 0 <= self.warm_up < self.epochs:
            raise UserError(f"--warm-up: expected 0 to {self.epochs - 1}, less than --epochs, found {self.warm_up}")
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise UserError(f"--{name.replace('_', '-')}: expected more than 0, found {getattr(self, name):g}")
        if self.weight_decay < 0 or not 0 <= self.momentum < 1:
            raise UserError("--weight-decay: expected 0 or more, --momentum: a number in [0, 1)")
        if self.optimizer not in OPTIMIZERS:
            raise UserError(f"--optimizer: {self.optimizer!r} is not known; there are {', '.join(OPTIMIZERS)}")
        if self.schedule not in schedule.SCHEDULES:
            raise UserError(f"--schedule: {self.schedule!r} is not known; there are {', '.join(schedule.SCHEDULES)}")


Listener = Callable[[int, int, float, float], None]  # epoch, epochs, training and validation loss


@dataclass(frozen=True)
class Hooks:
    """What may step into a training, nothing by default.

    warm_loss: what the warm-up epochs minimise. fresh: epoch -> training rows, as many as there were, where noise is
    drawn anew. augment: changes a training batch (M*B, ...), member m's rows by the m-th of ``streams``.
    """

    warm_loss: Loss | None = None
    fresh: Callable[[int], Rows] | None = None
    augment: Callable[[Rows, Sequence[torch.Generator]], Rows] | None = None
    streams: Sequence[torch.Generator] = ()


def train(
    network: nn.Module,
    loss: Loss,
    train_rows: Feed,
    validation_rows: Feed,
    settings: Training,
    generators: Sequence[torch.Generator],
    listen: Listener,
    score: Loss | None = None,
    hooks: Hooks = Hooks(),
) -> History:
    """Train all members and leave each with its best weights on the validation rows.

    score: what judges the validation rows, if not the loss, in the warm-up too. generators: one a member, for the
    order of its rows. Raises UserError when a loss is no longer finite.
    """
    if settings.warm_up and hooks.warm_loss is None:
        raise UserError(f"--warm-up {settings.warm_up}: this loss has no gentler one to begin with")
    members, batch = len(generators), min(settings.batch_size, len(train_rows))
    per_epoch = len(train_rows) // batch
    steps = settings.epochs * per_epoch
    fitted = replace(loss, terms=_compiled(loss.terms)) if settings.compile else loss
    weights = _Weights(network, members)
    if settings.mixed_precision:
        _mix_precision(network, weights.values.device)
    optimizer = _optimizer(weights.values, settings)
    best = {name: value.clone() for name, value in network.state_dict().items()}
    best_loss, best_epoch = torch.full((members,), torch.inf), torch.zeros(members, dtype=torch.long)
    lowered = torch.full((members,), settings.warm_up - 1)  # the epoch from whose end a plateau is counted
    share = torch.ones(members)  # of the rate, each member's own; less than 1 after a plateau
    going = torch.ones(members, dtype=torch.bool)
    curves: list[tuple[np.ndarray, np.ndarray, float]] = []
    for epoch in range(settings.epochs):
        network.train()
        current = hooks.warm_loss if hooks.warm_loss and epoch < settings.warm_up else fitted
        rows = Held(hooks.fresh(epoch)) if hooks.fresh else train_rows
        seen = torch.zeros(members, device=weights.values.device)
        for number, drawn in enumerate(rows.batches(epoch, batch, generators)):
            rate = settings.learning_rate * schedule.factor(settings.schedule, epoch * per_epoch + number, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            drawn = hooks.augment(drawn, hooks.streams) if hooks.augment else drawn
            losses = current.reduce(current.terms(network, drawn).reshape(members, batch, -1))
            weights.differentiate(losses.sum(), settings.clip)
            weights.move(optimizer, share)
            seen += losses.detach()
        training, validation = (
            (seen / per_epoch).cpu(),
            evaluate(network, score or loss, validation_rows, members).cpu(),
        )
        if not torch.isfinite(training[going]).all() or not torch.isfinite(validation[going]).all():
            raise UserError(
                f"the loss is not finite in epoch {epoch + 1}; a lower --learning-rate (now "
                f"{settings.learning_rate:g}) or a look at the catalog with `cosmoinfer inspect` may mend it"
            )
        better = going & (validation < best_loss)
        best_loss, best_epoch = torch.where(better, validation, best_loss), torch.where(better, epoch, best_epoch)
        for name, value in network.state_dict().items():
            best[name][better.to(value.device)] = value[better.to(value.device)]
        curves.append((training.numpy(), validation.numpy(), rate * float(share[going].mean())))
        listen(epoch + 1, settings.epochs, float(training.mean()), float(validation.mean()))
        if settings.schedule == "plateau":
            flat = epoch - torch.maximum(best_epoch, lowered) >= schedule.PLATEAU_EPOCHS
            lowered = torch.where(flat, epoch, lowered)
            share = torch.where(flat, share * schedule.PLATEAU_FACTOR, share)
        going &= epoch - best_epoch.clamp(min=settings.warm_up - 1) < settings.patience
        if not going.any():
            break
    network.load_state_dict(best)
    network.eval()
    train_curve, validation_curve, rates = zip(*curves, strict=True)
    return History(np.stack(train_curve), np.stack(validation_curve), np.array(rates), best_epoch.numpy())


@torch.no_grad()
def evaluate(network: nn.Module, loss: Loss, rows: Feed, members: int) -> torch.Tensor:
    """The loss of each member over all rows, (M,), dropout off, in chunks of bounded size."""
    network.eval()
    terms, most = [], NUMBERS_AT_ONCE // (members * max(1, rows.numbers))
    for chunk in rows.chunks(min(ROWS_AT_ONCE, max(1, most))):
        found = loss.terms(network, tuple(stacked(part, members) for part in chunk))
        terms.append(found.reshape(members, -1, found.shape[-1]))
    return loss.reduce(torch.cat(terms, dim=1))


def stacked(part: torch.Tensor, members: int) -> torch.Tensor:
    """The same rows for every member: (N, ...) -> (M*N, ...)."""
    return part.expand(members, *part.shape).flatten(0, 1)


def _mix_precision(network: nn.Module, device: torch.device) -> None:
    """Of what makes summaries of the data: a density needs all digits of its own."""
    if device.type not in MIXED:
        raise UserError(f"--mixed-precision: is for {', '.join(MIXED)}; bfloat16 is slower on a {device.type}")
    for layer in network.modules():
        if isinstance(layer, Embedding):
            layer.mixed = True


def _compiled(terms: Terms) -> Terms:
    """The same as one kernel or few, made at the first call, which takes minutes."""
    run = torch.compile(terms, dynamic=False)

    def told(network: nn.Module, batch: Rows) -> torch.Tensor:
        try:
            return run(network, batch)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"--compile: torch could not compile this training ({reason}); leave it out") from error

    return told


class _Weights:
    """All parameters of a network side by side, (M, W); the network's own become views of them.

    An optimiser and a norm then touch one tensor in place of some fifty: a tenth to a quarter of a step.
    """

    def __init__(self, network: nn.Module, members: int) -> None:
        self.members, self.parameters = members, list(network.parameters())
        self.values = nn.Parameter(self._side_by_side(self.parameters).detach())
        widths = [one.numel() // members for one in self.parameters]
        for parameter, value in zip(self.parameters, self.values.detach().split(widths, dim=1), strict=True):
            parameter.data = value.unflatten(1, parameter.shape[1:])

    def differentiate(self, loss: torch.Tensor, most: float) -> None:
        """Each member's gradient of a loss (,), scaled to at most this norm; no member feels another's."""
        parts = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        gradient = self._side_by_side(parts)
        norm = gradient.square().sum(1, keepdim=True).sqrt()  # (M, 1)
        self.values.grad = gradient.mul_((most / (norm + 1e-12)).clamp(max=1.0))

    def move(self, optimizer: torch.optim.Optimizer, share: torch.Tensor) -> None:
        """One step, of which each member takes its share (M,): every optimiser here moves in proportion to its rate."""
        if (share == 1).all():
            optimizer.step()
            return
        before = self.values.detach().clone()
        optimizer.step()
        with torch.no_grad():
            parts = share.to(before)[:, None].expand_as(before)
            self.values.copy_(torch.lerp(before, self.values, parts))  # exactly the new weights at 1

    def _side_by_side(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat([part.reshape(self.members, -1) for part in parts], dim=1)


def _optimizer(weights: nn.Parameter, settings: Training) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD([weights], rate, momentum=settings.momentum, weight_decay=decay)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind([weights], rate, weight_decay=decay, fused=True)
