"""Threads, device and determinism: the only place that touches the global state of torch and of linear algebra."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

from cosmoinfer import control_groups
from cosmoinfer.errors import UserError, list_choices
from cosmoinfer.settings import Limits

DEVICES = ("auto", "cpu", "cuda", "mps")
THREADS = Limits(minimum=1, maximum=1024)  # some ten thousand stacks end the process, without a word
LIMITING_VARIABLES = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")
MAX_REUSED_BYTES = 31 << 20  # from 32 MB on glibc maps each block anew


def prepare_device(device: str = "auto", threads: int | None = None) -> torch.device:
    """Set the threads of this process and pick the device; ``auto`` is CUDA where there is one, else the CPU.

    threads: as THREADS allows; by default, `default_threads`.

    Raises UserError for a number of threads that is not allowed, and for a device that is unknown or not available.
    """
    THREADS.check("threads", threads)
    torch.set_num_threads(threads or default_threads())
    threadpool_limits(torch.get_num_threads(), user_api="blas")  # of numpy and scipy, whose sums round by it
    _keep_freed_memory()
    if device not in DEVICES:
        raise UserError(f"{device!r} is not known; {list_choices(device, DEVICES)}", setting="device")
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return torch.device("cuda" if available["cuda"] else "cpu")
    if not available[device]:
        raise UserError(
            "not available to torch on this machine; `device=cpu` always works", setting="device", value=device
        )
    return torch.device(device)


def device_settings(device: torch.device) -> dict[str, str | int]:
    """The settings of the hardware that affect results, which are the same bytes on one device with as many threads.

    Keys: ``device``, ``threads``.
    """
    return {"device": device.type, "threads": torch.get_num_threads()}


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """So many threads of torch inside; afterwards as many as before. It starts none: it is safe after a fork."""
    before = torch.get_num_threads()
    if threads == before:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def default_threads() -> int:
    """The cores that this process may use: its affinity and control groups, or fewer by one of LIMITING_VARIABLES."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = (os.environ.get(name, "").split(",")[0] for name in LIMITING_VARIABLES)
    allowed = control_groups.cpu_limit() or cores
    return min([cores, allowed, *(int(limit) for limit in limits if limit.isdecimal() and int(limit) > 0)])


def _keep_freed_memory() -> None:
    """Let the process reuse freed memory: mapping it anew for each batch of draws takes a quarter of their time.

    Once a block of this size has been freed, glibc takes all smaller ones from its heap, and gives back no less than
    twice as much of it (mallopt(3), M_MMAP_THRESHOLD). Other allocators are not affected.
    """
    torch.empty(MAX_REUSED_BYTES, dtype=torch.uint8)
