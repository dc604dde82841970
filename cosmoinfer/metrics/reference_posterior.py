"""Another posterior of the same observations, to hold one against: another model's, or the exact one."""

from dataclasses import dataclass, replace

import numpy as np

from cosmoinfer.errors import UserError, join_first
from cosmoinfer.posterior import Posterior


@dataclass(frozen=True)
class ReferencePosterior:
    """``kind``: what it is, in a word or two. ``exact``: its densities and draws are those of the truth."""

    posterior: Posterior
    kind: str
    exact: bool = False


def match_observations(posterior: Posterior, other: ReferencePosterior) -> tuple[Posterior, ReferencePosterior]:
    """The observations that both have, in the order of the first: those of one row number and one simulation."""
    _check_alike(posterior, other)
    place = {key: number for number, key in enumerate(_keys(other.posterior))}
    found = np.array([place.get(key, -1) for key in _keys(posterior)], dtype=np.int64)
    if not (found >= 0).any():
        raise UserError(f"the {other.kind} has none of these observations: {_unlike(posterior, other.posterior)}")
    first = posterior.take(found >= 0)
    second = replace(other, posterior=other.posterior.take(found[found >= 0]))
    _check_truths(first, second)
    _check_data(first, second)
    return first, second


def _keys(posterior: Posterior) -> list[tuple[int, str]]:
    return list(zip(posterior.index.tolist(), posterior.simulation.astype(str).tolist(), strict=True))


def _check_alike(posterior: Posterior, other: ReferencePosterior) -> None:
    if posterior.classes is not None or other.posterior.classes is not None:
        raise UserError("--compare-to compares posteriors of parameters; a classifier has none")
    names, others = posterior.parameters.names, other.posterior.parameters.names
    if names != others:
        raise UserError(f"the {other.kind} is one of {join_first(others)}; expected {join_first(names)}, in this order")


def _unlike(posterior: Posterior, other: Posterior) -> str:
    shared = np.intersect1d(posterior.index, other.index)
    if len(shared) == 0:
        return f"it holds row {join_first(other.index.tolist())}; expected row {join_first(posterior.index.tolist())}"
    here, there = (str(one.simulation[one.index == shared[0]][0]) for one in (posterior, other))
    return f"row {shared[0]} is of simulation {there}; expected simulation {here}"


def _check_data(first: Posterior, second: ReferencePosterior) -> None:
    """Of one row and of all rows of its simulation, both right posteriors differ."""
    here, there = (
        np.ones(len(one)) if one.diagnostics.n_observations is None else one.diagnostics.n_observations
        for one in (first, second.posterior)
    )
    if (apart := here != there).any():
        row = int(np.flatnonzero(apart)[0])
        raise UserError(
            f"the {second.kind} is of other data: of {there[row]:g} observations where this one is of {here[row]:g} "
            f"(row {first.index[row]}); expected both of the same"
        )


def _check_truths(first: Posterior, second: ReferencePosterior) -> None:
    """Catalogs count their rows alike: the same numbers may be other universes."""
    if first.truth is None or second.posterior.truth is None:
        return
    apart = ~np.isclose(first.truth, second.posterior.truth, rtol=1e-6, atol=0)
    if apart.any():
        row, column = (int(place[0]) for place in np.nonzero(apart))
        raise UserError(
            f"the {second.kind} is one of other observations: {first.parameters.names[column]} of row "
            f"{first.index[row]} is {second.posterior.truth[row, column]:g}; expected {first.truth[row, column]:g} "
            f"({apart.any(axis=1).sum()} of {len(first)} rows differ)"
        )
