"""Model files: what is read is what was written, the same seed gives the same bytes, what does not fit is refused."""

import dataclasses
import json

import h5py
import numpy as np
import pytest

from cosmoinfer import models, posterior, storage
from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS
from cosmoinfer.losses import LOSSES
from cosmoinfer.supports import SUPPORTS
from tests.examples import (
    check_same_row,
    continue_flow,
    flow_of,
    linear_gaussian,
    regressor_of,
    sampled,
    train_flow,
    train_regressor,
)


@pytest.mark.parametrize("kind", ["maf", "nsf", "regressor"])
def test_the_same_seed_gives_the_same_bytes(kind, tmp_path):
    def made(name: str, seed: int) -> bytes:
        sims = linear_gaussian(2)
        settings = {"ensemble": 2, "epochs": 2, "dropout": 0.2}
        model = (
            train_regressor(sims, seed, **settings)
            if kind == "regressor"
            else train_flow(sims, seed, flow=kind, **settings)
        )
        models.write(tmp_path / name, model, {"seed": 0})
        posterior.write(tmp_path / f"{name}.posterior", sampled(model, sims, [0, 1], 100, seed), {})
        return (tmp_path / name).read_bytes() + (tmp_path / f"{name}.posterior").read_bytes()

    assert made("one", 0) == made("two", 0) != made("three", 1)


def every_model() -> dict[str, models.Model]:
    """Of each flow, support and loss one: a file holds the network and the support of a stack apart."""
    summary = train_regressor(linear_gaussian(2))
    made: dict[str, models.Model] = {
        f"{flow} {support}": flow_of(flow, 2, 3, support)
        for flow, support in [*((flow, "probit") for flow in FLOWS), *(("maf", support) for support in SUPPORTS)]
    }
    made |= {loss: regressor_of(2, loss) for loss in LOSSES}
    made["mixture"] = train_flow(linear_gaussian(2), support="probit", ensemble=2)
    made["ancestor"] = continue_flow(
        linear_gaussian(2, seed=1), flow_of("nsf", 2, 3, "probit"), support="probit", epochs=1
    )
    return made | {"summary": train_flow(linear_gaussian(2), summary=summary, support="probit", flow="maf")}


def test_what_is_read_is_what_was_written(tmp_path):
    sims = linear_gaussian(2)
    for number, (name, model) in enumerate(every_model().items()):
        path = tmp_path / f"{number}.h5"
        models.write(path, model, {"said": name})
        again = models.read(path)
        assert type(again) is type(model) and again.training_record.is_training_catalog(sims) == (name != "ancestor")
        for stack, stack_again in zip(model.stacks, again.stacks, strict=True):
            weights, weights_again = (trained.network.state_dict() for trained in (stack, stack_again))
            assert weights.keys() == weights_again.keys()
            for key, value in weights.items():
                assert value.dtype == weights_again[key].dtype and (value == weights_again[key]).all(), (name, key)
            for key, value in dataclasses.asdict(stack.history).items():
                np.testing.assert_array_equal(getattr(stack_again.history, key), value)
        np.testing.assert_array_equal(again.weights, model.weights)
        check_same_row(sampled(model, sims, [2], 50), sampled(again, sims, [2], 50))
        models.write(tmp_path / "again.h5", again, {"said": name}, force=True)
        assert (tmp_path / "again.h5").read_bytes() == path.read_bytes(), name
        assert len(models.histories(again)) == len(model.stacks)


@pytest.mark.parametrize("fault", ["missing", "extra", "shape"])
def test_weights_that_do_not_fit_are_an_error(fault, tmp_path):
    models.write(tmp_path / "model.h5", flow_of("nsf", 2, 1, "probit"), {})
    record = storage.read_contents(tmp_path / "model.h5", "model")
    key = next(name for name in record.arrays if name.startswith("stacks/0/weights/") and name.endswith("bias"))
    value = record.arrays.pop(key)
    if fault == "extra":
        record.arrays.update({key: value, f"{key}_too": value})
    if fault == "shape":
        record.arrays[key] = value[..., :-1]
    storage.write(tmp_path / "bad.h5", record)
    with pytest.raises(UserError, match=r"bad.h5: the weights of /stacks/0 do not fit") as caught:
        models.read(tmp_path / "bad.h5")
    assert key.removeprefix("stacks/0/weights/") in str(caught.value)


def test_a_model_without_a_part_of_it_is_refused_by_name(tmp_path):
    """As one of another version: its support stood elsewhere."""
    models.write(tmp_path / "model.h5", flow_of("nsf", 2, 1, "probit"), {})
    record = storage.read_contents(tmp_path / "model.h5", "model")
    config = json.loads(str(record.arrays["config"]))
    del config["stacks"][0]["support"]
    record.arrays["config"] = np.array(json.dumps(config))
    storage.write(tmp_path / "bad.h5", record)
    with pytest.raises(UserError, match=r"bad.h5: /stacks/0/support is missing: another version wrote the file"):
        models.read(tmp_path / "bad.h5")


def test_a_model_file_is_arrays_and_json(tmp_path):
    models.write(tmp_path / "model.h5", flow_of("nsf", 2, 3, "probit"), {"seed": 0})
    with h5py.File(tmp_path / "model.h5") as file:
        assert file.attrs["kind"] == b"model"
        assert json.loads(file["config"][()])["stacks"][0]["config"]["flow"] == "nsf"
        assert all(len(value) == 3 for value in file["stacks/0/weights"].values() if isinstance(value, h5py.Dataset))
        np.testing.assert_array_equal(file["mixture_weights"], np.full(3, 1 / 3))
        assert {"split/simulation", "split/partition", "hashes", "parameters"} <= {
            *file,
            *[f"split/{n}" for n in file["split"]],
        }
