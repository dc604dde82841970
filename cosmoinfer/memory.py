"""How much memory a process may take: what was asked for, else a share of what the machine and its batch job leave."""

import os
import re
from pathlib import Path

from cosmoinfer.errors import UserError

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
UNITS |= {f"{one}i": 1024**power for power, one in enumerate("kmgt", start=1)}
LEAST = 100 * 10**6  # bytes: below, blocks would be too small to be shuffled
SHARE = 0.5  # of the memory that is there, where nobody said how much
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def parse(text: str) -> int:
    """``2GB``, ``500M``: bytes, in powers of 1000; ``2GiB``: of 1024."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", text.lower())
    if not match or match[2] not in UNITS:
        raise UserError(f"--memory: {text!r} is not understood; expected 2GB or 500MB")
    found = int(float(match[1]) * UNITS[match[2]])
    if found < LEAST:
        raise UserError(f"--memory: expected at least {LEAST // 10**6}MB, found {text}")
    return found


def budget() -> int:
    """Half of the machine's memory, or of what its control group or SLURM job may use, in bytes."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in map(Path, _LIMITS):
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            found.append(int(text))
    for asked, times in (("SLURM_MEM_PER_NODE", 1), ("SLURM_MEM_PER_CPU", _number("SLURM_CPUS_ON_NODE") or 1)):
        if megabytes := _number(asked):  # 0 is all of the node
            found.append(times * megabytes << 20)
    return int(SHARE * min(found))


def _number(variable: str) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdigit() else 0
