"""Flows: every name in the table, weights perturbed at random, so that nothing is the identity."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from nflows.nn.nets import ResidualNet
from nflows.transforms import ActNorm as NflowsActNorm
from nflows.transforms import AffineCouplingTransform, LULinear, MaskedAffineAutoregressiveTransform
from nflows.transforms.splines.rational_quadratic import rational_quadratic_spline

from cosmoinfer import seeding
from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS, Transform, initialise
from cosmoinfer.flows.conditional import Autoregressive, Conditioner, Coupling, InverseAutoregressive, halves
from cosmoinfer.flows.elementwise import Affine, Spline
from cosmoinfer.flows.linear import LU, ActNorm, LinearStart
from cosmoinfer.flows.nsf import NSF
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.settings import check_settings

CONTEXT, MEMBERS = 3, 2
every_flow = pytest.mark.parametrize("name", FLOWS)
every_size = pytest.mark.parametrize("features", [1, 2, 6, 20])


def generators(purpose: str, members: int) -> list[torch.Generator]:
    """One a member, the same for this purpose each time."""
    return [torch.Generator().manual_seed(seeding.derive_seed(0, purpose, member)) for member in range(members)]


def built(name: str, features: int, context: int = CONTEXT, strength: float = 0.2, members: int = MEMBERS) -> Transform:
    """A small flow in float64, initialised from rows, then every weight moved by ``strength`` normal deviates."""
    flow = fresh(name, features, context, members)
    initialise(flow, lambda: flow(*inputs_of(300, features, context, members)))
    perturb(flow, strength)
    return flow


def fresh(name: str, features: int, context: int = CONTEXT, members: int = MEMBERS) -> Transform:
    recipe = replace(FLOWS[name](), hidden=40)  # so that 20 masked dimensions have two units each
    return recipe.build(features, context, generators("build", members)).double().eval()


def inputs_of(
    rows: int, features: int, context: int = CONTEXT, members: int = MEMBERS
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Rows of parameters and their condition, none where ``context`` is 0."""
    return normal(members, rows, features), normal(members, rows, context, seed=3) if context else None


def perturb(network: torch.nn.Module, strength: float) -> None:
    """Every weight by so many normal deviates, divided by the root of how many meet in one sum."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            deviates = torch.randn(weight.shape, generator=random, dtype=weight.dtype)
            weight += strength * deviates / (weight.shape[1] ** 0.5 if weight.dim() == 3 else 1)


def normal(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def jacobian(outputs: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Row by row, d outputs / d inputs: (..., outputs, inputs)."""
    size = outputs.shape[-1]
    columns = [torch.autograd.grad(outputs[..., d].sum(), inputs, retain_graph=True)[0] for d in range(size)]
    return torch.stack(columns, dim=-2)


# ------------------------------------------------------------------------------------------------------ whole flows
@every_flow
@every_size
@pytest.mark.parametrize("context", [0, CONTEXT])
@torch.no_grad()
def test_back_from_noise_come_the_parameters(name, features, context):
    flow, (x, condition) = built(name, features, context, strength=0.1), inputs_of(100, features, context)
    for dtype, within in ((torch.float64, 1e-10), (torch.float32, 1e-4)):
        flow, x = flow.to(dtype), x.to(dtype)
        condition = condition.to(dtype) if context else None
        z, log_det = flow.forward(x, condition)
        back, log_det_back = flow.inverse(z, condition)
        assert (z - x).abs().max() > 0.1
        assert (back - x).abs().max() < within
        assert (log_det + log_det_back).abs().max() < 10 * within


@every_flow
@every_size
@pytest.mark.parametrize("context", [0, CONTEXT])
def test_the_log_determinant_is_that_of_the_jacobian(name, features, context):
    flow, (x, condition) = built(name, features, context), inputs_of(20, features, context)
    z, log_det = flow.forward(x.requires_grad_(), condition)
    expected = torch.linalg.slogdet(jacobian(z, x)).logabsdet
    assert log_det.shape == (MEMBERS, 20)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(log_det, expected, rtol=1e-9, atol=1e-9)


