"""Several observations of one universe: products of posteriors against closed forms, and flows that learn from sets."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy import stats

from cosmoinfer.catalog import Catalog, Observable, ReadOptions, observation_sets
from cosmoinfer.errors import UserError
from cosmoinfer.models.flow import FlowModel, fit_flow, flow_recipe, product_posterior
from cosmoinfer.networks.embedding import SetEmbedding, build_embedding
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.fit import fit_preprocessing
from cosmoinfer.sampling.options import SamplingOptions
from cosmoinfer.sampling.product import Product, SinglePosterior, _flattened_weights, multiply, piles_up_at_edge
from cosmoinfer.sampling.rejection import NoPrediction
from cosmoinfer.split import by_hash
from cosmoinfer.tasks.draw_warnings import warn_of_product
from cosmoinfer.tasks.reporter import Reporter
from cosmoinfer.training.streams import generators
from tests.command_line import call, done, linear, refused, write
from tests.examples import NORMAL as PROBLEM
from tests.examples import in_memory_catalog, split_of, training_context, with_maps
from tests.posteriors import make

SLOPE = np.array([[1.0, 0.3], [-0.4, 0.8], [0.5, 0.5]])  # x = SLOPE theta + noise of unit variance, theta ~ N(0, 1)
PRIOR = Parameters.from_names(("a", "b"), prior=["normal", "normal"], mean=[0, 0], std=[1, 1])


def looks(count: int, seed: int, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """theta (2,) from the prior and x (count, 3)."""
    random = np.random.default_rng(seed)
    theta = random.standard_normal(2)
    return theta, theta @ SLOPE.T + noise * random.standard_normal((count, 3))


def posterior(x: np.ndarray, noise: float = 1.0) -> stats._multivariate.multivariate_normal_frozen:
    """Of theta from all rows of x together."""
    precision = np.eye(2) + len(x) * SLOPE.T @ SLOPE / noise**2
    covariance = np.linalg.inv(precision)
    return stats.multivariate_normal(covariance @ SLOPE.T @ x.sum(axis=0) / noise**2, covariance)


def single(x: np.ndarray, seed: int, noise: float = 1.0) -> SinglePosterior:
    exact = posterior(x[None], noise)
    return SinglePosterior(exact.rvs(1000, random_state=seed), lambda theta: np.atleast_1d(exact.logpdf(theta)))


def product(
    x: np.ndarray, noise: float = 1.0, draws: int = 2000, at: np.ndarray | None = None, seed: int = 0
) -> Product:
    singles = [single(row, number, noise) for number, row in enumerate(x)]
    points = np.zeros((1, 2)) if at is None else at
    return multiply(singles, PRIOR, draws, np.random.default_rng(seed), points)


@pytest.mark.parametrize("noise", [1.0, 0.1])
@pytest.mark.parametrize("count", [1, 2, 5, 15, 60])
def test_a_product_of_normal_posteriors_is_the_posterior_of_all(count, noise):
    theta, x = looks(count, count, noise)
    combined, exact = product(x, noise, at=theta[None]), posterior(x, noise)
    width = np.sqrt(np.diag(exact.cov))
    assert combined.ess > 2000
    assert (np.abs(combined.mean - exact.mean) < 4 * width / np.sqrt(combined.ess)).all()
    assert (np.abs(combined.std / width - 1) < 4 / np.sqrt(2 * combined.ess)).all()
    error = 5 * combined.log_norm_error + 1e-6
    np.testing.assert_allclose(combined.log_prob, exact.logpdf(combined.samples), atol=error)
    np.testing.assert_allclose(combined.log_prob_at, exact.logpdf(theta), atol=error)
    distance = ((combined.samples - exact.mean) @ np.linalg.inv(exact.cov) * (combined.samples - exact.mean)).sum(
        axis=1
    )
    assert stats.kstest(distance, stats.chi2(2).cdf).statistic < 2 / np.sqrt(min(combined.ess, 2000))


def test_a_product_in_a_box_with_a_log_uniform_parameter():
    """Gaussian looks at a and log b, near the edges of the box: against a grid."""
    box = Parameters.from_names(("a", "b"), [0, 0.25], [1, 4], ["uniform", "log-uniform"])
    centres, width = np.array([[0.05, -0.9], [0.2, -1.2], [-0.1, -1.3]]), np.array([0.3, 0.4])
    steps = np.stack(np.meshgrid(np.linspace(0, 1, 401), np.linspace(*np.log([0.25, 4]), 401), indexing="ij"), axis=-1)
    cell = np.prod(steps[1, 1] - steps[0, 0])

    def log_likelihood(look, theta):  # of (..., 2), b by its logarithm
        return -0.5 * (((theta - centres[look]) / width) ** 2).sum(axis=-1)

    def single_look(look: int) -> SinglePosterior:
        density = np.exp(log_likelihood(look, steps)).ravel()
        chosen = np.random.default_rng(look).choice(len(density), 1000, p=density / density.sum())
        norm = np.log((density * cell).sum())
        points = steps.reshape(-1, 2)[chosen]

        def log_prob(theta):
            inside = box.inside(theta)
            logged = np.stack([theta[..., 0], np.log(np.maximum(theta[..., 1], 1e-9))], axis=-1)
            return np.where(inside, log_likelihood(look, logged) - logged[..., 1] - norm, -np.inf)

        return SinglePosterior(np.stack([points[:, 0], np.exp(points[:, 1])], axis=-1), log_prob)

    at = np.array([[0.1, 0.4], [0.5, 3.0], [1.1, 0.5]])
    combined = multiply([single_look(look) for look in range(3)], box, 2000, np.random.default_rng(0), at)
    together = sum(log_likelihood(look, steps) for look in range(3))
    density = np.exp(together) / (np.exp(together) * cell).sum()
    mean = (density[..., None] * np.stack([steps[..., 0], np.exp(steps[..., 1])], axis=-1) * cell).sum(axis=(0, 1))
    assert (np.abs(combined.mean - mean) < 0.005).all() and combined.ess > 1000
    logged = np.stack([at[:2, 0], np.log(at[:2, 1])], axis=-1)
    right = (
        sum(log_likelihood(look, logged) for look in range(3)) - np.log((np.exp(together) * cell).sum()) - logged[:, 1]
    )
    np.testing.assert_allclose(combined.log_prob_at[:2], right, atol=0.03 + 5 * combined.log_norm_error)
    assert combined.log_prob_at[2] == -np.inf and box.inside(combined.samples).all()


def test_two_modes_that_all_rows_share_are_both_kept():
    """q_j = half at +1, half at -1, of a wide normal prior: the single posteriors are the defence."""
    modes = stats.norm([[-1.0], [1.0]], 0.15)

    def log_prob(theta):
        return np.logaddexp(*modes.logpdf(theta[:, 0])) - np.log(2)

    draws = stats.norm.rvs(np.repeat([-1.0, 1.0], 500), 0.15, random_state=0)[:, None]
    prior = Parameters.from_names(("a",), prior=["normal"], mean=[0], std=[1])
    combined = multiply([SinglePosterior(draws, log_prob)] * 3, prior, 2000, np.random.default_rng(0), draws[:1])
    assert combined.ess > 1000
    assert np.mean(combined.samples > 0) == pytest.approx(0.5, abs=0.05)


def test_what_a_flow_squeezes_onto_an_edge_does_not_grow_with_the_rows():
    """One in a thousand draws from a density that diverges at the edge: alone harmless, its eighth power improper."""
    box, random = Parameters.from_names(("a",), [0], [1]), np.random.default_rng(0)
    width, centres = 0.1, random.normal(0.5, 0.1, 8)
    squeezed = stats.beta(0.3, 1)

    def single_of(centre: float) -> SinglePosterior:
        exact = stats.norm(centre, width)

        def log_prob(theta: np.ndarray) -> np.ndarray:
            return np.log(0.999 * exact.pdf(theta[:, 0]) + 0.001 * squeezed.pdf(theta[:, 0]))

        draws = np.where(
            random.random(1000) < 0.999, exact.rvs(1000, random_state=random), squeezed.rvs(1000, random_state=random)
        )
        return SinglePosterior(draws.clip(0, 1)[:, None], log_prob)

    combined = multiply([single_of(middle) for middle in centres], box, 1000, random, np.array([[0.5], [1e-9]]))
    assert combined.mean[0] == pytest.approx(centres.mean(), abs=0.005)
    assert combined.std[0] == pytest.approx(width / np.sqrt(8), rel=0.05)
    assert combined.log_prob_at[0] == pytest.approx(
        stats.norm(centres.mean(), width / np.sqrt(8)).logpdf(0.5), abs=0.05
    )
    assert combined.log_prob_at[1] < -20 and combined.ess > 1000


def test_products_that_pile_up_at_a_prior_edge_are_warned_about():
    box = Parameters.from_names(
        ("a", "b", "c"), [0, 1, -9], [1, 9, 9], ["uniform", "log-uniform", "normal"], [0] * 3, [1] * 3
    )
    samples = np.random.default_rng(0).uniform([0, 1, 0], [1, 9, 1], (4, 1000, 3))
    samples[3, :150, 2] = -4
    samples[1, :150, 1] = 9 - 1e-6
    samples[2, :50, 0] = 1e-6
    rows = np.arange(4)
    flags = piles_up_at_edge(make(box, rows, rows.astype(str), rows, samples=samples))
    assert flags.tolist() == [False, True, False, True]


def test_agreement_is_a_chance():
    """Of exact single posteriors: uniform over universes where each row says much, else an upper bound."""
    p_values = {
        noise: [product(looks(8, seed, noise)[1], noise, 10).consistency_p_value for seed in range(60)]
        for noise in (0.1, 1.0)
    }
    assert stats.kstest(p_values[0.1], "uniform").pvalue > 0.01
    for chances in p_values.values():
        assert np.mean(np.array(chances) < 0.1) < 0.1 + 3 * np.sqrt(0.09 / 60)
    assert product(looks(1, 0)[1], draws=10).consistency_p_value == 1


def test_agreement_of_wide_posteriors_in_a_box():
    """Rows of which each says next to nothing, and the edges much, are no false alarm."""
    box = Parameters.from_names(("a", "b"), [0, 0], [1, 1])
    random, p_values = np.random.default_rng(0), []
    for _ in range(30):
        ends = [
            [((edge - x) / 1.0) for edge in (0, 1)] + [x, 1.0] for x in random.random(2) + random.normal(size=(6, 2))
        ]
        p_values.append(
            multiply(
                [truncated(*edges, random) for edges in ends], box, 10, random, np.zeros((0, 2))
            ).consistency_p_value
        )
    assert min(p_values) > 1e-3


def truncated(
    low: np.ndarray, high: np.ndarray, mean: np.ndarray, width: float, random: np.random.Generator
) -> SinglePosterior:
    exact = stats.truncnorm(low, high, mean, width)
    return SinglePosterior(exact.rvs((1000, 2), random_state=random), lambda theta: exact.logpdf(theta).sum(axis=-1))


def test_rows_of_different_universes_do_not_agree():
    apart = looks(8, 0)[1] + 4 * np.sign(np.arange(8) - 3.5)[:, None]
    assert product(apart, draws=10).consistency_p_value < 1e-6


def test_single_posteriors_that_are_too_narrow_do_not_agree():
    def narrow(x, number):
        exact = posterior(x[None])
        narrowed = stats.multivariate_normal(exact.mean, exact.cov / 9)
        return SinglePosterior(
            narrowed.rvs(1000, random_state=number), lambda theta: np.atleast_1d(narrowed.logpdf(theta))
        )

    _, x = looks(10, 3)
    singles = [narrow(row, number) for number, row in enumerate(x)]
    assert multiply(singles, PRIOR, 10, np.random.default_rng(0), np.zeros((0, 2))).consistency_p_value < 1e-3


# -------------------------------------------------------------------------------------------------- which rows
def rows_of(*ids: str, theta: np.ndarray | None = None) -> Catalog:
    count = len(ids)
    sims = in_memory_catalog(
        theta, Parameters.from_names(("a",)) if theta is not None else None, Observable("data", "vector", np.eye(count))
    )
    return replace(sims, simulation=np.array(ids))


def test_rows_of_one_simulation_stand_together():
    sims = rows_of("c", "a", "c", "b", "a", "c")
    assert [rows.tolist() for rows in observation_sets.group_by_simulation(sims, np.arange(6))] == [
        [0, 2, 5],
        [1, 4],
        [3],
    ]
    assert [rows.tolist() for rows in observation_sets.group_by_simulation(sims, np.array([4, 5, 2]))] == [[4], [5, 2]]
    assert observation_sets.representatives(sims, np.array([4, 5, 2, 3])).tolist() == [1, 0, 3]
    assert observation_sets.simulation_rows(sims, np.array([2, 0]), 3).tolist() == [[0, 2, 5], [0, 2, 5]]
    with pytest.raises(UserError, match=r"simulation b has 1 rows .row 3.; the flow takes sets of 3"):
        observation_sets.simulation_rows(sims, np.array([0, 3]), 3)


def test_every_simulation_has_as_many_rows():
    assert observation_sets.rows_per_simulation(rows_of("b", "a", "b", "a")) == 2
    with pytest.raises(UserError, match=r"found 1 to 2 .simulation a has 1"):
        observation_sets.rows_per_simulation(rows_of("b", "a", "b"))
    with pytest.raises(UserError, match="no two rows share a simulation"):
        observation_sets.rows_per_simulation(rows_of("b", "a"))
    with pytest.raises(UserError, match=r"rows of simulation a have different parameters .row 1, 3"):
        observation_sets.rows_per_simulation(rows_of("b", "a", "b", "a", theta=np.array([[1.0], [1.0], [1.0], [2.0]])))


# ------------------------------------------------------------------------------------------------------- sets
@pytest.mark.parametrize(("network", "shape"), [("mlp", (6,)), ("cnn", (2, 8, 8)), ("none", (3, 4))])
def test_posterior_of_a_set_does_not_depend_on_the_order_of_its_rows(network, shape):
    """Nor on the other sets of the batch; and it is the mean of what its rows say."""
    members, rows, size = 3, 4, 5
    row_embedding = build_embedding([(network, {})], [shape], 7, generators(0, "test", members)).double().eval()
    x = torch.randn(rows, size, *shape, dtype=torch.float64)
    batch = torch.stack([x] * members)
    embedded = SetEmbedding(row_embedding)(batch)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(SetEmbedding(row_embedding)(batch[:, :, order]), embedded, rtol=1e-12, atol=1e-13)
    mean_of_rows = torch.stack([row_embedding(torch.stack([x[:, row]] * members)) for row in range(size)]).mean(0)
    torch.testing.assert_close(embedded, mean_of_rows, rtol=1e-12, atol=1e-13)
    assert SetEmbedding(row_embedding).size == embedded.shape[-1]


def universes(count: int, size: int, seed: int) -> Catalog:
    """``size`` looks at each of ``count`` thetas, of the problem whose posterior is known."""
    random = np.random.default_rng(seed)
    theta = np.repeat(random.standard_normal((count, 2)), size, axis=0)
    x = theta @ PROBLEM.slope.T + random.multivariate_normal(np.zeros(3), PROBLEM.covariance, len(theta))
    sims = in_memory_catalog(theta, PROBLEM.parameters, Observable("data", "vector", x))
    return replace(sims, simulation=np.repeat(np.arange(count), size).astype(str))


def exact(sims: Catalog, size: int) -> np.ndarray:
    """log p(theta | all rows of a simulation), (G,)."""
    x, theta = sims.observables[0].values.reshape(-1, size, 3), sims.theta[::size]
    gain = np.linalg.solve(PROBLEM.covariance, PROBLEM.slope)
    covariance = np.linalg.inv(np.eye(2) + size * PROBLEM.slope.T @ gain)
    return stats.multivariate_normal(cov=covariance).logpdf(theta - x.sum(axis=1) @ gain @ covariance)


def trained(sims: Catalog, **settings) -> FlowModel:
    frame = fit_preprocessing(sims, by_hash(sims.simulation), ReadOptions(), "auto")
    quick = {"flow": "maf", "ensemble": 1, "support": "probit", "hidden": 24, "layers": 2, "batch_size": 25}
    shapes = [observable.row_shape for observable in sims.observables]
    recipe = flow_recipe(quick | {"learning_rate": 5e-3} | settings, len(sims), shapes)
    return fit_flow(sims, split_of(sims), frame, recipe, training_context())


SET = {"observation": "simulation", "embedding_hidden": 32, "embedding_layers": 1}


def test_a_flow_of_sets_learns_what_all_rows_say():
    size = 5
    model = trained(universes(400, size, 0), epochs=45, **SET)
    test = universes(400, size, 1)
    heads = model.representatives(test, np.arange(len(test)))
    assert heads.tolist() == list(range(0, len(test), size)) and model.set_size == size
    right, ours = exact(test, size), model.log_prob_of_rows(test, heads, test.theta[heads], 100, 0)
    alone = exact(test.select(heads), 1)  # the exact posterior of one row of each
    assert right.mean() - alone.mean() > 1
    assert ours.mean() - alone.mean() > 0.75 * (right.mean() - alone.mean())
    shuffled = test.select(np.random.default_rng(0).permutation(len(test)))
    shuffled_heads = model.representatives(shuffled, np.arange(len(test)))
    log_prob_by_id = dict(
        zip(
            shuffled.simulation[shuffled_heads],
            model.log_prob_of_rows(shuffled, shuffled_heads, shuffled.theta[shuffled_heads], 100, 0),
            strict=True,
        )
    )
    np.testing.assert_allclose(
        [log_prob_by_id[simulation_id] for simulation_id in test.simulation[heads]], ours, atol=1e-4
    )


def test_a_product_of_flows_is_nearer_the_truth_than_one_row():
    size = 5
    model = trained(universes(200, size, 0), epochs=20, learning_rate=2e-3, hidden=16, batch_size=50)
    test = universes(25, size, 1)
    combined = product_posterior(model, test, np.arange(len(test)), SamplingOptions(100))
    assert combined.index.tolist() == list(range(0, len(test), size)) and (combined.diagnostics.ess > 1000).all()
    assert (combined.diagnostics.consistency_p_value > 1e-3).all()
    right, alone = exact(test, size).mean(), exact(test.select(np.arange(0, len(test), size)), 1).mean()
    assert combined.log_prob_truth.mean() - alone > 0.6 * (right - alone)
    three_sets = product_posterior(model, test, np.arange(3 * size), SamplingOptions(100))
    np.testing.assert_array_equal(three_sets.samples, combined.samples[:3])
    two_sets = product_posterior(model, test, np.array([0, 1, 5]), SamplingOptions(100))
    assert two_sets.index.tolist() == [0, 5]


def test_maps_and_vectors_of_a_set_are_moved_and_averaged():
    """Each map of a set is turned by itself while a flow trains; a vector and a map of a row stay together."""
    sims = replace(with_maps(True), simulation=np.repeat(np.arange(20), 3).astype(str))
    sims = replace(sims, theta=np.repeat(sims.theta[::3], 3, axis=0))
    model = trained(sims, epochs=2, observation="simulation")
    assert model.stacks[0].config["shapes"] == [[3, 2], [3, 1, 8, 8]]
    rows = np.flatnonzero(sims.simulation == "4")
    drawn = model.posterior(sims, rows[:1], SamplingOptions(20))
    assert np.isfinite(drawn.log_prob).all() and drawn.index.tolist() == [12]


# ------------------------------------------------------------------------------------------------ the command line
@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three looks at each of 60 universes, and flows of few epochs: of rows and of sets."""
    path = tmp_path_factory.mktemp("combine")
    theta, _ = linear(60, 1)
    _, x = linear(180, 2)
    random = np.random.default_rng(3)
    theta = np.repeat(theta, 3, axis=0)
    x = (theta - [0.3, 0.8]) @ random.normal(size=(2, 8)) * 5 + random.normal(size=(180, 8))
    sims = write(path / "sims.h5", theta, x, simulation=np.repeat(np.arange(100, 160), 3))
    write(path / "observed.h5", None, x[:3])
    quick = ["--epochs", "3", "--ensemble", "1", "--flow", "maf", "--support", "probit", "--threads", "1"]
    done("train-flow", sims, "-o", path / "rows.h5", *quick)
    assert "sets of rows" in done("train-flow", sims, "-o", path / "sets.h5", "--observation", "simulation", *quick)
    return path


