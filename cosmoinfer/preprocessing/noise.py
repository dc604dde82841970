"""Gaussian noise on simulated data vectors: fresh for every epoch of a training, one fixed draw a row for judging."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosmoinfer import importers, seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError, blame


@dataclass(frozen=True)
class Noise:
    """root: (K, K), a square root of the covariance, in the units of the catalog squared. seed: of every draw."""

    root: np.ndarray
    seed: int

    def fixed(self, index: np.ndarray) -> np.ndarray:
        """(n, K), keyed by the row numbers: a row has the same noise whichever other rows are asked for."""
        draws = [seeding.generator(self.seed, "noise", "row", row).standard_normal(len(self.root)) for row in index]
        return np.reshape(draws, (len(index), len(self.root))) @ self.root.T

    def fresh(self, count: int, epoch: int) -> np.ndarray:
        """(n, K), the same only for the same epoch."""
        generator = seeding.generator(self.seed, "noise", "epoch", epoch)
        return generator.standard_normal((count, len(self.root))) @ self.root.T


def add_noise(
    catalog: Catalog, rows: np.ndarray, noise: Noise | None, epoch: int | None = None
) -> list[Iterator[np.ndarray]]:
    """Rows (n,) as a telescope would give them, in catalog units: an iterator of blocks for each observable.

    Noise goes onto simulations, whose parameters are known; what has none is an observation, and noisy already.
    epoch: with noise drawn anew, for training; else the fixed draw of each row.
    """
    if noise is None or catalog.theta is None or catalog.includes_noise:
        return [observable.blocks(rows) for observable in catalog.observables]
    values = catalog.observables[0].read(rows)
    drawn = noise.fixed(catalog.index[rows]) if epoch is None else noise.fresh(len(rows), epoch)
    drawn[~catalog.has_theta[rows]] = 0
    return [iter([values + drawn.reshape(values.shape)])]


def read_noise(path: Path, shapes: tuple[tuple[int, ...], ...], seed: int) -> Noise:
    """The noise of a covariance (K, K), or of variances (K,), in a file of numpy, of text or of sacc.

    path: of the file. shapes: of a row of each observable, of which there is one, with K numbers. seed: of every draw.

    Raises UserError for several observables, for maps, and where the file holds no covariance of K numbers.
    """
    if len(shapes) != 1 or len(shapes[0]) > 2:
        raise UserError("expected a catalog of one vector or profile", setting="noise", value=path)
    with blame("noise"):
        covariance = importers.read_covariance(path)
    if covariance.dtype.kind not in "fiub":
        raise UserError(f"expected numbers, found {covariance.dtype}", setting="noise", value=path)
    covariance = covariance.astype(np.float64)
    size = int(np.prod(shapes[0]))
    if covariance.shape == (size,):
        covariance = np.diag(covariance)
    if covariance.shape != (size, size):
        raise UserError(
            f"has shape {covariance.shape}; the data have {size} numbers a row (after scale cuts), "
            f"so expected ({size}, {size}), or ({size},) variances",
            setting="noise",
            value=path,
        )
    if not np.isfinite(covariance).all() or not _is_symmetric(covariance):
        raise UserError("a covariance must be finite and symmetric", setting="noise", value=path)
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < -1e-8 * max(values[-1], 0) or values[-1] <= 0:
        raise UserError(
            f"is no covariance: its eigenvalues run from {values[0]:.3g} to {values[-1]:.3g}",
            setting="noise",
            value=path,
        )
    return Noise(vectors * np.sqrt(np.maximum(values, 0)), seed)


def _is_symmetric(covariance: np.ndarray) -> bool:
    """Beside the widths: where zero was meant, rounding leaves numbers that differ by any factor."""
    widths = np.sqrt(np.abs(np.diag(covariance)))
    return bool((np.abs(covariance - covariance.T) <= 1e-6 * np.outer(widths, widths)).all())
