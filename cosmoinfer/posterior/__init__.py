"""Posteriors of many observations: draws, point estimates, class probabilities, diagnostics, and their file.

Needs no torch.
"""

from cosmoinfer.posterior.classes import ClassProbabilities
from cosmoinfer.posterior.diagnostics import Diagnostics
from cosmoinfer.posterior.draws import DrawArray, Draws, PointEstimate, map_rows, row_slices
from cosmoinfer.posterior.file import LARGE_DATASETS, SCHEMA, read, write
from cosmoinfer.posterior.posterior import Posterior

__all__ = [
    "LARGE_DATASETS",
    "SCHEMA",
    "ClassProbabilities",
    "Diagnostics",
    "DrawArray",
    "Draws",
    "PointEstimate",
    "Posterior",
    "map_rows",
    "read",
    "row_slices",
    "write",
]
