"""Densities of the data: normalised, near the exact one, drawn from, and odd where rows are odd on either side."""

from copy import deepcopy
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from scipy import stats

from cosmoinfer import models, storage
from cosmoinfer.catalog import Catalog, Observable, ReadOptions
from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS, MAP_FLOWS
from cosmoinfer.models import DensityModel
from cosmoinfer.models import model as models_model
from cosmoinfer.models.density import density_recipe, fit_density, scores
from cosmoinfer.models.density import model as model_module
from cosmoinfer.models.file import pack, unpack
from cosmoinfer.ood.typicality import fit_typicality
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.fit import fit_preprocessing
from cosmoinfer.preprocessing.null_modes import NullModeNoise, fit_null_mode_noise
from cosmoinfer.split import by_hash
from tests.examples import NORMAL, in_memory_catalog, split_of, training_context

SMALL = {"layers": 2, "hidden": 16, "epochs": 15, "batch_size": 100, "learning_rate": 3e-3}
every_flow = pytest.mark.parametrize("flow", FLOWS)
every_map_flow = pytest.mark.parametrize("flow", MAP_FLOWS)


def train(sims: Catalog, conditional: bool = True, messages: list[str] | None = None, **settings) -> DensityModel:
    recipe = density_recipe(
        SMALL | settings, 1000, tuple(observable.kind for observable in sims.observables), conditional
    )
    frame = fit_preprocessing(sims, by_hash(sims.simulation), ReadOptions(), recipe.transform)
    return fit_density(sims, split_of(sims), frame, recipe, training_context(0, messages))


def log_prob(model: DensityModel, sims: Catalog, rows=None) -> np.ndarray:
    return model.log_prob_of_rows(sims, np.arange(len(sims)) if rows is None else np.asarray(rows), lambda *_: None)


def unit_box() -> Parameters:
    return Parameters.from_names(("a",), [0.0], [1.0])


@lru_cache
def normal_density(conditional: bool, flow: str = "maf", members: int = 2) -> DensityModel:
    return train(NORMAL.simulate(2500, 0), conditional, flow=flow, ensemble=members)


@lru_cache
def white_maps(rows: int, seed: int = 0, amplitude: float = 1.0, mean: bool = False) -> Catalog:
    """Gaussian pixels of unit variance; without their mean, unless that is wanted."""
    random = np.random.default_rng(seed)
    theta = random.uniform(0, 1, (rows, 1))
    maps = amplitude * random.standard_normal((rows, 1, 8, 8))
    maps = maps if mean else maps - maps.mean(axis=(2, 3), keepdims=True)
    return in_memory_catalog(theta, unit_box(), Observable("data", "map", maps, periodic=True))


@lru_cache
def map_density(flow: str = "glow") -> DensityModel:
    return train(white_maps(300), conditional=False, flow=flow, epochs=2, batch_size=50, hidden=8, learning_rate=1e-3)


# --------------------------------------------------------------------------------------------------- against the exact
@pytest.mark.parametrize("conditional", [True, False])
def test_the_density_of_a_linear_gaussian_is_near_the_exact_one(conditional):
    """Mean log ratio on new rows: the Kullback-Leibler divergence."""
    judged = NORMAL.simulate(1000, 1)
    x, theta = judged.observables[0].values, judged.theta if conditional else None
    exact = NORMAL.log_prob(x, theta)
    learned = log_prob(normal_density(conditional), judged)
    assert (exact - learned).mean() < 0.03
    assert np.corrcoef(exact, learned)[0, 1] > 0.98
    wrong_density = NORMAL.log_prob(x, None if conditional else judged.theta)
    error, other_error = np.abs(learned - exact).mean(), np.abs(learned - wrong_density).mean()
    assert error < 0.3 * other_error  # the condition is heard, or is not there


