"""Tests of the association between data and parameters: a ridge regression, and a null distribution by shuffling.

The regression is on a few features of each row, factorised once and applied to many targets: the parameters as they
are, in another order of the rows, and shuffled by simulation.
"""

import re
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.audit.check import CatalogUnderTest, catalog_row_size
from cosmoinfer.catalog import Observable
from cosmoinfer.preprocessing.standardizer import fit_standardizer
from cosmoinfer.ridge_regression import power_by_scale

N_MEAN_SQUARES = 16  # groups of features with a mean square each, for data whose scatter depends on theta
N_PROFILE_CELLS = 32  # cells into which a profile is averaged
CLIP_SIGMA = 5.0  # robust standard deviations at which features are clipped, so that no outlier dominates
RIDGE_PENALTIES_PER_ROW = np.logspace(-4, 4, 9)
MAX_DEGREES_OF_FREEDOM_PER_ROW = 0.5
QUARTILE_RANGE_OF_NORMAL = 1.349  # standard deviations
MIN_SIMULATIONS = 30


@dataclass(frozen=True)
class RidgeProbe:
    """The singular value decomposition of standardised features of n rows.

    directions: (n, F) left singular vectors.
    singular_values: (F,).
    """

    directions: np.ndarray
    singular_values: np.ndarray

    def r2(self, targets: np.ndarray) -> np.ndarray:
        """The coefficient of determination of each target (n, Q): (Q,).

        1 - E / E_mean, with the error E of a ridge regression by generalised cross-validation (Golub, Heath & Wahba
        1979) at the best of some penalties, and at least 0, which is the infinite penalty.
        """
        count = len(targets)
        centred = targets - targets.mean(axis=0)
        total = np.maximum((centred**2).sum(axis=0), 1e-300)
        weights = (self.directions.T @ centred) ** 2  # (F, Q)
        best = np.zeros(targets.shape[1])
        for penalty in count * RIDGE_PENALTIES_PER_ROW:
            shrink = self.singular_values**2 / (self.singular_values**2 + penalty)
            freedom = (1 + shrink.sum()) / count
            if freedom <= MAX_DEGREES_OF_FREEDOM_PER_ROW:
                residual = 1 - (2 * shrink - shrink**2) @ weights / total
                best = np.maximum(best, 1 - residual * ((1 - 1 / count) / (1 - freedom)) ** 2)
        return best


def ridge_probe(features: np.ndarray) -> RidgeProbe:
    """The probe of features (n, F), standardised by their quartiles."""
    z = _standardise(features)
    z -= z.mean(axis=0)
    squares, right = np.linalg.eigh(z.T @ z)
    kept = squares > 1e-10 * max(squares.max(initial=0.0), 1e-300)
    singular_values = np.sqrt(squares[kept])
    return RidgeProbe(z @ right[:, kept] / singular_values, singular_values)


def compressed_features(subject: CatalogUnderTest, rows: np.ndarray) -> np.ndarray:
    """Features (n, F) of rows (n,): vectors and their squares; the power by scale of profiles, maps and grids."""
    max_features = subject.budget.features
    return np.concatenate(
        [_observable_features(observable, rows, max_features) for observable in subject.catalog.observables], axis=1
    )


def _observable_features(observable: Observable, rows: np.ndarray, max_features: int) -> np.ndarray:
    is_vector = observable.kind == "vector"
    scale = fit_standardizer(partial(observable.blocks, rows), is_vector, "auto")
    if is_vector:
        values = observable.read(rows).astype(np.float64)
        missing = np.isnan(values)
        z = _standardise(np.where(scale.log, np.log10(np.maximum(values, scale.floor)), values))
        z = np.where(missing, 0.0, z)
        columns = [_average_columns(z, max_features), _average_columns(z**2, N_MEAN_SQUARES)]
        columns += [_average_columns(missing, N_MEAN_SQUARES)] if missing.any() else []
        return np.concatenate(columns, axis=1)
    features = []
    for block in observable.blocks(rows):
        z = np.nan_to_num(scale(block), nan=0.0, posinf=CLIP_SIGMA, neginf=-CLIP_SIGMA)
        columns = [power_by_scale(z)]
        if observable.kind == "profile":
            columns += [_average_columns(channel, N_PROFILE_CELLS) for channel in z.swapaxes(0, 1)]
        features.append(np.concatenate(columns, axis=1).astype(np.float64))
    return np.concatenate(features)


