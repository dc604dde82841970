"""What is unlike the training data: false alarms come as often as said, and what is odd is found."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cosmoinfer import models, posterior
from cosmoinfer.catalog import Observable
from cosmoinfer.models.regressor import fit_classifier, regressor_recipe
from cosmoinfer.ood.detector import (
    OutOfDistribution,
    data_features,
    fit_detector,
    fit_ood_detector,
    fold_features,
    gap_counts,
)
from cosmoinfer.ood.distances import _kernel, _mmd2, fit_mmd_test
from cosmoinfer.ood.scores import ood_scores
from cosmoinfer.parameters import Parameters
from tests.command_line import call, done, linear, write
from tests.examples import (
    ROWS,
    far_away,
    fitted_preprocessing,
    flow_of,
    in_memory_catalog,
    linear_gaussian,
    regressor_of,
    sampled,
    split_of,
    training_context,
)

SIZE = 12
QUICK = ("--epochs", "3", "--ensemble", "2", "--threads", "1", "--quiet")
FEW = ("--draws", "20", "--threads", "1")
FACTORS = np.random.default_rng(1).normal(size=(3, SIZE))  # three directions carry nearly all of the variance


def rows(count: int, seed: object) -> np.ndarray:
    """(count, 12) nearly collinear features, heavier-tailed than a normal's."""
    random = np.random.default_rng(seed)
    return random.standard_t(6, (count, 3)) @ FACTORS + 0.05 * random.standard_t(6, (count, SIZE))


