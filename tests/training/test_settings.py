"""Schedules: a short rise, then a curve that ends where it should; and triangles. (Plateau: test_loop.py.)"""

from itertools import pairwise

import numpy as np
import pytest

from cosmoinfer.training.settings import SCHEDULES, WARMUP, learning_rate_factor

STEPS = (1, 5, 80, 1000, 20_000)


def factors(name: str, steps: int) -> list[float]:
    return [learning_rate_factor(name, step, steps) for step in range(steps)]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", STEPS)
def test_a_schedule_starts_above_zero_and_reaches_one(name, steps):
    rates = factors(name, steps)
    assert min(rates) > 0 and 0.97 < max(rates) <= 1


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "cyclic"])
@pytest.mark.parametrize("steps", STEPS)
def test_all_but_cyclic_never_rise_again(name, steps):
    rates, warm = factors(name, steps), min(WARMUP, max(1, steps // 10))
    assert all(earlier <= later for earlier, later in pairwise(rates[:warm]))
    assert all(earlier >= later for earlier, later in pairwise(rates[warm - 1 :]))


@pytest.mark.parametrize("name", ["constant", "plateau"])
def test_the_rise_is_linear(name):
    assert [learning_rate_factor(name, step, 1000) for step in (0, 24, 49, 50, 999)] == pytest.approx(
        [1 / 50, 0.5, 1, 1, 1]
    )


def test_cosine_is_half_at_half_time_and_ends_at_zero():
    assert learning_rate_factor("cosine", 5000, 10_000) == pytest.approx(0.5)
    assert learning_rate_factor("cosine", 9999, 10_000) < 1e-7
    assert learning_rate_factor("constant", 9999, 10_000) == 1


def test_cyclic_goes_up_for_500_steps_and_down_for_500():
    rates = np.array(factors("cyclic", 3000))
    rise, fall = np.diff(rates)[:499], np.diff(rates)[500:999]
    np.testing.assert_allclose(rise, 1 / 500)
    np.testing.assert_allclose(fall, -1 / 500)
    assert rates.mean() == pytest.approx(0.5)
    np.testing.assert_array_equal(rates[:1000], rates[1000:2000])
    np.testing.assert_array_equal(rates[:1000], rates[2000:])


def test_a_training_shorter_than_a_cycle_is_one_cycle():
    assert factors("cyclic", 8) == pytest.approx([1 / 8, 3 / 8, 5 / 8, 7 / 8, 7 / 8, 5 / 8, 3 / 8, 1 / 8])
