"""Metrics: by hand on a few numbers, and on a linear Gaussian whose posterior we can write down."""

import json
import re

import numpy as np
import pytest
from scipy import integrate, special, stats

from cosmoinfer.errors import UserError
from cosmoinfer.metrics import METRICS, Estimate, Evaluation, ReferencePosterior, Verdict, curves, evaluate, ranks
from cosmoinfer.metrics.bootstrap import Clusters, resampled_ks_distances, uniformity_band, uniformity_p_value
from cosmoinfer.metrics.calibration import atc
from cosmoinfer.metrics.classifier.metrics import CLASSIFICATION
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.holm import holm_adjusted
from cosmoinfer.metrics.metric import JOINT, LOCAL, PAIRS, PARAMETERS, PValue
from cosmoinfer.metrics.verdict import Check, clustered_bias, clustered_width, holm, is_contradicted
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior
from tests.posteriors import changed, make, value_of

NAMES = ("a", "b")
COLUMNS = {JOINT: ("",), PARAMETERS: NAMES, PAIRS: ("a,b",), LOCAL: ("3", "5")}
CALIBRATED = "calibrated within errors"


def gaussian(
    simulations=400, rows=1, draws=200, width=1.0, shift=0.0, noise=0.5, alike=False, seed=0, names=NAMES
) -> Posterior:
    """t ~ N(0, 1), x = t + noise: the posterior N(x v / noise^2, v), 1/v = 1 + 1/noise^2, then widened and shifted.

    ``alike``: the rows of a simulation share x and draws too, else the parameters only.
    """
    random = np.random.default_rng(seed)
    count, size = simulations * rows, len(names)
    truth = np.repeat(random.standard_normal((simulations, size)), rows, axis=0)
    x = truth + noise * random.standard_normal((count, size))
    std = np.sqrt(1 / (1 + noise**-2))
    exact = x * std**2 / noise**2
    mean, scale = exact + shift * std, width * std
    samples = mean[:, None] + scale * random.standard_normal((count, draws, size))
    if alike:
        mean, samples, exact = (np.repeat(column[::rows], rows, axis=0) for column in (mean, samples, exact))
    return make(
        Parameters.from_names(names, prior=["normal"] * size),
        np.arange(count),
        np.repeat(np.arange(simulations), rows).astype(str),
        np.full(count, 2),
        truth,
        samples=samples,
        log_prob=stats.norm.logpdf(samples, mean[:, None], scale).sum(axis=-1),
        log_prob_truth=stats.norm.logpdf(truth, mean, scale).sum(axis=-1),
        ridge_estimate=exact,
    )


def by_hand(truth, mean, std=None, **fields) -> Posterior:
    """One parameter in the box 0..10, given as a short list."""
    count = len(truth)
    columns = {"truth": truth, "mean": mean, "std": std}
    arrays = {key: np.array(value, dtype=float)[:, None] for key, value in columns.items() if value is not None}
    box = Parameters.from_names(["a"], [0.0], [10.0])
    values = {"parameters": box, "simulation": np.arange(count).astype(str)} | arrays | fields
    return make(index=100 + np.arange(count), split=np.full(count, 2), **values)


def value(evaluation, metric, name=None):
    joint, parameters = evaluation.joint, evaluation.parameters
    return (joint[metric] if name is None else parameters[metric][name]).value


# ------------------------------------------------------------------------------------------------------- by hand
T = np.array([1.0, 2.0, 4.0, 7.0])
MU = np.array([1.5, 1.0, 4.0, 9.0])
SIGMA = np.array([0.5, 1.0, 2.0, 0.25])
HAND = {
    "rmse": np.sqrt((0.25 + 1 + 0 + 4) / 4),
    "nrmse": np.sqrt(5.25 / 4) / 10,
    "bias": (0.5 - 1 + 0 + 2) / 4,
    "r2": 1 - 5.25 / (6.25 + 2.25 + 0.25 + 12.25),
    "rel_err_mean": (0.5 + 0.5 + 0 + 2 / 7) / 4,
    "rel_err_rms": np.sqrt((0.25 + 0.25 + 0 + 4 / 49) / 4),
    "precision": (0.5 / 1.5 + 1 + 0.5 + 0.25 / 9) / 4,
    "chi2": (1 + 1 + 0 + 64) / 4,
    "chi2_median": 1.0,
    "pulls_beyond_5": 0.25,
    "z_mean": (1 - 1 + 0 + 8) / 4,
    "z_std": np.std([1, -1, 0, 8]),
    "std_ratio": np.std(MU) / np.std(T),
    "corr": np.corrcoef(MU, T)[0, 1],
    "contraction": 1 - np.mean(SIGMA**2) / (100 / 12),
}


