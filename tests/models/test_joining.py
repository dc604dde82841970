"""Trained flows that are joined: their density, shares and record of rows, and what cannot be joined."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy import special

from cosmoinfer import catalog as catalogs
from cosmoinfer import models, seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.models import FlowModel
from cosmoinfer.models.flow import check_joinable, join_flows
from cosmoinfer.models.flow.shares import (
    DRAWS_PER_MASS,
    Scores,
    choose_mixture,
    expected_weights,
    fit_weights,
    mean_shares,
)
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.state import Noise
from cosmoinfer.split import by_hash
from tests.examples import (
    check_same_row,
    continue_flow,
    flow_of,
    linear_gaussian,
    regressor_of,
    sampled,
    train_flow,
    train_regressor,
)

SEED, NAMES = 3, ("a.h5", "b.h5", "c.h5")


@lru_cache
def three() -> tuple[FlowModel, ...]:
    """Almost as good as each other: one overflows the box, one does not, one is of both kinds in unequal shares."""
    flows = [
        train_flow(linear_gaussian(1), seed, flow="nsf", ensemble=members, support=support, epochs=8)
        for seed, (members, support) in enumerate([(2, "truncate"), (3, "soft"), (2, "truncate,soft")])
    ]
    return *flows[:2], replace(flows[2], weights=np.array([0.9, 0.1]))


def joined(*flows: FlowModel, sims: Catalog | None = None, top: int = 5) -> FlowModel:
    names = NAMES[: len(flows)]
    check_joinable(flows, names)
    return join_flows(flows, names, sims or linear_gaussian(1), top, SEED)


def displaced(flow: FlowModel) -> FlowModel:
    """The same density about other parameters."""
    stacks = [
        replace(stack, support=replace(stack.support, shift=stack.support.shift + 2 * stack.support.scale))
        for stack in flow.stacks
    ]
    return replace(flow, stacks=tuple(stacks))


# --------------------------------------------------------------------------------------------------- density and shares
def test_a_joined_flow_is_the_mixture_of_its_flows_by_the_shares_that_validation_rows_ask_for():
    sims, flows = linear_gaussian(1), three()
    rows = flows[0].training_record.rows(sims, "validation")
    theta = sims.theta[rows]
    generators = (seeding.generator(SEED, "masses", number) for number in range(3))
    masses = [flow.box_masses(sims, rows, DRAWS_PER_MASS, draws) for flow, draws in zip(flows, generators, strict=True)]
    log_probs = np.stack([flow.log_prob_untruncated(sims, rows, theta) for flow in flows])
    alone = log_probs - np.log(masses)
    deficits = alone[alone.mean(axis=1).argmax()] - alone
    in_errors = deficits.mean(axis=1) / np.maximum(deficits.std(axis=1, ddof=1) / np.sqrt(len(rows)), 1e-99)
    prior = np.exp(-0.5 * in_errors**2)
    scores = Scores(log_probs, np.stack(masses), sims.simulation[rows])
    weights = fit_weights(scores, prior / prior.sum())
    model = joined(*flows)
    expected = special.logsumexp(log_probs, axis=0, b=weights[:, None])
    np.testing.assert_allclose(model.log_prob_untruncated(sims, rows, theta), expected, rtol=1e-6)
    shares = [entry.share for entry in model.joined]
    np.testing.assert_allclose(shares, mean_shares(weights, scores))
    assert min(shares) > 0.02 and sum(shares) == pytest.approx(1) == model.weights.sum()
    np.testing.assert_allclose(model.weights[-2:] / model.weights[-2:].sum(), [0.9, 0.1])
    np.testing.assert_allclose([entry.log_prob for entry in model.joined], alone.mean(axis=1))


def test_it_is_a_density_on_the_box():
    model, sims = joined(*three()), linear_gaussian(1)
    low, high = model.preprocessing.parameters.low[0], model.preprocessing.parameters.high[0]
    edges = np.linspace(low, high, 5001)
    log_prob = model.log_prob((edges[1:] + edges[:-1])[:, None] / 2, sims.observables[0].values[3])
    assert (np.exp(log_prob) * np.diff(edges)).sum() == pytest.approx(1, abs=0.02)
    samples = sampled(model, sims, [3], 500).samples
    assert ((low <= samples) & (samples <= high)).all()


def test_a_clearly_worse_flow_is_left_out():
    good = flow_of("maf", 1, 2, "soft")
    model = joined(displaced(flow_of("nsf", 1, 3, "soft")), good)
    assert [entry.share for entry in model.joined] == [0, 1]
    assert model.joined[0].log_prob < model.joined[1].log_prob - 1
    assert [stack.architecture for stack in model.stacks] == [stack.architecture for stack in good.stacks]


def test_the_best_alone_is_as_it_was():
    sims, flows = linear_gaussian(1), three()
    model = joined(*flows, top=1)
    best = flows[int(np.argmax([entry.log_prob for entry in model.joined]))]
    assert sorted(entry.share for entry in model.joined) == [0, 0, 1]
    np.testing.assert_array_equal(model.weights, best.weights)
    check_same_row(sampled(model, sims, [2], 50), sampled(best, sims, [2], 50))


def test_as_many_as_are_asked_for_are_mixed_and_they_are_the_best():
    model = joined(*three(), top=2)
    ranked = sorted(model.joined, key=lambda entry: entry.log_prob)
    assert ranked[0].share == 0 < min(entry.share for entry in ranked[1:])
    assert model.recalibration is not None and model.ood is not None and model.race == ()


def test_near_ties_are_expected_to_weigh_the_same_and_what_is_clearly_worse_nothing():
    """Also where few simulations validate: ten of them are the prior's own worth."""
    noise = np.random.default_rng(0).normal(0, 0.3, (3, 20))
    scores = Scores(
        np.array([[0.0], [0.0], [-9.0]]) + noise - noise.mean(axis=1)[:, None], np.ones((3, 20)), np.arange(20)
    )
    np.testing.assert_allclose(expected_weights(scores), [0.5, 0.5, 0], atol=1e-9)
    assert choose_mixture(scores, expected_weights(scores))[0] == [0, 1]
    single = Scores(np.array([[0.0], [-9.0]]), np.ones((2, 1)), np.zeros(1))
    np.testing.assert_allclose(expected_weights(single), 0.5)


