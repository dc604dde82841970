"""Metrics: a posterior with known truths becomes numbers, verdicts and curves. numpy and scipy only.

Adding one is a definition and an entry in the table at the foot of its family's file: accuracy, density, calibration,
classification.
"""

from cosmoinfer.metrics.curves import Curve, Curves, curves
from cosmoinfer.metrics.document import METRICS, evaluate
from cosmoinfer.metrics.file import read, write
from cosmoinfer.metrics.gate import gate
from cosmoinfer.metrics.reliability import Reliability, reliability
from cosmoinfer.metrics.summary import summary

__all__ = [
    "METRICS",
    "Curve",
    "Curves",
    "Reliability",
    "curves",
    "evaluate",
    "gate",
    "read",
    "reliability",
    "summary",
    "write",
]
