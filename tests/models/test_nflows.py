"""A member as nflows' own Flow: densities and draws are ours to rounding, from raw data and in catalog units."""

from dataclasses import replace

import nflows.flows.base
import numpy as np
import pytest
import torch

from cosmoinfer.catalog import Catalog, Observable, observation_sets
from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS
from cosmoinfer.losses import LOSSES
from cosmoinfer.models import FlowModel
from cosmoinfer.models.differentiable_support import SupportForward, SupportInverse
from cosmoinfer.models.flow import fit_flow, flow_recipe
from cosmoinfer.networks.layers import expand_members
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.fit import with_compression
from cosmoinfer.supports import SUPPORTS, fit_support
from tests.examples import (
    TINY,
    fitted_preprocessing,
    flow_of,
    in_memory_catalog,
    linear_gaussian,
    split_of,
    train_flow,
    train_regressor,
    training_context,
    with_maps,
)

ROWS, CLOSE = np.arange(12), {"rtol": 1e-5, "atol": 2e-4}  # the networks' own digits are those of float32


def data_of(sims: Catalog, rows: np.ndarray) -> torch.Tensor:
    """What is observed, as the catalog has it: (n, F) float64, observable after observable."""
    return torch.from_numpy(
        np.concatenate([observable.values[rows].reshape(len(rows), -1) for observable in sims.observables], 1)
    )


def check_agreement(model: FlowModel, sims: Catalog, x: torch.Tensor, rows: np.ndarray = ROWS) -> None:
    """Of every member, log_prob at the truths, and draws of the same noise."""
    theta, size = sims.theta[rows], len(model.preprocessing.parameters)
    contexts = model.embed(sims, rows)
    for member, share in enumerate(np.eye(len(model.weights))):
        flow = model.to_nflows(member)
        assert isinstance(flow, nflows.flows.base.Flow)
        alone = replace(model, weights=share)
        with torch.no_grad():
            log_prob = flow.log_prob(torch.from_numpy(theta), context=x)
            torch.manual_seed(member)
            draws = flow.sample(3, context=x)
            torch.manual_seed(member)
            noise = torch.randn(len(rows) * 3, size)
        np.testing.assert_allclose(log_prob, alone.log_prob_untruncated(sims, rows, theta), **CLOSE)
        stack = model.stacks[0]
        context = contexts[0].repeat_interleave(3, dim=1)
        with torch.no_grad():
            z, _ = stack.network.draw(expand_members(noise, stack.members), context, model.temperature)
        expected = model.stacks[0].support.inverse(z[member].double().numpy()).reshape(draws.shape)
        assert draws.shape == (len(rows), 3, size) and draws.dtype == torch.float64
        np.testing.assert_allclose(draws, expected, **CLOSE)
        if model.stacks[0].support.maps_inside:
            assert model.preprocessing.parameters.inside(draws.numpy()).all()


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("support", SUPPORTS)
def test_log_prob_and_draws_agree_for_every_flow_and_support(flow, support):
    sims = linear_gaussian(2)
    check_agreement(flow_of(flow, 2, 2, support), sims, data_of(sims, ROWS))


@pytest.mark.parametrize("flow", FLOWS)
def test_one_parameter_is_enough(flow):
    sims = linear_gaussian(1)
    check_agreement(flow_of(flow, 1, 2, "probit"), sims, data_of(sims, ROWS))


def test_a_temperature_is_part_of_the_transform():
    sims = linear_gaussian(2)
    check_agreement(replace(flow_of("maf", 2, 2, "probit"), temperature=1.3), sims, data_of(sims, ROWS))


def test_float32_parameters_give_float32_and_sampling_its_own_densities():
    sims, model = linear_gaussian(2), flow_of("nsf", 2, 2, "probit")
    flow, x = model.to_nflows(1), data_of(sims, ROWS).float()
    with torch.no_grad():
        expected = flow.log_prob(torch.from_numpy(sims.theta[ROWS]), context=x)
        single_precision = flow.log_prob(torch.from_numpy(sims.theta[ROWS]).float(), context=x)
        draws, log_prob = flow.sample_and_log_prob(4, context=x)
        again = flow.log_prob(draws.flatten(0, 1), context=x.repeat_interleave(4, dim=0))
    assert single_precision.dtype == torch.float32
    np.testing.assert_allclose(single_precision, expected, atol=1e-3)
    np.testing.assert_allclose(again, log_prob.flatten(), rtol=1e-3, atol=2e-3)


# --------------------------------------------------------------------------------------------- from data to a context
def test_observables_stand_one_after_the_other_and_maps_have_their_shape():
    sims = with_maps(periodic=True)
    model = train_flow(sims, flow="maf", support="probit", embedding_features=4, ensemble=2, epochs=1, batch_size=20)
    check_agreement(model, sims, data_of(sims, ROWS))


