"""Whether the data know of the parameters at all, as they stand or in another order of the rows.

A ridge regression judges, against parameters shuffled by simulation. What it cannot see, a network may: no finding says
that the data are worthless, only that something should be looked at.
"""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.audit.catalog_under_test import Subject
from cosmoinfer.audit.finding import Finding, error, note, warning
from cosmoinfer.audit.ridge_probe import Probe, few_numbers, probe
from cosmoinfer.audit.row_order import REORDERINGS, Line, Reordering
from cosmoinfer.errors import listed

LEAST = 30  # simulations
UNSEEN = 0.02  # the p-value above which shuffled parameters do as well
BEYOND_CHANCE = 5.0  # standard deviations of shuffled parameters, and
BETTER = 3.0  # of a difference, by which another order must do better


def dependence(subject: Subject) -> list[Finding]:
    """Another order of the rows that does better than theirs; else data that know nothing; else parameters unknown."""
    if subject.catalog.theta is None or subject.catalog.parameters is None or len(subject.first) < LEAST:
        return []
    asked = questions(subject)
    for question in asked:
        if found := _better_order(question):
            return [found]
    if not asked:
        return []
    question = max(asked, key=lambda one: one.best)
    if all(one.p_value > UNSEEN for one in asked):
        return [_unknown(question)]
    return _unconstrained(question)


# -------------------------------------------------------------------------------------------------- what is asked
@dataclass(frozen=True)
class Question:
    """What n units (rows, or simulations) of data say of targets on a line (M, Q), of which theirs stand at ``places``.

    names: the parameter of each target. group: (n,) the simulation of each unit, by which targets are shuffled.
    """

    units: str
    probe: Probe
    line: Line
    targets: np.ndarray
    places: np.ndarray
    group: np.ndarray
    names: tuple[str, ...]
    shuffles: int

    @cached_property
    def r2(self) -> np.ndarray:
        """Of each target, (Q,)."""
        return self.probe.r2(self.targets[self.places])

    @property
    def best(self) -> float:
        return float(self.r2.max())

    @cached_property
    def chance(self) -> np.ndarray:
        """The best R2 of parameters shuffled by simulation, (B,)."""
        number, first = np.unique(self.group, return_index=True)
        own = self.targets[self.places]
        place = np.searchsorted(number, self.group)
        rng = seeding.generator(0, "audit", "shuffles")
        return np.array(
            [self.probe.r2(own[first][rng.permutation(len(first))][place]).max() for _ in range(self.shuffles)]
        )

    @cached_property
    def p_value(self) -> float:
        return float((1 + (self.chance >= self.best).sum()) / (1 + self.shuffles))

    def in_order(self, order: np.ndarray) -> float:
        """The best R2, were the targets taken in this order (M,)."""
        return float(self.probe.r2(self.targets[order][self.places]).max())


def questions(subject: Subject) -> list[Question]:
    """Row by row, in the order of the file; and by simulation, where several rows are one. None if nothing varies."""
    catalog, budget = subject.catalog, subject.budget
    names, values = _targets(subject)
    if not names:
        return []
    rows = _chosen(subject)
    features = few_numbers(subject, rows)
    on_file = np.zeros((int(catalog.index.max()) + 1, values.shape[1]))
    on_file[catalog.index] = values
    several = len(subject.ids) < len(catalog)
    distinct = len(np.unique(values[subject.finite], axis=0))
    line = Line(
        np.arange(len(on_file)) if several or len(on_file) > len(catalog) else _numbers(subject.ids),
        len(on_file) // distinct if len(on_file) % distinct == 0 else 1,
    )
    number = subject.number[rows]
    asked = [Question("rows", probe(features), line, on_file, catalog.index[rows], number, names, budget.shuffles)]
    if several:
        units = np.unique(number)
        place = np.searchsorted(units, number)
        line = Line(_numbers(subject.ids))
        of_simulation = _means(values[subject.finite], subject.number[subject.finite], len(line))
        means = probe(_means(features, place, len(units)))
        asked.append(Question("simulations", means, line, of_simulation, units, units, names, budget.shuffles))
    return asked