def _standardise(values: np.ndarray) -> np.ndarray:
    """Median zero and unit width by the quartiles, clipped at CLIP_SIGMA: (n, F); zero where a column is all NaN."""
    safe = np.where(np.isfinite(values).any(axis=0), values, 0.0)
    low, middle, high = np.nanpercentile(safe, [25, 50, 75], axis=0)
    with np.errstate(over="ignore"):
        width = np.where(high > low, (high - low) / QUARTILE_RANGE_OF_NORMAL, np.nanstd(safe, axis=0))
    centred = values - middle
    return np.clip(np.divide(centred, width, out=np.zeros_like(centred), where=width > 0), -CLIP_SIGMA, CLIP_SIGMA)


def _average_columns(z: np.ndarray, max_columns: int) -> np.ndarray:
    """Means of neighbouring columns, so that at most ``max_columns`` are left: (n, K) -> (n, K')."""
    if z.shape[1] <= max_columns:
        return z
    edges = np.linspace(0, z.shape[1], max_columns + 1).astype(int)
    return np.add.reduceat(z, edges[:-1], axis=1) / np.diff(edges)


@dataclass(frozen=True)
class RowOrder:
    """The order of M rows, or simulations, of a catalog.

    file_numbers: (M,) the numbers in the names of their files.
    rows_per_simulation: how many rows of one simulation follow each other.
    """

    file_numbers: np.ndarray
    rows_per_simulation: int = 1

    def __len__(self) -> int:
        return len(self.file_numbers)


@dataclass(frozen=True)
class AssociationTest:
    """The dependence of the data of n units (rows, or simulations) on Q targets.

    units: ``rows`` or ``simulations``.
    probe: a ridge regression on the data of the units.
    row_order: of all M units of the file.
    targets: (M, Q) of all units of the file.
    positions: (n,) in ``targets``, of the units in the probe.
    simulations: (n,) the simulation of each unit, by which targets are shuffled.
    parameter_names: (Q,) the parameter of each target.
    n_shuffles: permutations of the null distribution.
    """

    units: str
    probe: RidgeProbe
    row_order: RowOrder
    targets: np.ndarray
    positions: np.ndarray
    simulations: np.ndarray
    parameter_names: tuple[str, ...]
    n_shuffles: int

    @cached_property
    def r2(self) -> np.ndarray:
        """(Q,) of each target."""
        return self.probe.r2(self.targets[self.positions])

    @property
    def best_r2(self) -> float:
        return float(self.r2.max())

    @cached_property
    def shuffled_r2(self) -> np.ndarray:
        """(B,) the best R2 under each permutation of the parameters of simulations."""
        simulations, first = np.unique(self.simulations, return_index=True)
        targets = self.targets[self.positions][first]
        index = np.searchsorted(simulations, self.simulations)
        rng = seeding.generator(0, "audit", "shuffles")
        permutations = (rng.permutation(len(first)) for _ in range(self.n_shuffles))
        return np.array([self.probe.r2(targets[order][index]).max() for order in permutations])

    @cached_property
    def p_value(self) -> float:
        return float((1 + (self.shuffled_r2 >= self.best_r2).sum()) / (1 + self.n_shuffles))

    def best_r2_in_order(self, order: np.ndarray) -> float:
        """The best R2 with the targets in this order (M,)."""
        return float(self.probe.r2(self.targets[order][self.positions]).max())


