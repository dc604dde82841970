"""Seeds: a stream for each purpose, the same for ever."""

import hashlib
from itertools import combinations

import numpy as np
import pytest

from cosmoinfer import seeding


def test_a_seed_is_blake2b_of_the_seed_and_the_purpose():
    digest = hashlib.blake2b(b"3:member:7", digest_size=8).digest()
    assert seeding.derive_seed(3, "member", 7) == int.from_bytes(digest, "little") // 2
    assert seeding.derive_seed(0, "draws") == 3154725373477621327  # for ever


def test_a_seed_fits_where_63_bits_fit():
    seeds = [seeding.derive_seed(seed, "purpose") for seed in range(500)]
    assert len(set(seeds)) == 500
    assert min(seeds) >= 0
    assert 2**61 < max(seeds) < 2**63


def test_the_same_purpose_gives_the_same_stream():
    first, second = (seeding.generator(1, "draws", 5) for _ in range(2))
    np.testing.assert_array_equal(first.random(10), second.random(10))


def test_streams_of_other_seeds_and_purposes_are_independent():
    purposes = [(0, "a"), (0, "b"), (1, "a"), (0, "a", 0), (0, "a", 1), (10, "a")]
    draws = [seeding.generator(*purpose).normal(size=10_000) for purpose in purposes]
    for first, second in combinations(draws, 2):
        assert np.corrcoef(first, second)[0, 1] == pytest.approx(0, abs=0.05)


def test_seeding_leaves_the_global_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    seeding.generator(0, "a").random(100)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
