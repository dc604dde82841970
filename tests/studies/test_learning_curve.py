"""Does the power law hold what it promises, do subsets lie in each other, does the command say what it found?"""

import json
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from cosmoinfer import seeding
from cosmoinfer.errors import UserError
from cosmoinfer.metrics.bootstrap import Clusters, interval
from cosmoinfer.split import by_hash, nested_subset
from cosmoinfer.studies import scaling_law
from cosmoinfer.studies.learning_curve import LearningCurve, fit_learning_curve
from cosmoinfer.studies.scaling_law import (
    ALPHA_MEAN,
    ALPHA_RANGE,
    ALPHA_STD,
    SCATTER_FACTOR,
    SCATTER_MEDIAN,
    covariance_of_differences,
    fit_scaling_law,
)
from cosmoinfer.studies.training_sizes import HeldOutScores, check_sizes, default_sizes
from cosmoinfer.tasks import run_settings
from tests.command_line import call, done, linear, refused, write

SIZES = np.array([500, 1000, 2000, 4000])
TINY = ["--flow", "maf", "--layers", "2", "--hidden", "12", "--epochs", "15", "--batch-size", "50"]
TINY += ["--learning-rate", "0.005", "--ensemble", "1", "--threads", "1"]


def law_of(alpha: float, shortfall: float, limit: float = 6.5):
    """Size -> L."""
    return lambda size: limit - shortfall * (np.asarray(size) / SIZES[-1]) ** -alpha


