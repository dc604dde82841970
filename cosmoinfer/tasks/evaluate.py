"""Measure posteriors against the true parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cosmoinfer import metrics, plots, storage
from cosmoinfer.device import prepare_device
from cosmoinfer.errors import UserError, listed
from cosmoinfer.metrics import Evaluation
from cosmoinfer.posterior import Posterior
from cosmoinfer.tasks.evaluation_job import (
    EvaluationJob,
    PosteriorOfModel,
    Reference,
    check_held_out,
    read_drawn,
)
from cosmoinfer.tasks.provenance import is_up_to_date, make_folder, task_provenance
from cosmoinfer.tasks.reading import warn_of_training_rows
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.sampling_job import RowSelection, SamplingJob, SamplingOptions, prepare_sampling
from cosmoinfer.tasks.settings import READING, RUN, CatalogSettings, RunSettings, check_keywords, select_keywords

OF_SAMPLING = ("draws", "skip_failed", *READING, "memory")  # which only a model heeds
SETTINGS = (*OF_SAMPLING, *RUN, "split", "rows", "recalibrate", "against", "local", "fail_if", "gate", "figures")


@dataclass(frozen=True)
class EvaluatedPosterior:
    """evaluation: the metrics and the verdict. failed: why gates failed. skipped: why gates were not tested."""

    output: Path
    evaluation: Evaluation
    failed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def summary(self) -> list[str]:
        """The verdict and what stands out, a line each."""
        return self.evaluation.summary()


@dataclass(frozen=True)
class Gates:
    """expressions: each fails if it holds, as ``r2[Omega_m]<0.5``. default: whether the default gates count too."""

    expressions: tuple[str, ...] = ()
    default: bool = False

    def __post_init__(self) -> None:
        for expression in self.expressions:
            metrics.validate_gate(expression)

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> "Gates":
        """Raises UserError if an expression cannot be a gate."""
        return cls(tuple(keywords.get("fail_if") or ()), bool(keywords.get("gate")))

    def judge(self, evaluated: EvaluatedPosterior) -> EvaluatedPosterior:
        """With what failed, and what was skipped."""
        failed = [why for gate in self.expressions if (why := metrics.gate_failure(evaluated.evaluation, gate))]
        if not self.default:
            return replace(evaluated, failed=tuple(failed))
        judged = metrics.check_default_gates(evaluated.evaluation)
        return replace(evaluated, failed=(*failed, *judged.failed.values()), skipped=tuple(judged.skipped.values()))


def write_evaluation(
    file: Path,
    catalog: Path | None,
    keywords: Mapping[str, Any],
    output: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> EvaluatedPosterior:
    """Evaluate a posterior, or a model on a catalog, and write the metrics unless they are up to date.

    keywords: settings by the name of their option. Raises UserError if a setting or a file is not usable.
    """
    check_keywords("evaluate", keywords, SETTINGS)
    gates = Gates.from_keywords(keywords)
    output = output or file.with_name(f"{file.stem}.metrics.h5")
    job = prepare_evaluation(file, catalog, keywords, reporter)
    figures = keywords.get("figures")
    up_to_date = is_up_to_date(output, "metrics", job.provenance, reporter, force)
    if up_to_date and figures is None:
        return gates.judge(EvaluatedPosterior(output, metrics.read(output)))
    posterior, reference = job.draw(reporter, output.parent)
    if up_to_date:
        evaluation = metrics.read(output)
    else:
        evaluation = metrics.evaluate(posterior, job.seed, reference, job.local)
        metrics.write(output, evaluation, job.provenance, force)
    if figures is not None:
        draw_figures(posterior, evaluation, job.source.learning_curves, job.seed, Path(figures), reporter)
    return gates.judge(EvaluatedPosterior(output, evaluation))


def prepare_evaluation(
    file: Path, catalog: Path | None, keywords: Mapping[str, Any], reporter: Reporter
) -> EvaluationJob:
    """Nothing is drawn yet. Raises UserError if a file is of the wrong kind, or settings would have no effect."""
    kind, against = storage.file_kind(file), keywords.get("against")
    if kind in (None, "catalog"):
        raise UserError(f"{file}: is a catalog; the model comes first: cosmoinfer evaluate MODEL {file}")
    if kind != "model" and (against is None or storage.file_kind(against) != "model"):
        _check_drawn(file, catalog, {name: keywords.get(name) for name in OF_SAMPLING})
    options = select_keywords(SamplingOptions, keywords)
    run = select_keywords(RunSettings, keywords)
    selection = RowSelection(keywords.get("split"), keywords.get("rows"))
    source: Any
    if kind == "model":
        source = _prepare_model(file, catalog, keywords, selection, options, run, reporter)
    elif options.recalibrate is not None:
        raise UserError(f"{file}: is a posterior, drawn already; `recalibrate` goes with a model")
    else:
        source = read_drawn(file, selection, run.seed, reporter)
    local = tuple(dict.fromkeys(keywords.get("local") or ()))
    if local:
        metrics.check_local(local, source.index)
    job = EvaluationJob(source, None, local, run.seed)
    if against is None:
        return job
    return replace(job, reference=_prepare_reference(job, against, catalog, keywords, options, run, reporter))


def measure_and_write(
    posterior: Posterior, provenance: dict[str, Any], seed: int, output: Path, force: bool, reporter: Reporter
) -> EvaluatedPosterior:
    """The metrics of a posterior that has been drawn, written unless they are up to date."""
    if is_up_to_date(output, "metrics", provenance, reporter, force):
        return EvaluatedPosterior(output, metrics.read(output))
    evaluation = metrics.evaluate(posterior, seed)
    metrics.write(output, evaluation, provenance, force)
    return EvaluatedPosterior(output, evaluation)


def draw_figures(
    posterior: Posterior,
    evaluation: Evaluation,
    learning_curves: Mapping[str, Any],
    seed: int,
    folder: Path,
    reporter: Reporter,
) -> None:
    """Every figure that applies, into a folder. learning_curves: by field of ``plots.FigureData``."""
    make_folder(folder)
    paths = plots.draw(plots.FigureData(posterior, evaluation, **learning_curves, seed=seed), folder)
    reporter.report(f"{folder}: {', '.join(path.name for path in paths)}")


def _check_drawn(path: Path, catalog: Path | None, options: Mapping[str, Any]) -> None:
    """What says how to draw, or how to read a catalog, has no effect on a posterior that was drawn before."""
    if catalog is not None:
        raise UserError(f"{path}: is a posterior and holds its truths; a catalog goes with a model only")
    given = [f"`{name}`" for name, value in options.items() if value not in (None, False, [], ())]
    if given:
        raise UserError(f"{path}: is a posterior, drawn already; only a model takes {listed(given)}")


def _prepare_model(
    path: Path,
    catalog: Path | None,
    keywords: Mapping[str, Any],
    selection: RowSelection,
    options: SamplingOptions,
    run: RunSettings,
    reporter: Reporter,
) -> PosteriorOfModel:
    if catalog is None:
        raise UserError(f"{path}: is a model; name its catalog too: cosmoinfer evaluate {path} CATALOG")
    job = _prepare_job(path, catalog, keywords, selection, options, run)
    if job.catalog.theta is None:
        raise UserError(f"{catalog}: has no true parameters to compare with")
    check_held_out(job.parts, selection)
    warn_of_training_rows(job.parts, selection.part, reporter)
    meta = task_provenance("evaluate", job.provenance["settings"], job.provenance["inputs"])
    return PosteriorOfModel(path, job, selection.part, meta)


def _prepare_reference(
    job: EvaluationJob,
    path: Path,
    catalog: Path | None,
    keywords: Mapping[str, Any],
    options: SamplingOptions,
    run: RunSettings,
    reporter: Reporter,
) -> Reference:
    """Of the same rows. Warns of those that its model has learned from."""
    if storage.file_kind(path) != "model":
        return Reference(path, None, {"settings": {}, "inputs": {"posterior": storage.file_digest(path)}})
    if catalog is None:
        raise UserError(f"{path}: is a model; name its catalog too: evaluate FILE CATALOG `against={path}`")
    index: Sequence[int] = job.source.index.tolist()
    selection = RowSelection(rows=",".join(map(str, index)))
    reference = _prepare_job(path, catalog, keywords, selection, replace(options, recalibrate=None), run)
    used = int((reference.parts < 2).sum())
    if used:
        reporter.warn(f"{path}: was trained on or chosen by {used} of these {len(index)} rows")
    meta = reference.provenance
    return Reference(path, reference, {"settings": {"against": meta["settings"]}, "inputs": meta["inputs"]})


def _prepare_job(
    path: Path,
    catalog: Path,
    keywords: Mapping[str, Any],
    selection: RowSelection,
    options: SamplingOptions,
    run: RunSettings,
) -> SamplingJob:
    device = prepare_device(run.device, run.threads)
    return prepare_sampling(path, catalog, CatalogSettings.from_keywords(keywords), selection, options, device)
