"""Standard streams that cannot be written to: the work goes on, and the exit status is that of the work."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BufferedWriter
from pathlib import Path
from typing import Any

import h5py
import pytest

from cosmoinfer import models
from cosmoinfer.cli.streams import BROKEN_PIPE, LossyFile
from tests.command_line import done, linear, write

PACKAGE = Path(models.__file__).parents[1]
NO_SPACE = "stdout: No space left on device"
SIMULATE = "simulate power-spectrum -n 20 -o made.h5"
TRAIN = "train-flow sims.h5 -o flow.h5 --flow maf --support probit --epochs 2 --ensemble 1 --hidden 4 --threads 1"
needs_full_device = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a catalog whose parameters have names that are not ASCII."""
    made = tmp_path_factory.mktemp("streams")
    with h5py.File(write(made / "sims.h5", *linear(60, 1)), "a") as file:
        file["parameters"].attrs["names"] = ["Ω_m", "Ω_b"]
    return made


@pytest.fixture
def unread() -> Iterator[int]:
    """The descriptor of a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def run(
    folder: Path, arguments: str, before: Callable[[], object] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """The end of a command in this folder. before: called in its process. options: of ``subprocess``, and ``env``."""
    command = [sys.executable, "-m", "cosmoinfer", *arguments.split()]
    options["env"] = os.environ | {"PYTHONPATH": str(PACKAGE.parent)} | options.pop("env", {})
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run(command, cwd=folder, text=True, check=False, preexec_fn=before, **options)


def close_streams() -> None:
    for descriptor in range(3):
        os.close(descriptor)


def allow_few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))


@needs_full_device
@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        ("--version", 1, f"cosmoinfer: {NO_SPACE}; not all output was printed"),
        ("--help", 1, f"cosmoinfer: {NO_SPACE}; not all output was printed"),
        ("guide evaluating", 1, f"cosmoinfer: {NO_SPACE}; not all output was printed"),
        (f"{SIMULATE} --json --force", 1, f"cosmoinfer: {NO_SPACE}; not all output was printed"),
        (f"{SIMULATE} --force", 0, f"warning: {NO_SPACE}; all results are saved, not all were printed"),
    ],
)
def test_a_full_disk_under_stdout_is_an_error_only_of_what_is_saved_nowhere(
    folder: Path, arguments: str, status: int, line: str
) -> None:
    with open("/dev/full", "w") as full:
        ended = run(folder, arguments, stdout=full)
    assert ended.returncode == status
    assert ended.stderr.splitlines()[-1] == line and "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", ["--help", "guide evaluating"])
def test_a_reader_that_has_gone_ends_a_command_that_prints_quietly(folder: Path, unread: int, arguments: str) -> None:
    ended = run(folder, arguments, stdout=unread)
    assert (ended.returncode, ended.stderr) == (BROKEN_PIPE, "")


@pytest.mark.parametrize("before", [close_streams, None], ids=["closed", "reader gone"])
def test_a_training_ends_and_is_saved_whatever_becomes_of_its_log(
    folder: Path, unread: int, before: Callable[[], object] | None
) -> None:
    (folder / "flow.h5").unlink(missing_ok=True)
    ended = run(folder, TRAIN + " --json" * (before is not None), before, stdout=unread, stderr=unread)
    assert ended.returncode == 0
    assert models.read(folder / "flow.h5").kind == "flow"


def test_an_evaluation_needs_no_home_no_backend_no_locale_and_few_files(folder: Path) -> None:
    done(*TRAIN.replace("sims.h5", str(folder / "sims.h5")).replace("flow.h5", str(folder / "drawn.flow.h5")).split())
    nowhere = str(folder / "sims.h5" / "home")
    environment = {"MPLBACKEND": "bogus", "HOME": nowhere, "MPLCONFIGDIR": nowhere, "XDG_CACHE_HOME": nowhere}
    environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    arguments = "evaluate drawn.flow.h5 sims.h5 --draws 20 --threads 1 --figures figures --quiet"
    ended = run(folder, arguments, allow_few_files, env=environment)
    assert (ended.returncode, ended.stderr) == (0, "") and "?_m" in ended.stdout
    assert (folder / "figures" / "sbc.png").exists()


def test_a_pipe_that_does_not_block_takes_all_once_its_reader_is_ready() -> None:
    text = b"0123456789" * 100_000
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with ThreadPoolExecutor(1) as pool, open(reader, "rb") as source:
        content = pool.submit(source.read)
        with BufferedWriter(LossyFile(writer, "w")) as stream:
            stream.write(text)
        assert content.result() == text


@needs_full_device
def test_a_file_that_takes_nothing_keeps_the_first_error() -> None:
    file = LossyFile("/dev/full", "w")
    with BufferedWriter(file) as stream:
        stream.write(b"lost")
    assert isinstance(file.error, OSError) and file.error.errno == errno.ENOSPC
