"""Posteriors beside the truths that they should have found: what all metrics share, computed once."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.metrics import ranks, two_sample
from cosmoinfer.metrics.bootstrap import MIN_SIMULATIONS, Clusters
from cosmoinfer.metrics.classifier.predictions import ClassPredictions
from cosmoinfer.metrics.reference_posterior import ReferencePosterior
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior, map_rows, row_slices

REFERENCE_NOISE = 0.05  # in prior-CDF units: keeps a reference from sitting on the posterior mean
MAX_LOCAL_DRAWS = 10_000  # at most, of the observation that is tested by itself
MAX_C2ST_OBSERVATIONS, MAX_C2ST_DRAWS = 10, 2000  # observations, of as many simulations; draws of either side at most


def check_local(local: Iterable[int], index: np.ndarray) -> None:
    """Whether rows with these numbers are among those (n,) of a posterior; it may be asked before they are drawn."""
    unknown = sorted(set(local) - set(index.tolist()))
    if unknown:
        there = join_first(index.tolist())
        raise UserError(f"--lc2st: the posterior has no row {join_first(unknown)}; it holds row {there}")


@dataclass(frozen=True)
class EvaluationData:
    """A posterior beside the true parameters: n rows of G simulations with P parameters; catalog units, natural logs.

    Mean, std, ranks, predictions and whatever comes from ``reference`` or ``local`` are None where the posterior does
    not hold what they need.

    posterior: with truths. seed: of randomised ranks and resampling. reference: another posterior of the same rows.
    local: row numbers at which local C2ST is computed.
    """

    posterior: Posterior
    seed: int = 0
    reference: ReferencePosterior | None = None
    local: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.posterior.truth is None:
            raise UserError("the posterior has no true parameters to compare with; sample a catalog that holds them")
        if len(self.posterior) == 0:
            raise UserError("the posterior has no rows to evaluate")
        check_local(self.local, self.posterior.index)
        if self.local and (self.posterior.draws is None or self.posterior.diagnostics.ridge_estimate is None):
            raise UserError(
                "--lc2st: the posterior has no draws, or no /ridge_estimate beside them, to test one row by"
            )

    @cached_property
    def clusters(self) -> Clusters:
        return Clusters.from_ids(self.posterior.simulation, self.seed)

    @property
    def parameters(self) -> Parameters:
        return self.posterior.parameters

    @cached_property
    def independent_parameters(self) -> Parameters:
        """Those that none of the others makes: of which the joint density is one. They come first."""
        names = self.parameters.names
        return self.parameters.select(names[: len(names) - len(self.posterior.derived)])

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
        """Parameters of which all simulations share one true value: those truths do not come from the prior."""
        if self.clusters.count < 2 or self.posterior.classes is not None:
            return ()
        same = np.ptp(self.truth, axis=0) == 0
        return tuple(name for name, one in zip(self.parameters.names, same, strict=True) if one)

    @property
    def prior_mismatch(self) -> str:
        """Why truths do not come from the prior that the posterior takes; empty where they do, as far as one knows."""
        if self.posterior.reweighted:
            return "the posterior has another prior than the truths were drawn from"
        return f"all true values of {', '.join(self.fixed_parameters)} are equal" if self.fixed_parameters else ""

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Every two parameters, by their columns."""
        return tuple(combinations(range(len(self.parameters)), 2))

    @cached_property
    def covariance(self) -> np.ndarray | None:
        """Of the draws, (n, P, P)."""
        if self.posterior.draws is None:
            return None

        def of_rows(draws: np.ndarray) -> np.ndarray:
            return np.stack([np.atleast_2d(np.cov(row, rowvar=False)) for row in draws])

        return map_rows(self.posterior.samples, of_rows)

    @cached_property
    def error(self) -> np.ndarray:
        """mu - t, (n, P)."""
        assert self.mean is not None
        return self.mean - self.truth

    @cached_property
    def pull(self) -> np.ndarray:
        """z = (mu - t) / sigma, (n, P): mean 0 and mean square 1 for a right posterior of any shape."""
        assert self.std is not None
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.error / self.std

    @cached_property
    def sbc_ranks(self) -> np.ndarray | None:
        """Rank of the truth among the draws, (n, P)."""
        if self.posterior.draws is None:
            return None
        return ranks.sbc_ranks(self.posterior.samples, self.truth, self._generator("sbc"))

    @cached_property
    def tarp_ranks(self) -> np.ndarray | None:
        """Rank of the truth by distance from a point drawn from the prior, (n,)."""
        return self._distance_ranks(
            self._generator("tarp", "reference").random((len(self.truth), len(self.independent_parameters))), "tarp"
        )

    @cached_property
    def tarp_x_ranks(self) -> np.ndarray | None:
        """The same from a point that depends on the observation: a ridge estimate plus noise, (n,)."""
        if self.posterior.diagnostics.ridge_estimate is None:
            return None
        known = self.independent_parameters.cdf(
            self.posterior.diagnostics.ridge_estimate[:, : len(self.independent_parameters)]
        )
        noise = REFERENCE_NOISE * self._generator("tarp_x", "reference").standard_normal(known.shape)
        return self._distance_ranks(known + noise, "tarp_x")

    @cached_property
    def hpd_ranks(self) -> np.ndarray | None:
        """The share of draws that are denser than the truth, (n,)."""
        draws = self.posterior.draws
        if draws is None or draws.log_prob is None or self.log_prob_truth is None:
            return None
        return ranks.hpd_ranks(draws.log_prob, self.log_prob_truth, self._generator("hpd"))

    @cached_property
    def predictions(self) -> ClassPredictions | None:
        """Of a classifier."""
        classes = self.posterior.classes
        if classes is None:
            return None
        return ClassPredictions(classes.probabilities, self.truth[:, 0].astype(np.int64), classes.names)

    @property
    def ood(self) -> np.ndarray | None:
        """How unlike the training data each observation is, a percentile, (n,)."""
        return self.posterior.diagnostics.ood_percentile

    @property
    def ood_set_p(self) -> np.ndarray | None:
        """Of all observations together, (1,)."""
        p_value = self.posterior.diagnostics.ood_set_p_value
        return None if p_value is None else np.array([p_value])

    @property
    def two_class_predictions(self) -> ClassPredictions | None:
        """The same, where there are just two."""
        return None if self.predictions is None or self.predictions.class_count != 2 else self.predictions

    # ------------------------------------------------------------------------------------- against another posterior
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
        """The other, where it is the true posterior."""
        return self.reference if self.reference is not None and self.reference.exact else None

    @cached_property
    def c2st(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Rows, (O,), the first of each of the first few simulations; and how well draws are told from exact ones."""
        if self.exact_reference is None or self.posterior.draws is None or self.exact_reference.posterior.draws is None:
            return None
        rows = np.sort(np.unique(self.clusters.simulation_of_row, return_index=True)[1])[:MAX_C2ST_OBSERVATIONS]
        both = self.posterior.samples, self.exact_reference.posterior.samples
        draws = min(MAX_C2ST_DRAWS, *(samples.shape[1] for samples in both))
        if draws < two_sample.FOLDS:
            return None
        ours, exact_reference = (np.stack([samples[row][:draws] for row in rows.tolist()]) for samples in both)
        accuracies = np.full(len(rows), np.nan)
        finite = np.isfinite(ours).all(axis=(1, 2)) & np.isfinite(exact_reference).all(axis=(1, 2))
        accuracies[finite] = two_sample.c2st(ours[finite], exact_reference[finite], self.seed)
        return rows, accuracies

    # ------------------------------------------------------------------------------------------- at one observation
    @cached_property
    def lc2st(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Statistics and p-values of local C2ST at the rows asked for, (L,) each.

        NaN with too few simulations, or where draws or estimates are not finite.
        """
        posterior = self.posterior
        if not self.local or posterior.draws is None or posterior.diagnostics.ridge_estimate is None:
            return None
        asked = np.array([int(np.flatnonzero(posterior.index == row)[0]) for row in self.local])
        rows = two_sample.sample_one_row_per_simulation(self.clusters, asked, self.seed)
        draws, known = posterior.samples, posterior.diagnostics.ridge_estimate
        picked = np.zeros(len(posterior), np.int64)
        picked[rows] = self._generator("lc2st", "draw").integers(draws.shape[1], size=len(rows))
        each = [np.take_along_axis(draws[some], picked[some, None, None], axis=1)[:, 0] for some in row_slices(draws)]
        one = np.concatenate(each)[rows]
        queries = [_beside(draws[row][:MAX_LOCAL_DRAWS], known[row]) for row in asked.tolist()]
        if len(rows) < MIN_SIMULATIONS or not all(np.isfinite(part).all() for part in (one, known[rows], *queries)):
            return np.full(len(asked), np.nan), np.full(len(asked), np.nan)
        return two_sample.local_c2st(self.truth[rows], one, known[rows], queries, self.seed)

    @property
    def multiple_lc2st(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The same, where there is more than one."""
        return self.lc2st if len(self.local) > 1 else None

    def _distance_ranks(self, reference: np.ndarray, purpose: str) -> np.ndarray | None:
        if self.posterior.draws is None:
            return None
        truth = self.truth[:, : len(self.independent_parameters)]
        return ranks.tarp_ranks(
            self.independent_parameters, self.posterior.samples, truth, reference, self._generator(purpose)
        )

    def _generator(self, *purpose: str) -> np.random.Generator:
        return seeding.generator(self.seed, "evaluate", *purpose)


def _beside(draws: np.ndarray, known: np.ndarray) -> np.ndarray:
    """What is known of the row beside each of its draws: (S, P), (P,) -> (S, 2 P)."""
    return np.hstack([draws, np.broadcast_to(known, draws.shape)])
