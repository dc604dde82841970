"""Damaged files of other tools at which the HDF5 library crashes, or never ends."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from cosmoinfer import storage
from cosmoinfer.errors import DamageError, UserError
from cosmoinfer.storage import probe

IDS = [f"LH_{number}" for number in range(200)]
READ = """
import sys
from pathlib import Path
from cosmoinfer import errors, storage
for path in map(Path, sys.argv[1:]):
    try:
        storage.file_attributes(path)
        for name, info in storage.describe_datasets(path).items():
            if not info.problem:
                storage.load(path, name)
    except errors.UserError as error:
        assert len(str(error).splitlines()) == 1, error
"""


def write(path, text, libver=None):
    """A split by another tool."""
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("simulation", data=IDS, dtype=text)
        file["partition"] = np.zeros(len(IDS), "u1")
        file["partition"].attrs["names"] = np.array(["train", "test"], dtype=text)
    return path


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """The bytes of a file whose text lies on a heap without checksums, and where collections of that heap begin."""
    data = write(tmp_path_factory.mktemp("raw") / "file.h5", h5py.string_dtype()).read_bytes()
    heaps = [position for position in range(len(data)) if data[position : position + 4] == b"GCOL"]
    return data, heaps


def damaged(raw, position, change):
    data = bytearray(raw)
    data[position] ^= change
    return bytes(data)


def test_text_on_a_heap_that_has_no_end_is_one_line(tmp_path, raw, monkeypatch):
    """An object of no size: the library looks for the next one where it is."""
    monkeypatch.setattr(probe, "MAX_CPU_SECONDS", 1)
    data, heaps = raw
    path = tmp_path / "file.h5"
    path.write_bytes(data[: heaps[0] + 16] + bytes(32) + data[heaps[0] + 48 :])
    with pytest.raises(DamageError, match=r"file.h5: is damaged \(.*crashes when it reads its text, or never ends"):
        storage.describe_datasets(path)


def test_a_long_dataset_is_tried_when_it_is_read(tmp_path, raw, monkeypatch):
    monkeypatch.setattr(probe, "MAX_CPU_SECONDS", 1)
    monkeypatch.setattr(probe, "MAX_VALUES", 10)
    data, heaps = raw
    path, start = tmp_path / "file.h5", heaps[0]
    path.write_bytes(data[: start + 16] + bytes(32) + data[start + 48 :])
    with h5py.File(path, "a") as file:
        del file["partition"].attrs["names"]
    assert storage.describe_datasets(path)["simulation"].shape == (200,)
    with pytest.raises(DamageError, match="/simulation is damaged"):
        storage.load(path, "simulation")


@pytest.mark.parametrize(
    ("text", "libver", "tried"),
    [(h5py.string_dtype(), None, 1), ("S8", None, 0), (h5py.string_dtype(), ("v110", "v110"), 0)],
)
def test_text_of_variable_length_without_checksums_is_tried_once(tmp_path, monkeypatch, text, libver, tried):
    runs = []
    run = probe.subprocess.run
    monkeypatch.setattr(probe.subprocess, "run", lambda *args, **settings: runs.append(args) or run(*args, **settings))
    path = write(tmp_path / "file.h5", text, libver)
    for _ in range(2):
        assert storage.load(path, "simulation").tolist() == IDS
        assert storage.describe_datasets(path)["partition"].attributes["names"] == ("train", "test")
    assert len(runs) == tried
    path.touch()
    storage.load(path, "simulation")
    assert len(runs) == 2 * tried


def test_a_module_of_the_user_is_none_of_the_library(tmp_path, raw, monkeypatch):
    """As `types.py` beside a script, which would end the process before it has read anything."""
    monkeypatch.setattr(probe, "MAX_CPU_SECONDS", 1)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "types.py").write_text("raise ImportError")
    data, heaps = raw
    (tmp_path / "file.h5").write_bytes(data[: heaps[0] + 16] + bytes(32) + data[heaps[0] + 48 :])
    with pytest.raises(DamageError, match="or never ends"):
        storage.describe_datasets(tmp_path / "file.h5")


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("PROGRAM", "import nothing_of_that_name", r"failed \(ModuleNotFoundError: .*\)$"),
        ("sys.executable", "/nowhere/python", "cannot be started"),
    ],
)
def test_a_process_that_reads_nothing_is_no_proof(tmp_path, monkeypatch, name, value, complaint):
    path = write(tmp_path / "file.h5", h5py.string_dtype())
    monkeypatch.setattr(f"cosmoinfer.storage.probe.{name}", value)
    with pytest.raises(UserError, match=f"file.h5: its text is read in another process first, which {complaint}"):
        storage.load(path, "simulation")


def test_no_damaged_byte_of_the_heap_crashes_or_holds_the_process(tmp_path, raw, monkeypatch):
    """One process reads all of them: it ends, by itself."""
    rng = np.random.default_rng(7)
    data, heaps = raw
    sites = np.concatenate([np.arange(start, min(start + 4096, len(data))) for start in heaps])
    paths = []
    for number in range(24):
        path = tmp_path / f"{number}.h5"
        path.write_bytes(damaged(data, int(rng.choice(sites)), int(rng.integers(1, 256))))
        paths.append(str(path))
    program = f"from cosmoinfer.storage import probe; probe.MAX_CPU_SECONDS = 0\n{READ}"
    subprocess.run([sys.executable, "-c", program, *paths], check=True)


def test_other_files_are_not_opened_by_the_trial(tmp_path):
    """A source may be the name of a pipe, which nobody writes into."""
    path = write(tmp_path / "catalog.h5", h5py.string_dtype())
    os.mkfifo(tmp_path / "pipe")
    layout = h5py.VirtualLayout((5,), dtype=h5py.string_dtype())
    layout[:] = h5py.VirtualSource("pipe", "s", shape=(5,), dtype=h5py.string_dtype())
    with h5py.File(path, "r+") as file:
        file.create_virtual_dataset("extra", layout)
    assert "which `follow_links` reads" in storage.describe_datasets(path)["extra"].problem