def _chosen(subject: Subject) -> np.ndarray:
    """Rows within the budget: of simulations spread over the catalog, the first rows of each."""
    rows, budget = np.flatnonzero(subject.finite), subject.budget
    size = sum(int(np.prod(one.row_shape)) for one in subject.catalog.observables)
    most = max(LEAST, min(2 * budget.simulations, budget.numbers // max(1, size)))  # rows
    simulations = np.unique(subject.number[rows])
    count = min(most, budget.simulations, len(simulations))
    kept = simulations[np.linspace(0, len(simulations) - 1, count).astype(int)]
    rows = rows[np.isin(subject.number[rows], kept)]
    order = np.argsort(subject.number[rows], kind="stable")
    number = subject.number[rows][order]
    rank = np.arange(len(rows)) - np.searchsorted(number, number)  # of a row within its simulation
    return np.sort(rows[order[rank < max(1, most // count)]])


def _targets(subject: Subject) -> tuple[tuple[str, ...], np.ndarray]:
    """Ranks of each parameter that varies, and their squares: names (Q,) and values (N, Q); classes one by one.

    By ranks nothing depends on a parameter's unit, nor on a logarithm; by squares data that know |theta| are seen.
    """
    catalog = subject.catalog
    parameters, theta = catalog.require_parameters()
    if catalog.classes:
        values = (theta == np.arange(len(catalog.classes))).astype(np.float64)
        varies = np.ptp(values, axis=0) > 0
        return tuple(name for name, one in zip(catalog.classes, varies, strict=True) if one), values[:, varies]
    rows, names, columns = np.flatnonzero(subject.finite), [], []
    for name, column in zip(parameters.names, theta[rows].T, strict=True):
        _, place, ties = np.unique(column, return_inverse=True, return_counts=True)
        if len(ties) > 1:
            rank = ((np.cumsum(ties) - ties / 2) / len(rows))[place] - 0.5
            columns += [rank, rank**2]
            names += [name, name]
    values = np.zeros((len(catalog), len(names)))  # rows that are not finite stand in the middle
    if names:
        values[rows] = np.stack(columns, axis=1) - np.mean(columns, axis=1)
    return tuple(names), values


def _numbers(ids: np.ndarray) -> np.ndarray:
    """What simulations are numbered by: the digits at the end of their ids, else their place."""
    found = [re.search(r"\d+$", one) for one in ids.tolist()]
    if any(one is None for one in found):
        return np.arange(len(ids))
    return np.array([int(one[0]) for one in found if one])


def _means(values: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """(n, F) -> (count, F); zero where a group is empty."""
    total = np.zeros((count, values.shape[1]))
    np.add.at(total, group, values)
    return total / np.maximum(np.bincount(group, minlength=count), 1)[:, None]


# -------------------------------------------------------------------------------------------------- what is found
def _better_order(question: Question) -> Finding | None:
    """The order, of those in which rows get mixed up, that does far better than the present one."""
    tried: list[tuple[float, Reordering]] = []
    seen = {np.arange(len(question.line)).tobytes()}
    for one in REORDERINGS.values():
        for order in one.orders(question.line):
            if order.tobytes() not in seen:
                seen.add(order.tobytes())
                tried.append((question.in_order(order), one))
    if not tried:
        return None
    best, reordering = max(tried, key=lambda pair: pair[0])
    needed = question.best + BETTER * _error(best, question)
    if best < needed or best <= question.chance.max() + BEYOND_CHANCE * question.chance.std():
        return None
    text = f"parameters and data of different {question.units} stand beside each other (ridge R2 {question.best:.2f})"
    text += f"; it looks as if {reordering.what} (undone, it is {best:.2f}): {reordering.mend}"
    return error(text)


def _error(r2: float, question: Question) -> float:
    """Of a difference between R2 and that of another order."""
    count = len(np.unique(question.group))
    return float(question.chance.std() + 2 * np.sqrt(r2) * (1 - r2) / np.sqrt(count))


def _unknown(question: Question) -> Finding:
    text = f"the data know nothing of {listed(dict.fromkeys(question.names))} that a ridge regression could see"
    text += f" (R2 {question.best:.2g}, with shuffled parameters up to {question.chance.max():.2g}, "
    text += f"p = {question.p_value:.2g})"
    return warning(f"{text}; do the rows of parameters and data belong together, and is /data what it should be?")


def _unconstrained(question: Question) -> list[Finding]:
    """Parameters of which the data say nothing, while they do of others: nothing is wrong with that."""
    seen = {name for name, r2 in zip(question.names, question.r2, strict=True) if r2 > question.chance.max()}
    unseen = [name for name in dict.fromkeys(question.names) if name not in seen]
    of_rank = dict(
        zip(reversed(question.names), reversed(question.r2.tolist()), strict=True)
    )  # it stands before its square
    found = [note(f"ridge R2: {', '.join(f'{name} {of_rank[name]:.2g}' for name in dict.fromkeys(question.names))}")]
    if unseen:
        text = f"the data say nothing of {listed(unseen)} that a ridge regression could see"
        found.append(note(f"{text}; a posterior that is the prior would be no surprise"))
    return found
