"""The axes of a triangle of panels: scales, ticks, labels, margins, and where its legend finds room."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, Locator, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import Bbox

from cosmoinfer.parameters import Parameters
from cosmoinfer.plots.labels import parameter_label

PANEL_INCHES = 1.4  # of a triangle whose width is not given
SIDE_INCHES, SIDE_FRACTION = 1.9, 0.42  # of the legend beside a single panel, which leaves no corner for it
PANEL_SIZES = (0.2, 0.5, 1.0, 1.5, 3.0)  # inches; and the font sizes in points that are legible there
TICK_SIZES, LABEL_SIZES, TITLE_SIZES = (5, 5.5, 7, 7.5, 8), (7, 8, 9, 10, 11), (6, 6, 7, 8, 9)
LEGEND_SIZES = ((9, 1), (8, 1), (7, 1), (6.5, 1), (6, 1), (6, 2), (5.5, 2), (5.5, 3))  # points, columns
NUMBER_SIZES = (8.0, 7.0, 6.5, 6.0, 5.5, 5.0)  # points, of the legend together with lines of numbers
LEGEND_BELOW = 6.5  # points, of a legend that finds no room among the panels
MIN_TICKED_PANEL = 0.34  # inches; in smaller panels there is no room for numbers along the axes
MAX_TITLE = 1.1  # of the width of a panel
MAX_SHRINKAGE = 1.3  # of a label that is longer than its panel
DECADE, MIN_RATIO_OF_DECADES = 10.0, 6.0  # of the ends of a logarithmic axis, from which on 1, 2, 5 lie close enough
PLAIN_NUMBERS = (1e-3, 1e5)  # along an axis; outside, its label names a power of ten
DIGIT = 0.64  # of the size of letters: the width of a digit
TICK_MARGIN = 0.06  # of an axis, at its ends, where numbers would meet those of the next panel
GAP, PAD = 0.07, 0.04  # between panels, in units of a panel; at the edges of the figure, in inches


def empty_triangle(count: int, width: float | None) -> tuple[Figure, np.ndarray]:
    if width is None:
        width = max(PANEL_INCHES * count + 1.2, 4.0) + (SIDE_INCHES if count == 1 else 0)
    figure = Figure(figsize=(width, width if count > 1 else 0.62 * width))
    FigureCanvasAgg(figure)  # measures texts
    return figure, figure.subplots(count, count, squeeze=False, gridspec_kw={"wspace": GAP, "hspace": GAP})


def _sizes(grid: np.ndarray) -> tuple[float, float, float, float]:
    """The width of a panel in inches, and the sizes of ticks, labels and titles in points."""
    figure = grid[0, 0].figure
    panel = grid[0, 0].get_position().width * figure.get_size_inches()[0]
    ticks, labels, titles = (
        float(np.interp(panel, PANEL_SIZES, sizes)) for sizes in (TICK_SIZES, LABEL_SIZES, TITLE_SIZES)
    )
    return panel, ticks, labels, titles


def set_scales(axes: Axes, parameters: Parameters, x: int, y: int, limits: np.ndarray) -> None:
    axes.set_xlim(*limits[x])
    if parameters.priors[x].log_axis:
        axes.set_xscale("log")
    if y > x:
        axes.set_ylim(*limits[y])
        if parameters.priors[y].log_axis:
            axes.set_yscale("log")


def label_edges(grid: np.ndarray, parameters: Parameters, limits: np.ndarray) -> None:
    """Ticks and labels at the outer edges of the triangle only."""
    panel, tick_size, label_size, _ = _sizes(grid)
    last, ticked = len(parameters) - 1, panel >= MIN_TICKED_PANEL
    exponents = [_exponent(*ends) for ends in limits]
    for (y, x), axes in np.ndenumerate(grid):
        if x > y:
            continue
        axes.grid(False)
        for axis, column in ((axes.xaxis, x), (axes.yaxis, y)):
            _place_ticks(axis, limits[column], parameters.priors[column].log_axis, exponents[column], panel)
        if x == y:
            axes.yaxis.set_major_locator(NullLocator())
        axes.tick_params(which="both", direction="in", length=2, width=0.6)
        axes.tick_params(labelbottom=ticked and y == last, labelleft=ticked and x == 0 < y, labelsize=tick_size, pad=2)
        axes.spines[:].set(visible=True, linewidth=0.6)
        axes.spines[["left", "top", "right"]].set_visible(y > x)
    askew = max(_length(axes.xaxis, tick_size) for axes in grid[-1]) > panel
    for axes in grid[-1]:
        axes.tick_params(axis="x", labelrotation=45 if askew else 0)
    labels = [_axis_label(*pair) for pair in zip(_labels(parameters), exponents, strict=True)]
    for axes, text in zip(grid[-1], labels, strict=True):
        axes.set_xlabel(text, fontsize=label_size, labelpad=2)
    for axes, text in zip(grid[1:, 0], labels[1:], strict=True):
        axes.set_ylabel(text, fontsize=label_size, labelpad=2)
    figure = grid[0, 0].figure
    edges = [axes.xaxis.label for axes in grid[-1]] + [axes.yaxis.label for axes in grid[1:, 0]]
    _shrink_labels(edges, panel, _renderer(figure), figure.dpi)
    figure.align_xlabels(grid[-1])
    figure.align_ylabels(grid[1:, 0])


def _length(axis: Any, size: float) -> float:
    """Inches that the numbers along an axis take side by side, in letters of this size in points."""
    texts = [axis.get_major_formatter()(value, 0) for value in axis.get_majorticklocs()]
    return len(texts) * (max(map(len, texts), default=0) + 1) * DIGIT * size / 72


def _shrink_labels(labels: list[Text], panel: float, renderer: Any, dpi: float) -> None:
    """To the length of a panel, with units below symbols where they need it; those of small panels stand askew where
    that is too small to read."""
    for label in labels:
        if max(label.get_window_extent(renderer).size) / dpi > panel >= MIN_TICKED_PANEL:
            label.set_text(label.get_text().replace(" [", "\n["))
    lengths = [max(label.get_window_extent(renderer).size) / dpi for label in labels]
    askew = max(lengths) > MAX_SHRINKAGE * panel and panel < MIN_TICKED_PANEL
    for label, length in zip(labels, lengths, strict=True):
        if askew and label.get_rotation() == 0:
            label.set(rotation=45, rotation_mode="anchor", ha="right", va="top")
        elif askew:
            label.set(rotation=0, ha="right", va="center")
        elif length > panel:
            label.set_fontsize(float(label.get_fontsize()) * max(panel / length, 1 / MAX_SHRINKAGE))


def _exponent(start: float, end: float) -> int:
    """Of the power of ten that the label of an axis names; 0 where the numbers along it are short."""
    largest = max(abs(start), abs(end))
    return 0 if PLAIN_NUMBERS[0] <= largest < PLAIN_NUMBERS[1] else int(np.floor(np.log10(largest)))


def _place_ticks(axis: Any, ends: np.ndarray, logarithmic: bool, exponent: int, panel: float) -> None:
    count = 2 if panel < 0.7 else 3 if panel < 1.2 else 4 if panel < 2 else 5
    ratio = ends[1] / ends[0] if logarithmic else 1.0
    locator: Locator = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10], min_n_ticks=2)
    if ratio > MIN_RATIO_OF_DECADES:
        locator = LogLocator(subs=(1, 2, 5) if ratio < DECADE**2 else (1,), numticks=count + 1)
    ticks = np.asarray(locator.tick_values(*ends))
    ticks = ticks[(ticks >= ends[0]) & (ticks <= ends[1])]
    start, end, places = (np.log(values) if logarithmic else values for values in (*ends, ticks))
    inside = np.abs(places - (start + end) / 2) < (0.5 - TICK_MARGIN) * (end - start)
    axis.set_major_locator(FixedLocator((ticks[inside] if inside.sum() > 1 else ticks).tolist()))
    axis.set_major_formatter(lambda value, _: f"{round(value / 10.0**exponent, 12):g}".replace("-", "\N{MINUS SIGN}"))
    axis.set_minor_formatter(NullFormatter())
    axis.set_minor_locator(NullLocator())


def _labels(parameters: Parameters) -> list[str]:
    return [parameter_label(parameters, name) for name in parameters.names]


def _axis_label(label: str, exponent: int) -> str:
    return f"{label} / $10^{{{exponent}}}$" if exponent else label


def write_numbers(figure: Figure, grid: np.ndarray, numbers: Mapping[str, str], parameters: Parameters) -> list[str]:
    """Above each panel; where these are too narrow, nothing, and the lines that may be written elsewhere.

    numbers: by parameter, LaTeX.
    """
    panel, _, _, size = _sizes(grid)
    titles = [
        axes.set_title(text, fontsize=size, pad=3) for axes, text in zip(grid.diagonal(), numbers.values(), strict=True)
    ]
    renderer = _renderer(figure)
    if max(title.get_window_extent(renderer).width for title in titles) / figure.dpi <= MAX_TITLE * panel:
        return []
    for axes in grid.diagonal():
        axes.set_title("")
    return [f"{label}: {text}" for label, text in zip(_labels(parameters), numbers.values(), strict=True)]


def fit_margins(figure: Figure, grid: np.ndarray) -> None:
    """Margins as wide as their texts, and square panels: the height follows from the width of the figure."""
    count = len(grid)
    width = float(figure.get_size_inches()[0])
    side = min(SIDE_INCHES, SIDE_FRACTION * width) if count == 1 else 0.0
    for _ in range(2):  # the second time with the ticks that the panels of the first have
        renderer = _renderer(figure)
        inner = np.array([axes.get_window_extent(renderer).extents for axes in _outer(grid)]) / figure.dpi
        outer = np.array([_extents(axes, renderer).extents for axes in _outer(grid)]) / figure.dpi
        left, bottom = (inner - outer).max(axis=0)[:2] + PAD
        right, top = (outer - inner).max(axis=0)[2:] + PAD
        panel = (width - left - right - side) / (count + GAP * (count - 1))
        height = bottom + top + panel * (count + GAP * (count - 1))
        figure.set_size_inches(width, height)
        figure.subplots_adjust(
            left / width, bottom / height, 1 - (right + side) / width, 1 - top / height, wspace=GAP, hspace=GAP
        )


def _renderer(figure: Any) -> Any:
    """By which texts are measured."""
    return figure.canvas.get_renderer()


def _extents(axes: Axes, renderer: Any) -> Bbox:
    """Of a panel with its texts."""
    box = axes.get_tightbbox(renderer)
    assert box is not None
    return box


def _outer(grid: np.ndarray) -> list[Axes]:
    """The panels at the edges of the triangle, which alone have texts."""
    return list(dict.fromkeys([*grid[:, 0], *grid[-1], *grid.diagonal()]))


def place_legend(figure: Figure, grid: np.ndarray, handles: list[Any], title: str, numbers: list[str]) -> None:
    """In the empty corner of the triangle, or beside a single panel, in the largest letters that leave the panels free.

    Else beneath the triangle. numbers: lines under the legend, which are left out where there is no room for them.
    """
    panels = [_extents(axes, _renderer(figure)) for axes in grid.diagonal()]
    left = panels[0].x1 if len(grid) == 1 else 0.0
    lines = [Line2D([], [], linestyle="none", label=line) for line in numbers]
    largest = max(_sizes(grid)[2], LEGEND_SIZES[-1][0])
    sizes = [(size, columns) for size, columns in LEGEND_SIZES if size <= largest]
    for with_numbers in (True, False) if lines else (False,):
        for size, columns in [(size, 1) for size in NUMBER_SIZES] if with_numbers else sizes:
            look: Any = {
                "loc": "upper right",
                "fontsize": size,
                "title_fontsize": size,
                "borderaxespad": 0.3,
            }
            legends = [figure.legend(handles=handles, ncols=columns, title=title, **look)]
            boxes = [legends[0].get_window_extent(_renderer(figure))]
            if with_numbers:
                look |= {"bbox_to_anchor": (1, boxes[0].y0 / figure.bbox.height), "handlelength": 0}
                legends.append(figure.legend(handles=lines, **look))
                boxes.append(legends[1].get_window_extent(_renderer(figure)))
            if all(box.y0 >= 0 and box.x0 >= left and not any(map(box.overlaps, panels)) for box in boxes):
                return
            for legend in legends:
                legend.remove()
    _place_below(figure, handles, title)


def _place_below(figure: Figure, handles: list[Any], title: str) -> None:
    """In a strip at the bottom, by which the figure grows."""
    renderer = _renderer(figure)
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(
            handles=handles,
            loc="lower center",
            ncols=columns,
            title=title,
            fontsize=LEGEND_BELOW,
            title_fontsize=LEGEND_BELOW,
        )
        box = legend.get_window_extent(renderer)
        if box.width <= figure.bbox.width or columns == 1:
            break
        legend.remove()
    width, height = figure.get_size_inches()
    strip = box.height / figure.dpi + PAD
    margins = figure.subplotpars
    figure.set_size_inches(width, height + strip)
    bottom, top = (edge * height / (height + strip) for edge in (margins.bottom, margins.top))
    figure.subplots_adjust(bottom=bottom + strip / (height + strip), top=top + strip / (height + strip))