def test_many_equal_densities_are_all_mixed():
    scores = Scores(np.zeros((60, 30)), np.ones((60, 30)), np.arange(30))
    kept, weights, _ = choose_mixture(scores, np.ones(60))
    assert kept == list(range(60)) and weights == pytest.approx(1 / 60)


def test_a_joined_flow_is_read_as_it_was_written(tmp_path):
    model, sims = joined(*three()), linear_gaussian(1)
    models.write(tmp_path / "joined.h5", model, {})
    again = models.read(tmp_path / "joined.h5")
    assert again.joined == model.joined and again.recalibration == model.recalibration
    check_same_row(sampled(model, sims, [2], 50), sampled(again, sims, [2], 50))


# ------------------------------------------------------------------------------------------------- summaries, ancestors
def test_flows_behind_one_summary_network_are_joined_and_behind_two_are_not():
    sims = linear_gaussian(2)
    summaries = regressor_of(2), train_regressor(sims, 1, loss="moment", ensemble=3, epochs=1)
    first, second = (
        train_flow(sims, seed, summaries[0], flow="maf", ensemble=1, support="soft", epochs=1) for seed in (0, 1)
    )
    model = joined(first, second, sims=sims)
    assert model.summary is first.summary
    assert len(model.training_record.training_hashes) == len(first.training_record.training_hashes)
    behind_another = replace(second, summary=summaries[1])
    for flow in (behind_another, flow_of("maf", 2, 2, "truncate")):
        with pytest.raises(UserError, match=r"^b.h5: cannot .* a.h5: its summary network is not that of a.h5"):
            joined(first, flow, sims=sims)


def test_rows_of_all_ancestors_count_as_rows_that_it_has_learned_from():
    sims, plain = linear_gaussian(2), flow_of("maf", 2, 2, "soft")
    ancestors = [
        train_flow(linear_gaussian(2, seed=seed), flow="maf", ensemble=1, support="soft", epochs=1) for seed in (1, 2)
    ]
    heirs = [continue_flow(sims, ancestor, epochs=1) for ancestor in ancestors]
    counts = [len(flow.training_record.used_hashes) for flow in (plain, *ancestors)]
    model = joined(plain, *heirs, sims=sims)
    assert len(model.training_record.used_hashes) == sum(counts) and model.initialised_from is None
    sibling = continue_flow(sims, ancestors[0], epochs=2)
    model = joined(heirs[0], sibling, sims=sims)
    assert len(model.training_record.used_hashes) == sum(counts[:2])
    assert model.initialised_from is ancestors[0]


