"""Posteriors: what is written comes back, and an exact moment is preferred to that of the draws."""

from dataclasses import fields, replace

import numpy as np
import pytest

from cosmoinfer import posterior
from cosmoinfer.errors import UserError
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
    fisher=RNG.random((3, 2, 2)),
    ess=RNG.random(3),
    agreement=RNG.random(3),
    ood=100 * RNG.random(3),
    ood_set_p=0.25,
    temperature=1.125,
    reweighted=True,
    derived=("b",),
)
CLASSIFIED = Posterior(
    Parameters.of(("suite",)),
    HEAD.index,
    HEAD.simulation,
    HEAD.split,
    truth=np.array([[0.0], [2.0], [1.0]]),
    probabilities=np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0], [0.25, 0.5, 0.25]]),
    classes=("TNG", "SIMBA", "Astrid"),
)
NUMBERS = ("ood_set_p", "temperature")
MARKS = ("parameters", "classes", "reweighted", "derived", *NUMBERS)
ARRAYS = [field.name for field in fields(Posterior) if field.name not in MARKS]


@pytest.mark.parametrize("written", [FULL, HEAD, CLASSIFIED], ids=["full", "empty", "classified"])
def test_a_posterior_comes_back_as_it_was(tmp_path, written):
    posterior.write(tmp_path / "p.h5", written, {"settings": {}})
    back = posterior.read(tmp_path / "p.h5")
    assert repr(back.parameters) == repr(written.parameters)
    assert (back.classes, back.reweighted, back.derived) == (written.classes, written.reweighted, written.derived)
    assert all(getattr(back, name) == getattr(written, name) for name in NUMBERS)
    for name in ARRAYS:
        expected, found = getattr(written, name), getattr(back, name)
        assert (expected is None) == (found is None)
        if expected is not None:
            assert found.dtype.kind == expected.dtype.kind
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("whole", [FULL, CLASSIFIED], ids=["full", "classified"])
@pytest.mark.parametrize("keep", [np.array([False, True, True]), np.array([1, 2])], ids=["mask", "positions"])
def test_taking_observations_takes_all_of_them(keep, whole):
    some = whole.take(keep)
    assert len(some) == 2 and some.classes == whole.classes
    for name in ARRAYS:
        expected = getattr(whole, name)
        assert (expected is None) == (getattr(some, name) is None)
        if expected is not None:
            np.testing.assert_array_equal(getattr(some, name), expected[1:])
    assert HEAD.take(keep).samples is None
    assert some.temperature == whole.temperature
    assert some.ood_set_p is None and whole.take(np.arange(3)).ood_set_p == whole.ood_set_p


def test_what_a_model_holds_is_all_tested():
    assert all(getattr(FULL, name) is not None or getattr(CLASSIFIED, name) is not None for name in ARRAYS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"classes": ("TNG", "SIMBA")}, r"a column for each of the classes TNG, SIMBA, found shape \(3, 3\)"),
        ({"classes": ()}, "none is named"),
        ({"probabilities": CLASSIFIED.probabilities[:2]}, r"expected 3 rows .* found shape \(2, 3\)"),
        ({"probabilities": np.ones((3, 1)), "classes": ("TNG",)}, "of the classes TNG"),
        ({"probabilities": CLASSIFIED.probabilities * [[1], [1.001], [1]]}, r"add to one, found others \(row 7\)"),
        ({"probabilities": np.array([[1.5, -0.5, 0]] * 3)}, r"not negative .* \(row 4, 7, 9\)"),
        ({"probabilities": np.full((3, 3), np.nan)}, r"found others \(row 4, 7, 9\)"),
        ({"truth": np.array([[0.0], [3.0], [0.5]])}, r"suite: expected class numbers from 0 to 2, .* \(row 7, 9\)"),
        ({"parameters": PARAMETERS}, r"expected one target, found 2 \(a, b\)"),
    ],
)
def test_probabilities_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        replace(CLASSIFIED, **wrong)


def test_probabilities_of_single_precision_add_to_one_well_enough():
    rounded = np.random.default_rng(0).dirichlet(np.ones(3), 1000).astype(np.float32)
    index = np.arange(1000)
    Posterior(
        Parameters.of(("suite",)), index, index.astype(str), index, probabilities=rounded, classes=("a", "b", "c")
    )


def test_an_exact_moment_is_preferred_to_that_of_the_draws():
    assert FULL.best_mean is FULL.mean
    assert FULL.best_std is FULL.std
    drawn = Posterior(PARAMETERS, FULL.index, FULL.simulation, FULL.split, samples=FULL.samples)
    np.testing.assert_allclose(drawn.best_mean, FULL.samples.sum(axis=1) / 50)
    spread = ((FULL.samples - drawn.best_mean[:, None]) ** 2).sum(axis=1)
    np.testing.assert_allclose(drawn.best_std, np.sqrt(spread / 49))
    assert HEAD.best_mean is HEAD.best_std is None
