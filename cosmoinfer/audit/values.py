"""Numbers that are none, that single precision cannot hold, that lie far from all others, or where a scale ended."""

import numpy as np

from cosmoinfer.audit.catalog_under_test import Subject
from cosmoinfer.audit.finding import Finding, error, note, warning
from cosmoinfer.catalog import Observable
from cosmoinfer.errors import listed
from cosmoinfer.storage import DatasetInfo

SINGLE = np.finfo(np.float32)
HALF = np.finfo(np.float16)
FAR = 50.0  # robust standard deviations
FAR_IN_LOG = 15.0  # of the logarithm besides, where data are positive: a log-normal tail is long
ROWS_AT_END = 10  # that share the largest number to the last digit, and no less than this share of them
SHARE_AT_END = 0.005
NATURAL = (-1.0, 0.0, 1.0)  # where fractions, correlations and counts end by themselves
FEW_ZEROS = 0.01
SAMPLE = 20_000
LARGE = 1 << 28  # bytes of data, from which on it matters how they lie
SMALL = 1 << 16  # bytes: a chunk that costs more to find than to read


def finite(subject: Subject) -> list[Finding]:
    """Rows that a training would refuse."""
    rows = np.flatnonzero(~subject.finite)
    if len(rows) == 0:
        return []
    found, masked = "NaN or inf", [one.masked for one in subject.catalog.observables if one.kind == "vector"]
    if any(masked):
        found = "inf, or nothing but gaps"
    text = f"{len(rows)} rows hold {found} ({subject.catalog.describe_rows(rows)}); --drop-nonfinite skips them"
    if masked and not any(masked):
        text += ", --missing mask takes NaN in a vector for a gap"
    return [error(text)]


def precision(subject: Subject) -> list[Finding]:
    """Numbers too large or too small for single precision; data stored in half of it; whole numbers that overflowed."""
    found = []
    for summary, span in zip(subject.catalog.observables, subject.spans, strict=True):
        there = span.count > 0
        if not there.any():
            continue
        largest = max(abs(span.low[there].min()), abs(span.high[there].max()))
        if largest > SINGLE.max:
            text = f"/{summary.name}: numbers up to {largest:.3g}, and single precision ends at {SINGLE.max:.2g}"
            found.append(warning(f"{text}; give the data in other units, or their logarithm"))
        if 0 < largest < SINGLE.tiny:
            text = f"/{summary.name}: no number above {largest:.3g}, which single precision takes for zero"
            found.append(warning(f"{text}; give the data in other units, or their logarithm"))
        found += _stored(summary, float(span.low[there].min()), float(span.high[there].max()))
    return found


def _stored(summary: Observable, low: float, high: float) -> list[Finding]:
    """What the type of the numbers on disk may have done to them."""
    dtype = summary.array.dtype
    if dtype.kind == "f" and dtype.itemsize == 2:
        end = "; some stand at its end, and were cut there" if max(-low, high) >= HALF.max else ""
        text = f"/{summary.name}: float16 keeps three digits, and nothing beyond {HALF.max:g}{end}"
        return [warning(f"{text}; store it as float32")]
    if dtype.kind in "iu":
        ends = np.iinfo(dtype)
        if high == ends.max or (low == ends.min and ends.min < 0):
            text = f"/{summary.name}: {dtype} numbers reach the end of their type ({low:.0f}..{high:.0f})"
            return [warning(f"{text}: they overflowed or were cut there; store float32")]
    return []


def outliers(subject: Subject) -> list[Finding]:
    """Rows like no other: in other units, damaged, or of a simulation that failed."""
    found = []
    for summary in subject.catalog.observables:
        rows, level = _far(summary, subject) if summary.kind == "vector" else _far_fields(summary, subject)
        if len(rows):
            text = f"/{summary.name}: {len(rows)} rows lie {level.max():.2g} robust standard deviations from the others"
            text += f" ({subject.catalog.describe_rows(rows)}); other units, a damaged file, a simulation that failed?"
            found.append(warning(f"{text} Mend them or leave them out: they rule every scaling"))
    return found


