"""Shards: drawn each by itself and merged, they are the bytes of one sampling; what is not all of one is refused."""

import filecmp
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import DamageError, UserError
from cosmoinfer.models.regressor import fit_classifier, regressor_recipe
from cosmoinfer.storage import out_of_core, read_meta
from tests.command_line import call, done, refused
from tests.examples import (
    fitted_preprocessing,
    flow_of,
    linear_gaussian,
    regressor_of,
    split_of,
    train_flow,
    training_context,
)

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


def classifier() -> Any:
    sims = linear_gaussian(1, 200)
    labels = (sims.theta[:, :1] > sims.theta.mean()).astype(float)
    labelled = replace(
        sims,
        theta=labels,
        parameters=cosmoinfer.catalog_from_arrays(labels, sims.observables[0].values, ("c",)).parameters,
        classes=("low", "high"),
    )
    frame = fitted_preprocessing(labelled)
    recipe = regressor_recipe({"network": "linear", "epochs": 2}, 200, [(2,)], classes=2)
    return fit_classifier(labelled, split_of(labelled), frame, recipe, training_context())


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
}


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
    if case != "point":
        assert merged.diagnostics.ood_set_p_value is not None or len(merged) < 20
