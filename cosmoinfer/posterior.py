"""Posterior draws of many observations, with what is needed to judge them. Needs no torch."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import storage
from cosmoinfer.errors import UserError, listed
from cosmoinfer.parameters import Parameters


@dataclass(frozen=True)
class Posterior:
    """n observations, S draws, P parameters; everything in the units of the catalog, natural logarithms.

    index, simulation, split: (n,), row number, simulation id and part (0 train, 1 validation, 2 test, 255 neither).
    truth: (n, P), where known. samples: (n, S, P) with log_prob (n, S): absent for a model that gives points only.
    log_prob_truth: (n,). reference: (n, P), a ridge estimate of theta, for TARP. mean, std: (n, P), where the model
    knows them exactly. log_norm_error: (n,), standard error of log Z where a density was renormalised over the box.
    probabilities: (n, C), of the C classes of a classifier, whose only "parameter" is the number of the class.
    ood: (n,), how unlike the training data: a percentile of the validation rows' distances from them, 0..100.
    ood_set_p: a p-value of all observations as a set from the simulator and its prior. temperature: by which the noise
    of the model was multiplied, if it was.
    fisher: (n, P, P), the Fisher information of the data at the truth, where a problem has a formula for it.
    ess: (n,), how many independent draws weighted ones were worth, where another density was weighted to this one.
    agreement: (n,), where several observations were combined, the chance of single posteriors as far apart as these.
    reweighted: whether the prior is another than that from which the simulations, and so the truths, were drawn.
    derived: names of parameters that are functions of the others; log_prob is a density of those others.
    """

    parameters: Parameters
    index: np.ndarray
    simulation: np.ndarray
    split: np.ndarray
    truth: np.ndarray | None = None
    samples: np.ndarray | None = None
    log_prob: np.ndarray | None = None
    log_prob_truth: np.ndarray | None = None
    reference: np.ndarray | None = None
    mean: np.ndarray | None = None
    std: np.ndarray | None = None
    log_norm_error: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    fisher: np.ndarray | None = None
    ess: np.ndarray | None = None
    agreement: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    ood: np.ndarray | None = None
    ood_set_p: float | None = None
    temperature: float | None = None
    reweighted: bool = False
    derived: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.probabilities is not None:
            _check_probabilities(self.probabilities, self.classes, self.index)
            _check_target(self)

    def __len__(self) -> int:
        return len(self.index)

    def take(self, keep: np.ndarray) -> "Posterior":
        """These observations only: keep is (n,) bool, or positions. What was said of all of them as a set is gone."""
        arrays = ("index", "simulation", "split", "truth", *_ARRAYS)
        found = {name: getattr(self, name) for name in arrays}
        taken = {name: value[keep] for name, value in found.items() if value is not None}
        return replace(self, **taken, ood_set_p=self.ood_set_p if len(taken["index"]) == len(self) else None)

    @property
    def best_mean(self) -> np.ndarray | None:
        """The exact mean where the model knows it, else that of the draws, (n, P)."""
        if self.mean is not None:
            return self.mean
        return None if self.samples is None else self.samples.mean(axis=1)

    @property
    def best_std(self) -> np.ndarray | None:
        """The exact standard deviation where the model knows it, else that of the draws, (n, P)."""
        if self.std is not None:
            return self.std
        return None if self.samples is None else self.samples.std(axis=1, ddof=1)


_ARRAYS = (
    "samples",
    "log_prob",
    "log_prob_truth",
    "reference",
    "mean",
    "std",
    "log_norm_error",
    "probabilities",
    "fisher",
    "ess",
    "agreement",
    "ood",
)
_NUMBERS = ("ood_set_p", "temperature")
ROUNDING = 1e-4  # by which probabilities computed in float32 may miss a sum of one


def write(path: Path, posterior: Posterior, meta: dict[str, Any], force: bool = False) -> None:
    arrays = {
        "index": posterior.index.astype(np.int64),
        "simulation": posterior.simulation,
        "split": posterior.split.astype(np.uint8),
        "names": np.array(posterior.parameters.names),
    }
    marks = {"derived": posterior.derived or None, "reweighted": posterior.reweighted or None}
    attributes = {"names": posterior.parameters.attributes() | marks}
    if posterior.truth is not None:
        arrays["parameters"] = posterior.truth.astype(np.float64)
        attributes["parameters"] = posterior.parameters.attributes()
    for name in _ARRAYS:
        value = getattr(posterior, name)
        if value is not None:
            arrays[name] = np.asarray(value, np.float64)  # draws may fill half of the memory: no copy
    for name in _NUMBERS:
        if getattr(posterior, name) is not None:
            arrays[name] = np.array(float(getattr(posterior, name)))
    if posterior.probabilities is not None:
        attributes["probabilities"] = {"names": posterior.classes}
    storage.write(path, storage.Record("posterior", meta, arrays, attributes), force)


def read(path: Path | str) -> Posterior:
    record = storage.read(path, "posterior")
    return Posterior(
        Parameters.from_attributes(record.attributes["names"]),
        record.arrays["index"],
        record.arrays["simulation"].astype(str),
        record.arrays["split"],
        record.arrays.get("parameters"),
        **{name: record.arrays.get(name) for name in _ARRAYS},  # type: ignore[arg-type]
        **{name: float(record.arrays[name]) for name in _NUMBERS if name in record.arrays},  # type: ignore[arg-type]
        classes=tuple(record.attributes.get("probabilities", {}).get("names", ())),
        reweighted=bool(record.attributes["names"].get("reweighted", False)),
        derived=tuple(record.attributes["names"].get("derived", ())),
    )


def _check_probabilities(probabilities: np.ndarray, classes: tuple[str, ...], index: np.ndarray) -> None:
    if probabilities.shape != (len(index), len(classes)) or len(classes) < 2:
        expected = f"{len(index)} rows and a column for each of the classes {listed(classes) or '(none is named)'}"
        raise UserError(f"probabilities: expected {expected}, found shape {probabilities.shape}")
    possible = (probabilities >= 0).all(axis=1) & (np.abs(probabilities.sum(axis=1) - 1) <= ROUNDING)
    if not possible.all():
        rows = listed(index[~possible].tolist())
        raise UserError(f"probabilities: expected rows that are not negative and add to one, found others (row {rows})")


def _check_target(posterior: Posterior) -> None:
    names, last = posterior.parameters.names, len(posterior.classes) - 1
    if len(names) != 1:
        raise UserError(f"probabilities: expected one target, found {len(names)} ({listed(names)})")
    if posterior.truth is not None and not (known := np.isin(posterior.truth[:, 0], np.arange(last + 1))).all():
        rows = listed(posterior.index[~known].tolist())
        raise UserError(f"{names[0]}: expected class numbers from 0 to {last}, found others (row {rows})")