@every_flow
@pytest.mark.parametrize("features", [1, 2])
@pytest.mark.parametrize("context", [0, CONTEXT])
@torch.no_grad()
def test_the_density_integrates_to_one(name, features, context):
    flow = built(name, features, context, members=1)
    condition = normal(1, 1, CONTEXT, seed=3) if context else None

    def conditions(rows: int) -> torch.Tensor | None:
        return None if condition is None else condition.expand(1, rows, -1)

    draws = flow.inverse(normal(1, 3000, features), conditions(3000))[0][0]
    middle, half = draws.mean(0), 2 * (draws - draws.mean(0)).abs().max(0).values  # only says where to look
    steps = {1: 4000, 2: 200}[features]
    axes = [torch.linspace(-1, 1, steps, dtype=torch.float64) * h + m for m, h in zip(middle, half, strict=True)]
    grid = torch.cartesian_prod(*axes).reshape(-1, features)
    z, log_det = flow.forward(grid[None], conditions(len(grid)))
    log_prob = log_det - 0.5 * (z**2 + np.log(2 * np.pi)).sum(-1)
    mass = log_prob.exp().sum() * torch.prod(2 * half / (steps - 1))
    np.testing.assert_allclose(mass, 1, atol=2e-3)


@every_flow
@every_size
def test_a_new_flow_only_orders_the_dimensions_of_standardised_rows(name, features):
    flow, condition = fresh(name, features), torch.ones(MEMBERS, 50, CONTEXT, dtype=torch.float64)  # says nothing
    x = normal(MEMBERS, 50, features)
    x = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)
    initialise(flow, lambda: flow(x, condition))
    z, log_det = flow.forward(x, condition)
    torch.testing.assert_close(z.sort(dim=-1).values, x.sort(dim=-1).values, rtol=0, atol=1e-6)
    assert log_det.abs().max() < 1e-6


@every_flow
@every_size
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_the_condition_reaches_every_dimension(name, features, direction):
    flow, (x, condition) = built(name, features), inputs_of(10, features)
    outputs, _ = getattr(flow, direction)(0.5 * x, condition.requires_grad_())
    assert (jacobian(outputs, condition).abs().amax(dim=-1) > 1e-6).all()


@every_flow
@pytest.mark.parametrize("features", [1, 2, 6])
def test_few_layers_are_conditioned_all_over_or_an_error(name, features):
    x, condition = inputs_of(10, features, members=1)
    condition.requires_grad_()
    for layers in range(3):
        recipe = replace(FLOWS[name](), layers=layers, hidden=16)
        try:
            check_settings(recipe)
            flow = recipe.build(features, CONTEXT, generators("build", 1)).double()
        except UserError as error:
            assert layers < 2 and str(error).startswith("layers: ")
            continue
        assert layers > 0
        initialise(flow, lambda: flow(x, condition))  # noqa: B023
        perturb(flow, 0.2)
        assert (jacobian(flow.forward(x, condition)[0], condition).abs().amax(dim=-1) > 1e-6).all()


@every_flow
@every_size
def test_number_of_network_passes_is_that_of_the_recipe(name, features, monkeypatch):
    """Counted at each layer's network: a whole pass is one, and so is each step of one dimension after another."""
    flow, (x, condition), passes = built(name, features), inputs_of(4, features), Counter()
    plain_forward, stepwise = Conditioner.forward, Conditioner.autoregressive_steps

    def forward(network, *inputs):
        passes[network] += 1
        return plain_forward(network, *inputs)

    def autoregressive_steps(network, *inputs):
        steps, value = stepwise(network, *inputs), None
        while True:
            shapes = steps.send(value)
            passes[network] += 1
            value = yield shapes

    monkeypatch.setattr(Conditioner, "forward", forward)
    monkeypatch.setattr(Conditioner, "autoregressive_steps", autoregressive_steps)
    networks = [module for module in flow.modules() if isinstance(module, Conditioner)]
    for run, expected in zip((flow.forward, flow.inverse), FLOWS[name]().passes(features), strict=True):
        passes.clear()
        run(x, condition)
        assert [passes[network] for network in networks] == [expected] * len(networks)


