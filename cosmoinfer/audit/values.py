"""Checks of data: unclear axes; values not finite, beyond their type, outlying, saturated; layout on disk."""

import numpy as np

from cosmoinfer.audit.check import CatalogUnderTest, Check, Finding, error, note, warning
from cosmoinfer.catalog import Observable, nonfinite_data
from cosmoinfer.catalog.selection import describe_nonfinite
from cosmoinfer.errors import join_first
from cosmoinfer.preprocessing.outliers import MAX_FRACTION
from cosmoinfer.storage import DatasetInfo

FLOAT16 = np.finfo(np.float16)
NORMAL_WIDTH_OF_MAD = 1.4826  # standard deviations per median absolute deviation, of a normal distribution
OUTLIER_SIGMA = 50.0  # robust standard deviations
OUTLIER_SIGMA_IN_LOG10 = 15.0  # required too of the logarithm of positive data: a log-normal has a long tail
MISSING_VALUE_CODES = (
    *(-99.0, -999.0, -9999.0, 999.0, 9999.0),  # of tables
    -1.6375e30,  # healpy's UNSEEN
    *(1e20, -1e20, 1e30, -1e30, 1e36),  # of climate models and of Fortran programs
    *(9.969209968386869e36, -32767.0, -2147483647.0),  # netCDF's fill values of floats and integers
    *(sign * float(np.finfo(dtype).max) for dtype in (np.float32, np.float64) for sign in (1, -1)),
)
MIN_CODE_FACTOR = 10.0  # times the magnitude of all other numbers
MIN_SATURATED_ROWS = 10  # rows that have the extreme value exactly, and
MIN_SATURATED_FRACTION = 0.005  # their share of all rows
NATURAL_BOUNDS = (-1.0, 0.0, 1.0)  # of fractions, correlations and counts
MAX_ZERO_FRACTION = 0.01  # of the rows, in a feature that is taken as positive
N_CONTINUITY_VALUES = 20_000  # from which it is decided whether a feature is continuous
LARGE_DATASET_BYTES = 1 << 28  # above which the layout on disk matters
SMALL_CHUNK_BYTES = 1 << 16  # below which a chunk takes longer to find than to read


def nonfinite_values(subject: CatalogUnderTest) -> list[Finding]:
    """Rows that a training would refuse."""
    rows = np.flatnonzero(~subject.is_finite)
    if len(rows) == 0:
        return []
    remedy, content = "`drop_nonfinite` skips them", describe_nonfinite(subject.catalog, rows)
    in_data = nonfinite_data(subject.catalog)
    if any(observable.masked for observable in subject.catalog.observables):
        content = content.replace("NaN or inf", "inf, or no value that is not missing")
    elif "NaN" in content and in_data.any():
        remedy += ", `missing=mask` takes NaN for a missing value"
    where = "" if in_data[rows].any() else " in /parameters"
    return [error(f"{len(rows)} rows contain {content} ({subject.catalog.describe_rows(rows)}){where}", remedy)]


def unclear_axes(subject: CatalogUnderTest) -> list[Finding]:
    """Observables whose shape contradicts what their axes would be taken for."""
    observables = subject.catalog.observables
    return [error(f"/{observable.name}: {observable.question}") for observable in observables if observable.question]


def float_precision(subject: CatalogUnderTest) -> list[Finding]:
    """Data stored in half precision; integers that overflowed."""
    findings = []
    for observable, feature_range in zip(subject.catalog.observables, subject.feature_ranges, strict=True):
        has_values = feature_range.n_finite > 0
        if has_values.any():
            low, high = feature_range.low[has_values].min(), feature_range.high[has_values].max()
            findings += _stored_type(observable, float(low), float(high))
    return findings


