"""What a network minimises, by name: LOSSES for parameters, CLASSIFICATION_LOSSES for classes.

A new loss is one definition and one name in the table at the foot of its file.
"""

from cosmoinfer.losses.classification import CLASSIFICATION_LOSSES, ClassificationLoss, fit_temperature, probabilities
from cosmoinfer.losses.heads import HEADS, POSITIVE, means_and_factors, means_and_widths, positive
from cosmoinfer.losses.regression import LOSSES, RegressionLoss, mean, squared_error

__all__ = [
    "CLASSIFICATION_LOSSES",
    "HEADS",
    "LOSSES",
    "POSITIVE",
    "ClassificationLoss",
    "RegressionLoss",
    "fit_temperature",
    "mean",
    "means_and_factors",
    "means_and_widths",
    "positive",
    "probabilities",
    "squared_error",
]