def test_flows_of_sets_are_joined():
    sims = linear_gaussian(1)
    ids, theta = np.repeat(np.arange(150), 2).astype(str), np.repeat(sims.theta[::2], 2, axis=0)
    sims = replace(sims, simulation=ids, theta=theta)
    sims = replace(sims, fingerprint=catalogs.fingerprint(sims))
    settings = {"flow": "maf", "ensemble": 1, "support": "truncate", "observation": "simulation", "epochs": 1}
    flows = [train_flow(sims, seed, **settings) for seed in (0, 1)]
    model = joined(*flows, sims=sims)
    assert (
        model.set_size == 2 and model.recalibration.rows == len(flows[0].training_record.rows(sims, "validation")) / 2
    )
    of_rows = train_flow(sims, 0, **settings | {"observation": "row"})
    with pytest.raises(UserError, match=r"c.h5: cannot .*: it takes single rows, not sets of 2 rows \(`observation`\)"):
        joined(*flows, of_rows, sims=sims)


# ------------------------------------------------------------------------------------------------------------- refusals
def with_preprocessing(flow: FlowModel, **changes) -> FlowModel:
    return replace(flow, preprocessing=replace(flow.preprocessing, **changes))


def with_input(flow: FlowModel, **changes) -> FlowModel:
    return with_preprocessing(flow, inputs=(replace(flow.preprocessing.inputs[0], **changes),))


def with_standardizer(flow: FlowModel, factor: float) -> FlowModel:
    standardizer = flow.preprocessing.inputs[0].standardizer
    return with_input(flow, standardizer=replace(standardizer, mean=standardizer.mean * factor))


def with_record(flow: FlowModel, **changes) -> FlowModel:
    return replace(flow, training_record=replace(flow.training_record, **changes))


def with_prior(flow: FlowModel, name: str, high: float) -> FlowModel:
    return with_preprocessing(flow, parameters=Parameters.from_names((name,), [0.1], [high], ["uniform"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda flow: with_record(flow, fingerprint="f"), "it was trained on another catalog"),
        (
            lambda flow: with_record(flow, split=by_hash(linear_gaussian(1).simulation, seed=1)),
            "it was trained on another split (`split_seed`",
        ),
        (lambda flow: with_prior(flow, "b", 0.5), "it infers b, not a (`infer`, `names`)"),
        (lambda flow: with_prior(flow, "a", 0.6), "it has another prior (`bounds`, `where`)"),
        (lambda flow: with_preprocessing(flow, noise=Noise(np.eye(2), 0)), "it was trained with other noise (`noise`"),
        (lambda flow: with_input(flow, name="pk"), "it takes other data (`data`"),
        (lambda flow: with_standardizer(flow, 1.001), "it scales the data otherwise (`transform`"),
    ],
)
def test_what_differs_is_named(change, message):
    with pytest.raises(UserError) as error:
        joined(flow_of("maf", 1, 2, "truncate"), change(flow_of("nsf", 1, 3, "soft")))
    assert str(error.value).startswith(f"b.h5: cannot be joined with a.h5: {message}")


def test_scalings_that_differ_by_the_rounding_of_another_machine_do_not():
    other_machine = with_standardizer(flow_of("nsf", 1, 3, "soft"), 1 + 1e-12)
    assert len(joined(flow_of("maf", 1, 2, "truncate"), other_machine).joined) == 2


def test_flows_at_another_temperature_are_refused():
    with pytest.raises(UserError, match=r"^a.h5: expected a flow at temperature 1, found temperature 1.2$"):
        joined(replace(flow_of("nsf", 1, 3, "soft"), temperature=1.2), flow_of("maf", 1, 2, "truncate"))


def test_another_catalog_and_other_rows_of_it_are_refused():
    flows = flow_of("maf", 1, 2, "truncate"), flow_of("nsf", 1, 3, "soft")
    with pytest.raises(UserError, match=r"^linear_gaussian_1.h5: is not the catalog that a.h5 was trained on$"):
        joined(*flows, sims=linear_gaussian(1, seed=1))
    sims = linear_gaussian(1)
    cut = TrainingRecord.from_catalog(sims.select(np.arange(200)), flows[1].training_record.split)
    with pytest.raises(
        UserError, match=r"^b.h5: has learned from other rows than the training rows of linear_gaussian"
    ):
        joined(flows[0], with_record(flows[1], training_hashes=cut.training_hashes))


def test_a_flow_whose_log_prob_is_not_finite_is_named():
    flow = flow_of("nsf", 1, 3, "soft")
    stack = flow.stacks[0]
    broken = replace(stack, support=replace(stack.support, scale=np.array([np.nan])))
    with pytest.raises(UserError, match=r"^b.h5: expected a finite log_prob of the validation rows, found nan$"):
        joined(flow_of("maf", 1, 2, "soft"), replace(flow, stacks=(broken,)))