# ------------------------------------------------------------------------------------------------------- power law
@pytest.mark.parametrize("alpha", [0.6, 0.8, 1.0])
def test_a_curve_without_scatter_is_extended_to_where_it_goes(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The truth lies inside, and what keeps the interval wide is the scatter that is assumed beforehand."""
    truth, widths = law_of(alpha, 0.1), []
    for scatter in (SCATTER_MEDIAN, 0.01):
        monkeypatch.setattr(scaling_law, "SCATTER_MEDIAN", scatter)
        law = fit_scaling_law(SIZES, truth(SIZES), np.zeros((4, 4)))
        for draws, right in ((law.log_prob_at(16000), truth(16000)), (law.gain(8000), truth(8000) - truth(4000))):
            low, high = interval(draws)
            assert low < right < high
            widths.append(high - low)
    assert max(widths) < 0.05 and max(widths[2:]) < 0.008
    assert np.median(law.alpha) == pytest.approx(alpha, abs=0.03)
    assert np.median(law.asymptote) == pytest.approx(6.5, abs=0.004)


def test_intervals_hold_the_share_that_they_promise() -> None:
    """Laws and scatters drawn from what is assumed of them, test rows with a common and an own error."""
    stream = seeding.generator(0, "test scaling law")
    held = {"training": [], "gain": []}
    for seed in range(70):
        alpha = np.clip(stream.normal(ALPHA_MEAN, ALPHA_STD), *ALPHA_RANGE)
        truth, scatter = (
            law_of(alpha, np.exp(stream.uniform(-4, -1))),
            SCATTER_MEDIAN * SCATTER_FACTOR ** stream.normal(),
        )
        short = 6.5 - truth(SIZES)
        error = 0.03 * (short - short[-1])
        covariance = np.outer(error, error)
        log_prob = truth(SIZES) + 0.05 * stream.normal() + scatter * short * stream.normal(size=4)
        log_prob += error * stream.normal()
        law = fit_scaling_law(SIZES, log_prob, covariance, seed)
        low, high = interval(law.gain(8000))
        held["gain"].append(low < truth(8000) - truth(4000) < high)
        retrained = truth(16000) - truth(4000) + scatter * (6.5 - truth(16000)) * stream.normal()
        low, high = interval(law.training_at(16000) - law.log_prob_at(4000))
        held["training"].append(low < retrained < high)
    for name, share in held.items():
        assert 0.683 - 3 * 0.056 < np.mean(share) < 0.683 + 3 * 0.056, name  # sqrt(0.683 0.317 / 70)


def test_a_flat_curve_gains_nothing() -> None:
    stream = np.random.default_rng(0)
    law = fit_scaling_law(SIZES, 3.0 + 1e-3 * stream.normal(size=4), np.zeros((4, 4)))
    assert interval(law.gain(8000))[1] < 0.005
    assert np.median(law.log_prob_at(16000)) == pytest.approx(3.0, abs=0.005)


def test_a_learning_curve_that_gets_worse_is_reported() -> None:
    stream = np.random.default_rng(0)

    def summary(means: np.ndarray) -> str:
        log_prob = means[:, None] + 0.01 * stream.normal(size=(4, 300)) + stream.normal(size=300)
        scores = HeldOutScores(SIZES, SIZES // 9, log_prob, np.arange(300), np.arange(300))
        return " ".join(fit_learning_curve(scores).sentences)

    assert "is worse than" not in summary(law_of(0.8, 0.1)(SIZES))
    assert "With 4,000 training simulations the flow is worse than with fewer by 1.30" in summary(
        np.array([3.0, 3.2, 3.3, 2.0])
    )


def test_what_is_common_to_all_sizes_moves_the_limit_and_nothing_else() -> None:
    log_prob = law_of(0.8, 0.1)(SIZES) + np.array([0.01, -0.01, 0.002, 0])
    law, moved = (fit_scaling_law(SIZES, log_prob + shift, 1e-5 * np.eye(4)) for shift in (0.0, 5.0))
    np.testing.assert_allclose(moved.gain(8000), law.gain(8000))
    np.testing.assert_allclose(moved.asymptote, law.asymptote + 5)


def test_the_covariance_is_of_differences_and_clustered() -> None:
    stream = np.random.default_rng(0)
    clusters = Clusters.from_ids(np.arange(60) // 3)
    log_prob = stream.normal(size=(3, 60)) + stream.normal(size=20)[np.arange(60) // 3]
    covariance = covariance_of_differences(log_prob, clusters)
    for size in range(2):
        assert np.sqrt(covariance[size, size]) == pytest.approx(clusters.mean(log_prob[size] - log_prob[-1])[1])
    variance_of_sum = clusters.mean(log_prob[0] + log_prob[1] - 2 * log_prob[2])[1] ** 2
    assert covariance[:2, :2].sum() == pytest.approx(variance_of_sum)
    assert (covariance[-1] == 0).all()
    common = covariance_of_differences(log_prob + 10 * stream.normal(size=60), clusters)
    np.testing.assert_allclose(common, covariance, atol=1e-12)


# ---------------------------------------------------------------------------------------------------------- subsets
def test_subsets_lie_inside_each_other_and_test_rows_are_the_same() -> None:
    ids = np.arange(1000).astype(str)
    full = by_hash(ids)
    subsets = [nested_subset(full, size) for size in (80, 160, 320, full.sizes[0])]
    for small, large in pairwise(subsets):
        assert set(small.simulation) < set(large.simulation)
    assert [subset.sizes[0] for subset in subsets] == [80, 160, 320, full.sizes[0]]
    assert set(subsets[-1].simulation) == set(ids)
    for subset in subsets:
        assert subset.sizes[1] == pytest.approx(subset.sizes[0] * full.sizes[1] / full.sizes[0], abs=0.5)
        assert subset.sizes[2] == full.sizes[2]
    shuffled = nested_subset(by_hash(np.random.default_rng(0).permutation(ids)), 160)
    assert set(shuffled.simulation[shuffled.partition == 0]) == set(subsets[1].simulation[subsets[1].partition == 0])


def test_sizes_are_halved_down_to_a_few_hundred() -> None:
    assert default_sizes(16000) == (1000, 2000, 4000, 8000, 16000)
    assert default_sizes(1400) == (350, 700, 1400)
    assert default_sizes(300) == (75, 150, 300)  # three in any case
    for size in (200, 1000, 5000):
        assert check_sizes(default_sizes(size), size) == default_sizes(size)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [((100, 200), "at least 3 different sizes"), ((5, 100, 200), "found 5"), ((100, 200, 401), "more than the 400")],
)
def test_invalid_training_sizes_are_refused(sizes: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_sizes(sizes, 400)


# --------------------------------------------------------------------------------------------------------- document
def scores_of(shortfall: float, rows: int = 400) -> HeldOutScores:
    """Rows whose log density falls short by a known law."""
    stream = np.random.default_rng(1)
    exact = stream.normal(size=rows)
    short = (6.5 - law_of(0.8, shortfall)(SIZES))[:, None] * (1 + 0.3 * stream.normal(size=rows))
    return HeldOutScores(SIZES, SIZES // 5, exact - short, np.arange(rows).astype(str), np.arange(rows))


def test_the_learning_curve_document_has_the_gain_of_doubling() -> None:
    steep, flat = fit_learning_curve(scores_of(0.4), (16000,)), fit_learning_curve(scores_of(0.004))
    assert "has not flattened" in steep.sentences[0] and "4,000 to 8,000" in steep.sentences[0]
    assert "has flattened" in flat.sentences[0]
    assert steep.predictions[0].size == 16000 and not flat.predictions
    assert steep.gain[0].value is None
    log_probs = [estimate.value for estimate in steep.log_prob]
    np.testing.assert_allclose(np.diff(log_probs), [estimate.value for estimate in steep.gain[1:]])
    # What all rows share is in the errors of the means, and not in those of the gains.
    assert steep.doubling.error < 0.06 and steep.log_prob[-1].error > 0.04
    document = json.loads(json.dumps(steep.to_json()))
    assert document == steep.to_json() and LearningCurve.from_json(document) == steep
    assert "4000" in str(steep) and steep.sentences[0] in str(steep)


def test_a_row_without_a_density_is_named() -> None:
    curve = scores_of(0.1)
    wild = curve.log_prob.copy()
    wild[1, 7] = -np.inf
    with pytest.raises(UserError, match="1000 simulations has no density at the truth of row 7"):
        HeldOutScores(curve.sizes, curve.validation, wild, curve.simulation, curve.index)


# ---------------------------------------------------------------------------------------------------- command line
def test_the_command_trains_extends_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    sims = write(tmp_path / "sims.h5", *linear(300, 1))
    output = tmp_path / "curve.h5"
    line = ["learning-curve", sims, "-o", output, *TINY, "--sizes", "200,50,100", "--predict", "800"]
    report = done(*line, "--figures", tmp_path / "figures")
    assert "Doubling the training simulations from 200 to 400 would gain" in report
    assert (tmp_path / "figures" / "learning_curve.png").exists()
    models = sorted((tmp_path / "curve").iterdir())
    recipes = [json.loads(done("inspect", path, "--json"))["meta"]["settings"]["recipe"] for path in models]
    for recipe in recipes:  # the candidates of the largest for all, each with its own race
        assert recipe["supports"] == ["auto"] and recipe["stacks"] == recipes[1]["stacks"]
    assert [path.name for path in models] == ["100.flow.h5", "200.flow.h5", "50.flow.h5"]
    with h5py.File(output) as file:
        assert file.attrs["kind"] == b"learning-curve"
        np.testing.assert_array_equal(file["sizes"], [50, 100, 200])
        np.testing.assert_allclose(file["log_prob"][()].mean(axis=1), file["mean"][:, 0])
        assert file["prediction/log_prob"].shape == (1, 3)
        document = json.loads(file["document"][()])
    assert document["log_prob"][-1]["value"] > document["log_prob"][0]["value"]
    models[2].unlink()  # as if the job had been killed: only what is missing is made again, and to the same bytes
    before = {path: path.stat().st_mtime_ns for path in (*models[:2], output)}
    assert json.loads(done(*line, "--json")) == document
    assert {path: path.stat().st_mtime_ns for path in before} == before and models[2].exists()
    assert json.loads(done("inspect", output, "--json"))["kind"] == "learning-curve"
    assert "made with other settings" in refused(*line[:-1], "900")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sizes", "100,many"], "expected positive whole numbers"),
        (["--sizes", "100,200,5000"], "more than the"),
        (["--predict", "0"], "expected positive whole numbers"),
        (["-o", "curve"], "expected the name of a file"),
    ],
)
def test_invalid_settings_are_refused_before_training(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sims = write(tmp_path / "sims.h5", *linear(300, 1))
    status, _, err = call("learning-curve", sims, *TINY, *options)
    assert status == 1 and message in err
    assert [path.name for path in tmp_path.iterdir()] == ["sims.h5"]


def test_the_device_is_prepared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def prepare(*arguments: object) -> torch.device:
        calls.append(arguments)
        return torch.device("cpu")

    monkeypatch.setattr(run_settings, "prepare_device", prepare)
    catalog = write(tmp_path / "sims.h5", *linear(200, 1))
    done("learning-curve", catalog, *TINY, "--epochs", 1, "--sizes", "30,60,120", "-o", tmp_path / "curve.h5")
    assert len(calls) == 1