@pytest.mark.parametrize("metric", HAND)
def test_metric_by_hand(metric):
    assert value(evaluate(by_hand(T, MU, SIGMA)), metric, "a") == pytest.approx(HAND[metric], rel=1e-6)


def test_nrmse_without_a_box_is_in_units_of_the_spread_of_truths():
    evaluation = evaluate(by_hand(T, MU, parameters=Parameters.from_names(["a"])))
    assert value(evaluation, "nrmse", "a") == pytest.approx(np.sqrt(5.25 / 4) / np.std(T))


def test_log_prob_and_gain_in_nats():
    evaluation = evaluate(by_hand(T, MU, log_prob_truth=np.array([-1.0, 0.5, 0.0, -2.0])))
    assert value(evaluation, "log_prob") == pytest.approx(-0.625)
    assert value(evaluation, "log_prob_gain") == pytest.approx(-0.625 + np.log(10))


def test_exact_mean_and_width_are_preferred_over_draws():
    posterior = gaussian(50)
    exact = changed(posterior, mean=posterior.truth, std=np.ones_like(posterior.truth))
    assert value(evaluate(exact), "rmse", "a") == 0
    assert value(evaluate(exact), "precision", "a") != value(evaluate(posterior), "precision", "a")


def test_rank_among_draws_is_randomised_between_its_neighbours_and_over_ties():
    samples = np.array([1.0, 2.0, 3.0, 4.0])[None, :, None].repeat(20_000, axis=0)
    stream = np.random.default_rng(0)
    between = ranks.sbc_ranks(samples, np.full((20_000, 1), 2.5), stream)
    assert between.min() >= 2 / 5 and between.max() <= 3 / 5  # two of four below: over S + 1, not over S
    tied = ranks.sbc_ranks(samples, np.full((20_000, 1), 2.0), stream)
    assert tied.min() < 0.21 and tied.max() > 0.59 and tied.mean() == pytest.approx(0.4, abs=0.01)


def test_rank_by_density_counts_denser_draws():
    log_prob = np.array([[0.0, -1.0, -2.0, -3.0]])
    assert 2 / 5 <= ranks.hpd_ranks(log_prob, np.array([-1.5]), np.random.default_rng(0))[0] <= 3 / 5
    assert ranks.hpd_ranks(log_prob, np.array([-np.inf]), np.random.default_rng(0))[0] >= 4 / 5


def test_rank_by_density_of_a_flat_posterior_is_not_decided_by_rounding():
    truth = np.zeros(500)
    f = ranks.hpd_ranks(truth[:, None] + np.full((500, 9), 1e-12), truth, np.random.default_rng(0))
    assert stats.kstest(f, "uniform").pvalue > 1e-3


def test_rank_by_distance_is_in_units_of_the_prior():
    """In catalog units the draw is nearer to the reference (0.3 in b); in shares of the box the truth is (0.1 of a)."""
    box = Parameters.from_names(NAMES, [0.0, 0.0], [10.0, 1.0])
    samples, truth = np.array([[[5.0, 0.8]]]), np.array([[6.0, 0.5]])
    f = ranks.tarp_ranks(box, samples, truth, np.array([[0.5, 0.5]]), np.random.default_rng(0))
    assert f[0] < 0.5


def test_atc_is_the_area_between_coverage_and_diagonal():
    f = np.random.default_rng(1).beta(0.5, 0.7, size=50)
    alpha = np.linspace(0.5, 1, 200_001)
    area = integrate.trapezoid((f[:, None] < alpha).mean(axis=0) - alpha, alpha)
    assert atc(f).mean() == pytest.approx(area, abs=1e-5)


def test_coverage_counts_places_not_the_largest_observed_rank():
    """Truths always in the middle of much too wide draws: every central interval holds all of them."""
    posterior = gaussian(100, width=20.0)
    evaluation = evaluate(posterior)
    assert value(evaluation, "coverage_68", "a") == 1
    assert curves(posterior).sbc["a"].fractions.max() < 0.7


@pytest.mark.parametrize("draws", [4, 30])
def test_coverage_is_right_on_average_for_any_number_of_draws(draws):
    evaluation = evaluate(gaussian(1600, draws=draws, names=("a",)))
    assert value(evaluation, "coverage_68", "a") == pytest.approx(0.68, abs=4 * np.sqrt(0.68 * 0.32 / 1600))
    assert value(evaluation, "coverage_95", "a") == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 1600))


