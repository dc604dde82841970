"""What a training must be able to trust: finite numbers, inside their box."""

from dataclasses import replace

import numpy as np

from cosmoinfer.catalog.reading import ReadOptions
from cosmoinfer.catalog.rows import Catalog, fingerprint, selection_hash
from cosmoinfer.catalog.scale_cuts import select
from cosmoinfer.errors import UserError
from cosmoinfer.parameters import Parameters


def validated(catalog: Catalog, reading: ReadOptions) -> Catalog:
    """The catalog once its values are checked, with its fingerprint, reduced to what ``reading`` selects.

    Raises UserError for NaN or infinity that nothing allows, and for parameters outside their box.
    """
    catalog = without_nonfinite_rows(catalog, reading.drop_nonfinite)
    if catalog.parameters is not None and catalog.theta is not None:
        check_box(catalog, catalog.parameters, catalog.theta)
    catalog = replace(catalog, fingerprint=fingerprint(catalog), reading=reading)
    selected = select(catalog, reading)
    return replace(
        selected, selection_hash=selection_hash(selected, cut=selected.observables is not catalog.observables)
    )


def without_nonfinite_rows(catalog: Catalog, drop: bool) -> Catalog:
    """Refuse NaN and inf, or leave those rows out."""
    bad = nonfinite_rows(catalog)
    if not bad.any():
        return catalog
    rows = np.flatnonzero(bad)
    if not drop:
        raise UserError(
            f"{catalog.path}: {len(rows)} of {len(catalog)} rows hold NaN or inf ({catalog.describe_rows(rows)}); "
            "--drop-nonfinite goes on without them, --missing mask takes NaN in a vector for what was not measured"
        )
    if bad.all():
        raise UserError(f"{catalog.path}: every one of its {len(catalog)} rows holds NaN or inf")
    kept = catalog.take(np.flatnonzero(~bad))
    return replace(
        kept, notes=(*kept.notes, f"left out {len(rows)} rows with NaN or inf ({catalog.describe_rows(rows)})")
    )


def nonfinite_rows(catalog: Catalog) -> np.ndarray:
    """(N,) whether a parameter or a datum of the row is NaN or infinite; where NaN marks gaps, whether all is a gap."""
    bad = np.zeros(len(catalog), dtype=bool)
    if catalog.theta is not None:
        bad |= ~np.isfinite(catalog.theta).all(axis=1)
    for summary in catalog.observables:
        blocks = summary.blocks(np.arange(len(catalog)))
        bad |= np.concatenate([_useless(block.reshape(len(block), -1), summary.masked) for block in blocks])
    return bad


def _useless(values: np.ndarray, masked: bool) -> np.ndarray:
    """(n, K) -> (n,)."""
    if masked:
        return np.isinf(values).any(axis=1) | np.isnan(values).all(axis=1)
    return ~np.isfinite(values).all(axis=1)


def check_box(catalog: Catalog, parameters: Parameters, theta: np.ndarray) -> None:
    outside = np.flatnonzero(~parameters.inside(theta))
    if len(outside):
        row = outside[0]
        column = next(
            c
            for c in range(len(parameters))
            if not parameters.select([parameters.names[c]]).inside(theta[row, c : c + 1])
        )
        raise UserError(
            f"{catalog.path}: {len(outside)} rows lie outside the declared box ({catalog.describe_rows(outside)}); "
            f"{parameters.names[column]} = {theta[row, column]:g} is not in "
            f"{parameters.low[column]:g}..{parameters.high[column]:g}"
        )
