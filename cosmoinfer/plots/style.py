"""The style that all figures share: colours, grids of panels, the area outside the prior."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cosmoinfer.parameters import Parameters

BLUE, RED, GREY, BACKGROUND = "#0072B2", "#D55E00", "#6B6B6B", "#ECECEC"  # Okabe & Ito: for colour-blind readers too
COLOURS = (BLUE, RED, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # of overlays
RC_PARAMS: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "pdf.fonttype": 42,  # fonts as they are, which printers and journals take
    "svg.hashsalt": "cosmoinfer",  # names within the file that do not depend on the time
}
PRINT_RC_PARAMS: Any = {  # of a figure that has its size on paper
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "legend.fontsize": 6.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}
MIN_PRINTED_PANEL, PRINTED_HEIGHTS = 1.6, (1.6, 3.0)  # inches, of one panel
MIN_SHRINKAGE = 0.55  # of a panel in print
QUARTERS = [0, 0.25, 0.5, 0.75, 1]


def panel_grid(
    count: int, width: float, height: float, printed: float | None = None, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` panels in at most four columns; width and height of a panel in inches.

    printed: the width of the figure, in inches, into which as many columns go as stay legible.
    """
    columns = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3, 9: 3}.get(count, 4)
    if printed is not None:
        columns = min(columns, max(1, int(printed / max(MIN_PRINTED_PANEL, MIN_SHRINKAGE * width))))
        width, height = printed / columns, float(np.clip(height / width * printed / columns, *PRINTED_HEIGHTS))
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False, **options).ravel())
    for unused in panels[count:]:
        unused.set_visible(False)
    return figure, panels[:count]


def explain(figure: Figure, handles: Any) -> None:
    """What lines, bands and dots are, in a strip beneath the panels, by which the figure grows."""
    canvas: Any = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(handles=handles, loc="outside lower center", ncols=columns)
        box = legend.get_window_extent(renderer)
        if box.width <= figure.bbox.width or columns == 1:
            break
        legend.remove()
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + box.height / figure.dpi + 0.2)


def with_white(colour: str, fraction: float) -> str:
    """A colour mixed with a fraction of white."""
    red, green, blue = (fraction + (1 - fraction) * channel for channel in to_rgb(colour))
    return to_hex((red, green, blue))


def shade_outside(axes: Axes, parameters: Parameters, x: int, y: int | None) -> None:
    """Grey background where the prior of one parameter, or of two, is zero. x, y: their columns."""
    limits = [axes.get_xlim(), axes.get_ylim()]
    edges = [(parameters.low[k], parameters.high[k]) if k is not None else (-np.inf, np.inf) for k in (x, y)]
    beyond = [(2 * start - end, 2 * end - start) for start, end in limits]  # an edge out of sight, at a finite place
    (left, right), (bottom, top) = (np.clip(edge, *far) for edge, far in zip(edges, beyond, strict=True))
    axes.set_facecolor(BACKGROUND)
    box = Rectangle(
        (left, bottom), right - left, top - bottom, facecolor="white", edgecolor=GREY, linewidth=0.8, zorder=0
    )
    axes.add_patch(box)
    _shade_region(axes, parameters, x, y)


def _shade_region(axes: Axes, parameters: Parameters, x: int, y: int | None) -> None:
    """Grey over what the conditions on these parameters alone exclude, smoothed contours too."""
    grid = np.meshgrid(*(np.linspace(*limits, 300) for limits in (axes.get_xlim(), axes.get_ylim())))
    points = [{parameters.names[k]: values} for k, values in zip((x, y), grid, strict=True) if k is not None]
    points = [points[0] | points[1]] if len(points) == 2 and x != y else points
    conditions = [condition for condition in parameters.conditions if points[0].keys() >= set(condition.names)]
    if not conditions:
        return
    allowed = np.logical_and.reduce([condition.holds(values) for condition in conditions for values in points])
    axes.contourf(*grid, ~allowed, levels=[0.5, 1.5], colors=[BACKGROUND], zorder=2)
