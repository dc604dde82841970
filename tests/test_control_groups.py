"""Limits of control groups, as the files of both versions have them."""

from pathlib import Path

import pytest

from cosmoinfer import control_groups, device, memory

MB = 1 << 20


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree without limits, of a process in /system/job of version 2 and /slurm/step of version 1."""
    monkeypatch.setattr(control_groups, "ROOT", tmp_path)
    membership = tmp_path / "membership"
    membership.write_text("4:memory:/slurm/step\n3:cpu,cpuacct:/slurm/step\n0::/system/job\n")
    monkeypatch.setattr(control_groups, "MEMBERSHIP", membership)
    return tmp_path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def test_without_limits_there_are_none(groups: Path) -> None:
    put(groups / "memory.max", "max")
    put(groups / "system" / "cpu.max", "max 100000")
    put(groups / "cpu" / "cpu.cfs_quota_us", "-1")
    put(groups / "cpu" / "cpu.cfs_period_us", "100000")
    assert control_groups.memory_limit() is None and control_groups.cpu_limit() is None
    (groups / "membership").unlink()
    assert control_groups.memory_limit() is None and control_groups.cpu_limit() is None


@pytest.mark.parametrize("folder", ["", "system", "system/job"])
def test_a_limit_of_the_group_or_of_one_above_it_counts(groups: Path, folder: str) -> None:
    put(groups / "system" / "memory.max", str(900 * MB))
    put(groups / folder / "memory.max", str(300 * MB))
    put(groups / "other" / "memory.max", str(MB))
    put(groups / folder / "cpu.max", "250000 100000")
    assert control_groups.memory_limit() == 300 * MB and memory.available_bytes() == 150 * MB
    assert control_groups.cpu_limit() == 2


@pytest.mark.parametrize("folder", ["", "slurm", "slurm/step"])
def test_limits_of_version_1_count(groups: Path, folder: str) -> None:
    put(groups / "memory" / folder / "memory.limit_in_bytes", str(300 * MB))
    put(groups / "cpu" / folder / "cpu.cfs_quota_us", "50000")
    put(groups / "cpu" / folder / "cpu.cfs_period_us", "100000")
    assert control_groups.memory_limit() == 300 * MB
    assert control_groups.cpu_limit() == device.default_threads() == 1  # half a core is one
