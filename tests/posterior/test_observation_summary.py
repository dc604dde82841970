"""What the posterior of one observation says, in numbers and in one sentence on whether to believe it."""

import numpy as np
import pytest

from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import summarise_observations
from tests.posteriors import changed, make

PARAMETERS = Parameters.from_names(("a", "b"), (0, 0.1), (1, 10), ("uniform", "log-uniform"))


def drawn(rows: int = 1, draws: int = 400):
    random = np.random.default_rng(3)
    samples = np.stack([random.normal(0.5, 0.05, (rows, draws)), random.normal(3, 0.2, (rows, draws))], axis=-1)
    head = (PARAMETERS, np.arange(rows) + 4, np.arange(rows).astype(str), np.full(rows, 2, np.uint8))
    return make(*head, samples=samples, ood_percentile=np.full(rows, 30.0))


@pytest.mark.parametrize(
    ("values", "trust"),
    [
        ({}, "nothing speaks against it: more anomalous than 30 % of the validation rows"),
        ({"ood_percentile": None}, "nothing speaks against it; the model does not compare"),
        ({"ood_percentile": np.array([96.0])}, "with caution: the observation is more anomalous than 96 % of"),
        ({"ood_percentile": np.array([99.6])}, "do not believe it: the observation is more anomalous than 99.6 % of"),
        ({"ess": np.array([12.4])}, "do not believe it: its draws are worth 12 independent ones"),
        ({"ess": np.array([900.0])}, "nothing speaks against it"),
        ({"consistency_p_value": np.array([1e-5])}, "do not believe it: the posteriors of its single observations"),
    ],
)
def test_whether_to_believe_a_posterior(values, trust):
    (summary,) = summarise_observations(changed(drawn(), **values))
    assert summary.trust.startswith(trust) and summary.to_json()["trust"] == summary.trust


def test_a_posterior_that_is_the_prior_says_nothing():
    random = np.random.default_rng(1)
    samples = np.stack([random.random((1, 2000)), 0.1 * 100 ** random.random((1, 2000))], axis=-1)
    (summary,) = summarise_observations(changed(drawn(), samples=samples))
    assert summary.trust.startswith("no parameter is constrained") and summary.constraints["b"].text == "no limit"


def test_a_summary_has_the_numbers_of_its_row():
    posterior = drawn(3)
    summaries = summarise_observations(posterior)
    assert [summary.row for summary in summaries] == [4, 5, 6]
    entry = summaries[1].to_json()["parameters"]["b"]
    assert entry["median"] == pytest.approx(np.median(posterior.samples[1, :, 1]), abs=1e-3)
    assert entry["low"] < entry["median"] < entry["high"] and entry["limit"] is None and "±" in entry["text"]


@pytest.mark.parametrize("posterior", [drawn(11), drawn(2, draws=20), changed(drawn(), samples=None)])
def test_many_rows_few_draws_and_points_have_no_summary(posterior):
    assert summarise_observations(posterior) == ()
