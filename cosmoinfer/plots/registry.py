"""All figures by name (PLOTS), drawn into a folder.

A figure is one function ``FigureData -> Figure``, or None where it does not apply, and one entry in the table. The
first line of its docstring is its caption. No pyplot: no global state.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from cosmoinfer import storage
from cosmoinfer.errors import UserError
from cosmoinfer.plots.calibration import coverage, sbc
from cosmoinfer.plots.classes import confusion, reliability
from cosmoinfer.plots.figure_data import FigureData
from cosmoinfer.plots.learning import losses
from cosmoinfer.plots.prediction import truth_prediction
from cosmoinfer.plots.style import RC_PARAMS
from cosmoinfer.plots.triangle import corner

MARK = b"tEXtSoftware\0cosmoinfer"  # among the first chunks of a PNG
MAX_MARK_OFFSET = 4096  # bytes


def draw(data: FigureData, folder: Path, names: Iterable[str] | None = None) -> list[Path]:
    """Every figure that applies, as ``folder/NAME.png``, each whole or absent. Same data, same bytes.

    names: of PLOTS, by default all. A figure of an earlier run that no longer applies is removed: it would show
    another posterior. Nothing is written before all are drawn. Raises UserError as ``check_folder`` does.
    """
    names = list(PLOTS if names is None else names)
    check_folder(folder, names)
    images = {folder / f"{name}.png": _image(partial(PLOTS[name], data)) for name in names}
    return _replace(images)


def save(plot: Callable[[], Figure], path: Path) -> None:
    """Draw one figure in our look and write it, whole or absent. Raises UserError as ``check_folder`` does."""
    check_folder(path.parent, [path.stem])
    _replace({path: _image(plot)})


def check_folder(folder: Path, names: Iterable[str] | None = None) -> None:
    """Before any work is done: only figures that this tool drew are replaced or removed.

    names: of the figures, by default PLOTS. Raises UserError where the folder cannot be made, and for a file of the
    name of a figure that is none of ours.
    """
    storage.check_folder(folder)
    for name in PLOTS if names is None else names:
        path = folder / f"{name}.png"
        if (path.exists() or path.is_symlink()) and not _is_ours(path):
            raise UserError(f"{path}: was not drawn by this version of cosmoinfer, and is not replaced; move it away")


def _is_ours(path: Path) -> bool:
    """Whether a file is a figure with the mark that ``_image`` leaves."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return MARK in file.read(MAX_MARK_OFFSET)


def _image(plot: Callable[[], Figure | None]) -> bytes | None:
    """A figure in our look as PNG; None where there is none."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a matplotlibrc of the user's must not change a figure of ours
        matplotlib.rcParams.update(RC_PARAMS)
        figure = plot()
        if figure is None:
            return None
        image = BytesIO()
        with warnings.catch_warnings():  # of a name in a script that the font lacks: boxes are drawn
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
            figure.savefig(image, format="png", dpi=150, metadata={"Software": "cosmoinfer"})
        return image.getvalue()


def _replace(images: Mapping[Path, bytes | None]) -> list[Path]:
    """Write the figures that there are, and remove the files of those that there are not: the paths that are written.

    All are written before one is replaced: a disk that fills leaves the old ones.
    """
    drawn = {path: image for path, image in images.items() if image is not None}
    with ExitStack() as scratch_files:
        for path, image in drawn.items():
            storage.make_folder(path.parent)
            scratch_files.enter_context(storage.atomic_write(path)).write_bytes(image)
    for path in images.keys() - drawn.keys():
        path.unlink(missing_ok=True)
    return list(drawn)


PLOTS: dict[str, Callable[[FigureData], Figure | None]] = {
    "losses": losses,
    "truth_prediction": truth_prediction,
    "corner": corner,
    "coverage": coverage,
    "sbc": sbc,
    "confusion": confusion,
    "reliability": reliability,
}


def render(plot: Callable[[], Figure | None], format: str = "png") -> bytes | None:
    """A figure in our look; None where there is none."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC_PARAMS | {"svg.hashsalt": "cosmoinfer"})
        figure = plot()
        if figure is None:
            return None
        image = BytesIO()
        figure.savefig(image, format=format, metadata={"Date": None})
        return image.getvalue()


def caption(plot: Callable[[FigureData], Figure | None]) -> str:
    """One sentence that says how to read a figure."""
    return (plot.__doc__ or "").split("\n")[0]
