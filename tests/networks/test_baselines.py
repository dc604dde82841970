"""Baselines: ridge is the ridge that leave-one-out prefers, and our trees answer as scikit-learn's do."""

from functools import cache

import numpy as np
import pytest
import torch

from cosmoinfer.errors import UserError
from cosmoinfer.networks.baselines import BASELINES, Ridge, TreeEnsemble, Trees

MEMBERS, SHAPE = 2, (2, 3)
RECIPES = {"ridge": Ridge(), "trees": Trees(trees=120, depth=4)}
every_baseline = pytest.mark.parametrize("name", BASELINES)


def rows(count: int, seed: int = 0, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """x (N, 2, 3) float32 and theta (N, 2): a sum of two features, and a product."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(count, 6))
    theta = np.stack([x[:, 0] + 2 * x[:, 3] + 5, np.sign(x[:, 1] * x[:, 2])], axis=1)
    return x.reshape(count, *SHAPE).astype(np.float32), theta + noise * generator.normal(size=theta.shape)


def built(name: str, members: int = MEMBERS) -> torch.nn.Module:
    return RECIPES[name].build(SHAPE, 2, [torch.Generator().manual_seed(member) for member in range(members)])


@cache
def solved(name: str, members: int = MEMBERS, seed: int = 0) -> torch.nn.Module:
    module = built(name, members)
    RECIPES[name].fit(module, *rows(600), *rows(200, seed=1), seed=seed)
    return module


@torch.no_grad()
def r2(module: torch.nn.Module, members: int = MEMBERS) -> np.ndarray:
    """(M, P) on rows that were not seen."""
    x, theta = rows(400, seed=2)
    estimate = module(torch.from_numpy(x).repeat(members, 1, 1, 1)).numpy()
    return 1 - ((estimate - theta) ** 2).mean(1) / theta.var(0)


# -------------------------------------------------------------------------------------------------- every baseline
@every_baseline
def test_a_solution_is_loaded_into_what_was_built_anew(name):
    first, second = solved(name), built(name)
    assert all(len(value) == MEMBERS for value in first.state_dict().values())
    second.load_state_dict(first.state_dict(), strict=True)
    x = torch.from_numpy(rows(10, seed=3)[0]).repeat(MEMBERS, 1, 1, 1)
    assert first(x).shape == (MEMBERS, 10, 2)
    assert (first(x) == second(x)).all()


@every_baseline
def test_the_same_seed_gives_the_same_solution_and_a_member_does_not_feel_the_others(name):
    together, again, alone = solved(name), solved.__wrapped__(name), solved(name, members=1)
    for key, value in together.state_dict().items():
        assert (value == again.state_dict()[key]).all()
        assert (value[:1] == alone.state_dict()[key]).all()
    x = torch.from_numpy(rows(10, seed=3)[0]).repeat(MEMBERS, 1, 1, 1)
    first, second = together(x)
    assert (first == second).all() == (name == "ridge")  # which draws nothing


@every_baseline
def test_rows_of_a_batch_do_not_feel_each_other(name):
    module, x = solved(name), torch.from_numpy(rows(7, seed=3)[0])
    together = module(x.repeat(MEMBERS, 1, 1, 1))
    for row in range(7):
        torch.testing.assert_close(together[:, row], module(x[row : row + 1].repeat(MEMBERS, 1, 1, 1))[:, 0])


@every_baseline
def test_a_baseline_learns_what_it_can(name):
    """A sum is for both; the sign of a product is for trees, and for no affine map."""
    sums, products = r2(solved(name)).T
    assert (sums > (0.99 if name == "ridge" else 0.9)).all()
    assert (products > 0.8).all() if name == "trees" else (abs(products) < 0.05).all()


@every_baseline
def test_a_baseline_takes_so_many_numbers_a_row(name):
    generators = [torch.Generator()]
    RECIPES[name].build((1, 64, 64), 2, generators)
    with pytest.raises(UserError, match=rf"{name} takes at most 4096 numbers.* have 4160, shape \(1, 65, 64\)"):
        RECIPES[name].build((1, 65, 64), 2, generators)


# -------------------------------------------------------------------------------------------------------------- trees
@pytest.mark.parametrize("depth", [1, 3, 6])
@torch.no_grad()
def test_our_trees_answer_as_those_of_scikit_learn(depth):
    (x, theta), (x_validation, theta_validation) = rows(300), rows(100, seed=1)
    recipe, forest = Trees(trees=60, depth=depth), TreeEnsemble(1, 2, 60, depth)
    for output in range(2):
        mean, flat = theta[:, output].mean(), x.reshape(300, 6)
        checks = x_validation.reshape(100, 6), theta_validation[:, output] - mean
        ensemble, count = recipe.fit_boosting(flat, theta[:, output] - mean, *checks, seed=output)
        forest.load_trees(0, output, mean, ensemble, count)
        expected = list(ensemble.staged_predict(flat))[count - 1] + mean
        np.testing.assert_allclose(forest(torch.from_numpy(x)[None])[0, :, output], expected, rtol=1e-5, atol=1e-5)


def test_thresholds_part_neighbours_among_float32_numbers():
    """Half-way between two of them lies none; scikit-learn parts nothing closer than 1e-7."""
    step = np.spacing(np.float32(1000))
    x = np.tile(np.float32(1000) + step * np.arange(3, dtype=np.float32), 30)[:, None]
    y = np.tile([-1.0, 0.0, 1.0], 30)
    recipe, forest = Trees(trees=100, depth=2), TreeEnsemble(1, 1, 100, 2)
    ensemble, count = recipe.fit_boosting(x, y, x, y, seed=0)
    forest.load_trees(0, 0, 0.0, ensemble, count)
    np.testing.assert_allclose(
        forest(torch.from_numpy(x)[None])[0, :, 0], list(ensemble.staged_predict(x))[count - 1], rtol=1e-5
    )
    assert forest(torch.from_numpy(x[None, :3])).flatten().tolist() == pytest.approx([-1, 0, 1], abs=0.1)


def test_the_sequence_ends_where_the_validation_rows_say():
    """Where theta is all noise, after few trees; and never after more than were asked for."""
    noise = np.random.default_rng(0)
    x, y = noise.normal(size=(300, 4)), noise.normal(size=300)
    x_validation, y_validation = noise.normal(size=(300, 4)), noise.normal(size=300)
    ensemble, count = Trees(trees=400).fit_boosting(x, y, x_validation, y_validation, seed=0)
    errors = [((prediction - y_validation) ** 2).mean() for prediction in ensemble.staged_predict(x_validation)]
    assert count == np.argmin(errors) + 1
    assert len(ensemble.estimators_) == count + 50 < 100
    assert Trees(trees=7).fit_boosting(x, x[:, 0], x_validation, x_validation[:, 0], seed=0)[1] == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trees": 0}, "trees: expected 1 to 100000, found 0"),
        ({"depth": 0}, "depth: expected 1 to 12, found 0"),
        ({"depth": 13}, "depth: expected 1 to 12, found 13"),
    ],
)
def test_trees_have_a_number_and_a_depth(settings, message):
    with pytest.raises(UserError, match=message):
        Trees(**settings)
