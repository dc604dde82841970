"""How unlike the training data the observations of a likelihood are."""

import numpy as np
import torch
from scipy import optimize

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import join_first
from cosmoinfer.likelihoods.bound_density import BoundDensity
from cosmoinfer.likelihoods.bound_flow import BoundFlow
from cosmoinfer.memory import slices
from cosmoinfer.models import DensityModel, FlowModel
from cosmoinfer.models.posterior_model import describe_anomalies, score_observations
from cosmoinfer.ood.detector import extreme_outliers
from cosmoinfer.ood.scores import OODScores
from cosmoinfer.ood.typicality import Typicality

STARTING_POINTS = 500  # of which the most likely one is where a search begins


def ood_percentiles(
    model: DensityModel | FlowModel, bound: BoundDensity | BoundFlow, catalog: Catalog, rows: np.ndarray, seed: int
) -> np.ndarray | None:
    """(J,) in 0 to 100, among the validation rows of the model; None where a flow has no detector.

    Of a density: how untypical log density and noise are at the parameters that all observations together make most
    likely.
    """
    if isinstance(model, FlowModel):
        return score_observations(model, catalog, rows, rows, seed).percentile
    assert isinstance(bound, BoundDensity)
    theta = np.tile(_most_likely(bound, seed), (len(rows), 1))
    log_prob, kurtosis = model.log_prob_and_kurtosis(catalog, rows, lambda done, total: None, theta)
    contexts = model.scale_parameters(theta, catalog.path)
    pairs = ((model.typicality, log_prob), (model.kurtosis_typicality, kurtosis))
    p_values = [_p_value(typicality, typicality.z_score(values, contexts)) for typicality, values in pairs]
    return 100 * (1 - np.minimum(1, 2 * np.minimum(*p_values)))


def anomaly_lines(
    model: DensityModel | FlowModel, catalog: Catalog, rows: np.ndarray, percentile: np.ndarray | None
) -> list[str]:
    """A sentence on observations that are unlike the training data, where there are such. percentile: (J,)."""
    index = catalog.index[rows]
    if isinstance(model, FlowModel):
        scored = index, catalog.simulation[rows]
        return describe_anomalies(model, catalog, rows, scored, OODScores(percentile), "likelihoods")
    if percentile is None or not len((extreme := extreme_outliers(percentile)).positions):
        return []
    return [
        f"{len(extreme.positions)} of {len(rows)} observations are unlike the training data at any parameters "
        f"(percentile above {extreme.level:g}): row {join_first(index[extreme.positions])}; the likelihood is an "
        "extrapolation and not reliable"
    ]


def _p_value(typicality: Typicality, z_score: np.ndarray) -> np.ndarray:
    """Of z-scores (J,); beyond those of all validation rows it falls no faster than an exponential."""
    residuals = typicality.residuals
    largest = np.abs(residuals - np.median(residuals)).max() / residuals.std()
    return typicality.p_value(z_score) * np.exp(-np.maximum(np.abs(z_score) - largest, 0))


def _most_likely(bound: BoundDensity, seed: int) -> np.ndarray:
    """(P,) inside box and region, at a maximum of the likelihood: the best of some draws, then along the gradient."""
    support, parameters = bound.condition, bound.parameters
    starts = draw_inside(bound, STARTING_POINTS, seeding.generator(seed, "most likely"))
    with torch.no_grad():
        chunks = [starts[chunk] for chunk in slices(len(starts), bound.points_per_call)]
        values = np.concatenate([bound.log_likelihood(torch.from_numpy(chunk)).numpy() for chunk in chunks])
    best = starts[np.nanargmax(values)]

    def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
        theta = parameters.clip(support.inverse(z))[None]
        if not parameters.accepts(theta)[0]:
            return np.inf, np.zeros(len(z))
        at = torch.from_numpy(theta).requires_grad_()
        value = bound.log_likelihood(at).sum()
        (gradient,) = torch.autograd.grad(value, at)
        _, log_slope = support.forward_by_parameter(theta)
        return -float(value.detach()), -gradient[0].numpy() * np.exp(-log_slope[0])

    with np.errstate(divide="ignore", invalid="ignore"):
        edges = np.stack([support.forward_by_parameter(end)[0] for end in (parameters.low, parameters.high)], axis=1)
    fit = optimize.minimize(objective, support.forward(best)[0], jac=True, method="L-BFGS-B", bounds=edges)
    improved = np.isfinite(fit.fun) and fit.fun < -np.nanmax(values)
    return parameters.clip(support.inverse(fit.x)) if improved else best


def draw_inside(bound: BoundDensity | BoundFlow, count: int, generator: np.random.Generator) -> np.ndarray:
    """At most ``count`` points, (k, P), inside box and region: draws of the prior, or where it is unknown, of a normal
    as wide as the training rows."""
    parameters = bound.parameters
    if parameters.has_prior.all():
        theta = parameters.quantile(parameters.joint_prior.draw_units(count, generator))
    else:
        assert isinstance(bound, BoundDensity)
        theta = bound.condition.inverse(generator.standard_normal((count, len(parameters))))
    return parameters.clip(theta[parameters.accepts(theta)])
