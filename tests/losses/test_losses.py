"""Losses: by hand on a few numbers, at their optimum, and where the mean of a skewed target must not move."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import special

from cosmoinfer import losses
from cosmoinfer.errors import UserError
from cosmoinfer.losses import (
    CLASSIFICATION_LOSSES,
    LOSSES,
    OUTPUT_HEADS,
    POSITIVE_MAPS,
    RegressionLoss,
    fit_temperature,
    make_positive,
    means_and_factors,
    means_and_widths,
    probabilities,
    squared_error,
)
from cosmoinfer.networks.mlp import LinearNetwork
from cosmoinfer.training import loop
from cosmoinfer.training.loop import Hooks, Loss
from cosmoinfer.training.settings import TrainingSettings
from cosmoinfer.training.streams import MemberStreams, generators
from tests.examples import train, validation_loss

THETA = torch.tensor([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]], dtype=torch.float64)
MEAN = torch.tensor([[0.5, 1.0], [1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
WIDTH = torch.tensor([[1.0, 0.5], [2.0, 1.5], [0.1, 0.3]], dtype=torch.float64)
BELOW = torch.tensor([[0.5], [-2.0], [0.0]], dtype=torch.float64)
SQUARED = (THETA - MEAN) ** 2
PRECISIONS = torch.tensor(  # L L^T of the diagonals WIDTH and BELOW, by hand
    [[[1.0, 0.5], [0.5, 0.5]], [[4.0, -4.0], [-4.0, 6.25]], [[0.01, 0.0], [0.0, 0.09]]], dtype=torch.float64
)


def outputs(head: str) -> torch.Tensor:
    """What a network says when it means MEAN, WIDTH and BELOW."""
    return torch.cat({"point": [MEAN], "widths": [MEAN, WIDTH], "covariance": [MEAN, WIDTH, BELOW]}[head], dim=1)


def value(loss: RegressionLoss, prediction: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """The loss of one member."""
    return loss.reduce(loss.terms(prediction, theta)[None])[0]


# ------------------------------------------------------------------------------------------------------------ heads
@pytest.mark.parametrize("head", OUTPUT_HEADS)
@pytest.mark.parametrize("how", POSITIVE_MAPS)
@pytest.mark.parametrize("parameters", [1, 2, 5])
def test_what_must_be_positive_is_and_the_rest_is_left_alone(head, how, parameters):
    raw = torch.randn(50, OUTPUT_HEADS[head](parameters), generator=torch.Generator().manual_seed(0)) * 3
    positive = make_positive(raw, head, how)
    assert positive.shape == raw.shape
    middle = slice(parameters, 2 * parameters)
    assert (positive[:, middle] > 0).all()
    expected = {"softplus": raw.exp().log1p(), "square": raw**2}[how]
    torch.testing.assert_close(positive[:, middle], expected[:, middle])
    assert torch.equal(positive[:, :parameters], raw[:, :parameters])
    assert torch.equal(positive[:, 2 * parameters :], raw[:, 2 * parameters :])


def test_heads_are_read_as_they_are_written():
    for actual, expected in zip(means_and_widths(outputs("widths")), (MEAN, WIDTH), strict=True):
        assert torch.equal(actual, expected)
    mean, factor = means_and_factors(outputs("covariance"))
    assert torch.equal(mean, MEAN)
    torch.testing.assert_close(factor @ factor.mT, PRECISIONS)


@pytest.mark.parametrize("parameters", [1, 2, 3, 6])
def test_the_covariance_head_spans_all_lower_triangles(parameters):
    raw = torch.arange(1.0, OUTPUT_HEADS["covariance"](parameters) + 1)[None]
    mean, factor = means_and_factors(raw)
    assert torch.equal(factor, factor.tril())
    numbers = torch.cat([mean[0], factor[0][factor[0] != 0]])
    assert torch.equal(numbers.sort().values, raw[0])
    assert torch.equal(factor[0].diagonal(), raw[0, parameters : 2 * parameters])


# ------------------------------------------------------------------------------------------------------- regression
EXPECTED = {  # by its formula
    "mse": SQUARED.mean(),
    "mae": (THETA - MEAN).abs().mean(),
    "moment": (SQUARED + (SQUARED - WIDTH**2) ** 2).mean(),
    "moment-log": (SQUARED.mean(0).log() + ((SQUARED - WIDTH**2) ** 2).mean(0).log()).sum(),
    "gaussian-nll": -torch.distributions.MultivariateNormal(MEAN, None, PRECISIONS).log_prob(THETA).mean(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_follows_its_formula(name):
    loss = LOSSES[name]
    assert loss.n_outputs(2) == outputs(loss.output_head).shape[1]
    torch.testing.assert_close(value(loss, outputs(loss.output_head), THETA), EXPECTED[name])


@pytest.mark.parametrize("name", LOSSES)
def test_every_member_has_its_own_loss(name):
    loss = LOSSES[name]
    first, second = outputs(loss.output_head), outputs(loss.output_head) + 0.3
    together = loss.reduce(torch.stack([loss.terms(first, THETA), loss.terms(second, THETA)]))
    torch.testing.assert_close(together, torch.stack([value(loss, first, THETA), value(loss, second, THETA)]))


@pytest.mark.parametrize("head", OUTPUT_HEADS)
def test_a_warm_up_fits_the_means_of_any_head(head):
    torch.testing.assert_close(squared_error(outputs(head), THETA), SQUARED)


@pytest.mark.parametrize(("name", "free"), [("mse", True), ("moment", True), ("moment-log", False)])
def test_the_fit_of_the_width_leaves_the_mean_alone(name, free):
    """The gradient of the mean is that of the squared error, but for moment-log, as published."""
    loss = LOSSES[name]
    prediction = outputs(loss.output_head).requires_grad_()
    (gradient,) = torch.autograd.grad(value(loss, prediction, THETA), prediction)
    plain = 2 * (MEAN - THETA) / THETA.numel()
    assert torch.allclose(gradient[:, :2], plain) == free


def _rows(rows: int = 401) -> torch.Tensor:
    """Correlated, skewed theta, (N, 3)."""
    random = torch.Generator().manual_seed(0)
    mixing = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [-0.3, 0.2, 2.0]], dtype=torch.float64)
    return torch.rand(rows, 3, generator=random, dtype=torch.float64) ** 2 @ mixing.mT


def _best(name: str, theta: torch.Tensor) -> torch.Tensor:
    """What a network that is told nothing should say of these rows, (O,)."""
    mean, median, centred = theta.mean(0), theta.median(0).values, theta - theta.mean(0)
    covariance = centred.mT @ centred / len(theta)
    factor = torch.linalg.cholesky(torch.linalg.inv(covariance))
    return {
        "mse": mean,
        "mae": median,
        "moment": torch.cat([mean, covariance.diagonal().sqrt()]),
        "gaussian-nll": torch.cat([mean, factor.diagonal(), factor[[1, 2, 2], [0, 0, 1]]]),
    }[name]


@pytest.mark.parametrize("name", ["mse", "mae", "moment", "gaussian-nll"])
@pytest.mark.parametrize("score", [False, True])
def test_a_loss_is_stationary_at_the_exact_answer_and_its_score_is_least_there(name, score):
    """mean, median, mean and width, mean and precision; everywhere else the gradient is not zero."""
    theta, loss = _rows(), LOSSES[name]
    terms = loss.validation_score if score and loss.validation_score else loss.terms

    def total(prediction: torch.Tensor) -> torch.Tensor:
        return terms(prediction.expand(len(theta), -1), theta).mean()

    best = _best(name, theta).requires_grad_()
    assert len(best) == loss.n_outputs(3)
    (gradient,) = torch.autograd.grad(total(best), best)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)
    if score:
        for place in range(len(best)):
            for step in (-0.02, 0.02):
                moved = best.detach().clone()
                moved[place] += step
                assert total(moved) > total(best)


# ------------------------------------------------------------------------------------ a skewed, uninformative target
def _naive_terms(prediction: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """The moment loss without its stopped gradient."""
    mean, width = means_and_widths(prediction)
    squared = (theta - mean) ** 2
    return squared + (squared - width**2) ** 2


NAIVE = RegressionLoss(_naive_terms, "widths")


def skewed(rows: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    """theta log-uniform in 0.25..4, standardised, and x that says nothing of it: (N, 1) each."""
    theta = 0.25 * 16 ** ((np.arange(rows) + 0.5) / rows)
    target = torch.from_numpy((theta - theta.mean()) / theta.std()).float()[:, None]
    return target, torch.randn(rows, 1, generator=torch.Generator().manual_seed(0))


def predict(network: torch.nn.Module, head: str, *data: torch.Tensor) -> torch.Tensor:
    return make_positive(network(*data), head, "softplus")


def moments(network: torch.nn.Module, noise: torch.Tensor) -> tuple[float, float]:
    """Mean and variance that the network says of theta."""
    with torch.no_grad():
        mean, width = means_and_widths(predict(network, "widths", noise[None]))
    return mean.mean().item(), (width**2).mean().item()


def descended(loss: RegressionLoss) -> tuple[float, float]:
    """Where gradient descent on the loss comes to rest."""
    theta, noise = skewed()
    network = LinearNetwork().build((1,), 2, generators(0, "build", 1))
    optimizer = torch.optim.Adam(network.parameters(), 0.05)
    for _ in range(300):
        optimizer.zero_grad()
        value(loss, predict(network, "widths", noise[None])[0], theta).backward()
        optimizer.step()
    return moments(network, noise)


def test_the_moment_loss_learns_the_exact_mean_and_variance():
    mean, variance = descended(LOSSES["moment"])
    assert mean == pytest.approx(0, abs=0.02)  # an error of 1/sqrt(4000) is 0.016
    assert variance == pytest.approx(1, abs=0.04)


def test_without_the_stopped_gradient_the_mean_is_biased_by_a_third_of_a_standard_deviation():
    mean, _ = descended(NAIVE)
    assert abs(mean) == pytest.approx(0.37, abs=0.03)


def of_rows(terms: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], head: str) -> Callable[..., torch.Tensor]:
    """For batches of theta and x."""
    return lambda network, batch: terms(predict(network, head, *batch[1:]), batch[0])


def test_a_training_with_the_moment_loss_keeps_the_exact_mean():
    theta, noise = skewed()
    network = LinearNetwork().build((1,), 2, generators(0, "build", 1))
    settings = TrainingSettings(epochs=60, batch_size=100, learning_rate=3e-3, weight_decay=0, patience=60)
    loss = LOSSES["moment"]
    score = Loss(of_rows(loss.validation_score, "widths"), losses.mean)
    rows, order = (theta, noise), MemberStreams.of_members(0, "order", 1)
    terms = Loss(of_rows(loss.terms, "widths"), loss.reduce)
    train(network, terms, rows, rows, settings, order, lambda *_: None, score)  # the loss itself keeps a biased epoch
    mean, variance = moments(network, noise)
    assert mean == pytest.approx(0, abs=0.05)
    assert variance == pytest.approx(1, abs=0.1)


def test_a_training_with_gaussian_nll_learns_means_and_covariance_that_move_with_the_data():
    """theta = A x + noise of a known covariance."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 2, generator=random)
    covariance = torch.tensor([[0.5, 0.3], [0.3, 0.4]])
    noise = torch.randn(4000, 2, generator=random) @ torch.linalg.cholesky(covariance).mT
    theta, loss = x @ torch.tensor([[1.0, 0.5], [-0.5, 0.2]]) + noise, LOSSES["gaussian-nll"]
    network = LinearNetwork().build((2,), loss.n_outputs(2), generators(0, "build", 1))
    terms = Loss(of_rows(loss.terms, loss.output_head), loss.reduce)
    warm = Hooks(warm_loss=Loss(of_rows(squared_error, loss.output_head), losses.mean))
    settings = TrainingSettings(epochs=30, batch_size=200, learning_rate=0.02, weight_decay=0, warm_up=3)
    rows = (theta, x)
    history = train(
        network, terms, rows, rows, settings, MemberStreams.of_members(0, "order", 1), lambda *_: None, hooks=warm
    )
    exact = torch.distributions.MultivariateNormal(theta - noise, covariance).log_prob(theta).mean()
    assert history.best_validation[0] == pytest.approx(-exact.item(), abs=0.01)
    with torch.no_grad():
        _, factor = means_and_factors(predict(network, loss.output_head, x[None]))
    torch.testing.assert_close((factor[0] @ factor[0].mT).mean(0).inverse(), covariance, atol=0.04, rtol=0)


