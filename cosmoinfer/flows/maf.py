"""Masked autoregressive flows."""

from dataclasses import dataclass

from nflows.transforms.base import CompositeTransform, Transform

from cosmoinfer.flows.conditioner import Conditioner
from cosmoinfer.flows.elementwise import Affine, Spline
from cosmoinfer.flows.transforms import Autoregressive, Reverse
from cosmoinfer.networks.stacked import Generators


@dataclass(frozen=True)
class MAF:
    """x_i = mu_i(x_<i) + sigma_i(x_<i) z_i, the order reversed from layer to layer (Papamakarios+ arXiv:1705.07057).

    One parameter has nothing before it: an affine map alone would be a Gaussian, so a spline shaped by the context
    follows.
    """

    layers: int = 3
    hidden: int = 64
    blocks: int = 2
    dropout: float = 0.0
    activation: str = "silu"

    def build(self, features: int, context: int, generators: Generators) -> Transform:
        maps: list[Affine | Spline] = [Affine() for _ in range(self.layers)]
        if features == 1:
            maps = [*maps[:1], Spline()]
        parts: list[Transform] = []
        for number, elementwise in enumerate(maps):
            if number:
                parts.append(Reverse())
            parts.append(Autoregressive(elementwise, self._made(features, elementwise.outputs, context, generators)))
        return CompositeTransform(parts)

    def _made(self, features: int, outputs: int, context: int, generators: Generators) -> Conditioner:
        return Conditioner(
            generators,
            features,
            features,
            outputs,
            context,
            self.hidden,
            self.blocks,
            self.dropout,
            self.activation,
            masked=True,
        )
