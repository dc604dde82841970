"""Networks: M members in batched products are M networks, and a box without edges looks the same when it is shifted."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from scipy import ndimage, special
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.networks import NETWORKS
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.cmd import CMD
from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.convolution import BatchNorm, Convolution, FrozenNorm, circular_pad
from cosmoinfer.networks.embedding import build_embedding, network_configs
from cosmoinfer.networks.layers import Dropout, Linear, fold_members, unfold_members
from cosmoinfer.networks.mlp import MLP, LinearNetwork

MEMBERS = 3
every_dimension = pytest.mark.parametrize("dimensions", [1, 2, 3])


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def three() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(member) for member in range(MEMBERS)]


def moved(network: nn.Module) -> nn.Module:
    """Every weight and every running statistic is no longer what it starts as."""
    with torch.no_grad():
        for number, value in enumerate([*network.parameters(), *network.buffers()]):
            if value.dtype == torch.bool:
                value.fill_(True)  # moments that were set
            else:
                value += 0.2 * normal(*value.shape, seed=number).abs()
    return network


# ------------------------------------------------------------------------------------------------------- activations
FORMULAS = {  # from x, and for maxout from the two pieces of a unit
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "relu": lambda x: max(0.0, x),
    "leaky-relu": lambda x: x if x > 0 else 0.1 * x,
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "maxout": lambda first, second: max(first, second),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * special.ndtr(x),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_its_formula(name):
    activation = ACTIVATIONS[name]
    x = 3 * normal(5, 4 * activation.pieces).double()
    expected = [FORMULAS[name](*unit) for unit in x.reshape(-1, activation.pieces).tolist()]
    torch.testing.assert_close(activation(x).flatten().tolist(), expected)


def test_maxout_takes_the_larger_of_two_channels_whatever_lies_beside_them():
    x = normal(5, 8, 3, 3)
    largest = ACTIVATIONS["maxout"](x, axis=1)
    assert largest.shape == (5, 4, 3, 3)
    for unit in range(4):
        assert (largest[:, unit] == x[:, 2 * unit : 2 * unit + 2].amax(1)).all()


# ------------------------------------------------------------------------------------------- layer by layer as torch
@pytest.mark.parametrize("masked", [False, True])
@torch.no_grad()
def test_stacked_linear_layers_are_separate_ones(masked):
    mask = (normal(5, 4, seed=1) > 0).float() if masked else None
    layer, x = Linear(three(), 5, 4, mask), normal(MEMBERS, 7, 5)
    outputs = layer(x)
    for member in range(MEMBERS):
        alone = nn.Linear(5, 4)
        alone.weight.copy_((layer.weight[member] * (1 if mask is None else mask)).T)
        alone.bias.copy_(layer.bias[member, 0])
        torch.testing.assert_close(outputs[member], alone(x[member]))


@pytest.mark.parametrize("masked", [False, True])
def test_a_linear_layer_adds_to_what_is_known_and_leaves_it_as_it_was(masked):
    mask = (normal(5, 4, seed=1) > 0).float() if masked else None
    layer, base, x = Linear(three(), 5, 4, mask), normal(MEMBERS, 7, 4, seed=2), normal(MEMBERS, 7, 5)
    inputs = base.clone().requires_grad_(), x.requires_grad_()
    sums, expected = layer.residual_add(*inputs), inputs[0] + layer(inputs[1])
    torch.testing.assert_close(sums, expected)
    assert inputs[0].equal(base)
    differentiated = (*inputs, layer.weight, layer.bias)
    torch.testing.assert_close(
        torch.autograd.grad(sums.square().sum(), differentiated),
        torch.autograd.grad(expected.square().sum(), differentiated),
    )


@every_dimension
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@torch.no_grad()
def test_stacked_convolutions_are_separate_ones(dimensions, periodic, stride):
    layer = Convolution(three(), 2, 4, dimensions, kernel=3, stride=stride, periodic=periodic)
    x = normal(MEMBERS, 5, 2, *[6] * dimensions)
    outputs = layer(fold_members(x)).unflatten(1, (MEMBERS, 4))
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
    for member in range(MEMBERS):
        alone = kind(2, 4, 3, stride, 1, padding_mode="circular" if periodic else "zeros")
        alone.weight.copy_(layer.weight[member])
        alone.bias.copy_(layer.bias[member])
        torch.testing.assert_close(outputs[:, member], alone(x[member]), rtol=1e-4, atol=1e-5)


FILTERS = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "edge detection": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "box blur": [[1 / 9] * 3] * 3,
    "Gaussian blur": [[1 / 16, 2 / 16, 1 / 16], [2 / 16, 4 / 16, 2 / 16], [1 / 16, 2 / 16, 1 / 16]],
}


def filtering(kernel: torch.Tensor, **settings) -> Convolution:
    """One map to one map through this kernel."""
    layer = Convolution(three()[:1], 1, 1, 2, len(kernel), **settings)
    layer.load_state_dict({"weight": kernel[None, None, None], "bias": torch.zeros(1, 1)})
    return layer


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("periodic", [False, True])
@torch.no_grad()
def test_a_convolution_is_a_filter_of_images(name, periodic):
    kernel, image = torch.tensor(FILTERS[name]).float(), normal(1, 1, 6, 7)
    outputs = filtering(kernel, periodic=periodic)(image)[0, 0]
    expected = ndimage.correlate(image[0, 0].numpy(), kernel.numpy(), mode="wrap" if periodic else "constant")
    torch.testing.assert_close(outputs, torch.from_numpy(expected))
    if name == "identity":
        assert (outputs == image[0, 0]).all()


@torch.no_grad()
def test_padding_makes_8x8_of_6x6():
    image = torch.arange(36.0).reshape(1, 1, 6, 6) + 1
    for periodic, corner in ((False, 0), (True, 36)):
        padded = filtering(torch.ones(1, 1), periodic=periodic, padding=1)(image)[0, 0]
        assert padded.shape == (8, 8)
        assert (padded[1:-1, 1:-1] == image[0, 0]).all()
        assert padded[0, 0] == corner
    assert filtering(torch.ones(3, 3))(image).shape[2:] == (6, 6)
    assert filtering(torch.ones(3, 3), padding=0)(image).shape[2:] == (4, 4)


@pytest.mark.parametrize(
    ("stride", "sums"),
    [(2, [[108, 126, 144], [288, 306, 324], [468, 486, 504]]), (3, [[108, 135], [378, 405]])],
)
@torch.no_grad()
def test_a_stride_skips_cells(stride, sums):
    image = torch.tensor([[10.0 * row + column for column in range(1, 8)] for row in range(7)])
    assert filtering(torch.ones(3, 3), stride=stride, padding=0)(image[None, None])[0, 0].tolist() == sums


@every_dimension
@torch.no_grad()
def test_a_convolution_leaves_as_many_cells_as_the_formula_says(dimensions):
    for size, kernel, stride, padding in itertools.product((5, 6, 9), (1, 2, 3, 5), (1, 2, 3), (0, 1, 2)):
        x, expected = torch.zeros(1, MEMBERS, *[size] * dimensions), (size + 2 * padding - kernel) // stride + 1
        for periodic in (False, True):
            layer = Convolution(three(), 1, 1, dimensions, kernel, stride, periodic, padding)
            assert layer(x).shape == (1, MEMBERS, *[expected] * dimensions)


@every_dimension
def test_a_periodic_box_goes_on_with_its_other_end(dimensions):
    x = normal(2, 3, *[5] * dimensions)
    assert (circular_pad(x, 2) == nn.functional.pad(x, [2] * 2 * dimensions, mode="circular")).all()


def test_members_lie_beside_each_other_and_come_apart_again():
    x = normal(MEMBERS, 5, 4)
    assert fold_members(x).shape == (5, MEMBERS * 4)
    assert (unfold_members(fold_members(x), MEMBERS) == x).all()
    assert (fold_members(x)[1, 4:8] == x[1, 1]).all()  # the second member's second row


@torch.no_grad()
def test_one_number_a_channel_has_no_variance_to_norm_by():
    layer = BatchNorm(MEMBERS, 4)
    layer.running_mean += 1
    before, x = layer.running_mean.clone(), normal(1, MEMBERS * 4, 1, 1)
    torch.testing.assert_close(layer(x), x - 1, rtol=1e-4, atol=1e-4)
    assert (layer.running_mean == before).all()


@torch.no_grad()
def test_the_first_batch_sets_the_moments_for_good():
    """Each member's own; a channel that never varies is not blown up; batches do not feel how they are composed."""
    norm, x = FrozenNorm(2, 3), 3 * normal(50, 6, 8, 8) + 1
    convolution = Convolution(three()[:2], 3, 3, 2, kernel=1)
    convolution.weight.copy_(torch.eye(3)[None, :, :, None, None].expand_as(convolution.weight))
    convolution.bias.zero_()

    def layer(x: torch.Tensor) -> torch.Tensor:
        return norm.apply_after(convolution, x)

    x[:, 4] = 7.0
    first = layer(x)
    assert first[:, [0, 1, 2, 3, 5]].mean().abs() < 1e-5
    torch.testing.assert_close(first[:, 3].std(correction=0), torch.tensor(1.0))
    assert first[:, 4].abs().max() < 1e-4
    scaled = (2 * x[:5, 0] - x[:, 0].mean()) / x[:, 0].std(correction=0)
    torch.testing.assert_close(layer(2 * x[:5])[:, 0], scaled, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer(x[:1]), first[:1])
    assert norm.ready.all()


