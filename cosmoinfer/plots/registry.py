"""All figures by name (PLOTS), drawn into a folder.

A figure is one function ``FigureData -> Figure``, or None where it does not apply, and one entry in the table. The
first line of its docstring is its caption. No pyplot: no global state.
"""

from collections.abc import Callable, Iterable
from functools import partial
from io import BytesIO
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from cosmoinfer import storage
from cosmoinfer.plots.calibration import coverage, sbc
from cosmoinfer.plots.classes import confusion, reliability
from cosmoinfer.plots.figure_data import FigureData
from cosmoinfer.plots.learning import losses
from cosmoinfer.plots.prediction import truth_prediction
from cosmoinfer.plots.style import RC_PARAMS
from cosmoinfer.plots.triangle import corner


def draw(data: FigureData, folder: Path, names: Iterable[str] | None = None) -> list[Path]:
    """Every figure that applies, as ``folder/NAME.png``, whole or absent. Same data, same bytes.

    names: of PLOTS, by default all. A figure of an earlier run that no longer applies is removed: it would show
    another posterior.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.png" for name in (PLOTS if names is None else names)}
    return [path for name, path in paths.items() if save(partial(PLOTS[name], data), path)]


def save(plot: Callable[[], Figure | None], path: Path) -> bool:
    """Draw one figure in our look and write it, whole or absent; where there is none, remove an earlier one."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a matplotlibrc of the user's must not change a figure of ours
        matplotlib.rcParams.update(RC_PARAMS)
        figure = plot()
        if figure is None:
            path.unlink(missing_ok=True)
        else:
            _write(figure, path)
    return figure is not None


def _write(figure: Figure, path: Path) -> None:
    image = BytesIO()
    figure.savefig(image, format="png", dpi=150, metadata={"Software": None})
    with storage.atomic_write(path) as scratch:
        scratch.write_bytes(image.getvalue())


PLOTS: dict[str, Callable[[FigureData], Figure | None]] = {
    "losses": losses,
    "truth_prediction": truth_prediction,
    "corner": corner,
    "coverage": coverage,
    "sbc": sbc,
    "confusion": confusion,
    "reliability": reliability,
}
