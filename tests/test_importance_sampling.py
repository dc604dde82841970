"""Importance weights: normalisation, effective sample size and moments against closed forms, and resampling."""

import numpy as np
import pytest
from scipy import stats

from cosmoinfer.importance_sampling import ImportanceWeights, effective_sample_size


def test_weights_sum_to_one_however_large_or_small_their_logarithms():
    expected = np.array([0.1, 0.2, 0.7])
    for offset in (-2000.0, 0.0, 2000.0):
        importance = ImportanceWeights.from_log_weights(np.log(expected) + offset)
        np.testing.assert_allclose(importance.weights, expected, rtol=1e-12)
        assert importance.log_mean == pytest.approx(offset - np.log(3), rel=1e-12)  # the mean of weights of sum 1


def test_draws_without_target_density_have_no_weight():
    importance = ImportanceWeights.from_log_weights(np.array([-np.inf, 0.0, -np.inf, 0.0]))
    np.testing.assert_array_equal(importance.weights, [0, 0.5, 0, 0.5])
    assert importance.log_mean == pytest.approx(np.log(0.5))
    assert set(importance.resample(100, np.random.default_rng(0))) == {1, 3}


def test_the_effective_number_of_a_normal_weight_is_known():
    """w = N(theta; m, s) over draws of N(0, 1), both of one parameter: E[w]^2 / E[w^2] in closed form."""
    draws = stats.norm.rvs(size=(400_000, 1), random_state=1)
    width, mean = 0.7, 0.5
    importance = ImportanceWeights.from_log_weights(stats.norm(mean, width).logpdf(draws[:, 0]))
    first = stats.norm(mean, np.hypot(width, 1)).pdf(0)
    second = stats.norm(mean, np.sqrt(width**2 / 2 + 1)).pdf(0) / (2 * width * np.sqrt(np.pi))
    assert effective_sample_size(importance.weights) / len(draws) == pytest.approx(first**2 / second, rel=0.01)
    assert importance.log_mean == pytest.approx(
        np.log(first), abs=5 * importance.log_mean_error(effective_sample_size(importance.weights))
    )


def test_weighted_moments_are_those_of_the_target():
    """Draws of N(0, 2^2) weighted to N(0.5, 1) in each of two parameters."""
    draws = 2 * np.random.default_rng(0).standard_normal((200_000, 2))
    log_weights = (stats.norm(0.5, 1).logpdf(draws) - stats.norm(0, 2).logpdf(draws)).sum(axis=1)
    importance = ImportanceWeights.from_log_weights(log_weights)
    np.testing.assert_allclose(importance.mean(draws), [0.5, 0.5], atol=0.02)
    np.testing.assert_allclose(importance.std(draws), [1, 1], atol=0.02)
    ess = effective_sample_size(importance.weights)
    assert abs(importance.log_mean) < 5 * importance.log_mean_error(ess)  # both densities are normalised


def test_equal_weights_give_the_plain_mean_and_standard_deviation():
    values = np.random.default_rng(0).standard_normal((50, 3))
    importance = ImportanceWeights.from_log_weights(np.zeros(50))
    np.testing.assert_allclose(importance.mean(values), values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(importance.std(values), values.std(axis=0, ddof=1), rtol=1e-12)
    assert importance.log_mean_error(effective_sample_size(importance.weights)) == pytest.approx(0, abs=1e-8)


def test_the_standard_deviation_of_a_single_weighted_draw_is_zero():
    importance = ImportanceWeights.from_log_weights(np.array([0.0, -np.inf]))
    np.testing.assert_array_equal(importance.std(np.array([[1.0, 2.0], [3.0, 4.0]])), [0, 0])


def test_the_error_of_the_log_mean_is_its_scatter():
    """Weights of N(0.5, 0.7^2) over draws of N(0, 1), repeated 400 times."""
    random, log_means, errors = np.random.default_rng(0), [], []
    for _ in range(400):
        draws = random.standard_normal(1000)
        importance = ImportanceWeights.from_log_weights(stats.norm(0.5, 0.7).logpdf(draws))
        log_means.append(importance.log_mean)
        errors.append(importance.log_mean_error(effective_sample_size(importance.weights)))
    assert np.std(log_means) == pytest.approx(np.mean(errors), rel=0.15)


def test_draws_are_kept_in_proportion_to_their_weights():
    weights = np.array([0.5, 0.0, 0.25, 0.2, 0.05])
    importance = ImportanceWeights.from_log_weights(np.log(np.maximum(weights, 1e-300)) + 700)
    counts = [np.bincount(importance.resample(10, np.random.default_rng(seed)), minlength=5) for seed in range(4000)]
    assert (np.abs(np.array(counts) - 10 * weights) < 1).all()
    np.testing.assert_allclose(np.mean(counts, axis=0), 10 * weights, atol=0.03)
    firsts = [importance.resample(10, np.random.default_rng(seed))[0] for seed in range(4000)]
    np.testing.assert_allclose(np.bincount(firsts, minlength=5) / 4000, weights, atol=0.04)


def test_what_weighted_draws_are_worth():
    assert effective_sample_size(np.full(7, 1 / 7)) == pytest.approx(7)
    assert effective_sample_size(np.array([0.0, 1.0, 0.0])) == pytest.approx(1)
    twice = np.array([[1.0, 2.0], [1.0, 2.0], [3.0, 2.0], [1.0, 5.0]])
    assert effective_sample_size(np.full(4, 0.25), twice) == pytest.approx(1 / (0.25 + 2 / 16))
