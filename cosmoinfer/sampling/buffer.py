"""Where draws go as they come: in memory, or on disk where they are too many for it."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.memory import check_memory, slices
from cosmoinfer.posterior import DrawArray, Draws
from cosmoinfer.sampling.rejection import BoxMass, DrawStream, check_draws

MAX_NUMBERS_AT_ONCE = 2_000_000  # of log_prob, that are renormalised together
MAX_COLUMNS, MAX_NUMBERS = 3, 20  # of a row in a file beside its draws: for each parameter, and identifiers and scores


@dataclass(frozen=True)
class DrawBuffer:
    """Draws (n, S, P) and their log_prob (n, S), filled row by row."""

    samples: np.ndarray | storage.ScratchArray
    log_prob: np.ndarray | storage.ScratchArray

    @classmethod
    def allocate(
        cls, rows: int, draws: int, parameters: int, folder: Path | None = None, written: bool = True
    ) -> "DrawBuffer":
        """For S draws of P parameters of each of n rows.

        folder: where they go if they are too many for memory; without one, memory holds them all.
        written: whether a file is then written there of all draws, while those that are too many lie beside it.
        Raises UserError where memory or disk have no room.
        """
        shapes = (rows, draws, parameters), (rows, draws)
        if folder is None:
            check_memory(sum(map(prod, shapes)), f"{draws} draws of {rows} rows", "draws")
            return cls(*map(np.empty, shapes))
        sizes = {shape: 8 * prod(shape) for shape in shapes}
        large = {shape: size for shape, size in sizes.items() if size > storage.out_of_core.MAX_IN_MEMORY_BYTES}
        file_bytes = sum(sizes.values()) + 8 * rows * (parameters * MAX_COLUMNS + MAX_NUMBERS)
        storage.check_free_space(folder, sum(large.values()) + (file_bytes if written else 0))
        return cls(*(storage.ScratchArray(folder, shape) if shape in large else np.empty(shape) for shape in shapes))

    def fill(self, row: int, stream: DrawStream, log_prob: Callable[[np.ndarray], np.ndarray]) -> BoxMass:
        """All draws of one row; log q is renormalised by its mass inside the prior box, which is returned.

        log_prob: theta (k, P) -> (k,), log q before it is renormalised, of draws that come without.
        Raises NoPrediction as ``put`` does.
        """
        first = 0
        for piece in stream:
            self.put(row, first, piece.theta, log_prob(piece.theta) if piece.log_prob is None else piece.log_prob)
            first += len(piece.theta)
        self._renormalise(row, stream.mass.log)
        return stream.mass

    def put(self, row: int, first: int, samples: np.ndarray, log_prob: np.ndarray) -> None:
        """Draws (k, P) of a row and their log_prob (k,), from the draw of number ``first`` on.

        Raises NoPrediction where they are not finite.
        """
        check_draws(samples, log_prob)
        place = slice(first, first + len(samples))
        self.samples[row, place], self.log_prob[row, place] = samples, log_prob

    def draws(self, rows: int, log_norm_error: np.ndarray | None = None) -> Draws:
        """The draws of the first so many rows."""
        return Draws(_first_rows(self.samples, rows), _first_rows(self.log_prob, rows), log_norm_error)

    def _renormalise(self, row: int, log_mass: float) -> None:
        if log_mass == 0:
            return
        for place in slices(self.log_prob.shape[1], MAX_NUMBERS_AT_ONCE):
            self.log_prob[row, place] -= log_mass


def _first_rows(filled: np.ndarray | storage.ScratchArray, rows: int) -> DrawArray:
    return storage.OnDiskArray(filled, np.arange(rows)) if isinstance(filled, storage.ScratchArray) else filled[:rows]
