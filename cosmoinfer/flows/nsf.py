"""Neural spline flows."""

from dataclasses import dataclass

from nflows.transforms.base import CompositeTransform, Transform

from cosmoinfer.flows.conditioner import Conditioner
from cosmoinfer.flows.elementwise import Spline
from cosmoinfer.flows.transforms import LU, Coupling, halves
from cosmoinfer.networks.stacked import Generators


@dataclass(frozen=True)
class NSF:
    """Rational-quadratic coupling layers with LU mixing between them (Durkan+ arXiv:1906.04032)."""

    layers: int = 3
    hidden: int = 64
    blocks: int = 2
    bins: int = 8
    dropout: float = 0.0
    activation: str = "silu"

    def build(self, features: int, context: int, generators: Generators) -> Transform:
        parts: list[Transform] = []
        for number in range(self.layers):
            odd = number % 2 == 1
            mapped, passing = halves(features, odd)
            spline = Spline(self.bins)
            conditioner = Conditioner(
                generators,
                len(passing),
                len(mapped),
                spline.outputs,
                context,
                self.hidden,
                self.blocks,
                self.dropout,
                self.activation,
            )
            if features > 1:
                parts.append(LU(generators, features))
            parts.append(Coupling(spline, conditioner, features, odd))
        return CompositeTransform(parts)
