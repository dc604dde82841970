"""The file of a likelihood: networks, observations, and the values by which reading tests that it is still the same."""

import json
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.likelihoods.likelihood import BINDINGS, Likelihood, Observed
from cosmoinfer.models import SCHEMA as MODEL_SCHEMA
from cosmoinfer.models.file import Packed, pack, unpack
from cosmoinfer.storage import Dataset, Schema

OF_MODELS = (
    "parameters",
    "mixture_weights",
    r"stacks/\d+/weights/.*",
    r"stacks/\d+/history/(train|validation)",
    r"stacks/\d+/history/learning_rate",
    r"stacks/\d+/history/best",
    r"stacks/\d+/support/shift",
    r"stacks/\d+/support/scale",
)  # datasets that it has in common with a model
OBSERVATION = "observation/"  # group of what was observed, by the names of the observables
SCHEMA = Schema(
    "likelihood",
    "`cosmoinfer likelihood`",
    {
        "config": Dataset(
            "()", "JSON: `density` or `flow over prior`, networks, temperature", type="text", required=True
        ),
        "index": Dataset("(J,)", "row numbers of the J observations in their catalog", type="whole", required=True),
        "simulation": Dataset("(J,)", "ids of their simulations", type="text", required=True),
        "observation/.*": Dataset("(J, ...)", "what was observed, catalog units", type="any"),
        "ood_percentile": Dataset("(J,)", "of each observation, 0 to 100, among validation rows"),
        "test_points": Dataset("(5, P)", "points inside the box", required=True, values="finite"),
        "test_values": Dataset("(5,)", "log likelihood there, by which reading tests the file", required=True),
        "condition/shift": Dataset("(P,)", "standardisation of the parameters that a density takes", values="finite"),
        "condition/scale": Dataset("(P,)", "standardisation of the parameters that a density takes", values="positive"),
        "data": Dataset("(J, ...)", "the observations as a density takes them", values="finite"),
        "log_slope": Dataset("(J,)", "what their units add to its log density", values="finite"),
        r"stacks/\d+/context": Dataset("(M, J, C)", "the observations as a flow's networks embed them"),
        "log_mass": Dataset("(J,)", "log of the mass of a flow inside the box", values="finite"),
        **{name: MODEL_SCHEMA.datasets[name] for name in OF_MODELS},
    },
)


def write(path: Path | str, likelihood: Likelihood, force: bool = False) -> None:
    """Whole or not at all. Raises UserError if the path is taken; ``force`` replaces a likelihood."""
    packed, observed = pack(likelihood.bound), likelihood.observed
    config = json.dumps({"kind": likelihood.kind, **packed.config}, sort_keys=True)
    arrays = {
        "config": np.array(config),
        "index": observed.index,
        "simulation": observed.simulation,
        "test_points": likelihood.test_points,
        "test_values": likelihood.test_values,
        **{f"{OBSERVATION}{name}": values for name, values in observed.data.items()},
        **({} if observed.ood_percentile is None else {"ood_percentile": observed.ood_percentile}),
        **packed.arrays,
    }
    contents = storage.FileContents("likelihood", likelihood.provenance, arrays, packed.attributes)
    storage.write(Path(path), contents, force)


def read(path: Path | str) -> Likelihood:
    """A likelihood file. Raises UserError where it is none, and where it no longer gives the values in it."""
    contents = storage.read(path, SCHEMA)
    with storage.interpreted(path, "a likelihood"):
        arrays = contents.arrays
        config = storage.parse_object(str(arrays["config"]))
        bound = unpack(BINDINGS[config.pop("kind")], Packed(config, arrays, contents.attributes))
        data = {name.removeprefix(OBSERVATION): arrays[name] for name in arrays if name.startswith(OBSERVATION)}
        observed = Observed(arrays["index"], arrays["simulation"].astype(str), data, arrays.get("ood_percentile"))
        likelihood = Likelihood(bound, observed, arrays["test_points"], arrays["test_values"], contents.meta)
        likelihood.check_test_values()
    return likelihood
