"""Flows of maps: every name in the table, weights perturbed at random, so that nothing is the identity."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from nflows.transforms import SqueezeTransform, Transform
from scipy import stats

from cosmoinfer.errors import UserError
from cosmoinfer.flows.linear import initialise
from cosmoinfer.flows.map_coupling import CouplingNetwork, MapCoupling
from cosmoinfer.flows.multiscale import MAP_FLOWS
from cosmoinfer.flows.spectrum import Spectrum, hats
from cosmoinfer.flows.squeeze import Squeeze
from cosmoinfer.networks.layers import fold_members, unfold_members

every_flow = pytest.mark.parametrize("name", MAP_FLOWS)
every_ensemble = pytest.mark.parametrize("members", [1, 2])
every_context = pytest.mark.parametrize("context", [0, 3])
every_depth = pytest.mark.parametrize("channels", [1, 2])
every_box = pytest.mark.parametrize("periodic", [True, False])

ROWS = 6


def generators(members: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(member) for member in range(members)]


def normal(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def built(
    name: str, shape: tuple[int, int, int], members: int = 1, context: int = 0, strength: float = 0.2, **settings
) -> Transform:
    """A small flow in float64, started from noise and then every weight moved by ``strength`` normal deviates."""
    periodic = settings.pop("periodic", True)
    recipe = replace(MAP_FLOWS[name](), layers=2, hidden=8, **settings)
    flow = recipe.build(shape, periodic, context, generators(members)).double()
    initialise(flow, lambda: flow.forward(normal(members, 20, *shape), contexts(20, context, members)))
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in flow.parameters():
            weight += strength * torch.randn(weight.shape, generator=random, dtype=weight.dtype)
    return flow


def contexts(rows: int, context: int, members: int = 1) -> torch.Tensor | None:
    return normal(members, rows, context, seed=3) if context else None


def log_prob(flow: Transform, maps: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
    noise, log_det = flow.forward(maps, context)
    return log_det - 0.5 * (noise**2 + np.log(2 * np.pi)).flatten(2).sum(-1)


# ------------------------------------------------------------------------------------------------------ whole flows
@every_flow
@every_ensemble
@every_context
@every_depth
@pytest.mark.parametrize("size", [4, 8])
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
@torch.no_grad()
def test_back_from_noise_come_the_maps(name, members, context, channels, size, dtype, within):
    shape = (channels, size, size)
    flow = built(name, shape, members, context, strength=0.1, levels=2).to(dtype)
    maps, context_rows = normal(members, ROWS, *shape).to(dtype), contexts(ROWS, context, members)
    context_rows = context_rows if context_rows is None else context_rows.to(dtype)
    noise, log_det = flow.forward(maps, context_rows)
    back, log_det_back = flow.inverse(noise, context_rows)
    assert noise.shape == (members, ROWS, maps[0, 0].numel()) and back.shape == maps.shape
    assert log_det.abs().min() > 0.01
    assert (back - maps).abs().max() < within
    assert (log_det + log_det_back).abs().max() < 10 * within


@every_flow
@every_ensemble
@every_context
@every_depth
@every_box
def test_the_log_determinant_is_that_of_the_jacobian(name, members, context, channels, periodic):
    shape = (channels, 4, 4)
    flow = built(name, shape, members, context, levels=2, periodic=periodic)
    maps, context_rows = normal(members, 2, *shape).requires_grad_(), contexts(2, context, members)
    noise, log_det = flow.forward(maps, context_rows)
    rows = [torch.autograd.grad(noise[..., n].sum(), maps, retain_graph=True)[0] for n in range(noise.shape[-1])]
    jacobian = torch.stack([row.flatten(2) for row in rows], dim=2)
    assert log_det.shape == (members, 2)
    torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobian).logabsdet, rtol=1e-9, atol=1e-9)


@every_flow
@every_ensemble
@every_depth
@every_box
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_the_condition_reaches_every_pixel(name, members, channels, periodic, direction):
    """By the couplings alone where the box is not periodic; and no row's condition reaches another row."""
    shape = (channels, 8, 8)
    flow = built(name, shape, members, context=3, levels=2, periodic=periodic)
    inputs = normal(members, ROWS, *shape)
    context_rows = contexts(ROWS, 3, members)
    with torch.no_grad():
        if direction == "inverse":
            inputs = inputs.flatten(2)
        run = getattr(flow, direction)
        plain = run(inputs, context_rows)[0].flatten(2).flatten(0, 1)
        for column in range(3):
            changed = context_rows.clone()
            changed[0, 0, column] += 0.1
            moved = (run(inputs, changed)[0].flatten(2).flatten(0, 1) - plain).abs()
            assert (moved[0] > 1e-9).all()
            assert (moved[1:] == 0).all()


