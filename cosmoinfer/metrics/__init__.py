"""Metrics: a posterior with known truths becomes numbers, verdicts and curves. numpy and scipy only.

Adding one is a definition and an entry in the table at the foot of its family's file: accuracy, density, calibration,
misspecification, local, against, classification. A gate of the default set is an entry in ``gate``.
"""

from cosmoinfer.metrics.classifier.reliability import Reliability, reliability
from cosmoinfer.metrics.curves import Curve, Curves, curves
from cosmoinfer.metrics.evaluation import METRICS, evaluate
from cosmoinfer.metrics.evaluation_data import check_local
from cosmoinfer.metrics.file import read, write
from cosmoinfer.metrics.gates import GATES, check_default_gates, gate_failure, validate_gate
from cosmoinfer.metrics.reference_posterior import ReferencePosterior, match_observations
from cosmoinfer.metrics.summary import summary
from cosmoinfer.metrics.two_sample import c2st

__all__ = [
    "GATES",
    "METRICS",
    "Curve",
    "Curves",
    "ReferencePosterior",
    "Reliability",
    "c2st",
    "check_default_gates",
    "check_local",
    "curves",
    "evaluate",
    "gate_failure",
    "match_observations",
    "read",
    "reliability",
    "summary",
    "validate_gate",
    "write",
]
