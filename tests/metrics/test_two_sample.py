"""One posterior against another, and draws against draws: classifiers with known optimal accuracies, local tests."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cosmoinfer import posterior as posteriors
from cosmoinfer.errors import UserError
from cosmoinfer.metrics import Evaluation, ReferencePosterior, c2st, evaluate, evaluation_data, match_observations
from cosmoinfer.metrics.bootstrap import Clusters
from cosmoinfer.metrics.two_sample import (
    Classifier,
    _forward,
    _gradients,
    _initial_layers,
    local_c2st,
    sample_one_row_per_simulation,
)
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior
from tests.command_line import call, done, linear, refused, write
from tests.metrics.test_metrics import NAMES, gaussian, value
from tests.posteriors import changed

QUICK = Classifier(epochs=30)


# ------------------------------------------------------------------------------------------------ draws against draws
def test_draws_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match=r"found \(2, 100, 1\) and \(2, 90, 1\)"):
        c2st(np.zeros((2, 100, 1)), np.zeros((2, 90, 1)))


def normal(count, draws, features, shift=0.0, width=1.0, seed=0):
    values = width * np.random.default_rng(seed).standard_normal((count, draws, features))
    values[..., 0] += shift
    return values


@pytest.mark.parametrize(("features", "shift"), [(1, 1.0), (2, 2.0)])
def test_c2st_of_shifted_normals_has_the_optimal_accuracy(features, shift):
    """N(0, 1) and N(shift, 1): no classifier is right for more than Phi(shift / 2)."""
    accuracies = c2st(normal(3, 1500, features, shift), normal(3, 1500, features, seed=1), classifier=QUICK)
    error = np.sqrt(0.25 / (3 * 3000))
    assert accuracies.mean() == pytest.approx(stats.norm.cdf(shift / 2), abs=4 * error)


def test_c2st_of_normals_of_different_widths_has_the_optimal_accuracy():
    """In two dimensions, of N(0, 1) and N(0, s^2), the wider is likelier beyond r^2 = 2 ln s^2 / (1 - 1 / s^2)."""
    wide = 2.0
    radius = 2 * np.log(wide**2) / (1 - wide**-2)
    best = (stats.chi2.cdf(radius, 2) + stats.chi2.sf(radius / wide**2, 2)) / 2
    accuracies = c2st(normal(3, 1500, 2, width=wide), normal(3, 1500, 2, seed=1), classifier=QUICK)
    assert accuracies.mean() == pytest.approx(best, abs=4 * np.sqrt(0.25 / 9000))


def test_c2st_of_draws_of_one_density_is_one_half():
    accuracies = c2st(normal(6, 500, 3), normal(6, 500, 3, seed=1), classifier=QUICK)
    assert np.abs(accuracies - 0.5).max() < 4 * np.sqrt(0.25 / 1000)
    assert abs(accuracies.mean() - 0.5) < 4 * np.sqrt(0.25 / 6000)


def test_folds_and_units_and_other_observations_do_not_matter():
    """Draws are z-scored by the reference; each observation is found as if it had been alone."""
    samples, reference = normal(12, 100, 2, 0.8), normal(12, 100, 2, seed=1)
    accuracies = c2st(samples, reference, classifier=QUICK)
    scale, offset = np.array([1e-3, 5e4]), np.array([0.3, -2e5])
    moved = c2st(samples * scale + offset, reference * scale + offset, classifier=QUICK)
    np.testing.assert_allclose(moved, accuracies, atol=0.011)  # a draw or two on the fence, by rounding
    np.testing.assert_array_equal(c2st(samples[10:], reference[10:], classifier=QUICK), accuracies[10:])
    assert (c2st(samples, reference, seed=1, classifier=QUICK) != accuracies).any()


def test_slopes_are_those_of_the_mean_cross_entropy():
    random = np.random.default_rng(0)
    inputs, labels = random.standard_normal((2, 7, 3)).astype(np.float32), (random.random((2, 7)) < 0.5) * np.float32(1)
    layers = [
        (weight.astype(np.float64), np.full(offset.shape, 0.1)) for weight, offset in _initial_layers(2, 3, 5, random)
    ]

    def loss() -> np.ndarray:
        logit = _forward(layers, inputs.astype(np.float64))[-1][..., 0]
        return (np.logaddexp(0, logit) - labels * logit).mean(axis=1)

    slopes = _gradients(layers, inputs.astype(np.float64), labels)
    for weights, slope in zip([weights for layer in layers for weights in layer], slopes, strict=True):
        assert weights.shape == slope.shape
        before = loss()
        weights[:, 0, 0] += 1e-6
        np.testing.assert_allclose((loss() - before) / 1e-6, slope[:, 0, 0], atol=1e-5)
        weights[:, 0, 0] -= 1e-6


def test_c2st_of_evaluate_is_the_mean_over_ten_simulations_and_needs_the_truth():
    posterior = gaussian(12, rows=2, draws=200)
    exact = changed(posterior, samples=np.random.default_rng(9).permuted(posterior.samples, axis=1) + 20)
    evaluation = evaluate(posterior, reference=ReferencePosterior(exact, "exact posterior", exact=True))
    assert value(evaluation, "c2st") == 1  # nothing in common
    first = np.arange(0, 20, 2)  # the first row of each of the first ten simulations
    samples = posterior.samples.copy()
    samples[np.setdiff1d(np.arange(24), first)] = np.nan
    gaps = evaluate(
        changed(posterior, samples=samples), reference=ReferencePosterior(exact, "exact posterior", exact=True)
    )
    assert value(gaps, "c2st") == 1
    assert "c2st" not in evaluate(posterior, reference=ReferencePosterior(exact, "flow")).joint


# --------------------------------------------------------------------------------------------------- at one observation
def local_p(wrong, seed=0, count=300, at=1.0):
    """p-value at x with the posterior N(m, 0.2); ``wrong`` there: (m) -> shift, in posterior widths."""
    random, std = np.random.default_rng(seed), np.sqrt(0.2)
    truth = random.standard_normal((count, 1))
    mean = 0.8 * (truth + 0.5 * random.standard_normal((count, 1)))
    drawn = mean + std * (wrong(mean) + random.standard_normal((count, 1)))
    query = np.full((300, 1), at) + std * (wrong(np.float64(at)) + random.standard_normal((300, 1)))
    result = local_c2st(truth, drawn, mean, [np.hstack([query, np.full((300, 1), at)])], seed, QUICK)
    return result[1][0]


def test_local_test_finds_an_error_where_it_is_and_nowhere_else():
    def wrong(mean):
        return 2.0 * (mean > 0)

    assert local_p(wrong, at=0.9) == pytest.approx(1 / 101)
    assert np.median([local_p(wrong, seed, at=-0.9) for seed in range(3)]) > 0.05


def test_local_false_alarms_are_nominal():
    """30 right posteriors: p-values below a fifth are 6 +- 2.2."""
    p_values = [local_p(lambda mean: 0.0, seed, count=60) for seed in range(30)]
    assert 1 <= sum(p <= 0.2 for p in p_values) <= 14 and max(p_values) > 0.5


def test_local_test_learns_from_one_row_a_simulation_and_from_none_of_the_one_in_question():
    clusters = Clusters.from_ids(np.repeat(np.arange(20), 5))
    rows = sample_one_row_per_simulation(clusters, np.array([7, 55]), 0)
    assert sorted(rows // 5) == [simulation for simulation in range(20) if simulation not in (1, 11)]
    assert len(set(rows % 5)) > 2


def test_local_entries_and_their_words():
    posterior = gaussian(60, draws=40, shift=3.0)
    evaluation = evaluate(posterior, local=(3, 50))
    entries = evaluation.local
    assert list(entries["lc2st_p"]) == ["3", "50"] and entries["lc2st_p"]["3"].value < 0.05
    assert entries["lc2st_p_holm"]["3"].value >= entries["lc2st_p"]["3"].value
    assert evaluation.summary()[-1].startswith("Local C2ST") and "(300 are recommended)" in evaluation.summary()[-1]
    local_entries = evaluate(gaussian(10), local=(3,)).local
    assert local_entries["lc2st_p"]["3"].value is None and "fewer than 10 other" in local_entries["lc2st_p"]["3"].reason
    assert list(local_entries) == ["lc2st_p"]


def test_a_local_test_takes_so_many_draws_of_its_row(monkeypatch):
    """What the others are does not matter."""
    posterior = gaussian(20, draws=40)
    odd = changed(posterior, samples=posterior.samples.copy())
    odd.samples[3, 20:] += 100
    tested = [evaluate(evaluated, local=(3,)).local["lc2st_p"] for evaluated in (posterior, odd)]
    monkeypatch.setattr(evaluation_data, "MAX_LOCAL_DRAWS", 20)
    with_few_draws = [evaluate(evaluated, local=(3,)).local["lc2st_p"] for evaluated in (posterior, odd)]
    assert with_few_draws[0] == with_few_draws[1] and tested[0] != tested[1]


@pytest.mark.parametrize(
    ("lacking", "local", "message"),
    [({}, (60,), "no row 60; it holds row 0, 1"), ({"samples": None}, (3,), "no draws"),
     ({"ridge_estimate": None}, (3,), "no /ridge_estimate")],
)  # fmt: skip
def test_a_local_test_that_cannot_be_made_is_refused(lacking, local, message):
    with pytest.raises(UserError, match=message):
        evaluate(changed(gaussian(60), **lacking), local=local)


# ------------------------------------------------------------------------------------------------- against another
def exactly(posterior, width=1.0, shift=0.0, seed=1) -> Posterior:
    """N(reference, 0.2) is the exact posterior of ``gaussian``; widened and shifted in units of its width."""
    mean, std = posterior.diagnostics.ridge_estimate + shift * np.sqrt(0.2), width * np.sqrt(0.2)
    samples = mean[:, None] + std * np.random.default_rng(seed).standard_normal(posterior.samples.shape)
    log_prob_truth = stats.norm.logpdf(posterior.truth, mean, std).sum(axis=-1)
    return changed(posterior, samples=samples, log_prob=None, log_prob_truth=log_prob_truth)


def test_against_another_model_of_known_mean_and_width():
    posterior = gaussian(200, draws=4000)
    reference = ReferencePosterior(exactly(posterior, width=2.0, shift=0.5), "regressor")
    evaluation = evaluate(exactly(posterior, seed=2), reference=reference)
    joint, accuracy = evaluation.joint, evaluation.parameters
    assert {"expected_kl", "c2st", "fisher_loss"}.isdisjoint(joint)
    difference = exactly(posterior).log_prob_truth - reference.posterior.log_prob_truth
    assert joint["log_prob_difference"].value == pytest.approx(difference.mean())
    for name in NAMES:
        assert accuracy["mean_shift"][name].value == pytest.approx(-0.25, abs=0.01)
        assert accuracy["mean_shift_rms"][name].value == pytest.approx(0.25, abs=0.02)
        assert accuracy["width_ratio"][name].value == pytest.approx(0.5, abs=0.01)
    sentence = evaluation.summary()[-1]
    assert sentence.startswith("Compared to the regressor: mean log density at the truth higher by 0.")
    assert "widths 0.5" in sentence
    turned = evaluate(
        reference.posterior, reference=replace(reference, posterior=exactly(posterior, seed=2))
    ).summary()[-1]
    assert sentence.split(": ")[1].split(";")[0].replace("higher", "lower") == turned.split(": ")[1].split(";")[0]


def test_expected_kl_is_that_of_two_normals_and_zero_for_the_truth_itself():
    posterior = gaussian(1000, draws=10)
    exact = ReferencePosterior(changed(exactly(posterior), samples=None), "exact posterior", exact=True)
    joint = evaluate(exactly(posterior, width=1.5, shift=0.5), reference=exact).joint
    expected = 2 * (np.log(1.5) + (1 + 0.25) / (2 * 1.5**2) - 0.5)
    entry = joint["expected_kl"]
    assert entry.value == pytest.approx(expected, abs=3 * (entry.high - entry.low))
    assert entry.value == -joint["log_prob_difference"].value
    same = evaluate(exactly(posterior), reference=exact).joint["expected_kl"]
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_fisher_loss_is_the_log_of_how_much_wider_the_posterior_is():
    """Information 1 / 0.2 in each parameter: the exact posterior is just so narrow, one twice as wide 2 ln 2 wider."""
    posterior = changed(gaussian(100, draws=4000), fisher=np.broadcast_to(np.eye(2) / 0.2, (100, 2, 2)))
    reference = ReferencePosterior(changed(posterior, samples=None), "exact posterior", exact=True)
    for width in (1.0, 2.0):
        evaluation = evaluate(exactly(posterior, width=width), reference=reference)
        assert value(evaluation, "fisher_loss") == pytest.approx(2 * np.log(width), abs=0.02)


def test_observations_are_matched_by_row_and_simulation():
    first = gaussian(30)
    shuffled = first.select(np.random.default_rng(0).permutation(30)[:20])
    matched, reference = match_observations(first, ReferencePosterior(shuffled, "flow"))
    assert (
        len(matched) == 20 and (matched.index == reference.posterior.index).all() and (np.diff(matched.index) > 0).all()
    )
    np.testing.assert_array_equal(matched.samples, reference.posterior.samples)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: {"index": p.index + 100}, "it holds row 100, 101, 102, 103, 104, ... (9 in all); expected row 0, 1"),
        (
            lambda p: {"simulation": np.array([f"x{simulation_id}" for simulation_id in p.simulation])},
            "row 0 is of simulation x0; expected",
        ),
        (lambda p: {"truth": p.truth + np.array([0, 1])}, "b of row 0 is"),
        (
            lambda p: {"parameters": Parameters.from_names(("b", "a"))},
            "has the parameters b, a; expected a, b, in this order",
        ),
    ],
)
def test_comparison_with_different_observations_is_refused_with_the_mismatch(change, message):
    posterior = gaussian(9)
    with pytest.raises(UserError) as refused:
        match_observations(posterior, ReferencePosterior(changed(posterior, **change(posterior)), "flow"))
    assert message in str(refused.value)


# --------------------------------------------------------------------------------------------------- the command line
@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A posterior file, the exact one of some of its rows, and an equal one that claims nothing."""
    folder = tmp_path_factory.mktemp("against")
    posterior = gaussian(60, draws=50)
    exact = changed(exactly(posterior), fisher=np.broadcast_to(np.eye(2) / 0.2, (60, 2, 2)))
    posteriors.write(folder / "ours.h5", exactly(posterior, width=1.5, seed=2), {"command": "sample"})
    posteriors.write(folder / "truth.h5", exact.select(np.arange(40)[::-1]), {"command": "simulate"})
    posteriors.write(folder / "other.h5", exact, {"command": "sample"})
    return folder


