"""Schedules: a short rise, then a curve that ends where it should."""

from itertools import pairwise

import pytest

from cosmoinfer.schedule import SCHEDULES, WARMUP, factor

every_schedule = pytest.mark.parametrize("name", SCHEDULES)


@every_schedule
@pytest.mark.parametrize("steps", [1, 5, 80, 1000, 20_000])
def test_a_schedule_rises_from_above_zero_to_at_most_one_and_never_rises_again(name, steps):
    factors = [factor(name, step, steps) for step in range(steps)]
    warm = min(WARMUP, max(1, steps // 10))
    assert 0 < factors[0] <= max(factors) <= 1
    assert max(factors) > 0.97
    assert all(one <= other for one, other in pairwise(factors[:warm]))
    assert all(one >= other for one, other in pairwise(factors[warm - 1 :]))


def test_the_rise_is_linear():
    assert [factor("constant", step, 1000) for step in (0, 24, 49, 50)] == pytest.approx([1 / 50, 0.5, 1, 1])


def test_cosine_is_half_at_half_time_and_ends_at_zero():
    assert factor("cosine", 5000, 10_000) == pytest.approx(0.5)
    assert factor("cosine", 9999, 10_000) < 1e-7
    assert factor("constant", 9999, 10_000) == 1
