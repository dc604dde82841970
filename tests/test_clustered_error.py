"""Standard errors of means over rows that share simulations: against the textbook formula and a simulation."""

import numpy as np
import pytest

from cosmoinfer.clustered_error import clustered_error


def test_without_shared_simulations_it_is_the_standard_error_of_the_mean():
    values = np.random.default_rng(0).standard_normal(40)
    expected = values.std(ddof=1) / np.sqrt(40)
    assert clustered_error(values, np.arange(40)) == pytest.approx(expected, rel=1e-12)


def test_copies_of_a_row_add_no_information():
    values, ids = np.random.default_rng(0).standard_normal(40), np.arange(40).astype(str)
    expected = clustered_error(values, ids)
    assert clustered_error(np.repeat(values, 15), np.repeat(ids, 15)) == pytest.approx(expected, rel=1e-12)


def test_the_order_of_the_rows_does_not_matter():
    random = np.random.default_rng(0)
    values, ids, order = random.standard_normal(60), np.repeat(np.arange(20), 3), random.permutation(60)
    assert clustered_error(values[order], ids[order]) == pytest.approx(clustered_error(values, ids), rel=1e-12)


def test_rows_that_cancel_within_each_simulation_have_no_error():
    assert clustered_error(np.array([1.0, -1.0, 2.0, -2.0]), np.array([0, 0, 1, 1])) == 0


def test_of_a_single_simulation_the_scatter_is_unknown_and_the_error_finite():
    assert clustered_error(np.array([1.0, 2.0, 3.0]), np.zeros(3)) == 0


def test_it_is_the_scatter_of_the_mean_over_repetitions():
    """30 simulations of 1 to 8 rows, half of whose variance is common to a simulation."""
    random = np.random.default_rng(0)
    ids = np.repeat(np.arange(30), random.integers(1, 9, 30))
    means, errors, plain = [], [], []
    for _ in range(2000):
        values = random.standard_normal(30)[ids] + random.standard_normal(len(ids))
        means.append(values.mean())
        errors.append(clustered_error(values, ids))
        plain.append(values.std(ddof=1) / np.sqrt(len(ids)))
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.08)
    assert np.mean(plain) < 0.75 * np.std(means)
