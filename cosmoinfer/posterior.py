"""Posterior draws of many observations, with what is needed to judge them. Needs no torch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import storage
from cosmoinfer.errors import UserError, listed
from cosmoinfer.parameters import Parameters

Draws = np.ndarray | storage.OnDiskArray  # (n, S, ...)
BLOCK = 2_000_000  # numbers of (rows, S, P) worked on at once


@dataclass(frozen=True)
class Posterior:
    """n observations, S draws, P parameters; everything in the units of the catalog, natural logarithms.

    index, simulation, split: (n,), row number, simulation id and part (0 train, 1 validation, 2 test, 255 neither).
    truth: (n, P), where known. samples: (n, S, P) with log_prob (n, S): absent for a model that gives points only, and
    left in their file where they are too large for memory.
    log_prob_truth: (n,). ridge_estimate: (n, P), a ridge regression's estimate of theta, for TARP.
    mean, std: (n, P), where the model knows them exactly.
    log_norm_error: (n,), standard error of log Z where a density was renormalised over the box.
    probabilities: (n, C), of the C classes of a classifier, whose only "parameter" is the number of the class.
    ood_percentile: (n,), the percentile of the distance from the training data among validation rows, 0..100.
    ood_set_p_value: that all observations as a set come from the simulator and its prior.
    temperature: by which the noise of the model was multiplied, if it was.
    fisher: (n, P, P), the Fisher information of the data at the truth, where a problem has a formula for it.
    ess: (n,), how many independent draws weighted ones were worth, where another density was weighted to this one.
    consistency_p_value: (n,), where several observations were combined, of single posteriors as far apart as these.
    n_observations: (n,), how many were combined; absent where each posterior is of one.
    reweighted: whether the prior is another than that from which the simulations, and so the truths, were drawn.
    derived: names of parameters that are functions of the others; log_prob is a density of those others.
    """

    parameters: Parameters
    index: np.ndarray
    simulation: np.ndarray
    split: np.ndarray
    truth: np.ndarray | None = None
    samples: Draws | None = None
    log_prob: Draws | None = None
    log_prob_truth: np.ndarray | None = None
    ridge_estimate: np.ndarray | None = None
    mean: np.ndarray | None = None
    std: np.ndarray | None = None
    log_norm_error: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    fisher: np.ndarray | None = None
    ess: np.ndarray | None = None
    consistency_p_value: np.ndarray | None = None
    n_observations: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    ood_percentile: np.ndarray | None = None
    ood_set_p_value: float | None = None
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
        taken: dict[str, Any] = {name: _of_rows(one, keep) for name, one in found.items() if one is not None}
        return replace(
            self, **taken, ood_set_p_value=self.ood_set_p_value if len(taken["index"]) == len(self) else None
        )

    @property
    def best_mean(self) -> np.ndarray | None:
        """The exact mean where the model knows it, else that of the draws, (n, P)."""
        if self.mean is not None:
            return self.mean
        return None if self.samples is None else by_blocks(self.samples, lambda draws: draws.mean(axis=1))

    @property
    def best_std(self) -> np.ndarray | None:
        """The exact standard deviation where the model knows it, else that of the draws, (n, P)."""
        if self.std is not None:
            return self.std
        if self.samples is None:
            return None
        if self.samples.shape[1] < 2:  # of which no width can be told
            return np.full((len(self), len(self.parameters)), np.nan)
        return by_blocks(self.samples, lambda draws: draws.std(axis=1, ddof=1))


def blocks(draws: Draws) -> Iterator[slice]:
    """Rows that are worked on together, so that all of them need not be in memory."""
    size = max(1, BLOCK // max(1, int(np.prod(draws.shape[1:]))))
    return (slice(start, min(start + size, len(draws))) for start in range(0, max(1, len(draws)), size))


def by_blocks(draws: Draws, tell: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What is told of the draws (k, S, ...) of some rows, (k, ...), of all of them."""
    return np.concatenate([tell(draws[rows]) for rows in blocks(draws)])


