"""RealNVP: affine coupling with alternating masks."""

from dataclasses import dataclass

from cosmoinfer.flows.conditional import coupling_layer
from cosmoinfer.flows.elementwise import affine_maps
from cosmoinfer.flows.linear import linear_start
from cosmoinfer.flows.transform import Composite, Transform
from cosmoinfer.networks.layers import Generators


@dataclass(frozen=True)
class RealNVP:
    """Every second dimension is scaled and shifted, shaped by the others; then the others (Dinh+ arXiv:1605.08803).

    One parameter has no other: an affine map shaped by the context alone would be a Gaussian, so a spline shaped by
    the context follows; without a context, both are plain learned maps. ``linear``: a regression on the context comes
    first.
    """

    layers: int = 6
    hidden: int = 64
    blocks: int = 2
    dropout: float = 0.0
    activation: str = "silu"
    linear_start: bool = True

    def build(self, features: int, context: int, generators: Generators) -> Transform:
        transforms = linear_start(self.linear_start, features, context, generators)
        for number, elementwise in enumerate(affine_maps(self.layers, features, min_layers=min(2, features))):
            transforms.append(coupling_layer(elementwise, features, number % 2 == 1, context, self, generators))
        return Composite(transforms)

    def passes(self, features: int) -> tuple[int, int]:
        """Network passes a layer: to evaluate a density, and to draw."""
        return 1, 1
