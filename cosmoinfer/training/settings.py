"""How a training descends: optimiser, learning rate, epochs, patience."""

from dataclasses import dataclass

from cosmoinfer.errors import UserError, list_choices
from cosmoinfer.training import learning_rate as schedule

OPTIMIZERS = ("adamw", "adam", "sgd")


@dataclass(frozen=True)
class TrainingSettings:
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
    clip_norm: float = 5.0
    warm_up: int = 0
    compile: bool = False
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise UserError(f"expected at least 1, found {getattr(self, name)}", setting=name)
        if not 0 <= self.warm_up < self.epochs:
            raise UserError(
                f"expected 0 to {self.epochs - 1}, less than `epochs`, found {self.warm_up}", setting="warm_up"
            )
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise UserError(f"expected more than 0, found {getattr(self, name):g}", setting=name)
        if self.weight_decay < 0 or not 0 <= self.momentum < 1:
            raise UserError("expected 0 or more, and for `momentum` a number in [0, 1)", setting="weight_decay")
        if self.optimizer not in OPTIMIZERS:
            raise UserError(
                f"{self.optimizer!r} is not known; {list_choices(self.optimizer, OPTIMIZERS)}", setting="optimizer"
            )
        if self.schedule not in schedule.SCHEDULES:
            raise UserError(
                f"{self.schedule!r} is not known; {list_choices(self.schedule, schedule.SCHEDULES)}", setting="schedule"
            )
