"""Classifier two-sample tests: can a network tell draws of a posterior from draws of the truth? numpy only.

Arrays in, numbers out: it knows no posterior file. All networks of one test (observations, folds, permutations) are
trained side by side as one stack, from the same start and in the same order of rows; so what is found for one
observation does not depend on which others were asked for.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import special

from cosmoinfer import seeding
from cosmoinfer.chunking import slices
from cosmoinfer.metrics.bootstrap import Clusters

FOLDS = 5
NULL_PERMUTATIONS = 100  # of a local test: its smallest p-value is 1 / 101
OBSERVATIONS_PER_STACK = 10  # observations trained at once: more of them only outgrow the processor's cache


@dataclass(frozen=True)
class Classifier:
    """An MLP of two ReLU layers of ``width`` units a feature, trained for so many epochs by Adam, whatever happens.

    Start: Glorot & Bengio 2010. Adam: Kingma & Ba 2014, arXiv:1412.6980, with its own defaults for the moments.
    """

    width: int = 10
    epochs: int = 100
    batch: int = 200
    rate: float = 1e-3
    decay: tuple[float, float] = (0.9, 0.999)


Layers = list[tuple[np.ndarray, np.ndarray]]  # weights (M, in, out) and offsets (M, 1, out), from the inputs on


def c2st(samples: np.ndarray, reference: np.ndarray, seed: int = 0, classifier: Classifier | None = None) -> np.ndarray:
    """Classifier two-sample test: the cross-validated accuracy of telling two sets of draws apart, (O,).

    samples, reference: (O, S, D), as many draws of each (the last few are left out where five folds do not share them
    evenly). Half is perfect; one is hopeless. Draws are z-scored by the reference; each of five folds holds as many of
    either side. Lopez-Paz & Oquab 2016, arXiv:1610.06545; Lueckmann et al. 2021, arXiv:2101.04653. Accuracies depend
    on the classifier and on S: compare those of the same only.
    """
    assert samples.shape == reference.shape, f"{samples.shape} and {reference.shape} draws"
    stream = seeding.generator(seed, "c2st", "folds")
    draws = samples.shape[1] // FOLDS * FOLDS
    shares = [stream.permutation(draws).reshape(FOLDS, -1) + side * draws for side in (0, 1)]
    folds = np.concatenate(shares, axis=1)  # (F, 2S / F)
    found = np.empty(len(samples))
    for rows in slices(len(samples), OBSERVATIONS_PER_STACK):
        sides = samples[rows, :draws], reference[rows, :draws]
        found[rows] = _accuracies(*sides, folds, seed, classifier or Classifier())
    return found


def local_c2st(
    truth: np.ndarray,
    drawn: np.ndarray,
    summary: np.ndarray,
    queries: list[np.ndarray],
    seed: int = 0,
    classifier: Classifier | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Local C2ST: is the posterior right at one observation? Statistics and p-values, (L,) each.

    A network learns to tell (truth, summary) from (drawn, summary), (n, P) and (n, P) beside (n, K): one draw from the
    posterior of each observation. Each query, (S, P + K), holds draws of the posterior in question beside its summary;
    the statistic is the mean of (p - 1/2)^2 over them. Where the posterior is right, truth and draw may be exchanged
    within any row; 100 networks that learn after such exchanges, row by row, give the null distribution, and
    p = (1 + #{null >= statistic}) / 101 is exact, if rows are independent. Linhart, Gramfort & Rodrigues 2023,
    arXiv:2306.03580 (who permute labels over all rows).
    """
    count = len(truth)
    rows = np.concatenate([np.hstack([truth, summary]), np.hstack([drawn, summary])])
    centre, scale = _moments(rows[None])
    exchanged = seeding.generator(seed, "lc2st", "exchange").random((NULL_PERMUTATIONS + 1, count)) < 0.5
    exchanged[0] = False
    labels = np.concatenate([~exchanged, exchanged], axis=1).astype(np.float32)
    inputs = np.broadcast_to(((rows - centre[0]) / scale[0]).astype(np.float32), (len(labels), *rows.shape))
    layers = _train(inputs, labels, classifier or Classifier(), seeding.generator(seed, "lc2st", "training"))
    found = np.stack([_distance(layers, ((query - centre[0]) / scale[0]).astype(np.float32)) for query in queries])
    return found[:, 0], (1 + (found[:, 1:] >= found[:, :1]).sum(axis=1)) / (NULL_PERMUTATIONS + 1)


