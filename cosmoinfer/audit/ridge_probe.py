"""A ridge regression of parameters on a few numbers a row: made once, and asked many times."""

from dataclasses import dataclass

import numpy as np

from cosmoinfer.audit.catalog_under_test import Subject
from cosmoinfer.catalog import Observable
from cosmoinfer.multiscale_power import power_by_scale
from cosmoinfer.preprocessing.standardizer import fit_standardizer

SQUARES = 16  # groups of features whose mean square is a feature too: data may know a parameter by their scatter only
CELLS = 32  # means of stretches of a profile, where place matters
CLIP = 5.0  # standard deviations: one wild row must not be all that a regression sees
PENALTIES = np.logspace(-4, 4, 9)  # for a row each
FREEDOM = 0.5  # degrees of freedom, at most, over rows


@dataclass(frozen=True)
class Probe:
    """left: (n, F) orthogonal directions of the standardised features; values: (F,) their singular values."""

    left: np.ndarray
    values: np.ndarray

    def r2(self, targets: np.ndarray) -> np.ndarray:
        """Of each target (n, Q), 1 less the error of a ridge regression, told by generalised cross-validation (Golub,
        Heath & Wahba 1979), over that of the mean: (Q,). Of the best of some penalties, the infinite one among them.
        """
        count = len(targets)
        centred = targets - targets.mean(axis=0)
        total = np.maximum((centred**2).sum(axis=0), 1e-300)
        weights = (self.left.T @ centred) ** 2  # (F, Q)
        best = np.zeros(targets.shape[1])
        for penalty in count * PENALTIES:
            shrink = self.values**2 / (self.values**2 + penalty)
            freedom = (1 + shrink.sum()) / count
            if freedom <= FREEDOM:
                left = 1 - (2 * shrink - shrink**2) @ weights / total
                best = np.maximum(best, 1 - left * ((1 - 1 / count) / (1 - freedom)) ** 2)
        return best


def probe(features: np.ndarray) -> Probe:
    """Of features (n, F)."""
    z = _robust(features)
    z -= z.mean(axis=0)
    squares, right = np.linalg.eigh(z.T @ z)
    kept = squares > 1e-10 * max(squares.max(initial=0.0), 1e-300)
    values = np.sqrt(squares[kept])
    return Probe(z @ right[:, kept] / values, values)


def _robust(values: np.ndarray) -> np.ndarray:
    """Median zero and, by the quartiles, deviation one, not beyond CLIP: a few wild rows do not blur all others."""
    safe = np.where(np.isfinite(values).any(axis=0), values, 0.0)  # where all is a gap there is nothing to tell
    low, middle, high = np.nanpercentile(safe, [25, 50, 75], axis=0)
    width = np.where(high > low, (high - low) / 1.349, np.nanstd(safe, axis=0))
    away = values - middle
    return np.clip(np.divide(away, width, out=np.zeros_like(away), where=width > 0), -CLIP, CLIP)


def few_numbers(subject: Subject, rows: np.ndarray) -> np.ndarray:
    """Of these rows: vectors, their squares, and what has axes by its power on successive scales, (n, F)."""
    return np.concatenate([_of(one, rows, subject.budget.features) for one in subject.catalog.observables], axis=1)


def _of(summary: Observable, rows: np.ndarray, most: int) -> np.ndarray:
    vector = summary.kind == "vector"
    scale = fit_standardizer(summary.blocks(rows), vector, "auto")
    if vector:
        values = summary.read(rows).astype(np.float64)
        missing = np.isnan(values)
        z = _robust(np.where(scale.log, np.log10(np.maximum(values, scale.floor)), values))
        z = np.where(missing, 0.0, z)
        parts = [_pooled(z, most), _pooled(z**2, SQUARES)]
        return np.concatenate(parts + ([_pooled(missing, SQUARES)] if missing.any() else []), axis=1)
    found = []
    for block in summary.blocks(rows):
        z = scale(block)
        parts = [power_by_scale(z)]
        if summary.kind == "profile":
            parts += [_pooled(channel, CELLS) for channel in z.swapaxes(0, 1)]
        found.append(np.concatenate(parts, axis=1).astype(np.float64))
    return np.concatenate(found)


def _pooled(z: np.ndarray, most: int) -> np.ndarray:
    """Means of neighbouring columns where they are more than ``most``: (n, K) -> (n, at most ``most``)."""
    if z.shape[1] <= most:
        return z
    edges = np.linspace(0, z.shape[1], most + 1).astype(int)
    return np.add.reduceat(z, edges[:-1], axis=1) / np.diff(edges)
