"""Model files whose meaning was changed, with digests made anew: one line that names what does not fit."""

import json
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch

from cosmoinfer import models, storage
from cosmoinfer.catalog import Observable
from cosmoinfer.errors import UserError
from cosmoinfer.models.allocation import FREE_NUMBERS, AllocationLimit
from cosmoinfer.tasks.inspect import inspect_file
from tests.examples import flow_of, in_memory_catalog, linear_gaussian, regressor_of, sampled
from tests.models.test_classifier import classifier
from tests.models.test_density import train, unit_box

MISSING = object()


@lru_cache
def density() -> models.Model:
    """Of four numbers whose sum never varies, which is a null mode."""
    random = np.random.default_rng(0)
    x = random.standard_normal((200, 4))
    x -= x.mean(axis=1, keepdims=True)
    data = Observable("data", "vector", x)
    return train(in_memory_catalog(random.uniform(0, 1, (200, 1)), unit_box(), data), epochs=1)


MODELS = {
    "flow": lambda: flow_of("maf", 2, 2, "probit"),
    "regressor": lambda: regressor_of(2),
    "classifier": lambda: classifier("cross-entropy"),
    "density": density,
}


def changed(kind: str, folder, place: str, value: Any):
    """The file of a model with another array, attribute (``names.low``) or leaf of its JSON (``config a b``)."""
    models.write(folder / "model.h5", MODELS[kind](), {})
    contents = storage.read_contents(folder / "model.h5")
    attributes = {name: dict(items) for name, items in contents.attributes.items()}
    config = json.loads(str(contents.arrays["config"]))
    target: Any = contents.arrays
    *names, last = place.split()
    if names:
        target = config
        for name in names[1:]:
            target = target[int(name) if name.isdigit() else name]
    elif "." in place:
        target = attributes[place.partition(".")[0]]
        last = place.partition(".")[2]
    last = int(last) if isinstance(target, list) else last
    if value is MISSING:
        del target[last]
    else:
        target[last] = value(target[last]) if callable(value) else value
    contents.arrays["config"] = np.array(json.dumps(config))
    storage.write(folder / "changed.h5", replace(contents, attributes=attributes))
    return folder / "changed.h5"


@pytest.mark.parametrize(
    ("kind", "place", "value", "message"),
    [
        ("regressor", "ood/location", lambda array: array[:0], "/ood/scale: expected B = 0, as of /ood/location"),
        ("flow", "ood/shares", lambda array: array[:0], "/ood/shares: expected values"),
        ("flow", "ood/shares", lambda array: array * np.nan, "ood/shares: expected numbers in 0 to 1"),
        ("flow", "ood/gaussians/0/mean", lambda array: array[:, None], r"/ood/gaussians/0/mean: expected axes \(F,\)"),
        ("flow", "ood/gaussians/0/root", lambda array: array[1:], "/ood/gaussians/0/root: expected F"),
        ("flow", "ood/gaussians/0/expected", np.zeros((4, 4)), "ood/gaussians, expected: expected terms of its"),
        ("flow", "ood/mmd_test/simulation", lambda array: array + 10**15, "ood/mmd_test/simulation: expected 0, 1, 2"),
        ("flow", "config ood gaussians", [], "ood/gaussians: expected one or more, found none"),
        ("flow", "config temperature", -1e300, "temperature: expected 1e-06 to 1e.06, found -1e.300"),
        ("flow", "config recalibration temperature", 0, "temperature: expected"),
        ("flow", "config stacks 0 support name", "nsf", "support: 'nsf' is not known; there are"),
        ("flow", "config stacks 0 support probit_only", ["x"], "probit_only: expected names of parameters"),
        ("flow", "mixture_weights", np.ones(()), r"/mixture_weights: expected axes \(A,\)"),
        (
            "flow",
            "mixture_weights",
            np.ones(2),
            "mixture_weights: expected numbers that are not negative and add to one",
        ),
        ("flow", "mixture_weights", np.ones(1), r"mixture_weights: expected shape \(2,\), one a member, found \(1,\)"),
        ("flow", "hashes/train/theta", lambda array: array.astype(int), "expected whole numbers without a sign"),
        (
            "flow",
            "split/partition",
            lambda array: array + 3,
            "partition: expected 0 .train., 1 .validation. or 2 .test",
        ),
        ("flow", "parameters.names", np.array([np.inf, 1]), "/parameters, attribute names: expected text"),
        ("flow", "parameters.low", MISSING, "/parameters: has no attribute low"),
        ("flow", "config stacks 0 config recipe layers", 10**18, "layers: expected 1 to 100, found 10{18}$"),
        ("flow", "config stacks 0 config recipe blocks", 10**18, "blocks: expected 0 to 100, found 10{18}$"),
        ("flow", "config stacks 0 config recipe hidden", 10**7, "hidden: expected 1 to 8192, found 10{7}$"),
        ("flow", "config stacks 0 config recipe hidden", 8192, "a larger network than its weights are of"),
        ("flow", "config stacks 0 config parameters", 10**7, "a larger network than its weights are of"),
        (
            "flow",
            "config stacks 0 members",
            10**18,
            "members: expected 2, as of the history, found 1000000000000000000",
        ),
        ("regressor", "config loss", "[/red]\x1b[31m", "loss: .* is not known"),
        ("regressor", "config loss", "mse", "stacks, outputs: expected 2, found 4"),
        ("regressor", "config stacks", [], "stacks: expected one or more, found none"),
        ("regressor", "config preprocessing inputs 0 masked", True, "stacks, shapes: expected"),
        ("classifier", "config loss", "", "loss: '' is not known"),
        ("classifier", "config preprocessing classes", ["TNG"], "classes: expected two or more of one target, found 1"),
        ("classifier", "config preprocessing classes", ["A", "B", "C"], "stacks, outputs: expected 3, found 2"),
        ("flow", "stacks/0/support/scale", lambda array: -array, "/stacks/0/support/scale: expected positive numbers"),
        ("flow", "stacks/0/support/shift", lambda array: array * np.nan, "/stacks/0/support/shift: expected finite"),
        ("flow", "ood/scores", lambda array: array * np.nan, "/ood/scores: expected finite numbers"),
        ("flow", "ood/scale", lambda array: -array, "/ood/scale: expected positive numbers"),
        ("flow", "ridge_estimate/weights", lambda array: array * np.inf, "/ridge_estimate/weights: expected finite"),
        ("regressor", "inputs/0/standardizer/std", lambda array: 0 * array, "standardizer/std: expected positive"),
        ("density", "null_mode_noise/std", np.ones(()), r"/null_mode_noise/std: expected axes \(K,\) or \(C, W, ...\)"),
        ("density", "null_mode_noise/basis", np.ones((0, 4)), "/null_mode_noise/basis: expected"),
        ("density", "typicality/residuals", np.zeros(0), "/typicality/residuals: expected"),
        ("density", "typicality/coefficients", np.zeros(5), "typicality/coefficients: expected"),
        ("density", "config condition", None, "stacks, shape and context: expected"),
    ],
)
def test_what_does_not_fit_is_told_when_the_file_is_read(tmp_path, kind, place, value, message):
    path = changed(kind, tmp_path, place, value)
    with pytest.raises(UserError, match=f"changed.h5: .*{message}") as error:
        models.read(path)
    assert "\n" not in str(error.value)


