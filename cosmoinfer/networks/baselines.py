"""Baselines to hold every network against: recipes whose networks are solved for, not descended to.

A baseline is a recipe like that of a network, with ``solve`` besides: it fills what ``build`` made from training rows,
and stops where the validation rows say. It predicts the parameters, no widths.
"""

import itertools
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn

from cosmoinfer import seeding
from cosmoinfer.errors import UserError
from cosmoinfer.networks.dense import Linear
from cosmoinfer.networks.members import Generators

MAX_FEATURES = 4096
PENALTIES = np.logspace(-3, 5, 17)
TREE_LEARNING_RATE = 0.05
TREE_PATIENCE = 50  # trees
MAX_TREE_ROWS = 2000  # a tree sees at most so many: as good as half of 11,200, in a third of the time
MIN_TREE_FEATURES = 8


@dataclass(frozen=True)
class Ridge:
    """One affine map of the flattened data, of the penalty that leave-one-out prefers (Hoerl & Kennard 1970)."""

    def build(self, shape: tuple[int, ...], outputs: int, generators: Generators) -> nn.Sequential:
        """(M*B, *shape) -> (M*B, outputs)."""
        return nn.Sequential(nn.Flatten(), Linear(generators, _features("ridge", shape), outputs))

    @torch.no_grad()
    def fit(
        self,
        module: nn.Sequential,
        x: np.ndarray,
        theta: np.ndarray,
        x_validation: np.ndarray,
        theta_validation: np.ndarray,
        seed: int,
    ) -> None:
        """Fill the module from rows x (N, *shape) and theta (N, P); nothing is drawn, so that its members are equal."""
        weights, offset = solve_ridge(x.reshape(len(x), -1), theta)
        linear = module[-1]
        assert isinstance(linear, Linear)
        linear.weight.copy_(torch.from_numpy(weights))
        linear.bias.copy_(torch.from_numpy(offset))


