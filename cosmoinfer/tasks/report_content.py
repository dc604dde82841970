"""What a report says of a posterior, from all that is there: sections of sentences, tables and figures."""

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import __version__, metrics, models, plots, posterior, split, storage
from cosmoinfer.audit import audit_before_training
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.metrics import Evaluation, GateResults
from cosmoinfer.metrics.tables import Table
from cosmoinfer.metrics.verdict import CALIBRATED
from cosmoinfer.models import FlowModel
from cosmoinfer.models.posterior_model import anomaly_warnings
from cosmoinfer.posterior import Posterior, summarise_observations
from cosmoinfer.report import Explanation, Figure, Report, Section
from cosmoinfer.split import PARTITIONS, Split
from cosmoinfer.tasks.guide import METRIC, explanations, remedies
from cosmoinfer.tasks.model_sources import open_for_model

PACKAGES = ("torch", "nflows", "numpy", "h5py", "scipy", "scikit-learn", "matplotlib", "getdist")
FAILED_STEP = "a gate failed: do not use this posterior before you know why"
CALIBRATED_STEP = "sample your observation with this model, and look whether its percentile is below 95"


@dataclass(frozen=True)
class ReportSources:
    """What a report is made of; each is None where it is not there.

    split: which simulations train, validate and test. catalog: that the model was trained on. command: which made the
    files, as it was typed. paths: of the files, by kind.
    """

    split: Split | None = None
    model: Any = None
    posterior: Posterior | None = None
    evaluation: Evaluation | None = None
    catalog: Catalog | None = None
    command: str = ""
    metas: Mapping[str, storage.JSONObject] = field(default_factory=dict)

    @classmethod
    def from_files(
        cls, files: Mapping[str, Path], catalog: Path | Catalog | None, command: str = ""
    ) -> "ReportSources":
        """files: by kind. catalog: if it is given. Raises UserError where one cannot be read."""
        readers: Mapping[str, Callable[[Path], Any]] = {
            "split": split.read,
            "model": models.read,
            "posterior": partial(posterior.read, leave_large=True),
            "metrics": metrics.read,
        }
        contents = {kind: readers[kind](path) for kind, path in files.items()}
        metas = {kind: storage.read_meta(path) for kind, path in files.items()}
        evaluation = contents.pop("metrics", None)
        if catalog is not None and not isinstance(catalog, Catalog):
            if "model" not in contents:
                raise UserError(f"{catalog}: is a catalog, and goes with the model that was trained on it")
            catalog = open_for_model(contents["model"].preprocessing, catalog, {})
        return cls(**contents, evaluation=evaluation, catalog=catalog, command=command, metas=metas)