def simulations(path: Path) -> list[str]:
    with h5py.File(path) as file:
        return [str(int(simulation_id)) for simulation_id in file["simulation"].asstr()[()]]


def test_one_posterior_a_simulation(folder: Path):
    """By the product and by the set, of the same simulations; both are evaluated."""
    common = ["--draws", "50", "--threads", "1"]
    status, _, err = call(
        "sample", folder / "rows.h5", folder / "sims.h5", "-o", folder / "product.h5", "--combine", "product", *common
    )
    assert status == 0 and "product of its rows" in err
    done("sample", folder / "sets.h5", folder / "sims.h5", "-o", folder / "set.h5", *common)
    for name in ("product", "set"):
        with h5py.File(folder / f"{name}.h5") as made:
            assert len(made["index"]) == len(set(simulations(folder / f"{name}.h5"))) > 3
            assert (made["index"][()] % 3 == 0).all() and made["samples"].shape[1:] == (50, 2)
            samples = made["samples"][()]
            assert ((samples >= [0.1, 0.6]) & (samples <= [0.5, 1.0])).all()
            assert np.isfinite(made["log_prob_truth"][()]).all()
            assert ("ess" in made) == ("consistency_p_value" in made) == (name == "product")
            assert (made["n_observations"][()] == 3).all()
        document = json.loads(done("evaluate", folder / f"{name}.h5", "--json"))
        assert document["rows"] == document["simulations"]
    assert simulations(folder / "product.h5") == simulations(folder / "set.h5")
    one_by_one = folder / "alone.h5"
    done("sample", folder / "rows.h5", folder / "sims.h5", "-o", one_by_one, *common)
    beside = ("evaluate", folder / "product.h5", "-o", folder / "beside.h5", "--compare-to")
    assert "it combines 1 observations, and this posterior 3" in refused(*beside, one_by_one)
    done(*beside, folder / "set.h5")


