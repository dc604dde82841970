"""Say what a file holds; of a catalog, what would break a training."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmoinfer import audit, catalog, importers, likelihoods, metrics, models, posterior, split, storage
from cosmoinfer.audit.check import Finding
from cosmoinfer.catalog import multi_file
from cosmoinfer.catalog.catalog import CatalogFile
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.models.architecture import architecture_of, describe_stack
from cosmoinfer.models.density import scores
from cosmoinfer.models.flow import Candidate, JoinedFlow
from cosmoinfer.parameters import Parameters
from cosmoinfer.settings import check_keywords
from cosmoinfer.studies import cross_suite, learning_curve
from cosmoinfer.supports import support_label
from cosmoinfer.tasks.settings import READ_OPTIONS, CatalogSettings
from cosmoinfer.training import checkpoints

SCHEMAS = {
    schema.kind: schema
    for schema in (
        split.SCHEMA,
        models.SCHEMA,
        checkpoints.SCHEMA,
        posterior.SCHEMA,
        metrics.SCHEMA,
        scores.SCHEMA,
        likelihoods.SCHEMA,
        cross_suite.SCHEMA,
        learning_curve.SCHEMA,
    )
}  # of all that the commands write, but for catalogs


@dataclass(frozen=True)
class CatalogDescription:
    """rows, simulations: how many. ranges: what each parameter and summary holds, in words. files: that it consists of.
    findings: of the audit, and ``error`` the first that would break a training, if there is one."""

    file: Path
    rows: int
    simulations: int
    ranges: Mapping[str, str]
    findings: tuple[Finding, ...]
    files: tuple[CatalogFile, ...]

    @property
    def error(self) -> Finding | None:
        """The first finding that would break a training."""
        return next((finding for finding in self.findings if finding.level == "error"), None)


@dataclass(frozen=True)
class FileDescription:
    """Of one of our files. contents: what it holds, in words. datasets: their shapes and types, by path. meta: what
    made it."""

    file: Path
    kind: str
    contents: Mapping[str, str]
    datasets: Mapping[str, str]
    meta: Mapping[str, Any]


def inspect_file(file: Path, keywords: Mapping[str, Any]) -> CatalogDescription | FileDescription:
    """keywords: how a catalog is read, by the name of their option; ``audit``: whether to look for every fault.

    Raises UserError if the file cannot be read.
    """
    check_keywords("inspect", keywords, (*READ_OPTIONS, "audit", "manifest"))
    if importers.is_source(file):
        if keywords.get("manifest"):
            raise UserError(f"{file}: is no HDF5, and a manifest lists such files", "manifest")
        return _inspect_catalog(file, CatalogSettings.from_keywords(keywords), bool(keywords.get("audit")))
    first_file = multi_file.first_file(file)
    kind = storage.file_kind(first_file)
    if kind in (None, "catalog"):
        return _inspect_catalog(file, CatalogSettings.from_keywords(keywords), bool(keywords.get("audit")))
    if keywords.get("audit") or keywords.get("manifest"):
        raise UserError(f"{file}: `audit` and `manifest` expect a catalog, found {storage.describe_file(first_file)}")
    return _inspect_file_of_ours(file, str(kind))


def verify_files(file: Path) -> Iterator[tuple[Path, int]]:
    """Each file of ours that a path stands for, and how many datasets it holds, once all have been read.

    Raises UserError for one that is damaged or was changed, and for files of other tools, which have no digests.
    """
    for path in multi_file.files(file):
        yield path, storage.verify(path)


def write_manifest(contents: CatalogDescription, manifest: Path, force: bool) -> None:
    """JSON that stands for the files of a catalog. Raises UserError if it cannot be written."""
    if manifest.suffix != ".json":
        raise UserError("expected the name of a .json file", setting="manifest", value=manifest)
    if not storage.require_name(manifest).parent.is_dir():
        raise UserError(f"{manifest}: the folder {manifest.parent} does not exist")
    if manifest.exists() and not (force and multi_file.is_manifest(manifest)):
        replaces = "replaces a manifest only, and this is none" if force else "replaces a manifest"
        raise UserError(f"{manifest}: exists already; `force` {replaces}")
    with storage.atomic_write(manifest) as scratch:
        scratch.write_text(multi_file.manifest_json(contents.files, manifest.parent))


def _inspect_catalog(file: Path, settings: CatalogSettings, full: bool) -> CatalogDescription:
    unchecked = importers.read_unchecked(file, settings.read_options, settings.memory)
    assembled = catalog.without_placeholders(unchecked)
    simulations = catalog.select(assembled, settings.read_options)
    rows, ids = len(simulations), len(set(simulations.simulation.tolist()))
    sampled = audit.sample_rows(simulations)
    datasets = {}
    if sampled.files:
        datasets = storage.describe_datasets(sampled.first_file, settings.read_options.follow_links)
    findings = audit.audit_catalog(sampled, datasets, full)
    return CatalogDescription(file, rows, ids, audit.value_ranges(sampled), tuple(findings), tuple(sampled.files))


def _inspect_file_of_ours(file: Path, kind: str) -> FileDescription:
    record = storage.read(file, SCHEMAS[kind], keep_on_disk=posterior.LARGE_DATASETS, omit="weights")
    with storage.interpreted(file, f"a {kind}"):
        contents = DESCRIBE[kind](record) if kind in DESCRIBE else {}
    arrays = {**storage.describe_datasets(file), **record.all_arrays}
    del arrays["meta"]
    shapes = {f"/{name}": f"{array.shape} {array.dtype}" for name, array in sorted(arrays.items()) if array.shape}
    return FileDescription(file, kind, contents, shapes, record.meta)


def _describe_model(record: storage.FileContents) -> dict[str, str]:
    """What a model infers from what, and what it consists of."""
    config = storage.parse_object(str(record.arrays["config"]))
    names, preprocessing = ", ".join(record.attributes["parameters"]["names"]), config["preprocessing"]
    kinds = {
        "flow": f"p({names} | data)",
        "regressor": f"{names}, loss {config.get('loss')}",
        "classifier": f"{names}: {', '.join(preprocessing['classes'])}; loss {config.get('loss')}",
        "density": f"p(data | {names})" if config.get("condition") else "p(data)",
    }
    contents = {config["kind"]: kinds[config["kind"]], **_describe_joint_prior(record.attributes["parameters"])}
    for observable in preprocessing["inputs"]:
        gaps = ", NaN marks gaps" if observable["masked"] else ""
        code = observable["compression"]
        compression = "" if code is None else f", in {code['size']} numbers ({code['name']})"
        contents[f"/{observable['name']}"] = f"{observable['kind']} {tuple(observable['shape'])}{gaps}{compression}"
    optional = (
        ("noise", "added to simulations", preprocessing["noise"]),
        ("data", "through a trained regressor", config.get("summary")),
        ("weights", "begins from another flow", config.get("initialised_from")),
    )
    contents |= {name: text for name, text, source in optional if source is not None}
    parameters = Parameters.from_attributes(record.attributes["parameters"])
    for number, stack in enumerate(config["stacks"]):
        best = sorted(int(epoch) + 1 for epoch in record.arrays[f"stacks/{number}/history/best"])
        support = support_label(stack["support"]["name"], parameters) if "support" in stack else ""
        described = describe_stack(stack["members"], architecture_of(stack["config"]), support)
        contents[f"stack {number}"] = f"{described}, best epochs {best}"
    for number, candidate in enumerate(config.get("race", ())):
        contents[f"candidate {number}"] = Candidate(**candidate).describe()
    for number, joined_flow in enumerate(config.get("joined") or ()):
        contents[f"joined flow {number}"] = JoinedFlow(**joined_flow).describe()
    return contents


def _describe_joint_prior(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Region and correlation of a prior that is more than a product."""
    description = Parameters.from_attributes(attributes).joint_prior.describe()
    return {"joint prior": description} if description else {}


