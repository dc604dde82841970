"""Draws that are collected piece by piece, in memory or in a scratch file."""

import gc
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from cosmoinfer import posterior, storage
from cosmoinfer.errors import UserError
from cosmoinfer.sampling import buffer as buffer_module
from cosmoinfer.sampling.buffer import DrawBuffer
from cosmoinfer.sampling.rejection import BoxMass, DrawPiece, DrawStream, NoPrediction
from cosmoinfer.storage import out_of_core
from tests.posteriors import FULL, changed


@pytest.mark.parametrize("large", [1 << 26, 3 * 8 * 50, 0], ids=["memory", "log_prob in memory", "disk"])
@pytest.mark.parametrize("piece", [1 << 24, 240, 1], ids=["rows", "parts of a row", "one draw"])
@pytest.mark.parametrize("rows", [2, 3])
def test_draws_that_come_piece_by_piece_are_written_as_they_came(tmp_path, monkeypatch, large, piece, rows):
    """Some rows fail: the file holds those that did not, and is the same file wherever the draws lay before."""
    monkeypatch.setattr(out_of_core, "MAX_IN_MEMORY_BYTES", large)
    monkeypatch.setattr(out_of_core, "SLAB_BYTES", piece)
    monkeypatch.setattr(buffer_module, "MAX_NUMBERS_AT_ONCE", 7)
    buffer = DrawBuffer.allocate(3, 50, 2, tmp_path)

    def pieces(row: int):
        for first in range(0, 50, 20):
            columns = slice(first, first + 20)
            yield DrawPiece(FULL.samples[row, columns], FULL.log_prob[row, columns] if first else None)
        return BoxMass(0.5 * row, 0.1)

    for row in range(rows):
        buffer.put(row, 0, np.zeros((10, 2)), np.zeros(10))  # of a row that then failed
        mass = buffer.fill(row, DrawStream(pieces(row)), lambda theta, row=row: FULL.log_prob[row, : len(theta)])
        assert mass == BoxMass(0.5 * row, 0.1)
    drawn = replace(FULL.select(np.arange(rows)), draws=buffer.draws(rows))
    assert isinstance(drawn.samples, np.ndarray) == (large == 1 << 26)
    posterior.write(tmp_path / "p.h5", drawn, {"settings": {}})
    expected = FULL.log_prob[:rows] - 0.5 * np.arange(rows)[:, None]
    for result in (drawn, posterior.read(tmp_path / "p.h5")):
        np.testing.assert_array_equal(np.asarray(result.samples), FULL.samples[:rows])
        np.testing.assert_array_equal(np.asarray(result.log_prob), expected)
        np.testing.assert_array_equal(result.diagnostics.ood_percentile, FULL.diagnostics.ood_percentile[:rows])
    posterior.write(tmp_path / "q.h5", changed(drawn, samples=FULL.samples[:rows], log_prob=expected), {"settings": {}})
    layouts = [
        [
            (result.shape, result.dtype, result.chunks)
            for result in storage.describe_datasets(tmp_path / f"{name}.h5").values()
        ]
        for name in "pq"
    ]
    assert layouts[0] == layouts[1]
    assert sorted(result.name for result in tmp_path.iterdir()) == ["p.h5", "q.h5"]


@pytest.mark.parametrize(
    ("theta", "log_prob"), [(np.nan, 0.0), (np.inf, 0.0), (-np.inf, 0.0), (0.5, np.nan), (0.5, np.inf)]
)
def test_draws_that_are_not_finite_are_refused(theta, log_prob):
    buffer = DrawBuffer.allocate(3, 50, 2)
    buffer.put(0, 0, np.full((1, 2), 0.5), np.array([-np.inf]))
    with pytest.raises(NoPrediction, match="the draws of the posterior are not finite"):
        buffer.put(0, 1, np.array([[0.5, theta]]), np.array([log_prob]))


def test_a_copy_is_made_of_bounded_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(out_of_core, "SLAB_BYTES", 240)
    spill = storage.ScratchArray(tmp_path, (3, 50, 2))
    for row in range(3):
        spill[row, 0:50] = FULL.samples[row]
    pieces = list(storage.OnDiskArray(spill).slabs())
    np.testing.assert_array_equal(np.concatenate(pieces).reshape(3, 50, 2), FULL.samples)
    assert max(piece.nbytes for piece in pieces) <= 240


def test_what_is_spilled_takes_what_an_array_takes(tmp_path):
    """Another shape than the place's is no quiet neighbour's loss; what was never written is no number."""
    spill, array = storage.ScratchArray(tmp_path, (3, 50, 2)), np.zeros((3, 50, 2))
    for target in (spill, array):
        target[0, 0:50] = 1.0
        target[1, 10:20] = FULL.samples[1, :1]
        target[1, 40:60] = FULL.samples[0, :10]
        with pytest.raises(ValueError, match="broadcast"):
            target[1, 40:60] = FULL.samples[0, :20]
    np.testing.assert_array_equal(spill[0, 0:50], array[0])
    np.testing.assert_array_equal(spill[1, 10:50], array[1, 10:])
    with pytest.raises(UserError, match="it was not written completely"):
        spill[2, 0:50]


def test_a_spilled_file_is_closed_with_its_array(tmp_path):
    spill = storage.ScratchArray(tmp_path, (3, 50))
    file = spill._file
    del spill
    gc.collect()
    assert file.closed


@pytest.mark.parametrize(
    ("large", "written", "required"),
    [(0, True, 7824), (0, False, 3600), (2000, True, 6624), (2000, False, 2400), (9000, True, 4224)],
)
def test_the_disk_is_asked_for_all_that_will_lie_there_before_the_first_draw(
    tmp_path, monkeypatch, large, written, required
):
    """2400 bytes of samples and 1200 of log_prob: as scratch files where they are large, all in the file, and 26
    numbers a row beside them."""
    monkeypatch.setattr(out_of_core, "MAX_IN_MEMORY_BYTES", large)
    free = [1.01 * required]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(total=10**9, free=free[0]))
    DrawBuffer.allocate(3, 50, 2, tmp_path, written)
    free[0] -= 1
    with pytest.raises(UserError, match="are required"):
        DrawBuffer.allocate(3, 50, 2, tmp_path, written)


def test_a_full_disk_is_one_error_line_for_scratch_files(tmp_path, monkeypatch):
    monkeypatch.setattr(out_of_core, "MAX_IN_MEMORY_BYTES", 0)
    with pytest.raises(UserError, match=r"113TB of disk are required"):
        DrawBuffer.allocate(10**6, 10**6, 6, tmp_path)
    buffer = DrawBuffer.allocate(3, 50, 2, tmp_path)
    buffer.samples._file.close()
    with (
        open("/dev/full", "r+b", buffering=0) as buffer.samples._file,
        pytest.raises(UserError, match=r"cannot hold the draws so far .No space left"),
    ):
        buffer.put(0, 0, FULL.samples[0], FULL.log_prob[0])
    assert list(tmp_path.iterdir()) == []
