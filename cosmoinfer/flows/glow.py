"""Glow for vectors: ActNorm, invertible linear mixing, affine coupling."""

from dataclasses import dataclass

from cosmoinfer.flows.conditional import coupling_layer
from cosmoinfer.flows.elementwise import affine_maps
from cosmoinfer.flows.linear import LU, ActNorm, linear_start
from cosmoinfer.flows.transform import Composite, Transform
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.layers import Generators
from cosmoinfer.settings import setting


@dataclass(frozen=True)
class Glow:
    """A step: ActNorm, an invertible matrix (the 1x1 convolution), affine coupling (Kingma+ arXiv:1807.03039).

    ActNorm needs ``flows.linear.initialise`` with training rows before the first use. One parameter has nothing
    to mix: ActNorm, an affine map shaped by the context, and, since that would be a Gaussian, a spline shaped by the
    context; without a context, all are plain learned maps. ``linear_start``: a regression on the context comes first.
    """

    layers: int = setting(6, minimum=1, maximum=100)
    hidden: int = setting(64, minimum=1, maximum=8192)
    blocks: int = setting(2, minimum=0, maximum=100)
    dropout: float = setting(0.0, minimum=0, below=1)
    activation: str = setting("silu", choices=ACTIVATIONS)
    linear_start: bool = True

    def build(self, features: int, context: int, generators: Generators) -> Transform:
        transforms = linear_start(self.linear_start, features, context, generators)
        for number, elementwise in enumerate(affine_maps(self.layers, features, min_layers=min(2, features))):
            transforms.append(ActNorm(generators, features))
            if features > 1:
                transforms.append(LU(generators, features))
            transforms.append(coupling_layer(elementwise, features, number % 2 == 1, context, self, generators))
        return Composite(transforms)

    def passes(self, features: int) -> tuple[int, int]:
        """Network passes a layer: one to evaluate a density, one to draw."""
        return 1, 1
