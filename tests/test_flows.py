"""Flows: every name in the table, weights perturbed at random, so that nothing is the identity."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from nflows.nn.nets import ResidualNet
from nflows.transforms import AffineCouplingTransform, MaskedAffineAutoregressiveTransform

from cosmoinfer.flows import FLOWS, Transform
from cosmoinfer.flows.conditioner import Conditioner
from cosmoinfer.flows.elementwise import Affine, Spline
from cosmoinfer.flows.transforms import LU, Autoregressive, Coupling, halves
from cosmoinfer.models.stack import generators

CONTEXT = 3
every_flow = pytest.mark.parametrize("name", FLOWS)
every_size = pytest.mark.parametrize("features", [1, 2, 6])
every_ensemble = pytest.mark.parametrize("members", [1, 3])


def built(name: str, features: int, members: int, strength: float = 0.2) -> Transform:
    """A small flow in float64, every weight moved by ``strength`` normal deviates."""
    recipe = replace(FLOWS[name](), hidden=16)
    flow = recipe.build(features, CONTEXT, generators(0, "build", members)).double()
    perturb(flow, strength)
    return flow


def perturb(network: torch.nn.Module, strength: float) -> None:
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            weight += strength * torch.randn(weight.shape, generator=random, dtype=weight.dtype)


def normal(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def jacobian(outputs: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Row by row, d outputs / d inputs: (N, outputs, inputs)."""
    columns = [torch.autograd.grad(outputs[:, d].sum(), inputs, retain_graph=True)[0] for d in range(outputs.shape[1])]
    return torch.stack(columns, dim=1)


# ------------------------------------------------------------------------------------------------------ whole flows
@every_flow
@every_size
@every_ensemble
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
@torch.no_grad()
def test_back_from_noise_come_the_parameters(name, features, members, dtype, within):
    flow = built(name, features, members, strength=0.1).to(dtype)
    x, context = normal(members * 200, features).to(dtype), normal(members * 200, CONTEXT, seed=3).to(dtype)
    z, log_det = flow.forward(x, context)
    back, log_det_back = flow.inverse(z, context)
    assert (z - x).abs().max() > 0.1
    assert (back - x).abs().max() < within
    assert (log_det + log_det_back).abs().max() < 10 * within


@every_flow
@every_size
@every_ensemble
def test_the_log_determinant_is_that_of_the_jacobian(name, features, members):
    flow = built(name, features, members)
    x, context = normal(members * 50, features).requires_grad_(), normal(members * 50, CONTEXT, seed=3)
    z, log_det = flow.forward(x, context)
    expected = torch.linalg.slogdet(jacobian(z, x)).logabsdet
    assert log_det.shape == (members * 50,)
    torch.testing.assert_close(log_det, expected, rtol=1e-9, atol=1e-9)


@every_flow
@every_ensemble
@pytest.mark.parametrize("features", [1, 2])
@torch.no_grad()
def test_the_density_integrates_to_one(name, features, members):
    flow = built(name, features, members, strength=0.1)
    context = normal(members, 1, CONTEXT, seed=3)

    def contexts(rows: int) -> torch.Tensor:
        return context.expand(-1, rows, -1).reshape(members * rows, CONTEXT)

    draws, _ = flow.inverse(normal(members * 3000, features), contexts(3000))
    middle, half = draws.mean(0), 2 * (draws - draws.mean(0)).abs().max(0).values  # only says where to look
    steps = {1: 4000, 2: 250}[features]
    axes = [torch.linspace(-1, 1, steps, dtype=torch.float64) * h + m for m, h in zip(middle, half, strict=True)]
    grid = torch.cartesian_prod(*axes).reshape(-1, features)
    z, log_det = flow.forward(grid.repeat(members, 1), contexts(len(grid)))
    log_prob = log_det - 0.5 * (z**2 + np.log(2 * np.pi)).sum(-1)
    mass = log_prob.exp().reshape(members, -1).sum(1) * torch.prod(2 * half / (steps - 1))
    np.testing.assert_allclose(mass, 1, atol=2e-3)


@every_flow
@every_size
@every_ensemble
def test_a_new_flow_only_orders_the_dimensions(name, features, members):
    flow = FLOWS[name]().build(features, CONTEXT, generators(0, "build", members)).double()
    x = normal(members * 20, features)
    z, log_det = flow.forward(x, normal(members * 20, CONTEXT, seed=3))
    torch.testing.assert_close(z.sort(dim=1).values, x.sort(dim=1).values, rtol=0, atol=1e-6)
    assert log_det.abs().max() < 1e-6


@every_flow
@every_size
@every_ensemble
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_the_condition_reaches_every_dimension(name, features, members, direction):
    flow = built(name, features, members)
    context = normal(members * 10, CONTEXT, seed=3).requires_grad_()
    outputs, _ = getattr(flow, direction)(0.5 * normal(members * 10, features), context)
    assert (jacobian(outputs, context).abs().amax(dim=2) > 1e-6).all()