def test_maf_evaluates_in_one_pass_and_draws_in_as_many_as_parameters_and_iaf_the_reverse():
    assert FLOWS["maf"]().passes(6) == FLOWS["nsf-ar"]().passes(6) == (1, 6)
    assert FLOWS["iaf"]().passes(6) == (6, 1)
    assert {FLOWS[name]().passes(6) for name in ("realnvp", "glow", "nsf")} == {(1, 1)}


@every_flow
@pytest.mark.parametrize("features", [1, 2, 6])
def test_a_member_learns_nothing_from_another(name, features):
    flow = built(name, features, members=3)
    z, log_det = flow.forward(*inputs_of(20, features, members=3))
    (log_det - 0.5 * (z**2).sum(-1))[1].mean().backward()
    gradients = [weight.grad for weight in flow.parameters()]
    assert all((gradient[[0, 2]] == 0).all() for gradient in gradients)
    assert sum(float(gradient[1].abs().sum()) for gradient in gradients) > 0.1


@every_flow
@pytest.mark.parametrize("features", [1, 2, 6])
@torch.no_grad()
def test_a_member_is_what_it_would_be_alone(name, features):
    """The same generator gives the same weights, and the same rows the same noise."""
    recipe, (x, condition) = replace(FLOWS[name](), hidden=16), inputs_of(50, features, members=3)
    together = recipe.build(features, CONTEXT, generators("build", 3)).double()
    initialise(together, lambda: together(x, condition))
    z, _ = together(x, condition)
    for member in range(3):
        index = slice(member, member + 1)
        alone = recipe.build(features, CONTEXT, generators("build", 3)[index]).double()
        initialise(alone, lambda: alone(x[index], condition[index]))  # noqa: B023
        torch.testing.assert_close(alone(x[index], condition[index])[0], z[index])
        for key, value in alone.state_dict().items():
            torch.testing.assert_close(value[0], together.state_dict()[key][member])


@every_flow
@torch.no_grad()
def test_one_parameter_is_not_always_normal(name):
    """A Gaussian's map to noise is a straight line, whatever the condition."""
    flow = built(name, 1, members=1)
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)[None, :, None]
    z, _ = flow.forward(x, torch.ones(1, 41, CONTEXT, dtype=torch.float64))
    bend = z.diff(n=2, dim=1).abs().max() / z.diff(dim=1).abs().max()
    assert bend > 0.01


@every_flow
@pytest.mark.parametrize("features", [1, 2])
def test_a_posterior_100_times_narrower_than_the_prior_can_be_learned(name, features):
    flow = replace(FLOWS[name](), hidden=16).build(features, CONTEXT, generators("build", 1))
    x, condition = 0.01 * normal(1, 100, features).float(), torch.zeros(1, 100, CONTEXT)
    initialise(flow, lambda: flow(x / 0.01, condition))  # by steps alone, not by what starts from the rows
    optimizer = torch.optim.Adam(flow.parameters(), 0.02)
    entropy = features * (0.5 + np.log(0.01))  # but for the normalisation
    for _ in range(200):
        z, log_det = flow.forward(x, condition)
        loss = (0.5 * z**2).sum(-1).mean() - log_det.mean()
        if loss < entropy + 0.3:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pytest.fail(f"{loss.item() - entropy:.2f} nat above the entropy")


@every_flow
@pytest.mark.parametrize("features", [1, 3])
@torch.no_grad()
def test_dropout_acts_in_training_alone(name, features):
    flow = replace(FLOWS[name](), hidden=16, dropout=0.5).build(features, CONTEXT, generators("build", 1)).double()
    x, condition = inputs_of(50, features, members=1)
    initialise(flow, lambda: flow(x, condition))
    perturb(flow, 0.2)
    first, second = (flow.train()(x, condition)[0] for _ in range(2))
    assert (first != second).any(dim=1).all()
    assert (flow.eval()(x, condition)[0] == flow(x, condition)[0]).all()


@every_flow
def test_a_flow_takes_activations_of_one_piece(name):
    for activation in ACTIVATIONS:
        recipe = replace(FLOWS[name](), activation=activation)
        if ACTIVATIONS[activation].pieces == 1:
            recipe.build(2, CONTEXT, generators("build", 1))
        else:
            with pytest.raises(UserError, match=f"activation={activation}: "):
                recipe.build(2, CONTEXT, generators("build", 1))


