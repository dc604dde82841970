"""Networks, by name: recipes that build themselves, for M members at once.

A recipe is a frozen dataclass of settings with ``build(shape, outputs, generators)``, from (M*B, *shape) to
(M*B, outputs), and ``widths``: how its free outputs become widths, ``softplus`` or ``square``. A new network is one
such class and one name here. Baselines are recipes as well, and are solved where networks descend.
"""

from cosmoinfer.networks.baselines import BASELINES
from cosmoinfer.networks.cmd import CMD
from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.mlp import MLP, LinearNetwork

NETWORKS = {"linear": LinearNetwork, "mlp": MLP, "cnn": CNN, "cmd": CMD}

__all__ = ["BASELINES", "NETWORKS"]
