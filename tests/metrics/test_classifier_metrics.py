"""A classifier's probabilities: by hand on a few rows, against other formulas, and where the right ones are known."""

import json

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics as sklearn_metrics

from cosmoinfer import metrics, storage
from cosmoinfer.cli.tables import metrics_table
from cosmoinfer.metrics import Evaluation, check_gate, evaluate, reliability
from cosmoinfer.metrics.bootstrap import Clusters
from cosmoinfer.metrics.classifier.metrics import CLASSIFICATION
from cosmoinfer.metrics.classifier.reliability import equal_mass
from cosmoinfer.metrics.classifier.verdict import _poisson_binomial, class_verdict, frequency_test
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.metric import Statistic
from cosmoinfer.metrics.registry import METRICS
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior
from tests.command_line import printed
from tests.posteriors import changed, make

SUITE = Parameters.from_names(("suite",))
CALIBRATED, OVER_CONFIDENT, CONSERVATIVE = "calibrated within errors", "over-confident", "conservative"
TOO_SHARP, TOO_FLAT = 2.5, 0.4


def by_hand(label, probabilities, simulation=None, classes=None) -> Posterior:
    count, size = np.shape(probabilities)
    simulation = np.arange(count) if simulation is None else np.asarray(simulation)
    index, partition, truth = 100 + np.arange(count), np.full(count, 2), np.array(label, dtype=float)[:, None]
    names = classes or ("TNG", "SIMBA", "Astrid", "EAGLE")[:size]
    return make(
        SUITE, index, simulation.astype(str), partition, truth, probabilities=np.array(probabilities), names=names
    )


def exact(simulations=300, rows=1, frequency=(0.6, 0.4), distance=2.0, sharp=1.0, towards=0.0, alike=0.5, seed=0):
    """x ~ N(distance e_k, 1) of class k: p_k ~ frequency_k exp(distance x_k) is right; ``sharp`` raises it to a power.

    The rows of a simulation share the class and the part ``alike`` of the variance of x. ``towards`` the first class.
    """
    random = np.random.default_rng(seed)
    size, count = len(frequency), simulations * rows
    label = np.repeat(random.choice(size, simulations, p=frequency), rows)
    shared = np.repeat(random.standard_normal((simulations, size)), rows, axis=0)
    x = distance * np.eye(size)[label] + np.sqrt(alike) * shared
    x += np.sqrt(1 - alike) * random.standard_normal((count, size))
    logits = np.log(frequency) + distance * x + towards * np.eye(size)[0]
    return by_hand(label, special.softmax(sharp * logits, axis=1), np.repeat(np.arange(simulations), rows))


def value(evaluation, metric):
    return evaluation.joint[metric].value


def words(posterior):
    return evaluate(posterior).verdict.joint


# ------------------------------------------------------------------------------------------------------- by hand
LABEL = [0, 0, 0, 1, 2]
PROBABILITIES = [[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.25, 0.5, 0.25], [0.6, 0.2, 0.2]]
HAND = {
    "accuracy": 3 / 5,
    "balanced_accuracy": (2 / 3 + 1 + 0) / 3,
    "log_score": np.log([0.5, 0.1, 0.7, 0.5, 0.2]).mean(),
    "log_score_gain": np.log([0.5, 0.1, 0.7, 0.5, 0.2]).mean() - 0.6 * np.log(0.6) - 0.4 * np.log(0.2),
    "brier": (0.38 + 1.46 + 0.14 + 0.375 + 1.04) / 5,
    "ece": abs(0.5 + 0.8 + 0.7 + 0.5 + 0.6 - 3) / 5,  # so few rows are one bin
}


@pytest.mark.parametrize("metric", HAND)
def test_metric_by_hand(metric):
    assert value(evaluate(by_hand(LABEL, PROBABILITIES)), metric) == pytest.approx(HAND[metric])


def test_metrics_are_those_of_scikit_learn():
    posterior = exact(frequency=(0.5, 0.3, 0.2))
    evaluation, label = evaluate(posterior), posterior.truth[:, 0]
    guess = posterior.classes.probabilities.argmax(axis=1)
    assert value(evaluation, "balanced_accuracy") == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(label, guess)
    )
    assert value(evaluation, "log_score") == pytest.approx(
        -sklearn_metrics.log_loss(label, posterior.classes.probabilities)
    )
    np.testing.assert_array_equal(evaluation.confusion.counts, sklearn_metrics.confusion_matrix(label, guess))
    assert "auc" not in evaluation.joint  # of two classes only
    pair = exact()
    rounded = np.round(pair.classes.probabilities, 1)  # many ties
    area = sklearn_metrics.roc_auc_score(pair.truth[:, 0], rounded[:, 1])
    assert value(evaluate(changed(pair, probabilities=rounded)), "auc") == pytest.approx(area)


