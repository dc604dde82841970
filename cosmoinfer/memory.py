"""How much memory a process may take, and work on many rows a bounded number at a time, so that it fits into memory.

As much as was asked for, else a fraction of what the machine and its batch job leave.
"""

import os
import re
from collections.abc import Iterator

import numpy as np

from cosmoinfer import control_groups
from cosmoinfer.errors import UserError
from cosmoinfer.numerals import finite_number

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
UNITS |= {f"{prefix}i": 1024**power for power, prefix in enumerate("kmgt", start=1)}
MIN_MEMORY_BYTES = 100 * 10**6  # bytes: below, blocks would be too small to be shuffled
MAX_MEMORY_BYTES = 10**14
MEMORY_FRACTION = 0.5  # of the memory available, by default


def parse_size(text: str) -> int:
    """Bytes of ``2GB`` or ``500M`` (powers of 1000) or ``2GiB`` (of 1024). Raises UserError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", text.lower())
    if not match or match[2] not in UNITS:
        raise UserError(f"{text!r} is not understood; expected 2GB or 500MB", "memory")
    number = finite_number(match[1])
    if number is None or number * UNITS[match[2]] > MAX_MEMORY_BYTES:
        raise UserError(f"expected at most {MAX_MEMORY_BYTES // 10**12}TB, found {text}", "memory")
    size = int(number * UNITS[match[2]])
    if size < MIN_MEMORY_BYTES:
        raise UserError(f"expected at least {MIN_MEMORY_BYTES // 10**6}MB, found {text}", "memory")
    return size


def format_size(size: int) -> str:
    """'2.5GB' of 2500000000, '7kB' of 7000: the inverse of ``parse_size``, to three digits."""
    unit = next((unit for unit in "TGMk" if size >= 0.9995 * UNITS[unit.lower()]), "")
    return f"{size / UNITS[unit.lower()]:.3g}{unit}B"


def check_memory(numbers: int, content: str, setting: str = "") -> None:
    """Raises UserError, which names the setting, where so many numbers of 8 bytes take more than there is.

    content: what they are, in words. Asked before memory is: of what a system promises it may kill a process later.
    """
    if (size := 8 * numbers) > (limit := available_bytes()):
        amount = format_size(min(size, MAX_MEMORY_BYTES)) + " or more" * (size > MAX_MEMORY_BYTES)
        raise UserError(f"{content} would take {amount} of memory, of {format_size(limit)} that there are", setting)


def available_bytes() -> int:
    """Half of the machine's memory, or of what its control group or SLURM job may use, in bytes."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    if (limit := control_groups.memory_limit()) is not None:
        limits.append(limit)
    cpus = _environment_integer("SLURM_CPUS_ON_NODE") or 1
    for variable, times in (("SLURM_MEM_PER_NODE", 1), ("SLURM_MEM_PER_CPU", cpus)):
        if megabytes := _environment_integer(variable):  # 0 is all of the node
            limits.append(times * megabytes << 20)
    return int(MEMORY_FRACTION * min(limits))


def _environment_integer(variable: str) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdigit() else 0


def slices(count: int, size: int, *, keep_empty: bool = False) -> Iterator[slice]:
    """Consecutive slices of ``range(count)``, of ``size`` items each but for the last, which may be shorter.

    ``size`` below 1 counts as 1, so that it may come from dividing a memory limit by what an item takes.
    keep_empty: no items give one empty slice instead of none, where the results are concatenated afterwards and an
    empty result of the right shape is wanted.
    """
    size = max(1, size)
    for start in range(0, max(1, count) if keep_empty else count, size):
        yield slice(start, min(start + size, count))


def filled_blocks(rows: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Consecutive blocks of rows (n,), and how many of a block count: each (size,), the last filled up by repetition.

    A product of matrices rounds by how many rows it has: in blocks of one shape, what is computed of a row does not
    depend on which other rows there are. No rows give one block of which none counts.
    """
    for block in slices(len(rows), size, keep_empty=True):
        yield np.resize(rows[block], size), block.stop - block.start
