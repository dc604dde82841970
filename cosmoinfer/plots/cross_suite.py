"""The matrix of a cross-suite study: a panel for each metric."""

from dataclasses import dataclass
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from cosmoinfer.plots.labels import MAX_NAME, plain_text
from cosmoinfer.plots.style import BACKGROUND, BLUE, GREY, RED, panel_grid
from cosmoinfer.printable import one_line
from cosmoinfer.studies.cross_suite import CrossSuite

BAD_TO_GOOD = LinearSegmentedColormap.from_list("bad to good", [RED, "white", BLUE])
MAX_LABEL_LETTERS = 14  # of a suite's name in one line
WHITE_TEXT_FROM = 0.75  # of the way to an end of the colours


@dataclass(frozen=True)
class Panel:
    """One metric of all pairs of a training suite (R) and a test suite (S).

    title: above the panel.
    values: (R, S), larger is better; NaN where not evaluated.
    neutral: the value that is white.
    half_range: the distance from it to either end of the colours.
    """

    title: str
    values: np.ndarray
    neutral: float
    half_range: float


def plot_cross_suite(study: CrossSuite, width: float | None = None) -> Figure:
    """Rows: trained on; columns: tested on. Blue is good, red is bad.

    White: R2 of zero, that of the prior mean; a coverage of 68 % (red below, blue above); no information gain over the
    prior; 5 % of the observations flagged as out of distribution. width: of the figure, in inches.
    """
    panels = _panels(study)
    rows, columns = len(study.trained), len(study.suites)
    figure, grid = panel_grid(len(panels), 0.9 + 0.8 * columns, 0.9 + 0.5 * rows, width, sharex=True, sharey=True)
    for axes, panel in zip(grid, panels, strict=True):
        _draw(axes, panel, study)
    position = grid[0].get_subplotspec()
    assert position is not None
    for axes in grid[-position.get_gridspec().ncols :]:
        axes.tick_params(labelbottom=True)  # the last panel of its column
    figure.supxlabel("tested on", fontsize="large")
    figure.supylabel("trained on", fontsize="large")
    return figure


def _panels(study: CrossSuite) -> list[Panel]:
    r2, coverage = (study.matrix(metric)[..., 0] for metric in ("r2", "coverage_68"))  # (R, S, P)
    names = [plain_text(name) for name in study.parameter_names]
    panels = [Panel(f"R2, {name}", r2[:, :, number], 0.0, 1.0) for number, name in enumerate(names)]
    panels += [Panel(f"coverage_68, {name}", coverage[:, :, number], 0.68, 0.32) for number, name in enumerate(names)]
    gain, flagged = (study.matrix(metric)[..., 0] for metric in ("log_prob_gain", "ood"))
    if np.isfinite(gain).any():
        panels.append(Panel("gain over the prior [nat]", gain, 0.0, float(np.nanmax(np.abs(np.diag(gain))))))
    if np.isfinite(flagged).any():
        panels.append(Panel("fraction flagged (ood)", -flagged, -0.05, 0.95))
    return panels


def _draw(axes: Axes, panel: Panel, study: CrossSuite) -> None:
    colour = np.clip(0.5 + 0.5 * (panel.values - panel.neutral) / panel.half_range, 0, 1)
    axes.imshow(colour, cmap=BAD_TO_GOOD, vmin=0, vmax=1, aspect="auto")
    axes.set_facecolor(BACKGROUND)
    for (row, column), value in np.ndenumerate(panel.values):
        if np.isfinite(value):
            text_colour = "white" if abs(2 * colour[row, column] - 1) > WHITE_TEXT_FROM else "black"
            text = format(abs(value) if panel.neutral < 0 else value, ".2f" if abs(value) < 100 else ".2g")
            axes.text(column, row, text, ha="center", va="center", color=text_colour, fontsize="small")
    names = [_wrap_name(name) for name in study.suites]
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(study.trained)), [_wrap_name(name) for name in study.trained])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set(visible=True, color=GREY)
    axes.set_title(panel.title, fontsize="medium")


def _wrap_name(name: str) -> str:
    return "\n".join(map(plain_text, wrap(one_line(name, MAX_NAME), MAX_LABEL_LETTERS)))
