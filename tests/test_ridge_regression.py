"""Ridge regression against scikit-learn's, which leaves rows out one by one."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from cosmoinfer.ridge_regression import PENALTIES, fit_by_leave_one_out


@pytest.mark.parametrize("count", [20, 40, 400])
@pytest.mark.parametrize("noise", [0.1, 3.0])
def test_ridge_is_the_one_that_leave_one_out_prefers(count, noise):
    """Left out one by one by scikit-learn, with more features than rows and with fewer."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(count, 30)) + 3
    theta = x[:, :3] @ generator.normal(size=(3, 2)) + noise * generator.normal(size=(count, 2))
    weights, offset = fit_by_leave_one_out(x, theta)
    expected = RidgeCV(PENALTIES, alpha_per_target=True).fit(x, theta)
    np.testing.assert_allclose(weights, expected.coef_.T, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(offset, expected.intercept_, rtol=1e-6)


def test_ridge_of_a_feature_that_does_not_vary_is_the_mean():
    weights, offset = fit_by_leave_one_out(np.full((10, 1), 7.0), np.arange(20.0).reshape(10, 2))
    assert (weights == 0).all() and offset.tolist() == [9, 10]