@torch.no_grad()
def test_stacked_batch_norms_are_separate_ones():
    layer, x = moved(BatchNorm(MEMBERS, 4)), 3 * normal(MEMBERS, 5, 4, 6, 6) + 1
    alone = [nn.BatchNorm2d(4) for _ in range(MEMBERS)]
    for member, norm in enumerate(alone):
        for name, value in norm.named_parameters():
            value.copy_(getattr(layer, name)[member])
        norm.running_mean.copy_(layer.running_mean[member])
        norm.running_var.copy_(layer.running_var[member])
    for training in (True, True, False):
        layer.train(training)
        outputs = layer(fold_members(x)).unflatten(1, (MEMBERS, 4))
        for member, norm in enumerate(alone):
            torch.testing.assert_close(outputs[:, member], norm.train(training)(x[member]), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(layer.running_mean[member], norm.running_mean)
            torch.testing.assert_close(layer.running_var[member], norm.running_var)


def test_dropout_of_a_member_does_not_depend_on_the_others():
    x = torch.ones(MEMBERS, 40, 50)
    together = Dropout(three(), 0.3)(x)
    for member in range(MEMBERS):
        alone = Dropout([three()[member]], 0.3)(x[:1])
        assert (together[member] == alone[0]).all()
    assert (together[0] != together[1]).any()


def test_dropout_keeps_the_mean_and_rests_after_training():
    layer, x = Dropout(three(), 0.3), torch.ones(MEMBERS, 400, 50)
    dropped = layer(x)
    assert dropped.unique().tolist() == [0, pytest.approx(1 / 0.7)]
    assert (dropped == 0).float().mean() == pytest.approx(0.3, abs=0.01)  # 60,000 units: an error of 0.002
    assert (layer.eval()(x) == x).all()
    assert (Dropout(three(), 0.0)(x) == x).all()


def test_a_member_starts_beside_others_as_it_would_alone():
    for name, recipe in NETWORKS.items():
        shape = (2, 8, 8) if name in ("cnn", "cmd") else (6,)
        together = recipe().build(shape, 3, three()).state_dict()
        for member in range(MEMBERS):
            alone = recipe().build(shape, 3, [three()[member]]).state_dict()
            assert all((together[key][member] == value[0]).all() for key, value in alone.items()), name
        weights = [value for key, value in together.items() if key.endswith("weight") and "norm" not in key]
        assert all((value[0] != value[1]).any() for value in weights), name


# --------------------------------------------------------------------------------------------------- whole networks
@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 4, 4)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense_networks_flatten_their_data(shape, activation):
    x = normal(MEMBERS, 5, *shape)
    for recipe in (LinearNetwork(), MLP(8, 0), MLP(8, 3, activation), MLP(8, 1, activation, dropout=0.5)):
        assert recipe.build(shape, 4, three())(x).shape == (MEMBERS, 5, 4)


