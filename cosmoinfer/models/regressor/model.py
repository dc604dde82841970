"""Networks that regress the parameters: a point, a mean and a width, or a mean and a covariance, as a mixture."""

from __future__ import annotations  # help() shows ArrayLike by its name

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.losses import LOSSES, means_and_factors, means_and_widths
from cosmoinfer.memory import slices
from cosmoinfer.models.file import Saveable
from cosmoinfer.models.model import Stack, member_outputs, model_html, model_repr
from cosmoinfer.models.observations import Data, observations
from cosmoinfer.models.posterior_model import sample_observations, score_observations, with_ood_detector
from cosmoinfer.models.regressor.network import Regressor
from cosmoinfer.models.regressor.normals import (
    CorrelatedNormals,
    IndependentNormals,
    Normals,
    log_mass_by_temperature,
)
from cosmoinfer.ood.detector import OutOfDistribution, data_features
from cosmoinfer.posterior import Diagnostics, Draws, PointEstimate, Posterior
from cosmoinfer.preprocessing.judging_rows import select_judging_rows
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.sampling.options import SamplingOptions, require_sampled
from cosmoinfer.sampling.rejection import PROPOSALS_FOR_MASS, NoPrediction
from cosmoinfer.sampling.temperature import (
    MAX_BOX_MASS_ROWS,
    LogProbAtTemperature,
    Recalibration,
    fit_recalibration,
)
from cosmoinfer.settings import check_keywords
from cosmoinfer.storage import JSONObject

MAX_RECALIBRATION_ROWS = 500  # validation rows, from which a temperature comes, at most