@every_flow
@every_context
@pytest.mark.parametrize("levels", [1, 2])
@torch.no_grad()
def test_a_periodic_map_is_as_likely_wherever_its_blocks_start(name, context, levels):
    maps, context_rows, block = normal(1, ROWS, 1, 8, 8), contexts(ROWS, context), 2**levels
    flow = built(name, (1, 8, 8), 1, context, strength=0.1, levels=levels)
    here = log_prob(flow, maps, context_rows)
    for shifts in ((block, 0), (0, block), (-block, 8 - block)):
        torch.testing.assert_close(log_prob(flow, maps.roll(shifts, (3, 4)), context_rows), here, rtol=1e-10, atol=0)
    assert (log_prob(flow, maps.roll(1, 3), context_rows) - here).abs().min() > 1e-3  # within a block it may differ
    bounded = built(name, (1, 8, 8), 1, context, strength=0.1, levels=levels, periodic=False)
    assert (
        log_prob(bounded, maps.roll(block, 3), context_rows) - log_prob(bounded, maps, context_rows)
    ).abs().min() > 1e-3


@every_flow
@every_context
@torch.no_grad()
def test_the_density_integrates_to_one(name, context):
    """Of maps of 2x2 pixels, by importance sampling from a Student t of the flow's own moments, wider in its tails."""
    flow, count = built(name, (1, 2, 2), 1, context, strength=0.1, levels=1), 30_000
    context_rows = contexts(1, context).expand(1, count, -1) if context else None
    drawn = flow.inverse(normal(1, count, 4), context_rows)[0][0].flatten(1)
    wider = stats.multivariate_t(drawn.mean(0), 1.5 * torch.cov(drawn.T), df=5, seed=4)
    maps = wider.rvs(count)
    ratio = np.exp(
        log_prob(flow, torch.from_numpy(maps).reshape(1, count, 1, 2, 2), context_rows)[0].numpy() - wider.logpdf(maps)
    )
    assert ratio.mean() == pytest.approx(1, abs=5 * ratio.std() / np.sqrt(count))
    assert ratio.std() / np.sqrt(count) < 0.01  # so that the line above asks something


@every_flow
@every_context
def test_a_member_learns_nothing_from_another(name, context):
    flow = built(name, (2, 4, 4), 3, context)
    log_prob(flow, normal(3, ROWS, 2, 4, 4), contexts(ROWS, context, 3))[1].mean().backward()
    gradients = [weight.grad for weight in flow.parameters()]
    assert all((gradient[[0, 2]] == 0).all() for gradient in gradients)
    assert all(gradient[1].abs().max() > 1e-9 for gradient in gradients)


@every_flow
@every_context
@torch.no_grad()
def test_a_member_beside_others_is_as_it_would_be_alone(name, context):
    """Its weights are the slices of theirs, and its rows come out the same."""
    flow = built(name, (2, 4, 4), 3, context)
    alone = replace(MAP_FLOWS[name](), layers=2, hidden=8).build((2, 4, 4), True, context, generators(1)).double()
    alone.load_state_dict({key: value[2:3] for key, value in flow.state_dict().items()}, strict=True)
    maps, context_rows = normal(3, ROWS, 2, 4, 4), contexts(ROWS, context, 3)
    expected = log_prob(flow, maps, context_rows)[2:]
    density = log_prob(alone, maps[2:], None if context_rows is None else context_rows[2:])
    torch.testing.assert_close(density, expected, rtol=0, atol=1e-10)


