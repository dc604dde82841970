"""Which settings are searched, and in which ranges: they hold the defaults, and a trial is a recipe of train-flow."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import pytest

from cosmoinfer.flows import FLOWS
from cosmoinfer.models.flow import flow_recipe
from cosmoinfer.models.flow.recipe import expand_flow_settings
from cosmoinfer.settings import check_settings, settings_of
from cosmoinfer.studies.comparison import Comparison
from cosmoinfer.studies.search import EMBEDDINGS, RANGES, SearchSpace
from cosmoinfer.training.settings import TrainingSettings

NOT_SEARCHED = {"activation", "linear_start"}  # of flows
NOT_SEARCHED |= {"epochs", "optimizer", "schedule", "momentum", "patience", "clip_norm", "warm_up", "mixed_precision"}


class Ends:
    """Chooses the first or the last of everything."""

    def __init__(self, place: int) -> None:
        self.place, self.names = place, []

    def choose(self, name: str, choices: Sequence[str]) -> str:
        self.names.append(name)
        return choices[self.place]

    def whole_number(self, name: str, low: int, high: int, log: bool) -> int:
        assert isinstance(low, int) and low < high and (low > 0 or not log)
        self.names.append(name)
        return (low, high)[self.place]

    def real_number(self, name: str, low: float, high: float, log: bool) -> float:
        assert low < high and (low > 0 or not log)
        self.names.append(name)
        return (low, high)[self.place]


def space(shape: tuple[int, ...] = (8,), rows: int = 500, **settings: object) -> SearchSpace:
    fixed = [name for name, value in expand_flow_settings(settings).overrides.items() if value is not None]
    return SearchSpace.of_recipe(flow_recipe(settings, rows, [shape]), fixed)


def test_every_setting_has_a_range_or_is_not_searched() -> None:
    names = set(settings_of(*FLOWS.values(), TrainingSettings))
    assert names == RANGES.keys() | NOT_SEARCHED and not RANGES.keys() & NOT_SEARCHED


@pytest.mark.parametrize("recipe", [*FLOWS.values(), TrainingSettings])
def test_ranges_are_of_the_type_and_within_the_limits_of_the_setting(recipe) -> None:
    for entry in fields(recipe):
        if entry.name in RANGES:
            for value in (RANGES[entry.name].low, RANGES[entry.name].high):
                check_settings(recipe, {entry.name: value})
                assert isinstance(value, int) == isinstance(entry.default, int)


@pytest.mark.parametrize("rows", [100, 2000, 20000])
@pytest.mark.parametrize("shape", [(8,), (1, 16, 16)])
@pytest.mark.parametrize("effort", ["low", "high"])
def test_ranges_hold_the_defaults(rows, shape, effort) -> None:
    searched = space(shape, rows, effort=effort)
    for stack in flow_recipe({"effort": effort}, rows, [shape]).stacks:
        settings = searched.settings_of(stack)
        assert settings.pop("flow") == stack.flow and settings.pop("embedding", "none") in EMBEDDINGS
        for name, value in settings.items():
            assert searched.ranges[name].low <= value <= searched.ranges[name].high
            assert name == "batch_size" or searched.ranges[name] == RANGES[name]


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("flow", ["auto", *FLOWS])
def test_a_trial_is_a_recipe_of_train_flow(flow, place) -> None:
    settings = space(flow=flow).suggest(ends := Ends(place))
    (stack,) = flow_recipe({**settings, "ensemble": 1}, 500, [(8,)]).stacks
    assert list(settings) == ends.names
    for name in RANGES:
        if name in settings:
            source = stack.training if name in settings_of(TrainingSettings) else stack.settings
            assert getattr(source, name) == settings[name]
    assert ("bins" in settings) == ("bins" in settings_of(FLOWS[stack.flow]))


def test_what_a_user_gives_is_not_searched() -> None:
    assert space().flows == ("maf", "nsf", "nsf-ar") and space().embeddings == EMBEDDINGS
    given = space(flow="auto:bins=12", learning_rate=0.002, embedding="mlp:hidden=8")
    assert given.flows == ("nsf", "nsf-ar") and given.embeddings == ()
    assert given.ranges.keys() == RANGES.keys() - {"bins", "learning_rate"}
    assert space(rows=2000, flow="nsf", embedding_hidden=20).embeddings == ("mlp",)
    assert space((1, 16, 16)).embeddings == () == space(observation="simulation").embeddings
    assert space(batch_size=7).ranges.keys() == RANGES.keys() - {"batch_size"}


@pytest.mark.parametrize(
    ("gain", "verdict", "words"),
    [
        (0.5, "better", "better than the default by 0.516 ± 0.019 nat on 400 test rows"),
        (-0.5, "worse", "worse than the default by 0.484 ± 0.019 nat on 400 test rows"),
        (0.005, "no better", "no better than the default (0.0"),
        (np.inf, "not comparable", "not comparable to the default: a log_prob of the 400 test rows is not finite"),
    ],
)
def test_a_difference_counts_beyond_two_errors_clustered_by_simulation(gain, verdict, words) -> None:
    """Rows of a simulation move together: sigma 0.2 of 100 simulations is an error of 0.02."""
    stream = np.random.default_rng(0)
    simulation = np.arange(400) // 4
    noise = np.repeat(0.2 * stream.normal(size=100), 4)
    second = stream.normal(size=400)
    comparison = Comparison.of_log_probs(second + gain + noise, second, simulation)
    assert (comparison.verdict, comparison.rows, comparison.simulations) == (verdict, 400, 100)
    assert comparison.describe("the default").startswith(words)
    document = comparison.to_json()
    assert (document["error"] is None) == (verdict == "not comparable")
    if document["error"] is not None:
        assert document["error"] == pytest.approx(0.02, rel=0.2)


def test_a_single_simulation_tells_nothing() -> None:
    assert Comparison.of_log_probs(np.ones(5), np.zeros(5), np.zeros(5)).verdict == "no better"
