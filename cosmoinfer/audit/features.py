"""Checks of features: constant, duplicated, or giving away a parameter or the row number."""

import numpy as np

from cosmoinfer.audit.check import CatalogUnderTest, Check, FeatureRange, Finding, error, note, warning
from cosmoinfer.catalog import Observable
from cosmoinfer.errors import join_first

MIN_SPREAD_SPACINGS = 8  # of a feature, in units of what its type resolves at its magnitude
NEAR_CONSTANT_FRACTION = 0.99  # of the rows, that have one value
MIN_ROWS = 20  # for a check of rows against each other
MAX_RESIDUAL_VARIANCE = 1e-9  # of a feature that equals a parameter up to its unit and single precision
N_SCREENING_ROWS = 500  # in the first comparison of features and parameters
MIN_FEATURES_OF_UNIFORM_ROW = 3  # rows of fewer features may have equal values by chance
MAX_DEPARTURES = 2  # features in which a row departs from a single value, nearly
MIN_DEPARTING_RATIO = 0.1  # such rows per uniform row, if its value occurs by chance
MAX_EXAMINED_VALUES = 32  # of uniform rows


def constant_features(subject: CatalogUnderTest) -> list[Finding]:
    """Features or channels that never vary, or by less than their type resolves; missing values are ignored."""
    findings = []
    for observable, feature_range in zip(subject.catalog.observables, subject.feature_ranges, strict=True):
        name, constant = f"/{observable.name}", np.flatnonzero(feature_range.spread == 0)
        if len(constant) == len(feature_range.spread):
            findings.append(error(f"{name}: the same in every row"))
            continue
        channels = _constant_channels(observable, feature_range)
        if channels:
            findings.append(warning(f"{name}: channel {join_first(channels)} is the same in every row", "leave it out"))
        elif len(constant):
            remedy = "`scale_cut` cuts them off" if observable.kind in ("vector", "profile") else ""
            findings.append(warning(f"{name}: {len(constant)} constant features ({join_first(constant)})", remedy))
        spread, magnitude = feature_range.spread, np.maximum(np.abs(feature_range.low), np.abs(feature_range.high))
        with np.errstate(invalid="ignore"):
            resolution = MIN_SPREAD_SPACINGS * _relative_precision(observable.array.dtype) * magnitude
            columns = np.flatnonzero((spread > 0) & (spread <= resolution))
        if len(columns):
            text = f"{name}: {len(columns)} nearly constant features ({join_first(columns)}), which vary only in the "
            findings.append(warning(f"{text}last digits of their type", "subtract a constant, or leave them out"))
    return findings


def _relative_precision(dtype: np.dtype) -> float:
    """Of a type; integers have all digits, and half precision counts as single, whose spread means little below."""
    if dtype.kind != "f":
        return float(np.finfo(np.float64).eps)
    return float(min(np.finfo(dtype).eps, np.finfo(np.float32).eps))


def _constant_channels(observable: Observable, feature_range: FeatureRange) -> list[int]:
    """Channels, of several, of which no pixel varies."""
    if observable.kind == "vector" or observable.row_shape[0] == 1:
        return []
    spread = feature_range.spread.reshape(observable.row_shape[0], -1)
    return [int(channel) for channel in np.flatnonzero((spread == 0).all(axis=1))]


def missing_data(subject: CatalogUnderTest) -> list[Finding]:
    """The share of missing values where NaN stands for them, and features without any value."""
    findings = []
    for observable, feature_range in zip(subject.catalog.observables, subject.feature_ranges, strict=True):
        if not observable.masked:
            continue
        name, n_finite = f"/{observable.name}", feature_range.n_finite
        share = 1 - n_finite.sum() / (feature_range.n_rows * len(n_finite))
        findings.append(note(f"{name}: {100 * share:.3g} % of its values are missing"))
        empty = np.flatnonzero(n_finite == 0)
        if len(empty) and observable.kind in ("vector", "profile"):  # of a map, a mask that all rows share
            remedy = "`scale_cut` cuts them off" if observable.kind == "vector" else ""
            findings.append(warning(f"{name}: {len(empty)} features always missing ({join_first(empty)})", remedy))
    return findings


