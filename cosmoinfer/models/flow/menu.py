"""The menu of architectures that are raced for a place in the mixture of a flow, and how much of it is ordered.

A row of ``MENU`` is one candidate. Measured: tests/benchmarks/DEFAULTS.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosmoinfer.models.recipe import FEW_TRAINING_ROWS, MANY_TRAINING_ROWS


@dataclass(frozen=True)
class Effort:
    """How much a race may cost, beside how many candidates are on the menu.

    finalists: architectures that are trained in full, at most. members: of each, for one by default.
    """

    finalists: int
    members: float


EFFORTS = {
    "low": Effort(2, 0.6),
    "medium": Effort(4, 1),
    "high": Effort(6, 2),
}


@dataclass(frozen=True)
class MenuEntry:
    """A flow, its settings, and when it is raced.

    behind_network: whether it sees the data through a network. effort: the least for which it is raced. min_rows,
    max_rows: of training, from and below which it is.
    """

    flow: str
    settings: Mapping[str, Any]
    behind_network: bool = False
    effort: str = "medium"
    min_rows: int = 0
    max_rows: float = float("inf")


MENU = (
    MenuEntry("maf", {"hidden": 64}, behind_network=True, effort="low"),  # cheap; narrow posteriors of few parameters
    MenuEntry("nsf", {"hidden": 50}, behind_network=True, effort="low", max_rows=MANY_TRAINING_ROWS),  # precise data
    MenuEntry("nsf", {"hidden": 64, "layers": 5}, behind_network=True, effort="low", min_rows=MANY_TRAINING_ROWS),
    MenuEntry("nsf", {"hidden": 32, "dropout": 0.2}, effort="low"),  # noisy data, many parameters
    MenuEntry("nsf-ar", {"hidden": 50}),  # several modes
    MenuEntry("maf", {"hidden": 128, "dropout": 0.2}, max_rows=FEW_TRAINING_ROWS),  # noisy data of few rows
    MenuEntry("maf", {"hidden": 128, "dropout": 0.2}, behind_network=True, max_rows=FEW_TRAINING_ROWS),
    MenuEntry("nsf-ar", {"hidden": 32, "dropout": 0.2}, effort="high", max_rows=MANY_TRAINING_ROWS),
    MenuEntry("nsf-ar", {"hidden": 50}, behind_network=True, effort="high"),
    MenuEntry("nsf-ar", {"hidden": 64, "layers": 5}, effort="high"),
    MenuEntry("nsf", {"hidden": 64, "layers": 8}, effort="high"),
)


def menu(rows: int, effort: str) -> list[MenuEntry]:
    """What is raced for so many training rows."""
    order = list(EFFORTS)
    return [
        entry
        for entry in MENU
        if entry.min_rows <= rows < entry.max_rows and order.index(entry.effort) <= order.index(effort)
    ]
