"""Posteriors: what is written comes back, and an exact moment is preferred to that of the draws."""

from dataclasses import fields

import numpy as np
import pytest

from cosmoinfer import posterior
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior

RNG = np.random.default_rng(0)
PARAMETERS = Parameters.of(("a", "b"), (0, 0.1), (1, 10), ("uniform", "log-uniform"), labels=("a", r"b_\mathrm{x}"))
HEAD = Posterior(PARAMETERS, np.array([4, 7, 9]), np.array(["LH_2", "LH_3", "9"]), np.array([2, 2, 255], np.uint8))
FULL = Posterior(
    PARAMETERS,
    HEAD.index,
    HEAD.simulation,
    HEAD.split,
    truth=RNG.random((3, 2)),
    samples=RNG.random((3, 50, 2)),
    log_prob=RNG.normal(size=(3, 50)),
    log_prob_truth=RNG.normal(size=3),
    reference=RNG.random((3, 2)),
    mean=RNG.random((3, 2)),
    std=RNG.random((3, 2)),
    log_norm_error=RNG.random(3),
)
ARRAYS = [field.name for field in fields(Posterior) if field.name != "parameters"]


@pytest.mark.parametrize("written", [FULL, HEAD], ids=["full", "empty"])
def test_a_posterior_comes_back_as_it_was(tmp_path, written):
    posterior.write(tmp_path / "p.h5", written, {"settings": {}})
    back = posterior.read(tmp_path / "p.h5")
    assert repr(back.parameters) == repr(PARAMETERS)
    for name in ARRAYS:
        expected, found = getattr(written, name), getattr(back, name)
        assert (expected is None) == (found is None)
        if expected is not None:
            assert found.dtype.kind == expected.dtype.kind
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("keep", [np.array([False, True, True]), np.array([1, 2])], ids=["mask", "positions"])
def test_taking_observations_takes_all_of_them(keep):
    some = FULL.take(keep)
    assert len(some) == 2
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(some, name), getattr(FULL, name)[1:])
    assert HEAD.take(keep).samples is None


def test_an_exact_moment_is_preferred_to_that_of_the_draws():
    assert FULL.best_mean is FULL.mean
    assert FULL.best_std is FULL.std
    drawn = Posterior(PARAMETERS, FULL.index, FULL.simulation, FULL.split, samples=FULL.samples)
    np.testing.assert_allclose(drawn.best_mean, FULL.samples.sum(axis=1) / 50)
    spread = ((FULL.samples - drawn.best_mean[:, None]) ** 2).sum(axis=1)
    np.testing.assert_allclose(drawn.best_std, np.sqrt(spread / 49))
    assert HEAD.best_mean is HEAD.best_std is None
