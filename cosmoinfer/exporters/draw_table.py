"""What the formats of other tools hold of a posterior: draws with their density, names and LaTeX of the parameters."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cosmoinfer import storage
from cosmoinfer.latex import latex_label
from cosmoinfer.memory import check_memory
from cosmoinfer.parameters import Parameters


@dataclass(frozen=True)
class DrawTable:
    """S draws of equal weight from each of n posteriors of P parameters.

    derived: names of the last parameters, which are functions of the others; log_prob is a density of those others.
    index: (n,), row numbers of the observations. simulation: (n,), where they come from.
    samples: (n, S, P), catalog units. log_prob: (n, S), natural logarithms; None where the density is not known.
    truth: (n, P), the true parameters, NaN in rows where they are not known; None where they are known of none.
    """

    parameters: Parameters
    derived: tuple[str, ...]
    index: np.ndarray
    simulation: np.ndarray
    samples: np.ndarray | storage.OnDiskArray
    log_prob: np.ndarray | storage.OnDiskArray | None
    truth: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def names(self) -> tuple[str, ...]:
        return self.parameters.names

    @property
    def labels(self) -> tuple[str, ...]:
        """LaTeX without dollar signs, one a parameter."""
        return tuple(map(latex_label, self.parameters.names, self.parameters.labels))

    def check_memory(self) -> None:
        """Raises UserError where memory does not take all draws, and the same again as another tool has them."""
        n, count, width = self.samples.shape
        check_memory(2 * n * count * (width + 2), f"{n} times {count} draws of {width} parameters")

    def observations(self) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """Row number, samples (S, P) and log_prob (S,) of each, one observation in memory at a time."""
        for place, row in enumerate(self.index.tolist()):
            log_prob = None if self.log_prob is None else np.asarray(self.log_prob[place])
            yield row, np.asarray(self.samples[place]), log_prob

    def columns(self) -> dict[str, np.ndarray]:
        """All draws below each other, (n S,): ``row``, the parameters by name, and ``log_prob`` where it is known.

        A name that a parameter has already gains an underscore. Raises UserError where memory does not take them.
        """
        self.check_memory()
        n, count, width = self.samples.shape
        samples = np.asarray(self.samples).reshape(n * count, width)
        columns = {unused("row", self.names): np.repeat(self.index, count)}
        columns |= {name: samples[:, column] for column, name in enumerate(self.names)}
        if self.log_prob is None:
            return columns
        return columns | {unused("log_prob", columns): np.asarray(self.log_prob).reshape(n * count)}


def unused(name: str, taken: object) -> str:
    """The name, with as many underscores behind it as make it none of those that are taken."""
    while name in taken:  # type: ignore[operator]
        name += "_"
    return name


def accepted_names(names: tuple[str, ...], refused: re.Pattern[str], reserved: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The names with an underscore for each run of characters that a format refuses; different, and none reserved."""
    accepted: list[str] = []
    for name in names:
        accepted.append(unused(refused.sub("_", name).strip() or "_", (*accepted, *reserved)))
    return tuple(accepted)
