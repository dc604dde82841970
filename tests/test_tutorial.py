"""The tutorial runs word for word, and prints what it says."""

import re
import shlex
from pathlib import Path

import h5py
import pytest

from tests.command_line import call

ROOT = Path(__file__).parent.parent
TUTORIAL = (ROOT / "cosmoinfer" / "guide" / "tutorial.md").read_text()
BLOCKS = re.findall(r"^```(text)?\n(.*?)^```", TUTORIAL, re.S | re.M)


def test_every_line_of_the_tutorial_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    monkeypatch.chdir(tmp_path)
    printed = ""
    for kind, block in BLOCKS:
        if kind:
            assert [line for line in block.splitlines() if line not in printed] == []
            continue
        printed = ""
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            status, out, err = call(*arguments)
            assert program == "cosmoinfer" and status == 0, (line, err)
            printed += out
    named = set(re.findall(r" (?:-o|--corner) ([\w./]+)", TUTORIAL))
    assert {"sims.h5", "corner.pdf", "both.pdf", "observed.h5"} < named
    made = {path.name for path in tmp_path.iterdir()}
    assert {name for name in named if "." in name} <= made and {"observed.txt", "observed.paramnames"} <= made
    assert Path("corner.pdf").read_bytes().startswith(b"%PDF") and Path("tutorial/report.html").exists()
    with h5py.File("observed.h5") as file:
        omega_m, sigma_8 = file["samples"][0].mean(axis=0)
    assert 0.3 < omega_m < 0.5 and 0.8 < sigma_8 < 1.0  # of the universe that was simulated: 0.413, 0.893
