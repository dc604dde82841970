"""Rows of one simulation taken together, as observations of one universe. A set goes by the first of its rows."""

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError, listed


def group_by_simulation(catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
    """These rows (by position) by simulation, in the order in which simulations first appear."""
    _, first, which = np.unique(catalog.simulation[rows], return_index=True, return_inverse=True)
    order = np.argsort(which, kind="stable")
    apart = np.split(rows[order], np.cumsum(np.bincount(which))[:-1])
    return [apart[number] for number in np.argsort(first)]


def representatives(catalog: Catalog, rows: np.ndarray) -> np.ndarray:
    """The first row in the catalog of each simulation that one of these rows is of."""
    wanted = np.flatnonzero(np.isin(catalog.simulation, catalog.simulation[rows]))
    found = {catalog.simulation[own[0]]: own[0] for own in group_by_simulation(catalog, wanted)}
    return np.array([found[one] for one in dict.fromkeys(catalog.simulation[rows].tolist())])


def simulation_rows(catalog: Catalog, rows: np.ndarray, size: int) -> np.ndarray:
    """All rows of the simulation of each of these rows, (n, size); every simulation must have so many."""
    wanted = np.flatnonzero(np.isin(catalog.simulation, catalog.simulation[rows]))
    found = {str(catalog.simulation[own[0]]): own for own in group_by_simulation(catalog, wanted)}
    for one, own in found.items():
        if len(own) != size:
            raise UserError(
                f"{catalog.path}: simulation {one} has {len(own)} rows (row {listed(catalog.index[own])}); the flow "
                f"takes sets of {size} (--simulation or --rows-per-simulation says which rows belong together)"
            )
    return np.stack([found[one] for one in catalog.simulation[rows].tolist()])


def rows_per_simulation(catalog: Catalog) -> int:
    """How many rows every simulation has: the same for all, and more than one; of one universe each."""
    apart = group_by_simulation(catalog, np.arange(len(catalog)))
    sizes = sorted({len(own) for own in apart})
    if sizes == [1]:
        raise UserError(
            f"{catalog.path}: --combine set: no two rows share a simulation; --simulation or --rows-per-simulation "
            "says which belong together"
        )
    if len(sizes) > 1:
        few = next(own for own in apart if len(own) != sizes[-1])
        raise UserError(
            f"{catalog.path}: --combine set: expected as many rows of every simulation, found {sizes[0]} to "
            f"{sizes[-1]} (simulation {catalog.simulation[few[0]]} has {len(few)})"
        )
    for own in apart:
        check_same_parameters(catalog, own)
    return sizes[0]


def check_same_parameters(catalog: Catalog, own: np.ndarray) -> None:
    """The rows of a simulation have the same parameters."""
    if catalog.theta is not None and np.ptp(catalog.theta[own], axis=0).any():
        raise UserError(
            f"{catalog.path}: the rows of simulation {catalog.simulation[own[0]]} have different parameters "
            f"(row {listed(catalog.index[own])}); they are not of one universe"
        )