@every_flow
@every_size
def test_a_member_learns_nothing_from_another(name, features):
    flow = built(name, features, 3)
    z, log_det = flow.forward(normal(3 * 20, features), normal(3 * 20, CONTEXT, seed=3))
    (log_det - 0.5 * (z**2).sum(-1)).reshape(3, 20)[1].mean().backward()
    gradients = [weight.grad for weight in flow.parameters()]
    assert all((gradient[[0, 2]] == 0).all() for gradient in gradients)
    assert sum(float(gradient[1].abs().sum()) for gradient in gradients) > 0.1


@every_flow
@torch.no_grad()
def test_one_parameter_is_not_always_normal(name):
    """A Gaussian's map to noise is a straight line, whatever the condition."""
    flow = built(name, 1, 1)
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None]
    z, _ = flow.forward(x, torch.ones(41, CONTEXT, dtype=torch.float64))
    bend = z.diff(n=2, dim=0).abs().max() / z.diff(dim=0).abs().max()
    assert bend > 0.01


@every_flow
@pytest.mark.parametrize("features", [1, 2])
def test_a_posterior_100_times_narrower_than_the_prior_can_be_learned(name, features):
    flow = replace(FLOWS[name](), hidden=16).build(features, CONTEXT, generators(0, "build", 1))
    x, context = 0.01 * normal(200, features).float(), torch.zeros(200, CONTEXT)
    optimizer = torch.optim.Adam(flow.parameters(), 0.005)
    losses = []
    for _ in range(100):
        z, log_det = flow.forward(x, context)
        loss = (0.5 * z**2).sum(-1).mean() - log_det.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses) < features * (0.5 + np.log(0.01)) + 0.3  # the entropy of x, but for the normalisation


# ------------------------------------------------------------------------------------ what nflows alone gets wrong
@pytest.mark.parametrize("features", [2, 3, 6])
def test_nflows_hides_the_condition_from_the_first_dimension(features):
    """Why we have masks of our own: the test above would fail in nflows 0.14."""
    torch.manual_seed(0)
    plain = MaskedAffineAutoregressiveTransform(features, 32, context_features=CONTEXT).double()
    context = normal(10, CONTEXT, seed=3).requires_grad_()
    z, _ = plain.forward(normal(10, features), context)
    reach = jacobian(z, context).abs().amax(dim=2)
    assert (reach[:, 0] == 0).all()
    assert (reach[:, 1:] > 1e-6).all()


@pytest.mark.parametrize("wide", [10.0, 100.0, 1e4])
@torch.no_grad()
def test_nflows_affine_coupling_cannot_narrow(wide):
    """Why we have an affine map of our own."""
    torch.manual_seed(0)
    plain = AffineCouplingTransform([1, 0], lambda inputs, outputs: ResidualNet(inputs, outputs, 8)).double()
    _, log_det = plain.forward(wide * normal(1000, 2))
    assert log_det.exp().max() <= 1.001


@pytest.mark.parametrize("factor", [10.0, 100.0])
@pytest.mark.parametrize("way", [1, -1])
@torch.no_grad()
def test_affine_maps_narrow_and_widen_by_10_and_100(factor, way):
    """100 in two layers: one gives at most e^3."""
    affine, layers = Affine(), 1 if factor == 10 else 2
    rate = way * np.log(factor) / layers
    shapes = torch.tensor([0.3, 3 * np.arctanh(rate / 3)]).expand(5, 1, 2)
    x, total = normal(5, 1), torch.zeros(5, 1, dtype=torch.float64)
    z = x
    for _ in range(layers):
        z, log_slope = affine.forward(z, shapes)
        total += log_slope
    torch.testing.assert_close(total.exp(), torch.full_like(total, factor**way))
    torch.testing.assert_close(z.diff(dim=0) / x.diff(dim=0), torch.full_like(z[1:], factor**way))


