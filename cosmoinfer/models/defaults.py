"""How long to train and how many members, where nobody said, by the number of rows and the shape of the data."""

from collections.abc import Sequence
from typing import Any

from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.mlp import MLP
from cosmoinfer.training.settings import TrainingSettings

FEW_TRAINING_ROWS = 1000  # below, networks need dropout
MANY_TRAINING_ROWS = 3000  # from here on, larger networks and longer trainings pay
Shapes = Sequence[tuple[int, ...]]  # of one row, one a summary


def default_training(rows: int, shapes: Shapes) -> TrainingSettings:
    """Vectors: 2,100 steps of 100 rows, 5,000 of 256 from 3,000 rows on. With a CNN fewer, by the number of rows.

    Measured: tests/benchmarks/DEFAULTS.md.
    """
    if are_vectors(shapes):
        batch, n_steps, rate, min_epochs = (100, 2100, 1e-3, 20) if rows < MANY_TRAINING_ROWS else (256, 5000, 1e-3, 20)
    else:
        batch, n_steps, rate, min_epochs = (100, 1050, 1e-3, 20) if rows < FEW_TRAINING_ROWS else (100, 700, 2e-3, 8)
        if rows >= MANY_TRAINING_ROWS:
            batch, n_steps, rate, min_epochs = 64, 2000, 3e-3, 4
    epochs = min(300, max(min_epochs, round(n_steps * batch / rows)))
    return TrainingSettings(epochs=epochs, batch_size=batch, learning_rate=rate)


def are_vectors(shapes: Shapes) -> bool:
    return all(len(shape) == 1 for shape in shapes)


def default_network(shape: tuple[int, ...]) -> tuple[str, Any]:
    """An MLP for a vector, a CNN for what has axes, by name and settings."""
    if len(shape) == 1:
        return "mlp", MLP(hidden=128, layers=2)
    return "cnn", CNN(hidden=8)


def default_members(shapes: Shapes) -> int:
    return 5 if are_vectors(shapes) else 2
