"""Train on nested subsets of a catalog, and say whether more simulations would help."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cosmoinfer import plots, storage
from cosmoinfer import split as splits
from cosmoinfer.catalog import Catalog
from cosmoinfer.split import Split
from cosmoinfer.studies import learning_curve
from cosmoinfer.studies.learning_curve import LearningCurve
from cosmoinfer.studies.training_sizes import HeldOutScores, check_sizes, default_sizes
from cosmoinfer.tasks.model_sources import read_model_of_kind
from cosmoinfer.tasks.provenance import (
    default_output,
    is_up_to_date,
    standing_models,
    task_provenance,
    with_node_settings,
    work_folder,
)
from cosmoinfer.tasks.reading import choose_split, parse_counts, read_catalog
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.run_settings import TrainingRequest
from cosmoinfer.tasks.settings import CatalogSettings
from cosmoinfer.tasks.train_flow import FLOW_TRAINER, check_target
from cosmoinfer.tasks.training import TrainingJob

INPUTS = ("noise",)
OPTIONS = ("sizes", "predict", "figures")

DRAWS_PER_TEST_ROW = 1000  # for its mass inside the prior box


@dataclass(frozen=True)
class LearningCurveStudy:
    """output: the file. curve: mean held-out log density by number of training simulations, and its extrapolation."""

    output: Path
    curve: LearningCurve


def write_learning_curve(
    path: Path,
    keywords: Mapping[str, Any],
    output: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> LearningCurveStudy:
    """Run again, it goes on where it stopped; models stay in a folder of the output's name.

    keywords: settings by the name of their option. Raises UserError if a setting or the catalog is not usable.
    """
    output = output or default_output(path, "curve")
    keywords = with_node_settings(keywords, force, *standing_models(output))
    request = TrainingRequest.from_keywords("learning_curve", keywords, FLOW_TRAINER.settings(), INPUTS, OPTIONS)
    seed = request.run.seed
    predict = parse_counts("predict", keywords["predict"]) if keywords.get("predict") else ()
    catalog = read_catalog(path, CatalogSettings.from_keywords(keywords))
    check_target(catalog)
    split = choose_split(catalog, request.split)
    simulations, sizes = split.sizes[0], keywords.get("sizes")
    sizes = check_sizes(parse_counts("sizes", sizes) if sizes else default_sizes(simulations), simulations)
    figures = keywords.get("figures")
    if figures is not None:
        plots.check_folder(Path(figures), ["learning_curve"])
    folder = work_folder(output)
    subsets = {size: splits.nested_subset(split, size) for size in sizes}
    models = {size: folder / f"{size}.flow.h5" for size in sizes}
    device = request.run.prepare_device()
    largest = TrainingJob(catalog, subsets[sizes[-1]], request, device, force, reporter, subsets[sizes[-1]])
    _train_all(largest, subsets, models)
    inputs = {str(size): storage.file_digest(path) for size, path in models.items()}
    meta = task_provenance("learning-curve", {"sizes": sizes, "predict": predict, "seed": seed}, inputs)
    if is_up_to_date(output, "learning-curve", meta, reporter, force):
        curve = learning_curve.read(output)
    else:
        scores = _score_test_rows(catalog, subsets, models, device, seed, reporter)
        curve = learning_curve.fit_learning_curve(scores, predict, seed)
        learning_curve.write(output, scores, curve, meta, force)
    if figures is not None:
        plots.save(lambda: plots.plot_learning_curve(curve), Path(figures) / "learning_curve.png")
        reporter.info(f"{figures}: learning_curve.png")
    return LearningCurveStudy(output, curve)


def _train_all(job: TrainingJob, subsets: Mapping[int, Split], models: Mapping[int, Path]) -> None:
    """A flow of each size, with the recipe of the largest, which is trained first."""
    for size, subset in sorted(subsets.items(), reverse=True):
        job.reporter.info(f"{size} training simulations, {subset.sizes[1]} validation")
        job = replace(job, split=subset)
        FLOW_TRAINER.run(job, models[size])


def _score_test_rows(
    catalog: Catalog,
    subsets: Mapping[int, Split],
    models: Mapping[int, Path],
    device: torch.device,
    seed: int,
    reporter: Reporter,
) -> HeldOutScores:
    """log_prob of the same test rows under the flow of each size."""
    _, theta = catalog.require_parameters()
    rows = next(iter(subsets.values())).select_rows(catalog.simulation, "test")
    log_prob = []
    for path in models.values():
        reporter.info(f"{path}: scoring {len(rows)} test rows")
        flow = read_model_of_kind(path, "flow", device)
        rows = flow.representatives(catalog, rows)
        log_prob.append(flow.log_prob_of_rows(catalog, rows, theta[rows], DRAWS_PER_TEST_ROW, seed))
    validation = np.array([subset.sizes[1] for subset in subsets.values()])
    sizes = np.array([*models])
    return HeldOutScores(sizes, validation, np.stack(log_prob), catalog.simulation[rows], catalog.index[rows])
