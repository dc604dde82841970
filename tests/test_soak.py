"""The soak leaves the files of its folder alone, those of the names that it takes too."""

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import soak


def test_a_turn_removes_its_own_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(arrays: dict[str, object], output: Path, generator: np.random.Generator) -> list[np.ndarray]:
        output.write_text("of this turn")
        return [np.zeros(1)]

    monkeypatch.setattr(soak, "TASKS", dict.fromkeys(soak.TASKS, write))
    (tmp_path / "output.h5").write_text("of a user")
    assert not soak.take_turn(tmp_path, 0, 0).refused
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("output.h5", "of a user")]
