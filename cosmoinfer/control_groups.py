"""What the control groups of this process allow it (cgroups(7), version 1 and 2): the least of each and its parents."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")  # lines "number:controllers:path", version 2 without controllers


def memory_limit() -> int | None:
    """In bytes; None without one."""
    texts = [*_values("", "memory.max"), *_values("memory", "memory.limit_in_bytes")]
    return min((int(text) for text in texts if text.isdecimal()), default=None)


def cpu_limit() -> int | None:
    """Cores whose time the process may use, one at least; None without a limit."""
    pairs = [text.split() for text in _values("", "cpu.max")]
    pairs += map(list, zip(_values("cpu", "cpu.cfs_quota_us"), _values("cpu", "cpu.cfs_period_us"), strict=False))
    cores = [int(pair[0]) / int(pair[1]) for pair in pairs if len(pair) == 2 and all(map(str.isdecimal, pair))]
    return max(1, int(min(cores))) if cores else None


def _values(controller: str, name: str) -> Iterator[str]:
    """The text of a file in the group of a controller and in each above it. controller: empty for version 2."""
    for folder in _groups(controller):
        try:
            yield (folder / name).read_text().strip()
        except OSError:
            continue


def _groups(controller: str) -> Iterator[Path]:
    """Folders from the root down; the root alone where the process sees no more, as in a container."""
    base = ROOT / controller
    yield base
    try:
        lines = [line.split(":", 2) for line in MEMBERSHIP.read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controller in controllers.split(","):
            folder = base
            for name in Path(path.lstrip("/")).parts:
                folder = folder / name
                yield folder
