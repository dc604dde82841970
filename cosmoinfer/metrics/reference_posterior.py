"""A reference posterior of the same observations to compare with: another model's, or the exact one."""

from dataclasses import dataclass, replace

import numpy as np

from cosmoinfer.errors import UserError, join_first
from cosmoinfer.posterior import Posterior


@dataclass(frozen=True)
class ReferencePosterior:
    """A posterior to compare with.

    posterior: of the same observations.
    kind: what it is, in a word or two: "regressor", "exact posterior".
    exact: whether its densities and draws are those of the true posterior.
    """

    posterior: Posterior
    kind: str
    exact: bool = False


def match_observations(posterior: Posterior, reference: ReferencePosterior) -> tuple[Posterior, ReferencePosterior]:
    """Both, restricted to the observations (row number and simulation) that they share, in the order of the first.

    Raises UserError if they share none, differ in their parameters or true values, or combine different numbers of
    observations.
    """
    _check_parameters(posterior, reference)
    position = {key: number for number, key in enumerate(_keys(reference.posterior))}
    positions = np.array([position.get(key, -1) for key in _keys(posterior)], dtype=np.int64)
    if not (positions >= 0).any():
        mismatch = _describe_mismatch(posterior, reference.posterior)
        raise UserError(f"the {reference.kind} has none of these observations: {mismatch}")
    posterior = posterior.select(positions >= 0)
    reference = replace(reference, posterior=reference.posterior.select(positions[positions >= 0]))
    _check_truths(posterior, reference)
    _check_observation_counts(posterior, reference)
    return posterior, reference


def _keys(posterior: Posterior) -> list[tuple[int, str]]:
    return list(zip(posterior.index.tolist(), posterior.simulation.astype(str).tolist(), strict=True))


def _check_parameters(posterior: Posterior, reference: ReferencePosterior) -> None:
    if posterior.classes is not None or reference.posterior.classes is not None:
        raise UserError("expected two posteriors of parameters; a classifier has none", "compare_to")
    expected, names = posterior.parameters.names, reference.posterior.parameters.names
    if names != expected:
        raise UserError(
            f"the {reference.kind} has the parameters {join_first(names)}; expected {join_first(expected)}, "
            "in this order"
        )


def _describe_mismatch(posterior: Posterior, reference: Posterior) -> str:
    shared = np.intersect1d(posterior.index, reference.index)
    if len(shared) == 0:
        return (
            f"it holds row {join_first(reference.index.tolist())}; expected row {join_first(posterior.index.tolist())}"
        )
    expected, simulation = (str(side.simulation[side.index == shared[0]][0]) for side in (posterior, reference))
    return f"row {shared[0]} is of simulation {simulation}; expected simulation {expected}"


def _check_observation_counts(posterior: Posterior, reference: ReferencePosterior) -> None:
    """Posteriors of one row, and of all rows of its simulation, differ although both are correct."""
    expected, counts = (
        np.ones(len(side)) if side.diagnostics.n_observations is None else side.diagnostics.n_observations
        for side in (posterior, reference.posterior)
    )
    differs = expected != counts
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        raise UserError(
            f"the {reference.kind} is of other data: it combines {counts[row]:g} observations, and this posterior "
            f"{expected[row]:g} (row {posterior.index[row]}); expected both of the same"
        )


def _check_truths(posterior: Posterior, reference: ReferencePosterior) -> None:
    """All catalogs number their rows from zero: equal row numbers may be of different universes."""
    if posterior.truth is None or reference.posterior.truth is None:
        return
    differs = ~np.isclose(posterior.truth, reference.posterior.truth, rtol=1e-6, atol=0)
    if differs.any():
        row, column = (int(axis[0]) for axis in np.nonzero(differs))
        raise UserError(
            f"the {reference.kind} belongs to other observations: {posterior.parameters.names[column]} of row "
            f"{posterior.index[row]} is {reference.posterior.truth[row, column]:g}; expected "
            f"{posterior.truth[row, column]:g} ({differs.any(axis=1).sum()} of {len(posterior)} rows differ)"
        )
