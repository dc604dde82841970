"""Validation rows that hold wild numbers choose no epoch: the model is as good as without them."""

import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.catalog import Catalog, ReadOptions
from cosmoinfer.preprocessing.fit import describe_choices, fit_preprocessing
from cosmoinfer.preprocessing.judging_rows import select_judging_rows
from cosmoinfer.split import by_labels
from tests.command_line import linear

TRAIN, VALIDATION, TEST = 220, 40, 40
LABELS = np.repeat([0, 1, 2], [TRAIN, VALIDATION, TEST])
WILD = [TRAIN + 3, TRAIN + 10, TRAIN + 30]


def catalog(wild: list[int], rows_per_simulation: int = 1) -> Catalog:
    theta, x = linear(len(LABELS), 0)
    x[wild] *= 1e4
    ids = np.arange(len(x)) // rows_per_simulation
    theta = theta[ids * rows_per_simulation]
    box = {"names": ["a", "b"], "low": [0.1, 0.6], "high": [0.5, 1.0]}
    return cosmoinfer.catalog_from_arrays(theta=theta, x=x, simulation=ids, split=LABELS, **box)


def judged(sims: Catalog) -> tuple[np.ndarray, list[str]]:
    split = by_labels(sims.simulation, sims.split_labels)
    preprocessing = fit_preprocessing(sims, split, ReadOptions(), "auto")
    rows = split.select_rows(sims.simulation, "validation")
    return select_judging_rows(preprocessing, sims, rows), describe_choices(preprocessing, sims, split)


def test_rows_with_wild_numbers_judge_nothing_and_are_told():
    rows, lines = judged(catalog(WILD))
    np.testing.assert_array_equal(rows, np.setdiff1d(np.flatnonzero(LABELS == 1), WILD))
    assert any("3 validation rows judge nothing" in line and "row 223, 230, 250" in line for line in lines)


def test_sound_rows_all_judge():
    rows, lines = judged(catalog([]))
    np.testing.assert_array_equal(rows, np.flatnonzero(LABELS == 1))
    assert not any("judge nothing" in line for line in lines)


def test_a_simulation_judges_with_all_of_its_rows_or_with_none():
    rows, _ = judged(catalog([TRAIN + 5], rows_per_simulation=4))
    np.testing.assert_array_equal(rows, np.setdiff1d(np.flatnonzero(LABELS == 1), np.arange(TRAIN + 4, TRAIN + 8)))


def test_where_all_rows_are_wild_all_judge():
    rows, _ = judged(catalog(np.flatnonzero(LABELS == 1).tolist()))
    assert len(rows) == VALIDATION


SMALL = {"ensemble": 1, "epochs": 60, "threads": 1}


@pytest.mark.filterwarnings("ignore:.*rows lie .* from the others", "error:.*returns the mean of the prior")
@pytest.mark.parametrize("kind", ["flow", "regressor"])
def test_a_model_is_as_good_as_without_the_wild_rows(kind):
    """In nats: the truths of new observations are as probable."""
    train = getattr(cosmoinfer, f"train_{kind}")
    settings = SMALL | ({"flow": "maf", "support": "probit"} if kind == "flow" else {})
    theta, x = linear(500, 1)
    clean, wild = (train(catalog(rows), **settings).log_prob(theta, x).mean() for rows in ([], WILD))
    assert wild > clean - 0.05
