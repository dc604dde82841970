"""Memory: sizes as a user writes them, and how much a process may take."""

import pytest

from cosmoinfer import memory
from cosmoinfer.errors import UserError


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("2GB", 2e9), ("500M", 5e8), ("1.5 gb", 1.5e9), ("1t", 1e12), ("2GiB", 1 << 31), ("900 Mi", 900 << 20)],
)
def test_memory_sizes_have_decimal_and_binary_units(text, bytes_):
    assert memory.parse_size(text) == bytes_


def test_an_invalid_memory_size_is_refused(monkeypatch):
    for text in ("2 apples", "", "-1GB", "10MB", "5iB"):
        with pytest.raises(UserError, match="memory"):
            memory.parse_size(text)
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "2048")
    assert memory.available_bytes() <= 1 << 30


def test_available_memory_of_a_slurm_job_is_per_cpu(monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "512")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "2")
    assert memory.available_bytes() <= 1 << 29