# ------------------------------------------------------------------------------------ what nflows alone gets wrong
@pytest.mark.parametrize("features", [2, 3, 6])
def test_nflows_hides_the_condition_from_the_first_dimension(features):
    """Why we have masks of our own: the test above would fail in nflows 0.14."""
    torch.manual_seed(0)
    plain = MaskedAffineAutoregressiveTransform(features, 32, context_features=CONTEXT).double()
    context = normal(10, CONTEXT, seed=3).requires_grad_()
    z, _ = plain.forward(normal(10, features), context)
    reach = jacobian(z, context).abs().amax(dim=-1)
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


# -------------------------------------------------------------------------------------------- what nflows has right
def inverse_softplus(x: torch.Tensor) -> torch.Tensor:
    return torch.log(torch.expm1(x))


@pytest.mark.parametrize("bins", [2, 8])
@pytest.mark.parametrize("inverse", [False, True])
@torch.no_grad()
def test_within_its_domain_a_spline_is_that_of_nflows(bins, inverse):
    """The same knots, as theirs are raw numbers."""
    spline, x = Spline(bins), 9.9 * torch.rand(200, 1, generator=torch.Generator().manual_seed(1)).double() - 4.95
    shapes = 2 * normal(200, 1, spline.outputs, seed=5)
    raw = shapes * spline.damped(shapes)
    slopes = torch.nn.functional.pad(raw[..., 2 * bins :], (1, 1)).exp()  # 1 at both ends
    expected, log_slope = rational_quadratic_spline(
        x,
        raw[..., :bins],
        raw[..., bins : 2 * bins],
        inverse_softplus(slopes),
        inverse=inverse,
        left=-5.0,
        right=5.0,
        bottom=-5.0,
        top=5.0,
        min_bin_width=0,
        min_bin_height=0,
        min_derivative=0,
    )
    mapped = (spline.inverse if inverse else spline.forward)(x, shapes)
    torch.testing.assert_close(mapped, (expected, log_slope), rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore:torch.triangular_solve")
@torch.no_grad()
def test_a_mixing_layer_is_that_of_nflows():
    """Theirs multiplies columns, ours rows: L U of theirs, transposed, is L U again once U's diagonal changes sides."""
    torch.manual_seed(0)
    theirs, ours, x = LULinear(4, identity_init=False).double(), LU(generators("lu", 1), 4).double(), normal(1, 9, 4)
    theirs.bias.normal_()
    lower, upper = theirs._create_lower_upper()
    diagonal = upper.diagonal()
    ours.below.copy_((upper.T / diagonal)[None])
    ours.above.copy_((diagonal[:, None] * lower.T)[None])
    ours.log_diagonal.copy_(diagonal.log()[None])
    ours.bias.copy_(theirs.bias[None, None])
    for run, expected in ((ours.forward, theirs.forward(x[0])), (ours.inverse, theirs.inverse(x[0]))):
        outputs, log_det = run(x)
        torch.testing.assert_close((outputs[0], log_det[0]), expected)


@torch.no_grad()
def test_an_activation_norm_starts_as_that_of_nflows():
    theirs, ours, x = NflowsActNorm(4).double(), ActNorm(generators("norm", 1), 4).double(), 5 + 3 * normal(1, 300, 4)
    expected = theirs.train().forward(x[0])
    initialise(ours, lambda: ours(x))
    outputs, log_det = ours(x)
    torch.testing.assert_close((outputs[0], log_det[0]), expected)


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


@pytest.mark.parametrize("bins", [3, 8])
def test_the_gradient_of_a_spline_is_that_of_its_formulas(bins):
    """By central differences in double precision, inside, outside and near the ends; of z and of the log-slope."""
    spline = Spline(bins)
    x = torch.cat([4 * normal(60, 2), torch.tensor([[-4.999, 4.999], [6.0, -7.0]], dtype=torch.float64)])
    shapes = 3 * normal(len(x), 2 * spline.outputs, seed=4).reshape(len(x), 2, spline.outputs)
    assert torch.autograd.gradcheck(spline.forward, (x.requires_grad_(), shapes.requires_grad_()), eps=1e-6, atol=1e-5)


# ------------------------------------------------------------------------------------------------------- the layers
def conditioner(features: int, elementwise: Affine | Spline, masked: bool) -> Conditioner:
    inputs = features if masked else len(range(features)[halves(features, False)[1]])
    mapped = features if masked else len(range(features)[halves(features, False)[0]])
    settings = NSF(hidden=40, blocks=2, dropout=0.0, activation="silu")
    size = (inputs, mapped, elementwise.outputs, CONTEXT)
    made = Conditioner(generators("layer", MEMBERS), *size, settings, masked=masked).double()
    perturb(made, 0.3)
    return made


@every_size
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("elementwise", [Affine(), Spline()], ids=["affine", "spline"])
def test_an_autoregressive_layer_is_triangular_and_its_first_dimension_sees_the_condition(
    features, elementwise, inverse
):
    network = conditioner(features, elementwise, masked=True)
    layer = InverseAutoregressive(elementwise, network) if inverse else Autoregressive(elementwise, network)
    x, context = (rows.requires_grad_() for rows in inputs_of(20, features))
    z, _ = layer.inverse(x, context) if inverse else layer.forward(x, context)
    matrix = jacobian(z, x)
    below = torch.tril(torch.ones(features, features, dtype=torch.bool))
    assert (matrix[..., ~below] == 0).all()
    assert (matrix[..., below].abs().amax(dim=(0, 1)) > 1e-4).all()  # and each does see all that are before it
    assert (jacobian(z, context).abs().amax(dim=-1) > 1e-6).all()


@torch.no_grad()
def test_iaf_is_shaped_by_the_noise_and_maf_by_the_parameters():
    """x_i = mu_i(z_<i) + sigma_i(z_<i) z_i, and z_i = (x_i - mu_i(x_<i)) / sigma_i(x_<i), by hand."""
    network = conditioner(3, Affine(), masked=True)
    value, context = inputs_of(20, 3)
    shift, free = network(value, context).unbind(-1)
    mean, sigma = -shift, torch.exp(-3 * torch.tanh(free / 3))
    x, _ = InverseAutoregressive(Affine(), network).inverse(value, context)
    torch.testing.assert_close(x, mean + sigma * value)
    z, _ = Autoregressive(Affine(), network).forward(value, context)
    torch.testing.assert_close(z, (value - mean) / sigma)


@pytest.mark.parametrize("features", [2, 6])
def test_a_coupling_layer_lets_half_pass(features):
    layer = Coupling(Spline(), conditioner(features, Spline(), masked=False), features, odd=False)
    x, context = inputs_of(20, features)
    z, _ = layer.forward(x.requires_grad_(), context)
    mapped, passing = halves(features, False)
    assert (z[..., passing] == x[..., passing]).all()
    assert (z[..., mapped] != x[..., mapped]).any(dim=1).all()
    assert (jacobian(z, x)[..., mapped, :][..., passing].abs().amax(dim=(0, 1)) > 0).all()


def test_the_halves_of_successive_layers_are_all_dimensions():
    assert halves(1, False) == halves(1, True)
    assert [list(range(1)[half]) for half in halves(1, False)] == [[0], []]
    for features in (2, 5, 6):
        even, odd = halves(features, False), halves(features, True)
        mapped, passing = (list(range(features)[half]) for half in even)
        assert even == odd[::-1] and sorted(mapped + passing) == list(range(features))


@torch.no_grad()
def test_every_member_mixes_with_its_own_matrix():
    mixing = LU(generators("lu", 3), 4).double()
    perturb(mixing, 0.5)
    lower, upper = mixing._factors()
    x = normal(3, 5, 4)
    z, log_det = mixing.forward(x)
    for member in range(3):
        matrix = lower[member] @ upper[member]
        torch.testing.assert_close(z[member], x[member] @ matrix + mixing.bias[member])
        torch.testing.assert_close(log_det[member], torch.linalg.slogdet(matrix).logabsdet.expand(5))


# --------------------------------------------------------------------------------- what starts from training rows
@torch.no_grad()
def test_actnorm_standardises_the_rows_it_starts_from_and_is_affine_after():
    norm, rows = ActNorm(generators("norm", MEMBERS), 4).double(), 5 + 3 * normal(MEMBERS, 400, 4)
    initialise(norm, lambda: norm(rows))
    z = norm(rows)[0]
    assert z.mean(1).abs().max() < 1e-12
    torch.testing.assert_close(z.std(1), torch.ones(MEMBERS, 4, dtype=torch.float64))
    torch.testing.assert_close(norm(7 * rows)[0] - norm(6 * rows)[0], norm(rows)[0] - norm(0 * rows)[0])


def test_actnorm_refuses_to_run_before_its_initialisation():
    norm = ActNorm(generators("norm", MEMBERS), 4)
    for run in (norm.forward, norm.inverse):
        with pytest.raises(RuntimeError, match="initialised"):
            run(normal(MEMBERS, 4, 4).float())


@torch.no_grad()
def test_actnorm_leaves_the_scale_of_a_constant_column():
    norm, rows = ActNorm(generators("norm", 1), 2), normal(1, 300, 2).float()
    rows[..., 1] = 4.0
    initialise(norm, lambda: norm(rows))
    z, log_det = norm(torch.tensor([[[1.0, 4.0], [1.0, 5.0]]]))
    torch.testing.assert_close(z[0, :, 1], torch.tensor([0.0, 1.0]))
    assert torch.isfinite(log_det).all()


def test_actnorm_started_is_learned_and_stored():
    norm, rows = ActNorm(generators("norm", MEMBERS), 2), normal(MEMBERS, 150, 2).float()
    initialise(norm, lambda: norm(rows))
    again = ActNorm(generators("norm again", MEMBERS), 2)
    again.load_state_dict(norm.state_dict())
    torch.testing.assert_close(again(rows)[0], norm(rows)[0], rtol=0, atol=0)
    (norm(rows)[0] ** 2).sum().backward()
    assert all((weight.grad != 0).all() for weight in norm.parameters())


@pytest.mark.parametrize("rows", [300, 3000])
@torch.no_grad()
def test_a_regression_starts_at_the_linear_gaussian_posterior(rows):
    """x = A c + b + s noise: the expected excess over the exact density is (C + 2) / 2N nat a dimension."""
    slope, s = normal(CONTEXT, 4, seed=8), torch.tensor([1.0, 0.1, 0.01, 0.001], dtype=torch.float64)
    layer = LinearStart(generators("regression", MEMBERS), 4, CONTEXT).double()
    context, noise = normal(MEMBERS, rows, CONTEXT, seed=3), normal(MEMBERS, rows, 4)
    initialise(layer, lambda: layer(context @ slope + 7 + s * noise, context))
    context, noise = normal(MEMBERS, 5000, CONTEXT, seed=6), normal(MEMBERS, 5000, 4, seed=7)
    z, log_det = layer(context @ slope + 7 + s * noise, context)
    excess = 0.5 * (z**2 - noise**2).sum(-1) - log_det - s.log().sum()
    assert -1 / rows < excess.mean() < 4 * 4 * (CONTEXT + 2) / (2 * rows)


@torch.no_grad()
def test_a_regression_on_noise_stays_with_the_prior():
    """60 numbers that say nothing, 100 rows: least squares would leave 40 % of the variance; new rows, 2.5 times it."""
    layer = LinearStart(generators("regression", 1), 2, 60).double()
    initialise(layer, lambda: layer(normal(1, 100, 2), normal(1, 100, 60, seed=3)))
    z, _ = layer(normal(1, 1000, 2, seed=6), normal(1, 1000, 60, seed=7))
    assert 0.8 < z.std() < 1.25


@torch.no_grad()
def test_a_regression_on_constants_is_a_standardisation():
    layer, x = LinearStart(generators("regression", 1), 2, CONTEXT).double(), 5 + 2 * normal(1, 300, 2)
    initialise(layer, lambda: layer(x, torch.ones(1, 300, CONTEXT, dtype=torch.float64)))
    z, _ = layer(x, torch.ones(1, 300, CONTEXT, dtype=torch.float64))
    torch.testing.assert_close(z[0].std(0), torch.ones(2, dtype=torch.float64))
    assert z[0].mean(0).abs().max() < 1e-9
