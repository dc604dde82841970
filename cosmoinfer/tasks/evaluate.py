"""Measure posteriors against the true parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from cosmoinfer import metrics, plots, storage
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.metrics import Evaluation, GateResults, ReferencePosterior
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior
from cosmoinfer.settings import check_keywords, is_given
from cosmoinfer.tasks.evaluation_job import (
    DrawnPosterior,
    EvaluationJob,
    PosteriorOfModel,
    Reference,
    report_unknown_truths,
    require_unseen_row,
    select_drawn,
)
from cosmoinfer.tasks.model_sources import MODEL_TYPES, ModelSource, require_model_first
from cosmoinfer.tasks.provenance import is_up_to_date, output_beside, task_provenance, with_node_settings
from cosmoinfer.tasks.reading import warn_of_training_rows
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.run_settings import RUN, RunSettings
from cosmoinfer.tasks.sampling_job import prepare_sampling
from cosmoinfer.tasks.settings import READ_OPTIONS, ROWS, OutputSettings, RowSettings, select_keywords
from cosmoinfer.tasks.sources import PosteriorSource, open_posterior

OF_SAMPLING = ("draws", "skip_failed", *READ_OPTIONS)  # which only a model heeds
OF_GATES = ("fail_if", "gate", *RUN)  # which what was measured heeds, or may be given
SETTINGS = (*OF_SAMPLING, *RUN, *ROWS, "recalibrate", "compare_to", "lc2st", "fail_if", "gate", "figures")


@dataclass(frozen=True)
class Gates:
    """fail_if: expressions, each fails if it holds, as ``r2[Omega_m]<0.5``. gate: whether the default gates count too.

    Raises UserError if an expression cannot be a gate.
    """

    fail_if: tuple[str, ...] = ()
    gate: bool = False

    def __post_init__(self) -> None:
        for expression in self.fail_if:
            metrics.validate_gate(expression)

    def check_names(self, parameters: Parameters) -> None:
        """Before anything is drawn. Raises UserError if an expression is about a parameter that is none of these."""
        for expression in self.fail_if:
            metrics.check_gate_parameter(expression, parameters.names)

    def check(self, evaluation: Evaluation) -> Evaluation:
        """The evaluation with what became of each gate; as it is where there are none.

        Raises UserError if the evaluation lacks the metric or the parameter of an expression.
        """
        if not (self.fail_if or self.gate):
            return evaluation
        asked = tuple(metrics.check_gate(evaluation, gate) for gate in self.fail_if)
        default = metrics.check_default_gates(evaluation).results if self.gate else ()
        return replace(evaluation, gates=GateResults((*asked, *default)))


@dataclass(frozen=True)
class EvaluationSettings:
    """lc2st: row numbers at which the posterior is tested by itself. figures: the folder to draw them into, if any."""

    lc2st: tuple[int, ...] = ()
    figures: Path | None = None


@dataclass(frozen=True)
class GatedEvaluation:
    """An evaluation, and the gates that are to be checked once it is shown."""

    evaluation: Evaluation
    gates: Gates


def evaluate(
    posterior: PosteriorSource | ModelSource,
    catalog: Path | str | Catalog | None = None,
    *,
    output: Path | str | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> Evaluation:
    """Measure a posterior against the true parameters: accuracy, density, calibration, each with an interval.

    posterior: a posterior, or a model together with a catalog, paths or objects; or the path of a metrics file, of
        which gates alone are checked.
    output: the file to write, if any; a complete one of the same settings is read.
    settings: the options of ``cosmoinfer evaluate`` by name, as ``split="test"``, ``lc2st=[3]``; ``compare_to`` may
        be a posterior or a model in memory, or a ``metrics.ReferencePosterior``. ``gates`` of the result say which of
        ``gate`` and ``fail_if`` failed.

    Raises UserError, a ValueError, which names the setting that is not usable.
    """
    to = OutputSettings.from_arguments(output, force, reporter)
    gated = _evaluate(posterior, catalog, settings, to.output, to.force, to.reporter)
    return gated.gates.check(gated.evaluation)


def write_evaluation(
    file: Path, catalog: Path | None, keywords: Mapping[str, Any], output: Path | None, force: bool, reporter: Reporter
) -> GatedEvaluation:
    """The same for the command line, which shows the evaluation before a gate can fail.

    keywords: settings by the name of their option. Raises UserError if a setting or a file is not usable.
    """
    if output is None and not _is_measured(file):
        output = output_beside(file, ".metrics.h5")
    return _evaluate(file, catalog, keywords, output, force, reporter)


def _evaluate(
    posterior_source: PosteriorSource | ModelSource,
    catalog: Path | str | Catalog | None,
    keywords: Mapping[str, Any],
    output: Path | None,
    force: bool,
    reporter: Reporter,
) -> GatedEvaluation:
    check_keywords("evaluate", keywords, SETTINGS)
    keywords = with_node_settings(keywords, force, output)
    gates = select_keywords(Gates, keywords)
    if _is_measured(posterior_source):
        asked_for = {**keywords, "output": output, "force": force}
        return GatedEvaluation(_read_measured(Path(cast(str, posterior_source)), catalog, asked_for), gates)
    job = prepare_evaluation(posterior_source, catalog, keywords, reporter)
    gates.check_names(job.source.parameters)
    figures = select_keywords(EvaluationSettings, keywords).figures
    if figures is not None:
        plots.check_folder(figures)
    complete = output if is_up_to_date(output, "metrics", job.provenance, reporter, force) else None
    if complete is not None and figures is None:
        return GatedEvaluation(metrics.read(complete), gates)
    posterior, reference = job.draw(reporter, None if output is None else output.parent)
    if complete is not None:
        evaluation = metrics.read(complete)
    else:
        evaluation = metrics.evaluate(posterior, job.seed, reference, job.local)
        if output is not None:
            metrics.write(output, evaluation, job.provenance, force)
    if figures is not None:
        draw_figures(posterior, evaluation, job.source.learning_curves, job.seed, figures, reporter)
    return GatedEvaluation(evaluation, gates)


def _is_measured(source: object) -> bool:
    """Whether it is the path of a metrics file."""
    return isinstance(source, Path | str) and storage.is_kind(Path(source), "metrics")


def _read_measured(path: Path, catalog: Path | str | Catalog | None, asked_for: Mapping[str, Any]) -> Evaluation:
    """What was measured before, for gates alone. Raises UserError where anything else is asked for."""
    ineffective = [f"`{name}`" for name, value in asked_for.items() if name not in OF_GATES and is_given(value)]
    if catalog is not None:
        ineffective.append("a catalog")
    if ineffective:
        raise UserError(
            f"{path}: holds what was measured already, for gates alone; {join_first(ineffective)} cannot be"
        )
    return metrics.read(path)


def prepare_evaluation(
    posterior: PosteriorSource | ModelSource,
    catalog: Path | str | Catalog | None,
    keywords: Mapping[str, Any],
    reporter: Reporter,
) -> EvaluationJob:
    """Nothing is drawn yet. Raises UserError if a file is of the wrong kind, or settings would have no effect."""
    compare_to = keywords.get("compare_to")
    require_model_first("evaluate", posterior, catalog)
    if isinstance(posterior, Path | str) and storage.file_kind(Path(posterior)) in (None, "catalog"):
        content = storage.describe_file(Path(posterior))
        raise UserError(f"{posterior}: is {content}; expected a posterior, or: cosmoinfer evaluate MODEL {posterior}")
    if not _is_model(posterior) and not _is_model(compare_to):
        _check_drawn(posterior, catalog, {name: keywords.get(name) for name in OF_SAMPLING})
    seed = select_keywords(RunSettings, keywords).seed
    source: DrawnPosterior | PosteriorOfModel
    if _is_model(posterior):
        source = _prepare_model(cast(ModelSource, posterior), catalog, keywords, reporter)
    elif keywords.get("recalibrate") is not None:
        raise UserError(f"{_name(posterior)}: is a posterior, drawn already; `recalibrate` goes with a model")
    else:
        opened = open_posterior(cast(PosteriorSource, posterior))
        selected = select_keywords(RowSettings, keywords)
        source = select_drawn(opened, selected.split, selected.rows, seed, reporter)
    local = tuple(dict.fromkeys(select_keywords(EvaluationSettings, keywords).lc2st))
    if local:
        metrics.check_local(local, source.index)
    job = EvaluationJob(source, None, local, seed)
    if compare_to is None:
        return job
    return replace(job, reference=_prepare_reference(job, compare_to, catalog, keywords, reporter))


def measure_and_write(
    posterior: Posterior, provenance: storage.JSONObject, seed: int, output: Path, force: bool, reporter: Reporter
) -> Evaluation:
    """The metrics of a posterior that has been drawn, written unless they are up to date."""
    if is_up_to_date(output, "metrics", provenance, reporter, force):
        return metrics.read(output)
    evaluation = metrics.evaluate(posterior, seed)
    metrics.write(output, evaluation, provenance, force)
    return evaluation


def draw_figures(
    posterior: Posterior,
    evaluation: Evaluation,
    learning_curves: Mapping[str, Any],
    seed: int,
    folder: Path,
    reporter: Reporter,
) -> None:
    """Every figure that applies, into a folder. learning_curves: by field of ``plots.FigureData``."""
    paths = plots.draw(plots.FigureData(posterior, evaluation, **learning_curves, seed=seed), folder)
    reporter.info(f"{folder}: {', '.join(path.name for path in paths)}")


def _is_model(source: Any) -> bool:
    """A model, or the path of one."""
    return (
        storage.file_kind(Path(source)) == "model"
        if isinstance(source, Path | str)
        else isinstance(source, MODEL_TYPES)
    )


def _name(source: Any) -> str:
    """In messages."""
    return str(source) if isinstance(source, Path | str) else "the posterior"


def _check_drawn(posterior: Any, catalog: Any, options: Mapping[str, Any]) -> None:
    """What says how to draw, or how to read a catalog, has no effect on a posterior that was drawn before."""
    if catalog is not None:
        raise UserError(f"{_name(posterior)}: is a posterior and holds its truths; a catalog goes with a model only")
    ineffective = [f"`{name}`" for name, value in options.items() if is_given(value)]
    if ineffective:
        raise UserError(
            f"{_name(posterior)}: is a posterior, drawn already; only a model takes {join_first(ineffective)}"
        )


def _prepare_model(
    model: ModelSource, catalog: Path | str | Catalog | None, keywords: Mapping[str, Any], reporter: Reporter
) -> PosteriorOfModel:
    name = str(model) if isinstance(model, Path | str) else f"the {model.kind}"
    if catalog is None:
        raise UserError(f"{name}: is a model; name its catalog too: cosmoinfer evaluate {name} CATALOG")
    job = prepare_sampling(model, catalog, keywords)
    has_truth = job.catalog.has_theta[job.rows]
    report_unknown_truths(has_truth, job.catalog.path, reporter)
    job = job.of_rows(job.rows[has_truth])
    require_unseen_row(job.partitions, select_keywords(RowSettings, keywords).rows)
    warn_of_training_rows(job.model.training_record, job.catalog, job.rows, job.partition, reporter)
    meta = task_provenance("evaluate", job.provenance["settings"], job.provenance["inputs"])
    return PosteriorOfModel(name, job, meta)


def _prepare_reference(
    job: EvaluationJob,
    compare_to: Any,
    catalog: Path | str | Catalog | None,
    keywords: Mapping[str, Any],
    reporter: Reporter,
) -> Reference:
    """Of the same rows. Warns of those that its model has learned from."""
    if not _is_model(compare_to):
        return _drawn_reference(compare_to)
    name = str(compare_to) if isinstance(compare_to, Path | str) else f"the other {compare_to.kind}"
    if catalog is None:
        raise UserError(f"{name}: is a model; name its catalog too: evaluate FILE CATALOG `compare_to={name}`")
    same_rows = {"split": None, "rows": job.source.index.tolist(), "recalibrate": None}
    reference = prepare_sampling(compare_to, catalog, {**keywords, **same_rows})
    used = int((reference.partitions < 2).sum())
    if used:
        reporter.warn(f"{name}: was trained on or chosen by {used} of these {len(job.source.index)} rows")
    meta = reference.provenance
    return Reference(name, reference, {"settings": {"compare_to": meta["settings"]}, "inputs": meta["inputs"]})


def _drawn_reference(compare_to: PosteriorSource | ReferencePosterior) -> Reference:
    if isinstance(compare_to, ReferencePosterior):
        opened, reference = open_posterior(compare_to.posterior), compare_to
    else:
        opened = open_posterior(compare_to)
        exact = opened.posterior.exact
        reference = ReferencePosterior(opened.posterior, "exact posterior" if exact else "other posterior", exact)
    return Reference(opened.name, reference, {"settings": {}, "inputs": {"posterior": opened.digest}})
