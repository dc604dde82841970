"""Which architectures and supports are mixed: pilots, the shares that validation rows ask for, and their density."""

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from scipy import special, stats

import cosmoinfer
from cosmoinfer import models
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.models import FlowModel
from cosmoinfer.models.flow import Candidate, fit, fit_flow, flow_recipe, menu, race
from cosmoinfer.models.flow.members import FlowTrainingData, Folds, fit_members
from cosmoinfer.models.flow.menu import EFFORTS, MenuEntry
from cosmoinfer.models.flow.shares import (
    PRIOR_SIMULATIONS,
    Scores,
    fit_weights,
    maximise_posterior,
    mean_shares,
    score_held_out,
)
from cosmoinfer.parameters import Parameters
from cosmoinfer.supports import fit_support
from cosmoinfer.training.loop import DivergedError
from cosmoinfer.training.state import History
from tests.examples import (
    ROWS,
    TINY,
    box,
    check_same_row,
    density,
    fitted_preprocessing,
    flow_of,
    linear_gaussian,
    sampled,
    split_of,
    train_flow,
    train_regressor,
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


@pytest.mark.parametrize("prior", [(0.0, 0.0), (300.0, 100.0)])
@pytest.mark.parametrize("mass", [(1.0, 1.0), (0.4, 0.9)])
def test_weights_are_the_most_probable_ones(mass, prior):
    """Against a search over all of them, where densities reach beyond the box and where they do not."""
    masses = np.repeat(np.array(mass)[:, None], len(VALUES), axis=1)
    log_posterior = [
        (special.logsumexp(LOG_PROBS, axis=0, b=[[w], [1 - w]]) - np.log(w * mass[0] + (1 - w) * mass[1])).sum()
        + prior[0] * np.log(w)
        + prior[1] * np.log(1 - w)
        for w in GRID
    ]
    weights = maximise_posterior(LOG_PROBS, masses, np.ones(len(VALUES)), np.array(prior))
    assert weights[0] == pytest.approx(GRID[np.argmax(log_posterior)], abs=2e-3)
    shares = mean_shares(weights, Scores(LOG_PROBS, masses, np.arange(len(VALUES))))
    assert shares.sum() == pytest.approx(1) and shares[0] == pytest.approx(weights[0] * mass[0] / (weights @ mass))


def test_a_hopeless_density_gets_what_is_expected_of_it_alone_and_near_ties_both_have_a_share():
    hopeless = np.stack([*LOG_PROBS, stats.norm.logpdf(VALUES, 50, 1)])
    ids = np.arange(len(VALUES)).astype(str)
    scores = Scores(hopeless, np.ones(hopeless.shape), ids)
    assert fit_weights(scores)[2] == pytest.approx(PRIOR_SIMULATIONS / 3 / (len(VALUES) + PRIOR_SIMULATIONS), rel=1e-3)
    weights = fit_weights(scores, np.array([0.5, 0.5, 0.0]))
    assert weights.sum() == pytest.approx(1) and weights[2] < 1e-6
    random = np.random.default_rng(1)
    for _ in range(5):  # two densities that are equally good
        noise = 0.3 * random.normal(size=(2, 40))
        scores = Scores(noise, np.ones(noise.shape), ids[:40])
        assert 0.05 < fit_weights(scores)[0] < 0.95
    single = Scores(LOG_PROBS[:1], np.ones((1, len(VALUES))), ids)
    assert fit_weights(single).tolist() == [1.0]


def test_rows_of_a_simulation_count_once():
    """Copies of rows change no share; told apart, they would, since the prior would count for less."""
    copies = np.tile(LOG_PROBS[:, 290:330], 10)
    ids = np.tile(np.arange(40), 10).astype(str)
    plain = fit_weights(Scores(LOG_PROBS[:, 290:330], np.ones((2, 40)), np.arange(40).astype(str)))
    clustered = fit_weights(Scores(copies, np.ones(copies.shape), ids))
    assert clustered == pytest.approx(plain)
    told_apart = fit_weights(Scores(copies, np.ones(copies.shape), np.arange(400).astype(str)))
    assert abs(told_apart[0] - plain[0]) > 0.01


# ----------------------------------------------------------------------------------------------------------------- race
def raced(messages: list[str], rows: int = ROWS, **settings) -> tuple[FlowModel, list[str]]:
    """A model of two parameters, and the architectures that were raced for it."""
    sims = linear_gaussian(2)
    recipe = flow_recipe(TINY | {"flow": "auto", "ensemble": 2, "epochs": 4} | settings, rows, [(3,)])
    model = fit_flow(sims, split_of(sims), fitted_preprocessing(sims), recipe, training_context(0, messages))
    return model, [stack.architecture for stack in recipe.stacks]


def test_all_candidates_are_raced_and_reported():
    messages: list[str] = []
    model, architectures = raced(messages, support="soft,truncate")
    candidates = [(entry.architecture, entry.support) for entry in model.race]
    assert candidates[: len(architectures)] == [(architecture, "truncate") for architecture in architectures]
    assert len(set(candidates)) == len(candidates)
    assert sum(entry.pilot_share for entry in model.race) == pytest.approx(1)
    assert sum(entry.final_share for entry in model.race) == pytest.approx(1)
    assert [f"pilot: {name}, support {support}" for name, support in candidates] == [
        line for line in messages if line.startswith("pilot: ")
    ]
    first = next(number for number, line in enumerate(messages) if line.startswith("training "))
    described = [entry.describe_pilot() for entry in model.race]
    assert messages[first - len(described) : first] == described  # before anything is trained in full
    trained = [line for line in messages[first:] if "final share" in line]
    assert len(trained) == sum(entry.members > 0 for entry in model.race)
    assert all(any(line.startswith(stack.describe()) for line in trained) for stack in model.stacks)
    assert sum(line.startswith("training ") for line in messages) <= EFFORTS["medium"].finalists
    mixed_stacks = {(stack.architecture, stack.support.name): stack.members for stack in model.stacks}
    assert {
        (entry.architecture, entry.support): entry.members for entry in model.race if entry.final_share
    } == mixed_stacks
    for entry in model.race:  # two members for one epoch, and what was trained in full for four
        assert entry.size > 100 and entry.epochs in (2, 6, 10)
        assert entry.members == 0 or entry.epochs == 2 + 4 * entry.members
    again, _ = raced([], support="soft,truncate")
    assert again.race == model.race
    np.testing.assert_array_equal(again.weights, model.weights)


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_other_supports_are_raced_only_where_a_truncated_pilot_leaves_the_box(monkeypatch, limit):
    monkeypatch.setattr(race, "MAX_MASS_RACED", limit)
    messages: list[str] = []
    model, architectures = raced(messages, effort="low")
    supports = [entry.support for entry in model.race]
    assert supports == ["truncate"] * len(architectures) + ["soft"] * supports.count("soft")
    assert (supports.count("soft") == 0) == (limit == 0)
    assert any("support truncate is enough" in line for line in messages) == (limit == 0)
    assert any("support soft is tried too" in line for line in messages) == (limit == 1)


def test_only_what_has_a_share_on_the_first_support_is_tried_on_others(monkeypatch):
    monkeypatch.setattr(race, "MIN_PILOT_SHARE", 2.0)
    model, architectures = raced([], support="soft,truncate", effort="low")
    assert [entry.support for entry in model.race] == ["truncate"] * len(architectures) + ["soft"]
    monkeypatch.setattr(race, "MIN_PILOT_SHARE", 0.0)
    model, architectures = raced([], support="soft,truncate", effort="low")
    assert [entry.architecture for entry in model.race] == architectures * 2


def test_an_effort_is_candidates_and_members():
    recipes = [flow_recipe({"effort": effort}, 700, [(3,)]) for effort in EFFORTS]
    for less, more in pairwise(recipes):
        assert {stack.architecture for stack in less.stacks} < {stack.architecture for stack in more.stacks}
        assert less.ensemble < more.ensemble
        assert EFFORTS[less.effort].finalists < EFFORTS[more.effort].finalists
    assert flow_recipe({}, 700, [(3,)]) == recipes[1]
    assert flow_recipe({"effort": "high", "ensemble": 3}, 700, [(3,)]).ensemble == 3
    with pytest.raises(cosmoinfer.UserError, match=r"effort: .*low, medium, high"):
        flow_recipe({"effort": "most"}, 700, [(3,)])


def test_candidates_that_overrides_make_alike_are_raced_once():
    recipe = flow_recipe({"flow": "auto", "hidden": 16, "dropout": 0.1}, 700, [(3,)])
    assert len({stack.architecture for stack in recipe.stacks}) == len(recipe.stacks) == 5


def test_a_member_of_a_pilot_does_not_know_the_rows_that_it_leaves_out():
    """Other parameters in them change the member that learns from them, and not a bit of the one that does not."""
    sims = linear_gaussian(2)
    record = TrainingRecord.from_catalog(sims, split_of(sims))
    data = FlowTrainingData(sims, fitted_preprocessing(sims), record)
    folds = Folds.of_simulations(sims.simulation[data.training_rows], 3, 2, 0)
    left_out = data.training_rows[folds.of_rows == 0]
    theta = sims.theta.copy()
    theta[left_out] = theta[left_out][::-1]
    support = fit_support("truncate", data.preprocessing.parameters, sims.theta)
    (stack,) = flow_recipe(TINY | {"flow": "nsf-ar", "support": "truncate", "epochs": 2}, ROWS, [(3,)]).stacks
    before, after = (
        fit_members(each, stack, [support] * 2, training_context(0), "none", folds=folds)
        for each in (data, replace(data, catalog=replace(sims, theta=theta)))
    )
    pairs = [(before[0].network.state_dict()[name], value) for name, value in after[0].network.state_dict().items()]
    assert all((old[0] == new[0]).all() for old, new in pairs)
    assert any((old[1] != new[1]).any() for old, new in pairs)
    scores = score_held_out(data, before, folds, 0)
    alone = data.model([before[0].select(slice(0, 1))], np.ones(1))
    np.testing.assert_allclose(
        scores.log_prob[0][: len(left_out)], alone.log_prob_untruncated(sims, left_out, sims.theta[left_out]), rtol=1e-6
    )
    assert (
        scores.simulation.tolist()
        == sims.simulation[data.training_rows[np.isin(folds.of_rows, [0, 1])]][
            np.argsort(folds.of_rows[np.isin(folds.of_rows, [0, 1])], kind="stable")
        ].tolist()
    )


def test_rows_are_left_out_only_where_that_tells_more(monkeypatch):
    """Not where enough simulations validate, or too few train, or a summary network has learned from all."""
    sims = linear_gaussian(2)
    record = TrainingRecord.from_catalog(sims, split_of(sims))
    data = FlowTrainingData(sims, fitted_preprocessing(sims), record)
    assert race._folds(data, 2, 0).of_members.tolist() == [0, 1]
    regressor = train_regressor(sims, frame=data.preprocessing, ensemble=1)
    assert race._folds(replace(data, summary=regressor), 2, 0) is None
    monkeypatch.setattr(race, "ENOUGH_VALIDATION_SIMULATIONS", len(data.validation_rows))
    assert race._folds(data, 2, 0) is None
    one = replace(sims, simulation=np.full(len(sims), "1"))  # many rows are no many simulations
    monkeypatch.setattr(race, "ENOUGH_VALIDATION_SIMULATIONS", 2)
    assert race._folds(replace(data, catalog=one), 2, 0) is None


@pytest.mark.parametrize("settings", [{"embedding": "mlp"}, {"hidden": 64}, {"observation": "simulation"}])
def test_candidates_that_differ_in_layers_alone_stay_apart(settings):
    flows = [("nsf", 3), ("nsf", 8), ("nsf-ar", 3), ("nsf-ar", 5)]
    recipe = flow_recipe({"flow": "auto", "effort": "high"} | settings, 700, [(3,)])
    assert {(stack.flow, stack.settings.layers) for stack in recipe.stacks} >= {*flows}


def test_rows_of_a_simulation_are_left_out_together():
    simulation = np.repeat(np.arange(12), 5)
    folds = Folds.of_simulations(simulation, 4, 2, 0)
    assert all(len(set(folds.of_rows[simulation == number])) == 1 for number in range(12))
    assert np.bincount(folds.of_rows).tolist() == [15] * 4
    first = folds.rows_of_members(4)  # of a sorted catalog too, whose first rows may all be left out
    assert first.shape == (2, 4)
    assert all((folds.of_rows[rows] != fold).all() for rows, fold in zip(first, folds.of_members, strict=True))


def test_a_single_candidate_is_not_raced():
    messages: list[str] = []
    sims = linear_gaussian(1)
    recipe = flow_recipe(TINY | {"support": "probit", "ensemble": 1, "flow": "maf"}, ROWS, [(2,)])
    model = fit_flow(sims, split_of(sims), fitted_preprocessing(sims), recipe, training_context(0, messages))
    assert model.race == () and not any("pilot" in line for line in messages)


SHARES = [0.5, 0.3, 0.16, 0.04]  # of the first four on the menu, the third of which has dropout


def finalists(shares, gaps=(1.0, 1.0, 1.0, 1.0), **settings):
    """Of each of the four, members and epochs; (0, 0) where it is not trained in full. A fifth share and gap are of the
    first one on another support."""
    recipe = flow_recipe({"flow": "auto"} | settings, 700, [(3,)])
    recipe, sims = replace(recipe, stacks=recipe.stacks[:4]), linear_gaussian(2)
    truncate, soft = (fit_support(name, box(2), sims.theta) for name in ("truncate", "soft"))
    supports, architectures = [*[truncate] * 4, soft][: len(shares)], np.arange(len(shares)) % 4
    chosen = race._finalists(recipe, architectures, supports, np.array(shares), np.array(gaps))
    trained = {each.recipe.architecture: (len(each.supports), each.recipe.training.epochs) for each in chosen}
    assert all(each.extended == (each.recipe not in recipe.stacks) for each in chosen)
    assert all([supports[number] for number in each.candidates] == [*each.supports] for each in chosen)
    return [trained.get(stack.architecture, (0, 0)) for stack in recipe.stacks]


@pytest.mark.parametrize(
    ("ensemble", "shares", "expected"),
    [
        (5, SHARES, [5, 3, 2, 0]),
        (5, [0.3, 0.25, 0.25, 0.2], [3, 2, 2, 2]),
        (5, [0.6, 0.31, 0.09, 0.0], [5, 3, 0, 0]),
        (5, [0.02, 0.95, 0.03, 0.0], [0, 5, 0, 0]),
        (1, [0.5, 0.3, 0.2, 0.0], [1, 1, 1, 0]),
        (10, [0.0, 0.0, 0.5, 0.5], [0, 0, 10, 10]),
    ],
)
def test_members_of_finalists_are_in_proportion_to_their_shares(ensemble, shares, expected):
    assert [members for members, _ in finalists(shares, ensemble=ensemble)] == expected


def test_the_best_trains_for_longer_where_it_does_not_overfit():
    epochs = flow_recipe({}, 700, [(3,)]).stacks[0].training.epochs
    clear, none = [0.9, 0.1, 0.0, 0.0], [0.0] * 4
    assert [epochs for _, epochs in finalists(clear, none)] == [2 * epochs, epochs, 0, 0]
    assert [epochs for _, epochs in finalists(clear, [0.5, 0.0, 0.0, 0.0])] == [epochs, epochs, 0, 0]  # it overfits
    assert [epochs for _, epochs in finalists([0.4, 0.3, 0.3, 0.0], none)] == [epochs, epochs, epochs, 0]
    assert finalists([0.6, 0.2, 0.2, 0.0], none)[0] == (5, 2 * epochs)
    assert finalists([0.5, 0.25, 0.25, 0.0], none)[0] == (5, epochs)
    assert finalists([0.5, 0.0, 0.0, 0.0, 0.4], [*none[:4], 1.0])[0] == (5, 2 * epochs)  # one support of two does not
    assert finalists([0.9, 0.0, 0.0, 0.0, 0.02], [1.0, *none])[0] == (5, epochs)  # that has no member
    assert finalists([0.0, 0.0, 1.0, 0.0], none)[2] == (5, epochs)  # dropout hides it
    assert finalists(clear, none, epochs=7)[0] == (5, 7)
    assert not flow_recipe({}, 3000, [(3,)]).may_extend


@pytest.mark.parametrize(
    ("members", "shares", "expected"), [(5, [0.6, 0.4], [3, 2]), (5, [1, 0], [5, 0]), (1, [0.5, 0.5], [1, 0])]
)
def test_members_are_apportioned_by_shares(members, shares, expected):
    assert race.apportion(members, np.array(shares)) == expected


@pytest.mark.parametrize(
    ("text", "effort", "count"), [("nsf,maf", "medium", 5), ("maf, nsf", "low", 3), ("nsf-ar,maf", "medium", 4)]
)
def test_several_flows_are_raced_alone(text, effort, count):
    recipe = flow_recipe({"flow": text, "effort": effort}, 700, [(3,)])
    assert {stack.flow for stack in recipe.stacks} == {name.strip() for name in text.split(",")}
    assert len(recipe.stacks) == count
    every = flow_recipe({"effort": effort}, 700, [(3,)]).stacks
    assert [stack for stack in every if stack in recipe.stacks] == [*recipe.stacks]


@pytest.mark.parametrize(
    ("text", "shape", "message"),
    [
        ("maf,glow", (3,), "flow=maf,glow: glow is not raced; there are maf, nsf, nsf-ar"),
        ("maf,nsv", (3,), "flow: 'nsv' is not known; .*did you mean nsf"),
        ("maf,auto", (3,), "flow=maf,auto: auto goes with no other name"),
        ("maf,nsf:hidden=3", (3,), "flow=maf,nsf:hidden=3: several flows have no settings behind them"),
        ("maf,nsf", (1, 8, 8), "flow=maf,nsf: several flows are raced for vectors alone"),
    ],
)
def test_several_flows_are_those_on_the_menu(text, shape, message):
    with pytest.raises(cosmoinfer.UserError, match=message):
        flow_recipe({"flow": text}, 700, [shape])


def test_what_a_setting_removes_from_the_race_is_said():
    recipe = flow_recipe({"flow": "auto:bins=12"}, 700, [(3,)])
    assert all(line.startswith("maf ") and line.endswith(" has no `bins`") for line in recipe.left_out)
    assert len(recipe.left_out) == 3 == len(recipe.stacks)
    messages: list[str] = []
    raced(messages, bins=5, effort="low", support="soft", ensemble=1)
    assert sum(line.startswith("not raced: maf") for line in messages) == 1


def test_a_longer_training_is_said():
    stack = flow_recipe({"flow": "maf"}, 700, [(3,)]).stacks[0]
    support = fit_support("soft", box(2), linear_gaussian(2).theta)
    plain, longer = (race.Finalist(stack, (support,) * 3, extended=extended).describe() for extended in (False, True))
    assert plain == "3 x maf hidden=128 dropout=0.2, support soft"
    assert longer == f"{plain}, for {stack.training.epochs} epochs, since it does not overfit"


@pytest.mark.parametrize("text", ["soft, truncate,soft", "truncate,soft"])
def test_supports_are_in_the_order_of_the_table_however_they_are_named(text):
    assert flow_recipe({"support": text}, 100, [(3,)]).supports == ("soft", "truncate")


def test_auto_among_supports_is_not_raced_with_others_and_still_takes_probit(monkeypatch):
    """Where ridge finds next to nothing about a parameter."""
    monkeypatch.setattr(fit, "MIN_RIDGE_R2", 2.0)
    messages: list[str] = []
    model, _ = raced(messages, flow="maf", support="auto:soft", ensemble=1)
    (stack,) = model.stacks
    assert (stack.support.name, stack.support.probit_only) == ("soft", frozenset("ab")) and not model.race
    assert any(line.startswith("probit in any case") for line in messages)


@pytest.mark.parametrize(
    ("support", "message"),
    [
        ("probit,sofd", "'sofd' is not known; there are probit, soft, truncate"),
        ("auto,soft", "auto goes with no other name; there are probit, soft, truncate"),
        ("auto:sofd", "'sofd' is not known; there are probit, soft, truncate, auto; did you mean soft"),
        ("auto:auto", "expected names behind auto:; there are probit, soft, truncate"),
    ],
)
def test_supports_are_names_of_the_table(support, message):
    with pytest.raises(cosmoinfer.UserError, match=f"support.*: {message}"):
        flow_recipe({"support": support}, 100, [(3,)])


@pytest.mark.parametrize("where", [(), ("a < b",)])
@pytest.mark.parametrize("probit_only", [(), ("a", "b")])
def test_the_support_that_leaks_out_of_the_box_is_raced_first(where, probit_only):
    """In a region too, of which every support leaks, and where no parameter takes it."""
    parameters = Parameters.from_names(box(2).names, box(2).low, box(2).high, box(2).prior, where=where)
    supports = [fit_support(name, parameters, linear_gaussian(2).theta, frozenset(probit_only)) for name in SUPPORTS]
    assert race._racing_order(supports)[0].name == race._racing_order(supports[::-1])[0].name == "truncate"


def diverging(monkeypatch, module, diverges):
    """Trainings of these architectures end without a finite loss."""

    def fit_or_diverge(data, recipe, *arguments, **keywords):
        if diverges(recipe.architecture):
            raise DivergedError("the loss is not finite")
        return fit_members(data, recipe, *arguments, **keywords)

    monkeypatch.setattr(module, "fit_members", fit_or_diverge)


@pytest.mark.parametrize("module", [race, fit])
def test_what_diverges_is_left_out_and_the_others_go_on(monkeypatch, module):
    messages: list[str] = []
    monkeypatch.setattr(race, "MIN_PILOT_SHARE", 0.0)  # all are trained in full
    names: list[str] = []
    diverging(monkeypatch, module, lambda name: names.append(name) or name == names[0])
    model, architectures = raced(messages, effort="low", support="soft", ensemble=1)
    assert [line for line in messages if line.startswith(f"left out: {names[0]}")]
    assert not any(stack.architecture == names[0] for stack in model.stacks)
    raced_names = [name for name in architectures if module is fit or name != names[0]]
    assert [entry.architecture for entry in model.race] == raced_names
    assert all(entry.members == 0 for entry in model.race if entry.architecture == names[0])


@pytest.mark.parametrize("module", [race, fit])
def test_only_where_all_diverge_is_that_an_error(monkeypatch, module):
    diverging(monkeypatch, module, lambda name: True)
    with pytest.raises(DivergedError, match=r"(maf|nsf) .*hidden=.*: the loss is not finite"):
        raced([], effort="low", support="soft", ensemble=1)


def test_entries_of_the_menu_that_look_alike_are_candidates_each(monkeypatch):
    more_bins = MenuEntry("nsf-ar", {"hidden": 50, "bins": 16})
    count = len(flow_recipe({}, 700, [(3,)]).stacks)
    monkeypatch.setattr(menu, "MENU", (*menu.MENU, more_bins))
    bins = [stack.settings.bins for stack in flow_recipe({}, 700, [(3,)]).stacks if stack.flow == "nsf-ar"]
    assert (len(flow_recipe({}, 700, [(3,)]).stacks), bins) == (count + 1, [8, 16])


# ---------------------------------------------------------------------------------------------------------- the outcome
CANDIDATE = Candidate("nsf", "soft", 1.0, 0.1, 0.25, 100, 50)


def outcome(monkeypatch, log_prob, pilot_shares, origins):
    """What becomes of four candidates with these shares of the pilots, of which ``origins`` are trained in full.

    log_prob: (S,) of each of these, the same at all rows.
    """
    sims = linear_gaussian(1)
    data = FlowTrainingData(sims, fitted_preprocessing(sims), TrainingRecord.from_catalog(sims, split_of(sims)))
    rows = np.arange(40)
    log_probs = np.repeat(np.array(log_prob, float)[:, None], len(rows), axis=1)

    def scores_of(data, stacks, seed):
        return Scores(log_probs, np.ones(log_probs.shape), rows)

    monkeypatch.setattr(fit, "score_stacks", scores_of)
    candidates = [replace(CANDIDATE, pilot_share=share) for share in pilot_shares]
    stacks = [flow_of("maf", 1, 1 + number % 2, "soft").stacks[0] for number in range(len(log_prob))]
    messages: list[str] = []
    model = fit._mix(data, stacks, origins, candidates, training_context(0, messages))
    return model, stacks, messages


def test_equally_good_stacks_are_mixed_as_the_pilots_were(monkeypatch):
    """By the numbers of their candidates, whose names are alike."""
    model, stacks, _ = outcome(monkeypatch, [0, 0], [0.1, 0.6, 0.1, 0.2], [1, 3])
    np.testing.assert_allclose(model.weights, [0.75, 0.125, 0.125])
    np.testing.assert_allclose([entry.final_share for entry in model.race], [0, 0.75, 0, 0.25])
    assert [entry.members for entry in model.race] == [0, 1, 0, 2]
    assert [entry.epochs for entry in model.race] == [50, 50 + stacks[0].epochs, 50, 50 + stacks[1].epochs]


def test_what_is_trained_in_full_for_next_to_nothing_is_left_out_and_said_to_be_trained(monkeypatch):
    model, stacks, _ = outcome(monkeypatch, [0, -9, 0], [0.5, 0.01, 0.49], [0, 1, 2])
    assert len(model.stacks) == 2 and model.weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(model.weights, [0.5 / 0.99, 0.49 / 0.99])
    assert (model.race[1].members, model.race[1].final_share) == (2, 0.0)
    assert model.race[1].epochs == 50 + stacks[1].epochs


def test_a_gap_is_that_of_the_last_epoch():
    """Training rows at 3 nat after it, and unseen ones at 1 in the mean over simulations of three rows and one."""
    stack = flow_of("maf", 1, 1, "soft").stacks[0]
    curve = np.array([[-0.5], [-3.0]])
    stack = replace(stack, history=History(curve, curve, np.ones(2), np.zeros(1, int)))
    scores = Scores(np.array([[0.0, 0.0, 0.0, 2.0]]), np.ones((1, 4)), np.array([0, 0, 0, 1]))
    assert race._gaps([stack], scores).tolist() == [2.0]


def test_scores_and_shares_are_means_over_simulations():
    scores = Scores(np.array([[0.0, 0.0, 0.0, 2.0]] * 2), np.array([[1.0] * 4, [1, 1, 1, 0.5]]), np.array([0, 0, 0, 1]))
    once = Scores(scores.log_prob[:, 2:], scores.mass[:, 2:], scores.simulation[2:])
    weights = np.array([0.5, 0.5])
    assert mean_shares(weights, scores) == pytest.approx(mean_shares(weights, once))
    assert scores.mean(scores.log_prob) == pytest.approx([1, 1])
    assert scores.errors(scores.log_prob) == pytest.approx(once.errors(once.log_prob))


def test_scores_of_any_size_are_short():
    line = replace(CANDIDATE, log_prob=-174522357054887.31, error=134579512095214.12).describe()
    assert "-1.75e+14 ± 1.3e+14" in line and len(line) < 140
