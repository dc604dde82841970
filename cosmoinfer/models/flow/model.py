"""Flows conditioned on the data: p(theta | x) by maximum likelihood, as a mixture of M members."""

from __future__ import annotations  # help() shows ArrayLike by its name

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog, observation_sets
from cosmoinfer.errors import UserError
from cosmoinfer.flows.transform import nflows_flow
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.memory import slices
from cosmoinfer.models.file import Saveable
from cosmoinfer.models.flow.candidate import Candidate, JoinedFlow
from cosmoinfer.models.flow.mixture import Contexts, Mixture, TruthDensity
from cosmoinfer.models.flow.network import FlowStack
from cosmoinfer.models.flow.nflows_export import DataEmbedding, MemberTransform
from cosmoinfer.models.model import model_html, model_repr
from cosmoinfer.models.observations import Data, observations
from cosmoinfer.models.posterior_model import sample_observations, score_observations, with_ood_detector
from cosmoinfer.models.regressor.model import RegressorModel
from cosmoinfer.ood.detector import FeatureSpaces, OutOfDistribution, data_features
from cosmoinfer.posterior import Diagnostics, Posterior
from cosmoinfer.preprocessing.judging_rows import select_judging_rows
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.sampling.options import SamplingOptions, require_sampled
from cosmoinfer.sampling.rejection import PROPOSALS_FOR_MASS
from cosmoinfer.sampling.temperature import MAX_BOX_MASS_ROWS, LogProbAtTemperature, Recalibration, fit_recalibration
from cosmoinfer.settings import check_keywords
from cosmoinfer.storage import JSONObject

if TYPE_CHECKING:
    from cosmoinfer.flows.transform import Flow


def conditioning_data(
    preprocessing: Preprocessing,
    summary: RegressorModel | None,
    catalog: Catalog,
    rows: np.ndarray,
    epoch: int | None = None,
    size: int = 0,
) -> tuple[np.ndarray, ...]:
    """The scaled data of these rows, or what a summary network says of them. epoch: with fresh noise.

    size: of the sets that rows stand for, if they do: then (n, size, ...), of all rows of their simulations.
    """
    if size:
        set_rows = conditioning_data(
            preprocessing, summary, catalog, observation_sets.simulation_rows(catalog, rows, size).ravel(), epoch
        )
        return tuple(array.reshape(len(rows), size, *array.shape[1:]) for array in set_rows)
    if summary is None:
        return preprocessing.data(catalog, rows, epoch)
    return (summary.summarise(catalog, rows, epoch),)


