"""What of the machine a command takes: threads where nobody said how many, and memory that it has once had."""

import os
import platform
import subprocess
import sys

import pytest

from cosmoinfer import device


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
        ("²", None, 8),
    ],
)
def test_threads_are_those_that_the_surroundings_leave(monkeypatch, openmp, slurm, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    for name, value in (("OMP_NUM_THREADS", openmp), ("SLURM_CPUS_PER_TASK", slurm)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert device.default_threads() == expected


DRAWING = """
import resource
import torch
from cosmoinfer.device import prepare_device
from cosmoinfer.flows.maf import MAF

prepare_device("cpu", threads=1)
flow = MAF(layers=5, hidden=50).build(2, 40, [torch.Generator()])
noise, context, faults = torch.randn(1, 8192, 2), torch.randn(1, 1, 40), []
with torch.no_grad():
    for _ in range(15):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        flow.inverse(noise, context)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(faults[5:])[5])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what is shown is glibc's allocator")
def test_the_memory_of_draws_is_used_for_the_next_and_not_mapped_anew():
    told = subprocess.run([sys.executable, "-c", DRAWING], capture_output=True, check=True)
    assert int(told.stdout) < 50  # pages; some thousands where each batch maps its own
