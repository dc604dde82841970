"""The training loop: members side by side end as if each had trained alone, each with its best weights."""

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS, initialise
from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.layers import expand_members
from cosmoinfer.networks.mlp import MLP, LinearNetwork
from cosmoinfer.training.loop import Hooks, Loss
from cosmoinfer.training.settings import (
    OPTIMIZERS,
    SCHEDULES,
    WARMUP,
    TrainingSettings,
    learning_rate_factor,
)
from cosmoinfer.training.state import History
from cosmoinfer.training.streams import MemberStreams, generators
from tests.examples import train, validation_loss

SQUARED = Loss(lambda network, batch: (network(batch[1]) - batch[0]) ** 2, lambda terms: terms.mean((1, 2)))
SHAPE, OUTPUTS = (4,), 2


def silent(*_: float) -> None:
    """Nobody listens."""


def rows(count: int, seed: int, shape: tuple[int, ...] = SHAPE) -> tuple[torch.Tensor, ...]:
    """theta (N, 2), half told by x (N, *shape), half noise; in float64, where rounding stays small."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(count, *shape, generator=random, dtype=torch.float64)
    theta = x.flatten(1)[:, :OUTPUTS].sin() + 0.3 * torch.randn(count, OUTPUTS, generator=random)
    return theta, x


class Density(nn.Module):
    """A flow and its likelihood, without an embedding."""

    def __init__(self, transform: nn.Module) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        z, log_det = self.transform(theta, x)
        return (0.5 * (z**2).sum(-1) - log_det)[..., None]


def streams_of(purpose: str, members: slice) -> MemberStreams:
    """Of five possible members those in the slice."""
    numbers = range(5)[members]
    return MemberStreams(0, purpose, numbers, [torch.Generator() for _ in numbers])


def linear(members: int) -> nn.Module:
    return LinearNetwork().build(SHAPE, OUTPUTS, generators(0, "build", members)).double()


LIKELIHOOD = Loss(lambda network, batch: network(*batch), lambda terms: terms.mean((1, 2)))


def problem(name: str, streams: list[torch.Generator]):
    """Network, loss, training and validation rows; something with dropout of every kind that we have."""
    if name in FLOWS:
        flow = FLOWS[name](layers=2, hidden=8, dropout=0.2).build(OUTPUTS, SHAPE[0], streams)
        network, training = Density(flow).double(), rows(90, 1)
        initialise(network, lambda: network(*(expand_members(tensor, len(streams)) for tensor in training)))
        return network, LIKELIHOOD, training, rows(40, 2)
    shape = (1, 8, 8) if name == "cnn" else SHAPE
    recipe = CNN(hidden=2, dropout=0.2) if name == "cnn" else MLP(16, 2, dropout=0.2)
    return recipe.build(shape, OUTPUTS, streams).double(), SQUARED, rows(90, 1, shape), rows(40, 2, shape)


def trained(name: str, members: slice, settings: TrainingSettings):
    """Of five possible members those in the slice, trained side by side."""
    network, loss, training, validation = problem(name, generators(0, "initialise", 5)[members])
    history = train(network, loss, training, validation, settings, streams_of("order", members), silent)
    return network, history, validation_loss(network, loss, validation, len(history.best))


# ---------------------------------------------------------------------------------------------------------- members
@pytest.mark.parametrize("name", [*FLOWS, "mlp", "cnn"])
def test_members_side_by_side_end_as_if_each_had_trained_alone(name):
    settings = TrainingSettings(epochs=6, batch_size=20, learning_rate=5e-3, patience=6, clip_norm=1.0)
    together, history, _ = trained(name, slice(1, 4), settings)
    weights = together.state_dict()
    for number in range(3):
        alone, of_one, _ = trained(name, slice(1 + number, 2 + number), settings)
        for key, value in alone.state_dict().items():
            torch.testing.assert_close(weights[key][number], value[0], rtol=1e-6, atol=1e-8, msg=f"{key} {number}")
        np.testing.assert_allclose(history.train[:, number], of_one.train[:, 0], rtol=1e-7)
        np.testing.assert_allclose(history.validation[:, number], of_one.validation[:, 0], rtol=1e-7)
        assert history.best[number] == of_one.best[0]
    assert np.ptp(history.train[-1]) > 1e-4  # and they are no copies


def shaken(batch: tuple[torch.Tensor, ...], streams: Sequence[torch.Generator]) -> tuple[torch.Tensor, ...]:
    """The data of each member with noise of its own."""
    noise = torch.stack([torch.randn(batch[1].shape[1], *SHAPE, generator=stream) for stream in streams])
    return batch[0], batch[1] + 0.2 * noise


def test_members_side_by_side_have_plateaus_and_noise_of_their_own(monkeypatch):
    """High rates overfit at once, so that plateaus come early and at different epochs."""
    monkeypatch.setattr("cosmoinfer.training.state.PLATEAU_EPOCHS", 2)
    settings = TrainingSettings(epochs=12, batch_size=20, learning_rate=0.05, schedule="plateau")
    kept: list[torch.Tensor] = []

    def run(members: slice) -> tuple[nn.Module, History]:
        kept.clear()
        network = LinearNetwork().build(SHAPE, OUTPUTS, generators(0, "initialise", 5)[members]).double()
        weight = next(network.parameters())
        shakes = streams_of("shake", members)
        hooks = Hooks(augment=lambda batch: shaken(batch, shakes.generators), streams=[shakes])
        order = streams_of("order", members)
        data = rows(90, 1), rows(40, 2)
        return network, train(
            network, SQUARED, *data, settings, order, lambda *_: kept.append(weight.detach().clone()), hooks=hooks
        )

    network, history = run(slice(1, 4))
    paths, weights = torch.stack(kept), network.state_dict()
    rates = []
    for number in range(3):
        alone, of_one = run(slice(1 + number, 2 + number))
        torch.testing.assert_close(paths[:, number], torch.stack(kept)[:, 0], rtol=1e-9, atol=1e-12)
        for key, value in alone.state_dict().items():
            torch.testing.assert_close(weights[key][number], value[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(history.validation[:, number], of_one.validation[:, 0], rtol=1e-9)
        rates.append(of_one.learning_rate)
    np.testing.assert_allclose(history.learning_rate, np.mean(rates, axis=0))
    assert len({tuple(schedule) for schedule in rates}) > 1 and min(map(min, rates)) < 0.02  # or the question was none


def test_a_member_stops_by_itself_and_keeps_what_it_had():
    """With a high rate they overfit at once; the one that stops first does not move while the others go on."""
    settings = TrainingSettings(epochs=40, batch_size=10, learning_rate=0.05, patience=2, schedule="constant")
    _, history, _ = trained("mlp", slice(0, 4), settings)
    alone = [trained("mlp", slice(n, n + 1), settings)[1] for n in range(4)]
    assert history.best.tolist() == [int(member_history.best[0]) for member_history in alone]
    assert len(history.train) == max(len(member_history.train) for member_history in alone)
    assert len({len(member_history.train) for member_history in alone}) > 1  # or the question was none
    for member_history in alone:
        assert len(member_history.train) == member_history.best[0] + settings.patience + 1
        assert len(member_history.train) < settings.epochs


def test_a_member_that_has_stopped_does_not_come_back():
    """Validation losses by script: the first member stops after two epochs without gain, and 0 comes too late."""
    script = iter(torch.tensor([[3, 9], [2, 8], [2.5, 7], [2.2, 6], [0, 5], [0, 5.5], [0, 5.6]], dtype=torch.float64))
    network, kept = linear(2), []
    weight = next(network.parameters())  # (M, inputs, outputs)

    def terms(network: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
        if network.training:
            return SQUARED.terms(network, batch)
        return next(script)[:, None, None].expand(2, batch[0].shape[1], 1)

    def keep(*_: float) -> None:
        kept.append(weight.detach().clone())

    settings = TrainingSettings(epochs=20, batch_size=10, learning_rate=0.01, patience=2)
    loss = Loss(terms, SQUARED.reduce)
    history = train(network, loss, rows(30, 1), rows(10, 2), settings, MemberStreams.of_members(0, "order", 2), keep)
    assert history.best.tolist() == [1, 4]
    assert history.best_validation.tolist() == [2, 5]
    assert len(history.train) == 7  # two epochs after the second member's best
    assert (weight == torch.stack([kept[1][0], kept[4][1]])).all()


@pytest.mark.parametrize("name", ["mlp", "cnn", "nsf"])
def test_the_best_weights_are_kept(name):
    settings = TrainingSettings(epochs=12, batch_size=10, learning_rate=0.1, patience=12, schedule="constant")
    network, history, validation = trained(name, slice(0, 3), settings)
    np.testing.assert_allclose(validation, history.best_validation, rtol=1e-5)
    np.testing.assert_array_equal(history.best_validation, history.validation.min(axis=0))
    assert (history.best < len(history.train) - 1).any()  # the last are not the best
    assert not network.training


def test_a_loss_that_is_not_finite_ends_the_training():
    theta, x = rows(50, 1)
    network = linear(2)
    bad = theta.clone()
    bad[7, 1] = torch.nan
    order = MemberStreams.of_members(0, "order", 2)
    for partitions in (((bad, x), (theta, x)), ((theta, x), (bad, x))):
        with pytest.raises(UserError, match=r"not finite in epoch 1.*`learning_rate` \(now 0.001\)"):
            train(network, SQUARED, *partitions, TrainingSettings(epochs=3), order, silent)


# ---------------------------------------------------------------------------------------------------------- descent
def least_squares() -> tuple[tuple[torch.Tensor, ...], float]:
    """60 rows, and the least mean squared error that an affine map can reach on them."""
    theta, x = rows(60, 1)
    design = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    solution = torch.linalg.lstsq(design, theta).solution
    return (theta, x), float((theta - design @ solution).square().mean())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("batch", "epochs", "rate"), [(1, 6, 0.01), (7, 20, 0.03), (60, 120, 0.05)])
def test_a_convex_loss_falls_to_its_minimum(optimizer, name, batch, epochs, rate):
    """From one row to the whole set; with one row and a constant rate the noise of the steps stays."""
    data, minimum = least_squares()
    settings = TrainingSettings(epochs, batch, rate, optimizer, name, weight_decay=0)
    network = linear(1)
    before = float(validation_loss(network, SQUARED, data, 1)) - minimum
    history = train(network, SQUARED, data, data, settings, MemberStreams.of_members(0, "order", 1), silent)
    excess = history.best_validation[0] - minimum
    assert -1e-12 < excess < (0.1 if batch == 1 else 0.02) * before
    assert history.validation[-1, 0] - minimum < 0.2 * before


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_step_is_that_of_torch(optimizer):
    """One batch, no clipping: the weights are where torch's own optimiser puts them."""
    theta, x = rows(30, 1)
    settings = TrainingSettings(
        epochs=1,
        batch_size=30,
        learning_rate=0.01,
        optimizer=optimizer,
        schedule="constant",
        weight_decay=0.1,
        clip_norm=1e9,
    )
    ours, plain = (linear(1) for _ in range(2))
    train(ours, SQUARED, (theta, x), (theta, x), settings, MemberStreams.of_members(0, "order", 1), silent)
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    options = {"momentum": 0.9} if optimizer == "sgd" else {}
    step = kinds[optimizer](plain.parameters(), 0.01, weight_decay=0.1, **options)
    ((plain(x[None])[0] - theta) ** 2).mean().backward()
    step.step()
    for actual, expected in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_plateau_lowers_the_rate_as_torch_lowers_it(optimizer, monkeypatch):
    """Whole-set steps; torch's own optimiser and ReduceLROnPlateau arrive at the same weights."""
    monkeypatch.setattr("cosmoinfer.training.state.PLATEAU_EPOCHS", 3)
    monkeypatch.setattr("cosmoinfer.training.settings.WARMUP", 1)
    (theta, x), (theta_validation, x_validation) = rows(30, 1), rows(20, 2)
    options = {"weight_decay": 0.01} | ({"momentum": 0.9} if optimizer == "sgd" else {})
    settings = TrainingSettings(40, 30, 0.2, optimizer, "plateau", weight_decay=0.01, clip_norm=1e9)
    ours, plain, kept = linear(1), linear(1), []
    history = train(
        ours,
        SQUARED,
        (theta, x),
        (theta_validation, x_validation),
        settings,
        MemberStreams.of_members(0, "order", 1),
        lambda *_: kept.append([value.detach().clone() for value in ours.parameters()]),
    )
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    step = kinds[optimizer](plain.parameters(), 0.2, **options)
    listener = torch.optim.lr_scheduler.ReduceLROnPlateau(step, factor=0.3, patience=2, threshold=0, eps=0)
    for rate, reached in zip(history.learning_rate, kept, strict=True):
        assert rate == pytest.approx(step.param_groups[0]["lr"])
        step.zero_grad()
        ((plain(x[None])[0] - theta) ** 2).mean().backward()
        step.step()
        for actual, expected in zip(reached, plain.parameters(), strict=True):
            torch.testing.assert_close(actual, expected)
        with torch.no_grad():
            listener.step(((plain(x_validation[None])[0] - theta_validation) ** 2).mean())
    assert history.learning_rate[-1] < 0.1 * history.learning_rate[0]


