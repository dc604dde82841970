"""`cosmoinfer import` of maps beside a copy of the same file, in turn: the rate of each, and the memory of the import.

    python -m tests.benchmarks.importing [--work FOLDER] [--gigabytes 8] [--rounds 3]

Each round copies by `dd bs=16M conv=fsync`, then imports, and the mark is of the medians: other jobs slow down both.
Exits with 1 where the import has less than 70 % of the rate of the copy, or takes 1 GB of memory or more.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

MIN_RATE_FRACTION = 0.7  # of the copy's
MAX_MEMORY = 1 << 30  # bytes, resident
SIDE, BLOCK = 256, 64  # pixels of a map; maps that are written at once
MARGIN = 1 << 30  # bytes of the disk that stay free


def write_maps(folder: Path, size: int) -> Path:
    """Maps (N, 256, 256) in single precision of about so many bytes, and the parameters of each."""
    generator = np.random.default_rng(0)
    block = generator.normal(size=(BLOCK, SIDE, SIDE)).astype(np.float32)
    count = BLOCK * max(1, round(size / block.nbytes))
    with (folder / "maps.npy").open("wb") as file:  # not mapped, which a process that is started would be charged with
        header = {"descr": "<f4", "fortran_order": False, "shape": (count, SIDE, SIDE)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, count, BLOCK):
            file.write((block + np.float32(start)).data)
    np.savetxt(folder / "params.txt", generator.random((count, 2)))
    return folder / "maps.npy"


def seconds_of(command: list[str], output: Path) -> float:
    """Of a command, whose output is removed afterwards."""
    os.sync()
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    elapsed = time.perf_counter() - start
    output.unlink()
    return elapsed


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--gigabytes", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    size = int(options.gigabytes * 1e9)
    if shutil.disk_usage(options.work).free < 2 * size + MARGIN:
        parser.error(f"{options.work} has no room for maps and a copy of them")
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        folder = Path(name)
        maps, copy, catalog = write_maps(folder, size), folder / "copy", folder / "sims.h5"
        copying = ["dd", f"if={maps}", f"of={copy}", "bs=16M", "conv=fsync"]
        importing = [sys.executable, "-m", "cosmoinfer", "import", str(maps), "-o", str(catalog)]
        importing += ["--parameters", str(folder / "params.txt"), "--names", "Omega_m,sigma_8"]
        rates: dict[str, list[float]] = {"dd": [], "import": []}
        megabytes = maps.stat().st_size / 1e6
        for _ in range(options.rounds):
            rates["dd"].append(megabytes / seconds_of(copying, copy))
            rates["import"].append(megabytes / seconds_of(importing, catalog))
            print(f"dd {rates['dd'][-1]:6.0f} MB/s, import {rates['import'][-1]:6.0f} MB/s", flush=True)
    fraction = median(rates["import"]) / median(rates["dd"])
    memory = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # the largest of all children: the import
    print(f"{options.gigabytes:g} GB: {100 * fraction:.0f} % of dd (mark {100 * MIN_RATE_FRACTION:.0f} %), ", end="")
    print(f"{memory / 1e6:.0f} MB of memory (mark below {MAX_MEMORY / 1e6:.0f})")
    return int(fraction < MIN_RATE_FRACTION or memory >= MAX_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