def test_a_linear_network_is_affine_and_an_mlp_is_not():
    x, y = normal(MEMBERS, 5, 6), normal(MEMBERS, 5, 6, seed=1)
    for recipe, affine in ((LinearNetwork(), True), (MLP(8, 0), True), (MLP(8, 1), False)):
        network = recipe.build((6,), 4, three())
        excess = network(x + y) - network(x) - network(y) + network(torch.zeros_like(x))
        assert (excess.abs().max() < 1e-5) == affine


@pytest.mark.parametrize(("activation", "wide"), [("silu", 8), ("maxout", 16)])
def test_an_mlp_has_the_layers_it_was_asked_for(activation, wide):
    layers = [module for module in MLP(8, 3, activation).build((6,), 4, three()) if isinstance(module, Linear)]
    assert [tuple(layer.weight.shape) for layer in layers] == [(3, 6, wide), (3, 8, wide), (3, 8, wide), (3, 8, 4)]


@every_dimension
@pytest.mark.parametrize("channels", [1, 3])
def test_a_cnn_takes_profiles_maps_and_grids(dimensions, channels):
    network = CNN(hidden=4, dropout=0.2).build((channels, *[8] * dimensions), 5, three())
    x = normal(MEMBERS, 2, channels, *[8] * dimensions)
    assert network(x).shape == (MEMBERS, 2, 5)
    assert network(x)[0].requires_grad


