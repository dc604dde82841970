"""Bind observations to a model: their likelihood as a function of the parameters, for any sampler."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import likelihoods, storage
from cosmoinfer.catalog import Catalog
from cosmoinfer.device import device_settings
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.formatting import count_text
from cosmoinfer.likelihoods import Likelihood
from cosmoinfer.models import DensityModel, FlowModel
from cosmoinfer.models.observations import Data, observations
from cosmoinfer.settings import check_keywords
from cosmoinfer.tasks.model_sources import ModelSource, open_for_model, open_model, require_model_first
from cosmoinfer.tasks.provenance import (
    catalog_inputs,
    is_up_to_date,
    stem_of_rows,
    task_provenance,
    with_node_settings,
)
from cosmoinfer.tasks.reading import report_placeholders, select_rows, warn_of_training_rows
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.run_settings import RUN, RunSettings
from cosmoinfer.tasks.settings import READ_OPTIONS, ROWS, OutputSettings, RowSettings, select_keywords

SETTINGS = (*READ_OPTIONS, *RUN, *ROWS)


@dataclass(frozen=True)
class BoundObservations:
    """A likelihood and the file that holds it."""

    output: Path | None
    likelihood: Likelihood

    def describe(self) -> str:
        """In one line."""
        index = self.likelihood.observed.index
        return (
            f"{self.output}: {count_text(len(index), 'observation')} (row {join_first(index)}), "
            f"{self.likelihood.kind}: {self.likelihood.prior_accounting}"
        )


def likelihood(
    model: ModelSource,
    observation: Path | str | Catalog | Data,
    *,
    output: Path | str | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> Likelihood:
    """ln p(x | theta) of an observation as a function of theta; of several, the sum.

    model: a density p(x | theta), or a flow, which is divided by its prior; a path or an object.
    observation: a path, a catalog, or an array of the shape of a row of the training catalog, or (J, ...) of J.
    output: the file to write, if any; a complete one of the same settings is read in place of binding anew.
    settings: the options of ``cosmoinfer likelihood`` by name, as ``rows=[3, 5]``.

    Raises UserError, a ValueError, which names the setting that is not usable.
    """
    to = OutputSettings.from_arguments(output, force, reporter)
    return _bind(model, observation, settings, to.output, to.force, to.reporter).likelihood


def write_likelihood(
    model: Path,
    observation: Path,
    keywords: Mapping[str, Any],
    output: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> BoundObservations:
    """The same for the command line. keywords: settings by the name of their option.

    Raises UserError if a setting, the model or the observation is not usable.
    """
    name = f"{stem_of_rows(storage.require_file(model), observation)}.likelihood.h5"
    return _bind(model, observation, keywords, output or model.with_name(name), force, reporter)


def _bind(
    source: ModelSource,
    observation: Path | str | Catalog | Data,
    keywords: Mapping[str, Any],
    output: Path | None,
    force: bool,
    reporter: Reporter,
) -> BoundObservations:
    check_keywords("likelihood", keywords, SETTINGS)
    keywords = with_node_settings(keywords, force, output)
    selected, run = select_keywords(RowSettings, keywords), select_keywords(RunSettings, keywords)
    device = run.prepare_device()
    require_model_first("likelihood", source, observation)
    opened = open_model(source, device)
    model = opened.model
    if not isinstance(model, DensityModel | FlowModel):
        raise UserError(f"{opened.name}: is a {model.kind}; expected a density (train-density) or a flow (train-flow)")
    if reason := likelihoods.missing_likelihood(model):
        raise UserError(f"{opened.name}: {reason}")
    if not isinstance(observation, Path | str | Catalog):
        observation = observations(model.preprocessing, observation).catalog
    catalog = open_for_model(model.preprocessing, observation, keywords)
    rows = select_rows(model.training_record, catalog, selected.split, selected.rows)
    _require_one_universe(catalog, rows)
    settings = {"rows": catalog.index[rows].tolist(), "seed": run.seed, **device_settings(device)}
    meta = task_provenance("likelihood", settings, {**catalog_inputs(catalog), "model": opened.digest})
    if output is not None and is_up_to_date(output, "likelihood", meta, reporter, force):
        return BoundObservations(output, likelihoods.read(output))
    for conversion in catalog.conversions:
        reporter.info(conversion)
    warn_of_training_rows(model.training_record, catalog, rows, selected.split, reporter)
    report_placeholders(catalog, rows, reporter)
    bound = likelihoods.bind(model, catalog, rows, run.seed, meta)
    for line in likelihoods.anomaly_lines(model, catalog, rows, bound.observed.ood_percentile):
        reporter.warn(line)
    if output is not None:
        likelihoods.write(output, bound, force)
    return BoundObservations(output, bound)


def _require_one_universe(catalog: Catalog, rows: np.ndarray) -> None:
    """Raises UserError where rows (n,), by position, are known to have different parameters."""
    if catalog.theta is None:
        return
    simulations = rows[catalog.has_theta[rows]]
    different = np.unique(catalog.theta[simulations], axis=0)
    if len(different) > 1:
        raise UserError(
            f"{catalog.path}: {len(rows)} rows with {len(different)} different parameters; expected observations of "
            "one universe, whose log likelihoods add up (`rows` picks them)"
        )