# ----------------------------------------------------------------------------------------------------- the splines
def shapes_of(spline: Spline, rows: int, size: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return (size * normal(rows, 1, spline.outputs, seed=5)).to(dtype)


@pytest.mark.parametrize("bins", [1, 2, 8, 16])
def test_a_spline_of_zeros_is_the_identity(bins):
    spline, x = Spline(bins), torch.linspace(-7, 7, 101, dtype=torch.float64)[:, None]
    for run in (spline.forward, spline.inverse):
        z, log_slope = run(x, shapes_of(spline, 101, 0.0))
        torch.testing.assert_close(z, x, rtol=0, atol=1e-12)
        assert log_slope.abs().max() < 1e-12


@pytest.mark.parametrize("size", [1.0, 5.0, 100.0])
def test_a_spline_rises(size):
    spline, x = Spline(), torch.linspace(-6, 6, 4001, dtype=torch.float64)
    for shapes in shapes_of(spline, 20, size):
        z, log_slope = spline.forward(x[:, None], shapes.expand(len(x), 1, -1))
        assert (z.diff(dim=0) > 0).all()
        assert (log_slope.abs() < 4 * spline.steepest).all()


@pytest.mark.parametrize("size", [1.0, 100.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_spline_is_the_identity_at_its_bound_and_beyond(size, dtype):
    spline = Spline()
    edge = torch.tensor([-1e6, -7, -5, 5, 7, 1e6], dtype=dtype)[:, None]
    for run in (spline.forward, spline.inverse):
        for shapes in shapes_of(spline, 20, size, dtype):
            z, log_slope = run(edge, shapes.expand(len(edge), 1, -1))
            assert (z == edge).all() and (log_slope == 0).all()
            inside = edge[2:4] * (1 - torch.finfo(dtype).eps)  # the last number before the bound
            z, _ = run(inside, shapes.expand(2, 1, -1))
            assert (z - inside).abs().max() < np.exp(spline.steepest) * torch.finfo(dtype).eps * spline.bound


@pytest.mark.parametrize("size", [5.0, 30.0, 1e4])
def test_a_steep_spline_is_inverted_in_float32(size):
    """Where nflows asserts or returns NaN: large raw parameters."""
    spline, rows = Spline(), 20_000
    shapes = shapes_of(spline, rows, size, torch.float32)
    z = (10 * torch.rand(rows, 1, generator=torch.Generator().manual_seed(6)) - 5).float()
    x, log_slope = spline.inverse(z, shapes)
    again, log_slope_forward = spline.forward(x, shapes)
    assert torch.isfinite(x).all() and torch.isfinite(log_slope).all() and (x.abs() <= 5).all()
    assert ((again - z).abs() / (1 + (-log_slope).exp())).max() < 2e-3  # x is rounded, and then the slope multiplies
    assert (again - z).abs().median() < 1e-5
    assert (log_slope + log_slope_forward).abs().median() < 1e-4


# ------------------------------------------------------------------------------------------------------- the layers
def conditioner(features: int, elementwise: Affine | Spline, masked: bool, members: int = 2) -> Conditioner:
    inputs = features if masked else len(halves(features, False)[1])
    mapped = features if masked else len(halves(features, False)[0])
    made = Conditioner(
        generators(0, "layer", members), inputs, mapped, elementwise.outputs, CONTEXT, 16, 2, 0.0, "silu", masked
    )
    made.double()
    perturb(made, 0.3)
    return made


@every_size
@pytest.mark.parametrize("elementwise", [Affine(), Spline()], ids=["affine", "spline"])
def test_an_autoregressive_layer_is_triangular_and_its_first_dimension_sees_the_condition(features, elementwise):
    layer = Autoregressive(elementwise, conditioner(features, elementwise, masked=True))
    x, context = normal(40, features).requires_grad_(), normal(40, CONTEXT, seed=3).requires_grad_()
    z, _ = layer.forward(x, context)
    matrix = jacobian(z, x)
    below = torch.tril(torch.ones(features, features, dtype=torch.bool))
    assert (matrix[:, ~below] == 0).all()
    assert (matrix[:, below].abs().amax(dim=0) > 1e-4).all()  # and each does see all that are before it
    assert (jacobian(z, context).abs().amax(dim=2) > 1e-6).all()


@pytest.mark.parametrize("features", [2, 6])
def test_a_coupling_layer_lets_half_pass(features):
    layer = Coupling(Spline(), conditioner(features, Spline(), masked=False), features, odd=False)
    x = normal(40, features).requires_grad_()
    z, _ = layer.forward(x, normal(40, CONTEXT, seed=3))
    mapped, passing = halves(features, False)
    assert (z[:, passing] == x[:, passing]).all()
    assert (z[:, mapped] != x[:, mapped]).any(dim=0).all()
    assert (jacobian(z, x)[:, mapped][:, :, passing].abs().amax(dim=0) > 0).all()


def test_the_halves_of_successive_layers_are_all_dimensions():
    assert halves(1, False) == halves(1, True) == ([0], [])
    for features in (2, 5, 6):
        even, odd = halves(features, False), halves(features, True)
        assert even == odd[::-1] and sorted(even[0] + even[1]) == list(range(features))


@torch.no_grad()
def test_every_member_mixes_with_its_own_matrix():
    mixing = LU(generators(0, "lu", 3), 4).double()
    perturb(mixing, 0.5)
    lower, upper = mixing._factors()
    x = normal(3 * 5, 4)
    z, log_det = mixing.forward(x)
    for member in range(3):
        matrix, rows = lower[member] @ upper[member], slice(5 * member, 5 * member + 5)
        torch.testing.assert_close(z[rows], x[rows] @ matrix + mixing.bias[member])
        torch.testing.assert_close(log_det[rows], torch.linalg.slogdet(matrix).logabsdet.expand(5))
