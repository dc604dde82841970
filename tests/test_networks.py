"""Networks: M members in batched products are M networks, and a box without edges looks the same when it is shifted."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.models.stack import generators
from cosmoinfer.networks import NETWORKS
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.embedding import build_embedding
from cosmoinfer.networks.mlp import MLP, LinearNetwork
from cosmoinfer.networks.stacked import BatchNorm, Convolution, Dropout, Linear

MEMBERS = 3
every_dimension = pytest.mark.parametrize("dimensions", [1, 2, 3])


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def three() -> list[torch.Generator]:
    return generators(0, "build", MEMBERS)


def moved(network: nn.Module) -> nn.Module:
    """Every weight and every running statistic is no longer what it starts as."""
    with torch.no_grad():
        for number, value in enumerate([*network.parameters(), *network.buffers()]):
            value += 0.2 * normal(*value.shape, seed=number).abs()
    return network


def beside(maps: torch.Tensor) -> torch.Tensor:
    """(M, B, C, ...) -> (B, M*C, ...), as convolutions want the members."""
    return maps.transpose(0, 1).flatten(1, 2)


# ------------------------------------------------------------------------------------------- layer by layer as torch
@pytest.mark.parametrize("masked", [False, True])
@torch.no_grad()
def test_stacked_linear_layers_are_separate_ones(masked):
    mask = (normal(5, 4, seed=1) > 0).float() if masked else None
    layer, x = Linear(three(), 5, 4, mask), normal(MEMBERS, 7, 5)
    found = layer(x.flatten(0, 1)).reshape(MEMBERS, 7, 4)
    for member in range(MEMBERS):
        alone = nn.Linear(5, 4)
        alone.weight.copy_((layer.weight[member] * (1 if mask is None else mask)).T)
        alone.bias.copy_(layer.bias[member, 0])
        torch.testing.assert_close(found[member], alone(x[member]))


@every_dimension
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@torch.no_grad()
def test_stacked_convolutions_are_separate_ones(dimensions, periodic, stride):
    layer = Convolution(three(), 2, 4, dimensions, kernel=3, stride=stride, periodic=periodic)
    x = normal(MEMBERS, 5, 2, *[6] * dimensions)
    found = layer(beside(x)).unflatten(1, (MEMBERS, 4))
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
    for member in range(MEMBERS):
        alone = kind(2, 4, 3, stride, 1, padding_mode="circular" if periodic else "zeros")
        alone.weight.copy_(layer.weight[member])
        alone.bias.copy_(layer.bias[member])
        torch.testing.assert_close(found[:, member], alone(x[member]), rtol=1e-4, atol=1e-5)


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
        found = layer(beside(x)).unflatten(1, (MEMBERS, 4))
        for member, norm in enumerate(alone):
            torch.testing.assert_close(found[:, member], norm.train(training)(x[member]), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(layer.running_mean[member], norm.running_mean)
            torch.testing.assert_close(layer.running_var[member], norm.running_var)


def test_dropout_of_a_member_does_not_depend_on_the_others():
    x = torch.ones(MEMBERS * 40, 50)
    together = Dropout(three(), 0.3)(x).reshape(MEMBERS, 40, 50)
    for member in range(MEMBERS):
        alone = Dropout([three()[member]], 0.3)(x[:40])
        assert (together[member] == alone).all()
    assert (together[0] != together[1]).any()


def test_dropout_keeps_the_mean_and_rests_after_training():
    layer, x = Dropout(three(), 0.3), torch.ones(MEMBERS * 400, 50)
    dropped = layer(x)
    assert dropped.unique().tolist() == [0, pytest.approx(1 / 0.7)]
    assert (dropped == 0).float().mean() == pytest.approx(0.3, abs=0.01)  # 60,000 units: an error of 0.002
    assert (layer.eval()(x) == x).all()
    assert (Dropout(three(), 0.0)(x) == x).all()


def test_a_member_starts_beside_others_as_it_would_alone():
    for name, recipe in NETWORKS.items():
        shape = (2, 8, 8) if name == "cnn" else (6,)
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
    x = normal(MEMBERS * 5, *shape)
    for recipe in (LinearNetwork(), MLP(8, 3, activation), MLP(8, 1, activation, dropout=0.5)):
        assert recipe.build(shape, 4, three())(x).shape == (MEMBERS * 5, 4)


def test_a_linear_network_is_affine_and_an_mlp_is_not():
    x, y = normal(MEMBERS * 5, 6), normal(MEMBERS * 5, 6, seed=1)
    for recipe, affine in ((LinearNetwork(), True), (MLP(8, 1), False)):
        network = recipe.build((6,), 4, three())
        excess = network(x + y) - network(x) - network(y) + network(torch.zeros_like(x))
        assert (excess.abs().max() < 1e-5) == affine


def test_an_mlp_has_the_layers_it_was_asked_for():
    layers = [part for part in MLP(8, 3).build((6,), 4, three()) if isinstance(part, Linear)]
    assert [tuple(layer.weight.shape) for layer in layers] == [(3, 6, 8), (3, 8, 8), (3, 8, 8), (3, 8, 4)]


@every_dimension
@pytest.mark.parametrize("channels", [1, 3])
def test_a_cnn_takes_profiles_maps_and_grids(dimensions, channels):
    network = CNN(hidden=4, dropout=0.2).build((channels, *[8] * dimensions), 5, three())
    x = normal(MEMBERS * 2, channels, *[8] * dimensions)
    assert network(x).shape == (MEMBERS * 2, 5)
    assert network(x)[0].requires_grad


@every_dimension
@torch.no_grad()
def test_the_members_of_a_cnn_are_separate_networks(dimensions):
    shape = (2, *[8] * dimensions)
    together, x = moved(CNN(hidden=4).build(shape, 3, three())).eval(), normal(MEMBERS, 5, *shape)
    found = together(x.flatten(0, 1)).reshape(MEMBERS, 5, 3)
    for member in range(MEMBERS):
        alone = CNN(hidden=4).build(shape, 3, three()[:1]).eval()
        alone.load_state_dict({key: value[member : member + 1] for key, value in together.state_dict().items()})
        torch.testing.assert_close(found[member], alone(x[member]), rtol=1e-4, atol=1e-5)


@every_dimension
@torch.no_grad()
def test_a_periodic_cnn_does_not_care_where_the_box_begins(dimensions):
    """By two stages of pooling only shifts by four cells are exact; with zeros at the edges none is."""
    shape = (2, *[16] * dimensions)
    x = normal(MEMBERS * 2, *shape)
    for periodic in (True, False):
        network = moved(CNN(hidden=4, layers=2, periodic=periodic).build(shape, 3, three())).eval()
        here = network(x)
        for axis in range(dimensions):
            moves = (network(x.roll(4, dims=2 + axis)) - here).abs().max() / here.std()
            assert moves < 1e-4 if periodic else moves > 1e-3


@pytest.mark.parametrize(("size", "stages"), [(4, 1), (8, 1), (16, 2), (17, 2), (64, 4)])
def test_a_cnn_pools_until_the_smallest_axis_is_4(size, stages):
    network = CNN(hidden=2).build((1, size, 2 * size), 3, three())
    assert len(network.convolutions) == stages + 1
    assert [layer.weight.shape[1] for layer in network.convolutions] == [2 * min(8, 2**n) for n in range(stages + 1)]


def test_a_cnn_says_what_it_cannot_do():
    with pytest.raises(UserError, match=r"shape \(12,\).*use mlp"):
        CNN().build((12,), 3, three())
    with pytest.raises(UserError, match="--layers 4"):
        CNN(layers=4).build((1, 8, 8), 3, three())


# ------------------------------------------------------------------------------------------------ several summaries
SHAPES = [(5,), (2, 8), (1, 8, 8)]


def embedding(names, shapes=SHAPES, periodic=None):
    wraps = [False] * len(shapes) if periodic is None else periodic
    return build_embedding(names, shapes, wraps, 6, MLP(8, 1), CNN(hidden=4), three())


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
    data = [normal(MEMBERS * 4, *shape) for shape in shapes]
    assert network.size == size
    assert network(*data).shape == (MEMBERS * 4, size)


@torch.no_grad()
def test_a_summary_without_a_network_passes_as_it_is():
    data = [normal(MEMBERS * 4, *shape) for shape in SHAPES]
    found = embedding(("none", "none", "cnn"))(*data)
    assert (found[:, :5] == data[0]).all() and (found[:, 5:21] == data[1].flatten(1)).all()


@torch.no_grad()
def test_each_summary_wraps_or_does_not():
    network = moved(embedding(("cnn", "cnn"), [(1, 16), (1, 16)], [True, False])).eval()
    x = normal(MEMBERS * 4, 1, 16)
    moves = (network(x.roll(4, 2), x.roll(4, 2)) - network(x, x)).abs().amax(0)
    assert moves[:6].max() < 1e-4
    assert moves[6:].max() > 1e-3


def test_recipes_can_be_set_by_name():
    assert replace(NETWORKS["mlp"](), hidden=3).build((4,), 2, three())[1].weight.shape == (3, 4, 3)
