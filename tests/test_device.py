"""The device: default number of threads, settings that are refused, and reuse of freed memory."""

import os
import platform
import re
import subprocess
import sys

import pytest
import torch
from threadpoolctl import threadpool_info

from cosmoinfer import device
from cosmoinfer.errors import UserError


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
@pytest.mark.parametrize("variable", ["SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"])
def test_default_threads_are_limited_by_affinity_openmp_and_slurm(monkeypatch, openmp, slurm, expected, variable):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    for name in device.LIMITING_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in (("OMP_NUM_THREADS", openmp), (variable, slurm)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert device.default_threads() == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threads": 0}, "threads: expected 1 to 1024, found 0"),
        ({"device": "tpu"}, "device: 'tpu' is not known; there are auto, cpu, cuda, mps; did you mean cpu?"),
        ({"device": "cuda"}, "device=cuda: not available to torch on this machine; `device=cpu` always works"),
    ],
)
def test_a_device_that_is_not_available_is_refused(monkeypatch, settings, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    threads = torch.get_num_threads()
    try:
        with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
            device.prepare_device(**settings)
    finally:
        torch.set_num_threads(threads)


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
def test_freed_memory_is_reused_by_the_next_batch_of_draws():
    printed = subprocess.run([sys.executable, "-c", DRAWING], capture_output=True, check=True)
    assert int(printed.stdout) < 50  # pages; some thousands where each batch maps its own


@pytest.mark.parametrize("threads", [2, 1])
def test_linear_algebra_has_as_many_threads(threads):
    """Of numpy and scipy: their sums round by it, whatever OMP_NUM_THREADS says."""
    try:
        device.prepare_device("cpu", threads)
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        assert pools and {pool["num_threads"] for pool in pools} == {threads}
    finally:
        device.prepare_device("cpu", 1)
