"""Rows of one simulation taken together, as observations of one universe. A set is represented by its first row."""

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError, join_first

GROUPING = "`simulation` or `rows_per_simulation` says which rows belong together"


def group_by_simulation(catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
    """Split rows (n,), by position, by simulation, in the order in which simulations first appear."""
    _, first, group = np.unique(catalog.simulation[rows], return_index=True, return_inverse=True)
    order = np.argsort(group, kind="stable")
    groups = np.split(rows[order], np.cumsum(np.bincount(group))[:-1])
    return [groups[number] for number in np.argsort(first)]


def representatives(catalog: Catalog, rows: np.ndarray) -> np.ndarray:
    """The first row in the catalog, (G,), of each simulation to which one of these rows (n,) belongs."""
    groups = _whole_groups(catalog, rows)
    return np.array([groups[name][0] for name in dict.fromkeys(catalog.simulation[rows].tolist())])


def simulation_rows(catalog: Catalog, rows: np.ndarray, size: int) -> np.ndarray:
    """All rows of the simulation of each of these rows (n,), (n, size).

    Raises UserError when a simulation has another number of rows.
    """
    groups = _whole_groups(catalog, rows)
    for name, group in groups.items():
        if len(group) != size:
            raise UserError(
                f"{catalog.path}: simulation {name} has {len(group)} rows (row {join_first(catalog.index[group])}); "
                f"the flow takes sets of {size} ({GROUPING})"
            )
    return np.stack([groups[name] for name in catalog.simulation[rows].tolist()])


def rows_per_simulation(catalog: Catalog) -> int:
    """How many rows each simulation has.

    Raises UserError when it is one, differs between simulations, or the parameters of a simulation differ.
    """
    groups = group_by_simulation(catalog, np.arange(len(catalog)))
    sizes = sorted({len(group) for group in groups})
    if sizes == [1]:
        raise UserError(f"{catalog.path}: `observation=simulation`: no two rows share a simulation; {GROUPING}")
    if len(sizes) > 1:
        smaller = next(group for group in groups if len(group) != sizes[-1])
        raise UserError(
            f"{catalog.path}: `observation=simulation`: expected the same number of rows for every simulation, found "
            f"{sizes[0]} to {sizes[-1]} (simulation {catalog.simulation[smaller[0]]} has {len(smaller)})"
        )
    for group in groups:
        check_same_parameters(catalog, group)
    return sizes[0]


def check_same_parameters(catalog: Catalog, rows: np.ndarray) -> None:
    """Raises UserError when the rows (n,) of one simulation have different parameters."""
    if catalog.theta is not None and catalog.has_theta[rows].any() and np.ptp(catalog.theta[rows], axis=0).any():
        raise UserError(
            f"{catalog.path}: the rows of simulation {catalog.simulation[rows[0]]} have different parameters "
            f"(row {join_first(catalog.index[rows])}); they are not of one universe"
        )


def _whole_groups(catalog: Catalog, rows: np.ndarray) -> dict[str, np.ndarray]:
    """All rows of each simulation to which one of these rows belongs."""
    of_simulations = np.flatnonzero(np.isin(catalog.simulation, catalog.simulation[rows]))
    return {str(catalog.simulation[group[0]]): group for group in group_by_simulation(catalog, of_simulations)}
