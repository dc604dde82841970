"""Masked autoregressive flows."""

from dataclasses import dataclass

from cosmoinfer.flows.conditional import Autoregressive, made_conditioner
from cosmoinfer.flows.elementwise import affine_maps
from cosmoinfer.flows.linear import Reverse, linear_start
from cosmoinfer.flows.transform import Composite, Transform
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.layers import Generators
from cosmoinfer.settings import setting


@dataclass(frozen=True)
class MAF:
    """x_i = mu_i(x_<i) + sigma_i(x_<i) z_i, the order reversed from layer to layer (Papamakarios+ arXiv:1705.07057).

    One parameter has nothing before it: an affine map alone would be a Gaussian, so a spline shaped by the context
    follows; without a context, both are plain learned maps. ``linear_start``: a regression on the context comes first.
    """

    layers: int = setting(3, minimum=1, maximum=100)
    hidden: int = setting(64, minimum=1, maximum=8192)
    blocks: int = setting(2, minimum=0, maximum=100)
    dropout: float = setting(0.0, minimum=0, below=1)
    activation: str = setting("silu", choices=ACTIVATIONS)
    linear_start: bool = False

    def build(self, features: int, context: int, generators: Generators) -> Transform:
        transforms = linear_start(self.linear_start, features, context, generators)
        for number, elementwise in enumerate(affine_maps(self.layers, features, min_layers=1)):
            if number:
                transforms.append(Reverse())
            transforms.append(
                Autoregressive(elementwise, made_conditioner(elementwise, features, context, self, generators))
            )
        return Composite(transforms)

    def passes(self, features: int) -> tuple[int, int]:
        """Network passes a layer: one to evaluate a density, P to draw (each parameter requires those before it)."""
        return 1, features
