"""The one training loop. It knows no architecture: it is handed a network, a loss and rows.

The network carries M members side by side; each has its own order of the rows, its own early stopping and its own
best weights, and ends as if it had trained alone.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.networks.members import expand_members
from cosmoinfer.training import learning_rate as schedule
from cosmoinfer.training.context import Listener, Rows
from cosmoinfer.training.history import History
from cosmoinfer.training.hooks import Hooks
from cosmoinfer.training.loaders import DataLoader, InMemoryLoader
from cosmoinfer.training.loss import Loss, Terms
from cosmoinfer.training.member_weights import MemberWeights, make_optimizer
from cosmoinfer.training.settings import TrainingSettings

MAX_ROWS_PER_CHUNK = 2048  # a member, that are evaluated


NO_HOOKS = Hooks()
MAX_NUMBERS_PER_CHUNK = 1 << 21  # of the data of all members: a CNN makes some tens of each


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
) -> History:
    """Train all members and leave each with its best weights on the validation rows.

    score: what judges the validation rows, if not the loss, in the warm-up too. generators: one a member, for the
    order of its rows. Raises UserError when a loss is no longer finite.
    """
    if settings.warm_up and hooks.warm_loss is None:
        raise UserError("this loss has no gentler one to begin with", setting="warm_up", value=settings.warm_up)
    members, batch_size = len(generators), min(settings.batch_size, len(train_rows))
    steps_per_epoch = len(train_rows) // batch_size
    steps = settings.epochs * steps_per_epoch
    objective = replace(loss, terms=compile_terms(loss.terms)) if settings.compile else loss
    weights = MemberWeights(network, members)
    optimizer = make_optimizer(weights.values, settings)
    best = {name: value.clone() for name, value in network.state_dict().items()}
    best_loss, best_epoch = torch.full((members,), torch.inf), torch.zeros(members, dtype=torch.long)
    last_reduction = torch.full((members,), settings.warm_up - 1)  # the epoch from whose end a plateau is counted
    lr_scale = torch.ones(members)  # of the rate, each member's own; less than 1 after a plateau
    active = torch.ones(members, dtype=torch.bool)
    curves: list[tuple[np.ndarray, np.ndarray, float]] = []
    for epoch in range(settings.epochs):
        network.train()
        epoch_loss = hooks.warm_loss if hooks.warm_loss and epoch < settings.warm_up else objective
        rows = InMemoryLoader(hooks.fresh_rows(epoch)) if hooks.fresh_rows else train_rows
        running_loss = torch.zeros(members, device=weights.values.device)
        for step, batch_rows in enumerate(rows.batches(epoch, batch_size, generators)):
            learning_rate = settings.learning_rate * schedule.factor(
                settings.schedule, epoch * steps_per_epoch + step, steps
            )
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            batch_rows = hooks.augment(batch_rows, hooks.streams) if hooks.augment else batch_rows
            losses = epoch_loss.reduce(epoch_loss.terms(network, batch_rows))
            weights.set_gradient(losses.sum(), settings.clip_norm)
            weights.step(optimizer, lr_scale)
            running_loss += losses.detach()
        training_loss, validation_loss = (
            (running_loss / steps_per_epoch).cpu(),
            evaluate(network, score or loss, validation_rows, members).cpu(),
        )
        if not torch.isfinite(training_loss[active]).all() or not torch.isfinite(validation_loss[active]).all():
            raise UserError(
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
            stagnant = epoch - torch.maximum(best_epoch, last_reduction) >= schedule.PLATEAU_EPOCHS
            last_reduction = torch.where(stagnant, epoch, last_reduction)
            lr_scale = torch.where(stagnant, lr_scale * schedule.PLATEAU_FACTOR, lr_scale)
        active &= epoch - best_epoch.clamp(min=settings.warm_up - 1) < settings.patience
        if not active.any():
            break
    network.load_state_dict(best)
    network.eval()
    train_curve, validation_curve, rates = zip(*curves, strict=True)
    return History(np.stack(train_curve), np.stack(validation_curve), np.array(rates), best_epoch.numpy())


@torch.no_grad()
def evaluate(network: nn.Module, loss: Loss, rows: DataLoader, members: int) -> torch.Tensor:
    """The loss of each member over all rows, (M,), dropout off, in chunks of bounded size."""
    network.eval()
    terms, chunk_rows = [], MAX_NUMBERS_PER_CHUNK // (members * max(1, rows.numbers_per_row))
    for chunk in rows.chunks(min(MAX_ROWS_PER_CHUNK, max(1, chunk_rows))):
        terms.append(loss.terms(network, tuple(expand_members(field, members) for field in chunk)))
    return loss.reduce(torch.cat(terms, dim=1))


def compile_terms(terms: Terms) -> Terms:
    """The same terms, compiled by torch into one kernel or few at the first call, which takes minutes.

    Raises UserError, when the compiled terms are called, if torch cannot compile them.
    """
    run = torch.compile(terms, dynamic=False)

    def compiled_terms(network: nn.Module, batch: Rows) -> torch.Tensor:
        try:
            return run(network, batch)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"torch could not compile this training ({reason}); leave it out", setting="compile"
            ) from error

    return compiled_terms
