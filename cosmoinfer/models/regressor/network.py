"""The networks of a regressor: one for each summary; several meet in a linear layer."""

import torch
from torch import nn

from cosmoinfer.losses import make_positive
from cosmoinfer.models.regressor.recipe import RegressorRecipe
from cosmoinfer.networks import NETWORKS
from cosmoinfer.networks.baselines import BASELINES
from cosmoinfer.networks.embedding import Embedding, network_configs
from cosmoinfer.networks.layers import Generators, Linear
from cosmoinfer.settings import recipe_of_config
from cosmoinfer.storage import JSONObject


class Regressor(nn.Module):
    """(M, B, ...) a summary -> outputs (M, B, O) as a loss requires them: what must be positive is."""

    def __init__(self, embedding: Embedding, last: nn.Module, head: str, positive_map: str) -> None:
        super().__init__()
        self.embedding, self.last, self.head, self.positive_map = embedding, last, head, positive_map

    def forward(self, *data: torch.Tensor) -> torch.Tensor:
        return make_positive(self.last(self.embedding(*data)), self.head, self.positive_map)

    @staticmethod
    def from_config(config: JSONObject, generators: Generators) -> "Regressor":
        """From the JSON of a stack, with fresh weights: one recipe a summary, by name, with its settings."""
        shapes = [tuple(shape) for shape in config["shapes"]]
        outputs, alone = config["outputs"], len(shapes) == 1
        recipes = [recipe_of_config((NETWORKS | BASELINES)[name], settings) for name, settings in config["networks"]]
        features = outputs if alone else config["features"]
        networks = [recipe.build(shape, features, generators) for recipe, shape in zip(recipes, shapes, strict=True)]
        size = features * len(shapes)
        last = nn.Identity() if alone else Linear(generators, size, outputs)
        positive_map = getattr(recipes[0], "positive_map", "softplus") if alone else "softplus"
        return Regressor(Embedding(networks, size), last, config["head"], positive_map)


def regressor_config(
    recipe: RegressorRecipe, shapes: tuple[tuple[int, ...], ...], periodic: tuple[bool, ...], outputs: int, head: str
) -> JSONObject:
    """The JSON from which ``Regressor.from_config`` builds; plain lists and numbers only."""
    return {
        "networks": network_configs(recipe.networks, periodic),
        "shapes": [list(shape) for shape in shapes],
        "outputs": outputs,
        "features": recipe.features,
        "head": head,
    }
