"""Threads, device and determinism: the only place that touches torch's global state."""

import os

import torch

from cosmoinfer.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")
LARGEST_REUSED = 31 << 20  # bytes; from 32 MB on glibc maps each block anew


def prepare_device(device: str = "auto", threads: int | None = None) -> torch.device:
    """Set the threads once for this process and pick the device; ``auto`` is CUDA where there is one, else the CPU."""
    if threads is not None and threads < 1:
        raise UserError(f"expected at least 1, found {threads}", setting="threads")
    torch.set_num_threads(threads or default_threads())
    _keep_freed_memory()
    if device not in DEVICES:
        raise UserError(f"{device!r} is not known; there are {', '.join(DEVICES)}", setting="device")
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return torch.device("cuda" if there["cuda"] else "cpu")
    if not there[device]:
        raise UserError(
            "this machine has none that torch can use; `device=cpu` works anywhere", setting="device", value=device
        )
    return torch.device(device)


def device_settings(device: torch.device) -> dict[str, str | int]:
    """What of the hardware affects the numbers: results are the same bytes on one device with as many threads."""
    return {"device": device.type, "threads": torch.get_num_threads()}


def default_threads() -> int:
    """The cores that this process may use, a batch job's share and not the whole node's; fewer where it was told so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = (os.environ.get(name, "").split(",")[0] for name in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"))
    return min([cores, *(int(one) for one in told if one.isdecimal() and int(one) > 0)])


def _keep_freed_memory() -> None:
    """Let the process reuse what it freed: mapped anew, the memory of each batch of draws is a quarter of their time.

    Once a block of this size has been freed, glibc takes all smaller ones from its heap, and gives back no less than
    twice as much of it (mallopt(3), M_MMAP_THRESHOLD). With another allocator it does nothing.
    """
    torch.empty(LARGEST_REUSED, dtype=torch.uint8)
