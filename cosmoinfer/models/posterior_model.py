"""A model that gives posteriors, and scores how unlike its training rows an observation is."""

from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import join_first, warn
from cosmoinfer.leakage import TEST
from cosmoinfer.models.model import Model
from cosmoinfer.models.observations import Observations
from cosmoinfer.ood.detector import OutOfDistribution, fit_detector
from cosmoinfer.ood.distances import MAX_ROWS, MIN_OBSERVATIONS
from cosmoinfer.ood.scores import OODScores, below_training_range, ood_scores
from cosmoinfer.posterior import Posterior
from cosmoinfer.sampling.options import SamplingOptions
from cosmoinfer.sampling.rejection import NoPrediction

MAX_OOD_SET_P_VALUE = 0.01  # below which a set of observations is unlike the validation rows


class PosteriorModel(Model, Protocol):
    """A model that gives a posterior for each observation. ood: how unlike its training rows others are, if fitted."""

    @property
    def ood(self) -> OutOfDistribution | None: ...

    def feature_spaces(self, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
        """In which rows (n,) are compared with the training rows, (n, F) a space."""

    def posterior(self, catalog: Catalog, rows: np.ndarray, options: SamplingOptions) -> Posterior:
        """Of each of the rows (n,), by position; draws are keyed by row numbers."""


ScoredModel = TypeVar("ScoredModel", bound=PosteriorModel)


def with_ood_detector(model: ScoredModel, catalog: Catalog) -> ScoredModel:
    """The model with a detector of observations unlike its training rows; catalog: that it was trained on."""
    record = model.training_record
    n_training_rows = len(record.training_hashes)
    detector = fit_detector(model.preprocessing, model.feature_spaces, catalog, record.split, n_training_rows)
    return replace(model, ood=detector)  # type: ignore[type-var]


def score_observations(
    model: PosteriorModel, catalog: Catalog, rows: np.ndarray, selection: np.ndarray, seed: int
) -> OODScores:
    """How unlike the training rows of a model rows (n,) of a catalog are, which could all be sampled.

    selection: (m,) all rows of the run, sampled or not; the set test takes those that are new to the model, at most
    MAX_ROWS, evenly spaced.
    """
    if model.ood is None:
        return OODScores()
    unseen = selection[model.training_record.partition_of(catalog, selection) >= TEST]
    compared = unseen[:: -(-len(unseen) // MAX_ROWS)] if len(unseen) >= MIN_OBSERVATIONS else unseen[:0]
    sampled = np.isin(compared, rows)
    predicted = _with_features(model, catalog, compared[~sampled])
    compared = compared[sampled | np.isin(compared, predicted)]
    size = model.preprocessing.rows_per_block // max(1, getattr(model, "set_size", 0)) | 1
    return ood_scores(model.ood, model.preprocessing, model.feature_spaces, catalog, rows, compared, seed, size)


def _with_features(model: PosteriorModel, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
    """Those of rows (n,) of which a summary network, if there is one, has a prediction."""
    if not len(rows) or getattr(model, "summary", None) is None:
        return rows
    try:
        model.feature_spaces(catalog, rows)
    except NoPrediction:
        halves = np.array_split(rows, 2) if len(rows) > 1 else []
        return np.concatenate([rows[:0], *(_with_features(model, catalog, half) for half in halves)])
    return rows


def sample_observations(model: PosteriorModel, observed: Observations, options: SamplingOptions) -> Posterior:
    """The posterior of each observation; warns of those that the model was trained on, and of those that are unlike the
    training data, as the command does."""
    record = model.training_record
    used = record.describe_used_data(observed.catalog, observed.rows)
    if used and record.copy_criterion.data:
        warn(used)
    posterior = model.posterior(observed.catalog, observed.rows, options)
    for line in anomaly_warnings(model, observed.catalog, observed.rows, posterior):
        warn(line)
    return posterior


def anomaly_warnings(model: PosteriorModel, catalog: Catalog, rows: np.ndarray, posterior: Posterior) -> list[str]:
    """``describe_anomalies`` of the rows of a posterior. rows: (n,) positions of those that were asked for."""
    scores = OODScores(posterior.diagnostics.ood_percentile, posterior.diagnostics.ood_set_p_value)
    return describe_anomalies(model, catalog, rows, (posterior.index, posterior.simulation), scores, "posteriors")


def describe_anomalies(
    model: PosteriorModel,
    catalog: Catalog,
    rows: np.ndarray,
    scored_rows: tuple[np.ndarray, np.ndarray],
    scores: OODScores,
    results: str,
) -> list[str]:
    """A sentence on the observations that are unlike the training data, where they are too many, and on all of them as
    a set.

    rows: (n,) positions of those that were asked for. scored_rows: row numbers and simulations, (m,) each, of those
    that have scores. results: what was made of them, in words.
    """
    if scores.percentile is None or model.ood is None:
        return []
    lines, (index, simulation) = [], scored_rows
    below = below_training_range(model.preprocessing, catalog, rows)
    if below.any():
        lines.append(
            f"{int(below.sum())} of {len(below)} observations lie below all training values in half of their numbers "
            f"or more, of which the model takes the logarithm: row {join_first(catalog.index[rows][below])}; was it "
            f"taken before, or are the units others? Their {results} are extrapolations and not reliable"
        )
    alarm = model.ood.excess_outliers(scores.percentile, simulation)
    if alarm is not None:
        lines.append(
            f"{len(alarm.positions)} of {len(index)} observations are unlike the training data (percentile above "
            f"{alarm.level:g}; {alarm.expected:.2g} expected): row {join_first(index[alarm.positions])}; "
            f"their {results} are extrapolations and not reliable"
        )
    if scores.set_p_value is not None and scores.set_p_value < MAX_OOD_SET_P_VALUE:
        lines.append(
            "the observations as a set: unlike the validation rows; another simulator, or parameters not drawn from "
            f"the prior (MMD, p = {scores.set_p_value:.3f})"
        )
    return lines