# -------------------------------------------------------------------------------------------- validation in chunks
@pytest.mark.parametrize("name", LOSSES)
def test_validation_means_are_over_the_whole_set(name, monkeypatch):
    """The mean of logs of chunks is not the log of the mean."""
    loss = LOSSES[name]
    network = LinearNetwork().build((3,), loss.n_outputs(2), generators(0, "build", 2))
    random = torch.Generator().manual_seed(1)
    rows = tuple(torch.randn(50, size, generator=random) * torch.linspace(0.1, 5, 50)[:, None] for size in (2, 3))
    terms = Loss(of_rows(loss.terms, loss.output_head), loss.reduce)
    mean_losses = validation_loss(network, terms, rows, 2)
    monkeypatch.setattr(loop, "MAX_ROWS_PER_CHUNK", 7)
    torch.testing.assert_close(validation_loss(network, terms, rows, 2), mean_losses)
    with torch.no_grad():
        prediction = predict(network, loss.output_head, rows[1].expand(2, -1, -1))
    for member in range(2):
        torch.testing.assert_close(mean_losses[member], value(loss, prediction[member], rows[0]))


# --------------------------------------------------------------------------------------------------- classification
every_classification = pytest.mark.parametrize("name", CLASSIFICATION_LOSSES)
SAID = torch.tensor([[0.3, -1.0, 2.0], [0.5, 0.1, -0.2], [0.0, 3.0, 2.5], [1.0, 1.0, 1.0]], dtype=torch.float64)
LABELS = torch.tensor([2, 1, 1, 0])
MARGIN = torch.tensor([[0.3], [-2.0], [1.5], [0.0]], dtype=torch.float64)  # of two classes
SIDES = torch.tensor([1, 0, 0, 1])