@dataclass(frozen=True)
class Trees:
    """Gradient-boosted regression trees, one sequence a parameter (Friedman 2001), of at most ``trees`` trees.

    A tree asks ``depth`` questions one after the other, each the best that some features have for some rows (a random
    square root of the features, but eight; half of the rows, but 2,000), and a twentieth of its answer is added. The
    sequence ends where the validation rows say.
    """

    trees: int = 500
    depth: int = 5

    def __post_init__(self) -> None:
        if self.trees < 1 or not 1 <= self.depth <= 12:
            raise UserError(f"--trees, --depth: expected at least 1, and 1 to 12; found {self.trees}, {self.depth}")

    def build(self, shape: tuple[int, ...], outputs: int, generators: Generators) -> "TreeEnsemble":
        """(M*B, *shape) -> (M*B, outputs)."""
        _features("trees", shape)
        return TreeEnsemble(len(generators), outputs, self.trees, self.depth)

    def fit(
        self,
        module: "TreeEnsemble",
        x: np.ndarray,
        theta: np.ndarray,
        x_validation: np.ndarray,
        theta_validation: np.ndarray,
        seed: int,
    ) -> None:
        """Fill the module from rows x (N, *shape) and theta (N, P); each member draws its own rows and features."""
        rows, checks = x.reshape(len(x), -1), x_validation.reshape(len(x_validation), -1)
        members, outputs = module.offset.shape
        for member, output in itertools.product(range(members), range(outputs)):
            number = seeding.derive_seed(seed, "trees", member, output) % 2**32
            y, y_checks = theta[:, output], theta_validation[:, output]
            module.load_trees(
                member, output, y.mean(), *self.fit_boosting(rows, y - y.mean(), checks, y_checks - y.mean(), number)
            )

    def fit_boosting(
        self, x: np.ndarray, y: np.ndarray, x_validation: np.ndarray, y_validation: np.ndarray, seed: int
    ) -> tuple[Any, int]:
        """scikit-learn's ensemble for x (N, F) and y (N,) of mean zero, and how many of its trees count."""
        from sklearn.ensemble import GradientBoostingRegressor  # late: its import takes seconds

        left, errors = y_validation.astype(np.float64), []  # what the trees so far leave unexplained

        def tired(number: int, ensemble: Any, _: dict[str, Any]) -> bool:
            left[:] -= TREE_LEARNING_RATE * ensemble.estimators_[number, 0].predict(x_validation.astype(np.float32))
            errors.append((left**2).mean())
            return number - int(np.argmin(errors)) >= TREE_PATIENCE

        ensemble = GradientBoostingRegressor(
            n_estimators=self.trees,
            max_depth=self.depth,
            learning_rate=TREE_LEARNING_RATE,
            subsample=min(0.5, MAX_TREE_ROWS / len(x)),
            max_features=min(x.shape[1], max(MIN_TREE_FEATURES, round(x.shape[1] ** 0.5))),
            min_samples_leaf=max(1, min(10, len(x) // 20)),
            init="zero",
            random_state=seed,
        )
        ensemble.fit(x.astype(np.float32), y, monitor=tired)
        return ensemble, int(np.argmin(errors)) + 1


class TreeEnsemble(nn.Module):
    """Trees as arrays: node n asks whether ``feature`` lies above ``threshold``, and goes on to 2n + 1 or 2n + 2.

    All are filled up to the full depth: feature, threshold (M, P, T, 2^depth - 1), value (M, P, T, 2^depth) and offset
    (M, P). A tree that did not grow is worth zero. Thresholds are rounded down to float32: they part float32 numbers
    as scikit-learn's in float64 do.
    """

    feature: torch.Tensor
    threshold: torch.Tensor
    value: torch.Tensor
    offset: torch.Tensor

    def __init__(self, members: int, outputs: int, trees: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        size = (members, outputs, trees)
        self.register_buffer("feature", torch.zeros(*size, 2**depth - 1, dtype=torch.int64))
        self.register_buffer("threshold", torch.full((*size, 2**depth - 1), torch.inf))
        self.register_buffer("value", torch.zeros(*size, 2**depth))
        self.register_buffer("offset", torch.zeros(members, outputs))

    def load_trees(self, member: int, output: int, mean: float, ensemble: Any, count: int) -> None:
        """One sequence in its place: the first ``count`` trees of scikit-learn's ensemble, around the mean."""
        self.offset[member, output] = float(mean)
        for number in range(count):
            feature, threshold, value = _filled(ensemble.estimators_[number, 0].tree_, self.depth)
            self.feature[member, output, number] = torch.from_numpy(feature)
            self.threshold[member, output, number] = torch.from_numpy(threshold)
            self.value[member, output, number] = torch.from_numpy(ensemble.learning_rate * value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(M*B, ...) -> (M*B, P)."""
        members, outputs = self.offset.shape
        x = x.reshape(members, len(x) // members, -1)
        found = [self._sum(x[member], member, output) for member in range(members) for output in range(outputs)]
        return torch.stack(found).unflatten(0, (members, outputs)).transpose(1, 2).flatten(0, 1)

    def _sum(self, x: torch.Tensor, member: int, output: int) -> torch.Tensor:
        """(B, F) -> (B,), all rows through all trees of a sequence, question by question."""
        feature, threshold, value = (part[member, output] for part in (self.feature, self.threshold, self.value))
        tree = torch.arange(len(value), device=x.device)
        node = tree.new_zeros(len(x), len(value))
        for _ in range(self.depth):
            place = tree * feature.shape[1] + node  # (B, T)
            node = 2 * node + 1 + (x.gather(1, feature.take(place)) > threshold.take(place))
        leaf = tree * value.shape[1] + node - feature.shape[1]
        return value.take(leaf).sum(1) + self.offset[member, output]


def _filled(tree: Any, depth: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of scikit-learn's tree, filled up to the depth: features and thresholds (2^depth - 1,), values (2^depth,).

    Below a leaf every answer leads left, to that leaf again.
    """
    feature, threshold, nodes = [], [], np.zeros(1, dtype=int)
    for _ in range(depth):
        ends = tree.children_left[nodes] < 0
        feature.append(np.where(ends, 0, tree.feature[nodes]))
        threshold.append(np.where(ends, np.inf, tree.threshold[nodes]))
        below = np.where(ends, nodes, tree.children_left[nodes]), np.where(ends, nodes, tree.children_right[nodes])
        nodes = np.stack(below, axis=1).ravel()
    exact = np.concatenate(threshold)
    rounded = exact.astype(np.float32)
    rounded = np.where(rounded > exact, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    return np.concatenate(feature), rounded, tree.value[nodes, 0, 0]


def solve_ridge(x: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """weights (F, P) and offset (P,) of theta (N, P) ~ x (N, F) @ weights + offset, one penalty a parameter.

    Of each penalty the leave-one-out error is known without leaving any row out: residual / (1 - leverage) (Allen
    1974).
    """
    x = x.astype(np.float64)
    centre, offset = x.mean(axis=0), theta.mean(axis=0)
    left, values, right = np.linalg.svd(x - centre, full_matrices=False)
    target = left.T @ (theta - offset)
    errors = []
    for penalty in PENALTIES:
        shrink = values**2 / (values**2 + penalty)
        leverage = 1 / len(theta) + (left**2 * shrink).sum(axis=1)
        residual = (theta - offset) - left @ (shrink[:, None] * target)
        errors.append(((residual / np.maximum(1 - leverage, 1e-9)[:, None]) ** 2).mean(axis=0))
    best = PENALTIES[np.argmin(errors, axis=0)]  # (P,)
    weights = right.T @ (values[:, None] / (values[:, None] ** 2 + best) * target)
    return weights, offset - centre @ weights


def _features(name: str, shape: tuple[int, ...]) -> int:
    count = prod(shape)
    if count > MAX_FEATURES:
        raise UserError(f"{name} takes at most {MAX_FEATURES} numbers a row; these data have {count}, shape {shape}")
    return count


BASELINES = {"ridge": Ridge, "trees": Trees}
