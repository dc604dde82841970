"""What is to be drawn of the posteriors of observations, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Room
from cosmoinfer.sampling.rejection import TooLittleInside

Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class Drawing:
    """So many draws of each of these rows (by position) of a catalog.

    skip_failed: rows that cannot be drawn are left out. listen: is told how many rows are done, and of how many.
    folder: where draws go that are too many for memory; without one all are held. written: whether a file is written
    from them there.
    """

    catalog: Catalog
    rows: np.ndarray
    draws: int
    seed: int = 0
    skip_failed: bool = False
    listen: Callable[[int, int], None] = lambda done, rows: None
    folder: Path | None = None
    written: bool = True

    def room(self, parameters: Parameters) -> Room:
        return Room.of(len(self.rows), self.draws, len(parameters), self.folder, copies=1 + self.written)

    def generator(self, row: int) -> np.random.Generator:
        """Of a row's draws: it depends on the row's number in its file and the seed, on no other row."""
        return seeding.generator(self.seed, "draws", int(self.catalog.index[row]))

    def row_by_row(self, draw: Callable[[int, int], Drawn]) -> tuple[np.ndarray, list[Drawn]]:
        """The rows that could be drawn, and what ``draw`` (of a row, and of its number among them) gave for each."""
        kept: list[int] = []
        drawn: list[Drawn] = []
        for done, row in enumerate(self.rows.tolist(), 1):
            try:
                drawn.append(draw(row, len(kept)))
                kept.append(row)
            except TooLittleInside as short:
                if not self.skip_failed:
                    where = f"{self.catalog.path}: {self.catalog.describe_rows(np.array([row]))}"
                    raise UserError(
                        f"{where}: {short}; the observation may be unlike the training "
                        "data; --skip-failed leaves it out, a flow with --support probit cannot fail so"
                    ) from short
            self.listen(done, len(self.rows))
        if not kept:
            raise UserError(
                f"{self.catalog.path}: no observation could be sampled ({self.catalog.describe_rows(self.rows)})"
            )
        return np.array(kept), drawn
