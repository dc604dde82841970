"""Networks that tell classes apart: a probability for each, at the temperature that validation rows prefer."""

from __future__ import annotations  # help() shows ArrayLike by its name

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch

from cosmoinfer.catalog import Catalog
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.losses import CLASSIFICATION_LOSSES, fit_temperature, probabilities
from cosmoinfer.models.file import Saveable
from cosmoinfer.models.model import Stack, member_outputs, model_html, model_repr
from cosmoinfer.models.observations import Data, observations
from cosmoinfer.models.posterior_model import sample_observations, score_observations
from cosmoinfer.models.regressor.network import Regressor
from cosmoinfer.ood.detector import OutOfDistribution, data_features
from cosmoinfer.posterior import ClassProbabilities, Diagnostics, Posterior
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.sampling.options import SamplingOptions
from cosmoinfer.settings import check_keywords
from cosmoinfer.storage import JSONObject


@dataclass(frozen=True)
class ClassifierModel(Saveable):
    """temperature: of the mean of the members' logits, fitted on the validation rows (Guo+ arXiv:1706.04599)."""

    preprocessing: Preprocessing = field(metadata={"path": ""})
    training_record: TrainingRecord = field(metadata={"path": ""})
    loss: str
    stacks: tuple[Stack[Regressor], ...]
    weights: np.ndarray = field(metadata={"path": "mixture_weights"})
    temperature: float
    ood: OutOfDistribution | None = None
    provenance: JSONObject = field(default_factory=dict)
    kind: ClassVar[str] = "classifier"
    __repr__, _repr_html_ = model_repr, model_html

    def feature_spaces(self, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
        """Features (n, F) in which rows are compared with the training rows: of the data, and the members' outputs."""
        outputs = [member_outputs(self.stacks, data) for data in self.preprocessing.chunks(catalog, rows)]
        return [
            *data_features(self.preprocessing, catalog, rows),
            np.concatenate(outputs, axis=1).transpose(1, 0, 2).reshape(len(rows), -1),
        ]

    def logits(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """The members' mean, (n, C). Row by row: in a larger batch a row can differ in its last digits."""
        return np.stack([self._logits_of_row(catalog, row) for row in rows])

    def _logits_of_row(self, catalog: Catalog, row: int) -> np.ndarray:
        """(C,)."""
        raw = member_outputs(self.stacks, self.preprocessing.data(catalog, np.array([row])))  # (M, 1, O)
        return self.weights @ CLASSIFICATION_LOSSES[self.loss].logits(torch.from_numpy(raw[:, 0])).numpy()

    def posterior(self, catalog: Catalog, rows: np.ndarray, options: SamplingOptions) -> Posterior:
        """Probabilities of the classes of rows (n,), by position; there is nothing to draw."""
        logits = np.stack([self._logits_of_row(catalog, row) for row in options.rows_with_progress(rows)])
        anomaly = score_observations(self, catalog, rows, options.selected(rows), options.seed)
        return Posterior(
            self.preprocessing.parameters,
            catalog.index[rows],
            catalog.simulation[rows],
            self.training_record.partition_of(catalog, rows),
            None if catalog.theta is None else catalog.theta[rows],
            classes=ClassProbabilities(self.preprocessing.classes, probabilities(logits, self.temperature)),
            diagnostics=Diagnostics(ood_percentile=anomaly.percentile, ood_set_p_value=anomaly.set_p_value),
        )

    def sample(
        self,
        x: Data,
        draws: int = SamplingOptions.draws,
        seed: int = 0,
        row_numbers: Sequence[int] | None = None,
        **unknown: object,
    ) -> Posterior:
        """The probabilities of the classes of each observation, with how unlike the training data it is.

        x: one observation, of the shape of a row of the training catalog, or (n, ...) of n; several observables by
            name. draws: for the same signature as other models; there is nothing to draw. row_numbers: (n,).

        Raises UserError for other settings or data.
        """
        check_keywords("sample", unknown, ("draws", "seed", "row_numbers"))
        observed = observations(self.preprocessing, x, row_numbers=row_numbers)
        return sample_observations(self, observed, SamplingOptions(draws, seed))

    def probabilities(self, x: Data) -> np.ndarray:
        """Of the C classes, in the order of ``preprocessing.classes``: (C,) of one observation, (n, C) of n.

        Raises UserError for data of another shape.
        """
        observed = observations(self.preprocessing, x)
        of_classes = probabilities(self.logits(observed.catalog, observed.rows), self.temperature)
        return of_classes[0] if observed.single else of_classes

    def with_temperature(self, catalog: Catalog, rows: np.ndarray) -> ClassifierModel:
        """With the temperature that these rows (n,), by position, prefer."""
        _, theta = catalog.require_parameters()
        temperature = fit_temperature(self.logits(catalog, rows), theta[rows, 0])
        return replace(self, temperature=temperature)
