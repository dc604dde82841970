"""Networks that regress the parameters: what to train, how it is trained, and the model that comes of it."""

from cosmoinfer.models.regressor.fit import fit_regressor
from cosmoinfer.models.regressor.model import RegressorModel, build_regressor
from cosmoinfer.models.regressor.recipe import regressor_recipe

__all__ = ["RegressorModel", "build_regressor", "fit_regressor", "regressor_recipe"]