@dataclass(frozen=True)
class Room:
    """Where draws (n, S, P) and their log_prob (n, S) go as they come, row by row, and of a row piece by piece."""

    samples: np.ndarray | storage.ScratchArray
    log_prob: np.ndarray | storage.ScratchArray

    @classmethod
    def of(cls, rows: int, draws: int, parameters: int, folder: Path | None = None, copies: int = 2) -> "Room":
        """In memory, or on disk in a folder where they are too many for it.

        copies: of them that the disk must take in the end: here, and in a file that is written from them.
        """
        shapes = (rows, draws, parameters), (rows, draws)
        if folder is None:
            return cls(*map(np.empty, shapes))
        sizes = {shape: 8 * int(np.prod(shape)) for shape in shapes}
        large = {shape: size for shape, size in sizes.items() if size > storage.out_of_core.MAX_IN_MEMORY_BYTES}
        storage.check_free_space(folder, copies * sum(large.values()))
        return cls(*(storage.ScratchArray(folder, shape) if shape in large else np.empty(shape) for shape in shapes))

    def put(self, row: int, first: int, samples: np.ndarray, log_prob: np.ndarray) -> None:
        """Draws (k, P) of a row, from its ``first`` on."""
        some = slice(first, first + len(samples))
        self.samples[row, some], self.log_prob[row, some] = samples, log_prob

    def renormalise(self, row: int, log_mass: float) -> None:
        """log q of a row less the log of its mass inside the box."""
        if log_mass == 0:
            return
        for first in range(0, self.log_prob.shape[1], BLOCK):
            self.log_prob[row, first : first + BLOCK] -= log_mass

    def filled(self, rows: int) -> dict[str, Any]:
        """The draws of the first so many rows, by field of ``Posterior``."""
        return {"samples": _first(self.samples, rows), "log_prob": _first(self.log_prob, rows)}


def _first(filled: np.ndarray | storage.ScratchArray, rows: int) -> Draws:
    return storage.OnDiskArray(filled, np.arange(rows)) if isinstance(filled, storage.ScratchArray) else filled[:rows]


def _of_rows(value: Draws, keep: np.ndarray) -> Draws:
    return value.take(keep) if isinstance(value, storage.OnDiskArray) else value[keep]


_ARRAYS = (
    "samples",
    "log_prob",
    "log_prob_truth",
    "ridge_estimate",
    "mean",
    "std",
    "log_norm_error",
    "probabilities",
    "fisher",
    "ess",
    "consistency_p_value",
    "n_observations",
    "ood_percentile",
)
DRAWN = ("samples", "log_prob")  # which may be larger than memory
_NUMBERS = ("ood_set_p_value", "temperature")
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
        arrays["truth"] = posterior.truth.astype(np.float64)
        attributes["truth"] = posterior.parameters.attributes()
    values = {name: getattr(posterior, name) for name in _ARRAYS}
    large = {name: value for name, value in values.items() if isinstance(value, storage.OnDiskArray)}
    for name, value in values.items():
        if value is not None and name not in large:
            arrays[name] = np.asarray(value, np.float64)  # draws may fill half of the memory: no copy
    for name in _NUMBERS:
        if getattr(posterior, name) is not None:
            arrays[name] = np.array(float(getattr(posterior, name)))
    if posterior.probabilities is not None:
        attributes["probabilities"] = {"names": posterior.classes}
    storage.write(path, storage.FileContents("posterior", meta, arrays, attributes, on_disk=large), force)


def read(path: Path | str, leave_large: bool = False) -> Posterior:
    """leave_large: draws that are too large for memory stay in the file, and are read row by row."""
    record = storage.read(path, "posterior", keep_on_disk=DRAWN if leave_large else ())
    found: dict[str, Any] = record.all_arrays
    return Posterior(
        Parameters.from_attributes(record.attributes["names"]),
        record.arrays["index"],
        record.arrays["simulation"].astype(str),
        record.arrays["split"],
        record.arrays.get("truth"),
        **{name: found.get(name) for name in _ARRAYS},
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
