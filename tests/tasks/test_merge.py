"""Shards: drawn each by itself and merged, they are the bytes of one sampling; what is not all of one is refused."""

import filecmp
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.models import ClassifierModel, RegressorModel
from cosmoinfer.sampling import rejection
from cosmoinfer.sampling.rejection import NoPrediction
from cosmoinfer.storage import out_of_core, read_meta
from cosmoinfer.tasks.reporter import Reporter
from tests.command_line import call, done, refused, write
from tests.examples import flow_of, linear_gaussian, regressor_of, train_flow
from tests.models.test_classifier import blobs

ROWS = 30
QUICK: dict[str, Any] = {"draws": 4, "threads": 1}


def observed() -> Catalog:
    return linear_gaussian(2, ROWS, seed=7)


def in_pairs(catalog: Catalog) -> Catalog:
    """Two rows a simulation, which alternate."""
    half = len(catalog) // 2
    assert catalog.theta is not None
    theta = np.concatenate([catalog.theta[:half], catalog.theta[:half]])
    return replace(catalog, theta=theta, simulation=np.tile(np.arange(half).astype(str), 2))


def with_failures(*rows: int) -> Catalog:
    """Of which these rows lie so far away that a truncated flow cannot be sampled there."""
    sims = linear_gaussian(1, ROWS, seed=7)
    values = np.asarray(sims.observables[0].values).copy()
    values[list(rows)] = 200.0
    return replace(sims, observables=(replace(sims.observables[0], values=values),), fingerprint="far away")


@lru_cache
def classifier() -> ClassifierModel:
    return cosmoinfer.train_regressor(blobs(2, 200), network="linear", epochs=2, ensemble=1)


CASES: dict[str, tuple[Callable[[], Any], Callable[[], Catalog], dict[str, Any]]] = {
    "flow": (partial(flow_of, "maf", 2, 2, "probit"), observed, {}),
    "truncated flow": (partial(flow_of, "maf", 2, 1, "truncate"), observed, {"recalibrate": "temperature"}),
    "regressor": (partial(regressor_of, 2), observed, {"rows": "29,3:27"}),
    "point": (partial(regressor_of, 2, "mse"), observed, {}),
    "product": (partial(flow_of, "maf", 2, 2, "probit"), lambda: in_pairs(observed()), {"combine": "product"}),
    "sets": (
        lambda: train_flow(in_pairs(linear_gaussian(2)), flow="maf", observation="simulation"),
        lambda: in_pairs(observed()),
        {},
    ),
    "classifier": (classifier, lambda: blobs(2, ROWS, 1), {}),
    "failures": (partial(flow_of, "maf", 1, 1, "truncate"), lambda: with_failures(3, 12, 29), {"skip_failed": True}),
    "a shard of failures": (
        partial(flow_of, "maf", 1, 1, "truncate"),
        lambda: with_failures(*range(10, 20)),
        {"skip_failed": True},
    ),
}


