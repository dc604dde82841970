"""Network architectures by name: recipes that build a network of M members.

A recipe is a frozen dataclass of settings with ``build(shape, outputs, generators)``, which returns a module from
(M, B, *shape) to (M, B, outputs), and ``positive_map``: the name in ``losses.POSITIVE_MAPS`` for its widths.
A new network is one such class and one entry here. Baselines are recipes too, but are solved, not trained.
"""

from cosmoinfer.networks.baselines import BASELINES
from cosmoinfer.networks.cmd import CMD
from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.mlp import MLP, LinearNetwork

NETWORKS = {"linear": LinearNetwork, "mlp": MLP, "cnn": CNN, "cmd": CMD}

__all__ = ["BASELINES", "NETWORKS"]