def _stored_type(observable: Observable, low: float, high: float) -> list[Finding]:
    """Values between low and high that are limited by their type on disk."""
    dtype = observable.array.dtype
    if dtype.kind == "f" and dtype.itemsize == 2:
        clipped = ": some values are there, and were clipped" if max(-low, high) >= FLOAT16.max else ""
        text = f"/{observable.name}: float16 keeps three digits, and no value beyond {FLOAT16.max:g}{clipped}"
        return [warning(text, "store it as float32")]
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if high == limits.max or (low == limits.min and limits.min < 0):
            text = f"/{observable.name}: {dtype} values reach the limits of their type ({low:.0f}..{high:.0f})"
            return [warning(f"{text}: they overflowed or were clipped", "store float32")]
    return []


def outliers(subject: CatalogUnderTest) -> list[Finding]:
    """Rows far from all others: in other units, damaged, or of a simulation that failed."""
    findings = []
    for observable in subject.catalog.observables:
        is_vector = observable.kind == "vector"
        rows, level = _outliers_of_vector(observable, subject) if is_vector else _outliers_of_field(observable, subject)
        if len(rows):
            deviation = f"{len(rows)} rows lie {level.max():.2g} robust standard deviations from the others"
            text = f"/{observable.name}: {deviation} ({subject.catalog.describe_rows(rows)})"
            is_few = len(rows) <= MAX_FRACTION * len(subject.catalog)
            scaling = "they are left out of the scalings" if is_few else "so many rule the scalings and hide the others"
            remedy = f"look for other units, a damaged file or a failed simulation; {scaling}"
            findings.append(warning(text, remedy))
    return findings


def _outliers_of_vector(observable: Observable, subject: CatalogUnderTest) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n,) that are far from the median in a feature, of positive ones in log10 too, and their deviation (n,)."""
    values = np.where(np.isfinite(observable.array), observable.array, np.nan).astype(np.float64)
    has_values = np.isfinite(values).any(axis=0)
    level = _robust_deviation(values)
    high, low = level > OUTLIER_SIGMA, np.zeros(level.shape, dtype=bool)
    positive = (np.nan_to_num(values) >= 0).all(axis=0) & ((values == 0).mean(axis=0) <= MAX_ZERO_FRACTION)
    if positive.any():
        in_log = _robust_deviation(np.log10(np.where(positive & (values > 0), values, np.nan)))
        high &= ~positive | (in_log > OUTLIER_SIGMA_IN_LOG10)
        low = (in_log > OUTLIER_SIGMA) & (values < np.nanmedian(np.where(has_values, values, 0.0), axis=0))
        level = np.where(low, in_log, level)
    return _finite_outliers(np.where(high | low, level, 0.0), subject)


def _outliers_of_field(observable: Observable, subject: CatalogUnderTest) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n,) of profiles, maps or grids with an outlying mean or variance of a channel, and their deviation (n,)."""
    moments = []
    for block in observable.blocks(np.arange(len(subject.catalog))):
        flat = block.reshape(*block.shape[:2], -1)
        with np.errstate(invalid="ignore", over="ignore"):
            mean, scatter = flat.mean(axis=2, dtype=np.float64), flat.std(axis=2, dtype=np.float64)
        moments.append(np.concatenate([mean, np.log(scatter + np.finfo(np.float64).tiny)], axis=1))
    values = np.concatenate(moments)
    level = _robust_deviation(np.where(np.isfinite(values), values, np.nan))
    return _finite_outliers(np.where(level > OUTLIER_SIGMA, level, 0.0), subject)


def _finite_outliers(level: np.ndarray, subject: CatalogUnderTest) -> tuple[np.ndarray, np.ndarray]:
    """From deviations (N, K), zero where not outlying: finite rows (n,) with any outlier, and their largest (n,)."""
    largest = level.max(axis=1)
    rows = np.flatnonzero((largest > 0) & subject.is_finite)
    return rows, largest[rows]


