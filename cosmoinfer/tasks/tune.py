"""Search the settings of a flow by trials that many processes share, and join the best ones."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cosmoinfer import storage
from cosmoinfer.device import device_settings
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.models.flow import FlowModel, join_flows
from cosmoinfer.models.flow.recipe import expand_flow_settings
from cosmoinfer.settings import setting
from cosmoinfer.stopping import STOP_REQUEST
from cosmoinfer.studies.comparison import BETTER, Comparison
from cosmoinfer.studies.search import SearchSpace, Value
from cosmoinfer.studies.trials import Journal, PrunedError, Trial, TrialRecord
from cosmoinfer.tasks.ensemble import Ensemble
from cosmoinfer.tasks.model_sources import model_digest, read_model_of_kind
from cosmoinfer.tasks.provenance import (
    default_output,
    is_up_to_date,
    standing_models,
    task_provenance,
    with_node_settings,
    work_folder,
)
from cosmoinfer.tasks.reading import choose_split, read_catalog
from cosmoinfer.tasks.reporter import SILENT, Reporter, ignore_line
from cosmoinfer.tasks.run_settings import TrainingRequest
from cosmoinfer.tasks.settings import CatalogSettings, names_of_fields, select_keywords
from cosmoinfer.tasks.train_flow import FLOW_TRAINER, FlowPlan, check_target, plan_flow
from cosmoinfer.tasks.training import TrainingJob
from cosmoinfer.training.loop import DivergedError
from cosmoinfer.training.settings import Listener

INPUTS = ("noise",)
DRAWS_PER_TEST_ROW = 1000  # for its mass inside the prior box
QUIET = Reporter(warn=ignore_line)  # of what is wrong with the data, the default warns


@dataclass(frozen=True)
class TuneSettings:
    """trials: how many are to end. top: how many of the best are joined at most. journal: the file that all processes
    share."""

    trials: int = setting(30, minimum=1)
    top: int = setting(5, minimum=1)
    journal: Path | None = None


@dataclass(frozen=True)
class Tuned:
    """The mixture of the best trials, all trials, and how the mixture compares to the default on the test rows.

    default: the file of the flow that the default recipe gives. models: the files of trials, by number.
    """

    joined: Ensemble
    journal: Path
    default: Path
    support: str
    trials: tuple[TrialRecord, ...]
    models: Mapping[int, Path]
    comparison: Comparison

    def describe(self) -> str:
        """Whether the search was worth it, in one line."""
        line = f"{self.joined.output}: {self.comparison.describe('the default')}"
        return line if self.comparison.verdict == BETTER else f"{line}; the default is {self.default}"

    def to_json(self) -> storage.JSONObject:
        """What a script needs: what ``ensemble`` gives of the mixture, every trial, and the comparison."""
        trials = [
            {**asdict(trial), "model": None if trial.log_prob is None else str(self.models[trial.number])}
            for trial in self.trials
        ]
        search = {"journal": str(self.journal), "support": self.support, "trials": trials}
        comparison = {"default": str(self.default), "comparison": self.comparison.to_json()}
        return {**self.joined.to_json(), **search, **comparison}


def write_tuned(
    path: Path,
    keywords: Mapping[str, Any],
    output: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> Tuned:
    """Run again, or by several processes at once, it goes on where it stopped; models stay in a folder of the
    output's name.

    keywords: settings by the name of their option; those of architecture and training are the same in all trials.
    Raises UserError if a setting, the catalog or the journal is not usable.
    """
    output = output or default_output(path, "tuned")
    keywords = with_node_settings(keywords, force, output, *standing_models(output))
    settings = select_keywords(TuneSettings, keywords)
    recipe_settings, of_task = FLOW_TRAINER.settings(), names_of_fields(TuneSettings)
    request = TrainingRequest.from_keywords("tune", keywords, recipe_settings, INPUTS, of_task)
    catalog = read_catalog(path, CatalogSettings.from_keywords(keywords))
    check_target(catalog)
    split = choose_split(catalog, request.split)
    default = plan_flow(TrainingJob(catalog, split, request, request.run.prepare_device(), force, reporter))
    _check_output(output, settings, force)
    journal = Journal(settings.journal or Path(f"{output}.journal"), request.run.seed)
    search = _Search(default, journal, work_folder(output))
    support = search.begin()
    name = f"{settings.top} of {settings.trials}"
    while not journal.is_closed(name) and len(journal.records()) < settings.trials:
        search.run_trial(support, name)
    return search.join_best(name, settings, support, output)


def _check_output(output: Path, settings: TuneSettings, force: bool) -> None:
    """Raises UserError, before any work, if the output cannot be written, or another file is not to be replaced."""
    storage.is_complete(output, "model", {}, force=True)
    if force or not output.exists():
        return
    meta, now = storage.read_meta(output), {"command": "tune", "trials": settings.trials, "top": settings.top}
    if different := storage.differences({name: (meta | meta.get("settings", {})).get(name) for name in now}, now):
        raise UserError(f"{output}: exists already ({join_first(different, 3)}); `force` replaces it")


class _Search:
    """default: the plan of the default recipe. folder: for models and locks."""

    def __init__(self, default: FlowPlan, journal: Journal, folder: Path) -> None:
        self.default, self.journal, self.folder = default, journal, folder
        self.job, self.reporter = default.job, default.job.reporter
        expanded = expand_flow_settings(self.job.request.recipe)
        self.fixed = {name: value for name, value in expanded.overrides.items() if value is not None}
        self.space = SearchSpace.of_recipe(default.recipe, self.fixed)

    @property
    def default_path(self) -> Path:
        return self.folder / "default.flow.h5"

    def trial_path(self, number: int) -> Path:
        return self.folder / f"trial-{number:04}.flow.h5"

    def lock_path(self, number: int) -> Path:
        """Locked by the process whose trial it is."""
        return self.folder / f"trial-{number:04}.lock"

    def begin(self) -> str:
        """The support of all trials, which the first process chooses by the pilots of the default recipe.

        Raises UserError if the journal is of another search.
        """
        meta = {**FLOW_TRAINER.provenance(self.default), "command": "tune", "search": asdict(self.space)}
        with storage.locked(self.folder / "search.lock"):
            self.journal.check(json.loads(json.dumps(meta)))
            if self.journal.support is None:
                context = self.job.context(FLOW_TRAINER.checkpoints(self.default, self.default_path))
                stack, name = self.default.best_pilot(context)
                support = f"auto:{name}" if self.default.recipe.supports[0] == "auto" else name
                self.journal.begin(support, self.space.settings_of(stack))
        support = str(self.journal.support)
        self.reporter.info(f"{self.journal.path}: support {support} in all trials; {self._describe_space()}")
        return support

    def run_trial(self, support: str, name: str) -> None:
        """The next one, for a selection of this name; handed back if it is stopped."""
        trial = None
        with ExitStack() as mark:
            try:
                with STOP_REQUEST.postponed(), storage.locked(self.folder / "trials.lock"):
                    self.journal.reclaim(lambda number: storage.is_abandoned(self.lock_path(number)))
                    trial = self.journal.next_trial()
                    mark.enter_context(storage.locked(self.lock_path(trial.number)))
                    settings = self.space.suggest(trial)
                log_prob = self._train(trial, settings, support)
                with STOP_REQUEST.postponed():
                    self.journal.finish(trial, log_prob)
                    self.lock_path(trial.number).unlink(missing_ok=True)
                if self.journal.selection(name) is not None:
                    self.reporter.info(f"trial {trial.number}: ended after the best were chosen; more `trials` take it")
            except BaseException:
                if trial is not None:
                    self.journal.hand_back(trial)
                raise

    def _train(self, trial: Trial, settings: Mapping[str, Value], support: str) -> float | None:
        """The mean log_prob of the validation rows; None for a training that is pruned, or diverges."""
        path, job = self.trial_path(trial.number), self._trial_job(settings, support, trial.listen)
        progress = self.reporter.progress
        quiet = replace(QUIET, progress=lambda task, *steps: progress(f"trial {trial.number}, {task}", *steps))
        job = replace(job, reporter=quiet)
        self.reporter.info(f"trial {trial.number}: {_describe_settings(settings)}")
        try:
            model = self._trained(job, path)
        except (PrunedError, DivergedError) as error:
            FLOW_TRAINER.checkpoints(plan_flow(job), path).remove()
            reason = "pruned" if isinstance(error, PrunedError) else "its loss is not finite"
            self.reporter.info(f"trial {trial.number}: {reason}")
            return None
        if model.recalibration is None:
            self.reporter.info(f"trial {trial.number}: its log_prob is not finite")
            return None
        self.reporter.info(f"trial {trial.number}: log_prob {model.recalibration.before:.3f} nat")
        return model.recalibration.before

    def join_best(self, name: str, settings: TuneSettings, support: str, output: Path) -> Tuned:
        """The mixture of the best trials, and how it compares to the default. name: of this selection of trials.

        Raises UserError if no trial was completed, or the journal holds another score than a model.
        """
        job, reporter = self.job, self.reporter
        if not self.journal.is_closed(name):
            self.journal.close(name)
        with storage.locked(self.folder / "search.lock"):
            reporter.info(f"{self.default_path}: the default, to compare to")
            default = self._trained(replace(job, reporter=replace(reporter, result=reporter.info)), self.default_path)
            numbers = self.journal.selection(name)
            if numbers is None:  # only now, with the trials that have ended meanwhile
                numbers = self.journal.best(settings.top)
                self.journal.select(name, numbers)
            records = self.journal.records()
            chosen = [record for record in records if record.number in numbers]
            jobs = {record.number: self._trial_job(record.settings, support) for record in chosen}
            flows = [self._trained(replace(job, reporter=QUIET), self.trial_path(n)) for n, job in jobs.items()]
            names = [str(self.trial_path(number)) for number in jobs]
            for record, flow in zip(chosen, flows, strict=True):
                self.journal.check_score(record, flow.recalibration.before if flow.recalibration else None)
            meta = self._provenance(settings, jobs, flows)
            if is_up_to_date(output, "model", meta, self.reporter, job.force):
                joined = read_model_of_kind(output, "flow", job.device)
            else:
                joined = join_flows(flows, names, job.catalog, len(flows), job.request.run.seed)
                joined = replace(joined, provenance=meta)
                joined.save(output, job.force)
        tuned = Tuned(
            Ensemble(output, joined, tuple(names)),
            self.journal.path,
            self.default_path,
            support,
            tuple(records),
            {record.number: self.trial_path(record.number) for record in records},
            self._compare(joined, default),
        )
        self.reporter.result(tuned.joined.describe())
        self.reporter.result(tuned.describe())
        return tuned

    def _provenance(
        self, settings: TuneSettings, jobs: Mapping[int, TrainingJob], flows: list[FlowModel]
    ) -> storage.JSONObject:
        """The /meta of the mixture; its recipe has the architectures of the trials, for `like`."""
        job = self.job
        plans = [plan_flow(replace(job, reporter=SILENT)) for job in jobs.values()]
        stacks = tuple(dict.fromkeys(plan.recipe.stacks[0] for plan in plans))
        recipe = replace(
            self.default.recipe, stacks=stacks, supports=plans[0].recipe.supports, may_extend=False, left_out=()
        )
        inputs = job.fingerprints | {
            f"trial_{number}": model_digest(flow) for number, flow in zip(jobs, flows, strict=True)
        }
        values = {"trials": settings.trials, "top": settings.top, "seed": job.request.run.seed, "recipe": recipe}
        return task_provenance("tune", {**values, **device_settings(job.device)}, inputs)

    def _compare(self, joined: FlowModel, default: FlowModel) -> Comparison:
        """On the test rows, of which neither has learned anything."""
        catalog, seed = self.job.catalog, self.job.request.run.seed
        rows = joined.representatives(catalog, self.job.split.select_rows(catalog.simulation, "test"))
        theta = catalog.require_parameters()[1][rows]
        first, second = (
            flow.log_prob_of_rows(catalog, rows, theta, DRAWS_PER_TEST_ROW, seed) for flow in (joined, default)
        )
        return Comparison.of_log_probs(first, second, catalog.simulation[rows])

    def _trial_job(self, settings: Mapping[str, Any], support: str, listener: Listener | None = None) -> TrainingJob:
        """A flow of one member."""
        recipe = {**self.fixed, **settings, "support": support, "ensemble": 1}
        return replace(self.job, request=replace(self.job.request, recipe=recipe), listener=listener)

    def _trained(self, job: TrainingJob, path: Path) -> FlowModel:
        """From its file where that is complete, which ``force`` does not replace."""
        meta = FLOW_TRAINER.provenance(plan_flow(replace(job, reporter=SILENT)))
        if storage.examine(path, "model", meta)[0] is storage.Standing.COMPLETE:
            return read_model_of_kind(path, "flow", job.device)
        return FLOW_TRAINER.run(job, path)[0]

    def _describe_space(self) -> str:
        names = [*(["flow"] if len(self.space.flows) > 1 else []), *(["embedding"] if self.space.embeddings else [])]
        return f"searched: {', '.join([*names, *self.space.ranges])}"


def _describe_settings(settings: Mapping[str, Value]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings.items()
    )
