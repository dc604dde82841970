"""Classifier two-sample tests: can a network distinguish draws of a posterior from draws of the truth? numpy only.

All networks of one test (observations, folds, permutations) are trained as one stack, from the same initial weights and
with the same order of rows: the result of one observation does not depend on which others are tested.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import special

from cosmoinfer import seeding
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.memory import slices
from cosmoinfer.metrics.bootstrap import Clusters

FOLDS = 5
NULL_PERMUTATIONS = 100  # of a local test, whose smallest p-value is 1 / 101
OBSERVATIONS_PER_STACK = 10  # observations trained at once: more of them only outgrow the processor's cache


@dataclass(frozen=True)
class Classifier:
    """An MLP of two hidden ReLU layers, trained by Adam (Kingma & Ba 2014, arXiv:1412.6980) without early stopping.

    Initial weights: Glorot & Bengio 2010.

    units_per_feature: width of the hidden layers, in units of the number of input features.
    epochs: of the training.
    batch_size: rows of a step.
    learning_rate: of Adam.
    betas: decay of Adam's first and second moment.
    """

    units_per_feature: int = 10
    epochs: int = 100
    batch_size: int = 200
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)


Layers = list[tuple[np.ndarray, np.ndarray]]  # weights (M, in, out) and offsets (M, 1, out), from the inputs on


def check_local(local: Iterable[int], index: np.ndarray) -> None:
    """Check that rows with these numbers are among those of a posterior, (n,); possible before they are drawn.

    Raises UserError if one is not.
    """
    unknown = sorted(set(local) - set(index.tolist()))
    if unknown:
        available = join_first(index.tolist())
        raise UserError(f"the posterior has no row {join_first(unknown)}; it holds row {available}", "lc2st")


def c2st(samples: np.ndarray, reference: np.ndarray, seed: int = 0, classifier: Classifier | None = None) -> np.ndarray:
    """Classifier two-sample test: cross-validated accuracy of distinguishing two sets of draws, (O,).

    samples, reference: (O, S, D), S draws of each of O observations; S is rounded down to a multiple of five folds.
    0.5: indistinguishable; 1: perfectly distinguishable. Draws are standardised by the reference; each of the five
    folds holds as many draws of either. The accuracy depends on the classifier and on S.
    Raises ValueError for arrays of two shapes.

    Lopez-Paz & Oquab 2016, arXiv:1610.06545; Lueckmann et al. 2021, arXiv:2101.04653.
    """
    if samples.shape != reference.shape:
        raise ValueError(f"expected two sets of draws of one shape, found {samples.shape} and {reference.shape}")
    stream = seeding.generator(seed, "c2st", "folds")
    draws = samples.shape[1] // FOLDS * FOLDS
    folds_of_side = [stream.permutation(draws).reshape(FOLDS, -1) + side * draws for side in (0, 1)]
    folds = np.concatenate(folds_of_side, axis=1)  # (F, 2S / F)
    accuracy = np.empty(len(samples))
    for rows in slices(len(samples), OBSERVATIONS_PER_STACK):
        sides = samples[rows, :draws], reference[rows, :draws]
        accuracy[rows] = _accuracies(*sides, folds, seed, classifier or Classifier())
    return accuracy


def local_c2st(
    truth: np.ndarray,
    drawn: np.ndarray,
    summary: np.ndarray,
    queries: list[np.ndarray],
    seed: int = 0,
    classifier: Classifier | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Local C2ST: is the posterior correct at an observation? Statistics and p-values of L observations, (L,) each.

    truth: (n, P). drawn: (n, P), one draw from the posterior of each observation. summary: (n, K), of the observations.
    queries: for each of the L observations, (S, P + K): draws of its posterior beside its summary.

    A network learns to distinguish (truth, summary) from (drawn, summary); the statistic is the mean of (p - 1/2)^2
    over the draws of a query. If the posterior is correct, truth and draw of any row are exchangeable; 100 networks
    trained after such exchanges give the null distribution, and p = (1 + #{null >= statistic}) / 101 is exact if rows
    are independent. Linhart, Gramfort & Rodrigues 2023, arXiv:2306.03580 (who permute labels over all rows).
    """
    count = len(truth)
    rows = np.concatenate([np.hstack([truth, summary]), np.hstack([drawn, summary])])
    centre, scale = _moments(rows[None])
    exchanged = seeding.generator(seed, "lc2st", "exchange").random((NULL_PERMUTATIONS + 1, count)) < 0.5
    exchanged[0] = False
    labels = np.concatenate([~exchanged, exchanged], axis=1).astype(np.float32)
    inputs = np.broadcast_to(((rows - centre[0]) / scale[0]).astype(np.float32), (len(labels), *rows.shape))
    layers = _train(inputs, labels, classifier or Classifier(), seeding.generator(seed, "lc2st", "training"))
    statistics = np.stack([_distance(layers, ((query - centre[0]) / scale[0]).astype(np.float32)) for query in queries])
    exceeds = statistics[:, 1:] >= statistics[:, :1]  # (L, permutations)
    return statistics[:, 0], (1 + exceeds.sum(axis=1)) / (NULL_PERMUTATIONS + 1)


