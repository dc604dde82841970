"""What becomes of a flow on another suite of simulations than its own: the matrix of ``cross``."""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from cosmoinfer.metrics.metric import JOINT, PARAMETERS
from cosmoinfer.plots.style import BACKGROUND, BLUE, GREY, RED, escape_dollars, panel_grid
from cosmoinfer.studies.cross_suite import matrix

BAD_TO_GOOD = LinearSegmentedColormap.from_list("bad to good", [RED, "white", BLUE])
MAX_LABEL_LETTERS = 14  # letters of a suite's name in a line
WHITE_TEXT_FROM = 0.75  # of the way to an end of the colours, from which numbers are white


@dataclass(frozen=True)
class Panel:
    """values: (R, S). white: the value of no colour; reach: how far from it the colours go."""

    title: str
    values: np.ndarray
    neutral: float
    reach: float


def plot_cross_suite(document: Mapping[str, Any]) -> Figure:
    """A row what was trained on, a column what was tested on; blue is good, red is bad, white neither.

    White: an R2 of zero, which the mean of the prior has; 68 % in the 68 % intervals, with red for fewer, blue for
    more; no gain over the prior; 5 % of the observations flagged.
    """
    panels = _panels(document)
    rows, columns = len(document["trained"]), len(document["suites"])
    figure, axes = panel_grid(len(panels), width=0.9 + 0.8 * columns, height=0.9 + 0.5 * rows, sharex=True, sharey=True)
    for one, panel in zip(axes, panels, strict=True):
        _draw(one, panel, document)
    place = axes[0].get_subplotspec()
    assert place is not None
    for one in axes[-place.get_gridspec().ncols :]:
        one.tick_params(labelbottom=True)  # the last of its column
    figure.supxlabel("tested on", fontsize=10)
    figure.supylabel("trained on", fontsize=10)
    return figure


def _panels(document: Mapping[str, Any]) -> list[Panel]:
    r2, coverage = (matrix(document, PARAMETERS, metric)[..., 0] for metric in ("r2", "coverage_68"))  # (R, S, P)
    names = [escape_dollars(name) for name in document["parameters"]]
    panels = [Panel(f"R2, {name}", r2[:, :, number], 0.0, 1.0) for number, name in enumerate(names)]
    panels += [Panel(f"coverage_68, {name}", coverage[:, :, number], 0.68, 0.32) for number, name in enumerate(names)]
    gain, flagged = (matrix(document, JOINT, metric)[..., 0] for metric in ("log_prob_gain", "ood"))
    if np.isfinite(gain).any():
        panels.append(Panel("nats over the prior", gain, 0.0, float(np.nanmax(np.abs(np.diag(gain))))))
    if np.isfinite(flagged).any():
        panels.append(Panel("share flagged", -flagged, -0.05, 0.95))
    return panels


def _draw(axes: Axes, panel: Panel, document: Mapping[str, Any]) -> None:
    position = np.clip(0.5 + 0.5 * (panel.values - panel.neutral) / panel.reach, 0, 1)
    axes.imshow(position, cmap=BAD_TO_GOOD, vmin=0, vmax=1, aspect="auto")
    axes.set_facecolor(BACKGROUND)
    for (row, column), value in np.ndenumerate(panel.values):
        if np.isfinite(value):
            colour = "white" if abs(2 * position[row, column] - 1) > WHITE_TEXT_FROM else "black"
            said = format(abs(value) if panel.neutral < 0 else value, ".2f" if abs(value) < 100 else ".2g")
            axes.text(column, row, said, ha="center", va="center", color=colour, fontsize=8)
    slant: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(document["suites"])), [_wrapped(name) for name in document["suites"]], **slant)
    axes.set_yticks(range(len(document["trained"])), [_wrapped(name) for name in document["trained"]])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set(visible=True, color=GREY)
    axes.set_title(panel.title, fontsize=9)


def _wrapped(name: str) -> str:
    return escape_dollars("\n".join(wrap(name, MAX_LABEL_LETTERS)))