@every_dimension
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_cnn_takes_every_activation(dimensions, activation):
    network = CNN(hidden=4, blocks=1, activation=activation).build((2, *[8] * dimensions), 5, three())
    assert network(normal(MEMBERS, 2, 2, *[8] * dimensions)).shape == (MEMBERS, 2, 5)


VARIANTS = [
    CNN(hidden=4),
    CNN(hidden=4, activation="maxout", blocks=2),
    CNN(hidden=4, pooling="max", batch_norm=False, kernel=1),
    CNN(hidden=4, pooling="none", stride=2, padding="zero"),
    CNN(hidden=4, padding="none", kernel=2),
]
every_variant = pytest.mark.parametrize("recipe", VARIANTS, ids=["plain", "residual", "max", "strided", "unpadded"])


@every_dimension
@every_variant
@torch.no_grad()
def test_the_members_of_a_cnn_are_separate_networks(dimensions, recipe):
    shape = (2, *[8] * dimensions)
    together, x = moved(recipe.build(shape, 3, three())), normal(MEMBERS, 5, *shape)
    for training in (True, False):
        outputs = together.train(training)(x)
        for member in range(MEMBERS):
            alone = recipe.build(shape, 3, three()[:1]).train(training)
            alone.load_state_dict({key: value[member : member + 1] for key, value in together.state_dict().items()})
            torch.testing.assert_close(outputs[member], alone(x[member, None])[0], rtol=1e-4, atol=1e-5)


@every_dimension
@pytest.mark.parametrize("padding", ["periodic", "auto", "zero"])
@torch.no_grad()
def test_a_periodic_cnn_does_not_care_where_the_box_begins(dimensions, padding):
    """By two stages of pooling only shifts by four cells are exact; with zeros at the edges none is."""
    shape = (2, *[16] * dimensions)
    x = normal(MEMBERS, 2, *shape)
    for periodic, pooling in itertools.product((True, False), ({}, {"pooling": "none", "stride": 2}, {"blocks": 1})):
        recipe = CNN(hidden=4, layers=2, periodic=periodic, padding=padding, **pooling)
        network = moved(recipe.build(shape, 3, three())).eval()
        here = network(x)
        for axis in range(dimensions):
            moves = (network(x.roll(4, dims=3 + axis)) - here).abs().max() / here.std()
            assert moves < 1e-4 if recipe.resolved_padding == "periodic" else moves > 1e-3


@torch.no_grad()
def test_a_residual_block_whose_branch_is_zero_passes_its_input():
    network = CNN(hidden=4, blocks=1).build((1, 8, 8), 3, three()).eval()
    plain = CNN(hidden=4).build((1, 8, 8), 3, three()).eval()
    plain.load_state_dict({key: value for key, value in network.state_dict().items() if "residuals" not in key})
    x = normal(MEMBERS, 2, 1, 8, 8)
    assert not torch.allclose(network(x), plain(x))
    for stage in network.residuals:
        stage[0].second.weight.zero_()
        stage[0].second.bias.zero_()
    torch.testing.assert_close(network(x), plain(x))


