"""What a kept file says, in a few numbers and words: of each kind, some that the package reads and some it computes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cosmoinfer
from cosmoinfer import metrics, split
from cosmoinfer.models.density import scores
from cosmoinfer.studies import cross_suite, learning_curve

KEPT = Path(__file__).parent
NUMBERS = "numbers.json"
ROWS = slice(0, 4)
Numbers = dict[str, Any]  # what JSON has: numbers, text, null, in lists


def of_model(path: Path) -> Numbers:
    """Its density or its probabilities of some rows of the catalog beside it."""
    model = cosmoinfer.load(path)
    sims = cosmoinfer.read_catalog(path.parent / ("rigid.h5" if model.kind == "density" else "sims.h5"))
    theta, x = sims.theta[ROWS], sims.observables[0].values[:][ROWS]
    if model.kind == "classifier":
        return {"classes": list(model.preprocessing.classes), "probabilities": model.probabilities(x).tolist()}
    log_prob = model.log_prob(x, theta) if model.kind == "density" else model.log_prob(theta, x)
    return {"names": list(model.preprocessing.parameters.names), "log_prob": log_prob.tolist()}


def of_posterior(path: Path) -> Numbers:
    posterior = cosmoinfer.read_posterior(path)
    numbers: Numbers = {
        "names": list(posterior.parameters.names),
        "simulation": posterior.simulation[ROWS].tolist(),
        "truth": posterior.require_truth()[ROWS].tolist(),
    }
    if posterior.classes is not None:
        return numbers | {"probabilities": posterior.classes.probabilities[ROWS].tolist()}
    draws = posterior.require_draws()
    return numbers | {
        "mean of the draws": draws.mean()[ROWS].tolist(),
        "mean": posterior.mean[ROWS].tolist(),
        "std": posterior.std[ROWS].tolist(),
        "log_prob": posterior.log_prob[ROWS][:, 0].tolist(),
        "low": posterior.parameters.low.tolist(),
    }


def of_split(path: Path) -> Numbers:
    partition = split.read(path)
    return {"sizes": list(partition.sizes), "simulation": partition.simulation[ROWS].tolist()}


def of_scores(path: Path) -> Numbers:
    anomalies = scores.read(path)
    return {name: getattr(anomalies, name)[ROWS].tolist() for name in ("log_prob", "z_score", "p_value", "simulation")}


def of_likelihood(path: Path) -> Numbers:
    likelihood = cosmoinfer.load(path)
    theta = likelihood.prior_transform([[0.2, 0.3], [0.5, 0.5]])
    return {
        "names": list(likelihood.names),
        "kind": likelihood.kind,
        "log likelihood": likelihood(theta).tolist(),
        "gradient": likelihood.gradient(theta).tolist(),
        "ood_percentile": likelihood.observed.ood_percentile.tolist(),
    }


def of_catalog(path: Path) -> Numbers:
    catalog = cosmoinfer.read_catalog(path)
    data = catalog.observables[0].values[:]
    return {"theta": catalog.theta[ROWS].tolist(), "data": data[ROWS].tolist(), "mean": float(data.mean())}


USES: dict[str, Callable[[Path], Numbers]] = {
    "split.h5": of_split,
    "regressor.h5": of_model,
    "classifier.h5": of_model,
    "flow.h5": of_model,
    "summarised.h5": of_model,
    "density.h5": of_model,
    "posterior.h5": of_posterior,
    "normals.h5": of_posterior,
    "probabilities.h5": of_posterior,
    "exact.truth.h5": of_posterior,
    "metrics.h5": lambda path: metrics.read(path).to_json(),
    "confusion.h5": lambda path: metrics.read(path).to_json(),
    "scores.h5": of_scores,
    "likelihood.h5": of_likelihood,
    "ratio.h5": of_likelihood,
    "cross.h5": lambda path: {"pairs": cross_suite.read(path).to_json()["pairs"][:1]},
    "curve.h5": lambda path: learning_curve.read(path).to_json(),
    "exact.h5": of_catalog,
}


def numbers_of(path: Path) -> Numbers:
    """Of a kept file, by its name."""
    return USES[path.name](path)
