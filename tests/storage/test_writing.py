"""Files are whole or absent whatever the disk does, and the same bytes however their values arrive."""

import errno
import io
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cosmoinfer import storage
from cosmoinfer.errors import SameOutput, UserError
from cosmoinfer.storage import FileContents, StreamedDataset, writing

ROOT = Path(__file__).parents[2]
VALUES = np.arange(3000.0).reshape(1000, 3)
RECORD = FileContents("posterior", {"version": "1", "settings": {"seed": 1}}, {"x": VALUES})
STREAM = StreamedDataset(VALUES.shape, VALUES.dtype, [VALUES[:300], VALUES[300:999], VALUES[999:]])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


def write_small(path):
    storage.write(path, RECORD, force=True)


def write_slabs(path):
    storage.write_streamed(path, FileContents("posterior", {}), {"x": STREAM}, force=True)


@pytest.mark.parametrize("values", [VALUES, VALUES.astype(">f4")[:, ::-1], VALUES > 7, VALUES[:0]])
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_an_array_is_the_same_bytes_in_whatever_slabs_it_arrives(path, values, rows):
    contents = FileContents("posterior", RECORD.meta, {"x": values})
    storage.write(path, contents)
    slabs = (values[first : first + rows] for first in range(0, len(values), rows))
    streams = {"x": StreamedDataset(values.shape, values.dtype, slabs)}
    storage.write_streamed(path.with_name("streamed.h5"), replace(contents, arrays={}), streams)
    assert path.read_bytes() == path.with_name("streamed.h5").read_bytes()
    np.testing.assert_array_equal(storage.read_contents(path).arrays["x"], values)


def test_values_that_do_not_fill_their_dataset_are_no_file(path):
    with pytest.raises(ValueError, match="x: 24 bytes came, expected 24000"):
        storage.write_streamed(path, FileContents("posterior", {}), {"x": replace(STREAM, slabs=[VALUES[:1]])})
    assert list(path.parent.iterdir()) == []


class FailingCall:
    """Counts the calls of the system with which a file is written; the one of this number fails."""

    def __init__(self, monkeypatch, number: int | None = None) -> None:
        self.names: list[str] = []
        self.number = number
        for module, name in [(tempfile, "mkstemp"), (os, "chmod"), (os, "fsync"), (os, "replace")]:
            monkeypatch.setattr(module, name, partial(self.call, name, getattr(module, name)))
        open_path = Path.open
        monkeypatch.setattr(
            Path, "open", lambda path, mode="r": self.file(path) if mode == "wb" else open_path(path, mode)
        )

    def call(self, name, function, *args, **keywords):
        self.names.append(name)
        if len(self.names) - 1 == self.number:
            raise OSError(errno.ENOSPC, "No space left on device")
        return function(*args, **keywords)

    def file(self, path):
        calls = self

        class File(io.FileIO):
            def write(self, values):
                return calls.call("write", super().write, values)

            def truncate(self, size):
                return calls.call("truncate", super().truncate, size)

            def close(self):
                if not self.closed:
                    super().close()
                    calls.call("close", bool)

        return self.call("open", File, path, "wb")


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("write", [write_small, write_slabs])
def test_whichever_call_fails_the_old_file_is_whole_and_nothing_is_left_behind(path, monkeypatch, write, exists):
    if exists:
        storage.write(path, FileContents("posterior", {"version": "0"}))
    before = path.read_bytes() if exists else None
    with monkeypatch.context() as counted:
        calls = FailingCall(counted).names
        write(path.with_name("new.h5"))
        after = path.with_name("new.h5").read_bytes()
        path.with_name("new.h5").unlink()
    assert calls[:3] == ["mkstemp", "chmod", "open"] and calls[-5:] == [
        "truncate",
        "close",
        "fsync",
        "replace",
        "fsync",
    ]
    for number in range(len(calls) - 1):
        with monkeypatch.context() as failing, pytest.raises(UserError, match="No space left on device") as error:
            FailingCall(failing, number)
            write(path)
        assert "\n" not in str(error.value)
        assert [file.read_bytes() for file in path.parent.iterdir()] == ([before] if exists else [])
    with monkeypatch.context() as failing:
        FailingCall(failing, len(calls) - 1)  # of the folder: the file is whole
        write(path)
    assert [file.read_bytes() for file in path.parent.iterdir()] == [after]


