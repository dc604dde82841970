"""cosmoinfer: from a catalog of cosmological simulations to a calibrated posterior.

    import cosmoinfer

    flow = cosmoinfer.train_flow("sims.h5", flow="nsf", ensemble=5, seed=0)
    posterior = cosmoinfer.sample(flow, "sims.h5")
    print(cosmoinfer.evaluate(posterior))

Arrays in memory do as well as files; settings have the names of the command line's options.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosmoinfer.catalog import Catalog
    from cosmoinfer.catalog.from_arrays import from_arrays as catalog_from_arrays
    from cosmoinfer.errors import CosmoinferWarning, UserError
    from cosmoinfer.metrics import Evaluation
    from cosmoinfer.posterior import Posterior
    from cosmoinfer.posterior import read as read_posterior
    from cosmoinfer.tasks.ensemble import ensemble
    from cosmoinfer.tasks.evaluate import evaluate
    from cosmoinfer.tasks.export import export
    from cosmoinfer.tasks.figures import figures
    from cosmoinfer.tasks.likelihood import likelihood
    from cosmoinfer.tasks.load import load, read_catalog
    from cosmoinfer.tasks.merge import merge
    from cosmoinfer.tasks.reporter import Reporter
    from cosmoinfer.tasks.reweight import reweight
    from cosmoinfer.tasks.sample import sample
    from cosmoinfer.tasks.simulate import exact_posterior, simulate
    from cosmoinfer.tasks.train_density import train_density
    from cosmoinfer.tasks.train_flow import train_flow
    from cosmoinfer.tasks.train_regressor import train_regressor

__version__ = "0.1.0"

__all__ = [
    "Catalog",
    "CosmoinferWarning",
    "Evaluation",
    "Posterior",
    "Reporter",
    "UserError",
    "catalog_from_arrays",
    "ensemble",
    "evaluate",
    "exact_posterior",
    "export",
    "figures",
    "likelihood",
    "load",
    "merge",
    "read_catalog",
    "read_posterior",
    "reweight",
    "sample",
    "simulate",
    "train_density",
    "train_flow",
    "train_regressor",
]

_MODULES = {
    "Catalog": "cosmoinfer.catalog",
    "CosmoinferWarning": "cosmoinfer.errors",
    "Evaluation": "cosmoinfer.metrics",
    "Posterior": "cosmoinfer.posterior",
    "Reporter": "cosmoinfer.tasks.reporter",
    "UserError": "cosmoinfer.errors",
    "catalog_from_arrays": "cosmoinfer.catalog:from_arrays",
    "ensemble": "cosmoinfer.tasks.ensemble",
    "evaluate": "cosmoinfer.tasks.evaluate",
    "exact_posterior": "cosmoinfer.tasks.simulate",
    "export": "cosmoinfer.tasks.export",
    "figures": "cosmoinfer.tasks.figures",
    "likelihood": "cosmoinfer.tasks.likelihood",
    "load": "cosmoinfer.tasks.load",
    "merge": "cosmoinfer.tasks.merge",
    "read_catalog": "cosmoinfer.tasks.load",
    "read_posterior": "cosmoinfer.posterior:read",
    "reweight": "cosmoinfer.tasks.reweight",
    "sample": "cosmoinfer.tasks.sample",
    "simulate": "cosmoinfer.tasks.simulate",
    "train_density": "cosmoinfer.tasks.train_density",
    "train_flow": "cosmoinfer.tasks.train_flow",
    "train_regressor": "cosmoinfer.tasks.train_regressor",
}


def __getattr__(name: str) -> Any:
    """Nothing heavy is imported before it is asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module 'cosmoinfer' has no attribute {name!r}; there are {', '.join(__all__)}")
    module, _, attribute = _MODULES[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