def test_what_is_generated_has_the_mean_and_the_covariance_of_its_parameters():
    model, theta = normal_density(True), np.array([0.8, -1.1])
    drawn = model.generate(theta, 4000, 0)
    assert drawn.shape == (4000, 3)
    np.testing.assert_allclose(drawn.mean(axis=0), NORMAL.slope @ theta, atol=0.12)
    np.testing.assert_allclose(np.cov(drawn.T), NORMAL.covariance, atol=0.08)
    np.testing.assert_array_equal(model.generate(theta, 50, 0), model.generate(theta, 50, 0))
    assert (model.generate(theta, 50, 1) != model.generate(theta, 50, 0)).all()
    anywhere = normal_density(False).generate(None, 4000, 0)
    np.testing.assert_allclose(
        np.cov(anywhere.T), NORMAL.covariance + NORMAL.slope @ NORMAL.slope.T, rtol=0.1, atol=0.1
    )


def skewed(rows: int, size: int, seed: int = 0) -> Catalog:
    """Log-normal numbers, over four decades: taken to log10."""
    random = np.random.default_rng(seed)
    theta = random.uniform(0, 1, (rows, 1))
    x = 10 ** (theta + 0.7 * random.standard_normal((rows, size)))
    return in_memory_catalog(theta, unit_box(), Observable("data", "vector", x))


@every_flow
@pytest.mark.parametrize("size", [1, 2])
def test_the_density_in_catalog_units_integrates_to_one(flow, size):
    """Of data that were taken to log10, at two values of the condition; cells are equal in the logarithm."""
    sims = skewed(400, size)
    model = train(sims, flow=flow, epochs=2, ensemble=2, layers=2 if size > 1 else 1)
    assert model.preprocessing.inputs[0].standardizer.log.all()
    edges = np.logspace(-5, 7, {1: 2001, 2: 161}[size])
    middles = np.sqrt(edges[1:] * edges[:-1])
    sides = middles * np.log(edges[1] / edges[0])
    x = np.stack(np.meshgrid(*[middles] * size, indexing="ij"), axis=-1).reshape(-1, size)
    volumes = np.stack(np.meshgrid(*[sides] * size, indexing="ij"), axis=-1).reshape(x.shape).prod(axis=1)
    for value in (0.1, 0.8):
        grid = in_memory_catalog(np.full((len(x), 1), value), sims.parameters, Observable("data", "vector", x))
        assert (np.exp(log_prob(model, grid)) * volumes).sum() == pytest.approx(1, abs=0.002)


def test_density_falls_below_the_training_range():
    """A floor under the logarithm would make what is far too small as likely as the smallest that was seen."""
    sims = skewed(400, 1)
    model = train(sims, flow="maf", epochs=3, layers=1)
    values = sims.observables[0].values
    less = values.min() * np.array([[1.0], [1e-1], [1e-2], [1e-3]])
    judged = in_memory_catalog(np.full((4, 1), 0.5), sims.parameters, Observable("data", "vector", less))
    density = log_prob(model, judged) + np.log(less[:, 0])  # of the logarithm
    assert (np.diff(density) < -1).all()
    assert scores.score_rows(model, judged, np.arange(4), lambda *_: None).z_score[-1] < -5


def test_a_density_requires_data_without_missing_values():
    sims = NORMAL.simulate(200, 0)
    values = sims.observables[0].values.copy()
    values[::3, 0] = np.nan
    with pytest.raises(UserError, match="missing=mask: a density is of whole rows"):
        train(replace(sims, observables=(Observable("data", "vector", values, masked=True),)))


def test_an_unknown_condition_is_refused():
    observed = in_memory_catalog(None, None, NORMAL.simulate(5, 1).observables[0], name="observed.h5")
    with pytest.raises(UserError, match=r"observed.h5: has no /parameters.*`unconditional`"):
        log_prob(normal_density(True), observed)
    assert np.isfinite(log_prob(normal_density(False), observed)).all()


