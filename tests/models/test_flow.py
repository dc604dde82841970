"""Flows that give posteriors: densities that must be densities, and draws that follow them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import special, stats

from cosmoinfer import models
from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.models import FlowModel
from cosmoinfer.models import model as model_module
from cosmoinfer.models.flow import ConditionalFlow, check_passes, fit_flow, flow_recipe, mixture
from cosmoinfer.preprocessing.noise import Noise
from cosmoinfer.sampling import rejection as box_module
from cosmoinfer.split import by_hash
from cosmoinfer.supports import MIN_PROBIT_U, MIN_SOFT_U, SUPPORTS, Support
from cosmoinfer.training.streams import generators
from tests.examples import (
    NORMAL,
    ROWS,
    TINY,
    agree,
    box,
    cells,
    check_same_row,
    density,
    far_away,
    fitted_preprocessing,
    flow_of,
    in_memory_catalog,
    line,
    linear_gaussian,
    mass_of,
    regressor_of,
    sampled,
    split_of,
    train_flow,
    train_regressor,
    training_context,
)

every_flow = pytest.mark.parametrize("flow", FLOWS)
COMMON = ("maf", "nsf")
WAYS = [(flow, support) for flow in COMMON for support in SUPPORTS]  # a support does not know the flow: two will do
WAYS += [(flow, "probit") for flow in FLOWS if flow not in COMMON]
every_way = pytest.mark.parametrize(("flow", "support"), WAYS)
every_ensemble = pytest.mark.parametrize(
    ("flow", "support", "members"),
    [(*way, members) for way in WAYS for members in ([1, 3] if way[0] in COMMON else [3])],
)


def support_of(model: FlowModel) -> Support:
    """Of a model of one stack."""
    (stack,) = model.stacks
    return stack.support


def beyond_reach(support: Support, theta: np.ndarray) -> np.ndarray:
    """Which values, (..., P), are so near an edge that log_prob takes them as a little further in.

    Next to none, for any support.
    """
    u = support.parameters.cdf(theta)
    overflows = SUPPORTS[support.name].overflows
    nearest = 0.0 if overflows else MIN_PROBIT_U if support.name == "probit" else MIN_SOFT_U
    return np.minimum(u, 1 - u) < nearest


# -------------------------------------------------------------------------------------------- densities and their draws
@every_ensemble
@pytest.mark.parametrize("size", [1, 2])
def test_the_density_over_the_box_is_one_and_draws_follow_it(flow, members, support, size):
    model, sims, steps = flow_of(flow, size, members, support), linear_gaussian(size), {1: 2000, 2: 160}[size]
    posterior = sampled(model, sims, [3], 4000)
    theta, volumes, edges = cells(support_of(model), steps)
    mass = np.exp(density(model, sims, 3, theta)) * volumes
    error = 0.003 if posterior.draws.log_norm_error is None else 0.003 + 5 * posterior.draws.log_norm_error[0]
    lost = beyond_reach(support_of(model), posterior.samples[0])
    assert lost.mean() < 1e-3
    assert 1 - lost.any(axis=1).mean() - error < mass.sum() < 1 + error

    z, _ = support_of(model).forward(posterior.samples[0])
    mass[beyond_reach(support_of(model), theta).any(axis=1)] = 0
    z = z[~lost.any(axis=1)]
    for column in range(size):  # as many draws in each part of the line as the density says
        share = mass.reshape([steps] * size).sum(axis=tuple(c for c in range(size) if c != column))
        counts = np.histogram(z[:, column], edges[:: steps // 40, column])[0]
        assert agree(counts, len(z) * share.reshape(40, -1).sum(axis=1) / mass.sum())


@every_ensemble
def test_in_six_dimensions_the_density_is_one_and_draws_follow_it(flow, members, support):
    """By importance sampling from a Student-t on the line, where the draws are and wider."""
    model, sims, count = flow_of(flow, 6, members, support), linear_gaussian(6), 20_000
    posterior = sampled(model, sims, [3], 3000)
    z, _ = support_of(model).forward(posterior.samples[0])
    proposal = stats.multivariate_t(z.mean(axis=0), np.cov(z.T) * 1.2, df=8, seed=0)
    points, step = proposal.rvs(count), 1e-4
    low, high = line(support_of(model))
    points = points[((points > low + step) & (points < high - step)).all(axis=1)]  # weight zero beyond
    sides = (support_of(model).inverse(points + step) - support_of(model).inverse(points - step)) / (2 * step)
    log_q = density(model, sims, 3, support_of(model).inverse(points))
    weights = np.zeros(count)
    weights[: len(points)] = np.exp(log_q - proposal.logpdf(points)) * sides.prod(axis=-1)
    error = weights.std() / np.sqrt(count)
    assert error < 0.03  # or the question was none
    norm, lost = (
        posterior.draws.log_norm_error,
        beyond_reach(support_of(model), posterior.samples[0]).any(axis=1).mean(),
    )
    norm = 0 if norm is None else norm[0]
    assert weights.mean() + lost == pytest.approx(1, abs=5 * np.hypot(error, norm) + 0.5 * lost)

    weights = weights[: len(points)] / weights.sum()  # the same mean of z, and of its square
    for power in (1, 2):
        expected = weights @ points**power
        spread = np.sqrt(weights**2 @ (points**power - expected) ** 2)
        error = np.hypot(spread, (z**power).std(axis=0) / np.sqrt(3000))
        np.testing.assert_array_less(np.abs((z**power).mean(axis=0) - expected), 5 * error + 10 * lost)


@every_ensemble
@pytest.mark.parametrize("size", [1, 2, 6])
def test_every_draw_lies_in_the_box(flow, members, support, size):
    model, sims = flow_of(flow, size, members, support), linear_gaussian(size)
    posterior, parameters = sampled(model, sims, [0, 5, 9], 500), model.preprocessing.parameters
    assert posterior.samples.shape == (3, 500, size)
    assert ((posterior.samples >= parameters.low) & (posterior.samples <= parameters.high)).all()
    assert np.isfinite(posterior.log_prob).all() and np.isfinite(posterior.log_prob_truth).all()
    assert (posterior.draws.log_norm_error is None) == (not SUPPORTS[support].overflows)


@every_way
def test_the_log_prob_of_a_file_is_that_of_the_model(flow, support):
    """At the draws, at the truths, and -inf outside the box."""
    model, sims = flow_of(flow, 2, 3, support), linear_gaussian(2)
    posterior = sampled(model, sims, [0, 5], 50)
    for position, row in enumerate([0, 5]):
        np.testing.assert_allclose(
            posterior.log_prob[position], density(model, sims, row, posterior.samples[position]), atol=0.1, rtol=0
        )
    truths = model.log_prob_of_rows(sims, np.array([0, 5]), sims.theta[[0, 5]], 10_000, seed=1)
    np.testing.assert_allclose(posterior.log_prob_truth, truths, atol=2e-5 if support_of(model).maps_inside else 0.1)
    outside = model.preprocessing.parameters.high + 0.1
    assert model.log_prob_of_rows(sims, np.array([0]), outside[None], 1000, seed=1).tolist() == [-np.inf]


@every_flow
def test_an_unbounded_catalog_needs_no_box(flow):
    sims = linear_gaussian(2, bounded=False)
    for support in (*SUPPORTS, "auto"):
        model = train_flow(sims, flow=flow, ensemble=1, support=support, epochs=1)
        posterior = sampled(model, sims, [0], 2000)
        assert support_of(model).maps_inside and posterior.draws.log_norm_error is None
        assert support_of(model).name == ("probit" if support == "auto" else support)
        spread = 8 * sims.theta.std(axis=0)
        axes = [np.linspace(m - s, m + s, 200) for m, s in zip(sims.theta.mean(axis=0), spread, strict=True)]
        grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
        mass = np.exp(density(model, sims, 0, grid)).sum() * np.prod(2 * spread / 199)
        assert mass == pytest.approx(1, abs=0.01)


# ------------------------------------------------------------------------------------------------------------ ensembles
def scattered(flow: str, weights=(0.6, 0.3, 0.1)) -> FlowModel:
    """Three members that disagree, of unequal weight."""
    model = flow_of(flow, 2, 3, "probit")
    (stack,) = model.stacks
    network = ConditionalFlow.from_config(stack.config, generators(0, "rebuild", 3)).eval()
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
    return replace(model, stacks=(stack.select(slice(number, number + 1)),), weights=np.ones(1))


@every_flow
def test_the_density_of_an_ensemble_is_the_mean_of_densities(flow):
    model, sims, rows = scattered(flow), linear_gaussian(2), np.arange(50)
    terms = [member(model, n).log_prob_of_rows(sims, rows, sims.theta[rows], 1, 0) for n in range(3)]
    log_prob = model.log_prob_of_rows(sims, rows, sims.theta[rows], 1, 0)
    np.testing.assert_allclose(log_prob, special.logsumexp(terms, axis=0, b=model.weights[:, None]), atol=1e-4)
    assert np.mean(log_prob - model.weights @ np.array(terms)) > 0.1  # which is not the mean of logs


@every_flow
def test_the_draws_of_an_ensemble_come_from_the_mixture_and_are_shuffled(flow):
    """A draw belongs to member m with probability w_m, in the mean over all draws and over any part of them."""
    model, sims, draws = scattered(flow), linear_gaussian(2), 6000
    posterior = sampled(model, sims, [3], draws)
    terms = np.array([density(member(model, n), sims, 3, posterior.samples[0]) for n in range(3)])
    share = np.exp(terms + np.log(model.weights)[:, None] - posterior.log_prob[0])
    np.testing.assert_allclose(share.sum(axis=0), 1, rtol=1e-3)
    for stretch in (slice(None), slice(0, 2000), slice(4000, None)):
        error = share[:, stretch].std(axis=1) / np.sqrt(share[:, stretch].shape[1])
        assert (np.abs(share[:, stretch].mean(axis=1) - model.weights) < 5 * error).all()


@every_flow
def test_stacks_of_different_members_mix_too(flow):
    model, sims = scattered(flow, (0.2, 0.3, 0.5)), linear_gaussian(2)
    stacks = (member(model, 0).stacks[0], *(member(model, n).stacks[0] for n in (1, 2)))
    apart = replace(model, stacks=stacks)
    rows = np.arange(20)
    np.testing.assert_allclose(
        apart.log_prob_of_rows(sims, rows, sims.theta[rows], 1, 0),
        model.log_prob_of_rows(sims, rows, sims.theta[rows], 1, 0),
        atol=1e-4,
    )
    assert sampled(apart, sims, [3], 100).samples.shape == (1, 100, 2)


@every_flow
def test_a_member_of_a_larger_ensemble_is_the_same_member(flow):
    single, ensemble = (flow_of(flow, 2, n, "probit") for n in (1, 3))
    for key, value in single.stacks[0].network.state_dict().items():
        torch.testing.assert_close(ensemble.stacks[0].network.state_dict()[key][:1], value, rtol=1e-3, atol=1e-5)


# ---------------------------------------------------------------------------------------------------------- the streams
@every_way
def test_the_draws_of_a_row_do_not_depend_on_other_rows(flow, support):
    model, sims = flow_of(flow, 2, 3, support), linear_gaussian(2)
    alone, among = sampled(model, sims, [7], 200), sampled(model, sims, range(10), 200)
    check_same_row(alone, among.select(np.array([7])))
    moved = sims.select(np.arange(5, 10))  # the same row at another position
    check_same_row(alone, sampled(model, moved, [2], 200))
    assert (sampled(model, sims, [7], 200, seed=1).samples != alone.samples).all()
    assert (among.samples[6] != among.samples[7]).all()


# ---------------------------------------------------------------------------------------- flows that overflow their box
@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(box_module, "MAX_PROPOSALS_PER_OBSERVATION", 20_000)


def test_a_row_outside_the_box_is_an_error_that_names_it(impatient):
    with pytest.raises(
        UserError, match=r"far.h5: row 4: only 0 of 1.... draws fell inside.*its units, whether.*`skip_failed`"
    ):
        sampled(flow_of("maf", 1, 1, "truncate"), far_away(4), [2, 4, 6], 100)


def test_few_draws_do_not_lift_the_bound_on_proposals(impatient):
    """One draw is not hopeless for long: the bound on proposals ends it all the same."""
    with pytest.raises(UserError, match=r"row 4: only 0 of 20000 draws fell inside"):
        sampled(flow_of("maf", 1, 1, "truncate"), far_away(4), [4], 1)


@pytest.mark.parametrize(("members", "support"), [(1, "probit"), (3, "probit"), (1, "truncate"), (3, "truncate")])
def test_the_density_of_draws_that_come_in_pieces_is_that_at_each(monkeypatch, members, support):
    """More draws than are made at once: all of them are there, and one mass is taken off all of them."""
    model, sims = flow_of("maf", 2, members, support), linear_gaussian(2)
    row = int(np.argmin(sims.theta[:, 0]))  # near an edge
    monkeypatch.setattr(box_module, "MAX_DRAWS_PER_PIECE", 700)
    posterior = sampled(model, sims, [row], 3000)
    contexts = model.embed(sims, np.array([row]))
    pieces = [len(piece.theta) for piece in model.mixture.draw(contexts, 3000, np.random.default_rng(0))]
    assert sum(pieces) == 3000 and max(pieces) <= 2 * 700
    log_mass = mass_of(model, sims, row, 3000, 0).log
    assert (log_mass < -0.01) == (support == "truncate")
    expected = model.mixture.log_prob(posterior.samples[0], contexts) - log_mass
    np.testing.assert_allclose(posterior.log_prob[0], expected, atol=2e-4)
    assert len(np.unique(posterior.samples[0], axis=0)) == 3000
    assert posterior.log_prob_truth[0] == pytest.approx(
        model.mixture.log_prob(sims.theta[[row]], contexts)[0] - log_mass, abs=1e-4
    )


def test_log_prob_of_truths_does_not_depend_on_the_batch_size(monkeypatch):
    model, sims, rows = flow_of("maf", 2, 3, "truncate"), linear_gaussian(2), np.arange(12)
    expected = sampled(model, sims, rows, 10).log_prob_truth
    monkeypatch.setattr(mixture, "TRUTHS_PER_CALL", 5)
    np.testing.assert_allclose(sampled(model, sims, rows, 10).log_prob_truth, expected, atol=1e-4)


def test_skip_failed_leaves_the_row_out_and_draws_nothing_in_its_place(impatient):
    model, sims = flow_of("maf", 1, 1, "truncate"), far_away(4)
    posterior = sampled(model, sims, [6, 4, 2], 100, skip_failed=True)
    assert posterior.index.tolist() == [6, 2] and posterior.simulation.tolist() == ["6", "2"]
    np.testing.assert_array_equal(posterior.truth, sims.theta[[6, 2]])
    assert (
        len(posterior.samples)
        == len(posterior.log_prob)
        == len(posterior.draws.log_norm_error)
        == len(posterior.diagnostics.ridge_estimate)
        == 2
    )
    check_same_row(posterior.select(np.array([1])), sampled(model, sims, [2], 100))
    with pytest.raises(UserError, match="no observation could be sampled"):
        sampled(model, sims, [4], 100, skip_failed=True)


@every_flow
def test_a_bijection_onto_the_box_cannot_fail(flow, impatient):
    for support in ("probit", "soft"):
        posterior, parameters = sampled(flow_of(flow, 1, 3, support), far_away(4), [4], 100), box(1)
        assert ((posterior.samples >= parameters.low) & (posterior.samples <= parameters.high)).all()


@every_flow
def test_the_error_of_log_z_is_its_scatter(flow):
    """Over seeds; and more draws make it no larger."""
    model, sims = flow_of(flow, 2, 1, "truncate"), linear_gaussian(2)
    row = int(np.argmin(sims.theta[:, 0]))  # near an edge, so that much is cut
    log_z, errors = np.array(
        [(mass.log, mass.error) for mass in (mass_of(model, sims, row, 10, s) for s in range(16))]
    ).T
    assert log_z.mean() < -0.01
    assert log_z.std() == pytest.approx(errors.mean(), rel=0.5)
    posterior = sampled(model, sims, [row], 10)
    assert posterior.draws.log_norm_error[0] == pytest.approx(errors[0])
    assert mass_of(model, sims, row, 30_000, 0).error < errors.mean()


# -------------------------------------------------------------------------------------------------------- the summaries
def test_a_summary_regressor_is_embedded(tmp_path):
    sims = linear_gaussian(2)
    models.write(tmp_path / "regressor.h5", regressor_of(2), {})
    summary = models.read(tmp_path / "regressor.h5")
    model = train_flow(sims, summary=summary, support="probit", flow="maf")
    models.write(tmp_path / "flow.h5", model, {})
    (tmp_path / "regressor.h5").unlink()
    again = models.read(tmp_path / "flow.h5")
    assert again.summary.summarise(sims, np.arange(3), None).shape == (3, 4)
    check_same_row(sampled(model, sims, [2], 50), sampled(again, sims, [2], 50))
    np.testing.assert_array_equal(
        again.summary.training_record.training_hashes.data, summary.training_record.training_hashes.data
    )


def test_a_summary_network_trained_on_held_out_rows_is_refused():
    sims = linear_gaussian(2)
    other_record = TrainingRecord.from_catalog(sims, by_hash(sims.simulation, seed=1))
    summary = replace(train_regressor(sims), training_record=other_record)
    with pytest.raises(
        UserError, match=r"^summary: the regressor was trained on or chosen by \d+ validation or test rows"
    ):
        train_flow(sims, summary=summary)
    shuffled = sims.select(np.random.default_rng(0).permutation(len(sims)))  # under other numbers too
    renumbered = in_memory_catalog(shuffled.theta, shuffled.parameters, *shuffled.observables)
    with pytest.raises(UserError, match="validation or test rows") as caught:
        train_flow(renumbered, summary=regressor_of(2))
    assert caught.value.setting == "summary"


# ---------------------------------------------------------------------------------------------------- what a flow costs
@every_flow
def test_network_passes_of_a_density_are_reported_and_bounded(flow):
    """Passes of the network: as many as parameters for the inverse flow, one for the others."""
    settings, slow = FLOWS[flow](), flow == "iaf"
    assert check_passes(flow, settings, 10, False) == []
    for features in (11, 30):
        messages = check_passes(flow, settings, features, False)
        assert len(messages) == slow and all(
            f"iaf: one density takes {features} network passes" in line for line in messages
        )
    if slow:
        with pytest.raises(UserError, match=r"flow=iaf: one density takes 31 network passes.*`force`"):
            check_passes(flow, settings, 31, False)
    assert len(check_passes(flow, settings, 31, True)) == slow


# ------------------------------------------------------------------------------------------------------- noisy training
@pytest.mark.parametrize("through", ["data", "a summary network"])
def test_the_noise_of_a_flow_is_fresh_in_every_epoch(through, monkeypatch):
    """What the loop is handed; behind a summary network too, whose noise it is."""
    sims = NORMAL.simulate(ROWS, 0, noise=False)
    frame = fitted_preprocessing(sims, Noise(np.eye(3), 0))
    summary = None if through == "data" else train_regressor(sims, frame=frame, ensemble=1)
    handed = {}

    def stop(network, loss, train_rows, validation_rows, *positional, hooks, keeper, ranks):
        handed.update(rows=train_rows.rows, fresh=[hooks.fresh_rows(epoch) for epoch in (0, 1, 0)])
        raise StopIteration

    monkeypatch.setattr(model_module, "train", stop)
    shapes = [(3,)] if summary is None else [summary.summary_shape]
    with pytest.raises(StopIteration):
        fit_flow(
            sims,
            split_of(sims),
            frame,
            flow_recipe(TINY | {"support": "probit"}, ROWS, shapes),
            training_context(),
            summary,
        )
    first, second, again = handed["fresh"]
    for original, first_epoch, second_epoch in zip(handed["rows"][:-1], first[:-1], second[:-1], strict=True):
        assert (original == first_epoch).all() and (original == second_epoch).all()
    assert (first[-1] == again[-1]).all() and (first[-1] != second[-1]).all()
    assert (first[-1] != handed["rows"][-1]).all()


def test_a_flow_trained_with_noise_gives_the_posterior_of_the_noisy_problem():
    """The simulations hold none; p(theta | x) is as wide as the noise makes it."""
    sims = NORMAL.simulate(2000, 0, noise=False)
    frame = fitted_preprocessing(sims, Noise(np.linalg.cholesky(NORMAL.covariance), 0))
    settings = {"flow": "maf", "ensemble": 1, "epochs": 30, "support": "probit", "layers": 1, "hidden": 16}
    settings |= {"batch_size": 200, "learning_rate": 0.02}
    recipe = flow_recipe(TINY | settings, 2000, [(3,)])
    model = fit_flow(sims, split_of(sims), frame, recipe, training_context())
    judged = NORMAL.simulate(300, 1)
    rows, (means, covariance) = np.arange(300), NORMAL.posterior(judged.observables[0].values)
    exact = stats.multivariate_normal(cov=covariance).logpdf(judged.theta - means)
    learned = model.log_prob_of_rows(replace(judged, includes_noise=True), rows, judged.theta, 1, 0)
    assert (exact - learned).mean() < 0.05
    drawn = sampled(model, replace(judged, includes_noise=True), rows[:5], 2000).samples
    np.testing.assert_allclose(drawn.std(axis=1), np.tile(np.sqrt(np.diag(covariance)), (5, 1)), rtol=0.15)
