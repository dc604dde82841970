"""The posterior file: a dataset for each array, by the name that it has in Python."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from cosmoinfer import storage
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior.classes import ClassProbabilities
from cosmoinfer.posterior.diagnostics import Diagnostics
from cosmoinfer.posterior.draws import LARGE_DATASETS, Draws, PointEstimate
from cosmoinfer.posterior.posterior import Posterior
from cosmoinfer.storage import Attribute, Dataset, Schema

ROWS = {
    "index": Dataset("(n,)", "row number in the catalog", type="whole", required=True),
    "simulation": Dataset("(n,)", "id of the simulation", type="text", required=True),
    "split": Dataset("(n,)", "0 train, 1 validation, 2 test, 255 neither", type="whole", required=True),
}  # of a file that says something of each of n rows of a catalog
PARAMETER_ATTRIBUTES = {
    **{name: Attribute("(P,)", "text", required=True) for name in ("names", "labels", "prior")},
    **{name: Attribute("(P,)", required=True) for name in ("low", "high", "prior_mean", "prior_std")},
    "where": Attribute("(W,)", "text"),  # of a prior that is no product, as the correlation
    "prior_correlation": Attribute("(P, P)"),
}  # of the dataset that stands for parameters
SCHEMA = Schema(
    "posterior",
    "`cosmoinfer sample`, `merge`, `reweight`, `simulate` with the truth",
    {
        **ROWS,
        "names": Dataset(
            "(P,)",
            "names of the parameters; `derived`: of those that are functions of the others, the last",
            type="text",
            required=True,
            attributes=PARAMETER_ATTRIBUTES
            | {"derived": Attribute("(D,)", "text"), "reweighted": Attribute(type="truth")},
        ),
        "truth": Dataset("(n, P)", "true parameters, where known"),
        "samples": Dataset("(n, S, P)", "draws, in catalog units"),
        "log_prob": Dataset("(n, S)", "natural log density of each draw"),
        "log_prob_truth": Dataset("(n,)", "of the true parameters"),
        "log_norm_error": Dataset("(n,)", "standard error of the normalisation, where a density was renormalised"),
        "(mean|std)": Dataset("(n, P)", "where the model knows them exactly"),
        "probabilities": Dataset(
            "(n, C)", "of the classes", attributes={"names": Attribute("(C,)", "text", required=True)}
        ),
        "ridge_estimate": Dataset("(n, P)", "linear estimate of theta, a reference for TARP"),
        "ood_percentile": Dataset("(n,)", "0 to 100, among validation rows"),
        "ood_set_p_value": Dataset("()", "of all rows as a set"),
        "consistency_p_value": Dataset("(n,)", "of the single posteriors that were multiplied"),
        "n_observations": Dataset("(n,)", "rows that each posterior is of"),
        "ess": Dataset("(n,)", "effective sample size of weighted draws"),
        "temperature": Dataset("()", "of a recalibrated posterior"),
        "fisher": Dataset("(n, P, P)", "Fisher information at the true parameters, of a simulated problem"),
    },
)


def write(path: Path, posterior: Posterior, meta: storage.JSONObject, force: bool = False) -> None:
    """meta: JSON on how the posterior was made. force: a file that is there is replaced.

    Raises UserError where the file is there already, or cannot be written.
    """
    storage.write(path, posterior.to_file(meta), force)


def read(path: Path | str, leave_large: bool = False) -> Posterior:
    """A posterior file. leave_large: draws that are too large for memory stay in the file, and are read row by row.

    Raises UserError where this is no posterior file.
    """
    record = storage.read(path, SCHEMA, keep_on_disk=LARGE_DATASETS if leave_large else ())
    with storage.interpreted(path, "a posterior"):
        return _from_file(record)


def read_joined(paths: Sequence[Path]) -> Posterior:
    """The posteriors of several files as one, in this order; their draws stay in the files, however few they are.

    Raises UserError where one is no posterior file, or they are not of the same model, or hold no observation.
    """
    posteriors = [posterior for path in paths if len(posterior := _with_draws_in_file(path))]
    if not posteriors:
        raise UserError(f"{paths[0]}: no observation could be sampled, here and in {len(paths) - 1} files beside it")
    return Posterior.concatenated(posteriors)


def _with_draws_in_file(path: Path) -> Posterior:
    posterior = read(path, leave_large=True)
    if posterior.draws is None:
        return posterior
    names = [name for name in LARGE_DATASETS if getattr(posterior.draws, name) is not None]
    arrays: dict[str, Any] = {name: storage.OnDiskArray(storage.DatasetHandle(path, name)) for name in names}
    return replace(posterior, draws=replace(posterior.draws, **arrays))


def _from_file(record: storage.FileContents) -> Posterior:
    datasets: dict[str, Any] = record.all_arrays

    def stored(table: type) -> dict[str, Any]:
        names = [field.name for field in fields(table) if field.name in datasets]
        return {name: datasets[name] if datasets[name].shape else float(datasets[name]) for name in names}

    classes = None
    if "probabilities" in datasets:
        names = tuple(record.attributes["probabilities"]["names"])
        classes = ClassProbabilities(names, datasets["probabilities"])
    parameters, derived = (
        Parameters.from_attributes(record.attributes["names"]),
        tuple(record.attributes["names"].get("derived", ())),
    )
    if derived and parameters.names[-len(derived) :] != derived:
        raise UserError(f"/names, attribute derived: expected the last names, found {join_first(derived)}")
    return Posterior(
        parameters,
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
        derived,
        record.meta.get("command") == "simulate",
    )