EXPECTED_OF_CLASSES = {  # by its formula: (logits, labels, loss of each row)
    "cross-entropy": [
        (SAID, LABELS, [-np.log(special.softmax(row)[k]) for row, k in zip(SAID, LABELS, strict=True)]),
    ],
    "logistic": [(MARGIN, SIDES, np.log1p(np.exp([-0.3, -2.0, 1.5, 0.0])))],
    "hinge": [(MARGIN, SIDES, [0.7, 0, 2.5, 1]), (SAID, LABELS, [0, 1.4, 0.5, 1])],
    "cosine": [(SAID, LABELS, 1 - np.array([2 / 5.09**0.5, 0.1 / 0.3**0.5, 3 / 15.25**0.5, 1 / 3**0.5]))],
}


@every_classification
def test_every_classification_loss_follows_its_formula(name):
    for logits, labels, expected in EXPECTED_OF_CLASSES[name]:
        for kind in (torch.long, torch.float32):
            terms = CLASSIFICATION_LOSSES[name].terms(logits, labels.to(kind))
            assert terms.shape == (4, 1)
            np.testing.assert_allclose(terms[:, 0], np.array(expected, dtype=float), rtol=1e-7, atol=1e-12)


@every_classification
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_right_answer_costs_least_and_its_logit_is_largest(name, classes):
    """Descend on the outputs themselves: each loss comes to rest where every row is right, and nothing pulls."""
    loss = CLASSIFICATION_LOSSES[name]
    if name == "logistic" and classes > 2:
        with pytest.raises(UserError, match=rf"loss=logistic: expected two classes, found {classes}"):
            loss.n_outputs(classes)
        return
    labels = torch.arange(30) % classes
    free = torch.randn(30, loss.n_outputs(classes), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    at_first = loss.terms(free, labels).mean()
    free.requires_grad_()
    optimizer = torch.optim.Adam([free], 0.1)
    for _ in range(400):
        optimizer.zero_grad()
        loss.terms(free, labels).sum().backward()
        optimizer.step()
    assert loss.terms(free, labels).mean() < 0.01 * at_first
    assert free.grad.abs().max() < 0.02
    logits = loss.logits(free.detach())
    assert logits.shape == (30, classes)
    assert torch.equal(logits.argmax(1), labels)


@every_classification
def test_two_classes_are_alike(name):
    """Name the classes the other way round: the loss is the same, with the outputs turned round."""
    loss = CLASSIFICATION_LOSSES[name]
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(40, loss.n_outputs(2), generator=random, dtype=torch.float64)
    labels = torch.randint(2, (40,), generator=random)
    flipped = -logits if logits.shape[1] == 1 else logits.flip(1)
    torch.testing.assert_close(loss.terms(flipped, 1 - labels), loss.terms(logits, labels))
    ours, theirs = (probabilities(loss.logits(class_logits).numpy(), 0.7) for class_logits in (logits, flipped))
    np.testing.assert_allclose(theirs, ours[:, ::-1])


def test_logistic_is_the_cross_entropy_of_its_logits():
    loss = CLASSIFICATION_LOSSES["logistic"]
    expected = CLASSIFICATION_LOSSES["cross-entropy"].terms(loss.logits(MARGIN), SIDES)
    torch.testing.assert_close(loss.terms(MARGIN, SIDES), expected)


@every_classification
def test_a_linear_classifier_learns_the_boundary(name):
    """Two Gaussians of unit width, 3 apart: Bayes' own rule is right in 93.3 % of cases."""
    loss, random = CLASSIFICATION_LOSSES[name], torch.Generator().manual_seed(0)
    labels = torch.randint(2, (4000,), generator=random)
    x = torch.randn(4000, 2, generator=random) + 3.0 * labels[:, None] * torch.tensor([0.6, 0.8]) - 1.5
    network = LinearNetwork().build((2,), loss.n_outputs(2), generators(0, "build", 1))
    rows = (labels.float(), x)  # labels may come as floats
    terms = Loss(lambda net, batch: loss.terms(net(batch[1]), batch[0]), losses.mean)
    settings = TrainingSettings(epochs=20, batch_size=200, learning_rate=0.05)
    train(network, terms, rows, rows, settings, MemberStreams.of_members(0, "order", 1), lambda *_: None)
    with torch.no_grad():
        logits = loss.logits(network(x[None])[0]).numpy()
    best = special.ndtr(1.5)
    assert (logits.argmax(1) == labels.numpy()).mean() == pytest.approx(best, abs=0.012)  # 3 errors of 0.004
    class_probabilities = probabilities(logits, fit_temperature(logits, labels.numpy()))[:, 1]
    exact = special.expit(3 * ((x + 1.5) @ torch.tensor([0.6, 0.8]) - 1.5).numpy())
    assert np.abs(class_probabilities - exact).mean() < (0.05 if name == "cosine" else 0.03)


# ------------------------------------------------------------------------------------------------------ temperature
def drawn(logits: np.ndarray) -> np.ndarray:
    """Labels of just these probabilities, (N,)."""
    shares = special.softmax(logits, axis=1).cumsum(1)
    return (np.random.default_rng(1).random(len(logits))[:, None] > shares).sum(1)


@pytest.mark.parametrize("factor", [0.05, 1.0, 4.0, 50.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_temperature_of_a_known_miscalibration_is_found(factor, classes):
    """Logits that are ``factor`` times the true ones are divided by it."""
    logits = np.random.default_rng(0).normal(0, 2, (20_000, classes))
    labels = drawn(logits)
    temperature = fit_temperature(factor * logits, labels)
    assert temperature == pytest.approx(factor, rel=0.03)  # the error is 0.01
    np.testing.assert_allclose(probabilities(factor * logits, factor), special.softmax(logits, axis=1))


def test_a_class_that_is_never_missed_is_not_certain():
    """Ten rows of each class told apart by -1 and 1: as if one of eleven more had been wrong (Platt 1999)."""
    labels = np.repeat([0, 1], 10)
    logits = np.stack([np.zeros(20), 2.0 * labels - 1], axis=1)
    class_probabilities = probabilities(logits, fit_temperature(logits, labels))
    np.testing.assert_allclose(class_probabilities[labels == 1, 1], 11 / 12, atol=1e-4)


def test_verdict_on_a_classifier_without_information():
    random = np.random.default_rng(0)
    logits, labels = random.normal(0, 3, (5000, 3)), random.integers(3, size=5000)
    assert np.abs(probabilities(logits, fit_temperature(logits, labels)) - 1 / 3).mean() < 0.03
