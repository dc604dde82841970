"""Neural spline flows."""

from dataclasses import dataclass

from nflows.transforms.base import CompositeTransform, Transform

from cosmoinfer.flows.conditioner import Conditioner
from cosmoinfer.flows.elementwise import Affine, Spline
from cosmoinfer.flows.transforms import LU, Coupling, halves
from cosmoinfer.networks.stacked import Generators


@dataclass(frozen=True)
class NSF:
    """Rational-quadratic coupling layers with LU mixing between them (Durkan+ arXiv:1906.04032).

    One parameter has nothing to mix: an affine map shaped by the context goes first, to meet narrow posteriors.
    """

    layers: int = 3
    hidden: int = 64
    blocks: int = 2
    bins: int = 8
    dropout: float = 0.0
    activation: str = "silu"

    def build(self, features: int, context: int, generators: Generators) -> Transform:
        parts: list[Transform] = []
        if features == 1:
            parts.append(self._coupling(Affine(), 1, False, context, generators))
        for number in range(self.layers):
            if features > 1:
                parts.append(LU(generators, features))
            parts.append(self._coupling(Spline(self.bins), features, number % 2 == 1, context, generators))
        return CompositeTransform(parts)

    def _coupling(
        self, elementwise: Affine | Spline, features: int, odd: bool, context: int, generators: Generators
    ) -> Coupling:
        mapped, passing = halves(features, odd)
        conditioner = Conditioner(
            generators,
            len(passing),
            len(mapped),
            elementwise.outputs,
            context,
            self.hidden,
            self.blocks,
            self.dropout,
            self.activation,
        )
        return Coupling(elementwise, conditioner, features, odd)
