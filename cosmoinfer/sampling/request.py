"""What is to be drawn: how many draws, of which observations, from which seed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.sampling.buffer import DrawBuffer
from cosmoinfer.sampling.rejection import TooLittleInside


@dataclass(frozen=True)
class SamplingRequest:
    """Draws from the posterior of each of these observations.

    catalog: holds the observations.
    rows: (n,), positions of the observations in the catalog.
    draws: of each observation.
    seed: of the run; the draws of a row depend on it and on the row's number, on no other row.
    skip_failed: whether rows that cannot be sampled are left out; otherwise the first one is an error.
    progress: is called with how many rows are done, and how many there are.
    folder: where draws go that are too many for memory; without one, memory holds them all.
    written: whether a file is then written from them in that folder.
    """

    catalog: Catalog
    rows: np.ndarray
    draws: int
    seed: int = 0
    skip_failed: bool = False
    progress: Callable[[int, int], None] = lambda done, rows: None
    folder: Path | None = None
    written: bool = True

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise UserError(f"expected at least 1, found {self.draws}", setting="draws")

    def buffer(self, parameters: int) -> DrawBuffer:
        """For the draws of all rows, of so many parameters each."""
        return DrawBuffer.allocate(len(self.rows), self.draws, parameters, self.folder, copies=1 + self.written)

    def generator(self, row: int) -> np.random.Generator:
        """Of the draws of one row."""
        return seeding.generator(self.seed, "draws", int(self.catalog.index[row]))

    def rows_with_progress(self) -> Iterator[int]:
        """The rows, one after the other; progress is reported after each."""
        for done, row in enumerate(self.rows.tolist(), 1):
            yield row
            self.progress(done, len(self.rows))

    @contextmanager
    def failures_skipped(self, row: int) -> Iterator[None]:
        """What is begun for a row that cannot be sampled ends here if failures are skipped.

        Raises UserError, which names the row, if they are not.
        """
        try:
            yield
        except TooLittleInside as error:
            if not self.skip_failed:
                where = f"{self.catalog.path}: {self.catalog.describe_rows(np.array([row]))}"
                raise UserError(
                    f"{where}: {error}; the observation may be unlike the training data; `skip_failed` leaves it out, "
                    "a flow with `support=probit` cannot fail like this"
                ) from error

    def require_sampled(self, rows: list[int]) -> np.ndarray:
        """The rows that could be sampled, (k,). Raises UserError where there are none."""
        if not rows:
            raise UserError(
                f"{self.catalog.path}: no observation could be sampled ({self.catalog.describe_rows(self.rows)})"
            )
        return np.array(rows)
