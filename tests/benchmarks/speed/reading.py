"""A catalog of maps that is larger than the memory it may take: reading alone, and training from it.

Reading: whole blocks of the file in random order, as a training asks for them, beside one raw read from end to end of
the very same file, cached and from a cold cache. All goes through h5py, which copies what it reads: ten alternations on
two busy cores gave 45 to 62 % of a cached raw read for a contiguous dataset, 30 to 44 % in chunks of 64 rows and 14 to
20 % in chunks of one row, whose look-up costs more than their bytes; the marks are the low ends of these, and a cold
disk is slower than either. Training: steps of the default CNN from a feed that streams, beside the same steps from rows
in memory, each in a process of its own; and the peak memory of the whole way there.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch

from cosmoinfer import catalog, memory, split
from cosmoinfer.catalog import ReadOptions
from cosmoinfer.catalog.lazy_array import LazyArray
from cosmoinfer.networks.cnn import CNN
from cosmoinfer.preprocessing.fit import fit_preprocessing
from cosmoinfer.storage import DatasetHandle
from cosmoinfer.training.loaders import DataLoader, make_loader
from cosmoinfer.training.settings import TrainingContext
from tests.benchmarks.speed import memory as memory_of_process
from tests.benchmarks.speed.clock import now, since
from tests.benchmarks.speed.report import Report, Task

PIXELS, BATCH, OUTPUTS = 64, 64, 16
ROW = 4 * PIXELS**2  # bytes
LAYOUTS = {"contiguous": 0, "chunks of 64 rows": 64, "chunks of 1 row": 1}  # rows a chunk
CACHED, COLD = (0.45, 0.30, 0.13), (0.70, None, None)  # of a raw sequential read, at least
GIGABYTES, READ_GIGABYTES = 8.0, 2.0  # of the catalog that is trained on; of those that are only read
MEMORY, PEAK = "1GB", 1500.0  # what the data may take; MB that the process may
RATE = 0.8  # of that in memory
HELD_ROWS = 12_000  # of the catalog in memory
STEPS = 150  # of which each takes BATCH maps: more than a window


def measure(task: Task) -> Report:
    report = Report()
    _read(task, report)
    _train(task, report)
    return report


def _read(task: Task, report: Report) -> None:
    table = report.table("Blocks in random order beside a raw sequential read", ["", "cached", "cold", "mark"])
    for (name, rows), cached_mark, cold_mark in zip(LAYOUTS.items(), CACHED, COLD, strict=True):
        path = task.work / "maps.h5"
        _make(path, 0.05 if task.quick else READ_GIGABYTES, rows)
        shares: dict[str, list[float]] = {"cached": [], "cold": []}
        for _ in range(task.repeats):
            for kind, ratios in shares.items():
                cold = kind == "cold"
                blocks = _timed(path, cold, partial(_in_blocks, path))
                ratios.append(_timed(path, cold, partial(_raw, path)) / blocks)
        path.unlink()
        cached, cold_share = (float(np.median(ratios)) for ratios in shares.values())
        reached = cached >= cached_mark and (cold_mark is None or cold_share >= cold_mark)
        mark = f"at least {cached_mark:.0%}" + (f", cold {cold_mark:.0%}" if cold_mark else "")
        table.rows.append([name, f"{cached:.0%}", f"{cold_share:.0%}", report.mark(f"reading {name}", reached, mark)])
        report.figures[name] = shares


def _train(task: Task, report: Report) -> None:
    path = task.work / "maps.h5"
    _make(path, 0.2 if task.quick else GIGABYTES, 0)
    rates: dict[str, list[float]] = {"streamed": [], "in memory": []}
    peaks = []
    for _ in range(min(task.repeats, 3)):
        for name, values in rates.items():
            result = _elsewhere(path, name, 5 if task.quick else STEPS)
            values.append(result["rate"])
            peaks += [result["peak"]] if name == "streamed" else []
    size = path.stat().st_size / 1e9
    path.unlink()
    title = f"Training a CNN from a catalog of {size:.1f} GB under --memory {MEMORY}"
    table, peak = report.table(title, ["", "found", "mark"]), max(peaks)
    share = float(np.median(rates["streamed"]) / np.median(rates["in memory"]))
    held = report.mark("rate of training", share >= RATE, f"at least {RATE:.0%}")
    table.rows.append(["maps a second by the wall, beside those in memory", f"{share:.0%}", held])
    low = report.mark("peak memory", peak < PEAK, f"below {PEAK:.0f} MB")
    table.rows.append(["peak memory", f"{peak:.0f} MB", low])
    report.figures.update(rates=rates, peaks=peaks)


def _make(path: Path, gigabytes: float, rows_a_chunk: int) -> None:
    """Maps of noise, whose amplitude is the parameter; random numbers repeat every few thousand maps."""
    stream, rows = np.random.default_rng(0), int(gigabytes * 1e9 / ROW)
    noise = stream.standard_normal((2048, PIXELS, PIXELS), dtype=np.float32)
    theta = stream.uniform(0.5, 1.5, (rows, 1))
    with h5py.File(path, "w") as file:
        file["parameters"] = theta
        file["parameters"].attrs.update(names=["a"], low=[0.5], high=[1.5])
        chunks = (rows_a_chunk, PIXELS, PIXELS) if rows_a_chunk else None
        data = file.create_dataset("data", (rows, PIXELS, PIXELS), np.float32, chunks=chunks)
        data.attrs["kind"] = "map"
        for start in range(0, rows, len(noise)):
            signal = theta[start : start + len(noise), :, None].astype(np.float32)
            data[start : start + len(signal)] = noise[: len(signal)] * signal
    with path.open("rb") as written:
        os.fsync(written.fileno())


def _timed(path: Path, cold: bool, read: Callable[[], None]) -> float:
    """Wall seconds, with the file in the cache or not: reading waits for the disk."""
    if cold:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    else:
        _raw(path)
    start = time.perf_counter()
    read()
    return time.perf_counter() - start


def _raw(path: Path) -> None:
    buffer = bytearray(8 << 20)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _in_blocks(path: Path) -> None:
    values = LazyArray((DatasetHandle(path, "data"),))
    blocks = values.group_by_block(np.arange(len(values)))
    for number in np.random.default_rng(0).permutation(len(blocks)):
        values[blocks[number]]


# ------------------------------------------------------------------------------------------- in a process of its own
def _elsewhere(path: Path, name: str, steps: int) -> dict[str, float]:
    command = [sys.executable, "-m", __name__, str(path), name, str(steps)]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        sys.exit(process.stderr)
    return dict(json.loads(process.stdout.splitlines()[-1]))


def _steps(path: Path, name: str, steps: int) -> dict[str, float]:
    """rate: maps a second by the wall; cpu rate: of the processor; peak: MB of this process."""
    torch.set_num_threads(1)
    sims = catalog.read(path, memory=memory.parse_size(MEMORY))
    if name == "in memory":
        sims = sims.in_memory(np.arange(min(HELD_ROWS, len(sims))))
    partitions = split.by_hash(sims.simulation)
    frame = fit_preprocessing(sims, partitions, ReadOptions(), "none")
    rows = partitions.select_rows(sims.simulation, "train")
    context = TrainingContext(torch.device("cpu"), 0, lambda line: None, lambda *_: None)
    targets = [sims.require_parameters()[1][rows]]
    batches = _endless(make_loader(sims, rows, targets, lambda numbers: frame.data(sims, numbers), context))
    network = CNN().build((1, PIXELS, PIXELS), OUTPUTS, [torch.Generator().manual_seed(0)])
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    start = now()
    for number in range(steps + 1):
        theta, maps = next(batches)
        start = start if number else now()  # from the first batch on: windows are read on the way
        optimizer.zero_grad()
        (network(maps) - theta).square().mean().backward()
        optimizer.step()
    seconds = since(start)
    peak = memory_of_process.peak()
    return {"rate": steps * BATCH / seconds.wall, "cpu rate": steps * BATCH / seconds.cpu, "peak": peak}


def _endless(rows: DataLoader) -> Iterator[tuple[torch.Tensor, ...]]:
    epoch = 0
    while True:
        yield from rows.batches(epoch, BATCH, [torch.Generator().manual_seed(epoch)])
        epoch += 1


if __name__ == "__main__":
    print(json.dumps(_steps(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
