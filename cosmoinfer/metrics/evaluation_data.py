"""A posterior beside the true parameters: what all metrics share, computed once."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.errors import UserError
from cosmoinfer.metrics import ranks, two_sample
from cosmoinfer.metrics.bootstrap import MIN_SIMULATIONS, Clusters
from cosmoinfer.metrics.classifier.predictions import ClassPredictions
from cosmoinfer.metrics.prior_truths import contradictions
from cosmoinfer.metrics.reference_posterior import ReferencePosterior
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior, row_slices
from cosmoinfer.unbounded_density import reasons_without_bound

TARP_REFERENCE_NOISE = 0.05  # in prior-CDF units: keeps a reference point away from the posterior mean
MAX_LOCAL_DRAWS = 10_000  # of an observation that local C2ST is computed at
MAX_C2ST_OBSERVATIONS, MAX_C2ST_DRAWS = 10, 2000  # observations, of as many simulations; draws of either side at most


@dataclass(frozen=True)
class EvaluationData:
    """A posterior beside the true parameters: n rows of G simulations with P parameters; catalog units, natural logs.

    Mean, std, ranks, predictions and whatever comes from ``reference`` or ``local`` are None where the posterior does
    not hold what they need.

    posterior: with the true parameters.
    seed: of randomised ranks, TARP reference points and resampling.
    reference: another posterior of the same rows.
    local: row numbers at which local C2ST is computed.

    Raises UserError if there are no truths or no rows, or if a row of ``local`` is absent or cannot be tested.
    """

    posterior: Posterior
    seed: int = 0
    reference: ReferencePosterior | None = None
    local: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.posterior.require_truth()
        if len(self.posterior) == 0:
            raise UserError("the posterior has no rows to evaluate")
        two_sample.check_local(self.local, self.posterior.index)
        if self.local and (self.posterior.draws is None or self.posterior.diagnostics.ridge_estimate is None):
            raise UserError("the posterior has no draws or no /ridge_estimate; local C2ST requires both", "lc2st")

    @cached_property
    def clusters(self) -> Clusters:
        """Rows by simulation, for intervals and p-values."""
        return Clusters.from_ids(self.posterior.simulation, self.seed)

    @property
    def parameters(self) -> Parameters:
        return self.posterior.parameters

    @cached_property
    def independent_parameters(self) -> Parameters:
        """The parameters of the joint density, which come first."""
        return self.posterior.independent_parameters

    @cached_property
    def has_prior(self) -> np.ndarray:
        """Which parameters have a prior that is known, (P,) bool; those that are derived from others have none."""
        return np.concatenate(
            [self.independent_parameters.has_prior, np.zeros(len(self.posterior.derived), dtype=bool)]
        )

    @property
    def truth(self) -> np.ndarray:
        assert self.posterior.truth is not None
        return self.posterior.truth

    @cached_property
    def mean(self) -> np.ndarray | None:
        return self.posterior.mean

    @cached_property
    def std(self) -> np.ndarray | None:
        return self.posterior.std

    @property
    def log_prob_truth(self) -> np.ndarray | None:
        return self.posterior.log_prob_truth

    @cached_property
    def fixed_parameters(self) -> tuple[str, ...]:
        """Parameters whose true value is the same in all simulations: it was not drawn from the prior."""
        if self.clusters.count < 2 or self.posterior.classes is not None:
            return ()
        constant = np.ptp(self.truth, axis=0) == 0
        return tuple(name for name, is_fixed in zip(self.parameters.names, constant, strict=True) if is_fixed)

    @cached_property
    def varying(self) -> tuple[Parameters, np.ndarray]:
        """The parameters that are not fixed, and their true values, (G, P): those of each simulation."""
        names = [name for name in self.parameters.names if name not in self.fixed_parameters]
        first_rows = np.unique(self.clusters.simulation_of_row, return_index=True)[1]
        return self.parameters.select(names), self.truth[first_rows][:, self.parameters.columns(names)]

    @cached_property
    def contradictions(self) -> dict[str, str]:
        """Parameters whose true values vary but contradict their prior, each with the reason."""
        return {} if self.posterior.classes is not None else contradictions(*self.varying)

    @cached_property
    def unbounded_density(self) -> str:
        """Why a density over the parameters has no bound, and its logarithm no meaning; empty where it has one."""
        parameters, truth = self.varying
        count = len([name for name in parameters.names if name not in self.posterior.derived])
        return "; ".join(reasons_without_bound(parameters.names[:count], truth[:, :count]).values())

    @property
    def prior_mismatch(self) -> str:
        """Why the true parameters were not drawn from the prior of the posterior; empty where they may have been."""
        if self.posterior.reweighted:
            return "the posterior has another prior than the truths were drawn from"
        if self.fixed_parameters:
            return f"all true values of {', '.join(self.fixed_parameters)} are equal"
        return "; ".join(dict.fromkeys(self.contradictions.values()))

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Every two parameters, by their columns."""
        return tuple(combinations(range(len(self.parameters)), 2))

    @cached_property
    def covariance(self) -> np.ndarray | None:
        """Covariance of the draws of each row, (n, P, P)."""
        return None if self.posterior.draws is None else self.posterior.draws.covariance()

    @cached_property
    def error(self) -> np.ndarray:
        """mu - t, (n, P)."""
        assert self.mean is not None
        return self.mean - self.truth

    @cached_property
    def pull(self) -> np.ndarray:
        """z = (mu - t) / sigma, (n, P): mean 0 and mean square 1 for a correct posterior of any shape."""
        assert self.std is not None
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.error / self.std

    @cached_property
    def sbc_ranks(self) -> np.ndarray | None:
        """Rank of the truth among the draws, (n, P), in 0..1."""
        if self.posterior.draws is None:
            return None
        return ranks.sbc_ranks(self.posterior.samples, self.truth, self._generator("sbc"))

    @cached_property
    def tarp_ranks(self) -> np.ndarray | None:
        """Rank of the truth by distance from a point drawn from the prior, (n,), in 0..1."""
        prior, generator = self.independent_parameters.joint_prior, self._generator("tarp", "reference")
        return self._distance_ranks(prior.draw_units(len(self.truth), generator), "tarp")

    @cached_property
    def tarp_x_ranks(self) -> np.ndarray | None:
        """Rank of the truth by distance from a ridge estimate plus noise, (n,), in 0..1."""
        ridge_estimate = self.posterior.diagnostics.ridge_estimate
        if ridge_estimate is None:
            return None
        centre = self.independent_parameters.cdf(ridge_estimate[:, : len(self.independent_parameters)])
        noise = TARP_REFERENCE_NOISE * self._generator("tarp_x", "reference").standard_normal(centre.shape)
        return self._distance_ranks(centre + noise, "tarp_x")

    @cached_property
    def hpd_ranks(self) -> np.ndarray | None:
        """Fraction of the draws whose density is above that of the truth, (n,)."""
        draws = self.posterior.draws
        if draws is None or draws.log_prob is None or self.log_prob_truth is None:
            return None
        return ranks.hpd_ranks(draws.log_prob, self.log_prob_truth, self._generator("hpd"))

    @cached_property
    def predictions(self) -> ClassPredictions | None:
        """Predictions beside the true classes, of a classifier."""
        classes = self.posterior.classes
        if classes is None:
            return None
        return ClassPredictions(classes.probabilities, self.truth[:, 0].astype(np.int64), classes.names)

    @property
    def ood(self) -> np.ndarray | None:
        """Out-of-distribution percentile of each observation, (n,), 0..100."""
        return self.posterior.diagnostics.ood_percentile

    @property
    def ood_set_p(self) -> np.ndarray | None:
        """p-value of all observations coming from the distribution of the training data, (1,)."""
        p_value = self.posterior.diagnostics.ood_set_p_value
        return None if p_value is None else np.array([p_value])

    @property
    def two_class_predictions(self) -> ClassPredictions | None:
        """Predictions, if there are two classes."""
        return None if self.predictions is None or self.predictions.class_count != 2 else self.predictions

    # ---------------------------------------------------------------------------------------------- reference posterior
    @cached_property
    def reference_mean(self) -> np.ndarray | None:
        return None if self.reference is None else self.reference.posterior.mean

    @cached_property
    def reference_std(self) -> np.ndarray | None:
        return None if self.reference is None else self.reference.posterior.std

    @property
    def reference_log_prob_truth(self) -> np.ndarray | None:
        return None if self.reference is None else self.reference.posterior.log_prob_truth

    @property
    def reference_fisher(self) -> np.ndarray | None:
        return None if self.reference is None else self.reference.posterior.diagnostics.fisher

    @property
    def exact_reference(self) -> ReferencePosterior | None:
        """The reference, if it is the exact posterior."""
        return self.reference if self.reference is not None and self.reference.exact else None

    @cached_property
    def c2st(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Rows, (O,), the first of each of the first few simulations; and their C2ST against the exact posterior."""
        exact = self.exact_reference
        if exact is None or self.posterior.draws is None or exact.posterior.draws is None:
            return None
        rows = np.sort(np.unique(self.clusters.simulation_of_row, return_index=True)[1])[:MAX_C2ST_OBSERVATIONS]
        arrays = self.posterior.samples, exact.posterior.samples
        count = min(MAX_C2ST_DRAWS, *(array.shape[1] for array in arrays))
        if count < two_sample.FOLDS:
            return None
        samples, reference = (np.stack([array[row][:count] for row in rows.tolist()]) for array in arrays)
        accuracies = np.full(len(rows), np.nan)
        finite = np.isfinite(samples).all(axis=(1, 2)) & np.isfinite(reference).all(axis=(1, 2))
        accuracies[finite] = two_sample.c2st(samples[finite], reference[finite], self.seed)
        return rows, accuracies

    # ------------------------------------------------------------------------------------------------------ local C2ST
    @cached_property
    def lc2st(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Statistics and p-values of local C2ST at the rows of ``local``, (L,) each.

        NaN with too few simulations, or where draws or estimates are not finite.
        """
        posterior, summary = self.posterior, self.posterior.diagnostics.ridge_estimate
        if not self.local or posterior.draws is None or summary is None:
            return None
        tested = np.array([int(np.flatnonzero(posterior.index == row)[0]) for row in self.local])
        rows = two_sample.sample_one_row_per_simulation(self.clusters, tested, self.seed)
        drawn = self._one_draw_of_each(rows)
        queries = [_with_summary(posterior.samples[row][:MAX_LOCAL_DRAWS], summary[row]) for row in tested.tolist()]
        finite = all(np.isfinite(values).all() for values in (drawn, summary[rows], *queries))
        if len(rows) < MIN_SIMULATIONS or not finite:
            return np.full(len(tested), np.nan), np.full(len(tested), np.nan)
        return two_sample.local_c2st(self.truth[rows], drawn, summary[rows], queries, self.seed)

    @property
    def multiple_lc2st(self) -> tuple[np.ndarray, np.ndarray] | None:
        """``lc2st``, if there are several rows."""
        return self.lc2st if len(self.local) > 1 else None

    def _one_draw_of_each(self, rows: np.ndarray) -> np.ndarray:
        """One draw, at random, of each of these k rows: (k, P)."""
        samples = self.posterior.samples
        column = np.zeros(len(self.posterior), np.int64)
        column[rows] = self._generator("lc2st", "draw").integers(samples.shape[1], size=len(rows))
        blocks = [
            np.take_along_axis(samples[block], column[block, None, None], axis=1)[:, 0] for block in row_slices(samples)
        ]
        return np.concatenate(blocks)[rows]

    def _distance_ranks(self, reference: np.ndarray, purpose: str) -> np.ndarray | None:
        if self.posterior.draws is None:
            return None
        truth = self.truth[:, : len(self.independent_parameters)]
        return ranks.tarp_ranks(
            self.independent_parameters, self.posterior.samples, truth, reference, self._generator(purpose)
        )

    def _generator(self, *purpose: str) -> np.random.Generator:
        return seeding.generator(self.seed, "evaluate", *purpose)


def _with_summary(samples: np.ndarray, summary: np.ndarray) -> np.ndarray:
    """The summary of a row beside each of its draws: (S, P), (K,) -> (S, P + K)."""
    return np.hstack([samples, np.broadcast_to(summary, (len(samples), len(summary)))])