def test_a_share_of_all_or_none_is_not_known_exactly():
    """By simulation; Clopper & Pearson's 68.3 % for 0 of 40 ends where (1 - p)^40 is half of what is left out."""
    evaluation = evaluate(gaussian(40, width=50.0))
    covered, beyond = (evaluation.parameters[name]["a"] for name in ("coverage_68", "pulls_beyond_5"))
    assert covered.value == 1.0 == covered.high and beyond.value == 0.0 == beyond.low
    assert (covered.low**40, (1 - beyond.high) ** 40) == pytest.approx((0.1585, 0.1585))


def test_a_share_is_exact_so_that_a_gate_at_it_holds():
    pulls = np.concatenate([np.full(7, 6.0), np.zeros(93)])
    evaluation = evaluate(by_hand(np.full(100, 5.0), 5.0 + pulls, np.ones(100)))
    assert value(evaluation, "pulls_beyond_5", "a") == 0.07


# ---------------------------------------------------------------------------------------------------- the verdict
WORDS = [
    ({}, CALIBRATED),
    ({"width": 1.5}, "conservative"),
    ({"width": 1 / 1.5}, "over-confident"),
    ({"shift": 0.5}, "biased"),
    ({"shift": 8.0}, "biased"),
    ({"shift": 0.5, "width": 0.5}, "biased and over-confident"),
]


@pytest.mark.parametrize(("wrong", "word"), WORDS)
def test_verdict_on_a_posterior_that_is_calibrated_underconfident_overconfident_or_biased(wrong, word):
    evaluation = evaluate(gaussian(**wrong))
    worse = "worse than the prior, " if evaluation.value("log_prob_gain") < -0.1 else ""
    assert evaluation.verdict == Verdict(worse + word, {"a": word, "b": word})


@pytest.mark.parametrize(("wrong", "word"), WORDS[:4])
def test_verdict_without_draws_uses_the_predicted_width(wrong, word):
    drawn = gaussian(draws=2000, **wrong)
    points = changed(drawn, mean=drawn.mean, std=drawn.std, samples=None, log_prob=None)
    assert evaluate(points).verdict.parameters["a"] == word


def test_verdict_names_the_parameter_that_is_wrong():
    right, wide = gaussian(), gaussian(width=1.5)
    mixed = changed(right, samples=np.stack([right.samples[..., 0], wide.samples[..., 1]], axis=-1), log_prob=None)
    assert evaluate(mixed).verdict == Verdict("conservative (b)", {"a": CALIBRATED, "b": "conservative"})


def test_joint_verdict_sees_what_no_parameter_shows():
    """Two errors that are the same number, and draws that take them for independent."""
    right = gaussian()
    truth = right.diagnostics.ridge_estimate + (right.truth - right.diagnostics.ridge_estimate)[:, :1]
    density = stats.norm.logpdf(truth, right.diagnostics.ridge_estimate, np.sqrt(0.2)).sum(axis=-1)
    verdict = evaluate(changed(right, truth=truth, log_prob_truth=density)).verdict
    assert set(verdict.parameters.values()) == {CALIBRATED}
    assert verdict.joint != CALIBRATED


def test_verdict_on_a_posterior_that_returns_the_prior():
    words = evaluate(gaussian(noise=30.0)).verdict
    assert words.parameters["a"] == f"not constrained by the data (returns the prior), {CALIBRATED}"
    assert words.joint == words.parameters["a"]


def test_a_large_bias_is_not_called_unconstrained():
    posterior = gaussian(shift=4.0)
    assert value(evaluate(posterior), "r2", "a") < 0
    assert evaluate(posterior).verdict.parameters["a"] == "biased"


def test_verdict_needs_simulations():
    few = evaluate(gaussian(5, rows=4))
    assert "too few simulations" in few.verdict.joint
    summary = " ".join(few.summary())
    assert "Of 5 simulations no metric says which parameters are constrained" in summary
    assert not [start for start in ("Constrained:", "Correlated", "Not constrained", "The 68 %") if start in summary]


def test_holm_stops_at_the_first_that_does_not_reject():
    checks = [Check("a", "bias", p) for p in (0.03, 0.001, 0.04, 0.016)]  # limits .0125, .0167, .025, .05
    assert [check.p for check in holm(checks)] == [0.001, 0.016]


