"""Flows that give p(theta | x): what to train, how it is trained, and the model that comes of it."""

from cosmoinfer.models.flow.candidate import Candidate, JoinedFlow
from cosmoinfer.models.flow.fit import best_pilot, fit_flow
from cosmoinfer.models.flow.joining import check_joinable, join_flows
from cosmoinfer.models.flow.model import FlowModel
from cosmoinfer.models.flow.network import ConditionalFlow
from cosmoinfer.models.flow.product import product_posterior
from cosmoinfer.models.flow.recipe import check_passes, flow_recipe, flow_settings
from cosmoinfer.models.flow.reuse import continued_recipe, recipe_like, recipe_of_document

__all__ = [
    "Candidate",
    "ConditionalFlow",
    "FlowModel",
    "JoinedFlow",
    "best_pilot",
    "check_joinable",
    "check_passes",
    "continued_recipe",
    "fit_flow",
    "flow_recipe",
    "flow_settings",
    "join_flows",
    "product_posterior",
    "recipe_like",
    "recipe_of_document",
]