def _robust_deviation(values: np.ndarray) -> np.ndarray:
    """|value - median| in robust standard deviations, (N, K); zero where NaN, or where half of the values are equal."""
    safe = np.where(np.isfinite(values).any(axis=0), values, 0.0)
    deviation = np.abs(safe - np.nanmedian(safe, axis=0))
    width = NORMAL_WIDTH_OF_MAD * np.nanmedian(deviation, axis=0)
    with np.errstate(over="ignore"):
        return np.nan_to_num(np.divide(deviation, width, out=np.zeros_like(deviation), where=width > 0))


def missing_value_codes(subject: CatalogUnderTest) -> list[Finding]:
    """Numbers by which programs mark missing values (-999, healpy's UNSEEN, fill values), far from all others."""
    findings = []
    for observable, feature_range in zip(subject.catalog.observables, subject.feature_ranges, strict=True):
        extremes = np.concatenate([feature_range.low, feature_range.high])
        codes = {code: _as_stored(code, observable.array.dtype) for code in MISSING_VALUE_CODES}
        present = {code: value for code, value in codes.items() if np.isfinite(value) and (extremes == value).any()}
        for code, value in present.items():
            rows, count, largest = _rows_with_code(observable, value)
            if abs(code) >= MIN_CODE_FACTOR * largest > 0:
                where = subject.catalog.describe_rows(rows)
                text = f"/{observable.name}: {count} numbers in {len(rows)} rows are exactly {code:g} ({where})"
                remedy = "if it is a code for missing values, mark these as NaN and read them with `missing=mask`"
                findings.append(warning(f"{text}, and all others are far from it", remedy))
    return findings


def _as_stored(code: float, dtype: np.dtype) -> float:
    """As a dataset of this type holds it; NaN where it cannot."""
    if dtype.kind != "f":
        limits = np.iinfo(dtype) if dtype.kind in "iu" else None
        return code if limits is not None and limits.min <= code <= limits.max else np.nan
    with np.errstate(over="ignore"):
        return float(np.float64(code).astype(dtype))


def _rows_with_code(observable: Observable, value: float) -> tuple[np.ndarray, int, float]:
    """The rows (n,) that hold a number, how many times they do, and the largest magnitude but for it."""
    rows, count, largest, first = [], 0, 0.0, 0
    for block in observable.blocks(np.arange(len(observable.array))):
        values = block.reshape(len(block), -1)
        is_code = values == value
        rows.append(first + np.flatnonzero(is_code.any(axis=1)))
        count += int(is_code.sum())
        magnitude = np.where(is_code | ~np.isfinite(values), 0, np.abs(values))
        largest, first = max(largest, float(magnitude.max(initial=0))), first + len(block)
    return np.concatenate(rows), count, largest


def saturation(subject: CatalogUnderTest) -> list[Finding]:
    """Continuous features of which many rows have exactly the extreme value: clipped, or a code for missing values."""
    findings = []
    for observable, feature_range in zip(subject.catalog.observables, subject.feature_ranges, strict=True):
        column_kind = "features" if observable.kind == "vector" else "channels"
        low = _by_column(feature_range.low[None], observable)[0].min(axis=1)
        high = _by_column(feature_range.high[None], observable)[0].max(axis=1)
        min_share = np.maximum(MIN_SATURATED_FRACTION, MIN_SATURATED_ROWS / feature_range.n_rows)
        for word, extreme in (("largest", high), ("smallest", low)):
            share = _share_of_rows(observable, extreme)
            saturated = (share >= min_share) & (low < high) & ~np.isin(extreme, NATURAL_BOUNDS)
            columns = [k for k in np.flatnonzero(saturated).tolist() if _is_continuous(observable, k, extreme[k])]
            if columns:
                values = join_first([f"{value:g}" for value in np.unique(extreme[columns])], 2)
                text = f"{100 * share[columns].max():.3g} % of the rows have exactly the {word} value {values}"
                remedy = "if the data were clipped there, or it is a code for missing values, mark these as NaN"
                findings.append(warning(f"/{observable.name}: {text} ({column_kind} {join_first(columns)})", remedy))
    return findings