def test_holm_adjusts_by_hand_and_what_was_no_test_does_not_count():
    adjusted = holm_adjusted(np.array([0.03, 0.001, np.nan, 0.04, 0.016, 0.5]))
    np.testing.assert_allclose(adjusted, [0.09, 0.005, np.nan, 0.09, 0.064, 0.5])
    assert holm_adjusted(np.array([0.7, 0.6])).tolist() == [1, 1]


def test_p_values_of_several_parameters_share_one_error_rate():
    wrong = gaussian(width=1.3)
    entries = evaluate(wrong).parameters
    raw = np.array([entries["sbc_p"][name].value for name in NAMES])
    assert [entries["sbc_p_holm"][name].value for name in NAMES] == pytest.approx(holm_adjusted(raw))
    assert raw.min() * 2 == pytest.approx(holm_adjusted(raw).min())


@pytest.mark.parametrize(
    ("sign", "value", "expected"),
    [(1, 0.5, True), (1, 0.66, False), (1, 0.8, False), (-1, 0.8, True), (-1, 0.7, False), (-1, 0.5, False)],
)
def test_a_joint_word_is_contradicted_by_the_coverage_of_a_parameter(sign: int, value: float, expected: bool) -> None:
    coverage = {"a": Estimate(0.68, 0.65, 0.71), "b": Estimate(value, value - 0.03, value + 0.03), "c": Estimate(None)}
    assert is_contradicted(sign, coverage) == expected


# --------------------------------------------------------------------------------------------- what tests cannot see
def test_posterior_equal_to_the_prior_passes_sbc_and_tarp_but_not_with_references_that_depend_on_x():
    informed = gaussian()
    samples = np.random.default_rng(5).standard_normal(informed.samples.shape)
    prior = changed(informed, samples=samples, log_prob=None, log_prob_truth=None)
    evaluation = evaluate(prior)
    assert min(value(evaluation, "sbc_p", name) for name in NAMES) > 0.01
    assert value(evaluation, "tarp_p") > 0.01
    assert value(evaluation, "tarp_x_p") < 1e-4 and value(evaluation, "tarp_x_atc") > 0
    assert evaluation.verdict.joint.endswith("conservative")
    assert value(evaluation, "contraction", "a") == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(("width", "sign"), [(1.5, 1), (1 / 1.5, -1)])
def test_tarp_is_a_one_sample_test_that_rejects_and_its_area_tells_the_side(width, sign):
    evaluation = evaluate(gaussian(800, width=width))
    for kind in ("tarp", "tarp_x"):
        assert value(evaluation, f"{kind}_p") < 1e-3
        assert np.sign(value(evaluation, f"{kind}_atc")) == sign


# --------------------------------------------------------------------------------------- false alarms and clusters
def test_false_alarms_of_the_parameter_tests_are_nominal():
    """300 right posteriors, of 40 simulations each; 5 % of 300 is 15 +- 3.8."""
    random = np.random.default_rng(3)
    clusters = Clusters.from_ids(np.arange(40))
    u = random.random((300, 40))
    for test in (lambda u: clustered_bias(special.ndtri(u), clusters)[0],
                 lambda u: clustered_width(special.ndtri(u), clusters)[0],
                 lambda u: uniformity_p_value(u, clusters)):  # fmt: skip
        assert 4 <= sum(test(uniform_ranks) < 0.05 for uniform_ranks in u) <= 28


def test_false_alarms_of_the_joint_tests_are_nominal():
    """300 right posteriors: 30 +- 5.2 p-values of each kind lie below a tenth; the bounds are four sigma."""
    repetitions = [EvaluationData(gaussian(60, draws=40, seed=seed), seed) for seed in range(300)]
    for kind in ("tarp_ranks", "tarp_x_ranks", "hpd_ranks"):
        assert 9 <= sum(uniformity_p_value(getattr(data, kind), data.clusters) < 0.1 for data in repetitions) <= 51


def test_false_alarms_of_whole_verdicts_are_nominal():
    """40 right posteriors: at 5 % each, more than 8 accused have a probability of 1e-4."""
    evaluations = [evaluate(gaussian(60, draws=40, seed=seed), seed) for seed in range(40)]
    assert sum(evaluation.verdict.joint != CALIBRATED for evaluation in evaluations) <= 8


def test_rows_that_repeat_a_simulation_cheat_the_plain_test_but_not_the_clustered_one():
    random = np.random.default_rng(4)
    clusters = Clusters.from_ids(np.repeat(np.arange(40), 15))
    u = np.repeat(random.random((60, 40)), 15, axis=1)
    assert sum(stats.kstest(uniform_ranks, "uniform").pvalue < 0.05 for uniform_ranks in u) > 30
    assert sum(uniformity_p_value(uniform_ranks, clusters) < 0.05 for uniform_ranks in u) <= 9  # 3 +- 1.7


