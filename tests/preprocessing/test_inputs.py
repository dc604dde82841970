"""From a catalog to what a network sees: scalings, noise, compression, gaps; and which rows a model has seen."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA

from cosmoinfer import models
from cosmoinfer.catalog import Catalog, Observable, ReadOptions
from cosmoinfer.errors import UserError
from cosmoinfer.ood.detector import data_features
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing import compression
from cosmoinfer.preprocessing.fit import describe_choices, with_compression
from cosmoinfer.preprocessing.noise import Noise, read_noise
from cosmoinfer.tasks.model_sources import read_options_for_model
from cosmoinfer.training.settings import TrainingSettings
from tests.examples import (
    NORMAL,
    ROWS,
    fitted_preprocessing,
    flow_of,
    in_memory_catalog,
    linear_gaussian,
    regressor_of,
    sampled,
    split_of,
    train_regressor,
    training_context,
    with_maps,
)


# ----------------------------------------------------------------------------------------------------------- the frame
def test_an_observation_needs_no_parameters():
    sims = linear_gaussian(2)
    observation = in_memory_catalog(None, None, Observable("data", "vector", sims.observables[0].values[:2] + 0.01))
    for model in (flow_of("maf", 2, 1, "probit"), flow_of("maf", 2, 1, "truncate"), regressor_of(2)):
        model.preprocessing.check_catalog(observation)
        posterior = sampled(model, observation, model.training_record.select_rows(observation, None), 20)
        assert posterior.truth is None and posterior.log_prob_truth is None and posterior.samples.shape == (2, 20, 2)


def test_data_of_another_shape_or_other_names_are_refused():
    frame, sims = flow_of("maf", 2, 1, "probit").preprocessing, linear_gaussian(2)
    frame.check_catalog(sims)
    values = sims.observables[0].values
    narrow = in_memory_catalog(
        sims.theta, sims.parameters, Observable("data", "vector", values[:, :3]), name="narrow.h5"
    )
    with pytest.raises(UserError, match=r"narrow.h5: the model was trained on data of shape \(4,\) a row.*has \(3,\)"):
        frame.check_catalog(narrow)
    with pytest.raises(UserError, match=r"has \(4,\) and \(4,\)"):
        frame.check_catalog(in_memory_catalog(sims.theta, sims.parameters, *[Observable("data", "vector", values)] * 2))
    swapped = in_memory_catalog(sims.theta[:, ::-1], sims.parameters.select(["b", "a"]), sims.observables[0])
    with pytest.raises(UserError, match=r"infers a, b; this catalog has b, a"):
        frame.check_catalog(swapped)


def test_scalings_come_from_the_training_rows_alone():
    sims = linear_gaussian(2)
    frame = fitted_preprocessing(sims)
    held_out = np.concatenate(
        [split_of(sims).select_rows(sims.simulation, partition) for partition in ("validation", "test")]
    )
    values = sims.observables[0].values.copy()
    values[held_out] += 100
    refitted = fitted_preprocessing(
        in_memory_catalog(sims.theta, sims.parameters, replace(sims.observables[0], values=values))
    )
    expected = asdict(frame.inputs[0].standardizer)
    for key, value in asdict(refitted.inputs[0].standardizer).items():
        np.testing.assert_array_equal(value, expected[key])
    np.testing.assert_array_equal(refitted.ridge_estimate.weights, frame.ridge_estimate.weights)
    (train,) = frame.data(sims, split_of(sims).select_rows(sims.simulation, "train"))
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-5)
    lines = describe_choices(frame, sims, split_of(sims))
    assert lines[-1] == "{} simulations train, {} validate, {} test".format(*split_of(sims).sizes)


@pytest.mark.parametrize("partition", ["train", "validation", "test"])
def test_a_row_that_cannot_be_scaled_is_named_before_a_training(partition):
    sims = linear_gaussian(2)
    row = split_of(sims).select_rows(sims.simulation, partition)[3]
    values = sims.observables[0].values.astype(np.float64)
    values[row, 1] = 1e39
    broken = in_memory_catalog(sims.theta, sims.parameters, replace(sims.observables[0], values=values))
    with pytest.raises(UserError, match=rf"row {row}: /data holds numbers beyond what the training data scale to"):
        fitted_preprocessing(broken)


def test_a_catalog_is_read_for_a_model_as_its_own_was():
    read_options = ReadOptions(data=("maps",), infer=("a",), scale_cut=("0:3",))
    assert read_options_for_model(read_options, ReadOptions()) == read_options
    assert read_options_for_model(read_options, ReadOptions(drop_nonfinite=True)) == replace(
        read_options, drop_nonfinite=True
    )
    assert read_options_for_model(read_options, ReadOptions(data=("other",))) == replace(read_options, data=("other",))


# --------------------------------------------------------------------------------------------------------------- noise
@pytest.fixture
def covariance(tmp_path):
    """Writes an array as --noise wants it."""

    def written(values):
        np.save(tmp_path / "cov.npy", values)
        return tmp_path / "cov.npy"

    return written


def test_noise_has_the_covariance_that_was_asked_for(covariance):
    noise = read_noise(covariance(NORMAL.covariance), ((3,),), 0)
    for drawn in (noise.fresh(40_000, 0), noise.fixed(np.arange(20_000))):
        np.testing.assert_allclose(np.cov(drawn.T), NORMAL.covariance, atol=0.025)
        np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.02)
    variances = read_noise(covariance(np.array([4.0, 0.0, 1.0])), ((3,),), 0)
    np.testing.assert_allclose(variances.fresh(20_000, 0).std(axis=0), [2, 0, 1], rtol=0.02)


def test_the_noise_of_a_row_is_its_own_and_that_of_an_epoch_its_own():
    noise, other_seed = Noise(np.eye(3), 0), Noise(np.eye(3), 1)
    realisations = noise.fixed(np.arange(10))
    np.testing.assert_array_equal(noise.fixed(np.array([7, 2])), realisations[[7, 2]])
    assert len(np.unique(realisations)) == 30
    assert (other_seed.fixed(np.arange(10)) != realisations).all()
    np.testing.assert_array_equal(noise.fresh(10, 4), noise.fresh(10, 4))
    assert (noise.fresh(10, 4) != noise.fresh(10, 5)).all()
    assert (noise.fresh(10, 4) != other_seed.fresh(10, 4)).all()


@pytest.mark.parametrize("shape", [(3,), (1, 3)])
def test_noise_goes_onto_simulations_and_onto_nothing_else(shape):
    """The same row keeps its noise at any position; an observation, and what is noisy already, has its own."""
    sims = NORMAL.simulate(ROWS, 0, noise=False)
    kind = "vector" if len(shape) == 1 else "profile"
    values = sims.observables[0].values.reshape(ROWS, *shape)
    sims = in_memory_catalog(sims.theta, sims.parameters, Observable("data", kind, values))
    rows = np.arange(ROWS)
    noise = Noise(np.linalg.cholesky(NORMAL.covariance), 0)
    frame = fitted_preprocessing(sims, noise)
    (scale,) = (observable_input.standardizer for observable_input in frame.inputs)
    (noisy,) = frame.data(sims, rows)
    added = scale.inverse(noisy) - values
    np.testing.assert_allclose(added.reshape(ROWS, 3), noise.fixed(rows), atol=1e-5)
    np.testing.assert_array_equal(frame.data(sims.select(np.arange(5, 10)), np.array([2]))[0][0], noisy[7])
    (plain,) = (observable_input(values) for observable_input in frame.inputs)
    np.testing.assert_array_equal(frame.data(in_memory_catalog(None, None, sims.observables[0]), rows)[0], plain)
    np.testing.assert_array_equal(frame.data(replace(sims, includes_noise=True), rows)[0], plain)
    theta = np.where(rows[:, None] % 2 == 0, np.nan, sims.theta)
    np.testing.assert_array_equal(frame.data(replace(sims, theta=theta), rows)[0][::2], plain[::2])
    np.testing.assert_array_equal(frame.data(replace(sims, theta=theta), rows)[0][1::2], noisy[1::2])
    train = split_of(sims).select_rows(sims.simulation, "train")
    np.testing.assert_allclose(noisy[train].reshape(len(train), -1).std(), 1, rtol=0.2)  # scaled with its noise


def test_noise_on_what_is_noisy_already_is_refused():
    sims = replace(NORMAL.simulate(ROWS, 0), includes_noise=True)
    with pytest.raises(UserError, match="noise: has no effect beside `data_include_noise`"):
        fitted_preprocessing(sims, Noise(np.eye(3), 0))


ROTATION = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (np.eye(2), r"has shape \(2, 2\); the data have 3 numbers a row"),
        (np.ones(2), r"has shape \(2,\)"),
        (np.array([[1.0, 0.5, 0], [0.4, 1, 0], [0, 0, 1]]), "must be finite and symmetric"),
        (np.diag([1.0, np.nan, 1]), "must be finite and symmetric"),
        (np.array([1.0, -1.0, 1.0]), "is no covariance: its eigenvalues run from -1 to 1"),
        (np.array([[1.0, 2, 0], [2, 1, 0], [0, 0, 1]]), "its eigenvalues run from -1 to 3"),
        (np.zeros((3, 3)), "is no covariance"),
        (np.array(["a", "b", "c"]), "expected numbers, found <U1"),
    ],
)
def test_an_invalid_noise_covariance_is_refused(covariance, values, complaint):
    with pytest.raises(UserError, match=complaint) as error:
        read_noise(covariance(values), ((3,),), 0)
    assert "\n" not in str(error.value)


def test_a_covariance_is_symmetric_but_for_rounding(covariance):
    """As products of matrices are, where zero comes out as 1e-17 above the diagonal and 2e-17 below."""
    noisy = np.diag([1.0, 1e4, 1e-4])
    noisy[0, 1], noisy[1, 0] = 1e-15, -3e-15
    assert read_noise(covariance(noisy), ((3,),), 0).root.shape == (3, 3)
    turned = ROTATION @ np.diag([1.0, 1.0, 1.0]) @ ROTATION.T
    assert read_noise(covariance(turned), ((3,),), 0).root.shape == (3, 3)


def test_a_malformed_npy_file_is_refused(tmp_path):
    (tmp_path / "text.npy").write_text("1 0 0")
    (tmp_path / "empty.npy").write_bytes(b"")
    np.savez(tmp_path / "several.npz", np.eye(3))
    for name in ("text.npy", "empty.npy", "several.npz"):
        with pytest.raises(UserError, match=f"noise: .*{name}: is no .npy file of numbers"):
            read_noise(tmp_path / name, ((3,),), 0)
    with pytest.raises(UserError, match=r"noise: .*nowhere\.npy: no such file"):
        read_noise(tmp_path / "nowhere.npy", ((3,),), 0)


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((1, 4, 4),)])
def test_noise_is_for_one_vector_or_profile(covariance, shapes):
    with pytest.raises(UserError, match="expected a catalog of one vector or profile"):
        read_noise(covariance(np.eye(3)), shapes, 0)


# --------------------------------------------------------------------------------------------------------- compression
def test_principal_components_are_those_of_scikit_learn():
    sims = linear_gaussian(6)
    frame = fitted_preprocessing(sims)
    short = with_compression(frame, sims, split_of(sims), "pca:5", training_context())
    train = split_of(sims).select_rows(sims.simulation, "train")
    (x,), (components,) = frame.data(sims, train), short.data(sims, train)
    reference = PCA(5, whiten=True).fit(x.astype(float))
    expected = reference.transform(x.astype(float))
    signs = np.sign((expected * components).sum(axis=0))
    np.testing.assert_allclose(components, signs * expected, atol=2e-3)
    singular = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2
    kept = short.inputs[0].compression.explained_variance
    assert kept == pytest.approx(singular[:5].sum() / singular.sum(), rel=1e-5)
    assert short.shapes == ((5,),)
    assert f"pca:5 keeps {100 * kept:.1f} %" in " ".join(describe_choices(short, sims, split_of(sims)))
    held_out = split_of(sims).select_rows(sims.simulation, "test")
    np.testing.assert_allclose(
        short.data(sims, held_out)[0],
        signs * reference.transform(frame.data(sims, held_out)[0].astype(float)),
        atol=2e-3,
    )


def arc(rows: int = 300) -> Catalog:
    """Five sixths of a circle, in six numbers: one parameter, and no straight line."""
    angle = np.random.default_rng(0).uniform(0, 5 * np.pi / 3, (rows, 1))
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0][:, :2]
    x = np.concatenate([np.cos(angle), np.sin(angle)], axis=1) @ turn.T
    return in_memory_catalog(
        angle, Parameters.from_names(("angle",), [0.0], [5 * np.pi / 3]), Observable("data", "vector", x)
    )


def test_an_autoencoder_finds_the_curve_that_no_line_follows():
    """Its code is the angle, told on held-out rows; the first principal component keeps about half."""
    sims = arc()
    frame = fitted_preprocessing(sims)
    line, curve = (
        with_compression(frame, sims, split_of(sims), text, training_context()) for text in ("pca:1", "autoencoder:1")
    )
    assert line.inputs[0].compression.explained_variance < 0.75
    assert curve.inputs[0].compression.explained_variance > 0.95
    test = split_of(sims).select_rows(sims.simulation, "test")
    order = [
        abs(stats.spearmanr(preprocessing.data(sims, test)[0][:, 0], sims.theta[test, 0])[0])
        for preprocessing in (line, curve)
    ]
    assert order[0] < 0.95 < 0.99 < order[1]
    train = curve.data(sims, split_of(sims).select_rows(sims.simulation, "train"))[0]
    np.testing.assert_allclose([train.mean(), train.std(ddof=1)], [0, 1], atol=1e-3)


@pytest.mark.parametrize("text", ["pca:2", "autoencoder:2"])
def test_what_is_compressed_is_compressed_again_the_same(text, tmp_path, monkeypatch):
    """After its file has been read, with the same seed, and whichever rows are asked for."""
    monkeypatch.setattr(compression, "TrainingSettings", lambda **_: TrainingSettings(epochs=2))
    sims = linear_gaussian(2)
    made = [
        train_regressor(
            sims,
            frame=with_compression(fitted_preprocessing(sims), sims, split_of(sims), text, training_context()),
            ensemble=1,
        )
        for _ in range(2)
    ]
    paths = [tmp_path / "one.h5", tmp_path / "two.h5"]
    for path, model in zip(paths, made, strict=True):
        models.write(path, model, {})
    assert paths[0].read_bytes() == paths[1].read_bytes()
    again, rows = models.read(paths[0]), np.arange(10)
    np.testing.assert_array_equal(again.preprocessing.data(sims, rows)[0], made[0].preprocessing.data(sims, rows)[0])
    np.testing.assert_array_equal(sampled(again, sims, rows, 20).samples, sampled(made[0], sims, rows, 20).samples)
    alone = again.preprocessing.data(sims, rows[3:4])[0]
    np.testing.assert_allclose(alone, again.preprocessing.data(sims, rows)[0][3:4], atol=1e-5)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("pca", "'pca' is not understood; expected pca:20 or autoencoder:8"),
        ("ica:3", "'ica:3' is not understood"),
        ("pca:0", "expected 1 to 4 numbers a row"),
        ("pca:5", "expected 1 to 4 numbers a row"),
    ],
)
def test_an_invalid_compression_is_refused(text, complaint):
    sims = linear_gaussian(2)
    with pytest.raises(UserError, match=complaint):
        with_compression(fitted_preprocessing(sims), sims, split_of(sims), text, training_context())


def test_only_vectors_are_compressed():
    sims = with_maps(periodic=True)
    short = with_compression(fitted_preprocessing(sims), sims, split_of(sims), "pca:1", training_context())
    assert short.shapes == ((1,), (1, 8, 8))
    maps = in_memory_catalog(sims.theta, sims.parameters, sims.observables[1])
    with pytest.raises(UserError, match="compress=pca:1: expected a vector among the observables, found none"):
        with_compression(fitted_preprocessing(maps), maps, split_of(maps), "pca:1", training_context())


# ----------------------------------------------------------------------------------------------------- what is missing
SCATTER = 0.7


def lossy(rows: int, masked: bool) -> tuple[Catalog, np.ndarray]:
    """Four looks at theta ~ N(0, 1), each lost with even odds; and the exact posterior means (N,).

    Without the mask the gaps are filled with the mean, and nobody is told.
    """
    random = np.random.default_rng(0)
    theta = random.standard_normal((rows, 1))
    x = theta + SCATTER * random.standard_normal((rows, 4))
    lost = random.random((rows, 4)) < 0.5
    lost[np.arange(rows), random.integers(4, size=rows)] = False
    exact = np.where(lost, 0, x).sum(axis=1) / ((~lost).sum(axis=1) + SCATTER**2)
    parameters = Parameters.from_names(("a",), prior=["normal"], mean=[0.0], std=[1.0])
    return in_memory_catalog(
        theta, parameters, Observable("data", "vector", np.where(lost, np.nan if masked else 0, x), masked=masked)
    ), exact


def test_missing_data_become_the_mean_and_a_mask():
    sims, _ = lossy(ROWS, masked=True)
    frame, values = fitted_preprocessing(sims), sims.observables[0].values
    (network_input,) = frame.data(sims, np.arange(ROWS))
    assert frame.shapes == ((8,),) and np.isfinite(network_input).all()
    np.testing.assert_array_equal(network_input[:, 4:], np.isnan(values))
    assert (network_input[:, :4][np.isnan(values)] == 0).all()
    train = split_of(sims).select_rows(sims.simulation, "train")
    expected = (values - np.nanmean(values[train], axis=0)) / np.nanstd(values[train], axis=0)
    np.testing.assert_allclose(network_input[:, :4], np.nan_to_num(expected), atol=1e-5)
    assert np.isfinite(frame.estimate_parameters(sims, np.arange(ROWS))).all()


def test_a_network_that_sees_the_gaps_comes_near_the_exact_mean():
    excess = []
    for masked in (True, False):
        sims, exact = lossy(2000, masked)
        model = train_regressor(sims, loss="mse", ensemble=1, epochs=40, hidden=32)
        test = model.training_record.split.select_rows(sims.simulation, "test")
        excess.append(((model.means(sims, test)[:, 0] - exact[test]) ** 2).mean())
    assert excess[0] < 0.015 and excess[1] > 2 * excess[0]  # 0.0114 to 0.0137 over ten seeds


def test_gaps_are_not_for_a_model_of_whole_rows():
    sims, model = linear_gaussian(2), regressor_of(2)
    values = sims.observables[0].values.copy()
    values[3, 1] = np.nan
    gappy = in_memory_catalog(
        sims.theta, sims.parameters, Observable("data", "vector", values, masked=True), name="gappy.h5"
    )
    with pytest.raises(UserError, match=r"gappy.h5: .*`missing=mask`, and the model was trained without"):
        model.preprocessing.check_catalog(gappy)


def test_gaps_meet_compression_noise_and_files(tmp_path):
    sims, _ = lossy(ROWS, masked=True)
    frame = with_compression(
        fitted_preprocessing(sims, Noise(0.1 * np.eye(4), 0)), sims, split_of(sims), "pca:6", training_context()
    )
    model = train_regressor(sims, frame=frame, ensemble=1)
    models.write(tmp_path / "model.h5", model, {})
    drawn = sampled(models.read(tmp_path / "model.h5"), sims, [0, 1, 2], 20)
    np.testing.assert_array_equal(drawn.samples, sampled(model, sims, [0, 1, 2], 20).samples)
    assert np.isfinite(drawn.samples).all() and np.isfinite(drawn.log_prob).all()


@pytest.mark.parametrize(("kind", "shape"), [("profile", (2, 12)), ("map", (2, 8, 8)), ("grid", (1, 4, 4, 4))])
def test_gaps_of_fields_are_filled_by_channel_and_marked_in_channels_behind(kind, shape):
    random = np.random.default_rng(0)
    theta = random.uniform(0, 1, (ROWS, 1))
    whole = 5 + theta.reshape(-1, *[1] * len(shape)) + random.standard_normal((ROWS, *shape))
    values = np.where(random.random(whole.shape) < 0.2, np.nan, whole)
    sims = in_memory_catalog(
        theta, Parameters.from_names(("a",), [0.0], [1.0]), Observable("data", kind, values, masked=True)
    )
    frame, gaps = fitted_preprocessing(sims), np.isnan(values)
    (inputs,) = frame.data(sims, np.arange(ROWS))
    assert frame.shapes == ((2 * shape[0], *shape[1:]),) and np.isfinite(inputs).all()
    np.testing.assert_array_equal(inputs[:, shape[0] :], gaps)
    assert (inputs[:, : shape[0]][gaps] == 0).all()
    assert abs(inputs[:, : shape[0]][~gaps].mean()) < 0.1
    assert np.isfinite(frame.estimate_parameters(sims, np.arange(ROWS))).all()
    features, counts = data_features(frame, sims, np.arange(ROWS))
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(counts[:, 0], gaps.reshape(ROWS, -1).sum(axis=1))


def test_a_mask_is_for_what_has_gaps_alone():
    sims = with_maps(periodic=True)
    maps = sims.observables[1].values.astype(np.float64)
    maps[:, :, :2, :2] = np.nan
    observables = [replace(sims.observables[0], masked=True), replace(sims.observables[1], values=maps, masked=True)]
    frame = fitted_preprocessing(in_memory_catalog(sims.theta, sims.parameters, *observables))
    assert frame.shapes == (sims.observables[0].row_shape, (2, 8, 8))
    vectors = sims.observables[0].values.astype(np.float64)
    vectors[5, 0] = np.nan
    gappy = in_memory_catalog(
        sims.theta, sims.parameters, replace(observables[0], values=vectors), observables[1], name="gappy.h5"
    )
    with pytest.raises(UserError, match=r"gappy.h5: row 5: /.* holds NaN, and no training row has a gap in it"):
        frame.data(gappy, np.arange(10))
