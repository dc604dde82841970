"""Networks, by name: recipes that build themselves, for M members at once.

A recipe is a frozen dataclass of settings with ``build(shape, outputs, generators)``, from (M*B, *shape) to
(M*B, outputs). A new network is one such class and one name here.
"""

from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.mlp import MLP, LinearNetwork

NETWORKS = {"linear": LinearNetwork, "mlp": MLP, "cnn": CNN}