def test_an_observed_set(folder: Path):
    """Three rows in a file without ids; named by any of them, they are the same set."""
    which = ["--rows-per-simulation", "3", "--draws", "20", "--threads", "1"]
    observed = folder / "observed.h5"
    done("sample", folder / "sets.h5", observed, "-o", folder / "o.h5", "--split", "all", *which)
    done("sample", folder / "sets.h5", observed, "-o", folder / "p.h5", "--rows", "2", *which)
    with h5py.File(folder / "o.h5") as drawn, h5py.File(folder / "p.h5") as expected:
        assert drawn["index"][()].tolist() == [0]
        np.testing.assert_array_equal(drawn["samples"][()], expected["samples"][()])
    done("evaluate", folder / "sets.h5", folder / "sims.h5", "--draws", "20", "--threads", "1")
    done("inspect", folder / "sets.h5")


def test_a_product_of_observations_without_parameters(folder: Path):
    """What the option is for; a MAF has no network call of no points."""
    which = ["--rows-per-simulation", "3", "--draws", "20", "--threads", "1", "--combine", "product", "--json"]
    document = json.loads(done("sample", folder / "rows.h5", folder / "observed.h5", "-o", folder / "q.h5", *which))
    assert (
        document["rows"] == 1 and document["ess"]["lowest"] > 0 and 0 <= document["consistency_p_value"]["lowest"] <= 1
    )
    with h5py.File(folder / "q.h5") as file:
        assert file["samples"].shape == (1, 20, 2) and "log_prob_truth" not in file


