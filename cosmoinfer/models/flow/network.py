"""The network of a flow, an embedding and a transform, and the JSON that it is built from."""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn

from cosmoinfer.flows import FLOWS, Transform
from cosmoinfer.models.architecture import describe_stack
from cosmoinfer.models.flow.recipe import EMBEDDING, StackRecipe
from cosmoinfer.models.model import Stack
from cosmoinfer.models.recipe import prefixed_errors
from cosmoinfer.networks.embedding import Embedding, SetEmbedding, build_embedding, network_configs
from cosmoinfer.networks.layers import Generators
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.settings import recipe_of_config
from cosmoinfer.storage import JSONObject
from cosmoinfer.supports import Support


class ConditionalFlow(nn.Module):
    """An embedding of the data and a transform from parameters to standard normal noise, M members of each."""

    embedding: Embedding | SetEmbedding
    transform: Transform

    def __init__(self, embedding: Embedding | SetEmbedding, transform: Transform) -> None:
        super().__init__()
        self.embedding, self.transform = embedding, transform

    def log_prob(self, z: torch.Tensor, context: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
        """log q(z | x), (M, B), of rows (M, B, P) under contexts (M, B, C), or (M, 1, C): one for all rows.

        temperature: the standard deviation of the noise.
        """
        noise, log_det = self.transform(z, context)
        return log_det + _log_normal(noise, temperature)

    def draw(self, noise: torch.Tensor, context: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
        """z of standard normal noise (M, B, P), and log q(z | x), (M, B); contexts as for ``log_prob``."""
        noise = noise * temperature
        z, log_det = self.transform.inverse(noise, context)
        return z, _log_normal(noise, temperature) - log_det

    @staticmethod
    def from_config(config: JSONObject, generators: Generators) -> "ConditionalFlow":
        """From the JSON of a stack, with fresh weights: recipe and embedding by name, with their settings."""
        size = config.get("rows", 0)
        shapes = [tuple(shape[1:] if size else shape) for shape in config["shapes"]]
        with prefixed_errors(EMBEDDING):
            row_embedding = build_embedding(config["embedding"], shapes, config["features"], generators)
        embedding = SetEmbedding(row_embedding) if size else row_embedding
        recipe = recipe_of_config(FLOWS[config["flow"]], config["recipe"])
        return ConditionalFlow(embedding, recipe.build(config["parameters"], embedding.size, generators))


@dataclass(frozen=True)
class FlowStack(Stack[ConditionalFlow]):
    """Members of one architecture, as of ``Stack``, whose flows live on the line of one support."""

    support: Support

    def describe(self) -> str:
        """How many members of which architecture, on which support."""
        return describe_stack(self.members, self.architecture, self.support.label)


def _log_normal(noise: torch.Tensor, temperature: float) -> torch.Tensor:
    """log density of independent normals of this width, (..., P) -> (...)."""
    squares = (noise / temperature).square()
    return -0.5 * (squares + np.log(2 * np.pi)).sum(-1) - noise.shape[-1] * np.log(temperature)


def stack_config(
    preprocessing: Preprocessing, shapes: tuple[tuple[int, ...], ...], recipe: StackRecipe, size: int = 0
) -> JSONObject:
    """The JSON from which ``ConditionalFlow.from_config`` builds; plain lists and numbers only.

    size: of sets that rows stand for.
    """
    wraps = preprocessing.periodic if len(preprocessing.periodic) == len(shapes) else [False] * len(shapes)
    return {
        "flow": recipe.flow,
        "recipe": asdict(recipe.settings),
        "embedding": network_configs(recipe.embedding, wraps),
        "features": recipe.features,
        "shapes": [list(shape) for shape in shapes],
        "parameters": len(preprocessing.parameters),
        **({"rows": size} if size else {}),
    }
