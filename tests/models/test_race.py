"""Which architectures and supports are mixed: pilots, the shares that validation rows ask for, and their density."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy import special, stats

import cosmoinfer
from cosmoinfer import models
from cosmoinfer.models import FlowModel
from cosmoinfer.models.flow import fit_flow, flow_recipe, race
from cosmoinfer.models.flow.shares import ValidationScores, fit_weights, maximise_likelihood, mean_shares
from tests.examples import (
    ROWS,
    TINY,
    check_same_row,
    density,
    fitted_preprocessing,
    flow_of,
    linear_gaussian,
    sampled,
    split_of,
    train_flow,
    training_context,
)

SUPPORTS = ("truncate", "soft", "probit")


@lru_cache
def mixed(size: int = 1) -> FlowModel:
    """Two members on each support, trained side by side, in unequal shares."""
    stacks = [flow_of("maf", size, 2, support).stacks[0] for support in SUPPORTS]
    weights = np.repeat([0.3, 0.15, 0.05], 2)
    return replace(flow_of("maf", size, 2, "soft"), stacks=tuple(stacks), weights=weights)


# ------------------------------------------------------------------------------------------------ densities and draws
def test_a_mixture_of_supports_is_a_density_on_the_box_and_draws_follow_it():
    model, sims = mixed(), linear_gaussian(1)
    posterior = sampled(model, sims, [3], 20_000)
    low, high = model.preprocessing.parameters.low[0], model.preprocessing.parameters.high[0]
    edges = np.linspace(low, high, 20_001)
    theta = (edges[1:] + edges[:-1])[:, None] / 2
    mass = np.exp(density(model, sims, 3, theta)) * np.diff(edges)
    assert mass.sum() == pytest.approx(1, abs=0.01)
    assert ((low <= posterior.samples) & (posterior.samples <= high)).all()
    cdf = stats.kstest(
        posterior.samples[0, :, 0], lambda x: np.interp(x, edges, np.append(0, mass.cumsum()) / mass.sum())
    )
    assert cdf.pvalue > 1e-3
    x = sims.observables[0].values[3]
    np.testing.assert_allclose(model.log_prob(posterior.samples[0, :9], x), posterior.log_prob[0, :9], atol=0.03)


def test_a_member_on_its_own_support_is_as_if_it_had_trained_alone():
    """Those of other supports beside it change nothing but by rounding."""
    together = train_flow(linear_gaussian(2), flow="maf", ensemble=4, support="truncate,soft")
    stacks = {stack.support.name: stack for stack in together.stacks}
    alone = flow_of("maf", 2, 2, "truncate").stacks[0]
    assert stacks["truncate"].members == 2 == stacks["soft"].members
    for name, weights in alone.network.state_dict().items():
        np.testing.assert_allclose(stacks["truncate"].network.state_dict()[name], weights, atol=1e-5)
    np.testing.assert_allclose(stacks["truncate"].history.validation, alone.history.validation, atol=1e-4)


def test_a_mixture_of_supports_is_read_as_it_was_written(tmp_path):
    models.write(tmp_path / "flow.h5", mixed(2), {})
    again = models.read(tmp_path / "flow.h5")
    assert [stack.support.name for stack in again.stacks] == [*SUPPORTS]
    check_same_row(sampled(mixed(2), linear_gaussian(2), [2], 50), sampled(again, linear_gaussian(2), [2], 50))
    with pytest.raises(cosmoinfer.UserError, match="member: expected 0 to 5"):
        again.to_nflows(6)


def test_the_density_of_a_mixture_of_supports_stays_one_at_any_temperature():
    model, sims = replace(mixed(), temperature=1.6), linear_gaussian(1)
    generator, contexts = np.random.default_rng(0), model.embed(sims, np.array([3]))
    log_mass = np.mean([model.mixture.log_box_mass_at_temperature(contexts, generator)(1.6) for _ in range(60)])
    assert log_mass == pytest.approx(np.log(model.mixture.box_mass(contexts, 20_000, generator)), abs=0.03)


def test_masses_of_many_rows_are_those_of_each():
    model, sims = flow_of("maf", 2, 2, "truncate"), linear_gaussian(2)
    rows = np.arange(6)
    masses = model.box_masses(sims, rows, 4000, np.random.default_rng(0))
    for row, mass in zip(rows, masses, strict=True):
        expected = model.mixture.box_mass(model.embed(sims, np.array([row])), 20_000, np.random.default_rng(1))
        assert mass == pytest.approx(expected, abs=0.02)
    assert (mixed(2).box_masses(sims, rows, 10, np.random.default_rng(0)) <= 1).all()
    assert (flow_of("maf", 2, 2, "soft").box_masses(sims, rows, 10, np.random.default_rng(0)) == 1).all()


# --------------------------------------------------------------------------------------------------------------- shares
VALUES = np.random.default_rng(0).normal([[-2]] * 300 + [[2]] * 700, 1).ravel()
LOG_PROBS = np.stack([stats.norm.logpdf(VALUES, mean, 1) for mean in (-2, 2)])
GRID = np.linspace(0.001, 0.999, 999)


@pytest.mark.parametrize("mass", [(1.0, 1.0), (0.4, 0.9)])
def test_weights_maximise_the_likelihood_of_the_mixture(mass):
    """Against a search over all of them, where densities reach beyond the box and where they do not."""
    masses = np.repeat(np.array(mass)[:, None], len(VALUES), axis=1)
    scores = [
        (special.logsumexp(LOG_PROBS, axis=0, b=[[w], [1 - w]]) - np.log(w * mass[0] + (1 - w) * mass[1])).mean()
        for w in GRID
    ]
    weights = maximise_likelihood(LOG_PROBS, masses, np.ones(len(VALUES)))
    assert weights[0] == pytest.approx(GRID[np.argmax(scores)], abs=2e-3)
    shares = mean_shares(weights, masses)
    assert shares.sum() == pytest.approx(1) and shares[0] == pytest.approx(weights[0] * mass[0] / (weights @ mass))


def test_a_hopeless_density_gets_nothing_and_few_rows_leave_near_ties_a_share():
    hopeless = np.stack([*LOG_PROBS, stats.norm.logpdf(VALUES, 50, 1)])
    ids = np.arange(len(VALUES)).astype(str)
    weights = fit_weights(ValidationScores(hopeless, np.ones(hopeless.shape), ids), 0)
    assert weights.sum() == pytest.approx(1) and weights[2] < 1e-6
    random = np.random.default_rng(1)
    for seed in range(5):  # two densities that are equally good
        noise = 0.3 * random.normal(size=(2, 40))
        scores = ValidationScores(noise, np.ones(noise.shape), ids[:40])
        assert 0.05 < fit_weights(scores, seed)[0] < 0.95
    single = ValidationScores(LOG_PROBS[:1], np.ones((1, len(VALUES))), ids)
    assert fit_weights(single, 0).tolist() == [1.0]


def test_rows_of_a_simulation_count_once():
    """Copies of rows change no share beyond the resampling; told apart, they would."""
    copies = np.tile(LOG_PROBS[:, 280:320], 10)
    ids = np.tile(np.arange(40), 10).astype(str)
    plain = ValidationScores(LOG_PROBS[:, 280:320], np.ones((2, 40)), np.arange(40).astype(str))
    clustered = ValidationScores(copies, np.ones(copies.shape), ids)
    assert fit_weights(clustered, 0)[0] == pytest.approx(fit_weights(plain, 0)[0], abs=0.1)


# ----------------------------------------------------------------------------------------------------------------- race
def test_all_candidates_are_raced_and_reported():
    sims, messages = linear_gaussian(2), []
    recipe = flow_recipe(TINY | {"flow": "auto", "ensemble": 2, "epochs": 4}, ROWS, [(3,)])
    model = fit_flow(sims, split_of(sims), fitted_preprocessing(sims), recipe, training_context(0, messages))
    architectures = [stack.architecture for stack in recipe.stacks]
    assert [(entry.architecture, entry.support) for entry in model.race] == [
        (architecture, support) for architecture in architectures for support in ("soft", "truncate")
    ]
    assert len(set(architectures)) == len(architectures)
    assert sum(entry.pilot_share for entry in model.race) == pytest.approx(1)
    assert sum(entry.share for entry in model.race) == pytest.approx(1)
    assert sum(line.startswith("pilot: ") for line in messages) == len(architectures)
    mixed_stacks = {(stack.architecture, stack.support.name): stack.members for stack in model.stacks}
    assert {(entry.architecture, entry.support): entry.members for entry in model.race if entry.share} == mixed_stacks
    again = fit_flow(sims, split_of(sims), fitted_preprocessing(sims), recipe, training_context(0))
    assert again.race == model.race
    np.testing.assert_array_equal(again.weights, model.weights)


def test_a_single_candidate_is_not_raced():
    messages: list[str] = []
    sims = linear_gaussian(1)
    recipe = flow_recipe(TINY | {"support": "probit", "ensemble": 1, "flow": "maf"}, ROWS, [(2,)])
    model = fit_flow(sims, split_of(sims), fitted_preprocessing(sims), recipe, training_context(0, messages))
    assert model.race == () and not any("pilot" in line for line in messages)


@pytest.mark.parametrize(
    ("members", "shares", "expected"), [(5, [0.6, 0.4], [3, 2]), (5, [1, 0], [5, 0]), (1, [0.5, 0.5], [1, 0])]
)
def test_members_are_apportioned_by_shares(members, shares, expected):
    assert race.apportion(members, np.array(shares)) == expected


@pytest.mark.parametrize("support", ["probit,sofd", "auto,soft", ""])
def test_supports_are_names_of_the_table(support):
    if not support:
        assert flow_recipe({"support": "soft, truncate,soft"}, 100, [(3,)]).supports == ("soft", "truncate")
        return
    with pytest.raises(cosmoinfer.UserError, match=r"support: .* is not known; there are probit, soft, truncate"):
        flow_recipe({"support": support}, 100, [(3,)])
