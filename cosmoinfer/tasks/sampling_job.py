"""What is to be sampled: a model, rows of a catalog, options, and the provenance of the draws; and drawing it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import models
from cosmoinfer.catalog import Catalog, observation_sets
from cosmoinfer.device import device_settings
from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.models import ClassifierModel, DensityModel, FlowModel, RegressorModel
from cosmoinfer.models.flow import product_posterior
from cosmoinfer.posterior import Posterior
from cosmoinfer.quoting import split_names
from cosmoinfer.reweighting import marginalise
from cosmoinfer.sampling.options import NothingSampled, SamplingOptions
from cosmoinfer.sampling.shard import Shard
from cosmoinfer.settings import convert, is_given
from cosmoinfer.storage import JSONObject
from cosmoinfer.tasks.draw_warnings import warn_of_anomalies, warn_of_product
from cosmoinfer.tasks.model_sources import ModelSource, open_for_model, open_model, require_model_first
from cosmoinfer.tasks.provenance import catalog_inputs, task_provenance
from cosmoinfer.tasks.reading import select_rows
from cosmoinfer.tasks.reporter import Reporter
from cosmoinfer.tasks.run_settings import RunSettings
from cosmoinfer.tasks.settings import RowSettings, select_keywords

SampledModel = FlowModel | RegressorModel | ClassifierModel


@dataclass(frozen=True)
class SamplingJob:
    """model: at the temperature that the options ask for. rows: (n,) positions in the catalog.

    provenance: the /meta of a file of the draws. partition: of the split, if one was named.
    keep: parameters that are left when the others are marginalised; None for all of the model's.
    """

    model: SampledModel
    catalog: Catalog
    rows: np.ndarray
    options: SamplingOptions
    provenance: JSONObject
    partition: str | None = None
    keep: tuple[str, ...] | None = None

    @property
    def index(self) -> np.ndarray:
        """Row numbers, (n,)."""
        return self.catalog.index[self.rows]

    @property
    def shard(self) -> Shard | None:
        """Which of its parts is drawn; None for all of it."""
        return self.options.parsed_shard

    @cached_property
    def drawn_rows(self) -> np.ndarray:
        """Those of the rows that are drawn, (k,): all of them, or of a shard, in which the rows of a simulation stay
        together where they are combined. Raises UserError where there are more shards than observations."""
        if self.shard is None:
            return self.rows
        if self.options.combine is None:
            return self.rows[self.shard.places(len(self.rows))]
        groups = observation_sets.group_by_simulation(self.catalog, self.rows)
        return np.concatenate(groups[self.shard.places(len(groups))])

    @cached_property
    def partitions(self) -> np.ndarray:
        """The partition of the training's split that each row belongs to, (n,)."""
        return self.model.training_record.partition_of(self.catalog, self.rows)

    def of_rows(self, rows: np.ndarray) -> "SamplingJob":
        """The same of these rows (n,)."""
        settings = self.provenance["settings"] | {"rows": self.catalog.index[rows].tolist()}
        return replace(self, rows=rows, provenance=self.provenance | {"settings": settings})

    @property
    def learning_curves(self) -> JSONObject:
        """Those of the model, and what they measure, by field of ``plots.FigureData``."""
        loss = getattr(self.model, "loss", None)
        return {"histories": models.histories(self.model)} | ({"loss": f"loss: {loss}"} if loss else {})

    def draw(self, reporter: Reporter, folder: Path | None, written: bool = True) -> Posterior:
        """Reports progress, rows that could not be sampled, and observations unlike the training data.

        folder: for draws that are too many for memory; without one all are held. written: whether a
        file is written from them there.
        """
        for conversion in self.catalog.conversions:
            reporter.info(conversion)
        combine = self.options.combine
        unit = "simulation" if combine else "row"
        options = replace(self.options, progress=reporter.rows(f"sampling {unit}"), folder=folder, written=written)
        options = replace(options, selection=self.rows)
        fitted = None if combine else getattr(self.model, "recalibration", None)
        if fitted is not None and self.model.temperature != 1:
            reporter.info(fitted.describe())
        try:
            posterior = self._draw(options)
        except NothingSampled:
            if self.shard is None:
                raise
            posterior = Posterior.empty(self.model.preprocessing.parameters)
        if combine:
            failed = set(self.catalog.simulation[self.drawn_rows].tolist()) - set(posterior.simulation.tolist())
        else:
            failed = set(self.catalog.index[self.drawn_rows].tolist()) - set(posterior.index.tolist())
        if failed:
            reporter.info(f"left out, could not be sampled: {unit} {join_first(sorted(failed))}")
        if combine and len(posterior):
            warn_of_product(posterior, reporter)
        warn_of_anomalies(self.model, self.catalog, self.drawn_rows, posterior, reporter)
        return posterior if self.keep is None else marginalise(posterior, self.keep)

    def _draw(self, options: SamplingOptions) -> Posterior:
        if options.combine is None:
            return self.model.posterior(self.catalog, self.drawn_rows, options)
        assert isinstance(self.model, FlowModel)
        return product_posterior(self.model, self.catalog, self.drawn_rows, options)


