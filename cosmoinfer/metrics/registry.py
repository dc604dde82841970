"""All metrics by name (METRICS), and ``evaluate``, which computes those that a posterior allows."""

from cosmoinfer.metrics.accuracy import ACCURACY
from cosmoinfer.metrics.calibration import CALIBRATION
from cosmoinfer.metrics.classifier.metrics import CLASSIFICATION
from cosmoinfer.metrics.classifier.verdict import class_verdict
from cosmoinfer.metrics.comparison import COMPARISON
from cosmoinfer.metrics.density import DENSITY
from cosmoinfer.metrics.estimate import EstimatesByMetric
from cosmoinfer.metrics.evaluation import Evaluation
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.local_c2st import LOCAL_TESTS
from cosmoinfer.metrics.metric import JOINT, LOCAL, PAIRS, PARAMETERS, Metric
from cosmoinfer.metrics.misspecification import MISSPECIFICATION
from cosmoinfer.metrics.reference_posterior import ReferencePosterior
from cosmoinfer.metrics.verdict import verdict
from cosmoinfer.posterior import Posterior

METRICS: dict[str, Metric] = (
    DENSITY | ACCURACY | CALIBRATION | MISSPECIFICATION | LOCAL_TESTS | COMPARISON | CLASSIFICATION
)


def evaluate(
    posterior: Posterior, seed: int = 0, reference: ReferencePosterior | None = None, local: tuple[int, ...] = ()
) -> Evaluation:
    """Every metric that this posterior allows, with 68.3 % intervals clustered by simulation, and a verdict in words.

    posterior: with the true parameters beside its draws.
    seed: of randomised ranks, TARP reference points and resampling.
    reference: another posterior of the same rows (see ``match_observations``) to compare with.
    local: row numbers at which to test the posterior by local C2ST.

    Raises UserError if the posterior has no truths or no rows, or if a row of ``local`` cannot be tested.
    """
    data = EvaluationData(posterior, seed, reference, local)
    estimates = {name: metric.estimates(data) for name, metric in METRICS.items() if metric.available(data)}
    joint = {name: columns[JOINT] for name, columns in estimates.items() if METRICS[name].scope == JOINT}
    parameters = _of_scope(PARAMETERS, estimates)
    predictions = data.predictions
    return Evaluation(
        rows=len(posterior),
        simulations=data.clusters.count,
        joint=joint,
        parameters=parameters,
        verdict=verdict(data, joint, parameters) if predictions is None else class_verdict(data, predictions),
        pairs=_of_scope(PAIRS, estimates),
        local=_of_scope(LOCAL, estimates),
        compared_to=reference.kind if reference else "",
        confusion=None if predictions is None else predictions.confusion,
    )


def _of_scope(scope: str, estimates: EstimatesByMetric) -> EstimatesByMetric:
    return {name: columns for name, columns in estimates.items() if METRICS[name].scope == scope}
