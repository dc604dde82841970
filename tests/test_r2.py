"""R2: one of a perfect estimate, zero of the mean, negative of what is worse; a constant truth gives no warning."""

import numpy as np
import pytest

from cosmoinfer.r2 import r2_score


def test_r2_of_perfect_constant_and_wrong_estimates():
    truth = np.random.default_rng(0).normal(size=(40, 3))
    estimate = np.stack([truth[:, 0], np.full(40, truth[:, 1].mean()), -truth[:, 2]], axis=1)
    perfect, constant, wrong = r2_score(truth, estimate)
    assert perfect == 1 and constant == pytest.approx(0) and wrong < -2


def test_a_truth_that_never_varies_has_a_finite_r2():
    with np.errstate(all="raise"):
        assert np.isfinite(r2_score(np.ones((4, 1)), np.ones((4, 1)))).all()


def test_numbers_that_cannot_be_squared_give_no_warning():
    with np.errstate(all="raise"):
        assert not np.isfinite(r2_score(np.array([[1e200], [0.0]]), np.zeros((2, 1)))).all()
