"""Posteriors from one flat set of names, as their file has them, and an example in which every field is filled."""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import ClassProbabilities, Diagnostics, Draws, PointEstimate, Posterior

PARTS = {"draws": Draws, "point": PointEstimate, "classes": ClassProbabilities, "diagnostics": Diagnostics}
FIELDS = {table_name: tuple(field.name for field in fields(table)) for table_name, table in PARTS.items()}
ARRAYS = ("index", "simulation", "split", "truth", "log_prob_truth", *FIELDS["draws"], *FIELDS["point"])
ARRAYS += ("probabilities", *(name for name in FIELDS["diagnostics"] if name not in ("temperature", "ood_set_p_value")))


def make(*head: Any, **values: Any) -> Posterior:
    """``samples=``, ``mean=``, ``ridge_estimate=``... go to the part that has them; a part of Nones is None."""
    return Posterior(*head, **_tables(values))


def changed(posterior: Posterior, **values: Any) -> Posterior:
    """``dataclasses.replace`` by flat names."""
    touched = [table_name for table_name, names in FIELDS.items() if set(names) & set(values)]
    kept = {name: value_of(posterior, name) for table_name in touched for name in FIELDS[table_name]}
    return replace(posterior, **_tables(kept | values))


def value_of(posterior: Posterior, name: str) -> Any:
    """By its flat name; None where the posterior, or the part that has it, does not hold it."""
    table_name = next((table_name for table_name, names in FIELDS.items() if name in names), None)
    return getattr(getattr(posterior, table_name) if table_name else posterior, name, None)


def _tables(values: dict[str, Any]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for table_name, table in PARTS.items():
        columns = {name: values.pop(name) for name in FIELDS[table_name] if name in values}
        if columns:
            required = FIELDS[table_name][0]  # samples, mean, names
            empty = table_name != "diagnostics" and columns.get(required) is None
            tables[table_name] = None if empty else table(**columns)
    return tables | values


RNG = np.random.default_rng(0)
PARAMETERS = Parameters.from_names(
    ("a", "b"), (0, 0.1), (1, 10), ("uniform", "log-uniform"), labels=("a", r"b_\mathrm{x}")
)
HEAD = make(PARAMETERS, np.array([4, 7, 9]), np.array(["LH_2", "LH_3", "9"]), np.array([2, 2, 255], np.uint8))
FULL = make(
    PARAMETERS,
    HEAD.index,
    HEAD.simulation,
    HEAD.split,
    truth=RNG.random((3, 2)),
    samples=RNG.random((3, 50, 2)),
    log_prob=RNG.normal(size=(3, 50)),
    log_prob_truth=RNG.normal(size=3),
    ridge_estimate=RNG.random((3, 2)),
    mean=RNG.random((3, 2)),
    std=RNG.random((3, 2)),
    log_norm_error=RNG.random(3),
    fisher=RNG.random((3, 2, 2)),
    ess=RNG.random(3),
    consistency_p_value=RNG.random(3),
    n_observations=np.array([2.0, 4.0, 1.0]),
    ood_percentile=100 * RNG.random(3),
    ood_set_p_value=0.25,
    temperature=1.125,
    reweighted=True,
    derived=("b",),
)
