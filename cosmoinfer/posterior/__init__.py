"""Posteriors of many observations: draws, point estimates, class probabilities, diagnostics, and their file.

Needs no torch.
"""

from cosmoinfer.posterior.classes import ClassProbabilities
from cosmoinfer.posterior.diagnostics import Diagnostics
from cosmoinfer.posterior.draws import LARGE_DATASETS, DrawArray, Draws, PointEstimate, map_rows, row_slices
from cosmoinfer.posterior.file import SCHEMA, read, read_joined, write
from cosmoinfer.posterior.observation_summary import ObservationSummary, summarise_observations
from cosmoinfer.posterior.posterior import Posterior

__all__ = [
    "LARGE_DATASETS",
    "SCHEMA",
    "ClassProbabilities",
    "Diagnostics",
    "DrawArray",
    "Draws",
    "ObservationSummary",
    "PointEstimate",
    "Posterior",
    "map_rows",
    "read",
    "read_joined",
    "row_slices",
    "summarise_observations",
    "write",
]
