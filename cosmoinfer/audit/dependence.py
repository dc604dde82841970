"""Whether the data depend on the parameters, in the present order of the rows or in another one.

In another one: a mistake, by which parameters are paired with the data of other simulations. A network may find a
dependence that a ridge regression misses: no finding claims that the data carry no information, only that rows should
be checked.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cosmoinfer.audit.association import (
    MIN_SIMULATIONS,
    AssociationTest,
    RowOrder,
    association_tests,
)
from cosmoinfer.audit.check import CatalogUnderTest, Check, Finding, error, note, warning
from cosmoinfer.errors import join_first

SORT_BY_NUMBER = "sort files by number, not by name, when the catalog is made"
MAX_ASSOCIATION_P_VALUE = 0.02  # above which the data are not found to depend on the parameters
MIN_SIGMA_ABOVE_SHUFFLED = 5.0  # standard deviations of the shuffled R2, beyond their maximum, for another order
MIN_SIGMA_ABOVE_PRESENT_ORDER = 3.0  # standard errors, for another order


@dataclass(frozen=True)
class Reordering:
    """A mistake in the order of rows.

    permutations: of a row order, index arrays p (M,): theta[p] would be paired with the right data.
    description: what went wrong, as a clause.
    remedy: how to correct it.
    """

    permutations: Callable[[RowOrder], list[np.ndarray]]
    description: str
    remedy: str


def sorted_by_name(row_order: RowOrder) -> list[np.ndarray]:
    """The order of a listing of files: numbered from 0, from 1 or by file number, followed by a dot or a word."""
    positions = np.arange(len(row_order))
    return [
        np.argsort(np.array([f"{number}{end}" for number in numbers.tolist()]), kind="stable")
        for numbers in (positions, positions + 1, row_order.file_numbers)
        for end in (".", "_")
    ]


def shifted(row_order: RowOrder) -> list[np.ndarray]:
    """Shifts by one row, both ways."""
    positions = np.arange(len(row_order))
    return [np.roll(positions, -1), np.roll(positions, 1)]


def interleaved(row_order: RowOrder) -> list[np.ndarray]:
    """Rows that cycle through all simulations, against rows that are ordered by simulation; and the inverse."""
    size = row_order.rows_per_simulation
    if size < 2 or len(row_order) % size:
        return []
    order = np.arange(len(row_order)).reshape(-1, size).T.ravel()
    return [order, np.argsort(order)]


REORDERINGS = {
    "data-by-name": Reordering(
        sorted_by_name, "the data are sorted by name (0, 1, 10, 100, ...), the parameters by number", SORT_BY_NUMBER
    ),
    "parameters-by-name": Reordering(
        lambda row_order: [np.argsort(order) for order in sorted_by_name(row_order)],
        "the parameters are sorted by name (0, 1, 10, 100, ...), the data by number",
        SORT_BY_NUMBER,
    ),
    "shifted": Reordering(
        shifted,
        "one of the two is shifted by one row",
        "look for a header that was read as a row, or a first file that is missing",
    ),
    "reversed": Reordering(
        lambda row_order: [np.arange(len(row_order))[::-1]], "one of the two is in reversed order", "reverse it"
    ),
    "interleaved": Reordering(
        interleaved,
        "one of the two cycles through all simulations, the other is ordered by simulation",
        "repeat the parameters in the order of the data (np.tile, not np.repeat, or the inverse)",
    ),
}


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


def _wrong_order(test: AssociationTest) -> Finding | None:
    """The reordering whose R2 exceeds that of the present order by far, if there is one."""
    trials: list[tuple[float, Reordering]] = []
    tried = {np.arange(len(test.row_order)).tobytes()}
    for reordering in REORDERINGS.values():
        for order in reordering.permutations(test.row_order):
            if order.tobytes() not in tried:
                tried.add(order.tobytes())
                trials.append((test.best_r2_in_order(order), reordering))
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