@dataclass(frozen=True)
class FlowModel(Saveable):
    """weights: (M in all,) of the mixture. summary: the trained regressor that feeds the flow, if there is one.
    initialised_from: the flow whose weights it started from. temperature: the noise's width;
    recalibration: that which the validation rows ask for, taken only on demand. race, joined: what became of the
    candidates of a training, and of the flows that were joined to this one, if any were."""

    preprocessing: Preprocessing = field(metadata={"path": ""})
    training_record: TrainingRecord = field(metadata={"path": ""})
    stacks: tuple[FlowStack, ...]
    weights: np.ndarray = field(metadata={"path": "mixture_weights"})
    summary: RegressorModel | None = None
    initialised_from: FlowModel | None = None
    temperature: float = 1.0
    recalibration: Recalibration | None = None
    ood: OutOfDistribution | None = None
    race: tuple[Candidate, ...] = ()
    joined: tuple[JoinedFlow, ...] | None = None
    provenance: JSONObject = field(default_factory=dict)
    kind: ClassVar[str] = "flow"
    __repr__, _repr_html_ = model_repr, model_html

    @property
    def mixture(self) -> Mixture:
        return Mixture(self.stacks, self.weights, self.preprocessing.parameters, self.temperature)

    def embed(self, catalog: Catalog, rows: np.ndarray) -> Contexts:
        """What the flow is conditioned on, embedded."""
        return self.mixture.embed(
            conditioning_data(self.preprocessing, self.summary, catalog, rows, size=self.set_size)
        )

    @property
    def set_size(self) -> int:
        """Rows of one simulation that it takes together; 0 if every row stands for itself."""
        return int(self.stacks[0].config.get("rows", 0))

    def representatives(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """The rows that stand for these: of a set, the first of its simulation."""
        return observation_sets.representatives(catalog, rows) if self.set_size else rows

    def _embed_chunks(self, catalog: Catalog, rows: np.ndarray) -> Iterator[tuple[slice, Contexts]]:
        """Rows (n,) as many at a time as memory holds, embedded."""
        for chunk in slices(len(rows), self.preprocessing.rows_per_chunk, keep_empty=True):
            yield chunk, self.embed(catalog, rows[chunk])

    def log_prob_untruncated(self, catalog: Catalog, rows: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """log q(theta_n | x_n), (n,), in catalog units, before a truncated flow is renormalised over the box."""
        chunks = self._embed_chunks(catalog, rows)
        return np.concatenate([self.mixture.log_prob(theta[chunk], contexts) for chunk, contexts in chunks])

    def log_prob_of_rows(
        self, catalog: Catalog, rows: np.ndarray, theta: np.ndarray, draws: int, seed: int
    ) -> np.ndarray:
        """log q(theta_n | x_n), (n,), in catalog units, normalised over the box with ``draws`` draws a row."""
        log_prob = self.log_prob_untruncated(catalog, rows, theta)
        if not self.mixture.maps_inside:
            for place, row in enumerate(rows):
                contexts = self.embed(catalog, rows[place : place + 1])
                generator = seeding.generator(seed, "mass", row)
                log_prob[place] -= np.log(self.mixture.box_mass(contexts, draws, generator))
        return log_prob

    def sample(
        self,
        x: Data,
        draws: int = SamplingOptions.draws,
        seed: int = 0,
        row_numbers: Sequence[int] | None = None,
        skip_failed: bool = False,
        **unknown: object,
    ) -> Posterior:
        """The posterior of each observation, as ``cosmoinfer sample`` draws it.

        x: one observation, of the shape of a row of the training catalog, or (n, ...) of n; several observables by
            name; of a flow that takes sets of R rows, (R, ...) or (n, R, ...).
        row_numbers: (n,), which key the draws; by default 0, 1, 2, ... skip_failed: leave out what cannot be sampled.

        Raises UserError for other settings or data, and where an observation cannot be sampled.
        """
        check_keywords("sample", unknown, ("draws", "seed", "row_numbers", "skip_failed"))
        observed = observations(self.preprocessing, x, row_numbers=row_numbers, set_size=self.set_size)
        return sample_observations(self, observed, SamplingOptions(draws, seed, skip_failed))

    def log_prob(self, theta: ArrayLike, x: Data, seed: int = 0) -> np.ndarray:
        """log q(theta | x), natural, in catalog units, with every Jacobian; -inf outside the prior's box.

        theta: (P,), or (k, P) of one observation, or (n, P) of n observations; x as of ``sample``. (), (k,) or (n,);
            NaN at a theta with a NaN.
        seed: of the draws that normalise a flow that overflows the box, to about 0.01.

        Raises UserError for data or parameters of other shapes.
        """
        observed = observations(self.preprocessing, x, set_size=self.set_size)
        points, rows = observed.pair(theta, len(self.preprocessing.parameters)), observed.rows
        if len(rows) == len(points):
            log_prob = self.log_prob_of_rows(observed.catalog, rows, points, PROPOSALS_FOR_MASS, seed)
        else:  # many points of one observation
            contexts = self.embed(observed.catalog, rows)
            log_prob = self.mixture.log_prob(points, contexts)
            if not self.mixture.maps_inside:
                generator = seeding.generator(seed, "mass", rows[0])
                log_prob -= np.log(self.mixture.box_mass(contexts, PROPOSALS_FOR_MASS, generator))
        log_prob = np.where(np.isnan(points).any(axis=1), np.nan, log_prob)
        return log_prob[0] if observed.single and np.ndim(theta) == 1 else log_prob

    def posterior(self, catalog: Catalog, rows: np.ndarray, options: SamplingOptions) -> Posterior:
        """Of rows (n,), by position. The draws of a row depend on its number and the seed, on no other row."""
        selection = options.selected(rows)
        buffer = options.buffer(len(rows), len(self.preprocessing.parameters))
        truth_density = TruthDensity(self.mixture, catalog.theta)
        sampled: list[int] = []
        masses = []
        for row in options.rows_with_progress(rows):
            with options.failures_skipped(catalog, row):
                contexts = self.embed(catalog, np.array([row]))
                stream = self.mixture.draw(contexts, options.draws, options.generator(catalog.index[row]))
                log_prob = partial(self.mixture.log_prob, contexts=contexts)
                masses.append(buffer.fill(len(sampled), stream, log_prob))
                truth_density.add(row, contexts)
                sampled.append(row)
        rows = require_sampled(catalog, rows, sampled)
        log_mass, error = np.array([[mass.log, mass.error] for mass in masses]).T
        log_prob_truth = truth_density.log_prob()
        anomaly = score_observations(self, catalog, rows, selection, options.seed)
        return Posterior(
            self.preprocessing.parameters,
            catalog.index[rows],
            catalog.simulation[rows],
            self.training_record.partition_of(catalog, rows),
            None if catalog.theta is None else catalog.theta[rows],
            None if log_prob_truth is None else log_prob_truth - log_mass,
            buffer.draws(len(rows), None if self.mixture.maps_inside else error),
            diagnostics=Diagnostics(
                self._ridge_estimates(catalog, rows),
                n_observations=np.full(len(rows), float(self.set_size)) if self.set_size else None,
                temperature=None if self.temperature == 1 else self.temperature,
                ood_percentile=anomaly.percentile,
                ood_set_p_value=anomaly.set_p_value,
            ),
        )

    def box_masses(self, catalog: Catalog, rows: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
        """The mass inside box and region of each row, (n,), by so many draws of every member."""
        if self.mixture.maps_inside:
            return np.ones(len(rows))
        chunks = self._embed_chunks(catalog, rows)
        return np.concatenate([self.mixture.box_masses(contexts, draws, generator) for _, contexts in chunks])

    def with_recalibration(self, catalog: Catalog, seed: int) -> FlowModel:
        """With what the validation rows say: the temperature that they ask for, and how far from the training rows
        they lie themselves."""
        rows = select_judging_rows(self.preprocessing, catalog, self.training_record.rows(catalog, "validation"))
        rows = self.representatives(catalog, rows)
        log_probs = self._log_prob_by_temperature(catalog, rows, catalog.require_parameters()[1][rows], seed)
        recalibration = fit_recalibration(log_probs, catalog.simulation[rows])
        return replace(with_ood_detector(self, catalog), recalibration=recalibration)

    def feature_spaces(self, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
        """Features (n, F) in which rows are compared with the training rows: of the data, and of what the networks make
        of them."""
        representatives = self.representatives(catalog, rows)
        if not np.isin(rows, representatives).all():  # once a set, and the same for all of its rows
            simulations = catalog.simulation[representatives].tolist()
            positions = {simulation: position for position, simulation in enumerate(simulations)}
            by_row = [positions[simulation] for simulation in catalog.simulation[rows].tolist()]
            return [space[by_row] for space in self.feature_spaces(catalog, representatives)]
        spaces = [*self._features_of_sets(partial(data_features, self.preprocessing), catalog, rows)]
        if self.summary is not None:
            summarise = partial(conditioning_data, self.preprocessing, self.summary)
            spaces += self._features_of_sets(lambda *which: list(summarise(*which)), catalog, rows)
        embeds = [any(name != "none" for name, _ in stack.config["embedding"]) for stack in self.stacks]
        if any(embeds):
            embedded = []
            for _, contexts in self._embed_chunks(catalog, rows):
                learned = [context for context, learns in zip(contexts, embeds, strict=True) if learns]
                embedded.append(
                    np.concatenate([context.transpose(0, 1).flatten(1).cpu().numpy() for context in learned], axis=1)
                )
            spaces.append(np.concatenate(embedded))
        return spaces

    def select_member(self, member: int) -> FlowModel:
        """Member 0, 1, ... of the ensemble alone, with copies of its weights. Raises UserError where there is none."""
        members = [(stack, number) for stack in self.stacks for number in range(stack.members)]
        if not 0 <= member < len(members):
            raise UserError(f"member: expected 0 to {len(members) - 1}, found {member}")
        stack, number = members[member]
        return replace(self, stacks=(stack.select(slice(number, number + 1)),), weights=np.ones(1))

    def to_nflows(self, member: int) -> Flow:
        """Member 0, 1, ... of the ensemble as an ``nflows.flows.base.Flow``, for code that was written for nflows.

        log_prob(theta (N, P), context=x) and sample(S, context=x) take and give catalog units: x (N, *shape) of one
        observable, or all numbers of a row, flattened, (N, F). They agree with this model's, of that member, to
        rounding; a truncated flow is not renormalised over its box, and may draw outside it. Weights are copies;
        ``weights`` of this model are the shares of its members. Raises UserError where there is no such member.
        """
        (stack,) = self.select_member(member).stacks
        embedding = DataEmbedding(self.preprocessing.inputs, self.summary, stack.network.embedding, self.set_size)
        transform = MemberTransform(stack.network.transform, stack.support, self.temperature)
        return nflows_flow(transform, len(self.preprocessing.parameters), embedding.to(stack.device).eval())

    def _ridge_estimates(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        estimate = self.preprocessing.estimate_parameters
        (estimates,) = self._features_of_sets(lambda *which: [estimate(*which)], catalog, rows)
        return estimates

    def _features_of_sets(self, features_of: FeatureSpaces, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
        """Features of rows, (n, F) each; where a row represents a set, the mean over its set."""
        if not self.set_size:
            return features_of(catalog, rows)
        set_features = features_of(catalog, observation_sets.simulation_rows(catalog, rows, self.set_size).ravel())
        return [space.reshape(len(rows), self.set_size, -1).mean(axis=1) for space in set_features]

    def _log_prob_by_temperature(
        self, catalog: Catalog, rows: np.ndarray, theta: np.ndarray, seed: int
    ) -> LogProbAtTemperature:
        """log q_T of these truths, (n,), for any T, after one pass of the networks.

        A truncated mixture loses its mean log mass at T: that of a few rows, which varies little from row to row.
        """
        chunks = self._embed_chunks(catalog, rows)
        terms = [self.mixture.squared_noise(theta[chunk], contexts) for chunk, contexts in chunks]
        squares, log_dets = (np.concatenate(arrays, axis=1) for arrays in zip(*terms, strict=True))
        masses: list[Callable[[float], float]] = []
        if not self.mixture.maps_inside:
            for row in rows[:: -(-len(rows) // MAX_BOX_MASS_ROWS)]:
                generator = seeding.generator(seed, "temperature", int(row))
                masses.append(self.mixture.log_box_mass_at_temperature(self.embed(catalog, np.array([row])), generator))

        def log_probs(temperature: float) -> np.ndarray:
            outside = np.mean([mass(temperature) for mass in masses]) if masses else 0.0
            return self.mixture.at_temperature(temperature).log_prob_at_temperature(squares, log_dets) - outside

        return log_probs
