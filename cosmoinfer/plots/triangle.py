"""The posterior of one observation, parameter against parameter. The only importer of getdist."""

import logging
from typing import Any

import getdist.chains
import numpy as np
from getdist import MCSamples
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from cosmoinfer.formatting import format_with_error
from cosmoinfer.parameters import Parameters
from cosmoinfer.plots.figure_data import FigureData
from cosmoinfer.plots.labels import parameter_label, plain_text
from cosmoinfer.plots.style import BACKGROUND, BLUE, DARK, GREY, LIGHT, RED, shade_outside
from cosmoinfer.posterior import Posterior

getdist.chains.print_load_details = False  # it prints on stdout, which is for results

MIN_DRAWS = 50  # with fewer, a smoothed density shows its smoothing
MAX_CORNER_PARAMETERS = 10  # parameters of one triangle that stay legible


def corner(data: FigureData) -> Figure | None:
    """The posterior of one typical observation: its 68 and 95 % regions, the truth and the edges of the prior."""
    posterior = data.posterior
    if posterior.draws is None or posterior.draws.count < MIN_DRAWS:
        return None
    row = _typical_row(posterior)
    varying = np.flatnonzero(np.ptp(posterior.samples[row], axis=0) > 0)[:MAX_CORNER_PARAMETERS]
    if not len(varying):
        return None
    parameters = posterior.parameters.select([posterior.parameters.names[column] for column in varying])
    draws = parameters.clip(posterior.samples[row][:, varying])  # (S, P)
    marks = np.empty((0, len(varying))) if posterior.truth is None else posterior.truth[row : row + 1, varying]
    limits = _corner_limits(draws, marks)
    density = _smoothed(draws, parameters)

    count, side = len(varying), max(1.4 * len(varying) + 1.2, 4.0)
    width = side if count > 1 else side + 1.9  # a single panel leaves no corner for the legend
    figure = Figure(figsize=(width, side))
    grid = figure.subplots(count, count, squeeze=False)
    figure.subplots_adjust(0.85 / width, 0.85 / side, (side - 0.2) / width, (side - 0.4) / side, 0.07, 0.07)
    for (y, x), axes in np.ndenumerate(grid):
        if x > y:
            axes.set_visible(False)
            continue
        axes.set_xlim(limits[x])
        if x == y:
            _draw_marginal(axes, density, x, draws)
            _draw_prior(axes, posterior, parameters.names[x])
        else:
            axes.set_ylim(limits[y])
            _draw_regions(axes, density, x, y)
        shade_outside(axes, parameters, x, y if y > x else None)
        for mark in marks:
            axes.axvline(mark[x], color=RED, linewidth=1)
            if y > x:
                axes.axhline(mark[y], color=RED, linewidth=1)
        _label_edges(axes, parameters, x, y)
    figure.align_labels()
    _corner_legend(figure, posterior, row)
    return figure