@every_flow
@every_context
def test_a_new_flow_is_linear_in_the_map_whatever_the_context(name, context):
    """A fresh coupling is the identity; only ActNorm and the squeeze are at work."""
    flow = MAP_FLOWS[name]().build((1, 8, 8), True, context, generators(1)).double()
    maps = normal(1, 300, 1, 8, 8)
    initialise(flow, lambda: flow.forward(maps, contexts(300, context)))
    with torch.no_grad():
        first, second = (flow.forward(maps, None if not context else normal(1, 300, 3, seed=s)) for s in (3, 4))
        middle, _ = flow.forward((maps + maps.roll(1, 1)) / 2, contexts(300, context))
    torch.testing.assert_close(first[0], second[0])
    torch.testing.assert_close(middle, (first[0] + first[0].roll(1, 1)) / 2)
    assert first[0].mean().abs() < 0.05 and first[0].std().item() == pytest.approx(1, abs=0.01)


@every_flow
@pytest.mark.parametrize("shape", [(1, 7, 7), (1, 8, 9), (2, 1, 8)])
def test_maps_with_an_odd_number_of_pixels_are_refused(name, shape):
    with pytest.raises(UserError, match=f"divisible by 2; found {shape[1]}x{shape[2]}"):
        MAP_FLOWS[name]().build(shape, True, 0, generators(1))


@every_flow
@pytest.mark.parametrize("setting", [{"levels": -1}, {"layers": 1}, {"hidden": 0}, {"kernel": 2}])
def test_impossible_settings_are_an_error(name, setting):
    with pytest.raises(UserError, match=f"{next(iter(setting))}: "):
        MAP_FLOWS[name](**setting)


@every_flow
def test_a_kernel_wider_than_the_coarsest_maps_is_an_error(name):
    with pytest.raises(UserError, match="kernel=7: too wide for the 2 pixels"):
        MAP_FLOWS[name](kernel=7).build((1, 4, 4), True, 0, generators(1))


@every_flow
def test_too_many_levels_are_an_error(name):
    with pytest.raises(UserError, match="divisible by 8; found 12x8"):
        replace(MAP_FLOWS[name](), levels=3).build((1, 12, 8), True, 0, generators(1))


@every_flow
@pytest.mark.parametrize(
    ("sides", "levels"), [((32, 32), 3), ((8, 8), 1), ((2, 2), 1), ((64, 32), 3), ((12, 12), 1), ((24, 40), 2)]
)
def test_as_many_levels_as_leave_four_pixels(name, sides, levels):
    flow = replace(MAP_FLOWS[name](), layers=2, hidden=2).build((1, *sides), False, 0, generators(1))
    assert len(flow.levels) == levels


@every_flow
def test_a_non_gaussian_field_is_learned(name):
    """exp of white noise: a Gaussian of its moments is 0.77 nat a pixel short of its entropy, a learned flow less."""
    maps, entropy = normal(1, 2000, 1, 4, 4).exp().float(), 0.5 * np.log(2 * np.pi * np.e)
    flow = replace(MAP_FLOWS[name](), layers=4, hidden=8).build((1, 4, 4), True, 0, generators(1))
    initialise(flow, lambda: flow.forward(maps))
    assert -log_prob(flow, maps).mean().item() / 16 - entropy == pytest.approx(0.77, abs=0.1)
    optimizer = torch.optim.Adam(flow.parameters(), 1e-2)
    for step in range(40):
        optimizer.zero_grad()
        (-log_prob(flow, maps[:, step * 50 :][:, :50]).mean() / 16).backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
        optimizer.step()
    assert 0 < -log_prob(flow, maps).mean().item() / 16 - entropy < 0.5


# ------------------------------------------------------------------------------------------------------- the layers
@every_ensemble
@every_context
@every_depth
@torch.no_grad()
def test_a_spectrum_multiplies_every_mode_by_its_own_number(members, context, channels):
    """Whatever the map: an isotropic gain, whose logarithms sum to the log-determinant."""
    layer = Spectrum(generators(members), (channels, 4, 8), context).double()
    random = torch.Generator().manual_seed(1)
    for weight in layer.parameters():
        weight += 0.3 * torch.randn(weight.shape, generator=random, dtype=weight.dtype)
    maps, context_rows = normal(members, ROWS, channels, 4, 8), contexts(ROWS, context, members)
    outputs, log_det = layer.forward(maps, context_rows)
    gains = torch.fft.fft2(outputs) / torch.fft.fft2(maps)
    torch.testing.assert_close(gains.imag, torch.zeros_like(gains.imag), rtol=0, atol=1e-10)
    torch.testing.assert_close(gains.real.log().flatten(2).sum(-1), log_det, rtol=0, atol=1e-10)
    torch.testing.assert_close(gains[..., 0, 2], gains[..., 1, 0])  # 2/8 and 1/4 of a pixel's frequency: the same |k|
    assert (gains.real[..., 0, 1] - gains.real[..., 0, 2]).abs().min() > 1e-4
    torch.testing.assert_close(layer.inverse(outputs, context_rows)[0], maps)