def near_constant(subject: CatalogUnderTest) -> list[Finding]:
    """Features of vectors that have one value in nearly all rows."""
    findings = []
    for observable, feature_range in zip(subject.catalog.observables, subject.feature_ranges, strict=True):
        if observable.kind != "vector":
            continue
        values = np.where(feature_range.n_finite > 0, observable.array, 0.0)
        share = (values == np.nanmedian(values, axis=0)).mean(axis=0)
        columns = np.flatnonzero((share >= NEAR_CONSTANT_FRACTION) & (feature_range.spread > 0))
        if len(columns):
            text = f"one value in 99 % of the rows of {len(columns)} features ({join_first(columns)})"
            findings.append(note(f"/{observable.name}: {text}"))
    return findings


def uniform_rows(subject: CatalogUnderTest) -> list[Finding]:
    """Rows that consist of a single value: empty maps, failed simulations; not a few equal counts."""
    findings = []
    for observable, feature_range in zip(subject.catalog.observables, subject.feature_ranges, strict=True):
        if np.prod(observable.row_shape) < MIN_FEATURES_OF_UNIFORM_ROW:
            continue
        blocks = (block.reshape(len(block), -1) for block in observable.blocks(np.arange(len(subject.catalog))))
        rows = np.flatnonzero(np.concatenate([(block == block[:, :1]).all(axis=1) for block in blocks]))
        if len(rows) in (0, len(subject.catalog)):
            continue
        value_of_row = observable.array[rows].reshape(len(rows), -1)[:, 0]
        failed = ~np.isin(value_of_row, _values_by_chance(observable, feature_range.spread > 0, value_of_row))
        if failed.any():
            rows, values = rows[failed], np.unique(value_of_row[failed])
            value_text = join_first([f"{value:g}" for value in values], 2)
            text = f"/{observable.name}: {len(rows)} rows consist of a single value, {value_text}"
            remedy = "leave them out if simulations failed or files are empty"
            findings.append(warning(f"{text} ({subject.catalog.describe_rows(rows)})", remedy))
    return findings


def _values_by_chance(observable: Observable, varies: np.ndarray, value_of_row: np.ndarray) -> list[float]:
    """Of the values of uniform rows (n,), those from which other rows depart in one or two features that vary (K,).

    Counts of (0, 0, 0) are then the end of a distribution in which (0, 1, 0) is frequent too.
    """
    by_chance = []
    values, counts = np.unique(value_of_row, return_counts=True)
    for value, count in zip(values[:MAX_EXAMINED_VALUES], counts, strict=False):
        departing = 0
        for block in observable.blocks(np.arange(len(observable.array))):
            departures = (block.reshape(len(block), -1)[:, varies] != value).sum(axis=1)
            departing += int(((departures > 0) & (departures <= MAX_DEPARTURES)).sum())
        if departing >= MIN_DEPARTING_RATIO * count:
            by_chance.append(value)
    return by_chance


def duplicate_features(subject: CatalogUnderTest) -> list[Finding]:
    """Observables, channels or features whose values equal those of others."""
    arrays: dict[str, np.ndarray] = {}
    findings, copies = [], set()
    for observable in subject.catalog.observables:
        for name, array in arrays.items():
            if array.shape == observable.array.shape and np.array_equal(array, observable.array, equal_nan=True):
                text = f"/{observable.name} is a copy of /{name}"
                findings.append(warning(text, "leave one out (`data` names those to use)"))
                copies.add(observable.name)
        arrays[observable.name] = observable.array
    for observable, feature_range in zip(subject.catalog.observables, subject.feature_ranges, strict=True):
        if observable.name not in copies:
            findings += _duplicate_columns(observable, feature_range)
    return findings


def _duplicate_columns(observable: Observable, feature_range: FeatureRange) -> list[Finding]:
    """Features of a vector, or channels, that are equal in every row."""
    count = observable.row_shape[0]
    column_kind = "feature" if observable.kind == "vector" else "channel"
    varies = (feature_range.spread.reshape(count, -1) > 0).any(axis=1)
    first_of: dict[bytes, int] = {}
    pairs = []
    for column in np.flatnonzero(varies):
        values = np.ascontiguousarray(observable.array[:, column])
        first = first_of.setdefault(values.tobytes(), int(column))  # exact: a copy has the very same bytes
        if first != column:
            pairs.append(f"{column} of {first}")
    if not pairs:
        return []
    text = f"/{observable.name}: {len(pairs)} {column_kind}s are copies ({column_kind} {join_first(pairs)})"
    return [warning(text, "check whether one was read twice")]


