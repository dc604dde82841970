"""How posteriors are drawn: how many draws, from which seed, what becomes of a failure, and where the draws go."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.sampling.buffer import DrawBuffer
from cosmoinfer.sampling.rejection import NoPrediction, TooLittleInside
from cosmoinfer.sampling.shard import Shard
from cosmoinfer.settings import check_settings, setting
from cosmoinfer.storage import JSONObject


@dataclass(frozen=True)
class SamplingOptions:
    """What a user sets, then what a task adds.

    draws: of each observation.
    seed: of the run; the draws of a row depend on it and on the row's number, on no other row.
    skip_failed: whether rows that cannot be sampled are left out; otherwise the first one is an error.
    combine: ``product`` for one posterior a simulation, of its rows as independent observations.
    recalibrate: ``temperature`` for the width that the validation rows ask for.
    shard: ``3/16`` for the third of sixteen contiguous parts of the observations; None for all of them.
    progress: is called with how many rows are done, and how many there are.
    folder: where draws go that are too many for memory; without one, memory holds them all.
    written: whether a file is then written from them in that folder.
    selection: (n,) positions of all rows of the run, where those that are drawn are a shard of it: the test of them as
        a set is of all.
    """

    draws: int = setting(1000, minimum=1)
    seed: int = 0
    skip_failed: bool = False
    combine: str | None = None
    recalibrate: str | None = None
    shard: str | None = None
    progress: Callable[[int, int], None] = lambda done, rows: None
    folder: Path | None = None
    written: bool = True
    selection: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        if self.shard is not None:
            Shard.parse(self.shard)

    @property
    def parsed_shard(self) -> Shard | None:
        """The part of the observations; None for all of them. Raises UserError if the text names none."""
        return None if self.shard is None else Shard.parse(self.shard)

    @property
    def provenance(self) -> JSONObject:
        """The settings that the draws depend on; those without effect leave no trace."""
        shard = self.parsed_shard and str(self.parsed_shard)
        optional = {"combine": self.combine, "recalibrate": self.recalibrate, "shard": shard}
        always = {"draws": self.draws, "skip_failed": self.skip_failed, "seed": self.seed}
        return always | {name: value for name, value in optional.items() if value}

    def selected(self, rows: np.ndarray) -> np.ndarray:
        """All rows of the run, of which these (n,) are drawn."""
        return rows if self.selection is None else self.selection

    def buffer(self, rows: int, parameters: int) -> DrawBuffer:
        """For the draws of so many rows, of so many parameters each."""
        return DrawBuffer.allocate(rows, self.draws, parameters, self.folder, self.written)

    def generator(self, number: int) -> np.random.Generator:
        """Of the draws of the row of this number."""
        return seeding.generator(self.seed, "draws", int(number))

    def rows_with_progress(self, rows: np.ndarray) -> Iterator[int]:
        """The rows (n,), one after the other; progress is reported after each."""
        for done, row in enumerate(rows.tolist(), 1):
            yield row
            self.progress(done, len(rows))

    @contextmanager
    def failures_skipped(self, catalog: Catalog, row: int) -> Iterator[None]:
        """What is begun for a row that cannot be sampled ends here if failures are skipped.

        Raises UserError, which names the row, if they are not.
        """
        try:
            yield
        except (TooLittleInside, NoPrediction) as error:
            if not self.skip_failed:
                where = f"{catalog.path}: {catalog.describe_rows(np.array([row]))}"
                advice = ", a flow with `support=probit` cannot fail like this where the prior fills its box"
                raise UserError(
                    f"{where}: {error}; the observation may be unlike the training data: compare its units, whether "
                    "its logarithm was taken, and the order of its columns; `skip_failed` leaves it out"
                    + advice
                    * isinstance(error, TooLittleInside)
                ) from error


class NothingSampled(UserError):
    """No observation could be sampled, which is no failure of a shard."""


def require_sampled(catalog: Catalog, rows: np.ndarray, sampled: list[int]) -> np.ndarray:
    """Those of the rows (n,) that could be sampled, (k,). Raises NothingSampled where there are none."""
    if not sampled:
        raise NothingSampled(f"{catalog.path}: no observation could be sampled ({catalog.describe_rows(rows)})")
    return np.array(sampled)
