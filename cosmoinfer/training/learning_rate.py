"""How the learning rate moves over a training: factors of the peak rate, by name.

All but plateau depend on the step alone. Plateau also depends on the validation loss: the training loop lowers the
rate of a member by ``PLATEAU_FACTOR`` after ``PLATEAU_EPOCHS`` epochs without a better one.
"""

import math
from collections.abc import Callable

WARMUP = 50  # steps of linear rise, or a tenth of a short training
CYCLE = 1000  # steps of one cycle, or the whole of a shorter training
PLATEAU_EPOCHS = 10
PLATEAU_FACTOR = 0.3

Schedule = Callable[[int, int], float]  # step, steps -> factor


def constant(step: int, steps: int) -> float:
    """1 after a short linear rise."""
    return min(1.0, (step + 1) / min(WARMUP, max(1, steps // 10)))


def cosine(step: int, steps: int) -> float:
    """After the rise half a cosine down to zero (Loshchilov & Hutter, arXiv:1608.03983, without restarts)."""
    return constant(step, steps) * 0.5 * (1 + math.cos(math.pi * step / steps))


def cyclic(step: int, steps: int) -> float:
    """From zero linearly up to 1 and linearly down again, 500 steps each, over and over.

    The triangles of Smith (arXiv:1506.01186), as the CAMELS Multifield Dataset trains with them (arXiv:2109.10915).
    """
    cycle = min(CYCLE, steps)
    return 1 - abs(2 * (step % cycle + 0.5) / cycle - 1)


SCHEDULES: dict[str, Schedule] = {"constant": constant, "cosine": cosine, "cyclic": cyclic, "plateau": constant}


def factor(name: str, step: int, steps: int) -> float:
    """The factor for step 0, 1, ... of ``steps``, in (0, 1]."""
    return SCHEDULES[name](step, steps)
