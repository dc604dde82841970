"""Catalogs of small maps in files: of several layouts, and cut into several files.

HDF5 1.10 writes structures with checksums: their text needs no process that tries to read it first.
"""

from pathlib import Path

import h5py
import numpy as np

ROWS = 230
LAYOUTS = {"contiguous": {}, "chunks of 7": {"chunks": (7, 6, 6)}, "gzip": {"chunks": (1, 6, 6), "compression": "gzip"}}
TINY = ["--epochs", "2", "--ensemble", "2", "--batch-size", "20", "--threads", "1", "--hidden", "4"]


def write_maps(path: Path, rows: int = ROWS, seed: int = 0, **layout: object) -> Path:
    """Of two parameters, two rows a simulation."""
    stream = np.random.default_rng(seed)
    theta = np.repeat(stream.uniform(size=(rows // 2, 2)), 2, axis=0)
    with h5py.File(path, "w", libver="v110") as file:
        file["parameters"] = theta
        file["parameters"].attrs.update(names=["a", "b"], low=[0.0, 0.0], high=[1.0, 1.0])
        data = theta[:, :1, None] + theta[:, 1:, None] * stream.standard_normal((rows, 6, 6))
        file.create_dataset("data", data=data.astype(np.float32), **layout)
        file["data"].attrs["kind"] = "map"
        file["simulation"] = np.arange(rows) // 2 + 1000 * seed
    return path


def cut_into_files(path: Path, ends: list[int]) -> Path:
    """The same rows in several files; the pattern that stands for them."""
    folder = path.with_suffix("")
    folder.mkdir()
    with h5py.File(path) as source:
        for number, (start, stop) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            with h5py.File(folder / f"{number:02}.h5", "w", libver="v110") as target:
                for name in ("parameters", "data", "simulation"):
                    target[name] = source[name][start:stop]
                    target[name].attrs.update(source[name].attrs)
    return folder / "*.h5"