def fitted(train: np.ndarray, validation: np.ndarray, *second_space: np.ndarray, size: int = 1) -> OutOfDistribution:
    """size: rows of one simulation. others: a second space of both."""
    ids = [np.arange(len(space)) // size for space in (train, validation)]
    detector = fit_ood_detector(
        [train, *second_space[:1]], [validation, *second_space[1:]], *map(ids_of, ids), gaps=False
    )
    assert detector is not None
    return detector


def ids_of(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(str)


def flagged(ood: OutOfDistribution, data: np.ndarray, level: float = 95) -> float:
    return float((ood.percentile([data]) > level).mean())


def set_p_value(ood: OutOfDistribution, data: np.ndarray) -> float:
    return ood.mmd_test.p_value(ood.views([data]), ids_of(np.arange(len(data))), 0)


# ------------------------------------------------------------------------------------------------- one observation
@pytest.mark.parametrize("judges", [24, 60, 100])
def test_the_ood_false_alarm_rate_is_the_nominal_one(judges):
    """Exactly as often as one of judges + 1 exchangeable rows ranks above 95 %."""
    repeats, new = 150, 40
    share = np.mean(
        [flagged(fitted(rows(150, [r, 0]), rows(judges, [r, 1])), rows(new, [r, 2])) for r in range(repeats)]
    )
    ranks = np.arange(judges + 1)
    expected = np.mean(100 * ranks / (judges + 1) > 95)
    spread = np.sqrt(expected * (1 - expected) * (1 / (repeats * new) + 1 / (repeats * judges)))
    assert expected <= 0.05
    assert abs(share - expected) < 3.5 * spread


def test_false_alarms_of_rows_that_share_a_simulation():
    """Ten rows of one simulation are odd together: were they counted as rows, 30 simulations would raise 7 %."""

    def maps(simulations: int, seed: object) -> np.ndarray:
        return np.repeat(rows(simulations, seed), 10, axis=0) + 1e-3 * rows(10 * simulations, [9, *seed])

    share = [flagged(fitted(maps(60, [r, 0]), maps(30, [r, 1]), size=10), maps(40, [r, 2])[::10]) for r in range(60)]
    assert np.mean(share) <= 0.05 + 3 * np.std(share) / 60**0.5
    assert np.mean(share) > 0.01


def test_a_percentile_is_a_rank_among_the_validation_rows():
    validation = rows(50, 1)
    ood = fitted(rows(200, 0), validation)
    scores = ood.score([validation])
    np.testing.assert_array_equal(ood.scores, np.sort(scores))
    expected = 100 * stats.rankdata(scores, "min").clip(1) / 51 - 100 / 51
    np.testing.assert_allclose(ood.percentile([validation]), expected)
    assert ood.n_validation_simulations == 50


def test_the_distance_is_that_of_mahalanobis():
    """With many rows the shrinkage vanishes: the covariance that the rows were drawn from."""
    covariance = FACTORS.T @ FACTORS + 0.05**2 * np.eye(SIZE)
    random = np.random.default_rng(0)
    train, new = (random.multivariate_normal(np.zeros(SIZE), covariance, count) for count in (4000, 50))
    (cloud,) = fitted(train, new).gaussians
    expected = np.sqrt(np.einsum("ni,ij,nj->n", new, np.linalg.inv(covariance), new))
    np.testing.assert_allclose(np.exp(cloud.statistics(new)[:, 0]), expected, rtol=0.05)


def test_few_validation_rows_tell_a_gross_outlier_and_no_other():
    ood = fitted(rows(150, 0), rows(9, 1))
    assert flagged(ood, 30 * rows(20, 2), 99) == 1
    assert flagged(ood, rows(2000, 2), 99) <= 0.02  # one of nine is the oddest in a tenth of all cases


@pytest.mark.parametrize(
    ("odd", "min_share"),
    [
        (lambda x: x + 0.6 * np.eye(SIZE)[np.arange(len(x)) % SIZE], 0.9),  # one feature, by far less than it varies
        (lambda x: x + 0.1 * np.random.default_rng(5).normal(size=x.shape), 0.5),  # twice the noise
        (lambda x: 5 * x, 0.8),
        (lambda x: x[:, ::-1], 0.9),  # each feature's own distribution as it was
    ],
    ids=["one feature", "noise", "scale", "order"],
)
def test_out_of_distribution_rows_are_detected(odd, min_share):
    ood = fitted(rows(400, 0), rows(100, 1))
    assert flagged(ood, odd(rows(400, 2))) > min_share
    assert flagged(ood, rows(400, 2)) < 0.12


def test_too_smooth_maps_are_out_of_distribution():
    random = np.random.default_rng(3)
    assert flagged(fitted(rows(400, 0), rows(100, 1)), random.standard_t(6, (200, 3)) @ FACTORS) > 0.9


def test_one_space_alone_may_tell():
    """An embedding that is where it always is, and data that are not; and the other way round."""
    spaces = [rows(300, 0), rows(300, 1)[:, :4]], [rows(100, 2), rows(100, 3)[:, :4]]
    ood = fitted(spaces[0][0], spaces[1][0], spaces[0][1], spaces[1][1])
    fine, second_space = rows(50, 4), rows(50, 5)[:, :4]
    assert (ood.percentile([4 * rows(50, 6), second_space]) > 95).mean() > 0.6
    assert (ood.percentile([fine, 9 * second_space]) > 95).mean() > 0.6
    assert (ood.percentile([fine, second_space]) > 95).mean() < 0.2


def test_a_feature_that_never_varied_is_missed_when_it_does():
    still = np.concatenate([rows(300, 0), np.zeros((300, 1))], axis=1)
    new = np.concatenate([rows(20, 1), np.ones((20, 1))], axis=1)
    assert flagged(fitted(still[:200], still[200:]), new, 99) == 1


def test_many_features_are_folded_and_none_is_lost():
    assert fold_features(np.ones((2, 1000))).shape == (2, 1000)
    folded = fold_features(np.eye(2500))
    assert folded.shape == (2500, 1000)
    np.testing.assert_array_equal(np.abs(folded).sum(axis=1), 1)
    np.testing.assert_array_equal(np.flatnonzero(folded[2300]), [300])


def gappy(count: int, seed: int, gaps: np.ndarray | None = None) -> Observable:
    """20 bins, a quarter of them missing at random, or those of ``gaps``."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 2)) @ np.random.default_rng(1).normal(size=(2, 20)) + 0.3 * random.normal(
        size=(count, 20)
    )
    missing = random.random(x.shape) < 0.25 if gaps is None else gaps
    return Observable("data", "vector", np.where(missing, np.nan, x), masked=True)


def test_a_different_pattern_of_missing_data_is_out_of_distribution():
    """Half of the bins in one block; a quarter at random is what the network knows."""
    theta = linear_gaussian(1, 500).theta
    sims = in_memory_catalog(theta, linear_gaussian(1).parameters, gappy(500, 0))
    frame = fitted_preprocessing(sims)
    spaces = partial(data_features, frame)
    detector = fit_detector(frame, spaces, sims, split_of(sims), ROWS)

    def judged(gaps: np.ndarray | None) -> np.ndarray:
        new = in_memory_catalog(None, None, gappy(100, 1, gaps))
        return ood_scores(detector, frame, spaces, new, np.arange(100), np.arange(100), 0, 64).percentile

    assert (judged(np.arange(20) < 10) > 95).mean() > 0.9
    assert (judged(None) > 95).mean() < 0.15
    np.testing.assert_array_equal(gap_counts(np.array([[0, 1, 1, 0, 1.0], [1, 1, 1, 1, 1]])), [[3, 1], [5, 4]])


# ----------------------------------------------------------------------------------------------- many observations
def test_mmd_is_the_formula():
    """The unbiased estimate, written as loops (Gretton+ 2012, equation 3)."""
    x, y = rows(6, 0), rows(9, 1) + 1
    kernel = _kernel(np.concatenate([x, y]), 7.0)
    k = lambda a, b: np.exp(-((a - b) ** 2).sum() / 14)  # noqa: E731
    within = np.mean([k(x[i], x[j]) for i in range(6) for j in range(6) if i != j])
    within_y = np.mean([k(y[i], y[j]) for i in range(9) for j in range(9) if i != j])
    across = np.mean([k(a, b) for a in x for b in y])
    sides = np.repeat([1.0, 0.0], [6, 9])[:, None]
    np.testing.assert_allclose(_mmd2(kernel, sides), within + within_y - 2 * across)


@pytest.mark.parametrize("size", [1, 5], ids=["rows", "five rows a simulation"])
def test_mmd_p_values_of_the_training_distribution_are_uniform(size):
    def group(simulations: int, seed: object) -> np.ndarray:
        return np.repeat(rows(simulations, seed), size, axis=0) + 0.01 * rows(size * simulations, [9, *seed])

    p_values = []
    for r in range(60):
        validation, new = group(30, [r, 1]), group(12, [r, 2])
        mmd_test = fit_mmd_test([group(40, [r, 0])], [validation], ids_of(np.arange(len(validation)) // size))
        p_values.append(mmd_test.p_value([new], ids_of(np.arange(len(new)) // size), seed=r))
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3
    assert min(p_values) > 0


def test_mmd_detects_a_shifted_set_without_anomalous_rows():
    ood = fitted(rows(300, 0), rows(100, 1))
    new = rows(60, 2)
    shifted = new + 1.5 * FACTORS[0]  # a little more than a standard deviation
    assert flagged(ood, shifted) < 0.2
    assert set_p_value(ood, shifted) < 0.01 < set_p_value(ood, new)
    noisier = new + 0.05 * np.random.default_rng(0).normal(size=new.shape)
    assert set_p_value(ood, noisier) < 0.01  # as much noise again


# ------------------------------------------------------------------------------------------------------- a warning
def test_the_ood_warning_requires_more_than_the_expected_number():
    ood = fitted(rows(200, 0), rows(120, 1))
    ids = ids_of(np.arange(10))

    def alarm(count: int, percentile: float, simulation: np.ndarray = ids):
        return ood.excess_outliers(np.where(np.arange(len(simulation)) < count, percentile, 50), simulation)

    assert alarm(1, 99.5, ids[:1]).positions.tolist() == [0]
    assert alarm(1, 98.5, ids[:1]) is None
    assert alarm(1, 99.5) is None and alarm(2, 99.5).positions.tolist() == [0, 1]
    assert alarm(3, 97) is None and alarm(8, 97).level == 95  # many not so far out
    same = ids_of(np.arange(10) // 5)  # two rows of one simulation in five: less than one odd simulation
    assert alarm(2, 99.5, same) is None
    assert alarm(10, 99.5, same) is not None


@pytest.mark.parametrize("n_validation", [20, 45, 98, 99, 199])
def test_one_gross_outlier_is_warned_about_beside_few_validation_rows(n_validation):
    """A rank among fewer than 99 says more than 1 %; 99 and 199 ranks say 1 % but for rounding."""
    ood = fitted(rows(200, 0), rows(n_validation, 1))
    alone, among_ten = rows(1, 2) + 30, rows(10, 3)
    among_ten[4] += 30
    assert ood.excess_outliers(ood.percentile([alone]), ids_of(np.arange(1))).positions.tolist() == [0]
    assert ood.excess_outliers(ood.percentile([among_ten]), ids_of(np.arange(10))).positions.tolist() == [4]


def test_the_highest_of_99_ranks_is_one_in_a_hundred():
    ood = fitted(rows(200, 0), rows(99, 1))
    assert ood.excess_outliers(np.array([99.0]), ids_of(np.arange(1))) is not None
    assert ood.excess_outliers(np.array([98.0]), ids_of(np.arange(1))) is None


def test_what_cannot_be_compared_is_the_most_unlike():
    ood = fitted(rows(200, 0), rows(45, 1))
    observations = rows(3, 2)
    observations[1, 0] = np.nan
    percentile = ood.percentile([observations])
    assert percentile[1] == 100 and (percentile[[0, 2]] < 100).all()


def test_single_rows_of_the_same_simulator_are_warned_about_in_one_of_a_hundred_at_most():
    warned = []
    for r in range(30):
        ood = fitted(rows(150, [r, 0]), rows(45, [r, 1]))
        percentile = ood.percentile([rows(100, [r, 2])])
        warned += [ood.excess_outliers(percentile[[row]], ids_of(np.arange(1))) is not None for row in range(100)]
    assert np.mean(warned) <= 0.01


def test_the_surprise_is_that_of_ranks_among_a_sample():
    """How many of 50 rows exceed the highest of 120 others, or the 6th highest, whatever their distribution."""
    ood = fitted(rows(200, 0), rows(120, 1))
    ids = ids_of(np.arange(50))
    for level, above in ((99, 1), (95, 6)):
        for count in (1, 3):
            tail = ood.outliers(np.where(np.arange(50) < count, 99.5, 0), ids, level).surprise
            assert tail == pytest.approx(stats.betabinom(50, above, 121 - above).sf(count - 1))
    assert ood.outliers(np.zeros(50), ids, 99).surprise == pytest.approx(1)


def test_own_rows_are_seldom_warned_about():
    """In about one case of a hundred, a set of 100 rows beside 100 validation rows."""
    alarms = [
        (ood := fitted(rows(150, [r, 0]), rows(100, [r, 1]))).excess_outliers(
            ood.percentile([rows(100, [r, 2])]), ids_of(np.arange(100))
        )
        for r in range(100)
    ]
    assert sum(warning is not None for warning in alarms) <= stats.binom(100, 0.011).ppf(0.9999)


# --------------------------------------------------------------------------------------------------------- models
@pytest.mark.parametrize("which", ["flow", "regressor"])
def test_every_posterior_has_ood_percentiles(which, tmp_path):
    model = flow_of("maf", 1, 1, "probit") if which == "flow" else regressor_of(1)
    sims = linear_gaussian(1)
    test = model.training_record.select_rows(sims, None)
    fine, odd = sampled(model, sims, test, 10), sampled(model, far_away(test[3]), test, 10)
    assert (
        fine.diagnostics.ood_percentile.shape == (len(test),)
        and ((fine.diagnostics.ood_percentile >= 0) & (fine.diagnostics.ood_percentile <= 100)).all()
    )
    assert odd.diagnostics.ood_percentile[3] > 99 > fine.diagnostics.ood_percentile[3]
    np.testing.assert_allclose(
        np.delete(odd.diagnostics.ood_percentile, 3), np.delete(fine.diagnostics.ood_percentile, 3)
    )
    assert 0 < fine.diagnostics.ood_set_p_value <= 1
    assert sampled(model, sims, test[:19], 10).diagnostics.ood_set_p_value is None

    models.write(tmp_path / "model.h5", model, {})
    again = sampled(models.read(tmp_path / "model.h5"), sims, test, 10)
    np.testing.assert_array_equal(again.diagnostics.ood_percentile, fine.diagnostics.ood_percentile)
    assert again.diagnostics.ood_set_p_value == fine.diagnostics.ood_set_p_value


def test_a_classifier_has_ood_percentiles():
    labels, x = np.repeat([0.0, 1.0], 150), rows(300, 0)
    order = np.random.default_rng(0).permutation(300)
    parameters = Parameters.from_names(("kind",))
    sims = in_memory_catalog(labels[order, None], parameters, Observable("data", "vector", x + labels[order, None]))
    sims = replace(sims, classes=("a", "b"), declared_priors=frozenset())
    recipe = regressor_recipe({"network": "linear", "ensemble": 2, "epochs": 2}, 300, [(SIZE,)], 2)
    model = fit_classifier(sims, split_of(sims), fitted_preprocessing(sims), recipe, training_context())
    new = in_memory_catalog(
        None, None, Observable("data", "vector", np.concatenate([rows(1, 1), 20 * rows(1, 2)])), name="new.h5"
    )
    fine, odd = sampled(model, new, [0, 1]).diagnostics.ood_percentile
    assert fine < 99 < odd


# ------------------------------------------------------------------------------------------------ the command line
@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ood")
    theta, x = linear(800, 1)
    write(folder / "sims.h5", theta, x)
    write(folder / "odd.h5", None, np.where(np.arange(30)[:, None] % 10 == 3, 9, 1) * linear(30, 2)[1])
    done("train-regressor", folder / "sims.h5", "-o", folder / "model.h5", *QUICK)
    return folder


def test_out_of_distribution_warnings_are_printed_with_quiet(folder):
    status, out, err = call("sample", folder / "model.h5", folder / "odd.h5", "--quiet", "--json", *FEW)
    assert status == 0
    (line,) = (line for line in err.splitlines() if "posterior.h5" not in line)
    assert line.startswith("warning: 3 of 30 observations are unlike the training data (percentile above 99; 0.")
    assert "row 3, 13, 23;" in line
    counts = json.loads(out)["ood"]
    assert counts["above_99"] == 3 <= counts["above_95"] < 8
    drawn = posterior.read(folder / "model.odd.posterior.h5")
    assert np.flatnonzero(drawn.diagnostics.ood_percentile > 99).tolist() == [3, 13, 23]
    assert drawn.diagnostics.ood_set_p_value == counts["set_p_value"]


@pytest.fixture(scope="module")
def histories(tmp_path_factory) -> tuple[Path, np.ndarray]:
    """A flow of smooth positive histories, and their values (400, 20)."""
    folder, random = tmp_path_factory.mktemp("histories"), np.random.default_rng(0)
    theta = random.uniform([0.1, 0.6], [0.5, 1.0], (400, 2))
    level = 8 * (theta - [0.3, 0.8]) + 0.3 * random.normal(size=(400, 2))
    x = 10 ** (level @ np.array([np.ones(20), np.linspace(-0.1, 0.1, 20)]) - 6 + 0.02 * random.normal(size=(400, 20)))
    done("train-flow", write(folder / "sims.h5", theta, x), "-o", folder / "flow.h5", "--flow", "maf", *QUICK)
    return folder / "flow.h5", x


@pytest.mark.parametrize("wrong", [np.log10, np.negative, lambda x: 0 * x, lambda x: 1e-9 * x])
def test_observations_below_the_training_range_are_warned_about(tmp_path, histories, wrong):
    """All of them are the floor to the network: an unremarkable row of least values, were nothing else said.

    As smooth as histories: the row of least values lies along the direction in which all rows differ most.
    """
    flow, x = histories
    new = write(tmp_path / "new.h5", None, np.concatenate([wrong(x[:2]), 1.01 * x[100:102]]))
    status, _, err = call("sample", flow, new, "-o", tmp_path / "p.h5", "--quiet", *FEW)
    assert status == 0 and "2 of 4 observations lie below all training values" in err and "row 0, 1;" in err
    assert "was it taken before, or are the units others?" in err
    drawn = posterior.read(tmp_path / "p.h5")
    assert (drawn.diagnostics.ood_percentile[:2] > 99).all() and (drawn.diagnostics.ood_percentile[2:] < 99).all()


def test_a_single_out_of_distribution_observation_is_warned_about(folder):
    alone = ("sample", folder / "model.h5", folder / "odd.h5", "--quiet", "-o", folder / "one.h5", "--force", *FEW)
    assert "1 of 1 observations" in call(*alone, "--rows", "3")[2]
    assert call(*alone, "--rows", "4")[2] == ""


def test_own_test_rows_raise_no_warning_and_a_set_is_spoken_of(folder):
    status, _, err = call("sample", folder / "model.h5", folder / "sims.h5", "-o", folder / "own.h5", *FEW)
    assert status == 0 and "warning" not in err
    assert "the observations as a set: like the validation rows (MMD, p = 0." in err