def _by_column(values: np.ndarray, observable: Observable) -> np.ndarray:
    """By feature of a vector, or by channel: (n, ...) -> (n, C, values per column)."""
    return values.reshape(len(values), observable.row_shape[0], -1)


def _share_of_rows(observable: Observable, value: np.ndarray) -> np.ndarray:
    """(C,) the share of rows with this value (C,) in a column."""
    blocks = observable.blocks(np.arange(len(observable.array)))
    counts = sum((_by_column(block, observable) == value[:, None]).any(axis=2).sum(axis=0) for block in blocks)
    return counts / len(observable.array)


def _is_continuous(observable: Observable, column: int, extreme: float) -> bool:
    """Whether the values of a column, but for the extreme one, are mostly distinct and not all integers."""
    values = observable.array[:, column].ravel()
    values = values[:: max(1, values.size // N_CONTINUITY_VALUES)]
    values = values[np.isfinite(values) & (values != extreme)]
    return bool(len(np.unique(values)) > 0.5 * len(values) and (values % 1 != 0).any())


def dynamic_range(subject: CatalogUnderTest) -> list[Finding]:
    """The dynamic range of positive data, and the zeros of which no logarithm exists."""
    findings = []
    for observable, feature_range in zip(subject.catalog.observables, subject.feature_ranges, strict=True):
        has_values = feature_range.n_finite > 0
        is_positive = has_values.any() and (feature_range.low[has_values] >= 0).all()
        if is_positive and np.isfinite(feature_range.smallest_positive):
            with np.errstate(over="ignore"):
                ratio = feature_range.high[has_values].max() / feature_range.smallest_positive
            zeros = f", {feature_range.n_zeros} exact zeros" if feature_range.n_zeros else ""
            findings.append(note(f"/{observable.name}: positive, dynamic range {ratio:.3g}{zeros}"))
    return findings


def storage_layout(subject: CatalogUnderTest) -> list[Finding]:
    """The type, chunks and compression of the data on disk, and layouts that are slow to train from."""
    names = [observable.name for observable in subject.catalog.observables]
    datasets = {name: subject.datasets[name] for name in names if name in subject.datasets}
    notes = [note(f"/{name}: {_describe_layout(dataset)}") for name, dataset in datasets.items()]
    remedy = "`cosmoinfer repack` writes a copy that is read faster"
    problems = {name: _layout_problem(dataset) for name, dataset in datasets.items()}
    return notes + [note(f"/{name}: {problem}", remedy) for name, problem in problems.items() if problem]


def _layout_problem(dataset: DatasetInfo) -> str:
    """Why a training would wait for the blocks that it reads; empty if it would not."""
    row_bytes = int(np.prod(dataset.shape[1:])) * dataset.dtype.itemsize
    if int(np.prod(dataset.shape)) * dataset.dtype.itemsize < LARGE_DATASET_BYTES or not dataset.chunks:
        return ""
    if dataset.compression:
        return f"{dataset.compression} is decompressed in every epoch if the data do not fit into memory"
    if dataset.chunks[1:] != dataset.shape[1:]:
        return "its chunks split rows"
    return "its chunks are small" if dataset.chunks[0] * row_bytes < SMALL_CHUNK_BYTES else ""


def _describe_layout(dataset: DatasetInfo) -> str:
    rows = dataset.chunks[0] if dataset.chunks else 0
    chunks = f"chunks of {rows} rows" if rows else "contiguous"
    compression = f", {dataset.compression}" if dataset.compression else ""
    return f"{dataset.dtype}, {chunks}{compression}"


CHECKS = {
    "unclear_axes": Check(unclear_axes, in_inspect=True),
    "nonfinite_values": Check(nonfinite_values, in_inspect=True),
    "float_precision": Check(float_precision),
    "outliers": Check(outliers, before_training=True),
    "missing_value_codes": Check(missing_value_codes, in_inspect=True, before_training=True),
    "saturation": Check(saturation),
    "dynamic_range": Check(dynamic_range, in_inspect=True),
    "storage_layout": Check(storage_layout, in_inspect=True),
}