def test_logarithms_compressions_and_gaps_are_in_the_embedding():
    random = np.random.default_rng(0)
    base = linear_gaussian(2)
    wide = in_memory_catalog(
        base.theta, base.parameters, Observable("data", "vector", 10 ** (3 * base.observables[0].values))
    )
    assert fitted_preprocessing(wide).inputs[0].standardizer.log.all()
    check_agreement(train_flow(wide, flow="maf", support="probit", ensemble=2, epochs=1), wide, data_of(wide, ROWS))
    short = with_compression(fitted_preprocessing(base), base, split_of(base), "autoencoder:2", training_context())
    recipe = flow_recipe(TINY | {"flow": "maf", "support": "probit", "epochs": 1}, len(base), [(2,)])
    check_agreement(fit_flow(base, split_of(base), short, recipe, training_context()), base, data_of(base, ROWS))
    lost = np.where(random.random((len(base), 4)) < 0.2, np.nan, base.observables[0].values)
    gaps = in_memory_catalog(base.theta, base.parameters, Observable("data", "vector", lost, masked=True))
    check_agreement(train_flow(gaps, flow="maf", support="probit", ensemble=2, epochs=1), gaps, data_of(gaps, ROWS))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_summary_network_is_in_the_embedding(loss):
    sims = linear_gaussian(2)
    summary = train_regressor(sims, loss=loss, ensemble=2, epochs=2)
    model = train_flow(sims, summary=summary, flow="maf", support="probit", ensemble=2, epochs=1)
    check_agreement(model, sims, data_of(sims, ROWS))


def test_a_flow_of_sets_takes_all_rows_of_a_simulation():
    base = linear_gaussian(2)
    count = len(base) // 2 * 2
    theta = np.repeat(base.theta[: count // 2], 2, axis=0)
    sims = in_memory_catalog(theta, base.parameters, Observable("data", "vector", base.observables[0].values[:count]))
    sims = replace(sims, simulation=np.repeat(np.arange(count // 2), 2).astype(str))
    model = train_flow(sims, flow="maf", support="probit", ensemble=2, epochs=1, observation="simulation")
    rows = observation_sets.representatives(sims, ROWS)
    x = data_of(sims, observation_sets.simulation_rows(sims, rows, 2).ravel()).unflatten(0, (-1, 2))
    check_agreement(model, sims, x, rows)


# -------------------------------------------------------------------------------------------------- code for nflows
def test_parameters_outside_the_box_have_no_density():
    sims, flow = linear_gaussian(2), flow_of("maf", 2, 2, "truncate").to_nflows(0)
    outside = torch.tensor([[9.0, 1.0]], dtype=torch.float64)
    assert flow.log_prob(outside, context=data_of(sims, ROWS[:1])) == -torch.inf


def test_training_goes_on_in_nflows_and_the_model_stays_what_it_was():
    sims, model = linear_gaussian(2), flow_of("nsf", 2, 2, "probit")
    flow, x, theta = model.to_nflows(1), data_of(sims, np.arange(200)), torch.from_numpy(sims.theta[:200])
    before = {name: value.clone() for name, value in model.stacks[0].network.state_dict().items()}
    optimizer = torch.optim.Adam(flow.parameters(), 1e-3)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        losses.append(-flow.log_prob(theta, context=x).mean())
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 0.01
    assert all(torch.equal(value, before[name]) for name, value in model.stacks[0].network.state_dict().items())


def test_a_context_of_another_size_and_a_member_that_is_not_there_are_refused():
    sims, model = linear_gaussian(2), flow_of("maf", 2, 2, "probit")
    theta = torch.from_numpy(sims.theta[ROWS])
    with pytest.raises(ValueError, match=r"context: expected numbers of shape \(4,\) a row, found \(3,\)"):
        model.to_nflows(0).log_prob(theta, context=data_of(sims, ROWS)[:, :3])
    for member in (-1, 2):
        with pytest.raises(UserError, match="member: expected 0 to 1, found"):
            model.to_nflows(member)


PRIORS = Parameters.from_names(
    tuple("abcdef"),
    [0.1, 0.25, -3, -np.inf, 2.0, -np.inf],
    [0.5, 4.0, 3, np.inf, np.inf, 1.0],
    ["uniform", "log-uniform", "normal", "unknown", "unknown", "unknown"],
    [0, 0, 0.5, 0, 0, 0],
    [1, 1, 1, 1, 1, 1],
)


@pytest.mark.parametrize("support", SUPPORTS)
def test_supports_are_differentiable_whatever_the_prior(support):
    """z, theta and the log-slopes, by central differences in double precision."""
    random = np.random.default_rng(0)
    inside = [0.1, 0.25, -2.5, -1, 2.1, -1.5] + random.random((40, 6)) * [0.4, 3.75, 5, 2, 2, 2]
    fitted = fit_support(support, PRIORS, inside, frozenset({"a"}))
    theta = torch.from_numpy(inside[:8]).requires_grad_()
    z = torch.from_numpy(fitted.forward(inside[:8])[0]).requires_grad_()
    for run, point in ((SupportForward, theta), (SupportInverse, z)):
        assert torch.autograd.gradcheck(lambda at, run=run: run.apply(at, fitted), (point,), eps=1e-6, atol=1e-5)
