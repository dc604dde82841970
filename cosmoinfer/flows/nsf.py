"""Neural spline flows: by coupling, and autoregressive."""

from dataclasses import dataclass

from cosmoinfer.flows.conditional import Autoregressive, coupling_layer, made_conditioner
from cosmoinfer.flows.elementwise import Affine, Spline, check_layers
from cosmoinfer.flows.linear import LU, Reverse, linear_start
from cosmoinfer.flows.transform import Composite, Transform
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.layers import Generators
from cosmoinfer.settings import setting


@dataclass(frozen=True)
class NSF:
    """Rational-quadratic coupling layers with LU mixing between them (Durkan+ arXiv:1906.04032).

    One parameter has nothing to mix: an affine map shaped by the context goes first, to meet narrow posteriors;
    without a context, all are plain learned maps. ``linear_start``: a regression on the context comes first.
    """

    layers: int = setting(3, minimum=1, maximum=100)
    hidden: int = setting(64, minimum=1, maximum=8192)
    blocks: int = setting(2, minimum=0, maximum=100)
    bins: int = setting(8, minimum=1, maximum=1000)
    dropout: float = setting(0.0, minimum=0, below=1)
    activation: str = setting("silu", choices=ACTIVATIONS)
    linear_start: bool = False

    def build(self, features: int, context: int, generators: Generators) -> Transform:
        check_layers(self.layers, min_layers=min(2, features))
        transforms = linear_start(self.linear_start, features, context, generators)
        if features == 1:
            transforms.append(coupling_layer(Affine(), 1, False, context, self, generators))
        for number in range(self.layers):
            if features > 1:
                transforms.append(LU(generators, features))
            transforms.append(coupling_layer(Spline(self.bins), features, number % 2 == 1, context, self, generators))
        return Composite(transforms)

    def passes(self, features: int) -> tuple[int, int]:
        """Network passes a layer: one to evaluate a density, one to draw."""
        return 1, 1


@dataclass(frozen=True)
class AutoregressiveNSF:
    """z_i a rational-quadratic spline of x_i, shaped by x_<i, the order reversed each layer (Durkan+ arXiv:1906.04032).

    An affine autoregressive layer goes first, to meet narrow posteriors. One parameter: all are shaped by the context;
    without a context, all are plain learned maps. ``linear_start``: a regression on the context comes first.
    """

    layers: int = setting(3, minimum=1, maximum=100)
    hidden: int = setting(64, minimum=1, maximum=8192)
    blocks: int = setting(2, minimum=0, maximum=100)
    bins: int = setting(8, minimum=1, maximum=1000)
    dropout: float = setting(0.0, minimum=0, below=1)
    activation: str = setting("silu", choices=ACTIVATIONS)
    linear_start: bool = True

    def build(self, features: int, context: int, generators: Generators) -> Transform:
        check_layers(self.layers, min_layers=1)
        transforms = linear_start(self.linear_start, features, context, generators)
        transforms.append(Autoregressive(Affine(), made_conditioner(Affine(), features, context, self, generators)))
        for _ in range(self.layers):
            spline = Spline(self.bins)
            transforms += [
                Reverse(),
                Autoregressive(spline, made_conditioner(spline, features, context, self, generators)),
            ]
        return Composite(transforms)

    def passes(self, features: int) -> tuple[int, int]:
        """Network passes a layer: one to evaluate a density, P to draw (each parameter requires those before it)."""
        return 1, features
