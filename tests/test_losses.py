"""Losses: by hand on a few numbers, and where the mean of a skewed target must not move."""

import numpy as np
import pytest
import torch

from cosmoinfer import losses, training
from cosmoinfer.losses import LOSSES, RegressionLoss, means_and_widths
from cosmoinfer.models.stack import generators
from cosmoinfer.networks.mlp import LinearNetwork
from cosmoinfer.training import Loss, Training, train

THETA = torch.tensor([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]], dtype=torch.float64)
MEAN = torch.tensor([[0.5, 1.0], [1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
WIDTH = torch.tensor([[1.0, 0.5], [2.0, 1.5], [0.1, 0.3]], dtype=torch.float64)
SQUARED = (THETA - MEAN) ** 2


def outputs(widths: bool) -> torch.Tensor:
    """What a network says when it means MEAN and WIDTH."""
    return torch.cat([MEAN, WIDTH.expm1().log()], dim=1) if widths else MEAN.clone()


def value(loss: RegressionLoss, found: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """The loss of one member."""
    return loss.reduce(loss.terms(found, theta)[None])[0]


def test_a_width_is_positive():
    mean, width = means_and_widths(outputs(widths=True))
    torch.testing.assert_close(mean, MEAN)
    torch.testing.assert_close(width, WIDTH)
    assert (means_and_widths(torch.full((1, 2), -50.0))[1] > 0).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mse", SQUARED.mean()),
        ("moment", (SQUARED + (SQUARED - WIDTH**2) ** 2).mean()),
        ("moment-log", (SQUARED.mean(0).log() + ((SQUARED - WIDTH**2) ** 2).mean(0).log()).sum()),
    ],
)
def test_every_loss_follows_its_formula(name, expected):
    loss = LOSSES[name]
    torch.testing.assert_close(value(loss, outputs(loss.widths), THETA), expected)
    assert set(LOSSES) == {"mse", "moment", "moment-log"}  # a new loss wants its formula here


@pytest.mark.parametrize("name", LOSSES)
def test_every_member_has_its_own_loss(name):
    loss = LOSSES[name]
    one, other = outputs(loss.widths), outputs(loss.widths) + 0.3
    together = loss.reduce(torch.stack([loss.terms(one, THETA), loss.terms(other, THETA)]))
    torch.testing.assert_close(together, torch.stack([value(loss, one, THETA), value(loss, other, THETA)]))


@pytest.mark.parametrize(("name", "free"), [("mse", True), ("moment", True), ("moment-log", False)])
def test_the_fit_of_the_width_leaves_the_mean_alone(name, free):
    """The gradient of the mean is that of the squared error, but for moment-log, as published."""
    loss = LOSSES[name]
    found = outputs(loss.widths).requires_grad_()
    (gradient,) = torch.autograd.grad(value(loss, found, THETA), found)
    plain = 2 * (MEAN - THETA) / THETA.numel()
    assert torch.allclose(gradient[:, :2], plain) == free


# ------------------------------------------------------------------------------------ a skewed, uninformative target
def _naive_terms(found: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """The moment loss without its stopped gradient."""
    mean, width = means_and_widths(found)
    squared = (theta - mean) ** 2
    return squared + (squared - width**2) ** 2


NAIVE = RegressionLoss(_naive_terms, LOSSES["moment"].reduce, widths=True)


def skewed(rows: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    """theta log-uniform in 0.25..4, standardised, and x that says nothing of it: (N, 1) each."""
    theta = 0.25 * 16 ** ((np.arange(rows) + 0.5) / rows)
    target = torch.from_numpy((theta - theta.mean()) / theta.std()).float()[:, None]
    return target, torch.randn(rows, 1, generator=torch.Generator().manual_seed(0))


def moments(network: torch.nn.Module, noise: torch.Tensor) -> tuple[float, float]:
    """Mean and variance that the network says of theta."""
    with torch.no_grad():
        mean, width = means_and_widths(network(noise))
    return mean.mean().item(), (width**2).mean().item()


def descended(loss: RegressionLoss) -> tuple[float, float]:
    """Where gradient descent on the loss comes to rest."""
    theta, noise = skewed()
    network = LinearNetwork().build((1,), 2, generators(0, "build", 1))
    optimizer = torch.optim.Adam(network.parameters(), 0.05)
    for _ in range(300):
        optimizer.zero_grad()
        value(loss, network(noise), theta).backward()
        optimizer.step()
    return moments(network, noise)


def test_the_moment_loss_learns_the_exact_mean_and_variance():
    mean, variance = descended(LOSSES["moment"])
    assert mean == pytest.approx(0, abs=0.02)  # an error of 1/sqrt(4000) is 0.016
    assert variance == pytest.approx(1, abs=0.04)


def test_without_the_stopped_gradient_the_mean_is_biased_by_a_third_of_a_standard_deviation():
    mean, _ = descended(NAIVE)
    assert abs(mean) == pytest.approx(0.37, abs=0.03)


def test_a_training_with_the_moment_loss_keeps_the_exact_mean():
    theta, noise = skewed()
    network = LinearNetwork().build((1,), 2, generators(0, "build", 1))
    settings = Training(epochs=60, batch_size=100, learning_rate=3e-3, weight_decay=0, patience=60)
    loss = LOSSES["moment"]
    terms = Loss(lambda net, batch: loss.terms(net(batch[1]), batch[0]), loss.reduce)
    score = Loss(lambda net, batch: loss.score(net(batch[1]), batch[0]), losses.mean)
    rows, order = (theta, noise), generators(0, "order", 1)
    train(network, terms, rows, rows, settings, order, lambda *_: None, score)  # the loss itself keeps a biased epoch
    mean, variance = moments(network, noise)
    assert mean == pytest.approx(0, abs=0.05)
    assert variance == pytest.approx(1, abs=0.1)


# -------------------------------------------------------------------------------------------- validation in chunks
@pytest.mark.parametrize("name", LOSSES)
def test_validation_means_are_over_the_whole_set(name, monkeypatch):
    """The mean of logs of chunks is not the log of the mean."""
    loss = LOSSES[name]
    network = LinearNetwork().build((3,), 4 if loss.widths else 2, generators(0, "build", 2))
    random = torch.Generator().manual_seed(1)
    rows = tuple(torch.randn(50, size, generator=random) * torch.linspace(0.1, 5, 50)[:, None] for size in (2, 3))
    terms = Loss(lambda net, batch: loss.terms(net(batch[1]), batch[0]), loss.reduce)
    whole = training.evaluate(network, terms, rows, 2)
    monkeypatch.setattr(training, "CHUNK", 7)
    torch.testing.assert_close(training.evaluate(network, terms, rows, 2), whole)
    with torch.no_grad():
        found = network(rows[1].repeat(2, 1)).reshape(2, 50, -1)
    for member in range(2):
        torch.testing.assert_close(whole[member], value(loss, found[member], rows[0]))
