"""Held-out log density against the number of training simulations: measured, extended by a power law, said in words.

A size is a number of training simulations; its validation simulations are in proportion, so that it stands for a whole
catalog. The test rows are the same for all sizes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import storage
from cosmoinfer.errors import UserError, listed
from cosmoinfer.metrics.bootstrap import Clusters, interval
from cosmoinfer.metrics.estimate import Estimate
from cosmoinfer.studies.scaling_law import ScalingLaw, covariance_of_differences, fit_scaling_law

MAX_DEFAULT_SIZES, MIN_SIZES = 5, 3  # by default; and of a fit of three unknowns
SMALLEST_DEFAULT_SIZE = 200  # simulations: below, a default training learns little that a larger one would repeat
MIN_TRAINING_SIMULATIONS = 20  # simulations, of which a flow can be trained at all
SIGNIFICANT_LOSS_ERRORS = 3.0  # errors by which more simulations should not be worse than fewer
WORTHWHILE_GAIN_NATS = 0.05  # nat: a doubling that brings less is not worth its simulations


@dataclass(frozen=True)
class LearningCurve:
    """sizes, validation: (K,) simulations, growing. log_prob: (K, n) of the test rows under the flow of each size.

    simulation: (n,), of the test rows; index: (n,), their numbers in the catalog.
    """

    sizes: np.ndarray
    validation: np.ndarray
    log_prob: np.ndarray
    simulation: np.ndarray
    index: np.ndarray

    def __post_init__(self) -> None:
        wild = ~np.isfinite(self.log_prob)
        if wild.any():
            size, rows = self.sizes[wild.any(axis=1)][0], self.index[wild.any(axis=0)]
            raise UserError(f"the flow of {size} simulations has no density at the truth of row {listed(rows)}")


def default_sizes(simulations: int) -> tuple[int, ...]:
    """Up to five sizes, each half of the next, from all training simulations down to 200; three in any case."""
    halved = [simulations // 2**step for step in range(MAX_DEFAULT_SIZES)]
    kept = [size for step, size in enumerate(halved) if size >= SMALLEST_DEFAULT_SIZE or step < MIN_SIZES]
    return tuple(reversed(kept))


def check_sizes(sizes: Sequence[int], simulations: int) -> tuple[int, ...]:
    """In growing order; at least three, none too small, none beyond the training simulations of the catalog."""
    found = tuple(sorted(set(sizes)))
    if len(found) < MIN_SIZES:
        raise UserError(f"--sizes: expected at least {MIN_SIZES} different sizes, found {listed(found) or 'none'}")
    if found[0] < MIN_TRAINING_SIMULATIONS:
        raise UserError(f"--sizes: expected at least {MIN_TRAINING_SIMULATIONS} training simulations, found {found[0]}")
    if found[-1] > simulations:
        raise UserError(f"--sizes: {found[-1]} is more than the {simulations} training simulations of this split")
    return found


def measure(curve: LearningCurve, predict: Sequence[int] = (), seed: int = 0) -> dict[str, Any]:
    """The document: what was found at each size, the law, what doubling would bring, and the log density elsewhere.

    {"sizes", "validation", "rows", "simulations", "log_prob": [entry], "gain": [entry, over the size before],
    "error": [of the difference from the largest size], "law": {"limit", "alpha", "shortfall", "scatter"},
    "doubling": {"size", "gain"}, "predictions": [{"size", "log_prob", "gain"}], "band", "words"}. Intervals of
    ``log_prob`` are of the mean over rows, and common to all sizes; predictions are for the same test rows, and hold
    the scatter of a training, but not that.
    """
    clusters = Clusters.from_ids(curve.simulation, seed)
    if clusters.count < 2:
        raise UserError("the test part has a single simulation; a learning curve wants more (--fractions)")
    means = curve.log_prob.mean(axis=1)
    covariance = covariance_of_differences(curve.log_prob, clusters)
    law = fit_scaling_law(curve.sizes, means, covariance, seed)
    steps = np.diff(curve.log_prob, axis=0)
    document: dict[str, Any] = {
        "sizes": curve.sizes.tolist(),
        "validation": curve.validation.tolist(),
        "rows": curve.log_prob.shape[1],
        "simulations": clusters.count,
        "log_prob": [_mean(rows, clusters) for rows in curve.log_prob],
        "gain": [Estimate.missing("the smallest size").to_json(), *(_mean(step, clusters) for step in steps)],
        "error": np.sqrt(np.diag(covariance)).tolist(),
        "law": {
            "limit": _entry(law.asymptote),
            "alpha": _entry(law.alpha),
            "shortfall": _entry(law.shortfall),
            "scatter": _entry(law.scatter),
        },
        "doubling": {"size": 2 * int(curve.sizes[-1]), "gain": _entry(law.gain(2 * curve.sizes[-1]))},
        "predictions": [_prediction(law, size) for size in predict],
    }
    return document | {"words": words(document), "band": band(law, document)}


def words(document: dict[str, Any]) -> list[str]:
    """What doubling would bring, where the curve ends, and what was asked for."""
    largest, doubling, law = document["sizes"][-1], document["doubling"], document["law"]
    told = [
        f"Doubling the training simulations from {largest:,} to {doubling['size']:,} would gain "
        f"{_told(doubling['gain'])} nat; {_flattened(doubling['gain'])}.",
        f"With {largest:,} the flow is {_told(law['shortfall'])} nat short of what endless simulations would give "
        f"({_told(law['limit'])}); the shortfall falls as N^-{_told(law['alpha'])}.",
    ]
    for size, gain in zip(document["sizes"][1:], document["gain"][1:], strict=True):
        if gain["value"] < -SIGNIFICANT_LOSS_ERRORS * (gain["high"] - gain["value"]):
            told.append(
                f"With {size:,} the flow is worse than with fewer, by {_told(_negative(gain))} nat: that training "
                "went wrong, or its rows are of another kind, and what the law predicts is not to be trusted."
            )
    for one in document["predictions"]:
        told.append(
            f"With {one['size']:,} training simulations the mean log_prob of these test rows would be "
            f"{_told(one['log_prob'], 3)} (now {document['log_prob'][-1]['value']:.3f})."
        )
    return told


def band(law: ScalingLaw, document: dict[str, Any]) -> dict[str, list[float]]:
    """For a figure: the law and its 68.3 % interval from the smallest size to twice the largest, or what was asked."""
    last = max([document["doubling"]["size"], *(one["size"] for one in document["predictions"])])
    sizes = np.geomspace(document["sizes"][0], last, 60)
    entries = [_entry(law.log_prob_at(size)) for size in sizes]
    return {"size": sizes.tolist()} | {key: [entry[key] for entry in entries] for key in ("value", "low", "high")}


def write(
    path: Path, curve: LearningCurve, document: dict[str, Any], meta: dict[str, Any], force: bool = False
) -> None:
    """/document (JSON); /sizes, /validation (K,); /log_prob (K, n) with /index and /simulation (n,) of the test rows;
    /mean, /gain (K, 3), /law/NAME (3,), /doubling (3,), /prediction/size (Q,) and /prediction/log_prob (Q, 3): value,
    low, high; NaN is null."""
    arrays = {
        "document": np.array(json.dumps(document, allow_nan=False)),
        "sizes": curve.sizes,
        "validation": curve.validation,
        "log_prob": curve.log_prob,
        "index": curve.index.astype(np.int64),
        "simulation": curve.simulation,
        "mean": _numbers(document["log_prob"]),
        "gain": _numbers(document["gain"]),
        "doubling": _numbers([document["doubling"]["gain"]])[0],
    }
    arrays |= {f"law/{name}": _numbers([entry])[0] for name, entry in document["law"].items()}
    if predictions := document["predictions"]:
        arrays["prediction/size"] = np.array([one["size"] for one in predictions])
        arrays["prediction/log_prob"] = _numbers([one["log_prob"] for one in predictions])
    storage.write(path, storage.FileContents("learning-curve", meta, arrays), force)


def read(path: Path) -> dict[str, Any]:
    """The document."""
    return dict(json.loads(str(storage.read(path, "learning-curve").arrays["document"])))


def _prediction(law: ScalingLaw, size: int) -> dict[str, Any]:
    return {"size": size, "log_prob": _entry(law.training_at(size)), "gain": _entry(law.gain(size))}


def _mean(values: np.ndarray, clusters: Clusters) -> dict[str, Any]:
    """Of (n,), with one clustered standard error either way."""
    mean, error = clusters.mean(values)
    return {"value": mean, "low": mean - error, "high": mean + error}


def _entry(draws: np.ndarray) -> dict[str, Any]:
    """Median and central 68.3 % of (D,)."""
    low, high = interval(draws)
    return {"value": float(np.median(draws)), "low": low, "high": high}


def _numbers(entries: list[dict[str, Any]]) -> np.ndarray:
    """(K, 3): value, low, high; null is NaN."""
    return np.array([[entry[key] for key in ("value", "low", "high")] for entry in entries], dtype=np.float64)


def _told(entry: dict[str, Any], digits: int = 2) -> str:
    return f"{entry['value']:.{digits}f} +- {(entry['high'] - entry['low']) / 2:.{digits}f}"


def _negative(entry: dict[str, Any]) -> dict[str, Any]:
    return {"value": -entry["value"], "low": -entry["high"], "high": -entry["low"]}


def _flattened(gain: dict[str, Any]) -> str:
    if gain["high"] < WORTHWHILE_GAIN_NATS:
        return "the curve has flattened"
    return "the curve has not flattened" if gain["low"] > WORTHWHILE_GAIN_NATS else "the curve is flattening"
