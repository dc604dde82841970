"""Split, train a flow, sample, evaluate, draw the figures and report, in one go."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from cosmoinfer import models, plots, storage
from cosmoinfer.catalog.multi_file import catalog_name
from cosmoinfer.errors import DamagedOutput
from cosmoinfer.sampling.options import SamplingOptions
from cosmoinfer.tasks.evaluate import GatedEvaluation, Gates, draw_figures, measure_and_write
from cosmoinfer.tasks.provenance import task_provenance, with_node_settings
from cosmoinfer.tasks.reading import choose_split, read_catalog
from cosmoinfer.tasks.report import PAGE, check_page, write_page
from cosmoinfer.tasks.report_content import ReportSources
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.run_settings import TrainingRequest
from cosmoinfer.tasks.sample import draw_and_write
from cosmoinfer.tasks.sampling_job import prepare_sampling
from cosmoinfer.tasks.settings import CatalogSettings, select_keywords
from cosmoinfer.tasks.split import split_and_write
from cosmoinfer.tasks.train_flow import FLOW_TRAINER, plan_flow
from cosmoinfer.tasks.training import TrainingJob

Made = TypeVar("Made")

INPUTS = ("noise",)
OPTIONS = ("draws", "recalibrate", "fail_if", "gate")


def run_all(
    path: Path,
    keywords: Mapping[str, Any],
    folder: Path = Path("results"),
    force: bool = False,
    reporter: Reporter = SILENT,
    command: str = "",
) -> GatedEvaluation:
    """Every file goes into the folder; run again, it goes on where it stopped.

    keywords: settings by the name of their option. command: as it was typed, for the report.

    Raises UserError if a setting or the catalog is not usable.
    """
    files = {name: folder / f"{name}.h5" for name in ("split", "flow", "posterior", "metrics")}
    keywords = with_node_settings(keywords, force, files["flow"], files["posterior"])
    gates = select_keywords(Gates, keywords)
    request = TrainingRequest.from_keywords("run", keywords, FLOW_TRAINER.settings(), INPUTS, OPTIONS)
    select_keywords(SamplingOptions, keywords)  # before a training, whether they are usable
    catalog = read_catalog(path, CatalogSettings.from_keywords(keywords))
    split, device, seed = choose_split(catalog, request.split), request.run.prepare_device(), request.run.seed
    training = TrainingJob(catalog, split, request, device, force, reporter)
    plan_flow(replace(training, reporter=SILENT))  # a setting that is not usable is told before anything is written
    if catalog.parameters is not None:
        gates.check_names(catalog.parameters)
    storage.make_folder(folder)
    plots.check_folder(folder / "figures")
    check_page(folder / PAGE)

    def made_again(make: Callable[[bool], Made]) -> Made:
        """What ``make`` gives, called with ``force``; with True where a damaged output is to be replaced."""
        try:
            return make(force)
        except DamagedOutput as error:
            reporter.warn(f"{error.reason}; it is made again")
            return make(True)

    written = made_again(lambda force: split_and_write(catalog, request.split, files["split"], force, reporter))
    reporter.result(written.describe())
    made_again(lambda force: FLOW_TRAINER.run(replace(training, force=force), files["flow"]))
    job = prepare_sampling(files["flow"], path, {**keywords, "split": "test"})
    sampled = made_again(lambda force: draw_and_write(job, files["posterior"], force, reporter))
    if not sampled.complete:
        reporter.result(sampled.describe())
    inputs = {"posterior": storage.file_digest(files["posterior"])}
    meta = task_provenance("evaluate", {"partition": None, "seed": seed}, inputs)
    evaluation = made_again(
        lambda force: measure_and_write(sampled.posterior, meta, seed, files["metrics"], force, reporter)
    )
    kinds = {"model" if name == "flow" else name: path for name, path in files.items()}
    sources = ReportSources.from_files(kinds, catalog, command)
    learning_curves = {"histories": models.histories(sources.model)}
    draw_figures(sampled.posterior, evaluation, learning_curves, seed, folder / "figures", reporter)
    checked = gates.check(evaluation).gates
    write_page(sources, catalog_name(path), checked, folder / PAGE, reporter)
    return GatedEvaluation(evaluation, gates)