def _typical_row(posterior: Posterior) -> int:
    """Of the test rows (of all, if none is), the one whose truth has the median density; the first without truths."""
    rows = np.flatnonzero(posterior.split == 2)
    rows = rows if len(rows) else np.arange(len(posterior))
    if posterior.log_prob_truth is None:
        return int(rows[0])
    return int(rows[np.argsort(posterior.log_prob_truth[rows], kind="stable")[len(rows) // 2]])


def _smoothed(draws: np.ndarray, parameters: Parameters) -> MCSamples:
    """Kernel densities with the boundaries of the prior box; getdist chooses the kernels of pairs."""
    names = [f"p{column}" for column in range(len(parameters))]
    edges = np.stack([parameters.low, parameters.high], axis=-1)
    ranges = {name: [x if np.isfinite(x) else None for x in edge] for name, edge in zip(names, edges, strict=True)}
    width = 0.9 * len(draws) ** (-1 / 9)  # in standard deviations: getdist's own choice can fail
    settings = {"ignore_rows": 0, "contours": [0.68, 0.95], "smooth_scale_1D": width, "fine_bins_2D": 128}
    return MCSamples(samples=draws, names=names, ranges=ranges, settings=settings)


def _corner_limits(draws: np.ndarray, marks: np.ndarray) -> list[tuple[float, float]]:
    """Limits for each parameter: nearly all draws, and the truth."""
    start, end = np.quantile(draws, [0.001, 0.999], axis=0)
    start = np.minimum(start, marks.min(axis=0, initial=np.inf))
    end = np.maximum(end, marks.max(axis=0, initial=-np.inf))
    margin = 0.06 * (end - start)
    return list(zip(start - margin, end + margin, strict=True))


def _draw_marginal(axes: Axes, density: MCSamples, x: int, draws: np.ndarray) -> None:
    """The posterior of one parameter, which integrates to one."""
    curve = density.get1DDensity(f"p{x}")
    heights = curve.P / curve.norm_integral()
    axes.fill_between(curve.x, heights, color=LIGHT, alpha=0.7, linewidth=0)
    axes.plot(curve.x, heights, color=BLUE, linewidth=1.4)
    axes.set_ylim(0, 1.12 * heights.max())
    axes.set_title(format_with_error(draws[:, x].mean(), draws[:, x].std()), fontsize=8, pad=3)


def _draw_prior(axes: Axes, posterior: Posterior, name: str) -> None:
    """The prior of one parameter by itself, if it is known, on the scale of the posterior."""
    parameters = posterior.independent_parameters
    if name in parameters.names and parameters.has_prior[column := parameters.names.index(name)]:
        values = np.linspace(*axes.get_xlim(), 400)
        density = parameters.joint_prior.marginal_density(column, values)
        axes.plot(values, density, color=GREY, linewidth=1, linestyle="--")


def _draw_regions(axes: Axes, density: MCSamples, x: int, y: int) -> None:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # getdist warns, on the root logger, of kernels that it then corrects
    try:
        surface = density.get2DDensityGridData(f"p{x}", f"p{y}", num_plot_contours=2)
    finally:
        logging.disable(before)
    levels = [*sorted(surface.contours), 1.01 * surface.P.max()]
    axes.contourf(surface.x, surface.y, surface.P, levels=levels, colors=[LIGHT, DARK])
    axes.contour(surface.x, surface.y, surface.P, levels=levels[:2], colors=[BLUE], linewidths=0.9)


def _label_edges(axes: Axes, parameters: Parameters, x: int, y: int) -> None:
    """Ticks and labels at the outer edges of the triangle only."""
    last = len(parameters) - 1
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(3, prune="both"))
    axes.tick_params(labelbottom=y == last, labelleft=x == 0 < y, left=y > x, labelsize=7)
    axes.tick_params(axis="x", labelrotation=45)
    axes.spines["left"].set_visible(y > x)
    if y == last:
        axes.set_xlabel(parameter_label(parameters, parameters.names[x]))
    if x == 0 < y:
        axes.set_ylabel(parameter_label(parameters, parameters.names[y]))


def _corner_legend(figure: Figure, posterior: Posterior, row: int) -> None:
    """In the empty corner of the triangle, or beside a single panel."""
    regions = {DARK: ", 68 %", LIGHT: ", 95 %"} if len(figure.axes) > 1 else {LIGHT: ""}
    handles: list[Any] = [
        *(Patch(facecolor=colour, label=f"posterior{share}") for colour, share in regions.items()),
        Line2D([], [], color=GREY, linestyle="--", label="prior"),
        Patch(facecolor=BACKGROUND, edgecolor=GREY, label="outside the prior"),
    ]
    if posterior.truth is not None:
        handles.insert(0, Line2D([], [], color=RED, label="truth"))
    title = f"row {posterior.index[row]}, simulation {plain_text(str(posterior.simulation[row]))}"
    figure.legend(handles=handles, loc="upper right", title=title, title_fontsize=9)
