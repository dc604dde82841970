"""Temperatures: found where truths are wider than a model says, and densities that stay exact under them."""

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np
import pytest

from cosmoinfer import models
from cosmoinfer.sampling.temperature import Recalibration, fit_recalibration
from cosmoinfer.supports import SUPPORTS
from tests.command_line import call, done, linear, refused, write
from tests.examples import agree, cells, density, flow_of, in_memory_catalog, linear_gaussian, regressor_of, sampled

HOT = 1.5
QUICK = ("--epochs", "3", "--ensemble", "2", "--threads", "1", "--quiet")
every_support = pytest.mark.parametrize("support", SUPPORTS)


def from_hotter(model, size: int, count: int = 150):
    """The data of a known catalog, and truths drawn from the model itself at a higher temperature: it is too narrow."""
    rows = np.arange(count)
    sims = linear_gaussian(size).select(rows)
    with patch("cosmoinfer.sampling.rejection.MAX_LOG_MASS_ERROR", np.inf):  # no density is asked for
        drawn = sampled(replace(model, temperature=HOT), sims, rows, 1, seed=5)
    return in_memory_catalog(drawn.samples[:, 0], sims.parameters, *sims.observables, name="hot.h5")


def found_in(model, sims) -> Recalibration:
    rows = np.arange(len(sims))
    return fit_recalibration(model._log_prob_by_temperature(sims, rows, sims.theta, seed=0), sims.simulation)


@pytest.mark.parametrize(
    ("flow", "size", "members", "support"),
    [("maf", 1, 1, "probit"), ("maf", 2, 3, "probit"), ("nsf", 2, 3, "soft"), ("maf", 2, 3, "truncate")],
)
def test_recalibration_finds_the_temperature_of_the_truths(flow, size, members, support):
    """Whatever the flow has learned, its own draws at 1.5 ask for 1.5."""
    model = flow_of(flow, size, members, support)
    sims = from_hotter(model, size, 300 if support == "truncate" else 150)
    recalibration = found_in(model, sims)
    assert abs(recalibration.temperature - HOT) < 3.5 * recalibration.error < 0.9
    assert recalibration.after > recalibration.before and recalibration.rows == len(sims)


@pytest.mark.parametrize("support", ["probit", "soft"])
def test_intervals_that_were_too_narrow_come_to_hold_what_they_say(support):
    model = flow_of("maf", 1, 1, support)
    sims = from_hotter(model, 1)
    hot = replace(model, temperature=found_in(model, sims).temperature)
    narrow, right = (held(sampled(sampled_model, sims, np.arange(150), 200)) for sampled_model in (model, hot))
    assert narrow < 0.58  # 0.495 on average, +- 0.04
    assert abs(right - 0.6827) < 0.12


def held(drawn) -> float:
    """The share of truths in the central 68.27 %."""
    low, high = np.quantile(drawn.samples, [0.15865, 0.84135], axis=1)
    return float(((drawn.truth > low) & (drawn.truth < high)).mean())


def test_the_error_of_the_temperature_is_that_of_a_width():
    """A width from n normal numbers in P dimensions is known to 1 / sqrt(2 n P); three copies tell no more."""
    random = np.random.default_rng(0)
    squares = 1.2**2 * random.chisquare(3, 400)

    def log_probs(temperature: float, copies: int = 1) -> np.ndarray:
        return np.repeat(-0.5 * squares / temperature**2 - 3 * np.log(temperature), copies)

    ids = np.arange(400).astype(str)
    recalibration = fit_recalibration(log_probs, ids)
    assert recalibration.temperature == pytest.approx(np.sqrt(squares.mean() / 3), abs=1e-3)
    assert recalibration.error == pytest.approx(recalibration.temperature / np.sqrt(2 * 400 * 3), rel=0.1)
    three = fit_recalibration(lambda temperature: log_probs(temperature, 3), np.repeat(ids, 3))
    assert three.error == pytest.approx(recalibration.error, rel=1e-6)
    assert "no recalibration needed" not in recalibration.describe()
    near = fit_recalibration(lambda temperature: log_probs(temperature * recalibration.temperature), ids)
    assert "consistent with 1, no recalibration needed" in near.describe()
    far = fit_recalibration(lambda temperature: log_probs(temperature / 4), ids)
    assert "at an end of the range that is searched" in far.describe()