@pytest.mark.parametrize("sides", [(2, 2), (4, 4), (8, 4), (32, 32)])
def test_knots_share_every_mode(sides):
    """Their shares sum to one, so that equal values are one gain of all scales; k = 0 is a knot of its own."""
    shares = hats(sides)
    torch.testing.assert_close(shares.sum(0), torch.ones(sides))
    assert (shares[-1] == (torch.arange(sides[0] * sides[1]) == 0).reshape(sides)).all()
    assert (shares >= 0).all()


def test_a_spectrum_learns_the_power_of_a_field_at_each_theta():
    """Maps of white noise smoothed the more, the larger theta: alone it comes within 0.01 nat a pixel of the truth."""
    theta = normal(2000, 1, seed=6)
    k2 = sum(torch.meshgrid(*[(2 * np.pi * torch.fft.fftfreq(8).double()) ** 2] * 2, indexing="ij"))
    log_gain = -0.1 * (1 + 0.3 * torch.tanh(theta))[:, :, None, None] * k2
    maps = torch.fft.ifft2(torch.fft.fft2(normal(2000, 1, 8, 8)) * log_gain.exp()).real
    layer = Spectrum(generators(1), (1, 8, 8), 1).double()
    optimizer = torch.optim.Adam(layer.parameters(), 0.03)
    for step in range(200):
        batch = slice(step * 100 % 2000, step * 100 % 2000 + 100)
        optimizer.zero_grad()
        (-log_prob(layer, maps[None, batch], theta[None, batch]).mean()).backward()
        optimizer.step()
    noise = torch.fft.ifft2(torch.fft.fft2(maps) * (-log_gain).exp()).real
    truth = -0.5 * (noise**2 + np.log(2 * np.pi)).flatten(1).sum(1) - log_gain.flatten(1).sum(1)
    assert abs((truth - log_prob(layer, maps[None], theta[None])[0]).mean().item()) / 64 < 0.01


@torch.no_grad()
def test_squeezing_keeps_all_that_nflows_keeps_in_an_order_of_its_own():
    maps = normal(3, 2, 6, 4)
    squeezed, expected = Squeeze().forward(maps[None])[0][0], SqueezeTransform().forward(maps)[0]
    pixels = expected.unflatten(1, (2, 4))[:, :, [0, 3, 1, 2]]  # diagonal, then the other
    torch.testing.assert_close(squeezed, pixels.transpose(1, 2).flatten(1, 2))


@torch.no_grad()
def test_halves_of_squeezed_channels_are_the_colours_of_a_checkerboard():
    board = (torch.arange(6)[:, None] + torch.arange(6)) % 2
    squeezed = Squeeze().forward(board.double().expand(1, 1, 3, 6, 6))[0]
    assert (squeezed[:, :, :6] == 0).all() and (squeezed[:, :, 6:] == 1).all()


def test_one_coupling_leaves_half_as_it_is():
    """Which half, and that the other half is mapped, each of the four ways."""
    maps, moved_channels = normal(1, 2, 8, 4, 4), set()
    for axis in (1, 2):
        for first in (True, False):
            network = CouplingNetwork(generators(1), 4, 0, 8, 3, "silu", True).double()
            with torch.no_grad():
                network.last.weight += 0.1
            outputs, _ = MapCoupling(network, axis, first).forward(maps)
            moved = tuple((outputs != maps).flatten(3).any(3)[0, 0].tolist())
            assert sum(moved) == 4
            moved_channels.add(moved)
    assert len(moved_channels) == 4


def test_one_member_is_not_copied():
    """Only views stand between a map and its convolution."""
    maps = normal(1, 5, 3, 4, 4)
    assert fold_members(maps).data_ptr() == maps.data_ptr() == unfold_members(maps[0], 1).data_ptr()
    stack = normal(2, 3, 3, 4, 4)
    torch.testing.assert_close(unfold_members(fold_members(stack), 2), stack)
    torch.testing.assert_close(fold_members(stack)[1], torch.cat([stack[0, 1], stack[1, 1]]))
