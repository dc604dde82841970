"""Truths that contradict the prior are recognised, and those that do not are left alone."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cosmoinfer.metrics import evaluate
from cosmoinfer.metrics.gates import check_default_gates
from cosmoinfer.metrics.prior_truths import contradictions
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Draws, Posterior

LOW, HIGH = np.array([0.1, 0.6]), np.array([0.5, 1.0])
BOX = Parameters.from_names(["Omega_m", "sigma_8"], LOW, HIGH)
NOISE = 0.4  # of the data, in units of the box


def drawn(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(LOW, HIGH, (count, 2))


def latin_hypercube(count: int, seed: int = 0) -> np.ndarray:
    return LOW + (HIGH - LOW) * stats.qmc.LatinHypercube(2, rng=seed).random(count)


def fixed_middle(repeats: int = 1) -> np.ndarray:
    """One parameter at a time, the other in the middle of its box, as CAMELS 1P: (40 * repeats, 2)."""
    truth = np.tile((LOW + HIGH) / 2, (40, 1))
    for column in range(2):
        truth[20 * column : 20 * column + 20, column] = np.linspace(LOW[column], HIGH[column], 22)[1:-1]
    return np.repeat(truth, repeats, axis=0)


def grid() -> np.ndarray:
    return np.stack(np.meshgrid(*np.linspace(LOW, HIGH, 7).T), axis=-1).reshape(-1, 2)


def corner(count: int) -> np.ndarray:
    return (LOW + HIGH) / 2 + (drawn(count) - (LOW + HIGH) / 2) * 0.5


def exact_posterior(truth: np.ndarray, seed: int = 0) -> Posterior:
    """Of x = u + noise, u the truth in units of the box: a normal in u, truncated to the box. 500 draws of each."""
    rng = np.random.default_rng(seed)
    x = (truth - LOW) / (HIGH - LOW) + NOISE * rng.standard_normal(truth.shape)
    normal = stats.truncnorm(-x / NOISE, (1 - x) / NOISE, x, NOISE)
    u = normal.rvs((500, *x.shape), random_state=rng).swapaxes(0, 1)
    width = HIGH - LOW
    density = np.stack([normal.logpdf(u[:, draw]) for draw in range(500)], axis=1).sum(axis=-1)
    log_prob, log_prob_truth = (
        values - np.log(width).sum() for values in (density, normal.logpdf((truth - LOW) / width).sum(axis=-1))
    )
    ids = np.arange(len(truth))
    return Posterior(
        parameters=BOX,
        index=ids,
        simulation=ids.astype(str),
        split=np.full(len(ids), 2, np.uint8),
        truth=truth,
        draws=Draws(LOW + width * u, log_prob),
        log_prob_truth=log_prob_truth,
    )


@pytest.mark.parametrize("truth", [drawn(1000), drawn(30), latin_hypercube(500), latin_hypercube(20), drawn(5)])
def test_truths_of_the_prior_are_not_suspected(truth):
    assert contradictions(BOX, truth) == {}


def test_truths_of_the_prior_are_suspected_in_one_case_of_a_thousand():
    """Twenty-one tests a catalog, that share one chance of 1e-3: in 300 catalogs no more than chance allows."""
    parameters = Parameters.from_names([f"p{number}" for number in range(6)], np.zeros(6), np.ones(6))
    rng = np.random.default_rng(0)
    suspected = sum(bool(contradictions(parameters, rng.random((100, 6)))) for _ in range(300))
    assert suspected <= stats.binom(300, 1e-3).ppf(0.999)


@pytest.mark.parametrize("truth", [fixed_middle(), fixed_middle(4), grid(), corner(200)])
def test_truths_that_were_not_drawn_from_the_prior_are_recognised(truth):
    assert contradictions(BOX, truth).keys() == {"Omega_m", "sigma_8"}


def test_parameters_that_depend_on_each_other_contradict_a_product_prior():
    u = np.random.default_rng(0).random(300)
    truth = LOW + (HIGH - LOW) * np.stack([u, np.where(np.arange(300) % 3 == 0, u, 1 - u)], axis=1)
    assert "depend on each other" in contradictions(BOX, truth)["sigma_8"]


def test_a_log_uniform_or_unknown_prior_is_compared_as_what_it_is():
    values = np.exp(np.random.default_rng(0).uniform(np.log(0.25), np.log(4), (300, 1)))
    uniform = Parameters.from_names(["A"], [0.25], [4.0])
    assert contradictions(uniform.with_prior(["log-uniform"]), values) == {}
    assert contradictions(uniform, values).keys() == {"A"}
    assert contradictions(Parameters.from_names(["A"]), values) == {}


@pytest.mark.parametrize("truth", [fixed_middle(4), grid(), corner(200)])
def test_calibration_and_r2_are_null_with_the_reason_and_their_gates_are_not_judged(truth):
    """The exact posterior was called conservative there, and stopped a pipeline."""
    evaluation = evaluate(exact_posterior(truth))
    for metric in ("r2", "coverage_68", "sbc_p", "tarp_p", "hpd_p"):
        for estimate in evaluation.estimates(metric).values():
            assert estimate.value is None and any(name in estimate.reason for name in BOX.names)
    assert evaluation.joint["log_prob"].value is not None
    assert evaluation.parameters["rmse"]["Omega_m"].value is not None
    assert evaluation.verdict.joint.startswith("calibration not assessed: ")
    gates = check_default_gates(evaluation)
    assert not gates.failed and "r2[all]<=0.05" in gates.skipped


def test_the_same_posterior_is_judged_where_its_truths_are_of_the_prior():
    evaluation = evaluate(exact_posterior(drawn(300)))
    assert evaluation.verdict.joint == "calibrated within errors"
    assert evaluation.parameters["r2"]["Omega_m"].value > 0.1


def test_rows_of_one_simulation_count_once():
    posterior = exact_posterior(np.repeat(drawn(60), 15, axis=0))
    together = replace(posterior, simulation=np.repeat(np.arange(60), 15).astype(str))
    assert evaluate(together).parameters["r2"]["Omega_m"].value is not None
