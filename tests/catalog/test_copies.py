"""Copies of rows: what must be equal to prove one, of continuous data and of counts."""

import numpy as np
import pytest

from cosmoinfer.catalog.copies import CopyCriterion
from cosmoinfer.catalog.row_hashes import RowHashes

N = 2000


def design(count, seed):
    return np.random.default_rng(seed).uniform([0.1, 0.6], [0.5, 1.0], (count, 2))


def counts(theta, seed, mean=(20, 6, 1.5)):
    """Poisson numbers of clusters in bins of mass, of a mean that follows theta."""
    rate = theta[:, :1] * np.asarray(mean) * theta[:, 1:] ** np.arange(3, 3 + 3 * len(mean), 3)[: len(mean)]
    return np.random.default_rng(seed).poisson(rate)


def smooth(theta, seed, size=10):
    k = np.linspace(0.1, 1, size)
    mean = 5 * theta[:, 1:] ** 2 * k ** (-0.5 - theta[:, :1])
    return mean * np.exp(0.05 * np.random.default_rng(seed).standard_normal(mean.shape))


def of(theta, *data):
    return RowHashes.from_values(theta, list(data))


CONTINUOUS = {
    "float64": lambda x: x,
    "float32": lambda x: x.astype("f4"),
    "1e44": lambda x: 1e44 * x,
    "1e-50": lambda x: 1e-50 * x,
    "offset": lambda x: 1e10 + 100 * (x - 5),
    "int64": lambda x: (1e9 + 1e6 * (x - 5)).astype("i8"),
    "beyond 2^53": lambda x: 2**60 + (1e4 * x).astype("i8"),
    "many counts": lambda x: np.random.default_rng(0).poisson(100 * np.tile(x, 4)),
}
DISCRETE = {
    "three counts": lambda theta, seed: counts(theta, seed),
    "five counts": lambda theta, seed: counts(theta, seed, (100, 80, 60, 50, 40)),
    "counts as fractions": lambda theta, seed: counts(theta, seed) / 64.3,
    "mostly zero": lambda theta, seed: counts(theta, seed, np.full(20, 0.01)),
    "flags": lambda theta, seed: np.random.default_rng(seed).integers(0, 2, (len(theta), 4)).astype(bool),
    "one number": lambda theta, seed: smooth(theta, seed, 1).astype("f4"),
    "two digits": lambda theta, seed: np.round(smooth(theta, seed, 2), 1),
}


@pytest.mark.parametrize("unit", CONTINUOUS)
def test_equal_continuous_data_prove_a_copy(unit):
    theta, change = design(N, 0), CONTINUOUS[unit]
    x = change(smooth(theta, 1))
    reference = of(theta, x)
    criterion = CopyCriterion.from_rows(reference)
    assert criterion.data
    new_theta = design(N, 2)
    new_rows = of(new_theta, change(smooth(new_theta, 3)) if unit != "many counts" else x[::-1] + 1)
    assert not criterion.copies(reference, new_rows).any()
    copies = of(new_theta[:5], x[[3, 1, 4, 1, 5]])  # under copy parameters too
    assert criterion.copies(reference, copies).all()


@pytest.mark.parametrize("kind", DISCRETE)
def test_equal_discrete_data_prove_nothing_without_equal_parameters(kind):
    theta, change = design(N, 0), DISCRETE[kind]
    reference = of(theta, change(theta, 1))
    criterion = CopyCriterion.from_rows(reference)
    assert not criterion.data and criterion.theta_and_data
    new_rows = design(N, 2)
    new = of(new_rows, change(new_rows, 3))
    assert not criterion.copies(reference, new).any()
    if kind not in ("five counts", "one number"):
        assert criterion.equal_data(reference, new).mean() > 0.2
    copies = of(theta[::-1], change(theta, 1)[::-1])
    assert criterion.copies(reference, copies).all()
    assert not criterion.copies(reference, of(None, change(theta, 1))).any()
    mixed = RowHashes.concatenate([copies.select(np.arange(20)), new])
    assert np.flatnonzero(criterion.copies(reference, mixed)).tolist() == list(range(20))


