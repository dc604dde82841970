"""What is to be evaluated: a posterior, drawn before or to be drawn, a reference beside it, and their provenance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import metrics
from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.metrics import ReferencePosterior
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior
from cosmoinfer.split import PARTITIONS
from cosmoinfer.storage import JSONObject
from cosmoinfer.tasks.provenance import task_provenance
from cosmoinfer.tasks.reading import Rows, find_rows
from cosmoinfer.tasks.reporter import Reporter
from cosmoinfer.tasks.sampling_job import SamplingJob
from cosmoinfer.tasks.sources import PosteriorInput


@dataclass(frozen=True)
class DrawnPosterior:
    """A posterior file, or some of its rows. provenance: the /meta of its evaluation."""

    posterior: Posterior
    provenance: JSONObject
    learning_curves: Mapping[str, Any] = field(default_factory=dict)

    @property
    def index(self) -> np.ndarray:
        """Row numbers, (n,)."""
        return self.posterior.index

    @property
    def parameters(self) -> Parameters:
        """Those of the posterior."""
        return self.posterior.parameters

    def draw(self, reporter: Reporter, folder: Path | None) -> Posterior:
        """The posterior, which was drawn before."""
        return self.posterior


@dataclass(frozen=True)
class PosteriorOfModel:
    """A posterior that is still to be drawn.

    name: of the model, in messages. provenance: the /meta of its evaluation.
    """

    name: str
    job: SamplingJob
    provenance: JSONObject

    @property
    def index(self) -> np.ndarray:
        """Row numbers, (n,)."""
        return self.job.index

    @property
    def parameters(self) -> Parameters:
        """Those of the model."""
        return self.job.model.preprocessing.parameters

    @property
    def learning_curves(self) -> Mapping[str, Any]:
        """Those of the model, by field of ``plots.FigureData``."""
        return self.job.learning_curves

    def draw(self, reporter: Reporter, folder: Path | None) -> Posterior:
        """The posterior of the rows of the partition. folder: for draws that are too many for memory."""
        posterior = self.job.draw(reporter, folder, written=False)
        return select_partition(posterior, self.name, self.job.partition, reporter)


@dataclass(frozen=True)
class Reference:
    """Another posterior of the same rows: drawn before, or with the job that draws it. name: in messages.

    provenance: settings and inputs that it adds to those of the evaluation.
    """

    name: str
    source: ReferencePosterior | SamplingJob
    provenance: JSONObject

    def draw(self, reporter: Reporter, folder: Path | None) -> ReferencePosterior:
        """The posterior. folder: for draws that are too many for memory."""
        if isinstance(self.source, ReferencePosterior):
            return self.source
        reporter.info(f"{self.name}: the same rows")
        return ReferencePosterior(self.source.draw(reporter, folder, written=False), self.source.model.kind)


@dataclass(frozen=True)
class EvaluationJob:
    """local: row numbers at which the posterior is tested by itself. seed: of ranks, references and bootstraps."""

    source: DrawnPosterior | PosteriorOfModel
    reference: Reference | None
    local: tuple[int, ...]
    seed: int

    @property
    def provenance(self) -> JSONObject:
        """The /meta of the metrics file."""
        meta = self.source.provenance
        settings, inputs = dict(meta["settings"]), dict(meta["inputs"])
        if self.local:
            settings["lc2st"] = list(self.local)
        if self.reference is not None:
            settings |= self.reference.provenance["settings"]
            inputs |= {f"compare_to_{name}": digest for name, digest in self.reference.provenance["inputs"].items()}
        return meta | {"settings": settings, "inputs": inputs}

    def draw(self, reporter: Reporter, folder: Path | None) -> tuple[Posterior, ReferencePosterior | None]:
        """The posterior and the reference, of the rows that both hold. folder: for draws too many for memory."""
        posterior = self.source.draw(reporter, folder)
        if self.reference is None:
            return posterior, None
        matched, reference = metrics.match_observations(posterior, self.reference.draw(reporter, folder))
        if len(matched) < len(posterior):
            reporter.info(f"left out {len(posterior) - len(matched)} rows that the {reference.kind} does not hold")
        return matched, reference


def select_drawn(
    opened: PosteriorInput, partition: str | None, rows: Rows | None, seed: int, reporter: Reporter
) -> DrawnPosterior:
    """Rows of a posterior: of a partition, or by their numbers. Raises UserError if it holds none, or no truths."""
    opened.posterior.require_truth()
    posterior, settings = opened.posterior, dict[str, Any]({"partition": partition, "seed": seed})
    if rows is not None:
        posterior = posterior.select(find_rows(opened.name, posterior.index, partition, rows))
        settings["rows"] = posterior.index.tolist()
        require_unseen_row(posterior.split, rows)
    posterior = select_partition(posterior, opened.name, partition, reporter)
    report_unknown_truths(posterior.has_truth, opened.name, reporter)
    posterior = posterior.select(posterior.has_truth)
    return DrawnPosterior(posterior, task_provenance("evaluate", settings, {"posterior": opened.digest}))


def report_unknown_truths(has_truth: np.ndarray, name: object, reporter: Reporter) -> None:
    """Rows that are left out, for their true parameters are not known; has_truth: (n,). Raises UserError if all are."""
    if not has_truth.any():
        raise UserError(f"{name}: has no true parameters to compare with (/parameters are missing, or NaN)")
    if not has_truth.all():
        left_out = int((~has_truth).sum())
        reporter.info(f"left out {left_out} rows whose true parameters are not known (NaN in /parameters)")


def require_unseen_row(partitions: np.ndarray, rows: Rows | None) -> None:
    """partitions: (n,), of the rows that were named. Raises UserError if the model has learned from all of them."""
    if rows is not None and (partitions < 2).all():
        raise UserError(
            "the model was trained on or chosen by all of them; `split=train` or `split=validation` evaluates on rows "
            "that it has seen",
            setting="rows",
            value=rows if isinstance(rows, str) else join_first(rows),
        )


def select_partition(posterior: Posterior, name: str, partition: str | None, reporter: Reporter) -> Posterior:
    """The rows of a partition; by default those that no training has used. Raises UserError if it has none."""
    if partition not in (None, "all", *PARTITIONS):
        raise UserError(f"{partition!r} is not known; {list_choices(partition, (*PARTITIONS, 'all'))}", setting="split")
    if partition == "all":
        return posterior
    keep = posterior.split >= 2 if partition is None else posterior.split == PARTITIONS.index(partition)
    if not keep.any():
        raise UserError(f"{name}: holds no {partition or 'test'} rows; `split=train`, validation or all names others")
    if partition is None and not keep.all():
        left_out = int((~keep).sum())
        reporter.info(f"left out {left_out} rows of the training and validation parts (`split` names others)")
    return posterior.select(keep)