def sample_one_row_per_simulation(clusters: Clusters, leave_out: np.ndarray, seed: int) -> np.ndarray:
    """Rows that are independent: one of each simulation, at random, (g,); none of the simulations of ``leave_out``."""
    order = seeding.generator(seed, "lc2st", "rows").permutation(len(clusters))
    _, first = np.unique(clusters.simulation_of_row[order], return_index=True)
    chosen = np.sort(order[first])
    return chosen[~np.isin(clusters.simulation_of_row[chosen], clusters.simulation_of_row[leave_out])]


def _accuracies(
    samples: np.ndarray, reference: np.ndarray, folds: np.ndarray, seed: int, classifier: Classifier
) -> np.ndarray:
    """Of a few observations at once, (o,)."""
    centre, scale = _moments(reference)
    both = ((np.concatenate([samples, reference], axis=1) - centre) / scale).astype(np.float32)
    labels = np.repeat(np.array([0, 1], dtype=np.float32), samples.shape[1])
    others = np.stack([np.delete(folds, fold, axis=0).ravel() for fold in range(FOLDS)])  # (F, 8S / F)

    def stacked(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inputs = both[:, rows].reshape(-1, rows.shape[1], both.shape[-1])  # (o F, rows, D)
        return inputs, np.tile(labels[rows], (len(both), 1))

    layers = _train(*stacked(others), classifier, seeding.generator(seed, "c2st", "training"))
    inputs, wanted = stacked(folds)
    right = (_forward(layers, inputs)[-1][..., 0] > 0) == (wanted > 0.5)
    return right.reshape(len(both), -1).mean(axis=1)


def _moments(reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale, (O, 1, D) each; a feature that never varies keeps its units."""
    scale = reference.std(axis=1, keepdims=True)
    return reference.mean(axis=1, keepdims=True), np.where(scale > 0, scale, 1.0)


def _distance(layers: Layers, query: np.ndarray) -> np.ndarray:
    """Mean of (p - 1/2)^2 over (S, D), of each of the M networks: (M,)."""
    p = special.expit(_forward(layers, np.broadcast_to(query, (len(layers[0][0]), *query.shape)))[-1])
    return ((p - 0.5) ** 2).mean(axis=(1, 2), dtype=np.float64)


# ---------------------------------------------------------------------------------------------- the stacked networks
def _train(inputs: np.ndarray, labels: np.ndarray, how: Classifier, stream: np.random.Generator) -> Layers:
    """M networks, each on its own (n, D) of inputs (M, n, D) and labels (M, n): the cross entropy, by Adam."""
    layers = _initial_layers(len(inputs), inputs.shape[-1], how.width * inputs.shape[-1], stream)
    parts = [part for layer in layers for part in layer]
    moments = [(np.zeros_like(part), np.zeros_like(part)) for part in parts]
    step = 0
    for _ in range(how.epochs):
        order = stream.permutation(inputs.shape[1])
        for batch in slices(len(order), how.batch):
            rows, step = order[batch], step + 1
            slopes = _gradients(layers, inputs[:, rows], labels[:, rows])
            for part, slope, pair in zip(parts, slopes, moments, strict=True):
                _adam_step(part, slope, pair, step, how)
    return layers


def _initial_layers(count: int, features: int, hidden: int, stream: np.random.Generator) -> Layers:
    """The same start for every network."""
    sizes = (features, hidden, hidden, 1)
    layers = []
    for below, above in pairwise(sizes):
        limit = np.sqrt(6 / (below + above))
        weight = stream.uniform(-limit, limit, (below, above)).astype(np.float32)
        layers.append((np.repeat(weight[None], count, axis=0), np.zeros((count, 1, above), dtype=np.float32)))
    return layers


def _forward(layers: Layers, inputs: np.ndarray) -> list[np.ndarray]:
    """The inputs (M, n, D), what each hidden layer makes of them, and the logit (M, n, 1)."""
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
    found: list[np.ndarray] = []
    for (weight, _), below in zip(reversed(layers), reversed(outputs[:-1]), strict=True):
        found += [back.sum(axis=1, keepdims=True), below.swapaxes(1, 2) @ back]
        if below is not inputs:
            back = (back @ weight.swapaxes(1, 2)) * (below > 0)
    return found[::-1]


def _adam_step(
    part: np.ndarray, slope: np.ndarray, moments: tuple[np.ndarray, ...], step: int, how: Classifier
) -> None:
    """One step, in place. moments: running means of the slope and of its square."""
    for moment, value, decay in zip(moments, (slope, slope**2), how.decay, strict=True):
        moment *= np.float32(decay)
        moment += np.float32(1 - decay) * value
    size = how.rate * np.sqrt(1 - how.decay[1] ** step) / (1 - how.decay[0] ** step)
    part -= np.float32(size) * moments[0] / (np.sqrt(moments[1]) + np.float32(1e-8))