def _far(summary: Observable, subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a vector that are far from the median in some feature, and how far; where positive, in log10 too."""
    values = np.where(np.isfinite(summary.array), summary.array, np.nan).astype(np.float64)
    there = np.isfinite(values).any(axis=0)
    level = _robust(values)
    high, low = level > FAR, np.zeros(level.shape, dtype=bool)
    positive = (np.nan_to_num(values) >= 0).all(axis=0) & ((values == 0).mean(axis=0) <= FEW_ZEROS)
    if positive.any():
        in_log = _robust(np.log10(np.where(positive & (values > 0), values, np.nan)))
        high &= ~positive | (in_log > FAR_IN_LOG)
        low = (in_log > FAR) & (values < np.nanmedian(np.where(there, values, 0.0), axis=0))
        level = np.where(low, in_log, level)
    return _worst(np.where(high | low, level, 0.0), subject)


def _far_fields(summary: Observable, subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """The same of what has axes, told by mean and variance of a row's channels."""
    moments = []
    for block in summary.blocks(np.arange(len(subject.catalog))):
        flat = block.reshape(*block.shape[:2], -1)
        with np.errstate(invalid="ignore", over="ignore"):
            mean, scatter = flat.mean(axis=2, dtype=np.float64), flat.std(axis=2, dtype=np.float64)
        moments.append(np.concatenate([mean, np.log(scatter + SINGLE.tiny)], axis=1))
    values = np.concatenate(moments)
    level = _robust(np.where(np.isfinite(values), values, np.nan))
    return _worst(np.where(level > FAR, level, 0.0), subject)


def _worst(level: np.ndarray, subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Rows (of finite numbers) in which any feature is out, and by how much at worst: from (N, K), 0 where not."""
    worst = level.max(axis=1)
    rows = np.flatnonzero((worst > 0) & subject.finite)
    return rows, worst[rows]


def _robust(values: np.ndarray) -> np.ndarray:
    """|value - median| in robust standard deviations, (N, K); 0 where there is nothing, or half of it is the same."""
    there = np.isfinite(values).any(axis=0)
    safe = np.where(there, values, 0.0)
    away = np.abs(safe - np.nanmedian(safe, axis=0))
    width = 1.4826 * np.nanmedian(away, axis=0)
    return np.nan_to_num(np.divide(away, width, out=np.zeros_like(away), where=width > 0))


def ends(subject: Subject) -> list[Finding]:
    """Continuous numbers of which many rows share the very largest or smallest: clipped, or a code for no number."""
    found = []
    for summary, span in zip(subject.catalog.observables, subject.spans, strict=True):
        what = "features" if summary.kind == "vector" else "channels"
        low, high = _columns(span.low[None], summary)[0].min(axis=1), _columns(span.high[None], summary)[0].max(axis=1)
        for word, end in (("largest", high), ("smallest", low)):
            share = _share_at(summary, end)
            often = (share >= np.maximum(SHARE_AT_END, ROWS_AT_END / span.rows)) & (low < high)
            often &= ~np.isin(end, NATURAL)
            columns = [one for one in np.flatnonzero(often).tolist() if _continuous(summary, one, end[one])]
            if columns:
                values = listed([f"{value:g}" for value in np.unique(end[columns])], 2)
                text = f"/{summary.name}: {100 * share[columns].max():.3g} % of the rows share the very {word} number"
                text += f" {values} ({what} {listed(columns)})"
                found.append(warning(f"{text}: clipped there, or a code for what was not measured? Mark gaps as NaN"))
    return found


def _columns(values: np.ndarray, summary: Observable) -> np.ndarray:
    """The features of a vector, or the channels of what has axes: (n, ...) -> (n, C, numbers of one)."""
    return values.reshape(len(values), summary.row_shape[0], -1)


def _share_at(summary: Observable, end: np.ndarray) -> np.ndarray:
    """(C,) share of the rows that have the number ``end`` (C,) in this column."""
    blocks = summary.blocks(np.arange(len(summary.array)))
    return sum((_columns(block, summary) == end[:, None]).any(axis=2).sum(axis=0) for block in blocks) / len(
        summary.array
    )


def _continuous(summary: Observable, column: int, end: float) -> bool:
    """Whether the other numbers of a column are mostly different ones, and not all whole."""
    values = summary.array[:, column].ravel()
    others = values[:: max(1, values.size // SAMPLE)]
    others = others[np.isfinite(others) & (others != end)]
    return bool(len(np.unique(others)) > 0.5 * len(others) and (others % 1 != 0).any())


def positive(subject: Subject) -> list[Finding]:
    """The dynamic range of positive data, and what a logarithm would meet."""
    found = []
    for summary, span in zip(subject.catalog.observables, subject.spans, strict=True):
        there = span.count > 0
        if there.any() and (span.low[there] >= 0).all() and np.isfinite(span.positive):
            text = f"/{summary.name}: positive, dynamic range {span.high[there].max() / span.positive:.3g}"
            found.append(note(text + (f", {span.zeros} exact zeros" if span.zeros else "")))
    return found


def layout(subject: Subject) -> list[Finding]:
    """How the data lie on disk."""
    notes = [note(f"/{one.name}: {_told(subject.contents[one.name])}") for one in subject.catalog.observables]
    slow = [(one.name, _slow(subject.contents[one.name])) for one in subject.catalog.observables]
    told = "`cosmoinfer repack` writes a copy that is read faster"
    return notes + [note(f"/{name}: {why}; {told}") for name, why in slow if why]


def _slow(dataset: DatasetInfo) -> str:
    """Why a training that reads it block by block would wait; empty where it would not."""
    row = int(np.prod(dataset.shape[1:])) * dataset.dtype.itemsize
    if int(np.prod(dataset.shape)) * dataset.dtype.itemsize < LARGE or not dataset.chunks:
        return ""
    if dataset.compression:
        return f"{dataset.compression} is undone anew in every epoch where it does not fit into memory"
    if dataset.chunks[1:] != dataset.shape[1:]:
        return "its chunks cut rows apart"
    return "its chunks are small" if dataset.chunks[0] * row < SMALL else ""


def _told(dataset: DatasetInfo) -> str:
    rows = dataset.chunks[0] if dataset.chunks else 0
    how = f"chunks of {rows} rows" if rows else "contiguous"
    how += f", {dataset.compression}" if dataset.compression else ""
    return f"{dataset.dtype}, {how}"
