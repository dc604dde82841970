"""Problems with known answers, small trainings on them, and grids to integrate over: what tests of models share."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from cosmoinfer import catalog as catalogs
from cosmoinfer.catalog import Catalog, Observable, ReadOptions
from cosmoinfer.models import FlowModel, RegressorModel
from cosmoinfer.models.flow import continued_recipe, fit_flow, flow_recipe
from cosmoinfer.models.regressor import fit_regressor, regressor_recipe
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.fit import fit_preprocessing
from cosmoinfer.preprocessing.noise import Noise
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.sampling.options import SamplingOptions
from cosmoinfer.sampling.rejection import BoxMass
from cosmoinfer.split import Split, by_hash
from cosmoinfer.supports import Support
from cosmoinfer.training import loop
from cosmoinfer.training.loaders import InMemoryLoader
from cosmoinfer.training.settings import TrainingContext
from cosmoinfer.training.state import History
from tests.posteriors import value_of

NAMES = ("a", "b", "c", "d", "e", "f")
ROWS = 300
TINY = {"layers": 2, "hidden": 12, "epochs": 3, "batch_size": 50, "learning_rate": 5e-3}


def box(size: int) -> Parameters:
    """Uniform boxes, but the second parameter, which is log-uniform."""
    low, high = np.array([0.1, 0.25, -1, 0, 10, -3])[:size], np.array([0.5, 4, 1, 1, 30, -2])[:size]
    return Parameters.from_names(
        NAMES[:size], low, high, ["log-uniform" if name == "b" else "uniform" for name in NAMES[:size]]
    )


@lru_cache
def linear_gaussian(size: int, rows: int = ROWS, seed: int = 0, bounded: bool = True) -> Catalog:
    """u = the prior's distribution function of theta; x = two noisy looks at each u."""
    random = np.random.default_rng(seed)
    parameters = box(size)
    u = random.random((rows, size))
    x = np.repeat(u, 2, axis=1) + 0.15 * random.standard_normal((rows, 2 * size))
    theta = parameters.quantile(u)
    declared = parameters if bounded else Parameters.from_names(NAMES[:size])
    return in_memory_catalog(theta, declared, Observable("data", "vector", x), name=f"linear_gaussian_{seed}.h5")


def in_memory_catalog(
    theta: np.ndarray | None, parameters: Parameters | None, *summaries: Observable, name: str = "sims.h5"
) -> Catalog:
    """A catalog in memory, as ``catalog.read`` would give it."""
    count = len(summaries[0].values)
    ids = np.arange(count).astype(str)
    made = Catalog(
        Path(name),
        parameters,
        theta,
        summaries,
        ids,
        np.arange(count),
        declared_priors=frozenset(parameters.names if parameters else ()),
    )
    return replace(made, fingerprint=catalogs.fingerprint(made))


