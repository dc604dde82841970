"""Data loaders of catalogs that stay in their files: the same rows, numbers and models, in bounded memory."""

import json
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from cosmoinfer import catalog as catalogs
from cosmoinfer import split
from cosmoinfer.catalog import ReadOptions
from cosmoinfer.catalog.lazy_array import LazyArray
from cosmoinfer.errors import UserError
from cosmoinfer.preprocessing import fit as fit_module
from cosmoinfer.preprocessing.fit import fit_preprocessing
from cosmoinfer.storage import DatasetHandle
from cosmoinfer.training import loop
from cosmoinfer.training.loaders import InMemoryLoader, StreamingLoader, make_loader
from cosmoinfer.training.loop import Loss
from cosmoinfer.training.settings import TrainingContext
from tests.command_line import call, done, refused
from tests.map_files import ROWS, TINY, write_maps


def test_a_catalog_is_the_same_streamed_and_in_memory(tmp_path, small_memory, monkeypatch):
    monkeypatch.setattr(fit_module, "RIDGE_MEMORY_FACTOR", 0)  # or the regression would take fewer rows
    path = write_maps(tmp_path / "maps.h5")
    held, streamed = catalogs.read(path), catalogs.read(path, memory=60_000)
    assert streamed.is_streamed and not held.is_streamed and isinstance(streamed.observables[0].values, LazyArray)
    assert streamed.fingerprint == held.fingerprint and streamed.selection_hash == held.selection_hash
    np.testing.assert_equal(asdict(streamed.hashes(np.arange(40, 90))), asdict(held.hashes(np.arange(40, 90))))
    partitions = split.by_hash(held.simulation)
    frames = [fit_preprocessing(catalog, partitions, ReadOptions(), "auto") for catalog in (held, streamed)]
    for name in ("mean", "std", "floor"):
        scales = [getattr(frame.inputs[0].standardizer, name) for frame in frames]
        np.testing.assert_allclose(scales[0], scales[1], rtol=1e-6)
    rows = np.arange(10, 70)
    np.testing.assert_allclose(
        frames[0].estimate_parameters(held, rows), frames[1].estimate_parameters(streamed, rows), rtol=1e-4
    )
    taken = streamed.select(rows).select(np.arange(5))
    np.testing.assert_array_equal(taken.observables[0].read(np.arange(5)), held.observables[0].read(rows[:5]))


def streaming(path: Path) -> tuple[StreamingLoader, np.ndarray]:
    """A feed of every second row, and the data that it should give."""
    sims = catalogs.read(path, memory=60_000)
    rows = np.arange(0, ROWS, 2)
    context = TrainingContext(torch.device("cpu"), 3, lambda line: None, lambda *_: None)
    made = make_loader(
        sims, rows, [rows[:, None].astype(float)], lambda chosen: (sims.observables[0].read(chosen),), context
    )
    assert isinstance(made, StreamingLoader) and made.window < len(rows)
    return made, catalogs.read(path).observables[0].read(rows)


