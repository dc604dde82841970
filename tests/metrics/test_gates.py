"""Gates: expressions, the default set, and that a pipeline stops with everything written."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cosmoinfer import posterior as posteriors
from cosmoinfer.errors import UserError
from cosmoinfer.metrics import GATES, Evaluation, GateResult, GateResults, check_default_gates, check_gate, evaluate
from cosmoinfer.metrics.gates import parse_gate
from tests.command_line import call
from tests.metrics.test_metrics import gaussian
from tests.posteriors import changed

EVALUATION = Evaluation.from_json(
    {
        "rows": 20,
        "simulations": 20,
        "verdict": {"joint": "", "parameters": {"f[0]": "", "h": ""}},
        "metrics": {
            "joint": {"log_prob": {"value": 1.5, "low": 1.0, "high": 2.0}},
            "parameters": {
                "r2": {"f[0]": {"value": 0.4, "low": 0.3, "high": 0.5}, "h": {"value": 0.9, "low": 0.8, "high": 1.0}},
                "contraction": {"f[0]": {"value": None, "low": None, "high": None, "reason": "no prior"}},
                "sbc_p": {"h": {"value": 0.01, "low": None, "high": None, "reason": "a p-value has no interval"}},
            },
            "pairs": {"fom": {"f[0],h": {"value": 3.0, "low": 2.0, "high": 4.0}}},
        },
    }
)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("r2[f[0]]<0.5", "r2[f[0]] is 0.4"),
        ("r2[h]<0.5", None),
        ("r2<0.5", "r2[f[0]] is 0.4"),
        ("r2 < 0.95", "r2[f[0]] is 0.4, r2[h] is 0.9"),
        ("r2<0.4", None),
        ("r2<=0.4", "r2[f[0]] is 0.4"),
        ("r2>0.9", None),
        ("r2 >= 9e-1", "r2[h] is 0.9"),
        ("log_prob<2", "log_prob is 1.5"),
        ("log_prob<-2", None),
        ("contraction>5", "contraction[f[0]] has no value (no prior)"),
        ("r2[all]<0.5", None),
        ("r2[all]<0.95", "r2[f[0]] is 0.4, r2[h] is 0.9"),
        ("r2<0.65 by 2", "r2[f[0]] is 0.4 +- 0.1"),
        ("r2<0.65 by 3", None),
        ("r2>0.65 by 2.4", "r2[h] is 0.9 +- 0.1"),
        ("r2>0.65 by 2.6", None),
        ("log_prob<4 by 4.9", "log_prob is 1.5 +- 0.5"),
        ("log_prob<4 by 5", None),
        ("fom[f[0],h]>2", "fom[f[0],h] is 3"),
        ("sbc_p<0.5 by 2", "sbc_p[h] is 0.01 and has no error (a p-value has no interval)"),
    ],
)
def test_gate(expression, reason):
    result = check_gate(EVALUATION, expression)
    assert result.passed is (reason is None) and result.limit == parse_gate(expression).limit
    assert result.reason == (f"the gate {expression} failed: {reason}" if reason else "")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("r3<0.5", "no metric r3; there are log_prob, r2, contraction, sbc_p, fom"),
        ("r2[omega]<0.5", "no parameter is called omega; there are f[0], h"),
        ("log_prob[h]<0.5", "of the joint"),
        ("r2=0.5", "is not understood; expected 'metric<number"),
        ("r2<", "is not understood; expected 'metric<number"),
        ("r2<half", "is not understood; expected 'metric<number"),
        ("r2<nan", "is not understood; expected 'metric<number"),
        ("r2<0.5 by", "is not understood; expected 'metric<number"),
        ("r2<0.5 by -1", "is not understood; expected 'metric<number"),
        ("", "is not understood; expected 'metric<number"),
    ],
)
def test_gate_that_means_nothing_is_refused(expression, message):
    with pytest.raises(UserError) as refused:
        check_gate(EVALUATION, expression)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("r2<0.95", 0.4),  # the furthest below
        ("r2[all]<0.95", 0.9),  # the last to fail
        ("r2>0.1", 0.9),
        ("r2[all]>0.1", 0.4),
        ("r2[h]<0.1", 0.9),
        ("log_prob<2", 1.5),
        ("contraction>5", None),
    ],
)
def test_the_value_that_decides(expression, value):
    assert check_gate(EVALUATION, expression).value == value


def test_gates_in_json():
    """The document of a pipeline; what could not be checked is null."""
    results = GateResults((check_gate(EVALUATION, "r2[h]<0.95"), GateResult("tarp_p<0.001", None, 0.001, None, "why")))
    document = json.loads(json.dumps(replace(EVALUATION, gates=results).to_json()))
    assert document["gates"] == [
        {"name": "r2[h]<0.95", "value": 0.9, "limit": 0.95, "passed": False, "reason": results.results[0].reason},
        {"name": "tarp_p<0.001", "value": None, "limit": 0.001, "passed": None, "reason": "why"},
    ]
    assert Evaluation.from_json(document).gates == results and "gates" not in EVALUATION.to_json()


# --------------------------------------------------------------------------------------------------- the default set
def failed(posterior) -> list[str]:
    """The default gates that fail, by metric."""
    return [parse_gate(condition).metric for condition in gate_results(posterior).failed]


def gate_results(posterior):
    return check_default_gates(evaluate(posterior))


def test_a_calibrated_posterior_passes_every_gate():
    results = gate_results(gaussian())
    assert [result.name for result in results.results] == [gate.condition for gate in GATES]
    assert results.failed == results.skipped == {}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"width": 1 / 1.5}, {"sbc_p_holm", "tarp_x_p", "hpd_p"}),
        ({"width": 1 / 3}, {"coverage_68", "sbc_p_holm", "tarp_x_p", "hpd_p"}),
        ({"width": 1.5}, {"sbc_p_holm", "tarp_x_p", "hpd_p"}),
        ({"shift": 0.5}, {"sbc_p_holm"}),
        ({"width": 0.05}, {"log_prob_gain"}),
        ({"noise": 30.0}, {"r2"}),
    ],
)
def test_a_wrong_posterior_fails_the_gates_that_are_about_it(wrong, expected):
    assert expected <= set(failed(gaussian(**wrong)))


def test_right_posteriors_seldom_fail_whatever_the_number_of_rows():
    """At 2 % each, more than 6 of 80 have a probability of 1e-3; half of them have twelve rows only."""
    evaluations = [evaluate(gaussian(rows, draws=40, seed=seed), seed) for rows in (12, 150) for seed in range(40)]
    assert sum(bool(check_default_gates(evaluation).failed) for evaluation in evaluations) <= 6


def test_a_truth_without_density_fails():
    posterior = gaussian(60)
    posterior.log_prob_truth[3] = -np.inf
    assert failed(posterior) == ["log_prob"]
    assert "was not checked: -inf in 1 of 60 rows" in gate_results(posterior).skipped["log_prob_gain<0 by 3"]


def test_what_is_not_there_is_skipped_with_a_sentence_and_nothing_at_all_is_refused():
    points = changed(gaussian(60), mean=gaussian(60).mean, samples=None, log_prob=None, log_prob_truth=None)
    results = gate_results(points)
    assert results.failed == {} and len(results.skipped) == len(GATES) - 1
    assert "the gate tarp_p<0.001 was not checked: this evaluation has no tarp_p" in results.skipped.values()
    five_rows = gate_results(gaussian(5))
    assert "the gate coverage_68<0.6 by 3 was not checked: 5 simulations, of 10 needed" in five_rows.skipped.values()
    evaluation = evaluate(points)
    without_r2 = {name: columns for name, columns in evaluation.parameters.items() if name != "r2"}
    with pytest.raises(UserError, match="none of the metrics"):
        check_default_gates(replace(evaluation, parameters=without_r2))


def test_one_universe_is_not_stopped_for_its_calibration():
    posterior = gaussian(60, shift=3.0)
    results = gate_results(changed(posterior, truth=np.full_like(posterior.truth, 0.5)))
    assert {line.split(": ")[1] for line in results.skipped.values()} >= {"all true values are equal"}
    assert not any("sbc" in line or "tarp" in line for line in results.failed)


def test_every_default_gate_is_parsed_and_has_a_reason():
    for gate in GATES:
        assert parse_gate(gate.condition) and gate.explanation


# --------------------------------------------------------------------------------------------------- the command line
def test_a_failed_gate_exits_3_names_every_one_and_leaves_everything_written(tmp_path):
    drawn = tmp_path / "narrow.h5"
    posteriors.write(drawn, gaussian(200, draws=100, width=0.4), {"command": "sample"})
    status, out, err = call(
        "evaluate",
        drawn,
        "--gate",
        "--fail-if",
        "r2<2",
        "--fail-if",
        "rmse[a]>0",
        "--figures",
        tmp_path / "figures",
        "--json",
    )
    assert status == 3
    lines = [line for line in err.splitlines() if line.startswith("cosmoinfer: the gate ")]
    for named in (
        "r2<2 failed: r2[a] is",
        "rmse[a]>0 failed",
        "sbc_p_holm<0.01 failed",
        "hpd_p<0.001 failed",
        "coverage",
    ):
        (_,) = [line for line in lines if named in line]
    assert json.loads(out)["rows"] == 200 and (tmp_path / "narrow.metrics.h5").exists()
    assert list((tmp_path / "figures").iterdir()) and "metric" in err and "over-confident" in err
    assert call("evaluate", drawn, "--fail-if", "r2<-1")[0] == 0
    for gate, message in (("r2[omegam]<0.5", "no parameter is called omegam"), ("hpd_p[a]<0.5", "leave out [a]")):
        status, out, err = call("evaluate", drawn, "--fail-if", gate)
        assert status == 1 and message in err and not out  # before anything is evaluated
    status, out, err = call("evaluate", drawn, "--fail-if", "accuracy<1", "--json")  # of classifiers only
    assert status == 1 and "no metric accuracy" in err and not out and "metric" in err


def test_a_gate_on_an_unknown_metric_is_refused_before_sampling(tmp_path):
    (tmp_path / "damaged.h5").write_bytes(b"")  # which is not read
    status, _, err = call("evaluate", tmp_path / "damaged.h5", "--fail-if", "coverage68<0.5")
    assert status == 1 and "no metric is called coverage68; did you mean coverage_68" in err


def test_a_calibrated_posterior_passes_and_skipped_gates_are_reported(tmp_path):
    posteriors.write(tmp_path / "right.h5", changed(gaussian(), ridge_estimate=None), {"command": "sample"})
    status, _, err = call("evaluate", tmp_path / "right.h5", "--gate")
    assert status == 0 and "the gate tarp_x_p<0.001 was not checked: this evaluation has no tarp_x_p" in err