def test_a_condition_outside_the_box_is_refused():
    """A parameter that is moved to the edge would be another condition."""
    sims = skewed(200, 1)
    model = train(sims, flow="maf", epochs=1, layers=1)
    beyond = sims.theta.copy()
    beyond[[3, 8]] = 1.2
    with pytest.raises(UserError, match=r"wide.h5: 2 rows have parameters outside the box"):
        log_prob(
            model,
            in_memory_catalog(beyond, Parameters.from_names(("a",), [0.0], [2.0]), *sims.observables, name="wide.h5"),
        )


def test_a_density_without_a_condition_asks_for_no_parameters(tmp_path):
    """Neither in training nor in judging, and whatever they are called."""
    sims = NORMAL.simulate(300, 0)
    bare = in_memory_catalog(None, None, *sims.observables)
    made = [train(catalog, conditional=False, flow="maf", epochs=1) for catalog in (bare, sims)]
    models.write(tmp_path / "density.h5", made[0], {})
    again = models.read(tmp_path / "density.h5")
    renamed = in_memory_catalog(sims.theta, Parameters.from_names(("c", "d")), *sims.observables)
    for model in (*made, again):
        for judged in (bare, sims, renamed):
            model.preprocessing.check_catalog(judged)
            np.testing.assert_array_equal(
                log_prob(model, judged, np.arange(20)), log_prob(made[0], bare, np.arange(20))
            )
    assert model.generate(None, 3, 0).shape == (3, 3)
    with pytest.raises(UserError, match="has no /parameters"):
        train(bare, conditional=True)


# ------------------------------------------------------------------------------------------------------ rows and chunks
@pytest.mark.parametrize("which", ["vectors", "maps"])
def test_chunks_do_not_matter(which, monkeypatch):
    model, sims = (
        (normal_density(True), NORMAL.simulate(50, 1)) if which == "vectors" else (map_density(), white_maps(50, 1))
    )
    expected = log_prob(model, sims)
    rows = np.array([31, 7, 44])
    np.testing.assert_allclose(log_prob(model, sims, rows), expected[rows], atol=2e-4)
    np.testing.assert_allclose(log_prob(model, sims.select(rows)), expected[rows], atol=2e-4)
    monkeypatch.setattr(model_module, "ROWS_PER_CHUNK", 7)
    np.testing.assert_allclose(log_prob(model, sims), expected, atol=2e-4)


def test_a_density_whose_weights_are_beyond_all_numbers_is_refused():
    model = normal_density(True)
    broken = replace(model, stacks=tuple(replace(stack, network=deepcopy(stack.network)) for stack in model.stacks))
    with torch.no_grad():
        next(parameter for parameter in broken.stacks[0].network.parameters()).fill_(torch.inf)
    with pytest.raises(UserError, match="the density is not defined at any of the 9 rows"):
        log_prob(broken, NORMAL.simulate(9, 1))
    with pytest.raises(UserError, match="the draws of the density are not finite"):
        broken.generate([0.5] * len(model.preprocessing.parameters), 5, 0)


@every_flow
def test_a_density_comes_back_from_its_file(flow, tmp_path):
    sims = skewed(200, 2)
    model = train(sims, flow=flow, epochs=1, ensemble=2)
    check_file(model, sims, [0.3], tmp_path)


@every_map_flow
def test_a_density_of_maps_comes_back_from_its_file(flow, tmp_path):
    check_file(map_density(flow), white_maps(20, 1), None, tmp_path)


