"""From one summary of a catalog to what a network sees of it: scaled, gaps filled and marked, compressed."""

from dataclasses import dataclass

import numpy as np

from cosmoinfer.catalog import Observable
from cosmoinfer.preprocessing.compression import Compression
from cosmoinfer.preprocessing.standardizer import Standardizer


@dataclass(frozen=True)
class Input:
    """name, kind, shape, periodic, masked: of the summary. shape: of one row in the catalog."""

    name: str
    kind: str
    shape: tuple[int, ...]
    periodic: bool
    masked: bool
    standardizer: Standardizer
    compression: Compression | None = None

    @classmethod
    def of(cls, summary: Observable, standardizer: Standardizer) -> "Input":
        return cls(summary.name, summary.kind, summary.row_shape, summary.periodic, summary.masked, standardizer)

    @property
    def network_shape(self) -> tuple[int, ...]:
        """The shape of a row as a network sees it."""
        if self.compression is not None:
            return (self.compression.size,)
        return (2 * self.shape[0],) if self.masked else self.shape

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """(n, ...) in catalog units -> (n, ...) float32; a gap is filled with the mean, and marked by a 1 beside."""
        scaled = self.standardizer(values)
        if self.masked:
            gaps = np.isnan(scaled)
            scaled = np.concatenate([np.where(gaps, 0, scaled), gaps], axis=1, dtype=np.float32)
        return scaled

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(n, ...) in catalog units -> (n, *seen) float32."""
        scaled = self.scaled(values)
        return scaled if self.compression is None else self.compression(scaled)
