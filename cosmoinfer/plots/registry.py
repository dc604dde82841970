"""All figures by name (PLOTS), drawn into a folder, or one of them into a file: PNG, PDF or SVG.

A figure is one function ``FigureData -> Figure``, or None where it does not apply, and one entry in the table. The
first line of its docstring is its caption. No pyplot: no global state.
"""

import re
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
from cosmoinfer.plots.calibration import coverage, ood, sbc
from cosmoinfer.plots.classes import confusion, reliability
from cosmoinfer.plots.figure_data import FigureData
from cosmoinfer.plots.learning import losses
from cosmoinfer.plots.prediction import truth_prediction
from cosmoinfer.plots.simulations import data, observation
from cosmoinfer.plots.style import PRINT_RC_PARAMS, RC_PARAMS
from cosmoinfer.plots.triangle import corner, members

CREATOR = "cosmoinfer"
METADATA: Mapping[
    str, Mapping[str, str | None]
] = {  # by format; without dates, so that the same data give the same bytes
    "png": {"Software": CREATOR},
    "pdf": {"Creator": CREATOR, "CreationDate": None},
    "svg": {"Creator": CREATOR, "Date": None},
}
MARKS = {  # what these leave in a file, and from which byte to which it is looked for
    b"\x89PNG": (re.compile(b"tEXtSoftware\0cosmoinfer"), slice(4096)),
    b"%PDF": (re.compile(rb"/Creator \(cosmoinfer\)[^>]*>>\s*endobj\s+xref\s"), slice(None)),
    b"<?xm": (re.compile(rb"<dc:title>cosmoinfer</dc:title>"), slice(4096)),
}
MAX_FIGURE_BYTES = 1 << 28  # larger files are of another tool
SCREEN_DPI, PRINT_DPI = 150, 300


def draw(figure_data: FigureData, folder: Path, names: Iterable[str] | None = None) -> list[Path]:
    """Every figure that applies, as ``folder/NAME.png``, each whole or absent. Same data, same bytes.

    names: of PLOTS, by default all. A figure of an earlier run that no longer applies is removed: it would show
    another posterior. Nothing is written before all are drawn. Raises UserError as ``check_folder`` does.
    """
    names = list(PLOTS if names is None else names)
    check_folder(folder, names)
    in_print = figure_data.width is not None
    images = {folder / f"{name}.png": render(partial(PLOTS[name], figure_data), in_print=in_print) for name in names}
    return _replace(images)


def save(plot: Callable[[], Figure], path: Path) -> None:
    """Draw one figure in our look and write it, whole or absent. Raises UserError as ``check_folder`` does."""
    check_folder(path.parent, [path.stem])
    _replace({path: render(plot)})


def check_folder(folder: Path, names: Iterable[str] | None = None) -> None:
    """Before any work is done: only figures that this tool drew are replaced or removed.

    names: of the figures, by default PLOTS. Raises UserError where the folder cannot be made, or has the name of a
    figure, and for a file of the name of a figure that is none of ours.
    """
    if figure_format(folder) and not folder.is_dir():
        raise UserError(f"{folder}: expected a folder, found the name of a figure; draw one with: cosmoinfer plot FILE")
    storage.check_folder(folder)
    for name in PLOTS if names is None else names:
        check_replaceable(folder / f"{name}.png")


def check_replaceable(path: Path) -> None:
    """Raises UserError for a file that is no figure of ours."""
    if (path.exists() or path.is_symlink()) and not _is_ours(path):
        raise UserError(f"{path}: was not drawn by this version of cosmoinfer, and is not replaced; move it away")


def figure_format(path: Path) -> str:
    """``pdf`` of corner.pdf; empty where the name of a file does not end as that of a figure."""
    suffix = path.suffix.lower().removeprefix(".")
    return suffix if suffix in METADATA else ""


def _is_ours(path: Path) -> bool:
    """Whether a file is a figure with the mark that ``render`` leaves."""
    if not path.is_file() or path.stat().st_size > MAX_FIGURE_BYTES:
        return False
    with path.open("rb") as file:
        first = file.read(4)
        if first not in MARKS:
            return False
        mark, place = MARKS[first]
        return mark.search(first + file.read(-1 if place.stop is None else place.stop)) is not None


def render(plot: Callable[[], Figure | None], format: str = "png", in_print: bool = False) -> bytes | None:
    """A figure in our look as PNG, PDF or SVG; None where there is none. The same data give the same bytes.

    in_print: in its size on paper, with letters and a resolution for it. Fonts are embedded in a PDF (type 42), and are
    outlines in an SVG.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a matplotlibrc of the user's must not change a figure of ours
        matplotlib.rcParams.update(RC_PARAMS | (PRINT_RC_PARAMS if in_print else {}))
        figure = plot()
        if figure is None:
            return None
        image = BytesIO()
        with warnings.catch_warnings():  # of a name in a script that the font lacks: boxes are drawn
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
            dpi = PRINT_DPI if in_print else SCREEN_DPI
            figure.savefig(image, format=format, dpi=dpi, metadata=dict(METADATA[format]))
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
    "ood": ood,
    "data": data,
    "observation": observation,
    "members": members,
}


def caption(plot: Callable[[FigureData], Figure | None]) -> str:
    """One sentence that says how to read a figure."""
    return (plot.__doc__ or "").split("\n")[0]