def test_the_clustered_test_still_rejects():
    u = np.repeat(np.random.default_rng(4).beta(3, 3, size=100), 15)
    assert uniformity_p_value(u, Clusters.from_ids(np.repeat(np.arange(100), 15))) < 0.01


def test_intervals_of_repeated_rows_are_those_of_the_simulations():
    repeated = gaussian(100, rows=15, draws=100, alike=True)
    fields = ("index", "simulation", "split", "truth", "samples", "log_prob", "log_prob_truth", "ridge_estimate")
    single_rows = changed(repeated, **{name: value_of(repeated, name)[::15] for name in fields})
    wide, narrow = (evaluate(posterior).parameters for posterior in (repeated, single_rows))
    for metric in ("rmse", "r2", "bias", "chi2_median", "corr"):
        first, second = wide[metric]["a"], narrow[metric]["a"]
        assert first.value == pytest.approx(second.value)
        assert first.high - first.low == pytest.approx(second.high - second.low, rel=1e-6)


def test_interval_is_as_wide_as_the_spread_between_repetitions():
    entries = [evaluate(by_hand_pulls(seed)).parameters["bias"]["a"] for seed in range(60)]
    spread = np.std([entry.value for entry in entries])
    width = np.mean([(entry.high - entry.low) / 2 for entry in entries])
    assert width == pytest.approx(spread, rel=0.3)


def by_hand_pulls(seed) -> Posterior:
    """Errors that the five rows of a simulation share."""
    error = np.repeat(np.random.default_rng(seed).standard_normal(40), 5)
    return by_hand(np.full(200, 5.0), 5 + error, simulation=np.repeat(np.arange(40), 5).astype(str))


def test_equal_draws_of_simulations_with_unequal_rows_are_weighted_by_row():
    clusters = Clusters.from_ids(np.array(["x", "y", "y", "y"]))
    means = clusters.resampled(lambda weights: weights @ np.array([0.0, 1.0, 1.0, 1.0]))
    assert set(np.round(means, 6)) == {0.0, 0.75, 1.0}
    assert np.round(resampled_ks_distances(np.array([0.1, 0.2, 0.3, 0.4]), clusters), 6).max() == 0.75


# -------------------------------------------------------------------------------------------- absent, null, refused
def test_every_number_has_its_key_and_the_document_is_json():
    posterior = changed(gaussian(60), ood_percentile=np.linspace(0, 99, 60), ood_set_p_value=0.5)
    exact = changed(posterior, fisher=np.broadcast_to(np.eye(2), (60, 2, 2)))
    evaluation = evaluate(posterior, reference=ReferencePosterior(exact, "exact posterior", exact=True), local=(3, 5))
    document = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert document == evaluation.to_json() and Evaluation.from_json(document) == evaluation
    assert set(document) == {"rows", "simulations", "compared_to", "verdict", "metrics"}
    assert (evaluation.rows, evaluation.simulations) == (document["rows"], document["simulations"]) == (60, 60)
    assert not set(CLASSIFICATION) & {*evaluation.joint, *evaluation.parameters}
    for name, metric in METRICS.items():
        if name in CLASSIFICATION:
            continue
        estimates = evaluation.estimates(name)
        assert tuple(estimates) == COLUMNS[metric.scope]
        written = document["metrics"][metric.scope][name]
        for column, entry in estimates.items():
            assert (written[column] if column else written) == entry.to_json()
            if isinstance(metric, PValue):
                assert 0 <= entry.value <= 1 and entry.low is None and entry.reason
            else:
                assert entry.low <= entry.value <= entry.high


def test_same_seed_same_document_and_another_seed_moves_no_plain_number():
    posterior = gaussian(60)
    assert evaluate(posterior, 1) == evaluate(posterior, 1)
    first, second = evaluate(posterior, 1), evaluate(posterior, 2)
    assert value(first, "r2", "a") == value(second, "r2", "a")
    assert value(first, "sbc_p", "a") != value(second, "sbc_p", "a")


def test_a_plain_regressor_has_accuracy_only():
    evaluation = evaluate(by_hand(T, MU))
    assert evaluation.joint == {}
    accuracy = {"rmse", "nrmse", "bias", "r2", "rel_err_mean", "rel_err_rms", "std_ratio", "corr"}
    assert set(evaluation.parameters) == accuracy
    assert evaluation.verdict.joint == "no width: calibration not available"
    assert json.dumps(evaluation.to_json(), allow_nan=False)
    assert 2 <= len(evaluation.summary()) <= 5
    no_curves = curves(by_hand(T, MU))
    assert (no_curves.sbc, no_curves.central, no_curves.tarp, no_curves.hpd) == ({}, {}, None, None)