@pytest.mark.parametrize("write", [write_small, write_slabs])
def test_a_folder_that_vanishes_is_one_line(tmp_path, monkeypatch, write):
    (folder := tmp_path / "folder").mkdir()
    fill = writing._fill
    monkeypatch.setattr(writing, "_fill", lambda *args: (fill(*args), shutil.rmtree(folder))[0])
    with pytest.raises(UserError, match=r"could not be written .No such file or directory.; nothing is left") as error:
        write(folder / "file.h5")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_file_that_cannot_be_removed_is_named(path, monkeypatch):
    def fail(*args, **keywords):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "replace", fail)
    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.raises(UserError, match=r"Read-only file system.; .*\.part is left behind"):
        storage.write(path, RECORD, force=True)


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_while_another_is_written_is_not_replaced(path, monkeypatch, links):
    """The very same one, or another: on a file system without links too."""
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "not permitted")))
    for meta, refusal in ((RECORD.meta, SameOutput), ({"seed": 9}, UserError)):
        other = path.with_name("other.h5")
        storage.write(other, replace(RECORD, meta=meta), force=True)

        def slabs(other=other):
            yield VALUES
            other.rename(path)

        stream = StreamedDataset(VALUES.shape, VALUES.dtype, slabs())
        with pytest.raises(refusal) as caught:
            storage.write_streamed(path, replace(RECORD, arrays={}), {"x": stream})
        assert (type(caught.value) is SameOutput) == (refusal is SameOutput)
        assert storage.read_contents(path).meta == meta and list(path.parent.iterdir()) == [path]
        path.unlink()


LEFTOVER = """
import os, signal, sys
from pathlib import Path
from cosmoinfer.storage import atomic_write
with atomic_write(Path(sys.argv[1])) as scratch:
    print(scratch, flush=True)
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
"""


def test_what_a_killed_process_left_is_removed_by_the_next_writer(path, monkeypatch):
    """And nothing that a process at work holds, that is new, or that has another name."""
    monkeypatch.setattr("cosmoinfer.storage.atomic.MIN_AGE", 10_000.0)  # however slow the machine
    killed, stopped = (
        subprocess.Popen([sys.executable, "-c", LEFTOVER, path, name], stdout=subprocess.PIPE, text=True)
        for name in ("SIGKILL", "SIGSTOP")
    )
    left, held = (Path(process.stdout.readline().strip()) for process in (killed, stopped))
    killed.wait()
    other = path.with_name(".file.h5.abcdefgh.part.txt")
    other.touch()
    storage.write(path, RECORD)
    assert left.exists()  # too young to tell
    for file in (left, held, other):
        os.utime(file, (1, 1))
    storage.write(path, RECORD, force=True)
    assert sorted(path.parent.iterdir()) == sorted([path, held, other])
    stopped.kill()
    stopped.wait()
    stopped.stdout.close()
    killed.stdout.close()
    storage.write(path, RECORD, force=True)
    assert sorted(path.parent.iterdir()) == sorted([path, other])


FULL_DISK = """
import resource, sys
from pathlib import Path
from cosmoinfer.errors import UserError
from tests.storage import test_writing
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    getattr(test_writing, sys.argv[2])(Path(sys.argv[1]))
except UserError as error:
    raise SystemExit(f"cosmoinfer: {error}")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on Windows")
@pytest.mark.parametrize("write", [write_small, write_slabs])
@pytest.mark.parametrize("limit", [0, 600, 20_000, 24_500])
def test_a_full_disk_is_one_line_and_no_file(path, write, limit):
    command = [sys.executable, "-c", FULL_DISK, path, write.__name__, str(limit)]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == f"cosmoinfer: {path}: could not be written (File too large); nothing is left behind\n"
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("write", [write_small, write_slabs])
def test_a_disk_without_room_is_refused_before_a_value_is_read(path, monkeypatch, write):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(total=10**6, free=24_000))
    monkeypatch.setattr(writing, "_fill", None)
    with pytest.raises(UserError, match=r"24\.2kB of disk are required, 240B more than are free"):
        write(path)
    assert list(path.parent.iterdir()) == []


def test_a_lock_is_abandoned_once_its_process_lets_go(tmp_path):
    lock = tmp_path / "lock"
    assert not storage.is_abandoned(lock)
    with storage.locked(lock):
        assert not storage.is_abandoned(lock)
    assert storage.is_abandoned(lock)
    with pytest.raises(UserError, match="lock: cannot be written"), storage.locked(tmp_path / "none" / "lock"):
        pass
