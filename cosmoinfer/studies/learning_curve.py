"""Learning curve: held-out log density against the number of training simulations, extrapolated by a power law.

A size is a number of training simulations; its validation simulations are in proportion, so that it represents a whole
catalog. The test rows are the same for all sizes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import storage
from cosmoinfer.errors import UserError
from cosmoinfer.metrics.bootstrap import Clusters, interval
from cosmoinfer.metrics.estimate import Estimate, Estimates
from cosmoinfer.metrics.tables import Table
from cosmoinfer.storage import Dataset, Schema
from cosmoinfer.studies.scaling_law import ScalingLaw, covariance_of_differences, fit_scaling_law
from cosmoinfer.studies.training_sizes import HeldOutScores

SIGNIFICANT_LOSS_ERRORS = 3.0  # errors by which a larger size is worse than a smaller one: its training failed
WORTHWHILE_GAIN_NATS = 0.05  # a doubling that gains less is not worth its simulations
BAND_SIZES = 60  # points of the curve in a figure


SCHEMA = Schema(
    "learning-curve",
    "`cosmoinfer learning-curve`",
    {
        "document": Dataset("()", "JSON: what `learning-curve` prints as JSON", type="text", required=True),
        "sizes": Dataset("(K,)", "training and validation simulations of each size", type="whole"),
        "validation": Dataset("(K,)", "training and validation simulations of each size", type="whole"),
        "index": Dataset("(n,)", "test rows", type="whole"),
        "simulation": Dataset("(n,)", "test rows", type="text"),
        "log_prob": Dataset("(K, n)", "log density of the true parameters of each test row"),
        "(mean|gain)": Dataset("(K, 3)", "log_prob, and its gain over the prior: value, low, high"),
        "doubling": Dataset("(3,)", "what twice as many simulations would gain"),
        "law/.*": Dataset("(3,)", "the parameters of the power law"),
        "prediction/size": Dataset("(L,)", "sizes that were asked for", type="whole"),
        "prediction/log_prob": Dataset("(L, 3)", "what they would give"),
    },
)


@dataclass(frozen=True)
class Prediction:
    """What a training of another size would give, on the same test rows.

    size: training simulations. log_prob: mean log density, with the scatter of a training but without the sampling
    error of the test rows. gain: over the largest measured size.
    """

    size: int
    log_prob: Estimate
    gain: Estimate


@dataclass(frozen=True)
class Band:
    """The fitted law with its 68.3 % interval, for a figure: training simulations, and mean log density at each."""

    size: tuple[float, ...]
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, repr=False)
class LearningCurve:
    """Mean held-out log density by number of training simulations, and its extrapolation.

    sizes, validation: training and validation simulations of the K trainings.
    rows, simulations: of the test partition.
    log_prob: K means over the test rows, in nats; their intervals are common to all sizes.
    gain: K differences from the size before; the first is missing.
    errors: K standard errors of the difference from the largest size.
    law: "limit" (L_inf), "alpha", "shortfall" (at the largest size), "scatter" (a fraction of the shortfall).
    doubling: gain of twice the largest size.
    predictions: for the sizes that were asked for.
    sentences: all of this in words.
    band: the law, for a figure.
    """

    sizes: tuple[int, ...]
    validation: tuple[int, ...]
    rows: int
    simulations: int
    log_prob: tuple[Estimate, ...]
    gain: tuple[Estimate, ...]
    errors: tuple[float, ...]
    law: Estimates
    doubling: Estimate
    predictions: tuple[Prediction, ...]
    sentences: tuple[str, ...]
    band: Band

    @property
    def doubled_size(self) -> int:
        """Twice the largest number of training simulations."""
        return 2 * self.sizes[-1]

    def table(self) -> Table:
        """A row for each size."""
        title = f"{self.rows} test rows of {self.simulations} simulations; 68.3 % intervals"
        header = ("training simulations", "validation", "log_prob", "gain over the size before")
        columns = zip(self.sizes, self.validation, self.log_prob, self.gain, strict=True)
        return Table(title, header, tuple(tuple(map(str, row)) for row in columns))

    def __repr__(self) -> str:
        return f"<LearningCurve of {', '.join(map(str, self.sizes))} training simulations>"

    def __str__(self) -> str:
        return "\n\n".join([self.table().to_text(), "\n".join(self.sentences)])

    def to_json(self) -> storage.JSONObject:
        """{"sizes", "validation", "rows", "simulations", "log_prob": [entry], "gain": [entry], "error": [number],
        "law": {"limit", "alpha", "shortfall", "scatter"}, "doubling": {"size", "gain"},
        "predictions": [{"size", "log_prob", "gain"}], "words": [sentence], "band": {"size", "value", "low", "high"}};
        an entry is {"value", "low", "high"}."""
        return {
            "sizes": list(self.sizes),
            "validation": list(self.validation),
            "rows": self.rows,
            "simulations": self.simulations,
            "log_prob": [estimate.to_json() for estimate in self.log_prob],
            "gain": [estimate.to_json() for estimate in self.gain],
            "error": list(self.errors),
            "law": {name: estimate.to_json() for name, estimate in self.law.items()},
            "doubling": {"size": self.doubled_size, "gain": self.doubling.to_json()},
            "predictions": [
                {
                    "size": prediction.size,
                    "log_prob": prediction.log_prob.to_json(),
                    "gain": prediction.gain.to_json(),
                }
                for prediction in self.predictions
            ],
            "words": list(self.sentences),
            "band": {name: list(values) for name, values in vars(self.band).items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "LearningCurve":
        """From the document that ``to_json`` gives."""
        return cls(
            sizes=tuple(document["sizes"]),
            validation=tuple(document["validation"]),
            rows=document["rows"],
            simulations=document["simulations"],
            log_prob=tuple(map(Estimate.from_json, document["log_prob"])),
            gain=tuple(map(Estimate.from_json, document["gain"])),
            errors=tuple(document["error"]),
            law={name: Estimate.from_json(entry) for name, entry in document["law"].items()},
            doubling=Estimate.from_json(document["doubling"]["gain"]),
            predictions=tuple(
                Prediction(entry["size"], Estimate.from_json(entry["log_prob"]), Estimate.from_json(entry["gain"]))
                for entry in document["predictions"]
            ),
            sentences=tuple(document["words"]),
            band=Band(**{name: tuple(values) for name, values in document["band"].items()}),
        )


def fit_learning_curve(scores: HeldOutScores, predict: Sequence[int] = (), seed: int = 0) -> LearningCurve:
    """The learning curve of measured scores, its power law, and its extrapolation.

    predict: numbers of training simulations to predict the mean log density of the same test rows for.

    Raises UserError if the test rows are of a single simulation.
    """
    clusters = Clusters.from_ids(scores.simulation, seed)
    if clusters.count < 2:
        raise UserError(
            "the test partition has a single simulation; a learning curve requires at least two (`fractions`)"
        )
    covariance = covariance_of_differences(scores.log_prob, clusters)
    law = fit_scaling_law(scores.sizes, scores.log_prob.mean(axis=1), covariance, seed)
    sizes = tuple(scores.sizes.tolist())
    log_prob = tuple(_mean(row, clusters) for row in scores.log_prob)
    steps = (_mean(step, clusters) for step in np.diff(scores.log_prob, axis=0))
    gain = (Estimate.missing("the smallest size"), *steps)
    law_estimates = {
        "limit": _median(law.asymptote),
        "alpha": _median(law.alpha),
        "shortfall": _median(law.shortfall),
        "scatter": _median(law.scatter),
    }
    doubling = _median(law.gain(2 * sizes[-1]))
    predictions = tuple(Prediction(size, _median(law.training_at(size)), _median(law.gain(size))) for size in predict)
    return LearningCurve(
        sizes=sizes,
        validation=tuple(scores.validation.tolist()),
        rows=scores.log_prob.shape[1],
        simulations=clusters.count,
        log_prob=log_prob,
        gain=gain,
        errors=tuple(np.sqrt(np.diag(covariance)).tolist()),
        law=law_estimates,
        doubling=doubling,
        predictions=predictions,
        sentences=(
            _describe_doubling(sizes[-1], doubling),
            _describe_law(sizes[-1], law_estimates),
            *_describe_losses(sizes, gain),
            *(_describe_prediction(prediction, log_prob[-1]) for prediction in predictions),
        ),
        band=_band(law, sizes[0], max([2 * sizes[-1], *predict])),
    )


def write(
    path: Path, scores: HeldOutScores, curve: LearningCurve, meta: storage.JSONObject, force: bool = False
) -> None:
    """/document (JSON); /sizes, /validation (K,); /log_prob (K, n) with /index and /simulation (n,) of the test rows;
    /mean, /gain (K, 3), /law/NAME (3,), /doubling (3,), /prediction/size (Q,) and /prediction/log_prob (Q, 3): value,
    low, high; NaN is null.

    Raises UserError if the file exists already, unless ``force``.
    """
    arrays = {
        "document": np.array(json.dumps(curve.to_json(), allow_nan=False)),
        "sizes": scores.sizes,
        "validation": scores.validation,
        "log_prob": scores.log_prob,
        "index": scores.index.astype(np.int64),
        "simulation": scores.simulation,
        "mean": np.stack([estimate.to_array() for estimate in curve.log_prob]),
        "gain": np.stack([estimate.to_array() for estimate in curve.gain]),
        "doubling": curve.doubling.to_array(),
    }
    arrays |= {f"law/{name}": estimate.to_array() for name, estimate in curve.law.items()}
    if curve.predictions:
        arrays["prediction/size"] = np.array([prediction.size for prediction in curve.predictions])
        arrays["prediction/log_prob"] = np.stack([prediction.log_prob.to_array() for prediction in curve.predictions])
    storage.write(path, storage.FileContents("learning-curve", meta, arrays), force)


def read(path: Path) -> LearningCurve:
    """The learning curve that a file holds."""
    return storage.read_document(path, SCHEMA, LearningCurve.from_json)


def _mean(values: np.ndarray, clusters: Clusters) -> Estimate:
    """Of (n,), with one clustered standard error to either side."""
    mean, error = clusters.mean(values)
    return Estimate(mean, mean - error, mean + error)


def _median(draws: np.ndarray) -> Estimate:
    """Median and central 68.3 % of (D,)."""
    return Estimate(float(np.median(draws)), *interval(draws))


def _band(law: ScalingLaw, smallest: int, largest: int) -> Band:
    sizes = np.geomspace(smallest, largest, BAND_SIZES)
    estimates = np.stack([_median(law.log_prob_at(size)).to_array() for size in sizes])
    return Band(tuple(sizes.tolist()), *(tuple(column) for column in estimates.T.tolist()))


def _describe_doubling(largest: int, gain: Estimate) -> str:
    assert gain.low is not None and gain.high is not None
    if gain.high < WORTHWHILE_GAIN_NATS:
        trend = "the curve has flattened"
    else:
        trend = "the curve has not flattened" if gain.low > WORTHWHILE_GAIN_NATS else "the curve is flattening"
    sizes = f"from {largest:,} to {2 * largest:,}"
    return f"Doubling the training simulations {sizes} would gain {gain.format()} nat; {trend}."


def _describe_law(largest: int, law: Estimates) -> str:
    return (
        f"With {largest:,} training simulations the mean log_prob is {law['shortfall'].format()} nat below the "
        f"extrapolated limit ({law['limit'].format()}); the difference decreases as N^-{law['alpha'].format()}."
    )


def _describe_losses(sizes: Sequence[int], gain: Sequence[Estimate]) -> list[str]:
    """Sizes at which the flow is significantly worse than with fewer simulations."""
    sentences = []
    for size, step in zip(sizes[1:], gain[1:], strict=True):
        assert step.value is not None and step.high is not None
        if step.value < -SIGNIFICANT_LOSS_ERRORS * (step.high - step.value):
            sentences.append(
                f"With {size:,} training simulations the flow is worse than with fewer by {(-step).format()} nat: this "
                "training failed, or its rows differ from the others, and the extrapolation is not reliable."
            )
    return sentences


def _describe_prediction(prediction: Prediction, largest: Estimate) -> str:
    return (
        f"With {prediction.size:,} training simulations the mean log_prob of these test rows would be "
        f"{prediction.log_prob.format('.3f')} (now {largest.value:.3f})."
    )
