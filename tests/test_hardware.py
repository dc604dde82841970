"""How many threads a command takes where nobody said: the cores that it may use, or fewer where it was told so."""

import os

import pytest

from cosmoinfer import hardware


@pytest.mark.parametrize(
    ("openmp", "slurm", "expected"),
    [
        (None, None, 8),
        ("3", None, 3),
        (None, "2", 2),
        ("5", "2", 2),
        ("64", None, 8),
        ("", "0", 8),
        ("2,1", None, 2),
        ("many", "x", 8),
    ],
)
def test_threads_are_those_that_the_surroundings_leave(monkeypatch, openmp, slurm, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    for name, value in (("OMP_NUM_THREADS", openmp), ("SLURM_CPUS_PER_TASK", slurm)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert hardware.default_threads() == expected