@dataclass(frozen=True)
class Normal:
    """theta ~ N(0, 1) and x = slope theta + n, n ~ N(0, covariance): every density is normal, and known.

    slope: (K, P); covariance: (K, K).
    """

    slope: np.ndarray
    covariance: np.ndarray

    def simulate(self, rows: int, seed: int, noise: bool = True) -> Catalog:
        random = np.random.default_rng(seed)
        count, size = self.slope.shape
        theta = random.standard_normal((rows, size))
        scatter = random.multivariate_normal(np.zeros(count), self.covariance, rows)
        x = theta @ self.slope.T + (scatter if noise else 0)
        return in_memory_catalog(theta, self.parameters, Observable("data", "vector", x), name=f"normal_{seed}.h5")

    @property
    def parameters(self) -> Parameters:
        size = self.slope.shape[1]
        return Parameters.from_names(NAMES[:size], prior=["normal"] * size, mean=np.zeros(size), std=np.ones(size))

    def posterior(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of x (n, K): means (n, P) and their common covariance (P, P)."""
        gain = np.linalg.solve(self.covariance, self.slope)  # C^-1 A
        covariance = np.linalg.inv(np.eye(self.slope.shape[1]) + self.slope.T @ gain)
        return x @ gain @ covariance, covariance

    def log_prob(self, x: np.ndarray, theta: np.ndarray | None = None) -> np.ndarray:
        """log p(x | theta), or log p(x), (n,)."""
        if theta is None:
            spread = self.covariance + self.slope @ self.slope.T
            return stats.multivariate_normal(cov=spread).logpdf(x)
        return stats.multivariate_normal(cov=self.covariance).logpdf(x - theta @ self.slope.T)


NORMAL = Normal(
    np.array([[1.0, 0.8], [0.6, 0.7], [0.2, -0.3]]),
    np.array([[0.5, 0.2, 0.0], [0.2, 0.4, -0.1], [0.0, -0.1, 0.3]]),
)


def training_context(seed: int = 0, messages: list[str] | None = None) -> TrainingContext:
    return TrainingContext(
        torch.device("cpu"), seed, (lambda line: None) if messages is None else messages.append, lambda *_: None
    )


def split_of(sims: Catalog) -> Split:
    return by_hash(sims.simulation)


def fitted_preprocessing(sims: Catalog, noise: Noise | None = None) -> Preprocessing:
    return fit_preprocessing(sims, by_hash(sims.simulation), ReadOptions(), "auto", noise)


def train_flow(sims: Catalog, seed: int = 0, summary: RegressorModel | None = None, **settings) -> FlowModel:
    shapes = [observable.row_shape for observable in sims.observables] if summary is None else [summary.summary_shape]
    recipe = flow_recipe(TINY | settings, ROWS, shapes)
    return fit_flow(sims, split_of(sims), fitted_preprocessing(sims), recipe, training_context(seed), summary)


def continue_flow(sims: Catalog, ancestor: FlowModel, frame: Preprocessing | None = None, **settings) -> FlowModel:
    """As ``--fine-tune`` does."""
    stacks = ancestor.stacks
    shapes = [observable.row_shape for observable in sims.observables]
    recipe = continued_recipe([observable.config for observable in stacks], stacks[0].members, settings, ROWS, shapes)
    return fit_flow(
        sims, split_of(sims), frame or fitted_preprocessing(sims), recipe, training_context(), initialised_from=ancestor
    )


def train_regressor(sims: Catalog, seed: int = 0, frame: Preprocessing | None = None, **settings) -> RegressorModel:
    recipe = regressor_recipe(TINY | settings, ROWS, [observable.row_shape for observable in sims.observables])
    return fit_regressor(sims, split_of(sims), frame or fitted_preprocessing(sims), recipe, training_context(seed))


@lru_cache
def flow_of(flow: str, size: int, members: int, support: str) -> FlowModel:
    return train_flow(linear_gaussian(size), flow=flow, ensemble=members, support=support)


@lru_cache
def regressor_of(size: int, loss: str = "moment", members: int = 3) -> RegressorModel:
    return train_regressor(linear_gaussian(size), loss=loss, ensemble=members)


def sampled(model, sims: Catalog, rows=(0,), draws: int = 1000, seed: int = 0, skip_failed: bool = False):
    return model.posterior(sims, np.asarray(rows), SamplingOptions(draws, seed, skip_failed))


def density(model: FlowModel, sims: Catalog, row: int, theta: np.ndarray) -> np.ndarray:
    """log q(theta | x_row) at many points, normalised as the draws of that row are."""
    contexts = model.embed(sims, np.array([row]))
    return model.mixture.log_prob(theta, contexts) - mass_of(model, sims, row, 10, seed=0).log


def mass_of(model: FlowModel, sims: Catalog, row: int, draws: int, seed: int) -> BoxMass:
    """Of the box, as drawing so often from the posterior of a row finds it."""
    alone = np.array([row])
    generator = SamplingOptions(draws, seed).generator(sims.index[row])
    stream = model.mixture.draw(model.embed(sims, alone), draws, generator)
    assert sum(len(piece.theta) for piece in stream) == draws
    return stream.mass


def line(support: Support) -> tuple[np.ndarray, np.ndarray]:
    """The stretch of the real line that the box is mapped to, or as much of it as matters: (P,) each."""
    if support.name != "truncate":
        return np.full(len(support.parameters), -7.0), np.full(len(support.parameters), 7.0)
    return support.forward(support.parameters.low)[0], support.forward(support.parameters.high)[0]


def cells(support: Support, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A grid whose cells are equal on the line: points and volumes in catalog units, and the edges (steps + 1, P).

    Volumes are differences of edges, not the Jacobian under test.
    """
    edges = np.linspace(*line(support), steps + 1)
    sides = np.diff(support.inverse(edges), axis=0)
    middles = support.inverse((edges[1:] + edges[:-1]) / 2)
    theta = np.stack(np.meshgrid(*middles.T, indexing="ij"), axis=-1).reshape(-1, len(support.parameters))
    volumes = np.stack(np.meshgrid(*sides.T, indexing="ij"), axis=-1).reshape(theta.shape).prod(axis=-1)
    return theta, volumes, edges


def agree(counts: np.ndarray, expected: np.ndarray) -> bool:
    """Pearson's chi squared, cells with few draws joined."""
    populated = expected > 5
    counts = np.append(counts[populated], counts[~populated].sum())
    expected = np.append(expected[populated], expected[~populated].sum())
    return ((counts - expected) ** 2 / (expected + 1)).sum() < stats.chi2.isf(1e-5, len(counts))


def check_same_row(first, second) -> None:
    for name in ("samples", "log_prob", "log_prob_truth", "log_norm_error", "mean", "std"):
        actual, expected = value_of(first, name), value_of(second, name)
        assert (actual is None and expected is None) or (actual == expected).all(), name
    np.testing.assert_allclose(first.diagnostics.ridge_estimate, second.diagnostics.ridge_estimate, rtol=1e-12)


def with_maps(periodic: bool, rows: int = 60) -> Catalog:
    random = np.random.default_rng(0)
    theta = box(2).quantile(random.random((rows, 2)))
    maps = theta[:, :1, None, None] * random.standard_normal((rows, 1, 8, 8))
    vector = theta + 0.1 * random.standard_normal((rows, 2))
    return in_memory_catalog(
        theta, box(2), Observable("data/p", "vector", vector), Observable("data/m", "map", maps, periodic)
    )


def far_away(row: int) -> Catalog:
    """One row of the catalog is like nothing that was ever simulated."""
    sims = linear_gaussian(1)
    values = sims.observables[0].values.copy()
    values[row] = 200.0
    return in_memory_catalog(sims.theta, sims.parameters, replace(sims.observables[0], values=values), name="far.h5")


def train(network, loss, rows, validation, *settings, **options) -> History:
    """``training.train`` on rows in memory."""
    return loop.train(network, loss, InMemoryLoader(rows), InMemoryLoader(validation), *settings, **options)


def validation_loss(network, loss, rows, members: int) -> torch.Tensor:
    """``training.evaluate`` of rows in memory."""
    return loop.evaluate(network, loss, InMemoryLoader(rows), members)
