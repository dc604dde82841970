"""What tests share: one thread, a small memory, and where real data lies."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported by anyone

# The same examples each time, on a slow machine too, and none kept in the tree.
settings.register_profile("ci", derandomize=True, deadline=None, database=None, max_examples=20)
settings.load_profile("ci")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Where real simulations lie: $COSMOINFER_SHARED, else ../shared beside the repository."""
    folder = Path(os.environ.get("COSMOINFER_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist (COSMOINFER_SHARED names another folder)")
    return folder


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory into which the catalogs of ``map_files`` do not fit, blocks of a few rows, windows of a few batches."""
    monkeypatch.setattr("cosmoinfer.memory.MIN_MEMORY_BYTES", 1)
    monkeypatch.setattr("cosmoinfer.catalog.lazy_array.BLOCK_BYTES", 1500)
    monkeypatch.setattr("cosmoinfer.catalog.catalog.MAX_STREAMED_BLOCK_NUMBERS", 500)