def test_an_unknown_prior_is_null_with_the_reason_only_where_it_matters():
    posterior = gaussian(60)
    evaluation = evaluate(changed(posterior, parameters=posterior.parameters.with_prior(["normal", "unknown"])))
    missing = Estimate.missing("the prior of b is not known")
    for metric in ("log_prob_gain", "tarp_p", "tarp_atc", "tarp_x_p", "tarp_x_atc"):
        assert evaluation.joint[metric] == missing
    assert evaluation.parameters["contraction"]["b"] == missing
    assert value(evaluation, "contraction", "a") == pytest.approx(0.8, abs=0.02)
    assert None not in (value(evaluation, "log_prob"), value(evaluation, "hpd_p"), value(evaluation, "sbc_p", "b"))
    assert json.dumps(evaluation.to_json(), allow_nan=False)


def test_a_truth_without_density_is_not_hidden():
    log_prob = np.array([-1.0, -np.inf, 0.0, -np.inf])
    entry = evaluate(by_hand(T, MU, log_prob_truth=log_prob)).joint["log_prob"]
    assert entry.value is None
    assert "-inf in 2 of 4 rows (row 101, 103)" in entry.reason


def test_metrics_that_are_not_finite_are_null_with_a_reason():
    evaluation = evaluate(by_hand([0.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 0.0, 1.0]))
    accuracy = evaluation.parameters
    assert accuracy["rel_err_mean"]["a"].reason == "inf in 1 of 3 rows (row 100): a true value is zero"
    assert accuracy["chi2"]["a"].reason == "nan in 1 of 3 rows (row 101): a standard deviation is zero"
    assert accuracy["rmse"]["a"].value == pytest.approx(np.sqrt(1 / 3))
    assert json.dumps(evaluation.to_json(), allow_nan=False)


def test_draws_that_are_not_finite_make_no_rank():
    posterior = gaussian(60)
    posterior.samples[7, 3, 0] = np.nan
    evaluation = evaluate(posterior)
    for metric in ("sbc_p", "coverage_68"):
        assert "nan in 1 of 60 rows (row 7)" in evaluation.parameters[metric]["a"].reason
        assert value(evaluation, metric, "b") is not None
    assert value(evaluation, "tarp_p") is None
    assert "not available" in evaluation.verdict.joint
    assert "a" not in curves(posterior).sbc
    assert json.dumps(evaluation.to_json(), allow_nan=False)


@pytest.mark.parametrize("rows", [1, 12])
def test_one_simulation_has_values_and_no_intervals(rows):
    evaluation = evaluate(gaussian(1, rows=rows))
    entry = evaluation.parameters["rmse"]["a"]
    assert entry.value > 0 and (entry.low, entry.high) == (None, None) and "one simulation" in entry.reason
    assert evaluation.parameters["r2"]["a"] == Estimate.missing("all true values are equal")
    assert json.dumps(evaluation.to_json(), allow_nan=False)


def test_evaluation_without_truths_or_rows_is_refused():
    with pytest.raises(UserError, match="no true parameters"):
        evaluate(changed(gaussian(3), truth=None))
    with pytest.raises(UserError, match="no rows"):
        evaluate(by_hand([], []))


# --------------------------------------------------------------------------------------------------------- one universe
def one_universe(truth=(0.8, -0.4), simulations=300, rows=1, noise=0.5) -> Posterior:
    """Many noisy observations of one theta, with the exact posterior of each under the prior N(0, 1)."""
    posterior = gaussian(simulations, rows, noise=noise)
    shift = np.array(truth) - posterior.truth
    size = 1 / (1 + noise**2)  # x moves along with theta, the posterior mean by this share
    samples, reference = posterior.samples + size * shift[:, None], posterior.diagnostics.ridge_estimate + size * shift
    return changed(posterior, truth=posterior.truth + shift, samples=samples, ridge_estimate=reference)


