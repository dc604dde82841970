"""Whether the data depend on the parameters, in the present order of the rows or in another one.

The test is a ridge regression, against a null distribution of parameters shuffled by simulation. A network may find a
dependence that it misses: no finding claims that the data carry no information, only that rows should be checked.
"""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.audit.catalog_under_test import CatalogUnderTest, catalog_row_size
from cosmoinfer.audit.check import Check
from cosmoinfer.audit.finding import Finding, error, note, warning
from cosmoinfer.audit.ridge_probe import RidgeProbe, compressed_features, ridge_probe
from cosmoinfer.audit.row_order import REORDERINGS, Reordering, RowOrder
from cosmoinfer.errors import join_first

MIN_SIMULATIONS = 30
MAX_ASSOCIATION_P_VALUE = 0.02  # above which the data are not found to depend on the parameters
MIN_SIGMA_ABOVE_SHUFFLED = 5.0  # standard deviations of the shuffled R2, beyond their maximum, for another order
MIN_SIGMA_ABOVE_PRESENT_ORDER = 3.0  # standard errors, for another order


def data_parameter_association(subject: CatalogUnderTest) -> list[Finding]:
    """A wrong order of the rows; else data without dependence on any parameter; else the parameters without one."""
    if subject.catalog.theta is None or subject.catalog.parameters is None or len(subject.first_rows) < MIN_SIMULATIONS:
        return []
    tests = association_tests(subject)
    if not tests:
        return []
    for test in tests:
        if finding := _wrong_order(test):
            return [finding]
    strongest = max(tests, key=lambda test: test.best_r2)
    if all(test.p_value > MAX_ASSOCIATION_P_VALUE for test in tests):
        return [_no_association(strongest)]
    return _unconstrained_parameters(strongest)


# ------------------------------------------------------------------------------------------------------- the tests
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


# ---------------------------------------------------------------------------------------------------- the findings
def _wrong_order(test: AssociationTest) -> Finding | None:
    """The reordering whose R2 exceeds that of the present order by far, if there is one."""
    trials: list[tuple[float, Reordering]] = []
    tried = {np.arange(len(test.row_order)).tobytes()}
    for reordering in REORDERINGS.values():
        for order in reordering.permutations(test.row_order):
            if order.tobytes() not in tried:
                tried.add(order.tobytes())
                trials.append((test.best_r2_in_order(order), reordering))
    if not trials:
        return None
    best, reordering = max(trials, key=lambda trial: trial[0])
    threshold = test.best_r2 + MIN_SIGMA_ABOVE_PRESENT_ORDER * _r2_difference_error(best, test)
    if best < threshold or best <= test.shuffled_r2.max() + MIN_SIGMA_ABOVE_SHUFFLED * test.shuffled_r2.std():
        return None
    text = f"parameters and data of different {test.units} are paired (ridge R2 {test.best_r2:.2f}): apparently "
    return error(f"{text}{reordering.description} (in the right order it is {best:.2f})", reordering.remedy)


def _r2_difference_error(r2: float, test: AssociationTest) -> float:
    """The standard error of the difference between an R2 and that of the present order."""
    count = len(np.unique(test.simulations))
    return float(test.shuffled_r2.std() + 2 * np.sqrt(r2) * (1 - r2) / np.sqrt(count))


def _no_association(test: AssociationTest) -> Finding:
    names = join_first(dict.fromkeys(test.parameter_names))
    numbers = f"R2 {test.best_r2:.2g}, with shuffled parameters up to {test.shuffled_r2.max():.2g}"
    return warning(
        f"a ridge regression finds no dependence of the data on {names} ({numbers}, p = {test.p_value:.2g})",
        "check that the rows of parameters and data belong together, and that /data is the right dataset",
    )


def _unconstrained_parameters(test: AssociationTest) -> list[Finding]:
    """Notes on the R2 of each parameter, and on the parameters without a dependence, which is no fault."""
    names = tuple(dict.fromkeys(test.parameter_names))
    best_shuffled = test.shuffled_r2.max()
    constrained = {name for name, r2 in zip(test.parameter_names, test.r2, strict=True) if r2 > best_shuffled}
    unconstrained = [name for name in names if name not in constrained]
    r2_of_rank = dict(zip(reversed(test.parameter_names), reversed(test.r2.tolist()), strict=True))  # before its square
    notes = [note(f"ridge R2: {', '.join(f'{name} {r2_of_rank[name]:.2g}' for name in names)}")]
    if unconstrained:
        text = f"a ridge regression finds no dependence of the data on {join_first(unconstrained)}"
        notes.append(note(f"{text}: the posterior may equal the prior there"))
    return notes


CHECKS = {"data_parameter_association": Check(data_parameter_association, before_training=True)}
