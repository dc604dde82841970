"""Baselines to compare every network with: recipes whose networks are fitted in closed form or tree by tree.

A baseline is a recipe like that of a network, and has ``fit`` in addition: it fills the module that ``build`` made from
training rows, and stops early by the validation rows. It predicts the parameters, without widths.
"""

import itertools
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn

from cosmoinfer import ridge_regression, seeding
from cosmoinfer.errors import UserError
from cosmoinfer.networks.layers import Generators, Linear
from cosmoinfer.settings import check_settings, setting

MAX_FEATURES = 4096  # numbers a row
TREE_LEARNING_RATE = 0.05
TREE_PATIENCE = 50  # trees without a smaller validation error
MAX_TREE_ROWS = 2000  # that one tree is fitted to: as good as half of 11,200, in a third of the time
MAX_TREE_DEPTH = 12  # 4096 leaves
MIN_TREE_FEATURES = 8  # that a split chooses among


@dataclass(frozen=True)
class Ridge:
    """One affine map of the flattened data, by ridge regression with a leave-one-out penalty."""

    def build(self, shape: tuple[int, ...], outputs: int, generators: Generators) -> nn.Sequential:
        """(M, B, *shape) -> (M, B, outputs)."""
        return nn.Sequential(nn.Flatten(2), Linear(generators, _n_features("ridge", shape), outputs))

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
        """Fill the module from x (N, *shape) and theta (N, P); nothing is random, so that its members are equal."""
        weights, offset = ridge_regression.fit_by_leave_one_out(x.reshape(len(x), -1), theta)
        linear = module[-1]
        assert isinstance(linear, Linear)
        linear.weight.copy_(torch.from_numpy(weights))
        linear.bias.copy_(torch.from_numpy(offset))


@dataclass(frozen=True)
class Trees:
    """Gradient-boosted regression trees, one sequence a parameter (Friedman 2001), of at most ``trees`` trees.

    A tree has at most ``depth`` splits one after the other, each the best of a random subset of features (the square
    root of their number, at least MIN_TREE_FEATURES) for a random subset of rows (half, at most MAX_TREE_ROWS), and
    TREE_LEARNING_RATE of its prediction is added. The sequence is as long as the validation rows prefer.
    """

    trees: int = setting(500, minimum=1, maximum=100_000)
    depth: int = setting(5, minimum=1, maximum=MAX_TREE_DEPTH)

    def __post_init__(self) -> None:
        check_settings(self)

    def build(self, shape: tuple[int, ...], outputs: int, generators: Generators) -> "TreeEnsemble":
        """(M, B, *shape) -> (M, B, outputs)."""
        _n_features("trees", shape)
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
        """Fill the module from x (N, *shape) and theta (N, P); each member draws its own rows and features."""
        x, x_validation = x.reshape(len(x), -1), x_validation.reshape(len(x_validation), -1)
        members, outputs = module.offset.shape
        for member, output in itertools.product(range(members), range(outputs)):
            tree_seed = seeding.derive_seed(seed, "trees", member, output) % 2**32
            y, y_validation = theta[:, output], theta_validation[:, output]
            mean = y.mean()
            boosting = self.fit_boosting(x, y - mean, x_validation, y_validation - mean, tree_seed)
            module.load_trees(member, output, mean, *boosting)

    def fit_boosting(
        self, x: np.ndarray, y: np.ndarray, x_validation: np.ndarray, y_validation: np.ndarray, seed: int
    ) -> tuple[Any, int]:
        """scikit-learn's ensemble for x (N, F) and y (N,) of mean zero, and how many of its trees to use."""
        from sklearn.ensemble import GradientBoostingRegressor  # late: with scipy.stats, half a second

        residual, errors = y_validation.astype(np.float64), []  # of the trees so far

        def stop_early(index: int, ensemble: Any, _: dict[str, Any]) -> bool:
            residual[:] -= TREE_LEARNING_RATE * ensemble.estimators_[index, 0].predict(x_validation.astype(np.float32))
            errors.append((residual**2).mean())
            return index - int(np.argmin(errors)) >= TREE_PATIENCE

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
        ensemble.fit(x.astype(np.float32), y, monitor=stop_early)
        return ensemble, int(np.argmin(errors)) + 1


class TreeEnsemble(nn.Module):
    """Trees as arrays: node n goes on to 2n + 2 where ``feature`` exceeds ``threshold``, else to 2n + 1.

    All are filled up to the full depth: feature, threshold (M, P, T, 2^depth - 1), value (M, P, T, 2^depth) and offset
    (M, P). Trees that are not used have value zero. Thresholds are rounded down to float32: they separate float32
    numbers as scikit-learn's in float64 do.
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
        """Load one sequence: the first ``count`` trees of scikit-learn's ensemble, around the mean."""
        self.offset[member, output] = float(mean)
        for index in range(count):
            feature, threshold, value = _full_tree(ensemble.estimators_[index, 0].tree_, self.depth)
            self.feature[member, output, index] = torch.from_numpy(feature)
            self.threshold[member, output, index] = torch.from_numpy(threshold)
            self.value[member, output, index] = torch.from_numpy(ensemble.learning_rate * value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(M, B, ...) -> (M, B, P)."""
        members, outputs = self.offset.shape
        x = x.flatten(2)
        sums = [self._sum(x[member], member, output) for member in range(members) for output in range(outputs)]
        return torch.stack(sums).unflatten(0, (members, outputs)).transpose(1, 2).contiguous()

    def _sum(self, x: torch.Tensor, member: int, output: int) -> torch.Tensor:
        """(B, F) -> (B,), all rows through all trees of a sequence, level by level."""
        feature, threshold, value = (array[member, output] for array in (self.feature, self.threshold, self.value))
        tree = torch.arange(len(value), device=x.device)
        node = tree.new_zeros(len(x), len(value))
        for _ in range(self.depth):
            place = tree * feature.shape[1] + node  # (B, T)
            node = 2 * node + 1 + (x.gather(1, feature.take(place)) > threshold.take(place))
        leaf = tree * value.shape[1] + node - feature.shape[1]
        return value.take(leaf).sum(1) + self.offset[member, output]


def _full_tree(tree: Any, depth: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """scikit-learn's tree, filled up to the depth: features and thresholds (2^depth - 1,), values (2^depth,).

    Below a leaf every split leads left, to that leaf again.
    """
    feature, threshold, nodes = [], [], np.zeros(1, dtype=int)
    for _ in range(depth):
        leaf = tree.children_left[nodes] < 0
        feature.append(np.where(leaf, 0, tree.feature[nodes]))
        threshold.append(np.where(leaf, np.inf, tree.threshold[nodes]))
        children = np.where(leaf, nodes, tree.children_left[nodes]), np.where(leaf, nodes, tree.children_right[nodes])
        nodes = np.stack(children, axis=1).ravel()
    exact = np.concatenate(threshold)
    rounded = exact.astype(np.float32)
    rounded = np.where(rounded > exact, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    return np.concatenate(feature), rounded, tree.value[nodes, 0, 0]


def _n_features(name: str, shape: tuple[int, ...]) -> int:
    """Numbers a row. Raises UserError above MAX_FEATURES."""
    count = prod(shape)
    if count > MAX_FEATURES:
        raise UserError(f"{name} takes at most {MAX_FEATURES} numbers a row; these data have {count}, shape {shape}")
    return count


BASELINES = {"ridge": Ridge, "trees": Trees}