@pytest.mark.parametrize("metric", [name for name, metric in CLASSIFICATION.items() if isinstance(metric, Statistic)])
def test_a_row_of_weight_three_counts_as_three_rows(metric):
    posterior, times = exact(15, alike=0), np.random.default_rng(1).integers(1, 4, 15)
    compute, repeated = CLASSIFICATION[metric].compute, posterior.select(np.repeat(np.arange(15), times))
    weighted = compute(EvaluationData(posterior), times[None] / times.sum())
    if metric == "ece":  # the sign of a gap is that of all rows
        excess = EvaluationData(posterior).predictions.overconfidence
        assert weighted == pytest.approx(np.sign(excess.sum()) * (times @ excess) / times.sum())
    else:
        assert weighted == pytest.approx(compute(EvaluationData(repeated), np.full((1, times.sum()), 1 / times.sum())))


def test_calibration_error_is_the_weighted_gap_of_bins_of_equal_mass():
    """Two levels of confidence, 30 rows each: 0.9 of which 24 are right, and 0.6 of which 21 are."""
    probabilities = np.repeat([[0.9, 0.1], [0.6, 0.4]], 30, axis=0)
    label = np.concatenate([np.arange(30) >= 24, np.arange(30) >= 21])
    assert value(evaluate(by_hand(label, probabilities)), "ece") == pytest.approx((0.1 + 0.1) / 2)


def test_bins_have_equal_mass_and_equal_values_share_one():
    values = np.random.default_rng(0).random(1000)
    assert np.ptp(np.bincount(equal_mass(values))) <= 1 and equal_mass(values).max() == 14
    assert np.bincount(equal_mass(values[:70])).tolist() == [23, 23, 24]
    assert (np.diff(equal_mass(np.sort(values))) >= 0).all()
    assert equal_mass(np.repeat([0.2, 0.9], [10, 190])).tolist() == [0] * 10 + [1] * 190
    assert set(equal_mass(np.full(100, 0.5))) == {0}


def test_the_calibration_error_of_a_right_classifier_goes_to_zero_and_of_a_wrong_one_does_not():
    data = [EvaluationData(exact(20_000, sharp=sharp, alike=0)) for sharp in (1.0, TOO_SHARP, TOO_FLAT)]
    errors = [CLASSIFICATION["ece"].compute(evaluated, evaluated.clusters.equal_weights)[0] for evaluated in data]
    assert errors[0] < 0.015 and min(errors[1:]) > 0.04


# --------------------------------------------------------------------------------------------- evaluation and file
def test_a_classifier_has_metrics_of_classes_only_and_its_document_is_json():
    evaluation = evaluate(exact())
    document = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert document == evaluation.to_json() and Evaluation.from_json(document) == evaluation
    assert set(document) == {"rows", "simulations", "verdict", "metrics", "confusion"}
    assert set(evaluation.joint) == set(CLASSIFICATION) and evaluation.parameters == {}
    assert set(CLASSIFICATION) < set(METRICS)
    assert set(evaluation.verdict.parameters) == {"suite"}
    for entry in evaluation.joint.values():
        assert entry.low <= entry.value <= entry.high


def test_the_metrics_file_holds_document_and_arrays(tmp_path):
    evaluation = evaluate(by_hand(LABEL, PROBABILITIES))
    metrics.write(tmp_path / "m.h5", evaluation, {"settings": {}})
    assert metrics.read(tmp_path / "m.h5") == evaluation
    arrays = storage.read_contents(tmp_path / "m.h5").arrays
    assert arrays["classes"].tolist() == ["TNG", "SIMBA", "Astrid"]
    assert arrays["confusion"].tolist() == [[2, 1, 0], [0, 1, 0], [1, 0, 0]]  # the true class down
    assert arrays["joint/accuracy"][0] == 3 / 5


def test_gates_speak_of_classes():
    evaluation = evaluate(by_hand(LABEL, PROBABILITIES))
    assert check_gate(evaluation, "accuracy<0.9").reason == "the gate accuracy<0.9 failed: accuracy is 0.6"
    assert check_gate(evaluation, "accuracy<0.6").passed


def test_a_true_class_without_probability_is_null_and_not_hidden():
    certain = by_hand([0] * 20 + [1], [[1.0, 0.0]] * 21)
    evaluation = evaluate(certain)
    for metric in ("log_score", "log_score_gain"):
        assert evaluation.joint[metric].value is None
        assert "a true class was given no probability" in evaluation.joint[metric].reason
    assert "row 120" in evaluation.joint["log_score"].reason
    assert OVER_CONFIDENT in evaluation.verdict.joint  # a certainty that failed once
    assert json.dumps(evaluation.to_json(), allow_nan=False) and evaluation.summary()


