"""How long to train and how many members, where nobody said, by the number of rows and the shape of the data."""

from collections.abc import Sequence

from cosmoinfer.training import Training

Shapes = Sequence[tuple[int, ...]]  # of one row, one a summary


def default_training(rows: int, shapes: Shapes) -> Training:
    """So many steps, fewer for a CNN; batches of 100 rows, of 256 from 3,000 rows on."""
    batch, steps = (100, 2100) if rows < 3000 else (256, 5000)
    if not are_vectors(shapes):
        steps = 280 if rows < 3000 else 2000  # 700 maps: best near the 250th step; in a longer schedule far worse
    return Training(epochs=min(300, max(20, round(steps * batch / rows))), batch_size=batch)


def are_vectors(shapes: Shapes) -> bool:
    return all(len(shape) == 1 for shape in shapes)


def default_members(shapes: Shapes) -> int:
    return 5 if are_vectors(shapes) else 2
