"""Features that say nothing, that say what others say, or what they should not: the answer, the row number."""

import numpy as np

from cosmoinfer.audit.catalog_under_test import Subject
from cosmoinfer.audit.feature_range import Span
from cosmoinfer.audit.finding import Finding, error, note, warning
from cosmoinfer.catalog import Observable
from cosmoinfer.errors import listed

NEARLY = 1e-6  # spread over size: what single precision resolves of it
MODE = 0.99
LEAST = 20  # rows, for anything statistical
SAME = 1e-9  # of the variance: a feature that is a parameter, but for its unit and single precision
SAMPLE = 500  # rows that are enough for a first look
FEW = 3  # features: of fewer, all may be the same by right


def constant(subject: Subject) -> list[Finding]:
    """Features that never vary, or by less than can be resolved; channels; of the numbers that are there."""
    found = []
    for summary, span in zip(subject.catalog.observables, subject.spans, strict=True):
        name, still = f"/{summary.name}", np.flatnonzero(span.spread == 0)
        if len(still) == len(span.spread):
            found.append(error(f"{name}: the same in every row"))
            continue
        channels = _still_channels(summary, span)
        if channels:
            found.append(warning(f"{name}: channel {listed(channels)} is the same in every row; leave it out"))
        elif len(still):
            text = f"{name}: {len(still)} constant features ({listed(still)})"
            cut = "; --scale-cut cuts them off" if summary.kind in ("vector", "profile") else ""
            found.append(warning(text + cut))
        with np.errstate(invalid="ignore"):
            nearly = (span.spread > 0) & (span.spread <= NEARLY * np.maximum(np.abs(span.low), np.abs(span.high)))
        if nearly.any():
            columns = np.flatnonzero(nearly)
            text = f"{name}: {len(columns)} nearly constant features ({listed(columns)}), which vary in the last digits"
            found.append(warning(f"{text} of single precision only; take a constant off, or leave them out"))
    return found


def _still_channels(summary: Observable, span: Span) -> list[int]:
    """Channels, of several, none of whose pixels varies."""
    if summary.kind == "vector" or summary.row_shape[0] == 1:
        return []
    return [int(one) for one in np.flatnonzero((span.spread.reshape(summary.row_shape[0], -1) == 0).all(axis=1))]


def gaps(subject: Subject) -> list[Finding]:
    """How much is missing where NaN marks gaps, and what always is."""
    found = []
    for summary, span in zip(subject.catalog.observables, subject.spans, strict=True):
        if summary.masked:
            share = 1 - span.count.sum() / (span.rows * len(span.count))
            found.append(note(f"/{summary.name}: {100 * share:.3g} % of its entries are gaps"))
        never = np.flatnonzero(span.count == 0)
        if len(never) and summary.masked:
            text = f"/{summary.name}: {len(never)} features always missing ({listed(never)})"
            found.append(warning(text + ("; --scale-cut cuts them off" if summary.kind == "vector" else "")))
    return found


def usual(subject: Subject) -> list[Finding]:
    """Features that are one and the same number in nearly all rows."""
    found = []
    for summary, span in zip(subject.catalog.observables, subject.spans, strict=True):
        if summary.kind != "vector":
            continue
        there = span.count > 0
        values = np.where(there, summary.array, 0.0)
        columns = np.flatnonzero(((values == np.nanmedian(values, axis=0)).mean(axis=0) >= MODE) & (span.spread > 0))
        if len(columns):
            found.append(
                note(f"/{summary.name}: one number in 99 % of the rows of {len(columns)} features ({listed(columns)})")
            )
    return found


def flat(subject: Subject) -> list[Finding]:
    """Rows that hold one number throughout: empty maps, failed simulations."""
    found = []
    for summary in subject.catalog.observables:
        if np.prod(summary.row_shape) < FEW:
            continue
        blocks = summary.blocks(np.arange(len(subject.catalog)))
        still = [(one == one[:, :1]).all(axis=1) for one in (block.reshape(len(block), -1) for block in blocks)]
        rows = np.flatnonzero(np.concatenate(still))
        if 0 < len(rows) < len(subject.catalog):
            values = np.unique(summary.array[rows].reshape(len(rows), -1)[:, 0])
            which = listed([f"{one:g}" for one in values], 2)
            text = f"/{summary.name}: {len(rows)} rows hold one number throughout, {which}"
            found.append(
                warning(
                    f"{text} ({subject.catalog.describe_rows(rows)}); "
                    "failed simulations, or empty files? Leave them out"
                )
            )
    return found


