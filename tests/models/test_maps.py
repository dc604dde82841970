"""Models of maps, and of several summaries at once; the symmetries of their boxes in training."""

from dataclasses import replace

import numpy as np
import pytest

from cosmoinfer import models
from cosmoinfer.errors import UserError
from cosmoinfer.models import FlowModel
from cosmoinfer.models import model as model_module
from cosmoinfer.networks import embedding
from cosmoinfer.networks.layers import expand_members
from tests.examples import (
    check_same_row,
    fitted_preprocessing,
    in_memory_catalog,
    sampled,
    split_of,
    train_flow,
    train_regressor,
    with_maps,
)


def test_vectors_and_maps_meet_in_one_model(tmp_path):
    sims = with_maps(periodic=True)
    settings = {"ensemble": 2, "epochs": 1, "batch_size": 20}
    for number, model in enumerate(
        (
            train_flow(sims, support="probit", embedding_features=4, **settings),
            train_regressor(sims, layers=1, hidden=4, **settings),
        )
    ):
        models.write(tmp_path / f"{number}.h5", model, {})
        drawn = sampled(models.read(tmp_path / f"{number}.h5"), sims, [0, 3], 20)
        check_same_row(drawn, sampled(model, sims, [0, 3], 20))
        assert drawn.samples.shape == (2, 20, 2)


@pytest.mark.parametrize("periodic", [True, False])
def test_maps_wrap_only_where_the_catalog_says_so(periodic):
    """The shift is by one cell of the coarsest map: a periodic network must not notice."""
    both_observables = with_maps(periodic)
    sims = in_memory_catalog(both_observables.theta, both_observables.parameters, both_observables.observables[1])
    rolled = in_memory_catalog(
        sims.theta, sims.parameters, replace(sims.observables[0], values=np.roll(sims.observables[0].values, 4, 3))
    )
    rows = np.arange(5)
    for model in (
        train_flow(sims, support="probit", ensemble=1, batch_size=10, learning_rate=0.05),
        train_regressor(sims, ensemble=1, batch_size=10, hidden=4, layers=1),
    ):
        result, rolled_result = (
            model.log_prob_of_rows(catalog, rows, sims.theta[rows], 1, 0)
            if isinstance(model, FlowModel)
            else sampled(model, catalog, rows, 1).mean
            for catalog in (sims, rolled)
        )
        assert np.allclose(result, rolled_result, rtol=1e-4, atol=1e-4) == periodic, model.kind


# ---------------------------------------------------------------------------------------------------------- symmetries
class Handed(Exception):
    """What the training loop would have been given."""


@pytest.fixture(params=["flow", "regressor"])
def handed(request, monkeypatch):
    """A function: catalog, settings -> training rows, validation rows, hooks, and how many parts precede the data."""

    def stop(network, loss, train_rows, validation_rows, *positional, hooks, keeper, ranks):
        raise Handed(train_rows.rows, validation_rows.rows, hooks)

    train, fixed_settings = (
        (train_flow, {"support": "probit"}) if request.param == "flow" else (train_regressor, {"layers": 1})
    )

    def of_training(sims, **settings):
        monkeypatch.setattr(model_module, "train", stop)
        with pytest.raises(Handed) as caught:
            train(sims, batch_size=20, hidden=4, **fixed_settings | settings)
        return *caught.value.args, 2 if request.param == "flow" else 1

    return of_training


def test_symmetries_move_the_maps_of_training_batches_and_nothing_else(handed):
    """Each row by a symmetry of its own, the same pixels elsewhere; all that is no map stays, and so do other rows."""
    sims = with_maps(periodic=True)
    rows, validation, hooks, n_targets = handed(sims, ensemble=2)
    frame = fitted_preprocessing(sims)
    held_out = frame.data(sims, split_of(sims).select_rows(sims.simulation, "validation"))
    for values, expected in zip(validation[n_targets:], held_out, strict=True):
        np.testing.assert_array_equal(values, expected)
    batch = tuple(expand_members(values, 2) for values in rows)
    moved = hooks.augment(batch)
    for values, moved_values in zip(batch[:-1], moved[:-1], strict=True):
        assert (values == moved_values).all()
    maps, turned = batch[-1].flatten(2), moved[-1].flatten(2)
    np.testing.assert_array_equal(np.sort(maps), np.sort(turned))
    assert (maps != turned).any(dim=-1).float().mean() > 0.9
    assert (turned[0] != turned[1]).any()  # each member by its own stream
    assert (hooks.augment(batch)[-1] != moved[-1]).any()


def test_a_member_is_moved_as_it_would_be_alone(handed):
    sims, turned = with_maps(periodic=True), []
    for members in (1, 2):
        rows, _, hooks, _ = handed(sims, ensemble=members)
        batch = tuple(expand_members(values, members) for values in rows)
        turned.append(hooks.augment(batch)[-1][0])
    np.testing.assert_array_equal(*turned)


def test_augmentation_without_symmetries_changes_nothing(handed):
    sims = with_maps(periodic=True)
    assert handed(sims, augment="none")[2].augment is None
    assert handed(in_memory_catalog(sims.theta, sims.parameters, sims.observables[0]))[2].augment is None
    assert handed(sims)[2].augment is not None


@pytest.mark.parametrize("train", [train_flow, train_regressor])
def test_a_training_with_symmetries_is_another_one_and_the_same_again(train):
    sims = with_maps(periodic=True)
    settings = {"ensemble": 1, "epochs": 2, "batch_size": 20, "hidden": 4}
    settings |= {"support": "probit"} if train is train_flow else {"layers": 1}
    auto, again, plain = (train(sims, augment=name, **settings).stacks[0].history for name in ("auto", "auto", "none"))
    np.testing.assert_array_equal(auto.train, again.train)
    assert (auto.train != plain.train).all()


def test_a_summary_network_has_used_the_symmetries_up():
    """A flow behind it sees numbers, which have none."""
    sims = with_maps(periodic=True)
    summary = train_regressor(sims, ensemble=1, epochs=1, batch_size=20, hidden=4, layers=1)
    first, second = (
        train_flow(sims, summary=summary, ensemble=1, epochs=1, support="probit", flow="maf", augment=name)
        for name in ("auto", "none")
    )
    np.testing.assert_array_equal(first.stacks[0].history.train, second.stacks[0].history.train)


# ----------------------------------------------------------------------------------------- other ways to run a step
def curves(**settings) -> list[np.ndarray]:
    """Losses of a small flow of vectors and maps, and of a regressor of both, epoch by epoch."""
    sims, training = with_maps(periodic=True), {"ensemble": 2, "epochs": 2, "batch_size": 60, **settings}
    embedding_settings = {"embedding_features": 4, "embedding_layers": 1, "embedding_hidden": 4}
    models_ = (
        train_flow(sims, flow="maf", support="probit", layers=1, blocks=1, **embedding_settings, **training),
        train_regressor(sims, layers=1, hidden=4, **training),
    )
    histories = [model.stacks[0].history for model in models_]
    return [np.concatenate([history.train, history.validation]) for history in histories]


def test_mixed_precision_is_for_cuda_and_takes_half_the_digits_of_embeddings_alone(monkeypatch):
    with pytest.raises(UserError, match="mixed_precision: is for cuda"):
        curves(mixed_precision=True)
    monkeypatch.setattr(embedding, "MIXED_PRECISION_DEVICES", ("cuda", "cpu"))
    for mixed, single in zip(curves(mixed_precision=True), curves(), strict=True):
        difference = np.abs(mixed - single).max()
        assert 1e-6 < difference < 0.1