def prepare_sampling(
    source: ModelSource, catalog_source: Path | str | Catalog | None, keywords: Mapping[str, Any]
) -> SamplingJob:
    """Read the model and the catalog, and select the rows.

    keywords: by the name of their option, how the catalog is read, which of its rows, and how they are sampled.
    ``split`` is train, validation, test or all, by default the model's own test rows, or the whole of another catalog;
    ``rows`` replace it, row numbers as ``3,5,20:25`` or a sequence. ``infer`` marginalises all other parameters.

    Raises UserError if the model gives no posteriors, or cannot be combined or recalibrated as the options ask.
    """
    options, selected = select_keywords(SamplingOptions, keywords), select_keywords(RowSettings, keywords)
    device = select_keywords(RunSettings, keywords).prepare_device()
    require_model_first("sample", source, catalog_source)
    opened = open_model(source, device)
    model, name = opened.model, opened.name
    if isinstance(model, DensityModel):
        raise UserError(f"{name}: is a density of the data; generate draws from it, score judges rows by it")
    if options.combine is not None:
        _check_combine(options.combine, name, model)
    if options.recalibrate is not None:
        model = _recalibrated(options.recalibrate, name, model)
    keep = _kept_parameters(keywords.get("infer"), name, model)
    if keep is not None:  # of all that the model infers, which the catalog has to have
        of_file = isinstance(catalog_source, Path | str)
        keywords = {**keywords, "infer": model.preprocessing.parameters.names if of_file else None}
    catalog = open_for_model(model.preprocessing, catalog_source, keywords)
    rows = select_rows(model.training_record, catalog, selected.split, selected.rows)
    if isinstance(model, FlowModel):
        rows = model.representatives(catalog, rows)
    used = {"rows": catalog.index[rows].tolist(), **options.provenance, **device_settings(device)}
    used |= {} if keep is None else {"infer": keep}
    inputs = {**catalog_inputs(catalog), "model": opened.digest}
    return SamplingJob(model, catalog, rows, options, task_provenance("sample", used, inputs), selected.split, keep)


def _kept_parameters(infer: str | Sequence[str] | None, name: str, model: Any) -> tuple[str, ...] | None:
    """Those that are asked for, if they are not all that the model infers, in its order."""
    names = model.preprocessing.parameters.names
    if not is_given(infer) or isinstance(model, ClassifierModel):
        return None
    keep = split_names(convert(infer, str | tuple[str, ...]))
    if unknown := [entry for entry in keep if entry not in names]:
        listing = join_first(unknown)
        raise UserError(
            f"{name} infers {', '.join(names)}, found {listing}; {list_choices(unknown[0], names)}", "infer"
        )
    return None if keep == names else keep


def _recalibrated(recalibrate: str, name: str, model: Any) -> Any:
    """The model at the temperature that its validation rows ask for."""
    if recalibrate != "temperature":
        raise UserError(
            f"{recalibrate!r} is not known; {list_choices(recalibrate, ('temperature',))}", setting="recalibrate"
        )
    if model.kind == "classifier":
        raise UserError(
            f"{name} is a classifier, whose probabilities have their temperature already", setting="recalibrate"
        )
    if model.recalibration is None:
        points = getattr(model, "head", "") == "point"
        why = "it gives points and no widths" if points else "train it anew to have one"
        raise UserError(f"{name} has no temperature: {why}", setting="recalibrate")
    return replace(model, temperature=model.recalibration.temperature)


def _check_combine(combine: str, name: str, model: SampledModel) -> None:
    if combine != "product":
        raise UserError(f"{combine!r} is not known; {list_choices(combine, ('product',))}", setting="combine")
    if not isinstance(model, FlowModel):
        raise UserError(f"{name} is a {model.kind}; expected a flow", setting="combine", value="product")
    if model.set_size:
        raise UserError(
            f"{name} was trained with `observation=simulation`, on all rows of a simulation at once",
            setting="combine",
            value="product",
        )