def test_one_universe_gives_a_bias_with_its_error_and_no_calibration():
    posterior = one_universe()
    evaluation = evaluate(changed(posterior, truth=np.broadcast_to([0.8, -0.4], posterior.truth.shape)))
    entry = evaluation.parameters["bias"]["a"]
    words = re.fullmatch(
        r"fixed at 0.8: bias (\S+) \+- (\S+) \((\S+) errors, (\S+) of its width\)",
        evaluation.verdict.parameters["a"],
    )
    bias, error, errors, widths = map(float, words.groups())
    assert widths == pytest.approx(abs(evaluation.parameters["z_mean"]["a"].value), abs=0.005)
    scatter = 0.8 * 0.5 / np.sqrt(300)  # a posterior mean is 0.8 x, and x scatters by 0.5
    assert bias == pytest.approx(entry.value, abs=1e-3) and errors == pytest.approx(abs(bias) / error, rel=0.1)
    assert bias == pytest.approx(-0.2 * 0.8, abs=4 * scatter) and error == pytest.approx(scatter, rel=0.2)
    assert evaluation.parameters["r2"]["a"].reason == "all true values are equal"
    assert evaluation.verdict.joint == "calibration not assessed: all true values of a, b are equal"
    summary = " ".join(evaluation.summary())
    assert "Single cosmology: a fixed at 0.8: bias -0.1" in summary and "; b fixed at -0.4: bias +0.0" in summary
    for metric in ("sbc_p", "sbc_p_holm", "coverage_68"):
        assert evaluation.parameters[metric]["b"].reason == "all true values are equal"
    for metric in ("tarp_p", "tarp_x_p", "tarp_atc", "hpd_p"):
        assert evaluation.joint[metric].reason == "all true values of a, b are equal"
    assert curves(changed(posterior, truth=np.full_like(posterior.truth, 0.8))).sbc == {}


def test_a_right_posterior_of_one_universe_would_fail_what_is_not_asked_of_it():
    """At a truth in the wing of the prior, coverage is not 0.68: the reason why nothing of the sort is tested there."""
    data = EvaluationData(one_universe((2.5, 2.5)))
    assert uniformity_p_value(data.sbc_ranks[:, 0], data.clusters) < 1e-6


def test_the_bias_of_one_universe_is_clustered_by_simulation():
    wide = evaluate(changed(repeated := one_universe(rows=5), truth=np.full_like(repeated.truth, 0.8)))
    words = wide.verdict.parameters["a"]
    mean, error = repeated.mean[:, 0] - 0.8, float(words.split("+- ")[1].split()[0])
    sums = mean.reshape(300, 5).mean(axis=1)
    assert error == pytest.approx(sums.std(ddof=1) / np.sqrt(300), rel=0.06)


def test_one_fixed_parameter_stops_the_calibration_of_all_but_not_their_accuracy():
    posterior = gaussian(60)
    truth = posterior.truth.copy()
    truth[:, 1] = 0.1 + 0.2
    evaluation = evaluate(changed(posterior, truth=truth))
    assert evaluation.verdict.parameters["a"] == "calibration not assessed: all true values of b are equal"
    assert evaluation.verdict.parameters["b"].startswith("fixed at 0.3: bias ")
    assert evaluation.parameters["sbc_p"]["a"].value is None
    assert value(evaluation, "r2", "a") > 0.7 and value(evaluation, "r2", "b") is None


def test_truths_from_another_prior_do_not_test_calibration():
    evaluation = evaluate(changed(gaussian(60), reweighted=True))
    assert "another prior" in evaluation.verdict.joint and value(evaluation, "tarp_p") is None


# ------------------------------------------------------------------------------------------------ pairs, oddness
def test_figure_of_merit_is_the_inverse_area_of_the_covariance():
    random = np.random.default_rng(0)
    wide = np.array([1.0, 2.0, 4.0])  # of the three rows; the median row decides
    draws = wide[:, None, None] * random.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=(3, 20_000))
    posterior = changed(gaussian(3), samples=draws, log_prob=None)
    assert evaluate(posterior).pairs["fom"]["a,b"].value == pytest.approx(1 / (2**2 * np.sqrt(1 - 0.6**2)), rel=0.03)
    names = ("a", "b", "c")
    assert list(evaluate(gaussian(30, names=names)).pairs["fom"]) == ["a,b", "a,c", "b,c"]
    assert evaluate(gaussian(30, names=("a",))).pairs == {}


def test_ood_fraction_is_the_share_beyond_the_95th_percentile():
    posterior = changed(gaussian(40), ood_percentile=np.repeat([10.0, 95.0, 95.1, 100.0], 10), ood_set_p_value=0.25)
    evaluation = evaluate(posterior)
    assert value(evaluation, "ood") == 0.5 and value(evaluation, "ood_set_p") == 0.25