@torch.no_grad()
def test_pooling_takes_the_mean_or_the_largest():
    """Of a map of ones with one ten, through kernels of one cell that pass it: 13/4 and 10 where the ten was."""
    x = torch.ones(1, 1, 1, 4, 4)
    x[..., 1, 2] = 10
    for pooling, expected in (("average", 13 / 4), ("max", 10.0)):
        recipe = CNN(1, 1, 1, pooling=pooling, batch_norm=False, activation="relu")
        network, layer_inputs = recipe.build((1, 4, 4), 1, three()[:1]).eval(), []  # moments 0 and 1: nothing is scaled
        network.convolutions[1].register_forward_pre_hook(
            lambda _, inputs, layer_inputs=layer_inputs: layer_inputs.append(inputs[0])
        )
        network.convolutions[0].weight.fill_(1.0)
        network.convolutions[0].bias.zero_()
        network(x)
        torch.testing.assert_close(layer_inputs[0][0, 0], torch.tensor([[1, expected], [1, 1]]), rtol=1e-4, atol=0)


@pytest.mark.parametrize(("size", "stages"), [(4, 1), (8, 1), (16, 2), (17, 2), (64, 4)])
def test_a_cnn_pools_until_the_smallest_axis_is_4(size, stages):
    for recipe in (CNN(hidden=2), CNN(hidden=2, pooling="none", stride=2)):
        network = recipe.build((1, size, 2 * size), 3, three())
        assert abs(len(network.convolutions) - stages - 1) <= (size == 17)  # 17 strided is 9 and 5, pooled 8 and 4
        widths = [layer.weight.shape[1] for layer in network.convolutions]
        assert widths == [2 * min(8, 2**n) for n in range(len(widths))]


def test_invalid_cnn_settings_are_refused():
    with pytest.raises(UserError, match=r"shape \(12,\).*use mlp"):
        CNN().build((12,), 3, three())
    for settings, message in (
        ({"layers": 4}, r"`layers=4`.*shape \(1, 8, 8\) have room for 3 stages"),
        ({"kernel": 9, "padding": "none"}, "`kernel=9`.*room for 0 stages"),
        ({"kernel": 9, "layers": 2}, "`kernel=9`.*room for 1 stages"),
        ({"kernel": 5, "layers": 3, "pooling": "none", "stride": 2, "blocks": 1}, "`kernel=5`.*room for 2 stages"),
        ({"pooling": "none"}, "pooling=none.*`stride=2`"),
    ):
        with pytest.raises(UserError, match=message):
            CNN(**settings).build((1, 8, 8), 3, three())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": "median"}, "pooling: 'median' is not known; there are average, max, none"),
        ({"padding": "mirror"}, "padding: 'mirror' is not known; there are auto, periodic, zero, none"),
        ({"kernel": 4}, "kernel=4: padding needs an odd kernel"),
        ({"stride": 0}, "stride: expected 1 to 101, found 0"),
        ({"blocks": 1, "padding": "none"}, "blocks: "),
    ],
)
def test_a_cnn_refuses_settings_that_do_not_go_together(settings, message):
    with pytest.raises(UserError, match=message):
        CNN(**settings)


# ----------------------------------------------------------------------------------------------- the CMD benchmark
@pytest.mark.parametrize(("hidden", "millions"), [(6, 8.5), (12, 34)])
def test_the_benchmark_has_the_published_number_of_weights(hidden, millions):
    network = CMD(hidden).build((1, 256, 256), 12, [torch.Generator().manual_seed(0)])
    assert sum(value.numel() for value in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)
    channels = [layer.weight.shape[1] for layer in network.convolutions]
    assert channels == [size * hidden for size in (2, 4, 8, 16, 32, 64) for _ in range(3)] + [128 * hidden]
    assert [isinstance(norm, BatchNorm) for norm in network.norms] == [False] + [True] * 18