def test_a_design_that_is_simulated_anew_is_no_copy():
    """Of small counts many are equal by chance at equal parameters; leaving out these alone would bias a test."""
    theta = design(N, 0)
    reference, new = (of(theta, counts(theta, seed)) for seed in (1, 2))
    criterion = CopyCriterion.from_rows(reference)
    assert 0.1 < criterion._equal_rows(reference, new).mean() < 0.9
    assert not criterion.copies(reference, new).any()


@pytest.mark.parametrize("rows_per_simulation", [2, 15])
def test_counts_of_simulations_with_several_rows_prove_nothing(rows_per_simulation):
    theta = np.repeat(design(N // 2, 0), rows_per_simulation, axis=0)
    reference = of(theta, counts(theta, 1))
    criterion = CopyCriterion.from_rows(reference)
    assert not criterion.data and not criterion.theta_and_data
    assert not criterion.copies(reference, reference).any()
    maps = of(theta, smooth(theta, 1))
    assert CopyCriterion.from_rows(maps).copies(maps, maps).all()


def test_classes_do_not_tell_counts_apart():
    label = (np.arange(N) % 2)[:, None].astype(float)
    reference = of(label, counts(design(N, 0), 1))
    criterion = CopyCriterion.from_rows(reference)
    assert not criterion.data and not criterion.theta_and_data
    assert CopyCriterion.from_rows(of(label, smooth(design(N, 0), 1))).data


def test_copies_among_the_rows_and_failed_simulations_do_not_make_data_discrete():
    theta = design(N, 0)
    x = smooth(theta, 1)
    x[:20] = 0
    x[100:400] = x[400:700]
    for reference in (of(theta, x), of(np.tile(theta, (5, 1)), np.tile(x, (5, 1)))):
        assert CopyCriterion.from_rows(reference).data


@pytest.mark.parametrize("unit", ["float64", "many counts", "int64"])
def test_copies_in_single_precision_and_their_originals_are_recognised(unit):
    theta = design(N, 0)
    x = CONTINUOUS[unit](smooth(theta, 1)).astype("f8")
    pair = of(theta, x), of(theta.astype("f4"), x.astype("f4"))
    for reference, copy in (pair, pair[::-1]):
        assert CopyCriterion.from_rows(reference).copies(reference, copy).all()


def test_discrete_copies_in_single_precision_are_recognised_by_theta():
    theta = design(N, 0)
    x = counts(theta, 1) / 64.3
    pair = of(theta, x), of(theta.astype("f4"), x.astype("f4"))
    for reference, copy in (pair, pair[::-1]):
        assert CopyCriterion.from_rows(reference).copies(reference, copy).all()


def test_what_single_precision_merges_is_not_compared_in_it():
    theta = design(N, 0)
    reference = of(theta, 1e10 + 100 * smooth(theta, 1))
    criterion = CopyCriterion.from_rows(reference)
    assert criterion.data and not criterion.data_in_single and criterion.theta_in_single
    dates = 2460000 + 1e-3 * theta
    assert not CopyCriterion.from_rows(of(dates, smooth(theta, 1))).theta_in_single


def test_keys_of_a_catalog_are_equal_for_its_copies_alone():
    theta = design(N, 0)
    for x in (counts(theta, 1), smooth(theta, 1), smooth(theta, 1, 1)):
        theta_twice, x_twice = np.concatenate([theta, theta[:7]]), np.concatenate([x, x[:7]])
        hashes = of(theta_twice, x_twice)
        assert len(np.unique(CopyCriterion.from_rows(hashes).keys(hashes))) == N
    observed = of(None, counts(theta, 1))
    assert len(np.unique(CopyCriterion.from_rows(observed).keys(observed))) == N