def test_evaluate_against_an_exact_posterior(files):
    command = ["evaluate", files / "ours.h5", "--compare-to", files / "truth.h5", "--lc2st", 7, "--json"]
    status, out, err = call(*command, "-o", files / "exact.metrics.h5", "--fail-if", "expected_kl>0.01")
    assert status == 3 and "expected_kl is " in err and "left out 20 rows that the exact posterior does not hold" in err
    evaluation = Evaluation.from_json(json.loads(out))
    assert evaluation.rows == 40 and {"expected_kl", "c2st", "fisher_loss"} < set(evaluation.joint)
    assert list(evaluation.local["lc2st_p"]) == ["7"]
    assert "Compared to the exact posterior: expected KL divergence 0." in err and "Local C2ST" in err
    again = call(*command, "-o", files / "exact.metrics.h5")
    assert again[0] == 0 and "complete already" in again[2]
    assert json.loads(again[1]) == {name: entry for name, entry in json.loads(out).items() if name != "gates"}
    document = json.loads(
        done("evaluate", files / "ours.h5", "--compare-to", files / "other.h5", "--json", "-o", files / "o.h5")
    )
    assert document["compared_to"] == "other posterior" and "c2st" not in document["metrics"]["joint"]


def test_evaluate_against_a_model_draws_the_same_rows(files):
    """A moment network of the same rows: of a posterior file, and of a model; the catalog is for both."""
    sims, options = write(files / "sims.h5", *linear(200, 1)), ["--threads", 1]
    done("train-regressor", sims, "-o", files / "r.h5", "--loss", "moment", "--epochs", 3, "--ensemble", 1, *options)
    done("sample", files / "r.h5", sims, "-o", files / "r.posterior.h5", "--draws", 20, *options)
    against = ["--compare-to", files / "r.h5", "--draws", 20, "--json", *options]
    for number, subject in enumerate(("r.posterior.h5", "r.h5")):
        out = done("evaluate", files / subject, sims, *against, "-o", files / f"{number}.metrics.h5")
        evaluation = Evaluation.from_json(json.loads(out))
        assert evaluation.compared_to == "regressor" and value(evaluation, "log_prob_difference") == 0
        assert value(evaluation, "mean_shift_rms", "Omega_m") == 0 and value(evaluation, "width_ratio", "sigma_8") == 1
    subject = files / "r.posterior.h5"
    assert "is a model; name its catalog too" in refused("evaluate", subject, "--compare-to", files / "r.h5")
    assert "a catalog goes with a model only" in refused("evaluate", subject, sims, "--compare-to", subject)
    assert "has the parameters Omega_m, sigma_8" in refused(
        "evaluate", files / "ours.h5", "--compare-to", subject, "-o", files / "n.h5"
    )
