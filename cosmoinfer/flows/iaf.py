"""Inverse autoregressive flows."""

from dataclasses import dataclass

from cosmoinfer.flows.conditional import InverseAutoregressive, made_conditioner
from cosmoinfer.flows.elementwise import affine_maps
from cosmoinfer.flows.linear import Reverse, linear_start
from cosmoinfer.flows.transform import Composite, Transform
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.layers import Generators
from cosmoinfer.settings import setting


@dataclass(frozen=True)
class IAF:
    """x_i = mu_i(z_<i) + sigma_i(z_<i) z_i, the order reversed from layer to layer (Kingma+ arXiv:1606.04934).

    A draw takes one pass of the network, a density D steps. It is trained by maximum likelihood like every flow, so
    time and memory of a training step grow with D. One parameter has nothing before it: an affine map shaped by the
    context and a spline shaped by the context; without a context, both are plain learned maps. ``linear_start``: a
    regression on the context comes first.
    """

    layers: int = setting(3, minimum=1, maximum=100)
    hidden: int = setting(64, minimum=1, maximum=8192)
    blocks: int = setting(2, minimum=0, maximum=100)
    dropout: float = setting(0.0, minimum=0, below=1)
    activation: str = setting("silu", choices=ACTIVATIONS)
    linear_start: bool = True

    def build(self, features: int, context: int, generators: Generators) -> Transform:
        transforms = linear_start(self.linear_start, features, context, generators)
        for number, elementwise in enumerate(affine_maps(self.layers, features, min_layers=1)):
            if number:
                transforms.append(Reverse())
            network = made_conditioner(elementwise, features, context, self, generators)
            transforms.append(InverseAutoregressive(elementwise, network))
        return Composite(transforms)

    def passes(self, features: int) -> tuple[int, int]:
        """Network passes a layer: P to evaluate a density (each parameter requires those before it), one to draw."""
        return features, 1
