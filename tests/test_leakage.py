"""Which rows a model has learned from: by the split in its own catalog, by content in every other."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from cosmoinfer.catalog import Observable
from cosmoinfer.errors import UserError
from cosmoinfer.leakage import TEST, TRAIN, VALIDATION, TrainingRecord, check_held_out
from cosmoinfer.split import by_hash
from tests.examples import ROWS, flow_of, in_memory_catalog, linear_gaussian, sampled

UNKNOWN = 255


@pytest.fixture(scope="module")
def sims():
    return linear_gaussian(2)


@pytest.fixture(scope="module")
def split(sims):
    return by_hash(sims.simulation)


@pytest.fixture(scope="module")
def record(sims, split):
    return TrainingRecord.from_catalog(sims, split)


def mixed_catalog(sims, rows, theta=None):
    """Fifty other simulations, whose first rows are replaced by these rows of the catalog."""
    base = linear_gaussian(2, 50, seed=1)
    new_theta, x = base.theta.copy(), base.observables[0].values.copy()
    new_theta[: len(rows)] = sims.theta[rows] if theta is None else theta
    x[: len(rows)] = sims.observables[0].values[rows]
    return in_memory_catalog(new_theta, base.parameters, replace(base.observables[0], values=x), name="mixed.h5")


def rows_of(record, sims):
    return {name: record.rows(sims, name) for name in ("train", "validation", "test")}


# --------------------------------------------------------------------------------------------------- rows of a catalog
def test_a_model_takes_its_own_test_rows_and_all_of_another_catalog(record, sims):
    second_catalog = linear_gaussian(2, 50, seed=1)
    for partition in ("train", "validation", "test"):
        np.testing.assert_array_equal(
            record.select_rows(sims, partition), record.split.select_rows(sims.simulation, partition)
        )
    np.testing.assert_array_equal(record.select_rows(sims, None), record.select_rows(sims, "test"))
    assert len(record.select_rows(sims, "all")) == ROWS
    np.testing.assert_array_equal(record.select_rows(second_catalog, None), np.arange(50))
    np.testing.assert_array_equal(record.select_rows(second_catalog, "test"), np.arange(50))
    with pytest.raises(UserError, match="no row belongs to the train part"):
        record.select_rows(second_catalog, "train")
    with pytest.raises(
        UserError, match="'tset' is not known; there are train, validation, test, all; did you mean test"
    ):
        record.select_rows(sims, "tset")


def test_a_posterior_says_which_rows_were_test_rows():
    model, sims = flow_of("maf", 2, 1, "probit"), linear_gaussian(2)
    rows = model.training_record.select_rows(sims, None)[:3]
    assert set(sampled(model, sims, rows, 2).split) == {TEST}


def test_in_the_training_catalog_the_split_decides_whatever_the_data(record, sims, split):
    partition = record.partition_of(sims, np.arange(ROWS))
    np.testing.assert_array_equal(partition, split.partition_of(sims.simulation))
    assert {TRAIN, VALIDATION, TEST} == set(partition.tolist())
    stranger = replace(sims, simulation=np.array([f"new/{number}" for number in sims.simulation]))
    assert set(record.partition_of(stranger, np.arange(5)).tolist()) == {UNKNOWN}


def test_hashes_of_both_partitions_are_those_of_their_rows(record, sims):
    for hashes, name in ((record.training_hashes, "train"), (record.validation_hashes, "validation")):
        np.testing.assert_equal(asdict(hashes), asdict(sims.hashes(record.rows(sims, name))))


# -------------------------------------------------------------------------------------------- rows of another catalog
def test_a_renumbered_copy_of_a_training_row_is_recognised(record, sims):
    training_row = record.select_rows(sims, "train")[7]
    mixed = mixed_catalog(sims, [training_row])
    with pytest.raises(
        UserError, match=r"mixed.h5: the model was trained on or chosen by 1 of these 50 rows \(row 0\)"
    ):
        record.select_rows(mixed, None)
    assert record.select_rows(mixed, "train").tolist() == [0]
    assert 0 not in record.select_rows(mixed, "test") and len(record.select_rows(mixed, "test")) == 49


def test_in_another_catalog_every_row_is_known_by_its_data(record, sims):
    rows = [partition_rows[0] for partition_rows in rows_of(record, sims).values()]
    mixed = mixed_catalog(sims, rows)
    partition = record.partition_of(mixed, np.arange(50))
    assert partition.dtype == np.uint8
    assert partition[:3].tolist() == [TRAIN, VALIDATION, TEST]  # no test row has been learned from
    assert set(partition[3:].tolist()) == {TEST}
    assert record.partition_of(mixed, np.array([2, 0])).tolist() == [TEST, TRAIN]


def test_an_observation_without_parameters_is_recognised_too(record, sims):
    rows = rows_of(record, sims)
    values = sims.observables[0].values[[rows["test"][0], rows["train"][0], rows["validation"][0]]]
    observations = in_memory_catalog(None, None, Observable("data", "vector", values))
    assert record.partition_of(observations, np.arange(3)).tolist() == [TEST, TRAIN, VALIDATION]
    assert record.has_used_data(observations, np.arange(3)).tolist() == [False, True, True]


def test_a_copy_in_single_precision_is_recognised_and_a_change_of_its_last_digit_is_another_row(record, sims):
    mixed = mixed_catalog(sims, record.rows(sims, "train")[:2])
    values = mixed.observables[0].values.astype(np.float32)
    values[1, 0] = np.nextafter(values[1, 0], np.float32(np.inf))
    copies = in_memory_catalog(mixed.theta, mixed.parameters, replace(mixed.observables[0], values=values))
    assert record.has_used_data(copies, np.arange(2)).tolist() == [True, False]


def test_parameters_of_a_training_row_are_recognised_whatever_its_data(record, sims):
    """Another realisation of a universe that was trained on."""
    rows = rows_of(record, sims)
    mixed = mixed_catalog(sims, [rows["test"][0], rows["test"][1]], theta=sims.theta[rows["train"][:2]])
    np.testing.assert_array_equal(record.shares_parameters(mixed, np.arange(4)), [True, True, False, False])
    assert not record.has_used_data(mixed, np.arange(4)).any()


# --------------------------------------------------------------------------------------- models made from other models
def test_a_model_has_learned_from_the_rows_of_its_source_too(record, sims):
    second_catalog = linear_gaussian(2, 50, seed=1)
    second = TrainingRecord.from_catalog(second_catalog, by_hash(second_catalog.simulation))
    combined = second.including(record)
    assert combined.is_training_catalog(second_catalog) and not combined.is_training_catalog(sims)
    np.testing.assert_array_equal(combined.rows(second_catalog, "train"), second.rows(second_catalog, "train"))
    rows = rows_of(record, sims)
    assert set(second.partition_of(sims, np.arange(ROWS)).tolist()) == {TEST}
    assert (combined.partition_of(sims, rows["train"]) == TRAIN).all()
    assert (combined.partition_of(sims, rows["validation"]) == VALIDATION).all()
    assert (combined.partition_of(sims, rows["test"]) == TEST).all()
    assert combined.has_used_data(second_catalog, second.rows(second_catalog, "train")).all()


def test_the_same_split_holds_the_same_rows_out(record, sims, split):
    check_held_out("regressor", record, sims, split, "summary")


def test_a_split_with_training_rows_among_its_test_rows_is_refused_with_their_numbers(record, sims):
    with pytest.raises(UserError, match="the regressor was trained on or chosen by") as caught:
        check_held_out("regressor", record, sims, by_hash(sims.simulation, seed=1), "summary")
    assert caught.value.setting == "summary"
    second_split = by_hash(sims.simulation, seed=1)
    validation, test = (second_split.select_rows(sims.simulation, name) for name in ("validation", "test"))
    partition = record.partition_of(sims, np.arange(ROWS))
    expected = (partition[validation] == TRAIN).sum() + (partition[test] < TEST).sum()
    assert f"by {expected} validation or test rows" in caught.value.message


def test_validation_rows_may_choose_again_but_may_not_be_tested(record, sims, split):
    """What chose the epochs of the first model may choose those of the second; as test rows they would flatter it."""
    exchanged = np.array([TRAIN, TEST, VALIDATION], np.uint8)[split.partition]
    with pytest.raises(UserError) as caught:
        check_held_out("flow", record, sims, replace(split, partition=exchanged), "fine_tune")
    n_validation = (split.partition == VALIDATION).sum()
    assert f"by {n_validation} validation or test rows" in caught.value.message