def build_report(sources: ReportSources, title: str, gates: GateResults | None = None) -> Report:
    """Of all that is there; nothing is measured anew."""
    evaluation = sources.evaluation
    verdict = "" if evaluation is None else evaluation.verdict.joint
    sections = (
        Section("Question", *_question(sources.model)),
        Section("Catalog", *_catalog(sources)),
        Section("Training", *_training(sources.model)),
        Section("Accuracy and calibration", tables=_accuracy(evaluation), details=_all_metrics(evaluation)),
        Section("Observations", *_observations(sources.posterior)),
        Section("Figures", figures=_figures(sources)),
        Section("What the numbers mean", glossary=_glossary(evaluation)),
        Section("How to make it again", *_settings(sources), listing=_commands(sources)),
    )
    return Report(
        title,
        verdict,
        () if evaluation is None else tuple(line for line in evaluation.summary() if verdict not in line),
        _next_steps(verdict, gates),
        gates,
        tuple(_warnings(sources)),
        sections,
        {"cosmoinfer": __version__, "Python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    )


def _next_steps(verdict: str, gates: GateResults | None) -> tuple[str, ...]:
    """What to do now; nothing is known where there is no verdict."""
    steps = tuple(f"{word}: {remedy}" for word, remedy in remedies(verdict).items())
    if gates is not None and not gates.passed:
        return (f"{FAILED_STEP} ({join_first(gates.failed)})", *steps)
    return steps or ((CALIBRATED_STEP,) if verdict == CALIBRATED else ())


def _question(model: Any) -> tuple[tuple[str, ...], tuple[Table, ...]]:
    """What is inferred from what."""
    if model is None:
        return (), ()
    preprocessing, parameters = model.preprocessing, model.preprocessing.parameters
    rows = tuple(
        (name, str(prior), f"{low:g}", f"{high:g}")
        for name, prior, low, high in zip(
            parameters.names, parameters.priors, parameters.low, parameters.high, strict=True
        )
    )
    prior = Table("parameters and prior box", ("parameter", "prior", "low", "high"), rows)
    shapes = tuple(
        (entry.name, entry.kind, " x ".join(map(str, entry.shape)), "log10" if entry.standardizer.log.any() else "none")
        for entry in preprocessing.inputs
    )
    data = Table("data of one observation", ("dataset", "kind", "shape", "transform"), shapes, numeric=False)
    described = parameters.joint_prior.describe()
    return ((f"Joint prior: {described}.",) if described else ()), (prior, data)


def _catalog(sources: ReportSources) -> tuple[tuple[str, ...], tuple[Table, ...]]:
    """How many simulations, which of them train, and what the audit finds."""
    record = getattr(sources.model, "training_record", None)
    parts = sources.split or (None if record is None else record.split)
    tables: list[Table] = []
    if parts is not None:
        sizes = zip(PARTITIONS, parts.sizes, strict=True)
        counts = tuple((name, str(size), f"{100 * size / sum(parts.sizes):.0f} %") for name, size in sizes)
        tables.append(Table("simulations", ("partition", "simulations", "share"), counts))
    if sources.catalog is None or parts is None:
        return (), tuple(tables)
    findings = audit_before_training(sources.catalog, parts)
    rows = tuple((finding.level, finding.text, finding.remedy, finding.check) for finding in findings)
    if rows:
        tables.append(Table("audit", ("level", "finding", "remedy", "check"), rows, numeric=False))
    simulations = len(set(sources.catalog.simulation.tolist()))
    found = "" if rows else "; the audit before training finds nothing"
    return (f"{len(sources.catalog)} rows of {simulations} simulations{found}.",), tuple(tables)


def _training(model: Any) -> tuple[tuple[str, ...], tuple[Table, ...]]:
    """What was trained, and for how long."""
    if model is None:
        return (), ()
    rows, sentences = [], []
    for name, history in models.histories(model).items():
        validation = f"{history.best_validation.mean():.4g}"
        rows.append((name, str(len(history.train)), history.best_epochs, validation))
    header = ("networks", "epochs", "best epochs", "validation loss")
    tables = [Table("what was trained", header, tuple(rows))]
    if isinstance(model, FlowModel) and model.race:
        candidates = tuple(
            (
                entry.architecture,
                entry.support,
                f"{entry.log_prob:.3f} ± {entry.error:.3f}",
                f"{entry.pilot_share:.2f}",
                str(entry.members),
                f"{entry.final_share:.2f}",
            )
            for entry in model.race
        )
        head = ("architecture", "support", "log_prob of the pilot", "pilots' share", "members", "final share")
        tables.append(Table("candidates of the race", head, candidates))
    recalibration = getattr(model, "recalibration", None)
    if recalibration is not None:
        sentences.append(
            f"The validation rows ask for a temperature of {recalibration.temperature:.3g}; mean log_prob of them "
            f"{recalibration.before:.4g} nat."
        )
    return tuple(sentences), tuple(tables)


def _accuracy(evaluation: Evaluation | None) -> tuple[Table, ...]:
    """A row a parameter with its verdict; then what else was measured."""
    if evaluation is None:
        return ()
    main = evaluation.without_secondary()
    names = evaluation.parameter_names
    header = ("parameter", *main.parameters, "verdict")
    rows = tuple(
        (
            name,
            *(str(estimates[name]) for estimates in main.parameters.values()),
            evaluation.verdict.parameters[name],
        )
        for name in names
    )
    table = Table(f"{evaluation.rows} rows of {evaluation.simulations} simulations; 68.3 % intervals", header, rows)
    return (table, *(entry for entry in main.tables() if entry.header[0] == "metric" and entry.header[1] == "value"))


def _all_metrics(evaluation: Evaluation | None) -> tuple[Table, ...]:
    """Every metric, and of a classifier the confusion."""
    return () if evaluation is None else tuple(entry for entry in evaluation.tables() if entry.title != "verdicts")


def _glossary(evaluation: Evaluation | None) -> tuple[Explanation, ...]:
    """Of the metrics that were computed."""
    if evaluation is None:
        return ()
    computed = set(evaluation.metrics)
    return tuple(
        Explanation(entry.names, entry.meaning, entry.remark)
        for entry in explanations()
        if entry.head == METRIC and computed & {name.partition("[")[0] for name in entry.names}
    )


def _observations(drawn: Posterior | None) -> tuple[tuple[str, ...], tuple[Table, ...]]:
    """What single observations say, if they are a few."""
    summaries = () if drawn is None else summarise_observations(drawn)
    if not summaries:
        return (), ()
    names = tuple(summaries[0].constraints)
    rows = tuple(
        (str(entry.row), *(entry.constraints[name].text for name in names), entry.trust) for entry in summaries
    )
    return (), (Table(summaries[0].heading, ("row", *names, "whether to believe it"), rows),)


def _figures(sources: ReportSources) -> tuple[Figure, ...]:
    """Every figure that applies."""
    if sources.posterior is None:
        return ()
    histories = {} if sources.model is None else models.histories(sources.model)
    data = plots.FigureData(sources.posterior, sources.evaluation, histories)
    images = {name: plots.render(partial(plot, data), "svg") for name, plot in plots.PLOTS.items()}
    return tuple(
        Figure(name, image, plots.caption(plots.PLOTS[name])) for name, image in images.items() if image is not None
    )


def _warnings(sources: ReportSources) -> list[str]:
    """That the commands gave, or would give."""
    drawn, model = sources.posterior, sources.model
    if drawn is None or model is None or sources.catalog is None:
        return []
    rows = np.flatnonzero(np.isin(sources.catalog.index, drawn.index))
    return anomaly_warnings(model, sources.catalog, rows, drawn)


def _settings(sources: ReportSources) -> tuple[tuple[str, ...], tuple[Table, ...]]:
    """The settings that affect numbers, of each file."""
    rows = tuple(
        (kind, str(meta.get("command", "")), json.dumps(meta.get("settings", {}), sort_keys=True))
        for kind, meta in sources.metas.items()
    )
    if not rows:
        return (), ()
    return (), (Table("settings that affect the numbers", ("file", "command", "settings"), rows, numeric=False),)


def _commands(sources: ReportSources) -> tuple[str, ...]:
    return (sources.command,) if sources.command else ()
