"""From one summary of a catalog to what a network sees of it: scaled, gaps filled and marked, compressed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cosmoinfer.catalog import Observable
from cosmoinfer.preprocessing.compression import Compression
from cosmoinfer.preprocessing.standardizer import Standardizer

_OF_STANDARDIZER = ("log", "floor", "mean", "std", "n_floored")


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

    # -------------------------------------------------------------------------------------------------- the file
    def config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("name", "kind", "shape", "periodic", "masked")}

    def arrays(self) -> dict[str, np.ndarray]:
        found = {f"standardizer/{name}": value for name, value in self.standardizer.arrays().items()}
        if self.compression is not None:
            found |= {f"compression/{name}": value for name, value in self.compression.arrays().items()}
        return found

    @classmethod
    def from_arrays(cls, config: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Input":
        standardizer = Standardizer.from_arrays({name: arrays[f"standardizer/{name}"] for name in _OF_STANDARDIZER})
        start = "compression/"
        compressed = {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}
        compression = Compression.from_arrays(compressed) if compressed else None
        return cls(**config | {"shape": tuple(config["shape"])}, standardizer=standardizer, compression=compression)
