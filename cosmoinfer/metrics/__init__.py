"""Metrics: a posterior with known true parameters becomes numbers, verdicts and curves. Without torch.

A new metric is one definition and one entry in the table at the foot of its file: accuracy, density, calibration,
misspecification, local_c2st, comparison, classifier/metrics. A default gate is an entry in ``gates``.
"""

from cosmoinfer.metrics.classifier.predictions import Confusion
from cosmoinfer.metrics.classifier.reliability import Reliability, reliability
from cosmoinfer.metrics.curves import Curve, Curves, curves
from cosmoinfer.metrics.estimate import Estimate
from cosmoinfer.metrics.evaluation import Evaluation
from cosmoinfer.metrics.file import SCHEMA, read, write
from cosmoinfer.metrics.gate_results import GateResult, GateResults
from cosmoinfer.metrics.gates import GATES, check_default_gates, check_gate, check_gate_parameter, validate_gate
from cosmoinfer.metrics.reference_posterior import ReferencePosterior, match_observations
from cosmoinfer.metrics.registry import METRICS, evaluate
from cosmoinfer.metrics.two_sample import c2st, check_local
from cosmoinfer.metrics.verdict import Verdict

__all__ = [
    "GATES",
    "METRICS",
    "SCHEMA",
    "Confusion",
    "Curve",
    "Curves",
    "Estimate",
    "Evaluation",
    "GateResult",
    "GateResults",
    "ReferencePosterior",
    "Reliability",
    "Verdict",
    "c2st",
    "check_default_gates",
    "check_gate",
    "check_gate_parameter",
    "check_local",
    "curves",
    "evaluate",
    "match_observations",
    "read",
    "reliability",
    "validate_gate",
    "write",
]