def _describe_posterior(record: storage.FileContents) -> dict[str, str]:
    """Of which parameters, or classes, for how many rows."""
    contents = {"rows": str(len(record.arrays["index"]))}
    contents["parameters"] = ", ".join(record.attributes["names"]["names"])
    contents |= _describe_joint_prior(record.attributes["names"])
    if "samples" in record.all_arrays:
        contents["draws"] = str(record.all_arrays["samples"].shape[1])
    if "probabilities" in record.arrays:
        contents["classes"] = ", ".join(record.attributes["probabilities"]["names"])
    return contents


def _describe_scores(record: storage.FileContents) -> dict[str, str]:
    """How many rows, and the range of their scores."""
    scores = {name: values for name, values in record.arrays.items() if values.dtype.kind == "f"}
    ranges = {name: f"{values.min():.4g}..{values.max():.4g}" for name, values in scores.items()}
    return {"rows": str(len(record.arrays["index"])), **ranges}


def _describe_likelihood(record: storage.FileContents) -> dict[str, str]:
    """Of which parameters and observations, and what became of the prior."""
    config = storage.parse_object(str(record.arrays["config"]))
    binding = likelihoods.BINDINGS[config["kind"]]
    percentile = record.arrays.get("ood_percentile")
    contents = {
        "parameters": ", ".join(record.attributes["parameters"]["names"]),
        **_describe_joint_prior(record.attributes["parameters"]),
        binding.kind: binding.prior_accounting,
        "observations": str(len(record.arrays["index"])),
        "rows": join_first(record.arrays["index"]),
    }
    if percentile is not None:
        contents["ood_percentile"] = join_first(f"{value:.3g}" for value in percentile)
    for number, stack in enumerate(config["stacks"]):
        contents[f"stack {number}"] = describe_stack(stack["members"], stack["config"]["flow"])
    return contents


DESCRIBE: dict[str, Callable[[storage.FileContents], dict[str, str]]] = {
    "model": _describe_model,
    "posterior": _describe_posterior,
    "scores": _describe_scores,
    "likelihood": _describe_likelihood,
}
