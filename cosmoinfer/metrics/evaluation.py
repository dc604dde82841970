"""The whole evaluation as one JSON document: what ``evaluate --json`` prints and the metrics file holds."""

from typing import Any

from cosmoinfer.metrics.accuracy import ACCURACY
from cosmoinfer.metrics.calibration import CALIBRATION
from cosmoinfer.metrics.classifier.metrics import CLASSIFICATION
from cosmoinfer.metrics.classifier.verdict import class_verdict
from cosmoinfer.metrics.comparison import COMPARISON
from cosmoinfer.metrics.density import DENSITY
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.local_c2st import LOCAL_TESTS
from cosmoinfer.metrics.metric import JOINT, PARAMETERS, Metric
from cosmoinfer.metrics.misspecification import MISSPECIFICATION
from cosmoinfer.metrics.reference_posterior import ReferencePosterior
from cosmoinfer.metrics.verdict import verdict
from cosmoinfer.posterior import Posterior

METRICS: dict[str, Metric] = (
    DENSITY | ACCURACY | CALIBRATION | MISSPECIFICATION | LOCAL_TESTS | COMPARISON | CLASSIFICATION
)


def evaluate(
    posterior: Posterior, seed: int = 0, other: ReferencePosterior | None = None, local: tuple[int, ...] = ()
) -> dict[str, Any]:
    """Every metric that this posterior allows, with 68.3 % intervals clustered by simulation, and a verdict in words.

    {"rows", "simulations", "verdict": {"joint", "parameters": {name}}, "metrics": {"joint": {metric: entry},
    "parameters": {metric: {name: entry}}}}; an entry is {"value", "low", "high"}, null where not finite, and then with
    a "reason". Metrics that need what the posterior does not hold (a width, draws, a reference) are absent. With two
    parameters and more, {"metrics": {"pairs": {metric: {"a,b": entry}}}}.

    other: another posterior of the same rows (``matched``), to hold this one against; then {"against": its kind}.
    local: row numbers to test the posterior at, one by one; then {"metrics": {"local": {metric: {"17": entry}}}}. Of a
    classifier also {"confusion": {"classes", "counts"}}: rows of each class (down) by the class they are taken for.
    """
    data = EvaluationData(posterior, seed, other, local)
    metrics: dict[str, dict[str, Any]] = {JOINT: {}, PARAMETERS: {}}
    for name, metric in METRICS.items():
        if metric.available(data):
            metrics.setdefault(metric.scope, {})[name] = metric.entries(data)
    document: dict[str, Any] = {"rows": len(posterior), "simulations": data.clusters.count}
    document |= {"against": other.kind} if other else {}
    if data.predictions is None:
        return document | {"verdict": verdict(data, metrics), "metrics": metrics}
    counts = data.predictions.confusion.tolist()
    return document | {
        "verdict": class_verdict(data, data.predictions),
        "metrics": metrics,
        "confusion": {"classes": list(posterior.classes), "counts": counts},
    }
