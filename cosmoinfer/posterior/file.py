"""The posterior file: a dataset for each array, by the name that it has in Python."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from cosmoinfer import storage
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior.classes import ClassProbabilities
from cosmoinfer.posterior.diagnostics import Diagnostics
from cosmoinfer.posterior.draws import Draws, PointEstimate
from cosmoinfer.posterior.posterior import Posterior

LARGE_DATASETS = ("samples", "log_prob")  # may be larger than memory


def write(path: Path, posterior: Posterior, meta: storage.JSONObject, force: bool = False) -> None:
    """meta: JSON on how the posterior was made. force: a file that is there is replaced.

    Raises UserError where the file is there already, or cannot be written.
    """
    storage.write(path, posterior.to_file(meta), force)


def read(path: Path | str, leave_large: bool = False) -> Posterior:
    """A posterior file. leave_large: draws that are too large for memory stay in the file, and are read row by row.

    Raises UserError where this is no posterior file.
    """
    record = storage.read(path, "posterior", keep_on_disk=LARGE_DATASETS if leave_large else ())
    datasets: dict[str, Any] = record.all_arrays

    def stored(table: type) -> dict[str, Any]:
        names = [field.name for field in fields(table) if field.name in datasets]
        return {name: datasets[name] if datasets[name].shape else float(datasets[name]) for name in names}

    classes = None
    if "probabilities" in datasets:
        names = tuple(record.attributes["probabilities"]["names"])
        classes = ClassProbabilities(names, datasets["probabilities"])
    return Posterior(
        Parameters.from_attributes(record.attributes["names"]),
        datasets["index"],
        datasets["simulation"].astype(str),
        datasets["split"],
        datasets.get("truth"),
        datasets.get("log_prob_truth"),
        Draws(**stored(Draws)) if "samples" in datasets else None,
        PointEstimate(**stored(PointEstimate)) if "mean" in datasets else None,
        classes,
        Diagnostics(**stored(Diagnostics)),
        bool(record.attributes["names"].get("reweighted", False)),
        tuple(record.attributes["names"].get("derived", ())),
        record.meta.get("command") == "simulate",
    )