@dataclass(frozen=True)
class RegressorModel(Saveable):
    """shift, scale: (P,), standardised parameters to catalog units. loss: by name; it says what the network knows.

    temperature: of which all widths are multiples; recalibration: that which the validation rows ask for, taken only
    on demand.
    """

    preprocessing: Preprocessing = field(metadata={"path": ""})
    training_record: TrainingRecord = field(metadata={"path": ""})
    loss: str
    shift: np.ndarray
    scale: np.ndarray
    stacks: tuple[Stack[Regressor], ...]
    weights: np.ndarray = field(metadata={"path": "mixture_weights"})
    temperature: float = 1.0
    recalibration: Recalibration | None = None
    ood: OutOfDistribution | None = None
    provenance: JSONObject = field(default_factory=dict)
    kind: ClassVar[str] = "regressor"
    __repr__, _repr_html_ = model_repr, model_html

    @property
    def head(self) -> str:
        """What the network says: a point, widths, or a covariance."""
        return LOSSES[self.loss].output_head

    @property
    def summary_shape(self) -> tuple[int, ...]:
        """Of one row of ``summarise``."""
        return (len(self.preprocessing.parameters) * (1 if self.head == "point" else 2),)

    def means(self, catalog: Catalog, rows: np.ndarray, epoch: int | None = None) -> np.ndarray:
        """The mixture's mean, (n, P), in catalog units."""
        means = [self._means_and_shapes(raw)[0] for raw in self._outputs(catalog, rows, epoch)]
        return np.concatenate([np.einsum("m,mnp->np", self.weights, member_means) for member_means in means])

    def summarise(self, catalog: Catalog, rows: np.ndarray, epoch: int | None = None) -> np.ndarray:
        """The mixture's mean (and log width) in standardised units, (n, P or 2P) float32: a summary for a flow."""
        if self.head == "point":
            return ((self.means(catalog, rows, epoch) - self.shift) / self.scale).astype(np.float32)
        chunks = [self._normals(raw) for raw in self._outputs(catalog, rows, epoch)]
        mean, std = (
            np.stack([getattr(mixture, name) for chunk in chunks for mixture in chunk]) for name in ("mean", "std")
        )
        columns = [(mean - self.shift) / self.scale, np.log(std / self.scale)]
        return np.concatenate(columns, axis=1).astype(np.float32)

    def posterior(self, catalog: Catalog, rows: np.ndarray, options: SamplingOptions) -> Posterior:
        """Mixtures of normals inside the prior box; mean and std are the network's. A point only: no draws.

        Row by row: in a larger batch the same row can come out differently in its last digits.
        """
        sampled: list[int] = []
        selection = options.selected(rows)
        if self.head == "point":
            means = []
            for row in options.rows_with_progress(rows):
                with options.failures_skipped(catalog, row):
                    means.append(self.means(catalog, np.array([row])))
                    sampled.append(row)
            rows = require_sampled(catalog, rows, sampled)
            return self._posterior(catalog, rows, selection, options.seed, PointEstimate(np.concatenate(means)))

        buffer = options.buffer(len(rows), len(self.preprocessing.parameters))
        mixtures, masses, log_prob_truth = [], [], []
        for row in options.rows_with_progress(rows):
            with options.failures_skipped(catalog, row):
                (raw,) = self._outputs(catalog, np.array([row]))
                (normals,) = self._normals(raw)
                stream = normals.draw(options.draws, options.generator(catalog.index[row]))
                mass = buffer.fill(len(sampled), stream, normals.log_prob)
                if catalog.theta is not None:
                    has_truth = catalog.has_theta[row : row + 1]
                    at_truth = normals.log_prob(catalog.theta[row : row + 1]) - mass.log
                    log_prob_truth.append(np.where(has_truth, at_truth, np.nan))
                sampled.append(row)
                mixtures.append(normals)
                masses.append(mass)
        rows = require_sampled(catalog, rows, sampled)
        errors = np.array([mass.error for mass in masses])
        return self._posterior(
            catalog,
            rows,
            selection,
            options.seed,
            PointEstimate(
                np.stack([mixture.mean for mixture in mixtures]), np.stack([mixture.std for mixture in mixtures])
            ),
            buffer.draws(len(rows), errors if mixtures[0].overflows else None),
            np.concatenate(log_prob_truth) if log_prob_truth else None,
        )

    def sample(
        self,
        x: Data,
        draws: int = SamplingOptions.draws,
        seed: int = 0,
        row_numbers: Sequence[int] | None = None,
        skip_failed: bool = False,
        **unknown: object,
    ) -> Posterior:
        """The posterior of each observation, as ``cosmoinfer sample`` gives it; of a loss without widths, means only.

        x: one observation, of the shape of a row of the training catalog, or (n, ...) of n; several observables by
            name. row_numbers: (n,), which key the draws; by default 0, 1, 2, ...
        skip_failed: leave out what cannot be sampled.

        Raises UserError for other settings or data, and where an observation cannot be sampled.
        """
        check_keywords("sample", unknown, ("draws", "seed", "row_numbers", "skip_failed"))
        observed = observations(self.preprocessing, x, row_numbers=row_numbers)
        return sample_observations(self, observed, SamplingOptions(draws, seed, skip_failed))

    def log_prob(self, theta: ArrayLike, x: Data, seed: int = 0) -> np.ndarray:
        """log q(theta | x), natural, in catalog units; -inf outside the prior's box.

        theta: (P,), or (k, P) of one observation, or (n, P) of n observations; x as of ``sample``. (), (k,) or (n,);
            NaN at a theta with a NaN.
        seed: of the draws that normalise correlated normals over the box, to about 0.01.

        Raises UserError for data or parameters of other shapes, and for a loss that knows no widths.
        """
        if self.head == "point":
            raise UserError(f"loss: {self.loss} gives a point and no density")
        observed = observations(self.preprocessing, x)
        points = observed.pair(theta, len(self.preprocessing.parameters))
        points_by_row = np.split(points, len(observed.rows)) if len(observed.rows) == len(points) else [points]
        log_prob = []
        for row, row_points in zip(observed.rows.tolist(), points_by_row, strict=True):
            (raw,) = self._outputs(observed.catalog, np.array([row]))
            (normals,) = self._normals(raw)
            log_mass = normals.log_mass(PROPOSALS_FOR_MASS, seeding.generator(seed, "mass", row))
            log_prob.append(normals.log_prob(row_points) - log_mass)
        joined = np.where(np.isnan(points).any(axis=1), np.nan, np.concatenate(log_prob))
        return joined[0] if observed.single and np.ndim(theta) == 1 else joined

    def with_recalibration(self, catalog: Catalog, seed: int) -> RegressorModel:
        """With what the validation rows say: the temperature that they ask for, and how far from the training rows
        they lie themselves."""
        rows = select_judging_rows(self.preprocessing, catalog, self.training_record.rows(catalog, "validation"))
        rows = rows[:: -(-len(rows) // MAX_RECALIBRATION_ROWS)]
        fitted = None
        if self.head != "point":
            log_probs = self._log_prob_by_temperature(catalog, rows, catalog.require_parameters()[1][rows], seed)
            fitted = fit_recalibration(log_probs, catalog.simulation[rows])
        return replace(with_ood_detector(self, catalog), recalibration=fitted)

    def feature_spaces(self, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
        """Features (n, F) in which rows are compared with the training rows: of the data, and the members' outputs."""
        outputs = np.concatenate(list(self._outputs(catalog, rows)), axis=1)  # (M, n, O)
        return [
            *data_features(self.preprocessing, catalog, rows),
            outputs.transpose(1, 0, 2).reshape(len(rows), -1),
        ]

    def _log_prob_by_temperature(
        self, catalog: Catalog, rows: np.ndarray, theta: np.ndarray, seed: int
    ) -> LogProbAtTemperature:
        """log q_T of these truths, (n,), for any T; a mass outside the box as the mean of some rows."""
        mixtures = [
            mixture for outputs_of_chunk in self._outputs(catalog, rows) for mixture in self._normals(outputs_of_chunk)
        ]
        masses = []
        for n in range(0, len(rows), -(-len(rows) // MAX_BOX_MASS_ROWS)):
            if (mixture := mixtures[n]).overflows:
                masses.append(log_mass_by_temperature(mixture, seeding.generator(seed, "temperature", int(rows[n]))))

        def log_probs(temperature: float) -> np.ndarray:
            outside = np.mean([mass(temperature) for mass in masses]) if masses else 0.0
            pairs = zip(mixtures, theta, strict=True)
            return (
                np.concatenate([mixture.at_temperature(temperature).log_prob(truth[None]) for mixture, truth in pairs])
                - outside
            )

        return log_probs

    def _posterior(
        self,
        catalog: Catalog,
        rows: np.ndarray,
        selection: np.ndarray,
        seed: int,
        point: PointEstimate,
        draws: Draws | None = None,
        log_prob_truth: np.ndarray | None = None,
    ) -> Posterior:
        anomaly = score_observations(self, catalog, rows, selection, seed)
        return Posterior(
            self.preprocessing.parameters,
            catalog.index[rows],
            catalog.simulation[rows],
            self.training_record.partition_of(catalog, rows),
            None if catalog.theta is None else catalog.theta[rows],
            log_prob_truth,
            draws,
            point,
            diagnostics=Diagnostics(
                self.preprocessing.estimate_parameters(catalog, rows),
                temperature=None if self.temperature == 1 else self.temperature,
                ood_percentile=anomaly.percentile,
                ood_set_p_value=anomaly.set_p_value,
            ),
        )

    def _outputs(self, catalog: Catalog, rows: np.ndarray, epoch: int | None = None) -> Iterator[np.ndarray]:
        """Outputs of every member, (M, n, O), a bounded number of rows at a time."""
        if epoch is None:
            for data in self.preprocessing.chunks(catalog, rows):
                yield member_outputs(self.stacks, data)
            return
        noisy = self.preprocessing.data(catalog, rows, epoch)  # noise is drawn for all rows at once
        for chunk in slices(len(rows), self.preprocessing.rows_per_chunk, keep_empty=True):
            yield member_outputs(self.stacks, tuple(array[chunk] for array in noisy))

    def _means_and_shapes(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Means (M, n, P) in catalog units, and widths (M, n, P) or factors of the precision (M, n, P, P).

        Raises NoPrediction where one is not finite.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            means, shapes = self._unchecked_means_and_shapes(raw)
        if not all(np.isfinite(values).all() for values in (means, shapes) if values is not None):
            raise NoPrediction("the prediction of the regressor is not finite")
        return means, shapes

    def _unchecked_means_and_shapes(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        if self.head == "point":
            return raw * self.scale + self.shift, None
        flat = torch.from_numpy(raw.reshape(-1, raw.shape[-1]))
        split = means_and_widths if self.head == "widths" else means_and_factors
        mean, shape = (values.numpy().reshape(*raw.shape[:2], *values.shape[1:]) for values in split(flat))
        scaled = shape * self.scale if self.head == "widths" else shape / self.scale[:, None]
        return mean * self.scale + self.shift, scaled

    def _normals(self, raw: np.ndarray) -> list[Normals]:
        """One mixture a row."""
        means, shapes = self._means_and_shapes(raw)
        assert shapes is not None
        family = IndependentNormals if self.head == "widths" else CorrelatedNormals
        box = self.preprocessing.parameters
        mixtures = [family(box, self.weights, means[:, row], shapes[:, row]) for row in range(raw.shape[1])]
        return [mixture.at_temperature(self.temperature) for mixture in mixtures]