@pytest.fixture(autouse=True)
def few_proposals(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be sampled is given up soon."""
    monkeypatch.setattr(rejection, "MAX_PROPOSALS_PER_OBSERVATION", 10_000)


def drawn(folder: Path, model: Any, catalog: Catalog, count: int = 3, **settings: Any) -> tuple[Path, list[Path]]:
    """The file of one sampling, and those of its shards."""
    settings = QUICK | settings
    cosmoinfer.sample(model, catalog, output=folder / "complete.h5", **settings)
    files = [folder / f"{number}.h5" for number in range(1, count + 1)]
    for number, file in enumerate(files, 1):
        cosmoinfer.sample(model, catalog, output=file, shard=f"{number}/{count}", **settings)
    return folder / "complete.h5", files


@pytest.mark.filterwarnings("ignore::cosmoinfer.CosmoinferWarning")
@pytest.mark.parametrize("case", CASES)
def test_merged_shards_are_the_bytes_of_one_sampling(case: str, tmp_path: Path) -> None:
    model, catalog, settings = CASES[case]
    complete, files = drawn(tmp_path, model(), catalog(), **settings)
    merged = cosmoinfer.merge(files[::-1], output=tmp_path / "merged.h5")
    assert filecmp.cmp(complete, tmp_path / "merged.h5", shallow=False)
    assert len(merged) == len(cosmoinfer.read_posterior(complete))
    assert merged.diagnostics.ood_set_p_value is not None or case == "sets"


def test_rows_without_a_prediction_of_a_summary_merge_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have no features either, and so no part in the test of the set."""
    model = train_flow(linear_gaussian(2), flow="maf", summary=regressor_of(2))
    summarise = RegressorModel.summarise

    def with_gaps(self: RegressorModel, catalog: Catalog, rows: np.ndarray, epoch: int | None = None) -> np.ndarray:
        if np.isin(rows, (4, 11)).any():
            raise NoPrediction("not finite")
        return summarise(self, catalog, rows, epoch)

    monkeypatch.setattr(RegressorModel, "summarise", with_gaps)
    complete, files = drawn(tmp_path, model, observed(), skip_failed=True)
    merged = cosmoinfer.merge(files, output=tmp_path / "merged.h5")
    assert filecmp.cmp(complete, tmp_path / "merged.h5", shallow=False)
    assert len(merged) == ROWS - 2 and merged.diagnostics.ood_set_p_value is not None


def test_draws_that_are_too_many_for_memory_are_merged_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the parts nor where they are merged need the memory that the bytes depend on."""
    complete, files = drawn(tmp_path, flow_of("maf", 2, 2, "probit"), observed())
    monkeypatch.setattr(out_of_core, "MAX_IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(out_of_core, "SLAB_BYTES", 500)
    merged = cosmoinfer.merge(files, output=tmp_path / "merged.h5")
    assert isinstance(merged.samples, out_of_core.OnDiskArray)
    on_disk = cosmoinfer.sample(flow_of("maf", 2, 2, "probit"), observed(), output=tmp_path / "on_disk.h5", **QUICK)
    assert isinstance(on_disk.samples, out_of_core.OnDiskArray)
    for name in ("merged.h5", "on_disk.h5"):
        assert filecmp.cmp(complete, tmp_path / name, shallow=False)


def test_a_shard_without_a_single_sample_is_a_file_and_all_of_them_an_error(tmp_path: Path) -> None:
    model, catalog = flow_of("maf", 1, 1, "truncate"), with_failures(*range(ROWS))
    lines: list[str] = []
    reporter = Reporter(lines.append, lines.append, lines.append)
    files = [tmp_path / f"{number}.h5" for number in (1, 2)]
    for number, file in enumerate(files, 1):
        settings = {**QUICK, "skip_failed": True, "shard": f"{number}/2", "output": file, "reporter": reporter}
        assert len(cosmoinfer.sample(model, catalog, **settings)) == 0
    assert any("left out, could not be sampled: row 0, 1" in line for line in lines)
    assert len(cosmoinfer.read_posterior(files[0])) == 0
    assert "true parameters" in refused("evaluate", files[0], "-o", tmp_path / "metrics.h5")
    with pytest.raises(UserError, match="no observation could be sampled"):
        cosmoinfer.merge(files, output=tmp_path / "merged.h5")
    with pytest.raises(UserError, match="no observation could be sampled"):
        cosmoinfer.sample(model, catalog, skip_failed=True, **QUICK)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.h5, 2.h5 and 3.h5, and files that are none of their sampling."""
    folder, model, catalog = tmp_path_factory.mktemp("shards"), regressor_of(2), observed()
    drawn(folder, model, catalog)
    for name, settings in {"seed": {"seed": 1}, "rows": {"rows": "0:6"}, "two": {"shard": "2/2"}}.items():
        cosmoinfer.sample(model, catalog, output=folder / f"{name}.h5", **{**QUICK, "shard": "3/3", **settings})
    shutil.copy(folder / "1.h5", folder / "copy.h5")
    with h5py.File(folder / "other.h5", "w") as file:
        file["samples"] = np.zeros(3)
    (folder / "text.h5").write_text("text")
    damaged = bytearray((folder / "2.h5").read_bytes())
    place = damaged.index(cosmoinfer.read_posterior(folder / "2.h5").samples[0].tobytes())
    damaged[place] ^= 1
    (folder / "damaged.h5").write_bytes(damaged)
    return folder


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("1 3", r"1 of 3 shards are missing \(2\) beside .*1.h5"),
        ("2", r"2 of 3 shards are missing \(1, 3\)"),
        ("1 2 3 copy", r"copy.h5: is shard 1/3, as .*1.h5 is; expected each shard once"),
        ("1 1 2 3", "1.h5: is given twice"),
        ("1 2 seed", r"seed.h5: is of another sampling than .*1.h5, .* \(seed 0, now 1\)"),
        ("1 2 rows", r"rows.h5: is of another sampling than .*1.h5, .* \(different rows\)"),
        ("1 two", r"two.h5: is shard 2/2, and .*1.h5 is 1/3, of another number"),
        ("complete", "complete.h5: is a posterior of all of its rows; expected one of sample with `shard`"),
        ("1 2 other", "other.h5: expected the posterior of a shard, found an HDF5 file of another tool"),
        ("1 2 text", "text.h5: expected the posterior of a shard, found a text file"),
        ("1 2 absent", "absent.h5: "),
        ("1 damaged 3", "damaged.h5: /samples is damaged"),
    ],
)
def test_what_is_not_every_shard_of_one_sampling_is_refused(shards: Path, names: str, message: str) -> None:
    files = [shards / f"{name}.h5" for name in names.split()]
    before = set(shards.iterdir())
    with pytest.raises(UserError, match=message):
        cosmoinfer.merge(files, output=shards / "never.h5")
    assert set(shards.iterdir()) == before