def test_rows_of_one_class_have_no_area_and_their_accuracy_all_the_same():
    evaluation = evaluate(exact(frequency=(1.0, 1e-300)))
    assert evaluation.joint["auc"].reason == "all rows are of one class"
    assert value(evaluation, "accuracy") == value(evaluation, "balanced_accuracy") == 1
    assert "prior" not in evaluation.verdict.joint
    assert json.dumps(evaluation.to_json(), allow_nan=False)


# ------------------------------------------------------------------------------------------------------ intervals
def test_intervals_of_repeated_rows_are_those_of_the_simulations():
    single_rows = exact(100)
    repeated = single_rows.select(np.repeat(np.arange(100), 15))
    wide, narrow = (evaluate(posterior).joint for posterior in (repeated, single_rows))
    for metric in set(CLASSIFICATION) - {"ece"}:  # with more rows there are more bins
        np.testing.assert_allclose(wide[metric].to_array(), narrow[metric].to_array(), rtol=1e-6)


def test_interval_is_as_wide_as_the_spread_between_repetitions():
    repetitions = [evaluate(exact(100, rows=5, seed=seed)).joint for seed in range(40)]
    for metric in ("accuracy", "balanced_accuracy", "log_score", "log_score_gain", "brier", "auc"):
        spread = np.std([entries[metric].value for entries in repetitions])
        width = np.mean([(entries[metric].high - entries[metric].low) / 2 for entries in repetitions])
        assert width == pytest.approx(spread, rel=0.35)


# ---------------------------------------------------------------------------------------------------- the verdict
@pytest.mark.parametrize("rows", [1, 15])
@pytest.mark.parametrize(("sharp", "word"), [(1.0, CALIBRATED), (TOO_SHARP, OVER_CONFIDENT), (TOO_FLAT, CONSERVATIVE)])
@pytest.mark.parametrize("frequency", [(0.5, 0.5), (0.4, 0.3, 0.3)])
def test_verdict_on_a_classifier_that_is_calibrated_overconfident_or_underconfident(frequency, sharp, word, rows):
    assert words(exact(400, rows, frequency, sharp=sharp, distance=1.7)) == word


@pytest.mark.parametrize("rows", [1, 15])
def test_verdict_on_a_classifier_that_is_biased_towards_a_class(rows):
    assert words(exact(400, rows, towards=1.2)).startswith("biased towards TNG")
    assert words(exact(400, rows, towards=-1.2)).startswith("biased towards SIMBA")
    assert words(exact(400, rows, (0.4, 0.3, 0.3), towards=1.5)).startswith("biased towards TNG")


def test_verdict_on_a_classifier_that_returns_the_prior():
    uninformed = exact(300, distance=0.0)
    assert words(uninformed) == f"not constrained by the data (returns the prior), {CALIBRATED}"
    assert words(exact(300, distance=1.0)) == CALIBRATED
    assert "prior" not in words(exact(300, distance=1.0, sharp=40.0))  # scores worse than the prior, yet knows


def test_verdict_needs_simulations():
    assert "too few simulations" in words(exact(5, rows=4))
    assert "too few simulations" in words(exact(1, rows=4))


def test_chances_of_a_count_are_those_of_formulas():
    np.testing.assert_allclose(_poisson_binomial(np.full(37, 0.3)), stats.binom.pmf(np.arange(38), 37, 0.3), atol=1e-14)
    np.testing.assert_allclose(_poisson_binomial(np.array([0.5, 0.1, 1.0])), [0, 0.45, 0.5, 0.05], atol=1e-15)
    np.testing.assert_allclose(_poisson_binomial(np.array([0.2])), [0.8, 0.2])


def test_p_value_of_single_rows_is_the_exact_one():
    came = np.arange(40) < 34
    p, side = frequency_test(np.full(40, 0.7), came, Clusters.from_ids(np.arange(40)))
    assert p == pytest.approx(2 * stats.binom.sf(33, 40, 0.7)) and side == -1


@pytest.mark.parametrize(("confidence", "word"), [(0.995, CALIBRATED), (0.8, CONSERVATIVE)])
def test_no_mistake_accuses_only_where_several_were_to_be_expected(confidence, word):
    """Of 200 rows: one mistake, and 40."""
    probabilities = np.tile([[confidence, 1 - confidence], [1 - confidence, confidence]], (100, 1))
    assert words(by_hand([0, 1] * 100, probabilities)) == word