@every_support
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("temperature", [0.7, 1.4])
def test_the_density_over_the_box_stays_one_and_draws_follow_it(support, size, temperature):
    model = replace(flow_of("maf", size, 3, support), temperature=temperature)
    sims, steps = linear_gaussian(size), {1: 2000, 2: 160}[size]
    drawn = sampled(model, sims, [3], 4000)
    theta, volumes, edges = cells(model.stacks[0].support, steps)
    mass = np.exp(density(model, sims, 3, theta)) * volumes
    error = 0.005 if drawn.draws.log_norm_error is None else 0.005 + 5 * drawn.draws.log_norm_error[0]
    assert mass.sum() == pytest.approx(1, abs=error)
    z, _ = model.stacks[0].support.forward(drawn.samples[0])
    for column in range(size):
        share = mass.reshape([steps] * size).sum(axis=tuple(c for c in range(size) if c != column))
        coarse = edges[:: steps // 40, column]
        counts = np.histogram(z[:, column], coarse)[0]
        reached = np.abs(coarse[1:] + coarse[:-1]) / 2 < 4  # beyond, a soft support rounds to its edge
        assert agree(counts[reached], len(z) * share.reshape(40, -1).sum(axis=1)[reached] / mass.sum())
    assert drawn.diagnostics.temperature == temperature


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.3, 2.2])
def test_the_mass_inside_the_box_at_any_temperature(temperature):
    """Weighted from draws at other temperatures, and counted at this one."""
    model, sims = flow_of("maf", 2, 3, "truncate"), linear_gaussian(2)
    for row in (3,):
        contexts = model.embed(sims, np.array([row]))
        counted = model.mixture.at_temperature(temperature).box_mass(contexts, 20_000, np.random.default_rng(0))
        generators = [np.random.default_rng(seed) for seed in range(1, 11)]
        weighted = np.exp(
            [model.mixture.log_box_mass_at_temperature(contexts, generator)(temperature) for generator in generators]
        )
        error = np.hypot(weighted.std(ddof=1) / np.sqrt(10), np.sqrt(counted / 20_000))
        assert abs(weighted.mean() - counted) < 4 * error < 0.15


@pytest.mark.parametrize("loss", ["moment", "gaussian-nll"])
def test_a_regressor_scales_its_widths(loss):
    model = regressor_of(2, loss)
    sims = from_hotter(model, 2)
    recalibration = found_in(model, sims)
    assert abs(recalibration.temperature - HOT) < 3.5 * recalibration.error < 0.9
    cold, hot = (sampled(single, sims, [0, 1], 10) for single in (model, replace(model, temperature=2.0)))
    np.testing.assert_array_equal(cold.mean, hot.mean)
    single = regressor_of(2, loss, 1)
    cold, hot = (sampled(single, sims, [0, 1], 10) for single in (single, replace(single, temperature=2.0)))
    np.testing.assert_allclose(hot.std, 2 * cold.std, rtol=1e-6)


def test_a_point_has_no_temperature():
    assert regressor_of(2, "mse").recalibration is None


@pytest.mark.parametrize("which", ["flow", "regressor"])
def test_a_model_keeps_what_its_validation_rows_ask_for(which, tmp_path):
    model, sims = flow_of("nsf", 2, 3, "soft") if which == "flow" else regressor_of(2), linear_gaussian(2)
    rows = model.training_record.split.select_rows(sims.simulation, "validation")
    assert model.temperature == 1 and model.recalibration.rows == len(rows)
    models.write(tmp_path / "m.h5", model, {})
    back = models.read(tmp_path / "m.h5")
    assert back.recalibration == model.recalibration and back.temperature == 1
    truth = sampled(model, sims, rows, 20).log_prob_truth
    assert truth.mean() == pytest.approx(model.recalibration.before, abs=1e-4)


# ------------------------------------------------------------------------------------------------ the command line
@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("temperature")
    theta, x = linear(200, 1)
    write(folder / "sims.h5", theta, x)
    done("train-flow", folder / "sims.h5", "-o", folder / "flow.h5", "--support", "probit", "--flow", "maf", *QUICK)
    return folder


def test_recalibrated_sampling_is_reported_and_recorded(folder):
    options = ("--draws", "20", "--threads", "1", "--rows", "0:3", "--json")
    plain = json.loads(done("sample", folder / "flow.h5", folder / "sims.h5", "-o", folder / "plain.h5", *options))
    status, out, err = call(
        "sample",
        folder / "flow.h5",
        folder / "sims.h5",
        "-o",
        folder / "hot.h5",
        "--recalibrate",
        "temperature",
        *options,
    )
    assert status == 0 and "validation rows; their mean log_prob" in err
    fitted = models.read(folder / "flow.h5").recalibration.temperature
    assert plain["temperature"] is None and json.loads(out)["temperature"] == fitted
    with h5py.File(folder / "hot.h5") as hot, h5py.File(folder / "plain.h5") as cold:
        assert hot["temperature"][()] == fitted and "temperature" not in cold
        assert json.loads(hot["meta"][()])["settings"]["recalibrate"] == "temperature"
        assert not np.array_equal(hot["samples"], cold["samples"])


def test_recalibration_of_a_model_without_temperature_is_refused(folder):
    points = folder / "points.h5"
    done("train-regressor", folder / "sims.h5", "-o", points, "--network", "ridge", "--threads", "1", "--quiet")
    options = ("--recalibrate", "temperature")
    assert "points and no widths" in refused("sample", points, folder / "sims.h5", *options)
    assert "there is temperature" in refused("sample", folder / "flow.h5", folder / "sims.h5", "--recalibrate", "pit")
