"""Train a flow on each suite of simulations, and test it on every suite."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cosmoinfer import metrics, plots, storage
from cosmoinfer import posterior as posteriors
from cosmoinfer.catalog import Catalog, multi_file, suites
from cosmoinfer.device import device_settings
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.sampling.options import SamplingOptions
from cosmoinfer.split import Split
from cosmoinfer.studies import cross_suite
from cosmoinfer.studies.cross_suite import CrossSuite
from cosmoinfer.tasks.model_sources import read_model_of_kind
from cosmoinfer.tasks.provenance import (
    catalog_inputs,
    file_stem,
    is_up_to_date,
    standing_models,
    task_provenance,
    with_node_settings,
    work_folder,
)
from cosmoinfer.tasks.reading import choose_split, read_catalog
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.run_settings import TrainingRequest
from cosmoinfer.tasks.sampling_job import SamplingJob
from cosmoinfer.tasks.settings import CatalogSettings, SplitSettings, select_keywords
from cosmoinfer.tasks.train_flow import FLOW_TRAINER, check_target
from cosmoinfer.tasks.training import TrainingJob

OPTIONS = ("draws", "skip_failed", "figures")


@dataclass(frozen=True)
class Suite:
    """Simulations of one code, and which of them train, validate and test."""

    catalog: Catalog
    split: Split


@dataclass(frozen=True)
class TrainingPlan:
    """What one flow is trained on, and the suites that it is tested on, by name. stem: of the names of its files."""

    name: str
    stem: str
    suite: Suite
    tested: tuple[str, ...]


@dataclass(frozen=True)
class CrossSuiteStudy:
    """output: the file. study: an evaluation of every pair of what was trained on and what was tested on."""

    output: Path
    study: CrossSuite


def write_cross_suite(
    catalogs: Sequence[Path],
    keywords: Mapping[str, Any],
    output: Path = Path("cross.h5"),
    force: bool = False,
    reporter: Reporter = SILENT,
) -> CrossSuiteStudy:
    """Run again, it goes on where it stopped; models and posteriors stay in a folder of the output's name.

    With three suites and more also a flow for all others together is tested on the one left out.

    keywords: settings by the name of their option. Raises UserError if a setting is not usable or suites do not agree.
    """
    keywords = with_node_settings(keywords, force, *standing_models(output))
    request = TrainingRequest.from_keywords(
        "cross_suite", keywords, FLOW_TRAINER.settings(), FLOW_TRAINER.inputs, OPTIONS
    )
    options = select_keywords(SamplingOptions, keywords)
    by_name = _read_suites(catalogs, CatalogSettings.from_keywords(keywords), request.split)
    figures = keywords.get("figures")
    if figures is not None:
        plots.check_folder(Path(figures), ["cross"])
    folder = work_folder(output)
    device, seed = request.run.prepare_device(), request.run.seed
    posterior_paths = {}
    for plan in _training_plans(by_name):
        model = folder / f"{plan.stem}.flow.h5"
        reporter.info(f"{plan.name}: a flow")
        job = TrainingJob(plan.suite.catalog, plan.suite.split, request, device, force, reporter)
        FLOW_TRAINER.run(job, model)
        for name in plan.tested:
            path = folder / f"{plan.stem} on {file_stem(name)}.posterior.h5"
            _sample_test_rows(model, by_name[name], options, device, path, force, reporter)
            posterior_paths[plan.name, name] = path
    inputs = {
        f"{trained} on {tested}": storage.file_digest(path) for (trained, tested), path in posterior_paths.items()
    }
    meta = task_provenance("cross-suite", {"suites": list(by_name), "seed": seed}, inputs)
    if is_up_to_date(output, "cross-suite", meta, reporter, force):
        study = cross_suite.read(output)
    else:
        evaluations = {
            pair: metrics.evaluate(posteriors.read(path, leave_large=True), seed)
            for pair, path in posterior_paths.items()
        }
        study = cross_suite.compare_suites(list(by_name), evaluations)
        cross_suite.write(output, study, meta, force)
    if figures is not None:
        plots.save(lambda: plots.plot_cross_suite(study), Path(figures) / "cross.png")
        reporter.info(f"{figures}: cross.png")
    return CrossSuiteStudy(output, study)


def _read_suites(paths: Sequence[Path], settings: CatalogSettings, split_settings: SplitSettings) -> dict[str, Suite]:
    """By name. Split together, so that a list of test simulations may name those of every suite."""
    if len(paths) < 2:
        raise UserError(
            f"expected two suites or more, found {paths[0]} alone; for a single suite use train-flow and evaluate"
        )
    catalogs = [read_catalog(path, settings) for path in paths]
    for catalog in catalogs:
        check_target(catalog)
    suites.check_suites(catalogs)
    names = suites.suite_names(catalogs, [multi_file.catalog_name(path) for path in paths])
    by_name = {name: suites.with_suite_ids(name, catalog) for name, catalog in zip(names, catalogs, strict=True)}
    split = choose_split(suites.join_suites(list(by_name.values())), split_settings)
    return {name: Suite(catalog, _split_of_suite(split, catalog)) for name, catalog in by_name.items()}


def _split_of_suite(split: Split, catalog: Catalog) -> Split:
    """The share of a split that is of one suite; every partition must have a simulation."""
    in_suite = np.isin(split.simulation, catalog.simulation)
    return Split(split.simulation[in_suite], split.partition[in_suite]).require_complete()


def _training_plans(by_name: Mapping[str, Suite]) -> Iterator[TrainingPlan]:
    """A flow for each suite; with three and more, one for all others together as well."""
    for name, suite in by_name.items():
        yield TrainingPlan(name, file_stem(name), suite, tuple(by_name))
    for left_out in by_name if len(by_name) > 2 else ():
        training = [suite for name, suite in by_name.items() if name != left_out]
        split = Split(
            np.concatenate([suite.split.simulation for suite in training]),
            np.concatenate([suite.split.partition for suite in training]),
        )
        joined = Suite(suites.join_suites([suite.catalog for suite in training]), split)
        name, stem = (f"{cross_suite.ALL_BUT}{suite}" for suite in (left_out, file_stem(left_out)))
        yield TrainingPlan(name, stem, joined, (left_out,))


def _sample_test_rows(
    model: Path,
    suite: Suite,
    options: SamplingOptions,
    device: torch.device,
    output: Path,
    force: bool,
    reporter: Reporter,
) -> None:
    """The posterior of the suite's test rows, the same ones whatever was trained, unless it is up to date."""
    catalog = suite.catalog
    rows = suite.split.select_rows(catalog.simulation, "test")
    settings = {**options.provenance, **device_settings(device), "rows": catalog.index[rows].tolist()}
    meta = task_provenance("cross-suite", settings, {**catalog_inputs(catalog), "model": storage.file_digest(model)})
    if is_up_to_date(output, "posterior", meta, reporter, force):
        return
    flow = read_model_of_kind(model, "flow", device)
    rows = flow.representatives(catalog, rows)
    used = flow.training_record.partition_of(catalog, rows) < 2
    if used.any():
        learned = join_first(catalog.index[rows[used]])
        raise UserError(f"{catalog.path}: the flow of {model} was trained on test rows of this suite (row {learned})")
    shared = int(flow.training_record.shares_parameters(catalog, rows).sum())
    if shared:
        reporter.warn(
            f"{catalog.path}: {shared} of {len(rows)} test rows have the parameters of training rows of {model}, "
            "and may score too well; `split_file` with test simulations as SUITE/ID, the same of every suite, keeps "
            "matched ones together"
        )
    posterior = SamplingJob(flow, catalog, rows, options, meta).draw(reporter, output.parent)
    posteriors.write(output, posterior, meta, force)
    reporter.info(f"{output}: {len(posterior)} rows")
