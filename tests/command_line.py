"""The command line, called in this process: what it returned, what it said, and catalogs small enough to train on."""

import io
import sys
from pathlib import Path

import h5py
import numpy as np
import typer
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from cosmoinfer.cli import NAME, app

COMMAND = typer.main.get_command(app)  # built once: a test calls it some hundred times


def call(*arguments: object) -> tuple[int, str, str]:
    """Exit status, stdout and stderr; what is no error of the user's crashes here too."""
    with CliRunner().isolation() as (stdout, stderr, _):
        try:
            COMMAND.main([str(argument) for argument in arguments], prog_name=NAME)
        except SystemExit as ended:
            status = ended.code
        sys.stdout.flush()
        sys.stderr.flush()
        out, err = (stream.getvalue().decode() for stream in (stdout, stderr))
    assert isinstance(status, int)
    return status, out, err


def done(*arguments: object) -> str:
    """Exit 0; what it printed."""
    status, out, err = call(*arguments)
    assert status == 0, err
    return out


def refused(*arguments: object) -> str:
    """Exit 1, and one line that says why."""
    status, _, err = call(*arguments)
    assert status == 1, err
    lines = [line for line in err.splitlines() if line.startswith("cosmoinfer: ")]
    assert len(lines) == 1
    return lines[0]


def printed(table: RenderableType, width: int) -> list[str]:
    """The lines of a table on a terminal of so many columns."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text().splitlines()


def linear(count: int, seed: int, features: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """theta uniform in a box, x a noisy linear image of it."""
    stream = np.random.default_rng(seed)
    theta = stream.uniform([0.1, 0.6], [0.5, 1.0], (count, 2))
    mixing = np.random.default_rng(7).normal(size=(2, features))
    return theta, (theta - [0.3, 0.8]) @ mixing * 5 + stream.normal(size=(count, features))


def write(path: Path, theta: np.ndarray | None, x: np.ndarray, **more: np.ndarray) -> Path:
    """A catalog of two parameters, or of observations; ``more``: other datasets."""
    with h5py.File(path, "w") as file:
        if theta is not None:
            parameters = file.create_dataset("parameters", data=theta)
            parameters.attrs["names"] = np.array(["Omega_m", "sigma_8"], "S")  # not read in another process first
            parameters.attrs["low"], parameters.attrs["high"] = [0.1, 0.6], [0.5, 1.0]
        file["data"] = x
        for name, value in more.items():
            file[name] = value
    return path