def sample_one_row_per_simulation(clusters: Clusters, leave_out: np.ndarray, seed: int) -> np.ndarray:
    """Independent rows: one of each simulation, at random, (g,), without the simulations of the rows ``leave_out``."""
    order = seeding.generator(seed, "lc2st", "rows").permutation(len(clusters))
    _, first = np.unique(clusters.simulation_of_row[order], return_index=True)
    chosen = np.sort(order[first])
    return chosen[~np.isin(clusters.simulation_of_row[chosen], clusters.simulation_of_row[leave_out])]


def _accuracies(
    samples: np.ndarray, reference: np.ndarray, folds: np.ndarray, seed: int, classifier: Classifier
) -> np.ndarray:
    """Cross-validated accuracies of o observations, (o,)."""
    centre, scale = _moments(reference)
    draws = ((np.concatenate([samples, reference], axis=1) - centre) / scale).astype(np.float32)
    labels = np.repeat(np.array([0, 1], dtype=np.float32), samples.shape[1])
    training_rows = np.stack([np.delete(folds, fold, axis=0).ravel() for fold in range(FOLDS)])  # (F, 8S / F)

    def stacked(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inputs = draws[:, rows].reshape(-1, rows.shape[1], draws.shape[-1])  # (o F, rows, D)
        return inputs, np.tile(labels[rows], (len(draws), 1))

    layers = _train(*stacked(training_rows), classifier, seeding.generator(seed, "c2st", "training"))
    inputs, held_out_labels = stacked(folds)
    correct = (_forward(layers, inputs)[-1][..., 0] > 0) == (held_out_labels > 0.5)
    return correct.reshape(len(draws), -1).mean(axis=1)


def _moments(reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, (O, 1, D) each; 1 for a constant feature."""
    scale = reference.std(axis=1, keepdims=True)
    return reference.mean(axis=1, keepdims=True), np.where(scale > 0, scale, 1.0)


def _distance(layers: Layers, query: np.ndarray) -> np.ndarray:
    """Mean of (p - 1/2)^2 over (S, D), of each of the M networks: (M,)."""
    p = special.expit(_forward(layers, np.broadcast_to(query, (len(layers[0][0]), *query.shape)))[-1])
    return ((p - 0.5) ** 2).mean(axis=(1, 2), dtype=np.float64)


# ---------------------------------------------------------------------------------------------- the stacked networks
def _train(inputs: np.ndarray, labels: np.ndarray, classifier: Classifier, stream: np.random.Generator) -> Layers:
    """M networks, trained on inputs (M, n, D) and labels (M, n) by the cross entropy."""
    layers = _initial_layers(len(inputs), inputs.shape[-1], classifier.units_per_feature * inputs.shape[-1], stream)
    arrays = [array for layer in layers for array in layer]
    moments = [(np.zeros_like(array), np.zeros_like(array)) for array in arrays]
    step = 0
    for _ in range(classifier.epochs):
        order = stream.permutation(inputs.shape[1])
        for batch in slices(len(order), classifier.batch_size):
            rows, step = order[batch], step + 1
            gradients = _gradients(layers, inputs[:, rows], labels[:, rows])
            for array, gradient, pair in zip(arrays, gradients, moments, strict=True):
                _adam_step(array, gradient, pair, step, classifier)
    return layers


def _initial_layers(count: int, features: int, hidden: int, stream: np.random.Generator) -> Layers:
    """The same initial weights for every network."""
    sizes = (features, hidden, hidden, 1)
    layers = []
    for below, above in pairwise(sizes):
        limit = np.sqrt(6 / (below + above))
        weight = stream.uniform(-limit, limit, (below, above)).astype(np.float32)
        layers.append((np.repeat(weight[None], count, axis=0), np.zeros((count, 1, above), dtype=np.float32)))
    return layers


def _forward(layers: Layers, inputs: np.ndarray) -> list[np.ndarray]:
    """The inputs (M, n, D), the activations of each hidden layer, and the logit (M, n, 1)."""
    outputs = [inputs]
    for number, (weight, offset) in enumerate(layers):
        value = outputs[-1] @ weight
        value += offset
        outputs.append(value if number == len(layers) - 1 else np.maximum(value, 0, out=value))
    return outputs


def _gradients(layers: Layers, inputs: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Derivatives of the mean cross entropy by weights and offsets, from the inputs on."""
    outputs = _forward(layers, inputs)
    back = (special.expit(outputs[-1]) - labels[..., None]) / np.float32(labels.shape[1])  # (M, n, 1)
    gradients: list[np.ndarray] = []
    for (weight, _), below in zip(reversed(layers), reversed(outputs[:-1]), strict=True):
        gradients += [back.sum(axis=1, keepdims=True), below.swapaxes(1, 2) @ back]
        if below is not inputs:
            back = (back @ weight.swapaxes(1, 2)) * (below > 0)
    return gradients[::-1]


def _adam_step(
    array: np.ndarray, gradient: np.ndarray, moments: tuple[np.ndarray, ...], step: int, classifier: Classifier
) -> None:
    """One step, in place. moments: running means of the gradient and of its square."""
    for moment, value, decay in zip(moments, (gradient, gradient**2), classifier.betas, strict=True):
        moment *= np.float32(decay)
        moment += np.float32(1 - decay) * value
    size = classifier.learning_rate * np.sqrt(1 - classifier.betas[1] ** step) / (1 - classifier.betas[0] ** step)
    array -= np.float32(size) * moments[0] / (np.sqrt(moments[1]) + np.float32(1e-8))