def target_leakage(subject: CatalogUnderTest) -> list[Finding]:
    """Features that equal a parameter to the last digit, up to a linear map: no observable does."""
    catalog = subject.catalog
    if catalog.theta is None or catalog.parameters is None or catalog.classes or len(subject.first_rows) < MIN_ROWS:
        return []
    rows = np.flatnonzero(subject.is_finite)
    screened = rows[:: max(1, len(rows) // N_SCREENING_ROWS)]
    theta = _standardise(catalog.theta[screened])
    findings = []
    for observable in catalog.observables:
        count = observable.row_shape[0]
        if observable.kind != "vector" or count < 2:
            continue
        x = _standardise(observable.read(screened).astype(np.float64))  # zero where values are missing
        candidates = 1 - (x.T @ theta / len(screened)) ** 2 < MAX_RESIDUAL_VARIANCE  # (K, P)
        for index, name in enumerate(catalog.parameters.names):
            parameter = catalog.theta[rows, index]
            columns = np.flatnonzero(candidates[:, index]).tolist()
            columns = [column for column in columns if _is_linear_map(observable.array[rows, column], parameter)]
            if 0 < len(columns) <= max(1, count // 2):
                where = f"/{observable.name}: feature {join_first(columns)}"
                text = f"{where} is {name} itself, up to a factor and a constant"
                findings.append(warning(text, "cut it off with `scale_cut`: no observation has it"))
    return findings


def _standardise(values: np.ndarray) -> np.ndarray:
    """Columns (N, K) of mean zero and variance one; zero where a column is constant."""
    with np.errstate(over="ignore", invalid="ignore"):
        centred = values - values.mean(axis=0)
        width = centred.std(axis=0)
    varies = (width > 0) & np.isfinite(width)
    return np.nan_to_num(np.divide(centred, width, out=np.zeros_like(centred), where=varies))


def _is_linear_map(feature: np.ndarray, parameter: np.ndarray) -> bool:
    """Whether (N,) and (N,) are linear maps of each other, by the residual: 1 - r^2 would lose its digits."""
    x, theta = _standardise(feature[:, None].astype(np.float64))[:, 0], _standardise(parameter[:, None])[:, 0]
    return bool(((x - np.sign(x @ theta) * theta) ** 2).mean() < MAX_RESIDUAL_VARIANCE)


def row_number_feature(subject: CatalogUnderTest) -> list[Finding]:
    """Features that are monotonic in the row number: a row number, an id or a date among the data."""
    catalog = subject.catalog
    if len(catalog) < MIN_ROWS or (catalog.theta is not None and _is_monotonic(catalog.theta[subject.is_finite]).any()):
        return []  # rows that are sorted by a parameter have sorted features too
    findings = []
    for observable in catalog.observables:
        if observable.kind == "vector" and (columns := np.flatnonzero(_is_monotonic(observable.array))).size:
            text = f"/{observable.name}: feature {join_first(columns)} rises or falls monotonically with the row number"
            findings.append(warning(text, "cut it off with `scale_cut` if it is an index or an id"))
    return findings


def _is_monotonic(values: np.ndarray) -> np.ndarray:
    """(K,) whether columns (N, K) never turn back and do change; ids may repeat within simulations."""
    with np.errstate(invalid="ignore"):
        steps = np.diff(values.astype(np.float64), axis=0)
    changes = (steps != 0).sum(axis=0) >= MIN_ROWS - 1
    return ((steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)) & changes


CHECKS = {
    "constant_features": Check(constant_features, in_inspect=True, before_training=True),
    "missing_data": Check(missing_data, in_inspect=True),
    "near_constant": Check(near_constant),
    "uniform_rows": Check(uniform_rows),
    "duplicate_features": Check(duplicate_features),
    "target_leakage": Check(target_leakage, before_training=True),
    "row_number_feature": Check(row_number_feature),
}
