"""Flows that start from another model: its weights, its training rows, and what of it cannot be changed."""

from dataclasses import replace

import numpy as np
import pytest

from cosmoinfer import models
from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.models.flow import shares
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.fit import with_compression
from cosmoinfer.split import by_hash
from tests.examples import (
    box,
    check_same_row,
    continue_flow,
    fitted_preprocessing,
    flow_of,
    in_memory_catalog,
    linear_gaussian,
    sampled,
    split_of,
    train_flow,
    training_context,
    with_maps,
)


@pytest.mark.parametrize("flow", FLOWS)
def test_a_training_starts_from_the_weights_of_its_ancestor(flow):
    """With steps of no length the density is the ancestor's, which a training of its own is not."""
    sims, ancestor, rows = linear_gaussian(2), flow_of(flow, 2, 3, "probit"), np.arange(40)
    still = continue_flow(sims, ancestor, support="probit", epochs=1, learning_rate=1e-12)
    log_prob, expected = (model.log_prob_of_rows(sims, rows, sims.theta[rows], 1, 0) for model in (still, ancestor))
    np.testing.assert_allclose(log_prob, expected, atol=1e-5)
    fresh = train_flow(sims, flow=flow, ensemble=3, support="probit", epochs=1, learning_rate=1e-12)
    assert np.abs(fresh.log_prob_of_rows(sims, rows, sims.theta[rows], 1, 0) - expected).max() > 0.1


def test_an_ancestor_of_several_architectures_with_networks_before_them_is_continued(monkeypatch):
    monkeypatch.setattr(shares, "MIN_MIXTURE_SHARE", 0.0)
    sims, rows = linear_gaussian(2), np.arange(40)
    settings = {"embedding": "mlp", "embedding_hidden": 9, "support": "probit", "ensemble": 2}
    flows = [train_flow(sims, flow=name, **settings) for name in ("maf", "nsf")]
    ancestor = replace(flows[0], stacks=tuple(flow.stacks[0] for flow in flows), weights=np.full(4, 0.25))
    still = continue_flow(sims, ancestor, support="probit", epochs=1, learning_rate=1e-12)
    for stack, continued in zip(ancestor.stacks, still.stacks, strict=True):
        assert continued.config == stack.config
        alone = [replace(still, stacks=(single,), weights=np.full(2, 0.5)) for single in (stack, continued)]
        first, second = (model.log_prob_of_rows(sims, rows, sims.theta[rows], 1, 0) for model in alone)
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_an_ancestor_of_several_supports_is_continued_on_each_with_its_members(monkeypatch):
    monkeypatch.setattr(shares, "MIN_MIXTURE_SHARE", 0.0)
    sims, rows = linear_gaussian(2), np.arange(40)
    stacks = (flow_of("maf", 2, 3, "soft").stacks[0], flow_of("maf", 2, 2, "truncate").stacks[0])
    ancestor = replace(flow_of("maf", 2, 3, "soft"), stacks=stacks, weights=np.full(5, 0.2))
    still = continue_flow(sims, ancestor, epochs=1, learning_rate=1e-12)
    assert [(stack.support.name, stack.members) for stack in still.stacks] == [("soft", 3), ("truncate", 2)]
    for stack, continued in zip(ancestor.stacks, still.stacks, strict=True):
        members = np.full(stack.members, 1 / stack.members)
        alone = [replace(still, stacks=(single,), weights=members) for single in (stack, continued)]
        first, second = (model.log_prob_of_rows(sims, rows, sims.theta[rows], 1000, 0) for model in alone)
        np.testing.assert_allclose(first, second, atol=1e-4)
    with pytest.raises(UserError, match=r"support: each stack goes on on one support"):
        continue_flow(sims, ancestor, support="soft,truncate", epochs=1)


@pytest.mark.parametrize("support", ["truncate", "soft", "probit"])
def test_a_flow_of_maps_stays_on_its_support(support):
    """Of maps too, which take soft by default."""
    sims, rows = with_maps(periodic=True), np.arange(20)
    ancestor = train_flow(sims, support=support, ensemble=1, epochs=1, batch_size=20)
    still = continue_flow(sims, ancestor, epochs=1, learning_rate=1e-12, batch_size=20)
    assert [stack.support.name for stack in still.stacks] == [support]
    log_prob, expected = (model.log_prob_of_rows(sims, rows, sims.theta[rows], 1000, 0) for model in (still, ancestor))
    np.testing.assert_allclose(log_prob, expected, atol=1e-4)


def test_an_ancestor_is_embedded_and_its_training_rows_are_known(tmp_path):
    sims, second_catalog = linear_gaussian(2), linear_gaussian(2, seed=1)
    models.write(tmp_path / "ancestor.h5", flow_of("maf", 2, 3, "probit"), {})
    model = continue_flow(second_catalog, models.read(tmp_path / "ancestor.h5"), support="probit", epochs=1)
    models.write(tmp_path / "flow.h5", model, {})
    (tmp_path / "ancestor.h5").unlink()
    again = models.read(tmp_path / "flow.h5")
    check_same_row(sampled(model, second_catalog, [2], 50), sampled(again, second_catalog, [2], 50))
    check_same_row(sampled(model.initialised_from, sims, [2], 50), sampled(again.initialised_from, sims, [2], 50))
    rows = model.initialised_from.training_record.split.select_rows(sims.simulation, "train")
    assert again.training_record.has_used_data(sims, rows).all()
    rows = again.training_record.split.select_rows(second_catalog.simulation, "train")
    assert again.training_record.has_used_data(second_catalog, rows).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"flow": "maf"},
        {"ensemble": 3},
        {"hidden": 8},
        {"batch_norm": True},
        {"embedding": "mlp"},
        {"embedding_hidden": 8},
        {"embedding_features": 8},
    ],
)
def test_the_architecture_is_that_of_the_ancestor(settings):
    (option,) = settings
    with pytest.raises(UserError, match=f"{option}: the architecture is that of the model"):
        continue_flow(linear_gaussian(2), flow_of("maf", 2, 3, "probit"), **settings)


def test_fine_tuning_from_a_model_trained_on_held_out_rows_is_refused():
    sims = linear_gaussian(2)
    ancestor = flow_of("maf", 2, 3, "probit")
    other_record = TrainingRecord.from_catalog(sims, by_hash(sims.simulation, seed=1))
    with pytest.raises(UserError, match=r"fine_tune: the flow was trained on or chosen by \d+ validation or test rows"):
        continue_flow(sims, replace(ancestor, training_record=other_record))


def test_an_ancestor_of_something_else_is_refused():
    """Other data, other parameters, or the same numbers seen in another way."""
    ancestor = flow_of("maf", 2, 3, "probit")
    sims = linear_gaussian(2, seed=1)
    with pytest.raises(UserError, match=r"trained on data of shape \(4,\)"):
        continue_flow(linear_gaussian(1, seed=1), ancestor)
    renamed = in_memory_catalog(
        sims.theta, Parameters.from_names(("c", "d"), box(2).low, box(2).high), *sims.observables
    )
    with pytest.raises(UserError, match=r"infers a, b; this catalog has c, d"):
        continue_flow(renamed, ancestor)
    fewer = in_memory_catalog(sims.theta[:, :1], box(1), *sims.observables)
    with pytest.raises(UserError, match=r"infers a, b; this catalog has a"):
        continue_flow(fewer, ancestor)
    short = with_compression(fitted_preprocessing(sims), sims, split_of(sims), "pca:2", training_context())
    with pytest.raises(UserError, match=r"fine_tune: the flow sees .*\(4,\).*\(2,\)"):
        continue_flow(sims, ancestor, short)
