"""Models: a linear Gaussian in a box, small trainings; densities that must be densities, and draws that follow them."""

import dataclasses
import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from cosmoinfer import catalog as catalogs
from cosmoinfer import models, posterior, storage, training
from cosmoinfer.catalog import Catalog, Reading, Summary
from cosmoinfer.cli.options import ReadingOptions, TrainingOptions
from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS
from cosmoinfer.losses import LOSSES
from cosmoinfer.models import FlowModel, RegressorModel
from cosmoinfer.models import box as box_module
from cosmoinfer.models.bench import Bench
from cosmoinfer.models.flow import build_flow, fit_flow, flow_recipe
from cosmoinfer.models.flow import fit as fit_module
from cosmoinfer.models.flow.fit import clustered_error, mixture_shares, prefer
from cosmoinfer.models.frame import Frame, as_read_by, choices, fit_frame
from cosmoinfer.models.options import override
from cosmoinfer.models.regressor import fit_regressor, regressor_recipe
from cosmoinfer.models.stack import Stack, generators
from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.mlp import MLP
from cosmoinfer.parameters import Parameters
from cosmoinfer.scaling import EDGE, FAR, SUPPORTS, Support
from cosmoinfer.split import by_hash
from cosmoinfer.training import Training

NAMES = ("a", "b", "c", "d", "e", "f")
ROWS = 300
TINY = {"layers": 2, "hidden": 12, "epochs": 3, "batch_size": 50, "learning_rate": 5e-3}
every_flow = pytest.mark.parametrize("flow", FLOWS)
every_support = pytest.mark.parametrize("support", SUPPORTS)
every_ensemble = pytest.mark.parametrize("members", [1, 3])


def box(size: int) -> Parameters:
    """Uniform boxes, but the second parameter, which is log-uniform."""
    low, high = np.array([0.1, 0.25, -1, 0, 10, -3])[:size], np.array([0.5, 4, 1, 1, 30, -2])[:size]
    return Parameters.of(
        NAMES[:size], low, high, ["log-uniform" if name == "b" else "uniform" for name in NAMES[:size]]
    )


@lru_cache
def linear_gaussian(size: int, rows: int = ROWS, seed: int = 0, bounded: bool = True) -> Catalog:
    """u = the prior's distribution function of theta; x = two noisy looks at each u."""
    random = np.random.default_rng(seed)
    parameters = box(size)
    u = random.random((rows, size))
    x = np.repeat(u, 2, axis=1) + 0.15 * random.standard_normal((rows, 2 * size))
    theta = parameters.quantile(u)
    known = parameters if bounded else Parameters.of(NAMES[:size])
    return of(theta, known, Summary("data", "vector", x), name=f"linear_gaussian_{seed}.h5")


def of(theta: np.ndarray | None, parameters: Parameters | None, *summaries: Summary, name: str = "sims.h5") -> Catalog:
    """A catalog in memory, as ``catalog.read`` would give it."""
    count = len(summaries[0].values)
    ids = np.arange(count).astype(str)
    made = Catalog(
        Path(name),
        parameters,
        theta,
        summaries,
        ids,
        np.arange(count),
        declared=frozenset(parameters.names if parameters else ()),
    )
    return replace(made, fingerprint=catalogs.fingerprint(made))


def bench(seed: int = 0, said: list[str] | None = None) -> Bench:
    return Bench(torch.device("cpu"), seed, (lambda line: None) if said is None else said.append, lambda *_: None)


def framed(sims: Catalog) -> Frame:
    return fit_frame(sims, by_hash(sims.simulation), Reading(), "auto")


def train_flow(sims: Catalog, seed: int = 0, summary: RegressorModel | None = None, **given) -> FlowModel:
    shapes = [one.shape for one in sims.summaries] if summary is None else [summary.summary_shape]
    recipe = flow_recipe(TINY | given, ROWS, shapes)
    return fit_flow(sims, framed(sims), recipe, bench(seed), summary)


def train_regressor(sims: Catalog, seed: int = 0, frame: Frame | None = None, **given) -> RegressorModel:
    recipe = regressor_recipe(TINY | given, ROWS, [one.shape for one in sims.summaries])
    return fit_regressor(sims, frame or framed(sims), recipe, bench(seed))


@lru_cache
def flow_of(flow: str, size: int, members: int, support: str) -> FlowModel:
    return train_flow(linear_gaussian(size), flow=flow, ensemble=members, support=support)


@lru_cache
def regressor_of(size: int, loss: str = "moment", members: int = 3) -> RegressorModel:
    return train_regressor(linear_gaussian(size), loss=loss, ensemble=members)


def sampled(model, sims: Catalog, rows=(0,), draws: int = 1000, seed: int = 0, skip_failed: bool = False):
    return model.posterior(sims, np.asarray(rows), draws, seed, lambda *_: None, skip_failed)


def density(model: FlowModel, sims: Catalog, row: int, theta: np.ndarray) -> np.ndarray:
    """log q(theta | x_row) at many points, normalised as the draws of that row are."""
    data = model.data(sims, np.array([row]))
    return model._log_prob_at(theta, data) - model._draws(data, 10, 0, row).log_mass


def line(support: Support) -> tuple[np.ndarray, np.ndarray]:
    """The stretch of the real line that the box is mapped to, or as much of it as matters: (P,) each."""
    if support.name != "truncate":
        return np.full(len(support.parameters), -7.0), np.full(len(support.parameters), 7.0)
    return support.forward(support.parameters.low)[0], support.forward(support.parameters.high)[0]