@pytest.mark.parametrize(("confidence", "word"), [(0.99, CALIBRATED), (0.8, CONSERVATIVE)])
def test_mistakes_of_one_simulation_may_come_together(confidence, word):
    """1500 rows without a mistake where 15 were to be expected: they may be those of one simulation of 100."""
    pair = [[confidence, 1 - confidence], [1 - confidence, confidence]]
    rows = [np.repeat(column, 15, axis=0) for column in ([0, 1] * 50, np.tile(pair, (50, 1)), np.arange(100))]
    assert words(by_hand(*rows)) == word


# --------------------------------------------------------------------------------------- false alarms and clusters
@pytest.mark.parametrize(("rows", "simulations"), [(1, 200), (15, 100)])
def test_false_alarms_of_each_test_are_nominal(rows, simulations):
    """200 right classifiers: at 5 % each, 10 +- 3.1 are accused by a test; if none is, it never rejects."""
    confidence, frequency = 0, 0
    for seed in range(200):
        data = EvaluationData(exact(simulations, rows, distance=1.2, seed=seed))
        predictions, clusters = data.predictions, data.clusters
        confidence += frequency_test(predictions.confidence, predictions.correct, clusters)[0] < 0.05
        frequency += frequency_test(predictions.probabilities[:, 0], predictions.label == 0, clusters)[0] < 0.05
    assert 1 <= confidence <= 22 and 1 <= frequency <= 22


@pytest.mark.parametrize(("rows", "frequency"), [(1, (0.6, 0.4)), (1, (0.4, 0.3, 0.2, 0.1)), (5, (0.6, 0.4))])
def test_false_alarms_of_whole_verdicts_are_nominal(rows, frequency):
    """60 right classifiers: at 5 % each, more than 10 accused have a probability of 3e-4."""
    repetitions = [EvaluationData(exact(100, rows, frequency, seed=seed)) for seed in range(60)]
    accused = [class_verdict(data, data.predictions).joint != CALIBRATED for data in repetitions]
    assert sum(accused) <= 10


# ------------------------------------------------------------------------------------------- words, tables, curves
def test_summary_of_a_classifier_has_accuracy_confusion_and_calibration():
    label, guess = np.repeat([0, 1, 2], [50, 30, 20]), np.repeat([0, 1, 1, 0, 2, 1], [46, 4, 24, 6, 15, 5])
    sentences = evaluate(by_hand(label, np.full((3, 3), 0.05)[guess] + 0.85 * np.eye(3)[guess])).summary()
    assert sentences[0].startswith("Evaluated on 100 rows of 100 simulations: suite: accuracy 85.0 +- 3.")
    assert " % (always predicting TNG: 50.0 %)." in sentences[0]
    assert "Information gain over the class frequencies" in sentences[1]
    assert sentences[2] == "Most frequent mistake: 5 of 20 rows of Astrid (25.0 %) are predicted as SIMBA."
    assert sentences[3] == "Class probabilities: calibrated within errors (expected calibration error 0.050)."
    faultless = evaluate(by_hand(label, 0.05 + 0.85 * np.eye(3)[label])).summary()
    assert "No row is misclassified." in faultless


def test_the_table_shows_metrics_and_confusion():
    shown = printed(metrics_table(evaluate(by_hand(LABEL, PROBABILITIES))), 140)
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown]
    assert ["accuracy", "0.60 ± 0.20"] in lines
    assert ["TNG", "2", "1", "0", "66.7 %"] in lines
    assert set(CLASSIFICATION) - {"auc"} <= {line[0] for line in lines if line}


def test_reliability_is_the_diagonal_for_a_right_classifier_only():
    curves = reliability(exact(3000, alike=0))
    assert list(curves) == ["TNG", "SIMBA"]
    bins = [(curve.low <= curve.predicted) & (curve.predicted <= curve.high) for curve in curves.values()]
    assert [len(inside) for inside in bins] == [15, 15]
    assert min(inside.sum() for inside in bins) >= 5  # 10.2 +- 1.8
    sharp = reliability(exact(3000, sharp=TOO_SHARP, alike=0))["TNG"]
    middle = np.abs(sharp.predicted - 0.5) > 0.2
    assert (np.sign(sharp.predicted - 0.5) * (sharp.predicted - sharp.observed))[middle].mean() > 0.03


def test_errors_of_reliability_count_simulations_and_stay_in_bounds():
    posterior = exact(60, distance=6.0)
    curve, repeated = (
        reliability(classified)["TNG"] for classified in (posterior, posterior.select(np.repeat(np.arange(60), 4)))
    )
    for shown_curve in (curve, repeated):
        assert (
            (shown_curve.low >= 0).all()
            and (shown_curve.high <= 1).all()
            and (shown_curve.high > shown_curve.low).all()
        )
    assert repeated.high.min() >= curve.high.min()  # four times the rows tell no more than the simulations do
    assert reliability(changed(posterior, truth=None)) == {}
