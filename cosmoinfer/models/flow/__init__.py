"""Flows that give p(theta | x): what to train, how it is trained, and the model that comes of it."""

from cosmoinfer.models.flow.fit import fit_flow
from cosmoinfer.models.flow.model import FlowModel
from cosmoinfer.models.flow.network import build_flow
from cosmoinfer.models.flow.product import product_posterior
from cosmoinfer.models.flow.recipe import continued_recipe, cost, flow_recipe

__all__ = ["FlowModel", "build_flow", "continued_recipe", "cost", "fit_flow", "flow_recipe", "product_posterior"]