def test_what_cannot_be_combined(folder: Path, tmp_path: Path):
    sims, rows, of_sets = folder / "sims.h5", folder / "rows.h5", folder / "sets.h5"
    out = ["-o", tmp_path / "x.h5"]
    assert "there is product" in refused("sample", rows, sims, "--combine", "sum", *out)
    assert "on all rows of a simulation at once" in refused("sample", of_sets, sims, "--combine", "product", *out)
    assert "no two of these rows" in refused("sample", rows, sims, "--combine", "product", "--rows", "0,3", *out)
    assert "takes sets of 3" in refused("sample", of_sets, folder / "observed.h5", "--split", "all", *out)
    assert "--observation: 'bag' is not known" in refused("train-flow", sims, "--observation", "bag", *out)
    alone = write(tmp_path / "alone.h5", *linear(60, 1))
    assert "no two rows share" in refused("train-flow", alone, "--observation", "simulation", *out)
    uneven = write(tmp_path / "uneven.h5", *linear(60, 1), simulation=np.minimum(np.arange(60) // 2, 28))
    assert "found 2 to 4" in refused("train-flow", uneven, "--observation", "simulation", *out)
    mixed = write(tmp_path / "mixed.h5", *linear(60, 1), simulation=np.arange(60) // 2)
    assert "different parameters" in refused("train-flow", mixed, "--observation", "simulation", *out)


@pytest.mark.parametrize("content", ["draws", "log_prob"])
def test_a_product_with_a_posterior_that_is_not_finite_is_refused(content):
    first, second = (single(row, number) for number, row in enumerate(looks(2, 1)[1]))
    values = second.draws * np.nan if content == "draws" else lambda theta: first.log_prob(theta) * np.nan
    with pytest.raises(NoPrediction, match="the draws of the posterior are not finite"):
        multiply([first, replace(second, **{content: values})], PRIOR, 100, np.random.default_rng(0), np.zeros((1, 2)))


# ------------------------------------------------------------------------------------------------------------ warnings
@pytest.mark.parametrize("spread", [0.1, 100.0, 1e30])
def test_weights_are_flattened_until_enough_points_count(spread):
    log_weights = np.append(-spread * np.arange(200.0), -np.inf)
    weights = _flattened_weights(log_weights, 50)
    assert weights.sum() ** 2 / (weights**2).sum() >= 50
    assert (np.diff(weights) <= 0).all()


@pytest.mark.parametrize(
    ("ess", "p_value", "at_edge", "warnings"),
    [
        (5000.0, 0.5, False, []),
        (50.0, 0.5, False, ["1 of 2 products are worth less than 100 draws (row 7)"]),
        (5000.0, 1e-6, False, ["in 1 of 2 simulations (row 7) the single posteriors are mutually inconsistent"]),
        (5000.0, 0.5, True, ["1 of 2 products pile up at an end of the prior (row 7)"]),
    ],
)
def test_products_that_are_doubtful_are_warned_of(ess, p_value, at_edge, warnings):
    parameters = Parameters.from_names(("a",), [0.0], [1.0])
    samples = np.random.default_rng(0).uniform(0.2, 0.8, (2, 500, 1))
    if at_edge:
        samples[1] = 1 - 1e-6 * samples[1]
    index = np.array([4, 7])
    products = make(
        parameters,
        index,
        index.astype(str),
        np.full(2, 2, np.uint8),
        samples=samples,
        log_prob=np.zeros((2, 500)),
        ess=np.array([5000.0, ess]),
        consistency_p_value=np.array([0.5, p_value]),
    )
    told = []
    warn_of_product(products, Reporter(warn=told.append))
    assert [line[: len(start)] for line, start in zip(told, warnings, strict=True)] == warnings
