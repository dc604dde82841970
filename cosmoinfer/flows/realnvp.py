"""RealNVP: affine coupling with alternating masks."""

from dataclasses import dataclass

from cosmoinfer.flows.conditional import coupling_layer
from cosmoinfer.flows.elementwise import affine_maps
from cosmoinfer.flows.linear import linear_start
from cosmoinfer.flows.transform import Composite, Transform
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.layers import Generators
from cosmoinfer.settings import setting


@dataclass(frozen=True)
class RealNVP:
    """Every second dimension is scaled and shifted, shaped by the others; then the others (Dinh+ arXiv:1605.08803).

    One parameter has no other: an affine map shaped by the context alone would be a Gaussian, so a spline shaped by
    the context follows; without a context, both are plain learned maps. ``linear_start``: a regression on the context
    comes first.
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
            transforms.append(coupling_layer(elementwise, features, number % 2 == 1, context, self, generators))
        return Composite(transforms)

    def passes(self, features: int) -> tuple[int, int]:
        """Network passes a layer: one to evaluate a density, one to draw."""
        return 1, 1