def association_tests(subject: CatalogUnderTest) -> list[AssociationTest]:
    """By row; and by simulation, where simulations have several rows. Empty if no parameter varies."""
    catalog, budget = subject.catalog, subject.budget
    names, targets = _rank_targets(subject)
    if not names:
        return []
    rows = _rows_within_budget(subject)
    features = compressed_features(subject, rows)
    file_targets = np.zeros((int(catalog.index.max()) + 1, targets.shape[1]))
    file_targets[catalog.index] = targets
    count = len(file_targets)
    has_several_rows = len(subject.simulation_ids) < len(catalog)
    distinct = len(np.unique(targets[subject.is_finite], axis=0))
    row_order = RowOrder(
        np.arange(count) if has_several_rows or count > len(catalog) else _file_numbers(subject.simulation_ids),
        count // distinct if count % distinct == 0 else 1,
    )
    index, probe = subject.simulation_index[rows], ridge_probe(features)
    tests = [
        AssociationTest("rows", probe, row_order, file_targets, catalog.index[rows], index, names, budget.shuffles)
    ]
    if has_several_rows:
        simulations = np.unique(index)
        mean_features = _group_means(features, np.searchsorted(simulations, index), len(simulations))
        order = RowOrder(_file_numbers(subject.simulation_ids))
        finite = subject.is_finite
        mean_targets = _group_means(targets[finite], subject.simulation_index[finite], len(order))
        probe = ridge_probe(mean_features)
        tests.append(
            AssociationTest("simulations", probe, order, mean_targets, simulations, simulations, names, budget.shuffles)
        )
    return tests


def _rows_within_budget(subject: CatalogUnderTest) -> np.ndarray:
    """Rows of evenly spaced simulations, the first rows of each."""
    rows, budget = np.flatnonzero(subject.is_finite), subject.budget
    size = max(1, catalog_row_size(subject.catalog))
    max_rows = max(MIN_SIMULATIONS, min(2 * budget.simulations, budget.numbers // size))
    simulations = np.unique(subject.simulation_index[rows])
    count = min(max_rows, budget.simulations, len(simulations))
    kept = simulations[np.linspace(0, len(simulations) - 1, count).astype(int)]
    rows = rows[np.isin(subject.simulation_index[rows], kept)]
    order = np.argsort(subject.simulation_index[rows], kind="stable")
    index = subject.simulation_index[rows][order]
    rank = np.arange(len(rows)) - np.searchsorted(index, index)  # of a row within its simulation
    return np.sort(rows[order[rank < max(1, max_rows // count)]])


def _rank_targets(subject: CatalogUnderTest) -> tuple[tuple[str, ...], np.ndarray]:
    """Ranks of each parameter that varies, and their squares: names (Q,), targets (N, Q); of classes the indicators.

    Ranks do not depend on the unit of a parameter, nor on a logarithm; squares find data that depend on |theta| only.
    """
    catalog = subject.catalog
    parameters, theta = catalog.require_parameters()
    if catalog.classes:
        indicators = (theta == np.arange(len(catalog.classes))).astype(np.float64)
        varies = np.ptp(indicators, axis=0) > 0
        return tuple(np.array(catalog.classes)[varies].tolist()), indicators[:, varies]
    rows, names, columns = np.flatnonzero(subject.is_finite), [], []
    for name, column in zip(parameters.names, theta[rows].T, strict=True):
        _, index, ties = np.unique(column, return_inverse=True, return_counts=True)
        if len(ties) > 1:
            rank = ((np.cumsum(ties) - ties / 2) / len(rows))[index] - 0.5
            columns += [rank, rank**2]
            names += [name, name]
    targets = np.zeros((len(catalog), len(names)))  # rows that are not finite get the mean
    if names:
        targets[rows] = np.stack(columns, axis=1) - np.mean(columns, axis=1)
    return tuple(names), targets


def _file_numbers(ids: np.ndarray) -> np.ndarray:
    """The digits at the end of simulation ids (G,), or the position where an id has none."""
    digits = [re.search(r"\d+$", simulation) for simulation in ids.tolist()]
    if any(match is None for match in digits):
        return np.arange(len(ids))
    return np.array([int(match[0]) for match in digits if match])


def _group_means(values: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """(n, F) -> (count, F); zero where a group is empty."""
    total = np.zeros((count, values.shape[1]))
    np.add.at(total, group, values)
    return total / np.maximum(np.bincount(group, minlength=count), 1)[:, None]