def test_an_output_of_merge_is_treated_as_any_other(shards: Path, tmp_path: Path) -> None:
    files, output = [shards / f"{number}.h5" for number in (1, 2, 3)], tmp_path / "merged.h5"
    document = json.loads(done("merge", *files, "-o", output, "--json"))
    assert (document["output"], document["rows"], document["draws"]) == (str(output), ROWS, QUICK["draws"])
    before = output.stat().st_mtime_ns
    status, _, err = call("merge", *files, "-o", output)
    assert status == 0 and "complete already" in err and output.stat().st_mtime_ns == before
    assert call("merge", *files, "-o", output, "--force", "--quiet")[0] == 0 and output.stat().st_mtime_ns == before
    output.write_bytes((shards / "seed.h5").read_bytes())
    assert call("merge", *files, "-o", output, "--force", "--quiet")[0] == 0
    assert filecmp.cmp(output, shards / "complete.h5", shallow=False)
    assert "is read by this command" in refused("merge", *files, "-o", files[0])
    assert "made with other settings" in refused("merge", *files, "-o", shards / "seed.h5")
    assert "found a file of another tool" in refused("merge", *files, "-o", shards / "other.h5", "--force")
    for wrong in (str(files[0]), [3], None):
        with pytest.raises(UserError, match="expected the paths of all shards"):
            cosmoinfer.merge(wrong, output=output)


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "3/", "-1/3", "1/2/3", "a/b", "1.0/3", "", "1/0", "9" * 5000])
def test_a_shard_that_is_none_is_refused(shard: str) -> None:
    with pytest.raises(UserError, match="expected 1/16 to 16/16") as caught:
        cosmoinfer.sample(regressor_of(2), observed(), shard=shard)
    assert caught.value.setting == "shard"


def test_there_are_at_most_as_many_shards_as_observations() -> None:
    assert len(cosmoinfer.sample(regressor_of(2), observed(), shard=f"{ROWS}/{ROWS}", **QUICK)) == 1
    with pytest.raises(UserError, match="expected at most 30 shards"):
        cosmoinfer.sample(regressor_of(2), observed(), shard="1/31", **QUICK)
    with pytest.raises(UserError, match="expected at most 15 shards"):
        settings = {"combine": "product", "shard": "1/16", **QUICK}
        cosmoinfer.sample(flow_of("maf", 2, 2, "probit"), in_pairs(observed()), **settings)


def test_a_shard_has_a_name_of_its_own_and_stands_when_it_is_finished(tmp_path: Path) -> None:
    model = tmp_path / "m.h5"
    regressor_of(2).save(model)
    write(tmp_path / "x.h5", None, observed().observables[0].values)
    command = ("sample", model, tmp_path / "x.h5", "--shard", "03/12", "--draws", "2", "--threads", "1")
    assert "m.x.posterior-03-of-12.h5: 2 rows, 2 draws each" in done(*command)
    assert read_meta(tmp_path / "m.x.posterior-03-of-12.h5")["settings"]["shard"] == "3/12"
    status, _, err = call(*command)
    assert status == 0 and "complete already" in err
