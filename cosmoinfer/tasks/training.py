"""The one way to train a model: read, split, plan, fit, write. It knows no kind of model: each brings its own plan."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import torch

from cosmoinfer import audit, models, storage
from cosmoinfer import split as splits
from cosmoinfer.catalog import Catalog
from cosmoinfer.device import device_settings
from cosmoinfer.errors import UserError
from cosmoinfer.memory import available_bytes
from cosmoinfer.models.density.recipe import density_settings
from cosmoinfer.models.flow import flow_settings
from cosmoinfer.models.recipe import Shapes
from cosmoinfer.models.regressor import regressor_settings
from cosmoinfer.preprocessing.fit import (
    check_compression,
    check_noise,
    describe_choices,
    fit_preprocessing,
    with_compression,
)
from cosmoinfer.preprocessing.noise import Noise, read_noise
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.settings import is_given
from cosmoinfer.split import Split
from cosmoinfer.tasks.provenance import (
    catalog_inputs,
    default_output,
    is_up_to_date,
    task_provenance,
    with_node_settings,
)
from cosmoinfer.tasks.reading import CatalogSource, choose_split, open_catalog
from cosmoinfer.tasks.reporter import MUTE, Reporter
from cosmoinfer.tasks.run_settings import RANKS, RankSettings, TrainingRequest
from cosmoinfer.tasks.settings import OutputSettings, select_keywords
from cosmoinfer.training import augmentation
from cosmoinfer.training.checkpoints import CheckpointFolder
from cosmoinfer.training.ranks import ALONE, Ranks, n_started
from cosmoinfer.training.settings import Listener, TrainingContext
from cosmoinfer.training.streams import generators

TrainedModel = TypeVar("TrainedModel", bound=models.Model)
SETTINGS_OF_KIND = {"flow": flow_settings, "regressor": regressor_settings, "density": density_settings}


@dataclass(frozen=True)
class TrainingJob:
    """A training that is asked for, of a catalog that has been read and split.

    force: replace another output, and train what takes many network passes. defaults_of: the split for whose number of
    training rows the defaults are; by default the job's own. ranks: processes that train together. listener: hears of
    every epoch, and may end the training by an exception.
    """

    catalog: Catalog
    split: Split
    request: TrainingRequest
    device: torch.device
    force: bool
    reporter: Reporter
    defaults_of: Split | None = None
    ranks: Ranks = ALONE
    listener: Listener | None = None

    def context(self, checkpoints: CheckpointFolder | None) -> TrainingContext:
        """Where trainings are done. Raises UserError if those that are kept have other settings or inputs."""
        if checkpoints is not None:
            checkpoints.check(self.force)
        report, listener = self.reporter.epochs(), self.listener

        def on_epoch(epoch: int, epochs: int, training: float, validation: float) -> None:
            report(epoch, epochs, training, validation)
            if listener is not None:
                listener(epoch, epochs, training, validation)

        seed, info = self.request.run.seed, self.reporter.info
        return TrainingContext(self.device, seed, info, on_epoch, checkpoints, self.ranks)

    @property
    def fingerprints(self) -> dict[str, str]:
        """Of all that a model is made from, by name."""
        split = splits.fingerprint(self.split)
        return {**catalog_inputs(self.catalog), "split": split, **self.request.inputs.digests()}

    def read_noise(self) -> Noise | None:
        """The noise that the training adds to these simulations, if a covariance is given."""
        path, shapes = self.request.inputs.noise, tuple(observable.row_shape for observable in self.catalog.observables)
        return None if path is None else read_noise(path, shapes, self.request.run.seed)

    def check_settings_of_data(self, augment: str, compress: str = "", noise: Noise | None = None) -> Shapes:
        """The shapes of a row as networks see it. Raises UserError where a setting does not go with the data."""
        observables = self.catalog.observables
        kinds, periodic = [entry.kind for entry in observables], [entry.periodic for entry in observables]
        augmentation.parse(augment, kinds, periodic)
        check_noise(self.catalog, noise)
        shapes = [entry.row_shape for entry in observables]
        if not compress:
            return shapes
        size = check_compression(self.catalog, self.split, compress)
        return [(size,) if kind == "vector" else shape for kind, shape in zip(kinds, shapes, strict=True)]

    def fit_preprocessing(
        self, context: TrainingContext, transform: str, compress: str = "", noise: Noise | None = None
    ) -> Preprocessing:
        """Scalings and compression, fitted to the training rows.

        Warns of what looks wrong in the data; reports what was assumed and chosen.
        """
        preprocessing = fit_preprocessing(self.catalog, self.split, self.catalog.read_options, transform, noise)
        if compress:
            preprocessing = with_compression(preprocessing, self.catalog, self.split, compress, context)
        for finding in audit.audit_before_training(self.catalog, self.split):
            self.reporter.warn(finding.message)
        for line in describe_choices(preprocessing, self.catalog, self.split):
            self.reporter.info(line)
        return preprocessing


def check_networks(networks: Sequence[tuple[str, Any]], shapes: Shapes) -> None:
    """Raises UserError where a network does not fit the data: one of each is built. networks: (name, settings)."""
    for (_, settings), shape in zip(networks, shapes, strict=True):
        if settings is not None:
            settings.build(shape, 1, generators(0, "check", 1))


@dataclass(frozen=True)
class TrainingPlan(ABC, Generic[TrainedModel]):
    """A training whose choices are made. recipe: what is trained, for the provenance of the model."""

    job: TrainingJob
    recipe: Any

    @abstractmethod
    def fit(self, context: TrainingContext) -> TrainedModel:
        """The trained model."""

    @abstractmethod
    def describe(self, model: TrainedModel) -> tuple[str, storage.JSONObject]:
        """In one line, and what is known of the training as JSON."""


@dataclass(frozen=True)
class Trainer(Generic[TrainedModel]):
    """How models of a kind are trained.

    kind: ends the name of the command and of the output. settings: names of those of architecture and training,
    a function since tables grow. inputs: names of the settings that are files beside the catalog. plan: makes
    the choices of a training; raises UserError if a setting, an input or the catalog is not usable.
    """

    kind: str
    settings: Callable[[], tuple[str, ...]]
    inputs: tuple[str, ...]
    plan: Callable[[TrainingJob], TrainingPlan[TrainedModel]]

    def train(
        self,
        source: CatalogSource,
        arrays: Mapping[str, Any],
        keywords: Mapping[str, Any],
        output: Path | str | None,
        force: bool,
        reporter: Reporter,
    ) -> TrainedModel:
        """A model in memory, read from the output if that is complete.

        arrays: in place of a source, as ``catalog.from_arrays`` takes them. keywords: settings by name. Raises
        UserError if a setting or the catalog is not usable.
        """
        to = OutputSettings.from_arguments(output, force, reporter)
        return self.run(self._read_job(source, arrays, keywords, to), to.output)[0]

    def write(
        self, catalog: Path, keywords: Mapping[str, Any], output: Path | None, force: bool, reporter: Reporter
    ) -> storage.JSONObject | None:
        """The same for the command line: what is known of the training, as JSON; None but on the first rank."""
        output = output or default_output(catalog, self.kind)
        job = self._read_job(catalog, {}, keywords, OutputSettings(output, force, reporter))
        document = self.run(job, output)[1]
        return document if job.ranks.is_first else None

    def run(self, job: TrainingJob, output: Path | None) -> tuple[TrainedModel, storage.JSONObject]:
        """Train, and write the model, unless it is up to date or has no output; reports what comes of it.

        The model, and what is known of the training as JSON: the same where they are read from a complete output. What
        a run before this one has kept goes on. Raises UserError if a setting, an input or the catalog is not usable,
        the output is another file, or the trainings before it have other settings or inputs.
        """
        plan = self.plan(job)
        job, inputs, document = plan.job, job.request.inputs, {"output": str(output)}
        meta = self.provenance(plan)
        job.ranks.require_equal("setting or input", lambda: json.dumps(meta, sort_keys=True))
        checkpoints = None if output is None else self.checkpoints(plan, output)
        if is_up_to_date(output, "model", meta, job.reporter, job.force, inputs.summary, inputs.fine_tune, inputs.like):
            model = cast(TrainedModel, models.read(cast(Path, output), job.device))
        else:
            model = replace(plan.fit(job.context(checkpoints)), provenance=meta)
            for name, history in models.histories(model).items():
                if len(history.train) > 1:  # else a baseline, or a training of a single epoch
                    job.reporter.info(f"{name}: {history.describe_best()}")
            if output is not None and job.ranks.is_first:
                model.save(output, job.force)
        if checkpoints is not None and job.ranks.is_first:
            checkpoints.remove()
        line, numbers = plan.describe(model)
        job.reporter.result(f"{output or model.kind}: {line}")
        trainings = [{"networks": name, **history.to_json()} for name, history in models.histories(model).items()]
        return model, {**document, **numbers, "trainings": trainings}

    def _read_job(
        self,
        source: CatalogSource,
        arrays: Mapping[str, Any],
        keywords: Mapping[str, Any],
        to: OutputSettings,
    ) -> TrainingJob:
        self._check_kind_of_settings(keywords)
        ranks = select_keywords(RankSettings, keywords).join()
        if (started := n_started()) > ranks.count:
            to.reporter.warn(f"{started} tasks were started, and each does all of the work; `ranks` lets them share it")
        keywords = with_node_settings(keywords, to.force, to.output)
        if ranks.count > 1 and not is_given(keywords.get("memory")):
            keywords = {**keywords, "memory": available_bytes() // ranks.count}  # each holds the data
        request = TrainingRequest.from_keywords(f"train_{self.kind}", keywords, self.settings(), self.inputs, RANKS)
        catalog = open_catalog(source, keywords, arrays)
        split = choose_split(catalog, request.split)
        reporter = to.reporter if ranks.is_first else MUTE
        return TrainingJob(catalog, split, request, request.run.prepare_device(), to.force, reporter, ranks=ranks)

    def _check_kind_of_settings(self, keywords: Mapping[str, Any]) -> None:
        """Raises UserError if a keyword is a setting of another training only."""
        own_settings = (*self.settings(), *self.inputs)
        for name in (name for name in keywords if name not in own_settings):
            kinds = [kind for kind, settings in SETTINGS_OF_KIND.items() if name in settings()]
            if kinds:
                raise UserError(f"is a setting of train_{kinds[0]}, not of train_{self.kind}", setting=name)

    def checkpoints(self, plan: TrainingPlan[TrainedModel], output: Path) -> CheckpointFolder:
        """Where the trainings of an output are kept until it stands."""
        job = plan.job
        interval, info = job.request.checkpoints.interval, job.reporter.info
        return CheckpointFolder.of_output(output, self.provenance(plan), info, interval, job.ranks)

    def provenance(self, plan: TrainingPlan[TrainedModel]) -> storage.JSONObject:
        """The /meta of the model: the settings that affect its numbers, fingerprints of what it is made from."""
        job, catalog = plan.job, plan.job.catalog
        settings = {"recipe": plan.recipe, "read_options": catalog.read_options, "seed": job.request.run.seed}
        settings |= device_settings(job.device)
        if catalog.is_streamed:
            settings |= {"memory": catalog.memory_limit}  # it decides which rows meet in a batch
        if job.ranks.count > 1:
            settings |= {"ranks": job.ranks.count}  # whose sums round differently
        return task_provenance(f"train-{self.kind}", settings, job.fingerprints)
