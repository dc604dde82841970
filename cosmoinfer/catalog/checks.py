"""Checks of values: finite numbers, parameters inside their box."""

from dataclasses import replace

import numpy as np

from cosmoinfer.catalog.read_options import ReadOptions
from cosmoinfer.catalog.rows import Catalog, fingerprint, selection_hash
from cosmoinfer.catalog.scale_cuts import select
from cosmoinfer.errors import UserError
from cosmoinfer.parameters import Parameters


def validated(catalog: Catalog, read_options: ReadOptions) -> Catalog:
    """The catalog once its values are checked, with its fingerprint, reduced to what ``read_options`` select.

    Raises UserError for NaN or infinity that nothing allows, and for parameters outside their box.
    """
    catalog = without_nonfinite_rows(catalog, read_options.drop_nonfinite)
    if catalog.parameters is not None and catalog.theta is not None:
        check_box(catalog, catalog.parameters, catalog.theta)
    catalog = replace(catalog, fingerprint=fingerprint(catalog), read_options=read_options)
    selected = select(catalog, read_options)
    return replace(
        selected, selection_hash=selection_hash(selected, cut=selected.observables is not catalog.observables)
    )


def without_nonfinite_rows(catalog: Catalog, drop: bool) -> Catalog:
    """The catalog, or with ``drop`` its finite rows.

    Raises UserError for rows with NaN or infinity, unless they are dropped and others remain.
    """
    bad = nonfinite_rows(catalog)
    if not bad.any():
        return catalog
    rows = np.flatnonzero(bad)
    if not drop:
        raise UserError(
            f"{catalog.path}: {len(rows)} of {len(catalog)} rows hold NaN or inf ({catalog.describe_rows(rows)}); "
            "`drop_nonfinite` leaves them out, `missing=mask` reads NaN in a vector as not measured"
        )
    if bad.all():
        raise UserError(f"{catalog.path}: all of its {len(catalog)} rows hold NaN or inf")
    kept = catalog.select(np.flatnonzero(~bad))
    return replace(
        kept, notes=(*kept.notes, f"left out {len(rows)} rows with NaN or inf ({catalog.describe_rows(rows)})")
    )


def nonfinite_rows(catalog: Catalog) -> np.ndarray:
    """(N,) whether a row has a NaN or infinite value; where NaN marks missing entries, whether all are missing."""
    bad = np.zeros(len(catalog), dtype=bool)
    if catalog.theta is not None:
        bad |= ~np.isfinite(catalog.theta).all(axis=1)
    for observable in catalog.observables:
        blocks = observable.blocks(np.arange(len(catalog)))
        bad |= np.concatenate([_is_nonfinite(block.reshape(len(block), -1), observable.masked) for block in blocks])
    return bad


def _is_nonfinite(values: np.ndarray, masked: bool) -> np.ndarray:
    """(n, K) -> (n,)."""
    if masked:
        return np.isinf(values).any(axis=1) | np.isnan(values).all(axis=1)
    return ~np.isfinite(values).all(axis=1)


def check_box(catalog: Catalog, parameters: Parameters, theta: np.ndarray) -> None:
    """Raises UserError when rows of theta, (N, P), lie outside the declared box."""
    outside = np.flatnonzero(~parameters.inside(theta))
    if not len(outside):
        return
    row = outside[0]
    column = next(
        number
        for number, name in enumerate(parameters.names)
        if not parameters.select([name]).inside(theta[row, number : number + 1])
    )
    raise UserError(
        f"{catalog.path}: {len(outside)} rows lie outside the declared box ({catalog.describe_rows(outside)}); "
        f"{parameters.names[column]} = {theta[row, column]:g} is not in "
        f"{parameters.low[column]:g}..{parameters.high[column]:g}"
    )
