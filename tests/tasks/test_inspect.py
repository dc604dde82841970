"""Does looking into a file read what it says, and no more?"""

from pathlib import Path

import h5py
import numpy as np
import pytest

from cosmoinfer.errors import UserError
from cosmoinfer.storage import reading
from cosmoinfer.storage.digests import DatasetDigest
from cosmoinfer.tasks.inspect import FileDescription, inspect_file
from tests.command_line import done, linear, refused, write


def test_weights_of_a_model_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog, model = write(tmp_path / "sims.h5", *linear(120, 1)), tmp_path / "flow.h5"
    done("train-flow", catalog, "--flow", "maf", "--epochs", 2, "--ensemble", 2, "--threads", 1, "-o", model)
    names: list[str] = []
    read_array = reading.read_array

    def remember(path: Path, dataset: h5py.Dataset, digest: DatasetDigest) -> object:
        names.append(dataset.name)
        return read_array(path, dataset, digest)

    monkeypatch.setattr(reading, "read_array", remember)
    contents = inspect_file(model, {})
    assert isinstance(contents, FileDescription)
    with pytest.raises(UserError, match=r"`audit` and `manifest` expect a catalog, found a flow \(model file\)"):
        inspect_file(model, {"audit": True})
    assert names and not [name for name in names if "/weights/" in name]
    shown = done("inspect", model)
    assert len(shown.splitlines()) < 80 and "{" not in shown
    assert "/stacks/0/weights" in shown and "/weights/transform" not in shown
    assert "recipe.stacks.0" in shown and "epochs=2" in shown and "False" not in shown
    with h5py.File(model) as file:
        (stack,) = file["stacks"].values()
        weights = [f"/{name}" for name in file["stacks/0/weights"]]
        assert len(weights) == len(stack["weights"])
    assert all(f"/stacks/0/weights{name}" in contents.datasets for name in weights)


def test_an_observation_with_nan_for_parameters_is_no_damaged_catalog(tmp_path: Path) -> None:
    theta, x = linear(120, 1)
    observed = write(tmp_path / "observed.h5", np.full_like(theta, np.nan), x)
    contents = inspect_file(observed, {"audit": True})
    assert contents.error is None
    assert any("/parameters are NaN in every row" in finding.text for finding in contents.findings)


def test_force_replaces_a_manifest_and_no_other_json(tmp_path: Path) -> None:
    sims, manifest = write(tmp_path / "sims.h5", *linear(120, 1)), tmp_path / "notes.json"
    manifest.write_text('{"my": "notes"}')
    line = ["inspect", sims, "--manifest", manifest]
    assert "exists already; --force replaces a manifest only" in refused(*line, "--force")
    assert manifest.read_text() == '{"my": "notes"}'
    manifest.unlink()
    done(*line)
    assert "--force replaces a manifest" in refused(*line)
    done(*line, "--force")
    assert ": 120 " in done("inspect", manifest)
