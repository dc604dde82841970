"""Networks that tell classes apart: a probability for each, with_temperature on the validation rows, as a mixture."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from cosmoinfer.catalog import Catalog
from cosmoinfer.losses import CLASSIFICATION_LOSSES, fit_temperature, probabilities
from cosmoinfer.models.ensemble import Stack, outputs, read_stacks
from cosmoinfer.models.preprocessing import Preprocessing, in_chunks
from cosmoinfer.models.regressor.network import Regressor, build_regressor
from cosmoinfer.posterior import ClassProbabilities, Diagnostics, Posterior
from cosmoinfer.sampling.request import SamplingRequest


@dataclass(frozen=True)
class ClassifierModel:
    """temperature: of the mean of the members' logits, fitted on the validation rows (Guo+ arXiv:1706.04599)."""

    preprocessing: Preprocessing
    loss: str
    stacks: tuple[Stack[Regressor], ...]
    weights: np.ndarray
    temperature: float
    kind = "classifier"

    def with_ood_detector(self, catalog: Catalog) -> "ClassifierModel":
        """With how far from the training rows others lie."""
        return replace(self, preprocessing=self.preprocessing.with_ood_detector(catalog, self.feature_spaces))

    def feature_spaces(self, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
        """In which rows are told from the training's: those of the data, and what each member says of them."""
        member_outputs = [
            outputs(self.stacks, self.preprocessing.data(catalog, some))
            for some in in_chunks(rows, self.preprocessing.rows_per_chunk)
        ]
        return [
            *self.preprocessing.feature_spaces(catalog, rows),
            np.concatenate(member_outputs, axis=1).transpose(1, 0, 2).reshape(len(rows), -1),
        ]

    def logits(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """The members' mean, (n, C). Row by row: in a larger batch a row can differ in its last digits."""
        found = []
        for place in range(len(rows)):
            raw = outputs(self.stacks, self.preprocessing.data(catalog, rows[place : place + 1]))  # (M, 1, O)
            logits = CLASSIFICATION_LOSSES[self.loss].logits(torch.from_numpy(raw[:, 0])).numpy()
            found.append(self.weights @ logits)
        return np.stack(found)

    def posterior(self, request: SamplingRequest) -> Posterior:
        """Probabilities of the classes; there is nothing to draw."""
        catalog, rows = request.catalog, request.rows
        logits = np.concatenate([self.logits(catalog, np.array([row])) for row in request.rows_with_progress()])
        return Posterior(
            self.preprocessing.parameters,
            catalog.index[rows],
            catalog.simulation[rows],
            self.preprocessing.partition_of(catalog, rows),
            None if catalog.theta is None else catalog.theta[rows],
            classes=ClassProbabilities(self.preprocessing.classes, probabilities(logits, self.temperature)),
            diagnostics=Diagnostics(**self.preprocessing.ood_scores(catalog, rows, self.feature_spaces, request.seed)),
        )

    def with_temperature(self, catalog: Catalog, rows: np.ndarray) -> "ClassifierModel":
        """With the temperature that these rows prefer."""
        _, theta = catalog.require_parameters()
        temperature = fit_temperature(self.logits(catalog, rows), theta[rows, 0])
        return replace(self, temperature=temperature)

    # -------------------------------------------------------------------------------------------------- the file
    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        yield "temperature", np.array(self.temperature)

    def config(self) -> dict[str, Any]:
        return {"loss": self.loss}

    def embedded(self) -> dict[str, Any]:
        """Other models that this one needs."""
        return {}

    @classmethod
    def from_arrays(
        cls,
        preprocessing: Preprocessing,
        config: dict[str, Any],
        arrays: dict[str, np.ndarray],
        embedded: dict[str, Any],
    ) -> "ClassifierModel":
        stacks = read_stacks(arrays, build_regressor)
        return cls(preprocessing, config["loss"], stacks, arrays["mixture"], float(arrays["temperature"]))