def check_file(model: DensityModel, sims: Catalog, theta, folder) -> None:
    models.write(folder / "density.h5", model, {"seed": 0})
    again = models.read(folder / "density.h5")
    assert again.kind == "density"
    np.testing.assert_array_equal(log_prob(again, sims), log_prob(model, sims))
    np.testing.assert_array_equal(again.generate(theta, 9, 0), model.generate(theta, 9, 0))
    scores_of_file, expected = (
        scores.score_rows(density, sims, np.arange(10), lambda *_: None) for density in (again, model)
    )
    np.testing.assert_array_equal(scores_of_file.p_value, expected.p_value)
    models.write(folder / "again.h5", again, {"seed": 0})
    assert (folder / "again.h5").read_bytes() == (folder / "density.h5").read_bytes()
    scores.write(folder / "scores.h5", scores_of_file, {})
    read = scores.read(folder / "scores.h5")
    assert len(read) == 10 and read.simulation.tolist() == sims.simulation[:10].tolist()
    np.testing.assert_array_equal(read.z_score, scores_of_file.z_score)
    for name in ("percentile", "shape_percentile"):
        contents = storage.read_contents(folder / "scores.h5")
        del contents.arrays[name]
        storage.write(folder / "less.h5", contents, force=True)
        with pytest.raises(UserError, match=f"has no dataset /{name}, as every scores file has"):
            scores.read(folder / "less.h5")


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        sims = white_maps(60)
        models.write(tmp_path / name, train(sims, False, flow="glow", epochs=1, hidden=4), {})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


# -------------------------------------------------------------------------------------------------------------- jitter
def modes(maps: np.ndarray) -> np.ndarray:
    """Power of the unitary Fourier modes, (N, C, H, W)."""
    return np.abs(np.fft.fft2(maps, norm="ortho")) ** 2


