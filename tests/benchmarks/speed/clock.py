"""Seconds of the processor and by the wall. What is timed is handed in; on a shared machine only the first compare."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np


class Seconds(NamedTuple):
    cpu: float
    wall: float

    def per(self, count: float) -> "Seconds":
        return Seconds(self.cpu / count, self.wall / count)


def now() -> Seconds:
    return Seconds(time.process_time(), time.perf_counter())


def since(start: Seconds) -> Seconds:
    end = now()
    return Seconds(end.cpu - start.cpu, end.wall - start.wall)


def measured(call: Callable[[], object]) -> Seconds:
    start = now()
    call()
    return since(start)


def alternated(calls: Mapping[str, Callable[[], Seconds]], repeats: int) -> dict[str, list[Seconds]]:
    """Each in turn, so many times: what slows the machine for a while slows them all."""
    times: dict[str, list[Seconds]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(call())
    return times


def median(times: list[Seconds]) -> Seconds:
    cpu, wall = np.median(times, axis=0).tolist()
    return Seconds(cpu, wall)