def cells(support: Support, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A grid whose cells are equal on the line: points and volumes in catalog units, and the edges (steps + 1, P).

    Volumes are differences of edges, not the Jacobian under test.
    """
    edges = np.linspace(*line(support), steps + 1)
    sides = np.diff(support.inverse(edges), axis=0)
    middles = support.inverse((edges[1:] + edges[:-1]) / 2)
    theta = np.stack(np.meshgrid(*middles.T, indexing="ij"), axis=-1).reshape(-1, len(support.parameters))
    volumes = np.stack(np.meshgrid(*sides.T, indexing="ij"), axis=-1).reshape(theta.shape).prod(axis=-1)
    return theta, volumes, edges


def beyond_reach(support: Support, theta: np.ndarray) -> np.ndarray:
    """Which values, (..., P), are so near an edge that log_prob takes them as a little further in.

    Next to none, for any support.
    """
    u = support.parameters.cdf(theta)
    nearest = {"probit": EDGE, "soft": FAR, "truncate": 0.0}[support.name]
    return np.minimum(u, 1 - u) < nearest


def agree(counts: np.ndarray, expected: np.ndarray) -> bool:
    """Pearson's chi squared, cells with few draws joined."""
    many = expected > 5
    counts = np.append(counts[many], counts[~many].sum())
    expected = np.append(expected[many], expected[~many].sum())
    return ((counts - expected) ** 2 / (expected + 1)).sum() < stats.chi2.isf(1e-5, len(counts))


# ------------------------------------------------------------------------------------------- densities and their draws
@every_flow
@every_ensemble
@every_support
@pytest.mark.parametrize("size", [1, 2])
def test_the_density_over_the_box_is_one_and_draws_follow_it(flow, members, support, size):
    model, sims, steps = flow_of(flow, size, members, support), linear_gaussian(size), {1: 2000, 2: 160}[size]
    found = sampled(model, sims, [3], 4000)
    theta, volumes, edges = cells(model.support, steps)
    mass = np.exp(density(model, sims, 3, theta)) * volumes
    error = 0.003 if found.log_norm_error is None else 0.003 + 5 * found.log_norm_error[0]
    lost = beyond_reach(model.support, found.samples[0])
    assert lost.mean() < 1e-3
    assert 1 - lost.any(axis=1).mean() - error < mass.sum() < 1 + error

    z, _ = model.support.forward(found.samples[0])
    mass[beyond_reach(model.support, theta).any(axis=1)] = 0
    z = z[~lost.any(axis=1)]
    for column in range(size):  # as many draws in each part of the line as the density says
        share = mass.reshape([steps] * size).sum(axis=tuple(c for c in range(size) if c != column))
        counts = np.histogram(z[:, column], edges[:: steps // 40, column])[0]
        assert agree(counts, len(z) * share.reshape(40, -1).sum(axis=1) / mass.sum())


@every_flow
@every_ensemble
@every_support
def test_in_six_dimensions_the_density_is_one_and_draws_follow_it(flow, members, support):
    """By importance sampling from a Student-t on the line, where the draws are and wider."""
    model, sims, count = flow_of(flow, 6, members, support), linear_gaussian(6), 20_000
    found = sampled(model, sims, [3], 3000)
    z, _ = model.support.forward(found.samples[0])
    proposal = stats.multivariate_t(z.mean(axis=0), np.cov(z.T) * 1.2, df=8, seed=0)
    points, step = proposal.rvs(count), 1e-4
    low, high = line(model.support)
    points = points[((points > low + step) & (points < high - step)).all(axis=1)]  # weight zero beyond
    sides = (model.support.inverse(points + step) - model.support.inverse(points - step)) / (2 * step)
    log_q = density(model, sims, 3, model.support.inverse(points))
    weights = np.zeros(count)
    weights[: len(points)] = np.exp(log_q - proposal.logpdf(points)) * sides.prod(axis=-1)
    error = weights.std() / np.sqrt(count)
    assert error < 0.03  # or the question was none
    norm, lost = found.log_norm_error, beyond_reach(model.support, found.samples[0]).any(axis=1).mean()
    norm = 0 if norm is None else norm[0]
    assert weights.mean() + lost == pytest.approx(1, abs=5 * np.hypot(error, norm) + 0.5 * lost)

    weights = weights[: len(points)] / weights.sum()  # the same mean of z, and of its square
    for power in (1, 2):
        expected = weights @ points**power
        spread = np.sqrt(weights**2 @ (points**power - expected) ** 2)
        error = np.hypot(spread, (z**power).std(axis=0) / np.sqrt(3000))
        np.testing.assert_array_less(np.abs((z**power).mean(axis=0) - expected), 5 * error + 10 * lost)


@every_flow
@every_ensemble
@every_support
@pytest.mark.parametrize("size", [1, 2, 6])
def test_every_draw_lies_in_the_box(flow, members, support, size):
    model, sims = flow_of(flow, size, members, support), linear_gaussian(size)
    found, parameters = sampled(model, sims, [0, 5, 9], 500), model.frame.parameters
    assert found.samples.shape == (3, 500, size)
    assert ((found.samples >= parameters.low) & (found.samples <= parameters.high)).all()
    assert np.isfinite(found.log_prob).all() and np.isfinite(found.log_prob_truth).all()
    assert (found.log_norm_error is None) == (support != "truncate")


@every_flow
@every_support
def test_the_log_prob_of_a_file_is_that_of_the_model(flow, support):
    """At the draws, at the truths, and -inf outside the box."""
    model, sims = flow_of(flow, 2, 3, support), linear_gaussian(2)
    found = sampled(model, sims, [0, 5], 50)
    for position, row in enumerate([0, 5]):
        np.testing.assert_allclose(
            found.log_prob[position], density(model, sims, row, found.samples[position]), atol=0.1, rtol=0
        )
    truths = model.log_prob(sims, np.array([0, 5]), sims.theta[[0, 5]], 10_000, seed=1)
    np.testing.assert_allclose(found.log_prob_truth, truths, atol=2e-5 if model.support.exact else 0.1)
    outside = model.frame.parameters.high + 0.1
    assert model.log_prob(sims, np.array([0]), outside[None], 1000, seed=1).tolist() == [-np.inf]


@every_flow
def test_an_unbounded_catalog_needs_no_box(flow):
    sims = linear_gaussian(2, bounded=False)
    for support in (*SUPPORTS, "auto"):
        model = train_flow(sims, flow=flow, ensemble=1, support=support, epochs=1)
        found = sampled(model, sims, [0], 2000)
        assert model.support.exact and found.log_norm_error is None
        assert model.support.name == ("probit" if support == "auto" else support)
        spread = 8 * sims.theta.std(axis=0)
        axes = [np.linspace(m - s, m + s, 200) for m, s in zip(sims.theta.mean(axis=0), spread, strict=True)]
        grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
        mass = np.exp(density(model, sims, 0, grid)).sum() * np.prod(2 * spread / 199)
        assert mass == pytest.approx(1, abs=0.01)


# ---------------------------------------------------------------------------------------------------------- ensembles
def scattered(flow: str, weights=(0.6, 0.3, 0.1)) -> FlowModel:
    """Three members that disagree, of unequal weight."""
    model = flow_of(flow, 2, 3, "probit")
    (stack,) = model.stacks
    network = build_flow(stack.config, generators(0, "rebuild", 3)).eval()
    random = torch.Generator().manual_seed(0)
    shaken = {
        key: value + 0.15 * torch.randn(value.shape, generator=random)
        for key, value in stack.network.state_dict().items()
    }
    network.load_state_dict(shaken)
    return replace(model, stacks=(replace(stack, network=network),), weights=np.array(weights))


def member(model: FlowModel, number: int) -> FlowModel:
    """One member of the only stack, as a model."""
    (stack,) = model.stacks
    network = build_flow(stack.config, generators(0, "rebuild", 1)).eval()
    network.load_state_dict({key: value[number : number + 1] for key, value in stack.network.state_dict().items()})
    return replace(model, stacks=(Stack(stack.config, 1, network, stack.history),), weights=np.ones(1))


@every_flow
def test_the_density_of_an_ensemble_is_the_mean_of_densities(flow):
    model, sims, rows = scattered(flow), linear_gaussian(2), np.arange(50)
    terms = [member(model, n).log_prob(sims, rows, sims.theta[rows], 1, 0) for n in range(3)]
    found = model.log_prob(sims, rows, sims.theta[rows], 1, 0)
    np.testing.assert_allclose(found, special.logsumexp(terms, axis=0, b=model.weights[:, None]), atol=1e-4)
    assert np.mean(found - model.weights @ np.array(terms)) > 0.1  # which is not the mean of logs


@every_flow
def test_the_draws_of_an_ensemble_come_from_the_mixture_and_are_shuffled(flow):
    """A draw belongs to member m with probability w_m, in the mean over all draws and over any part of them."""
    model, sims, draws = scattered(flow), linear_gaussian(2), 6000
    found = sampled(model, sims, [3], draws)
    terms = np.array([density(member(model, n), sims, 3, found.samples[0]) for n in range(3)])
    share = np.exp(terms + np.log(model.weights)[:, None] - found.log_prob[0])
    np.testing.assert_allclose(share.sum(axis=0), 1, rtol=1e-3)
    for part in (slice(None), slice(0, 2000), slice(4000, None)):
        error = share[:, part].std(axis=1) / np.sqrt(share[:, part].shape[1])
        assert (np.abs(share[:, part].mean(axis=1) - model.weights) < 5 * error).all()


@every_flow
def test_stacks_of_different_members_mix_too(flow):
    model, sims = scattered(flow, (0.2, 0.3, 0.5)), linear_gaussian(2)
    stacks = (member(model, 0).stacks[0], *(member(model, n).stacks[0] for n in (1, 2)))
    apart = replace(model, stacks=stacks)
    rows = np.arange(20)
    np.testing.assert_allclose(
        apart.log_prob(sims, rows, sims.theta[rows], 1, 0),
        model.log_prob(sims, rows, sims.theta[rows], 1, 0),
        atol=1e-4,
    )
    assert sampled(apart, sims, [3], 100).samples.shape == (1, 100, 2)


def test_shares_maximise_the_likelihood_of_the_mixture():
    """Against a search over all shares; and a hopeless density gets nothing."""
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(-2, 1, 300), random.normal(2, 1, 700)])
    log_probs = np.stack([stats.norm.logpdf(values, mean, 1) for mean in (-2, 2)])
    grid = np.linspace(0.001, 0.999, 999)
    scores = [special.logsumexp(log_probs, axis=0, b=[[share], [1 - share]]).mean() for share in grid]
    np.testing.assert_allclose(mixture_shares(log_probs)[0], grid[np.argmax(scores)], atol=1e-3)
    shares = mixture_shares(np.stack([*log_probs, stats.norm.logpdf(values, 50, 1)]))
    assert shares.sum() == pytest.approx(1) and shares[2] < 1e-6


def test_architectures_are_mixed_as_the_validation_rows_say(monkeypatch):
    """Weighed by them, all members of one alike; the mixture is no worse on them than either alone."""
    monkeypatch.setattr(fit_module, "LEAST_SHARE", 0.0)
    sims = linear_gaussian(2)
    model = train_flow(sims, support="probit", ensemble=2, flow="auto")
    assert [stack.config["flow"] for stack in model.stacks] == list(FLOWS)
    assert model.weights.sum() == pytest.approx(1)
    assert model.weights[0] == model.weights[1] and model.weights[2] == model.weights[3]
    rows = model.frame.split.rows(sims.simulation, "validation")
    scores = [
        replace(model, stacks=(stack,), weights=np.full(2, 0.5)).log_prob(sims, rows, sims.theta[rows], 1, 0)
        for stack in model.stacks
    ]
    found = model.log_prob(sims, rows, sims.theta[rows], 1, 0)
    assert found.mean() >= max(score.mean() for score in scores) - 1e-6
    shares = model.weights[[0, 2]] * 2
    np.testing.assert_allclose(shares, mixture_shares(np.stack(scores)), atol=1e-6)
    np.testing.assert_allclose(found, special.logsumexp(scores, axis=0, b=shares[:, None]), atol=1e-4)

    monkeypatch.setattr(fit_module, "LEAST_SHARE", shares.min() + 1e-3)  # and one that adds little is left out
    model = train_flow(sims, support="probit", ensemble=2, flow="auto")
    assert [stack.config["flow"] for stack in model.stacks] == [list(FLOWS)[np.argmax(shares)]]
    np.testing.assert_allclose(model.weights, [0.5, 0.5])


# --------------------------------------------------------------------------------------------------------- the streams
@every_flow
@every_support
def test_the_draws_of_a_row_do_not_depend_on_other_rows(flow, support):
    model, sims = flow_of(flow, 2, 3, support), linear_gaussian(2)
    alone, among = sampled(model, sims, [7], 200), sampled(model, sims, range(10), 200)
    check_same_row(alone, among.take(np.array([7])))
    moved = sims.take(np.arange(5, 10))  # the same row at another position
    check_same_row(alone, sampled(model, moved, [2], 200))
    assert (sampled(model, sims, [7], 200, seed=1).samples != alone.samples).all()
    assert (among.samples[6] != among.samples[7]).all()


def test_the_draws_of_a_regressor_do_not_depend_on_other_rows():
    model, sims = regressor_of(6), linear_gaussian(6)
    alone, among = sampled(model, sims, [7], 200), sampled(model, sims, range(200), 200)
    check_same_row(alone, among.take(np.array([7])))


def check_same_row(one, other) -> None:
    for name in ("samples", "log_prob", "log_prob_truth", "log_norm_error", "mean", "std"):
        found, expected = getattr(one, name), getattr(other, name)
        assert (found is None and expected is None) or (found == expected).all(), name
    np.testing.assert_allclose(one.reference, other.reference, rtol=1e-12)


@pytest.mark.parametrize("kind", ["maf", "nsf", "regressor"])
def test_the_same_seed_gives_the_same_bytes(kind, tmp_path):
    def made(name: str, seed: int) -> bytes:
        sims = linear_gaussian(2)
        given = {"ensemble": 2, "epochs": 2, "dropout": 0.2}
        model = (
            train_regressor(sims, seed, **given) if kind == "regressor" else train_flow(sims, seed, flow=kind, **given)
        )
        models.write(tmp_path / name, model, {"seed": 0})
        posterior.write(tmp_path / f"{name}.posterior", sampled(model, sims, [0, 1], 100, seed), {})
        return (tmp_path / name).read_bytes() + (tmp_path / f"{name}.posterior").read_bytes()

    assert made("one", 0) == made("two", 0) != made("three", 1)


def test_a_member_of_a_larger_ensemble_is_the_same_member():
    one, three = (train_flow(linear_gaussian(2), ensemble=n, support="probit", flow="maf") for n in (1, 3))
    for key, value in one.stacks[0].network.state_dict().items():
        torch.testing.assert_close(three.stacks[0].network.state_dict()[key][:1], value, rtol=1e-3, atol=1e-5)


# ------------------------------------------------------------------------------------------------------------ the file
def every_model() -> dict[str, models.Model]:
    summary = train_regressor(linear_gaussian(2))
    made: dict[str, models.Model] = {
        f"{flow} {support}": flow_of(flow, 2, 3, support) for flow in FLOWS for support in SUPPORTS
    }
    made |= {loss: regressor_of(2, loss) for loss in LOSSES}
    made["mixture"] = train_flow(linear_gaussian(2), support="probit", ensemble=2)
    return made | {"summary": train_flow(linear_gaussian(2), summary=summary, support="probit", flow="maf")}


def test_what_is_read_is_what_was_written(tmp_path):
    sims = linear_gaussian(2)
    for number, (name, model) in enumerate(every_model().items()):
        path = tmp_path / f"{number}.h5"
        models.write(path, model, {"said": name})
        again = models.read(path)
        assert type(again) is type(model) and again.frame.own(sims)
        for stack, stack_again in zip(model.stacks, again.stacks, strict=True):
            weights, weights_again = (one.network.state_dict() for one in (stack, stack_again))
            assert weights.keys() == weights_again.keys()
            for key, value in weights.items():
                assert value.dtype == weights_again[key].dtype and (value == weights_again[key]).all(), (name, key)
            for key, value in dataclasses.asdict(stack.history).items():
                np.testing.assert_array_equal(getattr(stack_again.history, key), value)
        np.testing.assert_array_equal(again.weights, model.weights)
        check_same_row(sampled(model, sims, [2], 50), sampled(again, sims, [2], 50))
        models.write(tmp_path / "again.h5", again, {"said": name}, force=True)
        assert (tmp_path / "again.h5").read_bytes() == path.read_bytes(), name
        assert len(models.histories(again)) == len(model.stacks)


@pytest.mark.parametrize("fault", ["missing", "extra", "shape"])
def test_weights_that_do_not_fit_are_an_error(fault, tmp_path):
    models.write(tmp_path / "model.h5", flow_of("nsf", 2, 1, "probit"), {})
    record = storage.read(tmp_path / "model.h5", "model")
    key = next(name for name in record.arrays if name.startswith("stacks/0/weights/") and name.endswith("bias"))
    value = record.arrays.pop(key)
    if fault == "extra":
        record.arrays.update({key: value, f"{key}_too": value})
    if fault == "shape":
        record.arrays[key] = value[..., :-1]
    storage.write(tmp_path / "bad.h5", record)
    with pytest.raises(UserError, match=r"weights of /stacks/0 do not fit") as caught:
        models.read(tmp_path / "bad.h5")
    assert key.removeprefix("stacks/0/weights/") in str(caught.value)


def test_a_model_file_is_arrays_and_json(tmp_path):
    models.write(tmp_path / "model.h5", flow_of("nsf", 2, 3, "probit"), {"seed": 0})
    with h5py.File(tmp_path / "model.h5") as file:
        assert file.attrs["kind"] == "model"
        assert json.loads(file["stacks/0/config"][()])["flow"] == "nsf"
        assert all(len(value) == 3 for value in file["stacks/0/weights"].values() if isinstance(value, h5py.Dataset))
        np.testing.assert_array_equal(file["mixture"], np.full(3, 1 / 3))
        assert {"split/simulation", "split/part", "seen", "parameters"} <= {
            *file,
            *[f"split/{n}" for n in file["split"]],
        }


# ------------------------------------------------------------------------------------- flows that overflow their box
def far_away(row: int) -> Catalog:
    """One row of the catalog is like nothing that was ever simulated."""
    sims = linear_gaussian(1)
    values = sims.summaries[0].values.copy()
    values[row] = 200.0
    return of(sims.theta, sims.parameters, replace(sims.summaries[0], values=values), name="far.h5")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(box_module, "MOST_PROPOSALS", 20_000)


def test_a_row_outside_the_box_is_an_error_that_names_it(impatient):
    with pytest.raises(UserError, match=r"far.h5: row 4: only 0 of 10000 draws fell inside.*--skip-failed"):
        sampled(flow_of("maf", 1, 1, "truncate"), far_away(4), [2, 4, 6], 100)


def test_few_draws_do_not_lift_the_bound_on_proposals(impatient):
    """One draw is not hopeless for long: the bound on proposals ends it all the same."""
    with pytest.raises(UserError, match=r"row 4: only 0 of 20000 draws fell inside"):
        sampled(flow_of("maf", 1, 1, "truncate"), far_away(4), [4], 1)


def test_skip_failed_leaves_the_row_out_and_draws_nothing_in_its_place(impatient):
    model, sims = flow_of("maf", 1, 1, "truncate"), far_away(4)
    found = sampled(model, sims, [6, 4, 2], 100, skip_failed=True)
    assert found.index.tolist() == [6, 2] and found.simulation.tolist() == ["6", "2"]
    np.testing.assert_array_equal(found.truth, sims.theta[[6, 2]])
    assert len(found.samples) == len(found.log_prob) == len(found.log_norm_error) == len(found.reference) == 2
    check_same_row(found.take(np.array([1])), sampled(model, sims, [2], 100))
    with pytest.raises(UserError, match="no observation could be sampled"):
        sampled(model, sims, [4], 100, skip_failed=True)


@every_flow
def test_a_bijection_onto_the_box_cannot_fail(flow, impatient):
    for support in ("probit", "soft"):
        found, parameters = sampled(flow_of(flow, 1, 3, support), far_away(4), [4], 100), box(1)
        assert ((found.samples >= parameters.low) & (found.samples <= parameters.high)).all()


@every_flow
def test_the_error_of_log_z_is_its_scatter(flow):
    """Over seeds; and more draws make it no larger."""
    model, sims = flow_of(flow, 2, 1, "truncate"), linear_gaussian(2)
    row = int(np.argmin(sims.theta[:, 0]))  # near an edge, so that much is cut
    data = model.data(sims, np.array([row]))
    drawn = [model._draws(data, 10, seed, row) for seed in range(40)]
    log_z, errors = np.array([(one.log_mass, one.error) for one in drawn]).T
    assert log_z.mean() < -0.01
    assert log_z.std() == pytest.approx(errors.mean(), rel=0.5)
    found = sampled(model, sims, [row], 10)
    assert found.log_norm_error[0] == pytest.approx(errors[0])
    assert model._draws(data, 30_000, 0, row).error < errors.mean()


# ------------------------------------------------------------------------------------------------ choice of a support
def test_a_tie_is_the_first_and_a_clear_best_is_the_best():
    random = np.random.default_rng(0)
    base, ids = random.normal(size=200), np.arange(200).astype(str)
    noise = random.normal(size=200)
    noise -= noise.mean()
    assert prefer([base, base + noise + 0.05, base], ids) == 0  # an error of 0.07
    assert prefer([base, base + noise + 0.30, base], ids) == 1
    assert prefer([base - 1, base + noise, base + 2 * noise], ids) == 1
    assert prefer([base, base + 0.9 * fit_module.TIE], ids) == 0  # too little to matter, however sure
    assert prefer([base, base + 1.1 * fit_module.TIE], ids) == 1
    assert prefer([base], ids) == 0
    assert prefer([base, base], ids) == 0


def test_rows_of_one_simulation_count_once():
    """Fifteen copies of a row say no more than one."""
    random = np.random.default_rng(0)
    values = 3 * random.normal(size=40)
    ids = np.arange(40).astype(str)
    plain = clustered_error(values, ids)
    assert plain == pytest.approx(values.std(ddof=1) / np.sqrt(40))
    assert clustered_error(np.repeat(values, 15), np.repeat(ids, 15)) == pytest.approx(plain)
    gain = values - values.mean() + 1.5 * plain
    zero = np.zeros(40)
    assert prefer([zero, gain], ids) == 1 == prefer([np.repeat(zero, 15), np.repeat(gain, 15)], np.repeat(ids, 15))
    gain = values - values.mean() + 0.5 * plain
    assert prefer([np.repeat(zero, 15), np.repeat(gain, 15)], np.repeat(ids, 15)) == 0


def test_auto_compares_all_supports_and_says_so():
    said: list[str] = []
    sims = linear_gaussian(1)
    recipe = flow_recipe(TINY | {"support": "auto", "ensemble": 1, "flow": "maf"}, ROWS, [(2,)])
    model = fit_flow(sims, framed(sims), recipe, bench(0, said))
    (told,) = [line for line in said if "validation rows" in line]
    assert f"support {model.support.name}" in told and all(f"{name} " in told for name in SUPPORTS)
    alone = flow_of("maf", 1, 1, model.support.name)
    check_same_row(sampled(model, sims, [0], 50), sampled(alone, sims, [0], 50))


# ----------------------------------------------------------------------------------------------------- the summaries
def test_a_summary_regressor_is_embedded(tmp_path):
    sims = linear_gaussian(2)
    models.write(tmp_path / "regressor.h5", regressor_of(2), {})
    summary = models.read(tmp_path / "regressor.h5")
    model = train_flow(sims, summary=summary, support="probit", flow="maf")
    models.write(tmp_path / "flow.h5", model, {})
    (tmp_path / "regressor.h5").unlink()
    again = models.read(tmp_path / "flow.h5")
    assert again.data(sims, np.arange(3))[0].shape == (3, 4)
    check_same_row(sampled(model, sims, [2], 50), sampled(again, sims, [2], 50))
    np.testing.assert_array_equal(again.summary.frame.seen, summary.frame.seen)


def test_a_summary_is_the_mean_and_the_log_width_of_the_mixture():
    model, sims, rows = regressor_of(2), linear_gaussian(2), np.arange(5)
    found = sampled(model, sims, rows, 1)
    expected = np.concatenate([(found.mean - model.shift) / model.scale, np.log(found.std / model.scale)], axis=1)
    np.testing.assert_allclose(model.summarise(sims, rows), expected, atol=1e-5)
    points = regressor_of(2, "mse")
    assert points.summarise(sims, rows).shape == (5, *points.summary_shape) == (5, 2)


def test_a_summary_that_has_seen_held_out_rows_is_refused():
    sims = linear_gaussian(2)
    other = replace(framed(sims), split=by_hash(sims.simulation, seed=1))
    rows = other.split.rows(sims.simulation, "train")
    summary = train_regressor(sims, frame=replace(other, seen=sims.hashes(rows)))
    with pytest.raises(UserError, match=r"--summary: the regressor was trained on \d+ validation or test rows"):
        train_flow(sims, summary=summary)
    shuffled = sims.take(np.random.default_rng(0).permutation(len(sims)))  # under other numbers too
    renumbered = of(shuffled.theta, shuffled.parameters, *shuffled.summaries)
    with pytest.raises(UserError, match="--summary"):
        train_flow(renumbered, summary=regressor_of(2))


# ---------------------------------------------------------------------------------------------------------- regressors
def test_the_moments_of_a_regressor_are_those_of_its_mixture():
    model, sims, rows = regressor_of(2), linear_gaussian(2), np.arange(4)
    means, widths = model.outputs(sims, rows)
    found = sampled(model, sims, rows, 10)
    mean = means.mean(axis=0)
    np.testing.assert_allclose(found.mean, mean)
    np.testing.assert_allclose(found.std, np.sqrt((widths**2 + means**2).mean(axis=0) - mean**2))
    assert np.ptp(means, axis=0).min() > 0


@pytest.mark.parametrize("size", [1, 2])
def test_the_density_of_a_regressor_is_one_and_draws_follow_it(size):
    model, sims, steps = regressor_of(size), linear_gaussian(size), {1: 2000, 2: 320}[size]
    parameters = model.frame.parameters
    theta, volumes, edges = cells(Support("truncate", parameters, np.zeros(size), np.ones(size)), steps)
    means, widths = model.outputs(sims, np.array([3]))
    mass = np.exp(model._log_prob(theta[None], means, widths)[0]) * volumes
    assert mass.sum() == pytest.approx(1, abs=1e-3)
    found = sampled(model, sims, [3], 4000)
    assert ((found.samples >= parameters.low) & (found.samples <= parameters.high)).all()
    np.testing.assert_allclose(found.log_prob, model._log_prob(found.samples, means, widths), atol=1e-5)
    z = np.where(np.array(parameters.prior) == "log-uniform", np.log(found.samples[0]), found.samples[0])
    for column in range(size):
        share = mass.reshape([steps] * size).sum(axis=tuple(c for c in range(size) if c != column))
        counts = np.histogram(z[:, column], edges[:: steps // 40, column])[0]
        assert agree(counts, 4000 * share.reshape(40, -1).sum(axis=1) / mass.sum())


@pytest.mark.parametrize("beyond", [-45, -12, -3, 0, 0.5, 1, 4, 13, 46])
def test_normals_far_outside_the_box_are_cut_exactly(beyond):
    """A mean many widths below or above the box: draws and density follow the tail, which piles up on no edge."""
    model = regressor_of(1)
    low, high = box(1).low[0], box(1).high[0]
    width = high - low
    means, widths = np.full((3, 1), low + beyond * width), np.full((3, 1), width)
    draws = model._draw(means, widths, 4000, np.random.default_rng(0))[:, 0]
    grid = np.linspace(low, high, 4001)
    density = np.exp(model._log_prob(grid[None, :, None], means[:, None], widths[:, None])[0])
    cumulative = integrate.cumulative_trapezoid(density, grid, initial=0)
    assert cumulative[-1] == pytest.approx(1, abs=1e-3)
    assert stats.kstest(np.interp(draws, grid, cumulative), "uniform").pvalue > 1e-4
    assert len(np.unique(draws)) > 3900


def test_a_point_regressor_gives_points_only():
    found = sampled(regressor_of(2, "mse"), linear_gaussian(2), [0, 1], 100)
    assert found.mean.shape == (2, 2)
    assert found.samples is found.log_prob is found.log_prob_truth is found.std is None


def test_a_regressor_predicts_in_catalog_units():
    """x that says nothing: the mean of theta itself, for the log-uniform parameter too."""
    sims = linear_gaussian(2, rows=2000, seed=5)
    noise = np.random.default_rng(0).standard_normal((2000, 2))
    sims = of(sims.theta, sims.parameters, Summary("data", "vector", noise))
    model = train_regressor(sims, network="linear", loss="mse", epochs=40, layers=None, hidden=None, learning_rate=0.02)
    rows = model.frame.split.rows(sims.simulation, "train")
    np.testing.assert_allclose(
        sampled(model, sims, rows, 1).mean.mean(axis=0), sims.theta[rows].mean(axis=0), rtol=0.02
    )


# ----------------------------------------------------------------------------------------- maps, and several summaries
def with_maps(periodic: bool, rows: int = 60) -> Catalog:
    random = np.random.default_rng(0)
    theta = box(2).quantile(random.random((rows, 2)))
    maps = theta[:, :1, None, None] * random.standard_normal((rows, 1, 8, 8))
    vector = theta + 0.1 * random.standard_normal((rows, 2))
    return of(theta, box(2), Summary("data/p", "vector", vector), Summary("data/m", "map", maps, periodic))


def test_vectors_and_maps_meet_in_one_model(tmp_path):
    sims = with_maps(periodic=True)
    given = {"ensemble": 2, "epochs": 1, "batch_size": 20}
    for number, model in enumerate(
        (
            train_flow(sims, support="probit", embedding_features=4, **given),
            train_regressor(sims, layers=1, hidden=4, **given),
        )
    ):
        models.write(tmp_path / f"{number}.h5", model, {})
        found = sampled(models.read(tmp_path / f"{number}.h5"), sims, [0, 3], 20)
        check_same_row(found, sampled(model, sims, [0, 3], 20))
        assert found.samples.shape == (2, 20, 2)


@pytest.mark.parametrize("periodic", [True, False])
def test_maps_wrap_only_where_the_catalog_says_so(periodic):
    """The shift is by one cell of the coarsest map: a periodic network must not notice."""
    whole = with_maps(periodic)
    sims = of(whole.theta, whole.parameters, whole.summaries[1])
    rolled = of(sims.theta, sims.parameters, replace(sims.summaries[0], values=np.roll(sims.summaries[0].values, 4, 3)))
    rows = np.arange(5)
    for model in (
        train_flow(sims, support="probit", ensemble=1, batch_size=10, learning_rate=0.05),
        train_regressor(sims, ensemble=1, batch_size=10, hidden=4, layers=1),
    ):
        here, there = (
            model.log_prob(one, rows, sims.theta[rows], 1, 0)
            if isinstance(model, FlowModel)
            else sampled(model, one, rows, 1).mean
            for one in (sims, rolled)
        )
        assert np.allclose(here, there, rtol=1e-4, atol=1e-4) == periodic, model.kind


# ----------------------------------------------------------------------------------------------------------- the frame
def test_a_model_takes_its_own_test_rows_and_all_of_another_catalog():
    model, sims, other = flow_of("maf", 2, 1, "probit"), linear_gaussian(2), linear_gaussian(2, 50, seed=1)
    frame = model.frame
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(frame.rows(sims, part), frame.split.rows(sims.simulation, part))
    np.testing.assert_array_equal(frame.rows(sims, None), frame.rows(sims, "test"))
    assert set(sampled(model, sims, frame.rows(sims, None)[:3], 2).split) == {2}
    assert len(frame.rows(sims, "all")) == ROWS
    np.testing.assert_array_equal(frame.rows(other, None), np.arange(50))
    np.testing.assert_array_equal(frame.rows(other, "test"), np.arange(50))
    with pytest.raises(UserError, match="no row belongs to the train part"):
        frame.rows(other, "train")
    with pytest.raises(UserError, match="'tset' is not known; there are train, validation, test and all"):
        frame.rows(sims, "tset")


def test_a_renumbered_copy_of_a_training_row_is_recognised():
    frame, sims, other = flow_of("maf", 2, 1, "probit").frame, linear_gaussian(2), linear_gaussian(2, 50, seed=1)
    seen = frame.rows(sims, "train")[7]
    theta, x = other.theta.copy(), other.summaries[0].values.copy()
    theta[20], x[20] = sims.theta[seen], sims.summaries[0].values[seen]
    mixed = of(theta, other.parameters, replace(other.summaries[0], values=x), name="mixed.h5")
    with pytest.raises(
        UserError, match=r"mixed.h5: the model was trained on or chosen by 1 of these 50 rows \(row 20\)"
    ):
        frame.rows(mixed, None)
    assert frame.rows(mixed, "train").tolist() == [20]
    assert 20 not in frame.rows(mixed, "test") and len(frame.rows(mixed, "test")) == 49
    unlabelled = of(None, None, replace(other.summaries[0], values=x))  # an observation has no theta to compare
    assert np.flatnonzero(frame.trained_on(unlabelled, np.arange(50))).tolist() == [20]


def test_an_observation_needs_no_parameters():
    sims = linear_gaussian(2)
    observation = of(None, None, Summary("data", "vector", sims.summaries[0].values[:2] + 0.01))
    for model in (flow_of("maf", 2, 1, "probit"), flow_of("maf", 2, 1, "truncate"), regressor_of(2)):
        model.frame.check(observation)
        found = sampled(model, observation, model.frame.rows(observation, None), 20)
        assert found.truth is None and found.log_prob_truth is None and found.samples.shape == (2, 20, 2)


def test_data_of_another_shape_or_other_names_are_refused():
    frame, sims = flow_of("maf", 2, 1, "probit").frame, linear_gaussian(2)
    frame.check(sims)
    values = sims.summaries[0].values
    narrow = of(sims.theta, sims.parameters, Summary("data", "vector", values[:, :3]), name="narrow.h5")
    with pytest.raises(UserError, match=r"narrow.h5: the model was trained on data of shape \(4,\) a row.*has \(3,\)"):
        frame.check(narrow)
    with pytest.raises(UserError, match=r"has \(4,\) and \(4,\)"):
        frame.check(of(sims.theta, sims.parameters, *[Summary("data", "vector", values)] * 2))
    swapped = of(sims.theta[:, ::-1], sims.parameters.take(["b", "a"]), sims.summaries[0])
    with pytest.raises(UserError, match=r"infers a, b; this catalog has b, a"):
        frame.check(swapped)


def test_scalings_come_from_the_training_rows_alone():
    sims = linear_gaussian(2)
    frame = framed(sims)
    held_out = np.concatenate([frame.split.rows(sims.simulation, part) for part in ("validation", "test")])
    values = sims.summaries[0].values.copy()
    values[held_out] += 100
    other = framed(of(sims.theta, sims.parameters, replace(sims.summaries[0], values=values)))
    for key, value in frame.standardizers[0].arrays().items():
        np.testing.assert_array_equal(other.standardizers[0].arrays()[key], value)
    np.testing.assert_array_equal(other.reference.weights, frame.reference.weights)
    (train,) = frame.data(sims, frame.split.rows(sims.simulation, "train"))
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-5)
    lines = choices(frame, sims)
    assert lines[-1] == "{} simulations train, {} validate, {} test".format(*frame.split.sizes)


def test_a_catalog_is_read_for_a_model_as_its_own_was():
    own = Reading(data=("maps",), infer=("a",), features=("0:3",))
    assert as_read_by(own, Reading()) == own
    assert as_read_by(own, Reading(drop_nonfinite=True)) == replace(own, drop_nonfinite=True)
    assert as_read_by(own, Reading(data=("other",))) == replace(own, data=("other",))


# ---------------------------------------------------------------------------------------------------------- the recipes
def test_an_unknown_setting_lists_those_that_there_are():
    with pytest.raises(UserError, match=r"^--flow maf has no --bins; it has --layers, --hidden, --blocks, --dropout"):
        flow_recipe({"flow": "maf", "bins": 4}, 100, [(3,)])
    with pytest.raises(UserError, match=r"--network linear has no --hidden"):
        regressor_recipe({"network": "linear", "hidden": 4}, 100, [(3,)])
    with pytest.raises(UserError, match=r"training has no --batch-sise; it has --epochs, --batch-size"):
        override(Training(), {"batch_sise": 3}, "training")
    with pytest.raises(UserError, match=r"no embedding to set"):
        flow_recipe({"embedding_layers": 3}, 100, [(3,)])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"flow": "glov"}, "--flow: 'glov' is not known; there are maf"),
        ({"support": "box"}, "--support: 'box' is not known"),
        ({"embedding": "gnn"}, "--embedding: 'gnn' is not known"),
        ({"activation": "swish"}, "--activation: 'swish' is not known"),
        ({"layers": 0}, "--layers: expected at least 1"),
        ({"dropout": 1.0}, r"--dropout: expected a share in \[0, 1\)"),
        ({"ensemble": -1}, "--ensemble: expected at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        flow_recipe(given, 100, [(3,)])


def test_what_was_given_is_taken_and_the_rest_is_left():
    assert override(MLP(), {"hidden": 7, "layers": None}, "mlp") == MLP(hidden=7)
    recipe = flow_recipe(
        {"flow": "nsf", "bins": 5, "epochs": 7, "ensemble": 2, "embedding_hidden": 9}, 100, [(1, 8, 8)]
    )
    (stack,) = recipe.stacks
    assert (stack.flow, stack.settings.bins, stack.training.epochs, recipe.ensemble) == ("nsf", 5, 7, 2)
    assert stack.cnn == CNN(hidden=9)


@pytest.mark.parametrize(("options", "settings"), [(TrainingOptions, training.Training), (ReadingOptions, Reading)])
def test_the_options_of_the_command_line_are_the_fields_of_what_they_set(options, settings):
    assert [field.name for field in dataclasses.fields(options)] == [
        field.name for field in dataclasses.fields(settings)
    ]
