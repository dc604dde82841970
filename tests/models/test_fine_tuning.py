"""Flows that start from another model: its weights, its training rows, and what of it cannot be changed."""

from dataclasses import replace

import numpy as np
import pytest

from cosmoinfer import models
from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.models.flow import fit as fit_module
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.fit import with_compression
from cosmoinfer.split import by_hash
from tests.examples import (
    bench,
    box,
    check_same_row,
    continue_flow,
    flow_of,
    framed,
    linear_gaussian,
    of,
    sampled,
    split_of,
    train_flow,
)


@pytest.mark.parametrize("flow", FLOWS)
def test_a_training_starts_from_the_weights_of_its_ancestor(flow):
    """With steps of no length the density is the ancestor's, which a training of its own is not."""
    sims, ancestor, rows = linear_gaussian(2), flow_of(flow, 2, 3, "probit"), np.arange(40)
    still = continue_flow(sims, ancestor, support="probit", epochs=1, learning_rate=1e-12)
    found, expected = (one.log_prob_of_rows(sims, rows, sims.theta[rows], 1, 0) for one in (still, ancestor))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    fresh = train_flow(sims, flow=flow, ensemble=3, support="probit", epochs=1, learning_rate=1e-12)
    assert np.abs(fresh.log_prob_of_rows(sims, rows, sims.theta[rows], 1, 0) - expected).max() > 0.1


def test_an_ancestor_of_several_architectures_with_networks_before_them_is_continued(monkeypatch):
    monkeypatch.setattr(fit_module, "MIN_MIXTURE_WEIGHT", 0.0)
    sims, rows = linear_gaussian(2), np.arange(40)
    given = {"embedding": "mlp", "embedding_hidden": 9, "support": "probit", "ensemble": 2}
    parts = [train_flow(sims, flow=name, **given) for name in ("maf", "nsf")]
    ancestor = replace(parts[0], stacks=tuple(one.stacks[0] for one in parts), weights=np.full(4, 0.25))
    still = continue_flow(sims, ancestor, support="probit", epochs=1, learning_rate=1e-12)
    for stack, other in zip(ancestor.stacks, still.stacks, strict=True):
        assert other.config == stack.config
        alone = [replace(still, stacks=(one,), weights=np.full(2, 0.5)) for one in (stack, other)]
        one, two = (model.log_prob_of_rows(sims, rows, sims.theta[rows], 1, 0) for model in alone)
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_an_ancestor_is_embedded_and_its_training_rows_are_known(tmp_path):
    sims, other = linear_gaussian(2), linear_gaussian(2, seed=1)
    models.write(tmp_path / "ancestor.h5", flow_of("maf", 2, 3, "probit"), {})
    model = continue_flow(other, models.read(tmp_path / "ancestor.h5"), support="probit", epochs=1)
    models.write(tmp_path / "flow.h5", model, {})
    (tmp_path / "ancestor.h5").unlink()
    again = models.read(tmp_path / "flow.h5")
    check_same_row(sampled(model, other, [2], 50), sampled(again, other, [2], 50))
    check_same_row(sampled(model.initialised_from, sims, [2], 50), sampled(again.initialised_from, sims, [2], 50))
    rows = model.initialised_from.training_record.split.select_rows(sims.simulation, "train")
    assert again.training_record.is_training_row(sims, rows).all()
    rows = again.training_record.split.select_rows(other.simulation, "train")
    assert again.training_record.is_training_row(other, rows).all()


@pytest.mark.parametrize(
    "given",
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
def test_the_architecture_is_that_of_the_ancestor(given):
    (option,) = given
    with pytest.raises(UserError, match=f"{option}: the architecture is that of the model"):
        continue_flow(linear_gaussian(2), flow_of("maf", 2, 3, "probit"), **given)


def test_fine_tuning_from_a_model_trained_on_held_out_rows_is_refused():
    sims = linear_gaussian(2)
    ancestor = flow_of("maf", 2, 3, "probit")
    other = TrainingRecord.from_catalog(sims, by_hash(sims.simulation, seed=1))
    with pytest.raises(UserError, match=r"fine_tune: the flow was trained on or chosen by \d+ validation or test rows"):
        continue_flow(sims, replace(ancestor, training_record=other))


def test_an_ancestor_of_something_else_is_refused():
    """Other data, other parameters, or the same numbers seen in another way."""
    ancestor = flow_of("maf", 2, 3, "probit")
    sims = linear_gaussian(2, seed=1)
    with pytest.raises(UserError, match=r"trained on data of shape \(4,\)"):
        continue_flow(linear_gaussian(1, seed=1), ancestor)
    renamed = of(sims.theta, Parameters.from_names(("c", "d"), box(2).low, box(2).high), *sims.observables)
    with pytest.raises(UserError, match=r"infers a, b; this catalog has c, d"):
        continue_flow(renamed, ancestor)
    fewer = of(sims.theta[:, :1], box(1), *sims.observables)
    with pytest.raises(UserError, match=r"infers a, b; this catalog has a"):
        continue_flow(fewer, ancestor)
    short = with_compression(framed(sims), sims, split_of(sims), "pca:2", bench())
    with pytest.raises(UserError, match=r"fine_tune: the flow sees .*\(4,\).*\(2,\)"):
        continue_flow(sims, ancestor, short)
