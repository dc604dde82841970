"""Embedding networks: from the observables of a row to one vector."""

from collections.abc import Sequence
from dataclasses import asdict
from math import prod
from typing import Any

import torch
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.networks import NETWORKS
from cosmoinfer.networks.layers import Generators
from cosmoinfer.settings import recipe_of_config

MIXED_PRECISION_DEVICES = ("cuda",)  # where bfloat16 is faster
NetworkConfig = tuple[str, dict[str, object]]  # name in NETWORKS, or none, and its settings


class Embedding(nn.Module):
    """One network per observable, whose outputs are concatenated: (M, B, ...) each -> (M, B, size).

    mixed_precision: products and convolutions are in bfloat16 during training; the output is float32.
    """

    def __init__(self, networks: Sequence[nn.Module], size: int) -> None:
        super().__init__()
        self.networks, self.size, self.mixed_precision = nn.ModuleList(networks), size, False

    def forward(self, *data: torch.Tensor) -> torch.Tensor:
        if self.mixed_precision and self.training:
            with torch.autocast(data[0].device.type, torch.bfloat16):
                return self._concatenate(data).float()
        return self._concatenate(data)

    def _concatenate(self, data: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat([network(x) for network, x in zip(self.networks, data, strict=True)], dim=-1)


class SetEmbedding(nn.Module):
    """The mean of an embedding over a set of R rows, invariant under their order: (M, B, R, ...) each -> (M, B, size).

    Deep sets (Zaheer et al. 2017, arXiv:1703.06114).
    """

    def __init__(self, row_embedding: Embedding) -> None:
        super().__init__()
        self.row_embedding, self.size = row_embedding, row_embedding.size

    def forward(self, *data: torch.Tensor) -> torch.Tensor:
        rows = self.row_embedding(*(x.flatten(1, 2) for x in data))  # (M, B*R, F)
        return rows.unflatten(1, (-1, data[0].shape[2])).mean(dim=2)


def use_mixed_precision(network: nn.Module, device: torch.device) -> None:
    """Train the embeddings of a network in bfloat16, where that is faster: a density needs all digits of its own.

    Raises UserError (``mixed_precision``) on devices where it is slower.
    """
    if device.type not in MIXED_PRECISION_DEVICES:
        devices = ", ".join(MIXED_PRECISION_DEVICES)
        raise UserError(f"is for {devices}; bfloat16 is slower on a {device.type}", setting="mixed_precision")
    for layer in network.modules():
        if isinstance(layer, Embedding):
            layer.mixed_precision = True


def network_configs(networks: Sequence[tuple[str, Any]], periodic: Sequence[bool]) -> list[list[Any]]:
    """[name, settings] of each observable, for JSON; ``periodic`` says of each whether its box wraps round."""
    configs: list[list[Any]] = []
    for (name, recipe), is_periodic in zip(networks, periodic, strict=True):
        settings = {} if recipe is None else asdict(recipe)
        configs.append([name, settings | {"periodic": is_periodic} if "periodic" in settings else settings])
    return configs


def build_embedding(
    networks: Sequence[NetworkConfig], shapes: Sequence[tuple[int, ...]], features: int, generators: Generators
) -> Embedding:
    """One network per observable of row shape ``shapes``, each with ``features`` outputs; ``none`` only flattens."""
    modules: list[nn.Module] = []
    size = 0
    for (name, settings), shape in zip(networks, shapes, strict=True):
        if name == "none":
            modules.append(nn.Flatten(2))
            size += prod(shape)
        else:
            modules.append(recipe_of_config(NETWORKS[name], settings).build(shape, features, generators))
            size += features
    return Embedding(modules, size)
