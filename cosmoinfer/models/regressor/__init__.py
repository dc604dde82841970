"""Networks that regress the parameters or tell classes apart: what to train, how, and the model that comes of it."""

from cosmoinfer.models.regressor.classifier import ClassifierModel
from cosmoinfer.models.regressor.fit import collapsed_parameters, fit_classifier, fit_regressor
from cosmoinfer.models.regressor.model import RegressorModel
from cosmoinfer.models.regressor.recipe import regressor_recipe, regressor_settings

__all__ = [
    "ClassifierModel",
    "RegressorModel",
    "collapsed_parameters",
    "fit_classifier",
    "fit_regressor",
    "regressor_recipe",
    "regressor_settings",
]
