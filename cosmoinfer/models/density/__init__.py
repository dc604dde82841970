"""Flows over the data themselves: what to train, how it is trained, and the model that comes of it."""

from cosmoinfer.models.density.fit import fit_density
from cosmoinfer.models.density.model import DensityModel
from cosmoinfer.models.density.recipe import density_recipe, density_settings

__all__ = ["DensityModel", "density_recipe", "density_settings", "fit_density"]
