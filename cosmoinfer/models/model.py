"""What every model has in common, and what is done alike with all that give posteriors."""

from dataclasses import replace
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.models.ensemble import Stack
from cosmoinfer.ood.detector import OODScores, OutOfDistribution, fit_detector, ood_scores
from cosmoinfer.posterior import Posterior
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.sampling.request import SamplingRequest
from cosmoinfer.storage import JSONObject


class Model(Protocol):
    """A trained ensemble with all that is needed to use it.

    kind: by which a file names it.
    preprocessing: from rows of a catalog to what its networks see.
    training_record: which rows it has learned from.
    stacks: its networks, one stack an architecture.
    weights: (M,) of all members in the mixture.
    provenance: what it was made from, and how: the /meta of its file.
    """

    kind: ClassVar[str]

    @property
    def preprocessing(self) -> Preprocessing: ...

    @property
    def training_record(self) -> TrainingRecord: ...

    @property
    def stacks(self) -> tuple[Stack[Any], ...]: ...

    @property
    def weights(self) -> np.ndarray: ...

    @property
    def provenance(self) -> JSONObject: ...


class PosteriorModel(Model, Protocol):
    """A model that gives a posterior for each observation. ood: how unlike its training rows others are, if fitted."""

    @property
    def ood(self) -> OutOfDistribution | None: ...

    def feature_spaces(self, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
        """In which rows (n,) are compared with the training rows, (n, F) a space."""

    def posterior(self, request: SamplingRequest) -> Posterior:
        """Of each row that is asked for; draws are keyed by row numbers."""


AnyModel = TypeVar("AnyModel", bound=PosteriorModel)


def with_ood_detector(model: AnyModel, catalog: Catalog) -> AnyModel:
    """The model with a detector of observations unlike its training rows; catalog: that it was trained on."""
    record = model.training_record
    n_training_rows = len(record.training_hashes)
    detector = fit_detector(model.preprocessing, model.feature_spaces, catalog, record.split, n_training_rows)
    return replace(model, ood=detector)  # type: ignore[type-var]


def score_observations(model: PosteriorModel, catalog: Catalog, rows: np.ndarray, seed: int) -> OODScores:
    """How unlike the training rows of a model rows (n,) of a catalog are; the set test takes what is new to it."""
    unseen = model.training_record.partition_of(catalog, rows) >= 2
    return ood_scores(model.ood, model.preprocessing, model.feature_spaces, catalog, rows, unseen, seed)