def test_each_member_is_clipped_by_its_own_norm():
    """Member 0 climbs a cliff, member 1 a slope: plain gradient descent, one step."""
    theta, x = rows(30, 1)
    steep = Loss(
        lambda network, batch: SQUARED.terms(network, batch) * torch.tensor([1000.0, 0.01])[:, None, None],
        SQUARED.reduce,
    )

    def step(clip: float) -> torch.Tensor:
        network = linear(2)
        before = [value.detach().clone() for value in network.parameters()]
        settings = TrainingSettings(1, 30, 1.0, "sgd", "constant", weight_decay=0, momentum=0, clip_norm=clip)
        train(network, steep, (theta, x), (theta, x), settings, MemberStreams.of_members(0, "order", 2), silent)
        moves = [(after - value).flatten(1) for after, value in zip(network.parameters(), before, strict=True)]
        return torch.cat(moves, dim=1).detach()  # (M, weights)

    clipped, free = step(0.5), step(1e9)
    assert free[0].norm() > 100 and free[1].norm() < 0.5
    torch.testing.assert_close(clipped[0], free[0] * 0.5 / free[0].norm())
    torch.testing.assert_close(clipped[1], free[1])


def test_a_loader_yields_every_row_once_an_epoch_in_random_order():
    batches = []

    def watch(network: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
        if network.training:
            batches.append(batch[0][..., 0])
        return network(batch[0])

    theta = torch.arange(20.0)[:, None]
    network = LinearNetwork().build((1,), 1, generators(0, "build", 2))
    train(
        network,
        Loss(watch, SQUARED.reduce),
        (theta,),
        (theta,),
        TrainingSettings(3, 5),
        MemberStreams.of_members(0, "order", 2),
        silent,
    )
    epochs = torch.stack(batches).reshape(3, 4, 2, 5).transpose(1, 2).reshape(3, 2, 20)
    assert (epochs.sort(dim=-1).values == theta[:, 0]).all()
    assert (epochs[0] != epochs[1]).any() and (epochs[0, 0] != epochs[0, 1]).any()


def test_a_batch_is_at_most_all_rows():
    _, history, _ = trained("mlp", slice(0, 1), TrainingSettings(epochs=2, batch_size=10_000))
    assert history.train.shape == (2, 1)


def test_the_listener_hears_of_every_epoch():
    heard = []
    network, loss, training, validation = problem("mlp", generators(0, "initialise", 2))
    history = train(
        network,
        loss,
        training,
        validation,
        TrainingSettings(epochs=3),
        MemberStreams.of_members(0, "o", 2),
        lambda *news: heard.append(news),
    )
    assert [news[:2] for news in heard] == [(1, 3), (2, 3), (3, 3)]
    np.testing.assert_allclose([news[2] for news in heard], history.train.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose([news[3] for news in heard], history.validation.mean(axis=1), rtol=1e-6)


def test_the_same_rows_go_to_every_member():
    values = torch.arange(6.0).reshape(3, 2)
    assert (expand_members(values, 2) == torch.stack([values, values])).all()


# ------------------------------------------------------------------------------------------------------------ hooks
@pytest.mark.parametrize("validation_loss", ["score", "loss"])
def test_a_warm_up_minimises_its_own_loss_in_its_own_epochs_and_the_judge_stays(validation_loss):
    calls: list[tuple[str, bool]] = []

    def named(name: str) -> Loss:
        def terms(network: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
            calls.append((name, network.training))
            return SQUARED.terms(network, batch)

        return Loss(terms, SQUARED.reduce)

    score, hooks = named("score") if validation_loss == "score" else None, Hooks(warm_loss=named("warm"))
    settings, order = TrainingSettings(epochs=5, batch_size=30, warm_up=2), MemberStreams.of_members(0, "order", 1)
    train(linear(1), named("loss"), rows(30, 1), rows(9, 2), settings, order, silent, score, hooks)
    judged = [(validation_loss, False)]
    assert calls == [*([("warm", True), *judged] * 2), *([("loss", True), *judged] * 3)]


@pytest.mark.parametrize(("warm_up", "epochs"), [(0, 4), (1, 4), (6, 9), (19, 20)])
def test_patience_counts_from_the_end_of_the_warm_up(warm_up, epochs):
    """The validation loss is best in the first epoch; the member stops three epochs later, or after its warm-up."""
    clock = iter(range(100))

    def terms(network: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
        squared_errors = SQUARED.terms(network, batch)
        return squared_errors if network.training else 0 * squared_errors + next(clock)

    loss = Loss(terms, SQUARED.reduce)
    settings = TrainingSettings(epochs=20, batch_size=30, patience=3, warm_up=warm_up)
    order = MemberStreams.of_members(0, "order", 1)
    history = train(linear(1), loss, rows(30, 1), rows(9, 2), settings, order, silent, hooks=Hooks(warm_loss=loss))
    assert len(history.train) == epochs
    assert history.best.tolist() == [0]


def test_a_plateau_counts_from_the_end_of_the_warm_up(monkeypatch):
    monkeypatch.setattr("cosmoinfer.training.state.PLATEAU_EPOCHS", 2)
    monkeypatch.setattr("cosmoinfer.training.settings.WARMUP", 1)
    flat = Loss(lambda network, batch: 0 * SQUARED.terms(network, batch), SQUARED.reduce)
    settings = TrainingSettings(10, 30, 1.0, "sgd", "plateau", warm_up=4)
    order = MemberStreams.of_members(0, "order", 1)
    history = train(linear(1), flat, rows(30, 1), rows(9, 2), settings, order, silent, hooks=Hooks(warm_loss=flat))
    np.testing.assert_allclose(history.learning_rate, [1] * 6 + [0.3] * 2 + [0.09] * 2)


def test_a_warm_up_without_a_gentler_loss_is_refused():
    with pytest.raises(UserError, match="warm_up=3: this loss has no warm-up"):
        train(
            linear(1),
            SQUARED,
            rows(9, 1),
            rows(9, 2),
            TrainingSettings(warm_up=3),
            MemberStreams.of_members(0, "o", 1),
            silent,
        )


def test_fresh_rows_are_those_of_the_epoch():
    """Epoch e hands out e, e + 0.01, ...; every row is seen once, and validation rows stay what they were."""
    epochs: dict[bool, list[list[float]]] = {True: [], False: []}
    network = LinearNetwork().build((1,), 1, generators(0, "build", 1))

    def watch(network: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
        epochs[network.training].append(sorted(batch[0].flatten().tolist()))
        return network(batch[0])

    base = torch.arange(12.0)[:, None] / 100
    hooks = Hooks(fresh_rows=lambda epoch: (base + epoch,))
    loss = Loss(watch, SQUARED.reduce)
    train(
        network,
        loss,
        (base - 9,),
        (base - 5,),
        TrainingSettings(3, 12),
        MemberStreams.of_members(0, "o", 1),
        silent,
        hooks=hooks,
    )
    assert epochs[True] == [(base[:, 0] + epoch).tolist() for epoch in range(3)]
    assert epochs[False] == [(base[:, 0] - 5).tolist()] * 3


def test_what_augments_acts_on_training_batches_alone():
    """Data turned round in every training batch: the map that is learned is turned round, too."""
    validation = rows(40, 2)
    judged: list[torch.Tensor] = []

    def watch(network: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
        judged.append(batch[1])
        return SQUARED.terms(network, batch)

    def path(augment: Callable | None) -> torch.Tensor:
        """The weights after each epoch."""
        network, kept = linear(2), []
        weight = next(network.parameters())
        torch.nn.init.zeros_(weight)
        settings = TrainingSettings(epochs=5, batch_size=30, learning_rate=0.01, optimizer="sgd")
        score, hooks = Loss(watch, SQUARED.reduce), Hooks(augment=augment)

        def keep(*_: float) -> None:
            kept.append(weight.detach().clone())

        train(
            network, SQUARED, rows(90, 1), validation, settings, MemberStreams.of_members(0, "o", 2), keep, score, hooks
        )
        return torch.stack(kept)

    plain = path(None)
    assert plain[-1].abs().max() > 0.05
    torch.testing.assert_close(path(lambda batch: (batch[0], -batch[1])), -plain)
    assert all(torch.equal(maps, expand_members(validation[1], 2)) for maps in judged)


# --------------------------------------------------------------------------------------------------------- settings
def test_schedules_rise_shortly_and_then_follow_their_curve():
    for steps in (1, 5, 100, 10_000):
        constant, cosine = (
            np.array([learning_rate_factor(name, step, steps) for step in range(steps)])
            for name in ("constant", "cosine")
        )
        warmup = min(WARMUP, max(1, steps // 10))
        np.testing.assert_allclose(constant, np.minimum(1, np.arange(1, steps + 1) / warmup))
        np.testing.assert_allclose(cosine, constant * 0.5 * (1 + np.cos(np.pi * np.arange(steps) / steps)), atol=1e-12)
        assert min(cosine) > 0 and max(constant) == 1


def test_the_training_history_holds_the_learning_rate():
    settings = TrainingSettings(epochs=10, batch_size=9, learning_rate=0.02)
    _, history, _ = trained("mlp", slice(0, 1), settings)
    expected = [0.02 * learning_rate_factor("cosine", 10 * epoch + 9, 100) for epoch in range(10)]
    np.testing.assert_allclose(history.learning_rate, expected)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 0, "epochs: expected 1 to 1000000, found 0"),
        ("batch_size", 0, "batch_size: "),
        ("patience", 0, "patience: "),
        ("learning_rate", 0.0, "learning_rate: expected more than 0"),
        ("learning_rate", float("nan"), "learning_rate: "),
        ("clip_norm", -1.0, "clip_norm: "),
        ("warm_up", -1, "warm_up: expected 0 to 99, less than `epochs`, found -1"),
        ("warm_up", 100, "warm_up: expected 0 to 99, less than `epochs`, found 100"),
        ("optimizer", "adamax", "'adamax' is not known; there are adamw, adam, sgd"),
        ("schedule", "steps", "'steps' is not known; there are constant, cosine, cyclic, plateau"),
    ],
)
def test_settings_that_cannot_be_are_refused(field, value, message):
    with pytest.raises(UserError, match=message):
        TrainingSettings(**{field: value})


@pytest.mark.parametrize(
    ("best", "words"),
    [
        ([59, 59], "best epoch 60 of 60, the last: the validation loss was still falling, more `epochs` may gain"),
        ([39, 59], "best epochs 40 to 60 of 60"),
        ([2, 5], "best epochs 3 to 6 of 60: it overfits from then on; a smaller or more regularised network may gain"),
        ([2, 6], "best epochs 3 to 7 of 60"),
    ],
)
def test_an_unusual_best_epoch_is_told(best: list[int], words: str) -> None:
    losses = np.ones((60, 2))
    losses[0, 0] = np.nan
    history = History(losses, losses, np.ones(60), np.array(best))
    assert history.describe_best() == words
    assert history.to_json()["best_epochs"] == [epoch + 1 for epoch in best]


def test_a_training_without_a_finite_loss_is_null_in_json() -> None:
    history = History(np.ones((2, 1)), np.full((2, 1), np.nan), np.ones(2), np.array([0]))
    assert json.loads(json.dumps(history.to_json(), allow_nan=False))["validation_loss"] == [None]
