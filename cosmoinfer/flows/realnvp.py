"""RealNVP: affine coupling with alternating masks."""

from dataclasses import dataclass

from nflows.transforms.base import CompositeTransform, Transform

from cosmoinfer.flows.transforms import affine_maps, coupling, linear_start
from cosmoinfer.networks.stacked import Generators


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
    linear: bool = True

    def build(self, features: int, context: int, generators: Generators) -> Transform:
        parts = linear_start(self.linear, features, context, generators)
        for number, elementwise in enumerate(affine_maps(self.layers, features, least=min(2, features))):
            parts.append(coupling(elementwise, features, number % 2 == 1, context, self, generators))
        return CompositeTransform(parts)

    def passes(self, features: int) -> tuple[int, int]:
        """Network passes a layer: to evaluate a density, and to draw."""
        return 1, 1
