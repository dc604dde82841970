"""Loss functions by name: LOSSES for regression, CLASSIFICATION_LOSSES for classification.

A new loss is one definition and one entry in the table at the foot of its file.
"""

from cosmoinfer.losses.classification import CLASSIFICATION_LOSSES, ClassificationLoss, fit_temperature, probabilities
from cosmoinfer.losses.output_heads import (
    OUTPUT_HEADS,
    POSITIVE_MAPS,
    make_positive,
    means_and_factors,
    means_and_widths,
)
from cosmoinfer.losses.regression import LOSSES, RegressionLoss, mean, squared_error

__all__ = [
    "CLASSIFICATION_LOSSES",
    "LOSSES",
    "OUTPUT_HEADS",
    "POSITIVE_MAPS",
    "ClassificationLoss",
    "RegressionLoss",
    "fit_temperature",
    "make_positive",
    "mean",
    "means_and_factors",
    "means_and_widths",
    "probabilities",
    "squared_error",
]
