"""Neural spline flows: by coupling, and autoregressive."""

from dataclasses import dataclass

from nflows.transforms.base import CompositeTransform, Transform

from cosmoinfer.flows.elementwise import Affine
from cosmoinfer.flows.spline import Spline
from cosmoinfer.flows.transforms import LU, Autoregressive, Reverse, coupling, enough_layers, linear_start, made
from cosmoinfer.networks.stacked import Generators


@dataclass(frozen=True)
class NSF:
    """Rational-quadratic coupling layers with LU mixing between them (Durkan+ arXiv:1906.04032).

    One parameter has nothing to mix: an affine map shaped by the context goes first, to meet narrow posteriors;
    without a context, all are plain learned maps. ``linear``: a regression on the context comes first.
    """

    layers: int = 3
    hidden: int = 64
    blocks: int = 2
    bins: int = 8
    dropout: float = 0.0
    activation: str = "silu"
    linear: bool = False

    def build(self, features: int, context: int, generators: Generators) -> Transform:
        enough_layers(self.layers, least=min(2, features))
        parts = linear_start(self.linear, features, context, generators)
        if features == 1:
            parts.append(coupling(Affine(), 1, False, context, self, generators))
        for number in range(self.layers):
            if features > 1:
                parts.append(LU(generators, features))
            parts.append(coupling(Spline(self.bins), features, number % 2 == 1, context, self, generators))
        return CompositeTransform(parts)

    def passes(self, features: int) -> tuple[int, int]:
        """Network passes a layer: to evaluate a density, and to draw."""
        return 1, 1


@dataclass(frozen=True)
class AutoregressiveNSF:
    """z_i a rational-quadratic spline of x_i, shaped by x_<i, the order reversed each layer (Durkan+ arXiv:1906.04032).

    An affine autoregressive layer goes first, to meet narrow posteriors. One parameter: all are shaped by the context;
    without a context, all are plain learned maps. ``linear``: a regression on the context comes first.
    """

    layers: int = 3
    hidden: int = 64
    blocks: int = 2
    bins: int = 8
    dropout: float = 0.0
    activation: str = "silu"
    linear: bool = True

    def build(self, features: int, context: int, generators: Generators) -> Transform:
        enough_layers(self.layers, least=1)
        parts = linear_start(self.linear, features, context, generators)
        parts.append(Autoregressive(Affine(), made(Affine(), features, context, self, generators)))
        for _ in range(self.layers):
            spline = Spline(self.bins)
            parts += [Reverse(), Autoregressive(spline, made(spline, features, context, self, generators))]
        return CompositeTransform(parts)

    def passes(self, features: int) -> tuple[int, int]:
        """Network passes a layer: to evaluate a density, and to draw."""
        return 1, features
