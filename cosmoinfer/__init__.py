"""cosmoinfer: from a catalog of cosmological simulations to a calibrated posterior.

From Python, the nouns and how to read them: ``cosmoinfer.read_posterior("results/posterior.h5").samples``.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_FACE = {
    "read_catalog": ("cosmoinfer.catalog", "read"),
    "read_split": ("cosmoinfer.split", "read"),
    "read_model": ("cosmoinfer.models", "read"),
    "read_posterior": ("cosmoinfer.posterior", "read"),
    "read_metrics": ("cosmoinfer.metrics", "read"),
    "evaluate": ("cosmoinfer.metrics", "evaluate"),
}


def __getattr__(name: str) -> Any:
    """Nothing heavy is imported before it is asked for."""
    if name not in _FACE:
        raise AttributeError(f"module 'cosmoinfer' has no attribute {name!r}; there are {', '.join(_FACE)}")
    module, attribute = _FACE[name]
    return getattr(import_module(module), attribute)
