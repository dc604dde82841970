"""A ridge regression on a few features of each row, factorised once and applied to many targets."""

from dataclasses import dataclass

import numpy as np

from cosmoinfer.audit.catalog_under_test import CatalogUnderTest
from cosmoinfer.catalog import Observable
from cosmoinfer.preprocessing.standardizer import fit_standardizer
from cosmoinfer.ridge_regression import power_by_scale

N_MEAN_SQUARES = 16  # groups of features with a mean square each, for data whose scatter depends on theta
N_PROFILE_CELLS = 32  # cells into which a profile is averaged
CLIP_SIGMA = 5.0  # robust standard deviations at which features are clipped, so that no outlier dominates
RIDGE_PENALTIES_PER_ROW = np.logspace(-4, 4, 9)
MAX_DEGREES_OF_FREEDOM_PER_ROW = 0.5
QUARTILE_RANGE_OF_NORMAL = 1.349  # standard deviations


@dataclass(frozen=True)
class RidgeProbe:
    """The singular value decomposition of standardised features of n rows.

    directions: (n, F) left singular vectors.
    singular_values: (F,).
    """

    directions: np.ndarray
    singular_values: np.ndarray

    def r2(self, targets: np.ndarray) -> np.ndarray:
        """The coefficient of determination of each target (n, Q): (Q,).

        1 - E / E_mean, with the error E of a ridge regression by generalised cross-validation (Golub, Heath & Wahba
        1979) at the best of some penalties, and at least 0, which is the infinite penalty.
        """
        count = len(targets)
        centred = targets - targets.mean(axis=0)
        total = np.maximum((centred**2).sum(axis=0), 1e-300)
        weights = (self.directions.T @ centred) ** 2  # (F, Q)
        best = np.zeros(targets.shape[1])
        for penalty in count * RIDGE_PENALTIES_PER_ROW:
            shrink = self.singular_values**2 / (self.singular_values**2 + penalty)
            freedom = (1 + shrink.sum()) / count
            if freedom <= MAX_DEGREES_OF_FREEDOM_PER_ROW:
                residual = 1 - (2 * shrink - shrink**2) @ weights / total
                best = np.maximum(best, 1 - residual * ((1 - 1 / count) / (1 - freedom)) ** 2)
        return best


def ridge_probe(features: np.ndarray) -> RidgeProbe:
    """The probe of features (n, F), standardised by their quartiles."""
    z = _standardise(features)
    z -= z.mean(axis=0)
    squares, right = np.linalg.eigh(z.T @ z)
    kept = squares > 1e-10 * max(squares.max(initial=0.0), 1e-300)
    singular_values = np.sqrt(squares[kept])
    return RidgeProbe(z @ right[:, kept] / singular_values, singular_values)


def compressed_features(subject: CatalogUnderTest, rows: np.ndarray) -> np.ndarray:
    """Features (n, F) of rows (n,): vectors and their squares; the power by scale of profiles, maps and grids."""
    max_features = subject.budget.features
    return np.concatenate(
        [_observable_features(observable, rows, max_features) for observable in subject.catalog.observables], axis=1
    )


def _observable_features(observable: Observable, rows: np.ndarray, max_features: int) -> np.ndarray:
    is_vector = observable.kind == "vector"
    scale = fit_standardizer(observable.blocks(rows), is_vector, "auto")
    if is_vector:
        values = observable.read(rows).astype(np.float64)
        missing = np.isnan(values)
        z = _standardise(np.where(scale.log, np.log10(np.maximum(values, scale.floor)), values))
        z = np.where(missing, 0.0, z)
        columns = [_average_columns(z, max_features), _average_columns(z**2, N_MEAN_SQUARES)]
        columns += [_average_columns(missing, N_MEAN_SQUARES)] if missing.any() else []
        return np.concatenate(columns, axis=1)
    features = []
    for block in observable.blocks(rows):
        z = scale(block)
        columns = [power_by_scale(z)]
        if observable.kind == "profile":
            columns += [_average_columns(channel, N_PROFILE_CELLS) for channel in z.swapaxes(0, 1)]
        features.append(np.concatenate(columns, axis=1).astype(np.float64))
    return np.concatenate(features)


def _standardise(values: np.ndarray) -> np.ndarray:
    """Median zero and unit width by the quartiles, clipped at CLIP_SIGMA: (n, F); zero where a column is all NaN."""
    safe = np.where(np.isfinite(values).any(axis=0), values, 0.0)
    low, middle, high = np.nanpercentile(safe, [25, 50, 75], axis=0)
    width = np.where(high > low, (high - low) / QUARTILE_RANGE_OF_NORMAL, np.nanstd(safe, axis=0))
    centred = values - middle
    return np.clip(np.divide(centred, width, out=np.zeros_like(centred), where=width > 0), -CLIP_SIGMA, CLIP_SIGMA)


def _average_columns(z: np.ndarray, max_columns: int) -> np.ndarray:
    """Means of neighbouring columns, so that at most ``max_columns`` are left: (n, K) -> (n, K')."""
    if z.shape[1] <= max_columns:
        return z
    edges = np.linspace(0, z.shape[1], max_columns + 1).astype(int)
    return np.add.reduceat(z, edges[:-1], axis=1) / np.diff(edges)
