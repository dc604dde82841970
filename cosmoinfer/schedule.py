"""How the learning rate moves over a training: factors of the peak rate, by name."""

import math
from collections.abc import Callable

WARMUP = 50  # steps of linear rise, or a tenth of a short training


def constant(done: float) -> float:
    """1 throughout."""
    return 1.0


def cosine(done: float) -> float:
    """Half a cosine down to zero (Loshchilov & Hutter, arXiv:1608.03983, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * done))


SCHEDULES: dict[str, Callable[[float], float]] = {"constant": constant, "cosine": cosine}


def factor(name: str, step: int, steps: int) -> float:
    """The factor for a step of ``steps``: a short linear rise, then the named curve of the share that is done."""
    warmup = min(WARMUP, max(1, steps // 10))
    return min(1.0, (step + 1) / warmup) * SCHEDULES[name](step / max(1, steps))
