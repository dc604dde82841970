"""Flows that give p(theta | x): what to train, how it is trained, and the model that comes of it."""

from cosmoinfer.models.flow.fit import fit_flow
from cosmoinfer.models.flow.model import FlowModel, build_flow
from cosmoinfer.models.flow.recipe import flow_recipe

__all__ = ["FlowModel", "build_flow", "fit_flow", "flow_recipe"]