@pytest.mark.parametrize("offset", [0.0, 1.0, 100.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_maps_of_one_mean_lack_one_mode(offset, dtype):
    maps = np.random.default_rng(0).standard_normal((400, 1, 8, 8))
    maps = (maps - maps.mean(axis=(2, 3), keepdims=True) + offset).astype(dtype).astype(float)
    jitter = fit_null_mode_noise(maps)
    assert (jitter.std > 0).sum() == 1 and jitter.std[0, 0, 0] > 0
    around = modes(maps - maps.mean(axis=0)).mean(axis=(0, 1))[[0, 0, 1, -1], [1, -1, 0, 0]].mean()
    assert jitter.std[0, 0, 0] ** 2 == pytest.approx(around, rel=1e-6)
    noise = jitter.draw(20_000, np.random.default_rng(1))
    assert np.ptp(noise, axis=(2, 3)).max() < 1e-12  # the same in all pixels
    assert 64 * noise[:, 0, 0, 0].var() == pytest.approx(around, rel=0.05)
    np.testing.assert_allclose(jitter.remove(maps + noise[:400]), maps, atol=1e-5 * (1 + offset))


def test_only_a_band_limited_channel_gets_null_mode_noise():
    random = np.random.default_rng(3)
    k = np.abs(np.fft.fftfreq(16, 1 / 16))
    keep = np.stack([(k[:, None] < 4.5) & (k < 4.5), np.ones((16, 16), bool)])
    maps = np.fft.ifft2(np.fft.fft2(random.standard_normal((300, 2, 16, 16))) * keep).real
    jitter = fit_null_mode_noise(maps)
    np.testing.assert_array_equal(jitter.std > 0, ~keep)
    np.testing.assert_allclose(jitter.std[~keep], 1, rtol=0.1)
    noisy = maps + jitter.draw(300, random)
    assert noisy.std() == pytest.approx(1, abs=0.03)
    np.testing.assert_allclose(jitter.remove(noisy), maps, atol=1e-12)
    deviates = np.sqrt(modes(noisy)[:, jitter.std > 0])
    expected = stats.norm.logpdf(deviates, scale=jitter.std[jitter.std > 0]).sum(axis=1)
    np.testing.assert_allclose(jitter.log_prob(noisy), expected)
    assert "of 512 modes of the data never vary" in jitter.description


def test_the_density_of_jitter_is_that_of_its_draws():
    """In pixels: a degenerate normal of the covariance that the draws have, on its own subspace."""
    maps = np.random.default_rng(4).standard_normal((200, 1, 4, 4))
    maps = np.fft.ifft2(np.fft.fft2(maps) * (np.abs(np.fft.fftfreq(4, 0.25)) < 1.5)).real
    jitter = fit_null_mode_noise(maps)
    drawn = jitter.draw(50_000, np.random.default_rng(5)).reshape(50_000, 16)
    variances, axes = np.linalg.eigh(np.cov(drawn.T))
    null = variances > 1e-6
    assert null.sum() == (jitter.std > 0).sum() == 4
    expected = stats.norm.logpdf(drawn @ axes[:, null], scale=np.sqrt(variances[null])).sum(axis=1)
    assert np.abs(jitter.log_prob(drawn.reshape(-1, 1, 4, 4)) - expected).mean() < 0.05


def test_fractions_that_sum_to_one_lack_a_direction():
    random = np.random.default_rng(5)
    fractions = random.dirichlet(np.ones(4), 500)
    vectors = np.concatenate([fractions, np.full((500, 1), 3.0)], axis=1)
    jitter = fit_null_mode_noise(vectors)
    assert (jitter.std > 0).sum() == 2
    noisy = vectors + jitter.draw(500, random)
    assert np.linalg.eigvalsh(np.cov(noisy.T)).min() > 1e-3
    np.testing.assert_allclose(jitter.remove(noisy), vectors, atol=1e-6)
    along = (noisy - vectors) @ jitter.basis[:, jitter.std > 0]
    scale = jitter.std[jitter.std > 0]
    np.testing.assert_allclose(jitter.log_prob(noisy - vectors), stats.norm.logpdf(along, scale=scale).sum(axis=1))


def test_nothing_is_added_where_everything_varies():
    random = np.random.default_rng(6)
    assert fit_null_mode_noise(random.standard_normal((100, 2, 8, 8))) is None
    assert fit_null_mode_noise(random.standard_normal((100, 5))) is None
    assert fit_null_mode_noise(random.standard_normal((100, 5)) * np.logspace(-2, 0, 5)) is None
    assert map_density().null_mode_noise is not None
    assert normal_density(True).null_mode_noise is None


def test_too_few_rows_do_not_tell_what_never_varies():
    """As many rows as numbers leave directions empty in which the data vary all the same."""
    with pytest.raises(UserError, match="a density of 20 numbers a row requires more than 20 training rows, found 20"):
        fit_null_mode_noise(np.random.default_rng(0).standard_normal((20, 20)))
    assert fit_null_mode_noise(np.random.default_rng(0).standard_normal((40, 20))) is None


def test_the_jitter_of_a_row_is_its_own():
    jitter = map_density().null_mode_noise
    noise = jitter.fixed(np.arange(8))
    np.testing.assert_array_equal(jitter.fixed(np.array([5, 2])), noise[[5, 2]])
    assert len(np.unique(noise[:, 0, 0, 0])) == 8
    again = unpack(NullModeNoise, pack(jitter))
    np.testing.assert_array_equal(again.fixed(np.arange(8)), noise)


def test_the_density_of_vectors_that_lack_directions_is_over_those_that_vary():
    """A sum rule and a constant, in units of their own: the degenerate normal's density, per unit of its plane."""
    plane = np.array([[1.0, 0.0], [3.0, 10.0], [-4.0, -10.0], [0.0, 0.0]])
    random = np.random.default_rng(0)

    def degenerate(rows: int) -> Catalog:
        x = random.standard_normal((rows, 2)) @ plane.T + [0, 50, 100, 7]
        return in_memory_catalog(None, None, Observable("data", "vector", x))

    model, judged = train(degenerate(1000), conditional=False, flow="maf", transform="none"), degenerate(300)
    exact = stats.multivariate_normal([0, 50, 100, 7], plane @ plane.T, allow_singular=True)
    away = exact.logpdf(judged.observables[0].values) - log_prob(model, judged)
    assert abs(away.mean()) < 0.06 and away.std() < 0.3
    drawn = model.generate(None, 500, 0)
    np.testing.assert_allclose(drawn.sum(axis=1), 157, atol=1e-4)
    np.testing.assert_allclose(drawn[:, 3], 7, atol=1e-6)


@every_map_flow
def test_maps_of_mean_zero_are_drawn_with_mean_zero(flow):
    """And their density is that of 63 numbers, which the exact one of white noise without its mean is."""
    messages: list[str] = []
    model = train(white_maps(300), False, messages, flow=flow, epochs=2, batch_size=50, hidden=8, learning_rate=1e-3)
    assert any("1 of 64 modes of the data never vary" in line for line in messages)
    drawn = model.generate(None, 50, 0)
    assert np.abs(drawn.mean(axis=(2, 3))).max() < 1e-6
    assert 0.7 < drawn.std() < 1.3
    judged = white_maps(100, 1)
    exact = stats.norm.logpdf(judged.observables[0].values).sum(axis=(1, 2, 3)) + 0.5 * np.log(2 * np.pi)
    learned = log_prob(model, judged)
    assert abs((learned - exact).mean()) < 0.02 * 63
    assert np.corrcoef(learned, exact)[0, 1] > 0.9


def test_jitter_is_fresh_in_every_epoch_and_symmetries_leave_the_condition_alone(monkeypatch):
    handed = []

    def stop(network, loss, train_rows, validation_rows, *positional, hooks, keeper, ranks):
        handed.append((train_rows.rows, hooks))
        raise StopIteration

    monkeypatch.setattr(models_model, "train", stop)
    with pytest.raises(StopIteration):
        train(white_maps(60), flow="glow", hidden=4)
    (rows, hooks), (log_det, context, x) = handed[0], handed[0][0]
    first, second = hooks.fresh_rows(0), hooks.fresh_rows(1)
    for original, moved_first, moved_second in zip((log_det, context), first, second, strict=False):
        assert (original == moved_first).all() and (original == moved_second).all()
    away = (first[2] - second[2]).numpy()
    assert np.abs(away).max() > 0.01 and np.ptp(away, axis=(2, 3)).max() < 1e-5
    moved = [tensor[0] for tensor in hooks.augment(tuple(tensor[None] for tensor in rows))]
    assert (moved[0] == log_det).all() and (moved[1] == context).all() and (moved[2] != x).any()
    np.testing.assert_allclose(np.sort(moved[2].flatten(1)), np.sort(x.flatten(1)))


# ---------------------------------------------------------------------------------------------------------- typicality
def test_typicality_p_values_of_the_training_distribution_are_uniform():
    """Each of the two percentiles is uniform; the p-value of both together is small no more often than it says."""
    model, judged = normal_density(True), NORMAL.simulate(600, 7)
    typicality = scores.score_rows(model, judged, np.arange(600), lambda *_: None)
    np.testing.assert_array_equal(typicality.log_prob, log_prob(model, judged))
    rows = model.training_record.split.sizes[1]  # against which 600 others are ranked: Kolmogorov's law of two samples
    max_statistic = 1.95 * np.sqrt(1 / 600 + 1 / rows)
    for percentile in (typicality.percentile, typicality.shape_percentile):
        assert stats.kstest(percentile / 100, "uniform").statistic < max_statistic
    contexts = model.scale_parameters(judged.theta, judged.path)
    alone = model.typicality.p_value(model.typicality.z_score(typicality.log_prob, contexts))
    assert stats.kstest(alone, "uniform").statistic < max_statistic
    for level in (0.05, 0.1, 0.2):
        assert level / 3 < (typicality.p_value <= level).mean() < level + 0.05
    assert (typicality.split == 2).all() and typicality.index.tolist() == list(range(600))


def white(rows: int, seed: int, scale: float = 1.0) -> Catalog:
    """Sixty independent normal numbers of this standard z_score."""
    random = np.random.default_rng(seed)
    values = scale * random.standard_normal((rows, 60))
    return in_memory_catalog(random.uniform(0, 1, (rows, 1)), unit_box(), Observable("data", "vector", values))


@lru_cache
def quiet_density() -> DensityModel:
    """Of white noise, and hardly trained: a flow starts near the identity."""
    return train(white(600, 0), conditional=False, flow="realnvp", epochs=1, hidden=8, learning_rate=1e-4)


@pytest.mark.parametrize("amplitude", [np.e, 1 / np.e])
def test_typicality_finds_maps_with_too_much_or_too_little_power(amplitude):
    """White Gaussian vectors: the quiet ones are denser than any that was seen, and no less odd."""
    model = quiet_density()
    usual, odd = (
        scores.score_rows(model, white(200, seed, scale), np.arange(200), lambda *_: None)
        for seed, scale in ((1, 1.0), (2, amplitude))
    )
    assert (odd.log_prob.mean() > usual.log_prob.mean()) == (amplitude < 1)
    assert np.sign(odd.z_score.mean()) == (1 if amplitude < 1 else -1)
    auc = stats.mannwhitneyu(odd.percentile, usual.percentile).statistic / 200**2
    assert auc > 0.98
    assert (odd.p_value < 0.05).mean() > 0.9 and (usual.p_value < 0.05).mean() < 0.12


def test_typicality_finds_an_anomalous_row_of_typical_density():
    """All its power in one number: as dense as any, and no normal noise."""
    random = np.random.default_rng(1)
    spikes = np.zeros((200, 60))
    spikes[np.arange(200), random.integers(60, size=200)] = np.sqrt(random.chisquare(60, 200))
    model = quiet_density()
    sims = in_memory_catalog(random.uniform(0, 1, (200, 1)), unit_box(), Observable("data", "vector", spikes))
    typicality = scores.score_rows(model, sims, np.arange(200), lambda *_: None)
    assert np.median(typicality.percentile) < 90
    assert np.median(typicality.shape_z_score) > 5
    assert (typicality.p_value < 0.05).mean() > 0.95


def test_what_is_typical_moves_with_the_condition():
    """A log density whose mean is a quadratic in theta: taken off where there are rows enough, its mean where not."""
    random = np.random.default_rng(0)
    theta = random.normal(size=(500, 2))
    log_probs = 3 + theta[:, 0] - 2 * theta[:, 1] ** 2 + theta[:, 0] * theta[:, 1] + 0.1 * random.standard_normal(500)
    model = fit_typicality(log_probs, theta)
    np.testing.assert_allclose(model.coefficients, [3, 1, 0, 0, 1, -2], atol=0.03)
    assert model.residuals.std() == pytest.approx(0.1, rel=0.1)
    assert abs(model.z_score(log_probs, theta).mean()) < 0.2
    few_rows = fit_typicality(log_probs[:20], theta[:20])
    np.testing.assert_allclose(few_rows.coefficients, [log_probs[:20].mean()])
    alone = fit_typicality(log_probs, None)
    np.testing.assert_allclose(alone.expected(None, 3), log_probs.mean())


# ------------------------------------------------------------------------------------------------------------- recipes
@pytest.mark.parametrize(
    ("kinds", "settings", "message"),
    [
        (("vector", "map"), {}, "a density is trained on one vector or map a row, found vector and map"),
        (("grid",), {}, "found grid"),
        (("map",), {"flow": "maf"}, "flow: 'maf' is not known; there are glow, realnvp"),
        (("vector",), {"flow": "auto"}, "flow: 'auto' is not known"),
        (("vector",), {"levels": 2}, "levels: `flow=maf` has no such setting"),
        (("map",), {"bins": 4}, "bins: `flow=glow` has no such setting"),
        (("vector",), {"ensemble": 0}, "ensemble: expected at least 1"),
    ],
)
def test_a_density_that_cannot_be_is_refused(kinds, settings, message):
    with pytest.raises(UserError, match=message):
        density_recipe(settings, 1000, kinds, True)