@torch.no_grad()
def test_the_benchmark_wraps_its_maps_until_4x4_are_left():
    """By two stages a shift by four pixels is one by one; dropout then stands before each dense layer."""
    network, layer_inputs, dropped = moved(CMD(hidden=2).build((1, 16, 16), 4, three())).eval(), [], []
    network.convolutions[-1].register_forward_pre_hook(lambda _, inputs: layer_inputs.append(inputs[0]))
    network.dropout.register_forward_pre_hook(lambda _, inputs: dropped.append(inputs[0].shape[-1]))
    x = normal(MEMBERS, 2, 1, 16, 16)
    network(x)
    network(x.roll((4, 8), (3, 4)))
    assert layer_inputs[0].shape == (2, MEMBERS * 8, 4, 4)
    torch.testing.assert_close(layer_inputs[1], layer_inputs[0].roll((1, 2), (2, 3)), rtol=1e-4, atol=1e-4)
    assert dropped == [256, 128] * 2


@pytest.mark.parametrize("size", [8, 32, 64])
def test_the_benchmark_has_fewer_stages_for_smaller_maps(size):
    network = CMD(hidden=2).build((3, size, size), 4, three())
    assert len(network.convolutions) == 3 * round(math.log2(size / 4)) + 1
    assert network.dense.weight.shape == (MEMBERS, 256, 128)
    for rows in (1, 2):
        assert network(normal(MEMBERS, rows, 3, size, size)).shape == (MEMBERS, rows, 4)


@torch.no_grad()
def test_the_members_of_the_benchmark_are_separate_networks():
    together, x = moved(CMD(hidden=2).build((1, 16, 16), 4, three())).eval(), normal(MEMBERS, 3, 1, 16, 16)
    outputs = together(x)
    for member in range(MEMBERS):
        alone = CMD(hidden=2).build((1, 16, 16), 4, three()[:1]).eval()
        alone.load_state_dict({key: value[member : member + 1] for key, value in together.state_dict().items()})
        torch.testing.assert_close(outputs[member], alone(x[member, None])[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(12,), (1, 16, 32), (1, 48, 48), (1, 8, 8, 8)])
def test_the_benchmark_takes_square_maps_only(shape):
    with pytest.raises(UserError, match=r"cmd needs square maps of 8, 16, 32, 64, 128, 256 pixels"):
        CMD().build(shape, 3, three())


def test_only_cmd_makes_widths_positive_by_a_square():
    assert {name: recipe.positive_map for name, recipe in NETWORKS.items() if recipe.positive_map != "softplus"} == {
        "cmd": "square"
    }


# ------------------------------------------------------------------------------------------------ several summaries
SHAPES = [(5,), (2, 8), (1, 8, 8)]


def embedding(names, shapes=SHAPES, periodic=None):
    recipes = {"none": None, "mlp": MLP(8, 1), "cnn": CNN(hidden=4)}
    networks = network_configs([(name, recipes[name]) for name in names], periodic or [False] * len(shapes))
    return build_embedding(networks, shapes, 6, three())


@pytest.mark.parametrize(
    ("names", "shapes", "size"),
    [
        (("none", "cnn", "cnn"), SHAPES, 5 + 6 + 6),
        (("none", "none", "none"), SHAPES, 5 + 16 + 64),
        (("mlp", "mlp", "none"), SHAPES, 6 + 6 + 64),
        (("cnn", "mlp"), SHAPES[1:], 12),
    ],
)
def test_an_embedding_sets_summaries_side_by_side(names, shapes, size):
    network = embedding(names, shapes)
    data = [normal(MEMBERS, 4, *shape) for shape in shapes]
    assert network.size == size
    assert network(*data).shape == (MEMBERS, 4, size)


@torch.no_grad()
def test_a_summary_without_a_network_passes_as_it_is():
    data = [normal(MEMBERS, 4, *shape) for shape in SHAPES]
    outputs = embedding(("none", "none", "cnn"))(*data)
    assert (outputs[..., :5] == data[0]).all() and (outputs[..., 5:21] == data[1].flatten(2)).all()


@torch.no_grad()
def test_each_summary_wraps_or_does_not():
    network = moved(embedding(("cnn", "cnn"), [(1, 16), (1, 16)], [True, False])).eval()
    x = normal(MEMBERS, 4, 1, 16)
    moves = (network(x.roll(4, 3), x.roll(4, 3)) - network(x, x)).abs().amax((0, 1))
    assert moves[:6].max() < 1e-4
    assert moves[6:].max() > 1e-3


def test_recipes_can_be_set_by_name():
    assert replace(NETWORKS["mlp"](), hidden=3).build((4,), 2, three())[1].weight.shape == (3, 4, 3)