# ------------------------------------------------------------------------------------------------ words and curves
def test_summary_has_accuracy_and_calibration():
    summary = " ".join(evaluate(gaussian(width=1 / 1.5)).summary())
    for words in (
        "400 rows of 400 simulations",
        "information gain over the prior 1.",
        "a (R2 0.8",
        "over-confident",
        "68 % intervals",
    ):
        assert words in summary
    loose = " ".join(evaluate(gaussian(noise=30.0)).summary())
    assert "Not constrained by the data: a, b" in loose and "Constrained" not in loose
    known = gaussian()
    unknown = changed(known, parameters=known.parameters.with_prior(["unknown"] * 2))
    assert (
        "; information gain over the prior not known: the prior of a, b is not known." in evaluate(unknown).summary()[0]
    )


def test_what_misses_the_true_values_is_not_called_constrained():
    """R2 below zero, and true values less probable than under the prior: the words are those of a failure."""
    shifted = evaluate(gaussian(shift=8.0))
    assert shifted.value("r2", "a") < 0 and shifted.value("corr", "a") > 0.5
    summary = " ".join(shifted.summary())
    assert "Constrained" not in summary and "no nearer to them than their mean: a (R2 -" in summary
    assert shifted.verdict.joint.startswith("worse than the prior, biased")
    assert "less probable under the posterior than under the prior: do not use" in summary
    assert "worse than the prior" not in evaluate(gaussian()).verdict.joint


def test_an_evaluation_prints_its_tables_and_its_summary():
    evaluation = evaluate(gaussian(60, names=("a", "b<c")))
    printed = str(evaluation)
    for expected in ("rmse", "log_prob_gain", "fom[a,b<c]", "verdicts", *evaluation.summary()):
        assert expected in printed
    assert str(evaluation.parameters["r2"]["a"]) in printed and " ± " in str(evaluation.parameters["r2"]["a"])
    html = evaluation._repr_html_()
    assert html.count("<table>") == html.count("</table>") == 3
    assert "b&lt;c" in html and "b<c" not in html
    title, *verdicts = repr(evaluation).splitlines()
    assert title == f"Evaluation of 60 rows of 60 simulations: {evaluation.verdict.joint}"
    assert verdicts == [f"  {name}: {verdict}" for name, verdict in evaluation.verdict.parameters.items()]
    assert evaluation.value("log_prob") == evaluation.joint["log_prob"].value and evaluation.value("c2st") is None


@pytest.mark.parametrize("rows", [1, 5])
def test_curves_leave_their_band_when_the_test_rejects(rows):
    for width, out in ((1.0, False), (1 / 1.5, True)):
        posterior = gaussian(200, rows=rows, draws=100, width=width, alike=True)
        calibration_curves = curves(posterior)
        for curve in (
            calibration_curves.sbc["a"],
            calibration_curves.central["b"],
            calibration_curves.tarp_x,
            calibration_curves.hpd,
        ):
            assert (np.abs(curve.coverage - curve.alpha).max() > curve.band) == out
            assert (curve.low <= curve.high).all() and curve.coverage[0] == 0 and curve.coverage[-1] == 1
        assert calibration_curves.sbc["a"].coverage[50] == (calibration_curves.sbc["a"].fractions < 0.5).mean()


def test_band_of_repeated_rows_is_that_of_the_simulations():
    u = np.random.default_rng(0).random(200)
    plain = uniformity_band(u, Clusters.from_ids(np.arange(200)))
    assert uniformity_band(np.repeat(u, 5), Clusters.from_ids(np.repeat(np.arange(200), 5))) == pytest.approx(
        plain, rel=0.2
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("names", [("a",), NAMES])
@pytest.mark.parametrize("simulations", [1, 20])
def test_a_single_draw_has_a_mean_and_no_width(names, simulations):
    """Nothing is divided by zero on the way, and what needs a width is null with a reason."""
    posterior = gaussian(simulations, draws=1, names=names)
    assert np.isnan(posterior.draws.covariance()).all()
    evaluation = evaluate(posterior)
    estimates = [estimate for metric in ("chi2", "contraction") for estimate in evaluation.parameters[metric].values()]
    estimates += evaluation.pairs.get("fom", {}).values()
    assert len(estimates) == (5 if len(names) == 2 else 2)
    assert all(estimate.value is None and estimate.reason for estimate in estimates)
    assert all(estimate.value is not None for estimate in evaluation.parameters["rmse"].values())


def test_the_covariance_of_draws_has_the_divisor_of_their_width():
    draws = gaussian(3, draws=5).draws
    np.testing.assert_allclose(np.diagonal(draws.covariance(), axis1=1, axis2=2), draws.std() ** 2)