def test_every_row_comes_once_an_epoch_with_its_own_data_and_the_same_seed_repeats_it(tmp_path, small_memory):
    made, data = streaming(write_maps(tmp_path / "maps.h5"))

    def epoch(number: int) -> list[tuple[torch.Tensor, ...]]:
        return list(made.batches(number, 10, [torch.Generator().manual_seed(number + offset) for offset in (0, 50)]))

    batches = epoch(1)
    assert len(batches) == len(made) // 10
    for member in (0, 1):
        rows = torch.cat([batch[0][member, :, 0] for batch in batches]).long().numpy()
        assert len(set(rows.tolist())) == len(batches) * 10
        data_of_batches = torch.cat([batch[1][member] for batch in batches]).numpy()
        np.testing.assert_array_equal(data_of_batches, data[rows // 2])
        assert (np.diff(rows) < 0).mean() > 0.3  # shuffled
    again, second_epoch = epoch(1), epoch(2)
    assert all(torch.equal(offset[0], two[0]) for offset, two in zip(batches, again, strict=True))
    assert not all(torch.equal(offset[0], two[0]) for offset, two in zip(batches, second_epoch, strict=True))
    first, second = (torch.cat([batch[0][member, :, 0] for batch in batches]) for member in (0, 1))
    assert not torch.equal(first, second)
    chunks = list(made.chunks(33))
    np.testing.assert_array_equal(torch.cat([chunk[1] for chunk in chunks]).numpy(), data)


def test_a_failing_prefetch_raises_and_does_not_hang(tmp_path, small_memory):
    made, _ = streaming(write_maps(tmp_path / "maps.h5", chunks=(1, 6, 6), fletcher32=True))
    raw = bytearray((tmp_path / "maps.h5").read_bytes())
    with h5py.File(tmp_path / "maps.h5") as file:
        place = file["data"].id.get_chunk_info(100).byte_offset
    raw[place] ^= 1
    (tmp_path / "broken.h5").write_bytes(bytes(raw))
    broken = LazyArray((DatasetHandle(tmp_path / "broken.h5", "data"),))
    failing = StreamingLoader(
        made.leading, lambda rows: (broken[rows],), made.rows, made.blocks, made.window, made.context
    )
    with pytest.raises(UserError, match=r"broken\.h5: /data is damaged"):
        list(failing.batches(0, 10, [torch.Generator()]))


def test_a_model_of_a_streamed_catalog_is_trained_sampled_and_evaluated(tmp_path, small_memory, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sims = write_maps(tmp_path / "maps.h5")
    for command, kind in (("train-flow", "flow"), ("train-regressor", "regressor")):
        done(command, sims, "--memory", "60kB", *TINY[:-2] if kind == "regressor" else TINY)
        model = tmp_path / f"maps.{kind}.h5"
        done("sample", model, sims, "--draws", "50", "--memory", "60kB", "--threads", "1")
        held = tmp_path / f"{kind}.held.h5"
        done("sample", model, sims, "--draws", "50", "--threads", "1", "-o", held)
        with h5py.File(tmp_path / f"maps.{kind}.posterior.h5") as streamed, h5py.File(held) as in_memory:
            np.testing.assert_allclose(streamed["samples"][()], in_memory["samples"][()], rtol=1e-5, atol=1e-6)
    before = (tmp_path / "maps.flow.h5").read_bytes()
    done("train-flow", sims, "--memory", "60kB", "-o", "again.h5", *TINY)
    assert (tmp_path / "again.h5").read_bytes() == before
    status, out, _ = call("inspect", sims, "--memory", "60kB", "--json")
    assert status == 0 and json.loads(out)["rows"] == ROWS


def test_training_that_requires_all_data_in_memory_refuses_a_streamed_catalog(tmp_path, small_memory):
    sims = write_maps(tmp_path / "maps.h5")
    for command in (
        ["train-density"],
        ["train-flow", "--observation", "simulation"],
        ["train-regressor", "--network", "ridge"],
    ):
        message = refused(command[0], sims, "--memory", "60kB", *command[1:], "-o", tmp_path / "model.h5")
        assert "requires all data in memory" in message and "more than --memory allows (" in message


def test_a_streamed_catalog_is_reported(tmp_path, small_memory):
    sims = catalogs.read(write_maps(tmp_path / "maps.h5"), memory=60_000)
    assert any("read from disk" in note and "`memory`" in note for note in sims.notes)
    assert not any("read from disk" in note for note in catalogs.read(tmp_path / "maps.h5").notes)


def test_rows_are_validated_a_bounded_amount_at_a_time(monkeypatch):
    monkeypatch.setattr(loop, "MAX_NUMBERS_PER_CHUNK", 600)
    sizes = []

    def terms(network, rows):
        sizes.append(rows[0].shape[1])
        return rows[0].mean((2, 3, 4))[..., None]

    held = InMemoryLoader((torch.randn(20, 1, 10, 10),))
    loop.evaluate(torch.nn.Identity(), Loss(terms, lambda losses: losses.mean((1, 2))), held, 2)
    assert sizes == [3] * 6 + [2]