def test_a_network_of_many_small_tensors_is_refused_as_one_of_a_large_one_is():
    with pytest.raises(UserError, match="a larger network than its weights are of"), AllocationLimit(0):
        for _ in range(2 * FREE_NUMBERS // 10**5):
            torch.zeros(10**5)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    models.write(tmp_path / "model.h5", MODELS["flow"](), {})
    contents = storage.read_contents(tmp_path / "model.h5")
    name = next(name for name in contents.arrays if "/weights/" in name)
    contents.arrays[name] = contents.arrays[name] * np.nan
    storage.write(tmp_path / "changed.h5", contents)
    with pytest.raises(UserError, match=f"/{name}: expected defined numbers, found others"):
        models.read(tmp_path / "changed.h5")


def fewer_features(contents: storage.FileContents) -> None:
    """As of a detector of other data: it fits itself, and not the data of the model."""
    gaussian, views = "ood/gaussians/0", "ood/mmd_test/views"
    for name, axes in {f"{gaussian}/mean": 1, f"{gaussian}/root": 2}.items():
        contents.arrays[name] = contents.arrays[name][(slice(1),) * axes]
    for view in (0, 1):
        contents.arrays[f"{views}/{view}"] = contents.arrays[f"{views}/{view}"][:, :1]


def fewer_weights(contents: storage.FileContents) -> None:
    contents.arrays["ridge_estimate/weights"] = contents.arrays["ridge_estimate/weights"][:1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (fewer_features, "the out-of-distribution detector takes features"),
        (fewer_weights, "the linear estimate takes 1 features, the data have"),
    ],
)
def test_what_does_not_fit_the_data_is_told_when_it_is_used(tmp_path, change, message):
    models.write(tmp_path / "model.h5", MODELS["flow"](), {})
    contents = storage.read_contents(tmp_path / "model.h5")
    change(contents)
    storage.write(tmp_path / "changed.h5", contents)
    with pytest.raises(UserError, match=message):
        sampled(models.read(tmp_path / "changed.h5"), linear_gaussian(2), draws=2)


def test_inspect_says_in_one_line_what_a_model_lacks(tmp_path):
    path = changed("flow", tmp_path, "config preprocessing", MISSING)
    with pytest.raises(UserError, match=r"does not hold a model of this version \('preprocessing'\)"):
        inspect_file(path, {})