def copies(subject: Subject) -> list[Finding]:
    """Summaries, channels or features that are the same numbers as others."""
    whole: dict[str, np.ndarray] = {}
    found, told = [], set()
    for summary in subject.catalog.observables:
        for name, other in whole.items():
            if other.shape == summary.array.shape and np.array_equal(other, summary.array, equal_nan=True):
                found.append(
                    warning(f"/{summary.name} is a copy of /{name}; leave one out (--data names those to use)")
                )
                told.add(summary.name)
        whole[summary.name] = summary.array
    for summary, span in zip(subject.catalog.observables, subject.spans, strict=True):
        if summary.name not in told:
            found += _same_columns(summary, span)
    return found


def _same_columns(summary: Observable, span: Span) -> list[Finding]:
    """Features of a vector, or channels of what has axes, that are equal in every row."""
    count = summary.row_shape[0]
    what = "feature" if summary.kind == "vector" else "channel"
    varies = (span.spread.reshape(count, -1) > 0).any(axis=1)
    first: dict[bytes, int] = {}
    pairs = []
    for column in np.flatnonzero(varies):
        values = np.ascontiguousarray(summary.array[:, column])
        of = first.setdefault(values.tobytes(), int(column))  # exact: a copy has the very same bytes
        if of != column:
            pairs.append(f"{column} of {of}")
    if not pairs:
        return []
    return [warning(f"/{summary.name}: {len(pairs)} {what}s are copies ({what} {listed(pairs)}); was one read twice?")]


def answers(subject: Subject) -> list[Finding]:
    """Features that are a parameter itself, but for a unit: nothing that can be observed tells it to the last digit."""
    catalog = subject.catalog
    if catalog.theta is None or catalog.parameters is None or catalog.classes or len(subject.first) < LEAST:
        return []
    rows = np.flatnonzero(subject.finite)
    some = rows[:: max(1, len(rows) // SAMPLE)]
    theta = _scaled(catalog.theta[some])
    found = []
    for summary in catalog.observables:
        if summary.kind != "vector":
            continue
        x = _scaled(summary.read(some).astype(np.float64))  # gaps are no answer: zero
        candidates = 1 - (x.T @ theta / len(some)) ** 2 < SAME  # (K, P)
        for column, name in enumerate(catalog.parameters.names):
            columns = [
                one
                for one in np.flatnonzero(candidates[:, column])
                if _same(summary.array[rows, one], catalog.theta[rows, column])
            ]
            if 0 < len(columns) <= max(1, summary.row_shape[0] // 2) and summary.row_shape[0] > 1:
                text = f"/{summary.name}: feature {listed(columns)} is {name} itself, up to a factor and a constant"
                found.append(warning(f"{text}; --scale-cut cuts it off: no observation will have it"))
    return found


def _scaled(values: np.ndarray) -> np.ndarray:
    """Columns of mean zero and variance one; zero where a column is constant."""
    with np.errstate(over="ignore", invalid="ignore"):
        away = values - values.mean(axis=0)
        width = away.std(axis=0)
    return np.nan_to_num(np.divide(away, width, out=np.zeros_like(away), where=(width > 0) & np.isfinite(width)))


def _same(feature: np.ndarray, parameter: np.ndarray) -> bool:
    """Of (N,) each, by what is left of the one when the other is taken off: 1 - r^2 has lost these digits."""
    x, theta = _scaled(feature[:, None].astype(np.float64))[:, 0], _scaled(parameter[:, None])[:, 0]
    return bool(((x - np.sign(x @ theta) * theta) ** 2).mean() < SAME)


def numbered(subject: Subject) -> list[Finding]:
    """Features that rise, or fall, from every row to the next: a row number, an id or a date among the data."""
    catalog = subject.catalog
    if len(catalog) < LEAST or (catalog.theta is not None and _rises(catalog.theta[subject.finite]).any()):
        return []  # rows that are sorted by a parameter have features that are sorted too
    found = []
    for summary in catalog.observables:
        if summary.kind == "vector" and (columns := np.flatnonzero(_rises(summary.array))).size:
            text = f"/{summary.name}: feature {listed(columns)} rises or falls with the row number, row by row"
            found.append(warning(f"{text}; an index or an id among the data? --scale-cut cuts it off"))
    return found


def _rises(values: np.ndarray) -> np.ndarray:
    """(K,) of columns that never turn back, and do move: ids of simulations of several rows repeat."""
    with np.errstate(invalid="ignore"):
        steps = np.diff(values.astype(np.float64), axis=0)
    moved = (steps != 0).sum(axis=0) >= LEAST - 1
    return ((steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)) & moved
