"""Where a training stands between two steps: all that what follows depends on, beside its rows, settings and seed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from cosmoinfer.storage import JSONObject
from cosmoinfer.training.checkpoints import Arrays
from cosmoinfer.training.optimizer import MemberWeights, make_optimizer
from cosmoinfer.training.settings import PLATEAU_EPOCHS, PLATEAU_FACTOR, TrainingSettings

PROGRESS = ("epoch", "step", "best_loss", "best_epoch", "last_reduction", "lr_scale", "active", "running_loss")
EARLY_FRACTION = 0.1  # of the epochs: a network whose best epoch lies before has learned the noise of its rows
CURVES = ("train", "validation", "learning_rate")


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

    @property
    def best_epochs(self) -> str:
        """``7``, ``7 to 12``: the epochs that are kept, from 1 on."""
        first, last = int(self.best.min()) + 1, int(self.best.max()) + 1
        return str(first) if first == last else f"{first} to {last}"

    def describe_best(self) -> str:
        """Which epochs are kept, and what it means where they are the last one or among the first."""
        epochs, first, last = len(self.train), int(self.best.min()) + 1, int(self.best.max()) + 1
        numbers = f"best epoch{'s' if first < last else ''} {self.best_epochs} of {epochs}"
        if first == epochs > 1:
            return f"{numbers}, the last: the validation loss was still falling, more `epochs` may gain"
        if last <= EARLY_FRACTION * epochs:
            return f"{numbers}: it overfits from then on; a smaller or more regularised network may gain"
        return numbers

    def to_json(self) -> JSONObject:
        """How many epochs there were, and of each member the best one, from 1 on, and its validation loss."""
        best = [int(epoch) + 1 for epoch in self.best]
        losses = [loss if np.isfinite(loss) else None for loss in self.best_validation.tolist()]
        return {"epochs": len(self.train), "best_epochs": best, "validation_loss": losses}

    def select(self, members: slice) -> "History":
        """That of some of the members."""
        return History(self.train[:, members], self.validation[:, members], self.learning_rate, self.best[members])


class TrainingState:
    """Of M members side by side.

    weights: of the network, whose parameters are views of them. best: the weights of each member after its best epoch.
    epoch, step: the next ones. best_loss, best_epoch: (M,). last_reduction: (M,), the epoch from whose end a plateau is
    counted. lr_scale: (M,), of the rate, less than 1 after a plateau. active: (M,), which still train. running_loss:
    (M,), the sum over the steps of this epoch. curves: of the epochs so far, by name.
    """

    def __init__(self, network: nn.Module, settings: TrainingSettings, members: int) -> None:
        self.network, self.settings = network, settings
        self.weights = MemberWeights(network, members)
        self.optimizer = make_optimizer(self.weights.values, settings)
        self.best = {name: value.clone() for name, value in network.state_dict().items()}
        self.epoch, self.step = 0, 0
        self.best_loss, self.best_epoch = torch.full((members,), torch.inf), torch.zeros(members, dtype=torch.long)
        self.last_reduction = torch.full((members,), settings.warm_up - 1)
        self.lr_scale, self.active = torch.ones(members), torch.ones(members, dtype=torch.bool)
        self.running_loss = torch.zeros(members, device=self.weights.values.device)
        self.curves: dict[str, list[np.ndarray]] = {name: [] for name in CURVES}

    @property
    def is_finished(self) -> bool:
        """Whether no epoch is left, or no member trains any more."""
        return self.epoch >= self.settings.epochs or not bool(self.active.any())

    def finish_epoch(self, train: torch.Tensor, validation: torch.Tensor, learning_rate: float) -> None:
        """train, validation: (M,) losses of the epoch. Decides of each member what is kept, and whether it goes on."""
        epoch, settings = self.epoch, self.settings
        improved = self.active & (validation < self.best_loss)
        self.best_loss = torch.where(improved, validation, self.best_loss)
        self.best_epoch = torch.where(improved, epoch, self.best_epoch)
        for name, value in self.network.state_dict().items():
            self.best[name][improved.to(value.device)] = value[improved.to(value.device)]
        mean_rate = np.array(learning_rate * float(self.lr_scale[self.active].mean()))
        for name, value in zip(CURVES, (train.numpy(), validation.numpy(), mean_rate), strict=True):
            self.curves[name].append(value)
        if settings.schedule == "plateau":
            stagnant = epoch - torch.maximum(self.best_epoch, self.last_reduction) >= PLATEAU_EPOCHS
            self.last_reduction = torch.where(stagnant, epoch, self.last_reduction)
            self.lr_scale = torch.where(stagnant, self.lr_scale * PLATEAU_FACTOR, self.lr_scale)
        self.active &= epoch - self.best_epoch.clamp(min=settings.warm_up - 1) < settings.patience
        self.epoch, self.step, self.running_loss = epoch + 1, 0, torch.zeros_like(self.running_loss)

    def history(self) -> History:
        """What was seen so far."""
        curves = {name: np.stack(values) for name, values in self.curves.items()}
        return History(**curves, best=self.best_epoch.numpy())

    def digest(self) -> str:
        """Of where it stands: of its weights and its next step."""
        weights = hashlib.sha256(self.weights.values.cpu().numpy().tobytes()).hexdigest()
        return f"{weights} {self.epoch} {self.step}"

    def arrays(self) -> Arrays:
        """Its numbers by name, as a checkpoint keeps them."""
        tensors = {f"weights/{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"best_weights/{name}": value for name, value in self.best.items()}
        tensors |= {f"optimizer/{name}": value for name, value in self.optimizer.moments.items()}
        progress = {f"progress/{name}": torch.as_tensor(getattr(self, name)) for name in PROGRESS}
        members = len(self.active)
        empty = {"train": np.zeros((0, members), np.float32), "learning_rate": np.zeros(0)}
        empty["validation"] = empty["train"]
        curves = {name: np.stack(values) if values else empty[name] for name, values in self.curves.items()}
        return {name: value.detach().cpu().numpy().copy() for name, value in (tensors | progress).items()} | {
            f"history/{name}": values for name, values in curves.items()
        }

    def restore(self, arrays: Arrays) -> bool:
        """Take the numbers that ``arrays`` gave of a training like this one; whether they are of one."""
        if not self._fits(arrays):
            return False
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
        self.network.load_state_dict(_under("weights/", tensors))  # in place: the parameters are views
        for values, prefix in ((self.best, "best_weights/"), (self.optimizer.moments, "optimizer/")):
            for name, value in _under(prefix, tensors).items():
                values[name].copy_(value)
        for name, value in _under("progress/", tensors).items():
            untrained = getattr(self, name)
            setattr(self, name, int(value) if isinstance(untrained, int) else value.to(untrained.device))
        for name in CURVES:
            self.curves[name] = list(arrays[f"history/{name}"])
        return True

    def _fits(self, arrays: Arrays) -> bool:
        """Whether names, shapes and types are those of this training, and epochs and curves go together."""
        layouts = [_layout(arrays), _layout(self.arrays())]
        if layouts[0] != layouts[1]:
            return False
        epoch, step, best = (arrays[f"progress/{name}"] for name in ("epoch", "step", "best_epoch"))
        lengths = {len(arrays[f"history/{name}"]) for name in CURVES}
        return bool(lengths == {int(epoch)} and step >= 0 and ((best >= 0) & (best < max(1, epoch))).all())


def _layout(arrays: Arrays) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shapes and kinds of type, without the number of epochs."""
    epochs = {name for name in arrays if name.startswith("history/")}
    return {name: (value.shape[name in epochs :], value.dtype.kind) for name, value in arrays.items()}


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
