"""Checks of numbers of objects: whether a count alone, which another selection changes, predicts a parameter."""

import numpy as np

from cosmoinfer.audit.check import CatalogUnderTest, Check, Finding, warning
from cosmoinfer.catalog import Observable

MIN_SIMULATIONS = 30
MIN_R2 = 0.5  # of ranks, above which a count is reported
MIN_DISTINCT_COUNTS = 3
MAX_COUNT_FEATURES = 0.5  # of the features of a vector: where more are whole numbers, counts are what was measured


def count_leakage(subject: CatalogUnderTest) -> list[Finding]:
    """Numbers of objects that alone predict a parameter: of rows, of entries before padding or gaps, or a feature."""
    catalog = subject.catalog
    if catalog.theta is None or catalog.parameters is None or catalog.classes:
        return []
    if len(subject.first_rows) < MIN_SIMULATIONS:
        return []
    theta = catalog.theta[subject.first_rows]
    findings = []
    for text, counts in _counts(subject).items():
        if len(np.unique(counts)) < MIN_DISTINCT_COUNTS:
            continue
        r2 = _rank_r2(counts, theta)
        for name, value in zip(catalog.parameters.names, r2.tolist(), strict=True):
            if value > MIN_R2:
                findings.append(
                    warning(
                        f"{text}, a number of objects, alone predicts {name} (R2 of ranks {value:.2f})",
                        "take the same number in every row, unless observations are selected as the simulations are",
                    )
                )
    return findings


def _counts(subject: CatalogUnderTest) -> dict[str, np.ndarray]:
    """Numbers of objects (G,) in each simulation, by what they count."""
    rows, index = subject.first_rows, subject.simulation_index
    counts = {"the number of rows of a simulation": np.bincount(index)[index[rows]]}
    for observable in subject.catalog.observables:
        name, values = f"/{observable.name}", observable.read(rows)
        if observable.masked:
            counts[f"{name}: the number of values that are not missing"] = _present(np.isfinite(values))
        if observable.kind in ("vector", "profile") and (padded := _lengths_before_padding(values)) is not None:
            counts[f"{name}: the number of entries before the zeros at its end"] = padded
        counts |= {f"{name}: feature {column}": values[:, column] for column in _count_features(observable, values)}
    return counts


def _present(mask: np.ndarray) -> np.ndarray:
    return np.asarray(mask.reshape(len(mask), -1).sum(axis=1))


def _lengths_before_padding(values: np.ndarray) -> np.ndarray | None:
    """(G,) entries up to the last that is not zero, of rows (G, ..., K) of which most end with zeros; else None."""
    nonzero = (values != 0).reshape(len(values), -1, values.shape[-1]).any(axis=1)
    lengths = np.where(nonzero.any(axis=1), values.shape[-1] - np.argmax(nonzero[:, ::-1], axis=1), 0)
    return lengths if (lengths < values.shape[-1]).mean() > 0.5 else None


def _count_features(observable: Observable, values: np.ndarray) -> list[int]:
    """Features of a vector that are whole numbers, where most of the others are not."""
    if observable.kind != "vector" or values.shape[1] < 2:
        return []
    with np.errstate(invalid="ignore"):
        is_count = ((values >= 0) & (values == np.round(values))).all(axis=0)
    columns = np.flatnonzero(is_count & (np.ptp(values, axis=0) > 0)).tolist()
    return columns if len(columns) <= MAX_COUNT_FEATURES * values.shape[1] else []


def _rank_r2(counts: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """(P,) the squared rank correlation (Spearman) of counts (G,) with each parameter (G, P)."""
    ranks = _ranks(counts)
    return np.array([np.corrcoef(ranks, _ranks(column))[0, 1] ** 2 if np.ptp(column) else 0.0 for column in theta.T])


def _ranks(values: np.ndarray) -> np.ndarray:
    """(G,) from 0, with the mean of those that are equal."""
    _, index, repeats = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(repeats)
    return (ends - (repeats + 1) / 2)[index.reshape(-1)]


CHECKS = {"count_leakage": Check(count_leakage, before_training=True)}
