"""Posteriors of single observations, parameter against parameter, in one triangle."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cosmoinfer.parameters import Parameters
from cosmoinfer.plots.corner_axes import (
    empty_triangle,
    fit_margins,
    label_edges,
    place_legend,
    set_scales,
    write_numbers,
)
from cosmoinfer.plots.corner_layer import Layer
from cosmoinfer.plots.figure_data import FigureData
from cosmoinfer.plots.labels import plain_text
from cosmoinfer.plots.style import BACKGROUND, COLOURS, GREY, RED, shade_outside
from cosmoinfer.posterior import Posterior

MIN_DRAWS = 50  # with fewer, a smoothed density shows its smoothing
MAX_CORNER_PARAMETERS = 12  # parameters of one triangle that stay legible
MAX_FILLED = 4  # overlays whose regions are filled; of more, the outlines of 68 %
MEMBER_THICKNESS = 0.5  # of the lines of ensemble members, of which ten and more lie one over the other
OPACITY = 0.65  # of regions that may cover others
LINESTYLES = ("-", "--", "-.", ":")  # for readers who see no colours
PRIOR_LINES = {"prior": (0.0, (4.0, 2.0)), "priors, by colour": (0.0, (1.0, 1.0))}  # by their name in the legend

Truth = tuple[dict[str, float], str]  # values by parameter, and the colour of their lines


def corner(data: FigureData) -> Figure | None:
    """Posteriors of single observations: 68 and 95 % regions, the truth, the prior and the edges of its box.

    Of one posterior of many observations, a typical one. Above the panels, or beside them: median and 68.3 % interval,
    or a 95 % limit. Along a logarithmic axis the density is that of the logarithm.
    """
    posteriors = dict(data.overlays) or {"": _typical(data.posterior)}
    available = dict.fromkeys(name for posterior in posteriors.values() for name in posterior.parameters.names)
    layers = _layers(posteriors, data.parameters or tuple(available)[:MAX_CORNER_PARAMETERS])
    if not layers:
        return None
    return _triangle(layers, posteriors, data, _legend_title(layers, posteriors, data.posterior))


def members(data: FigureData) -> Figure | None:
    """One observation under each network of an ensemble, 68 % outlines, over the regions of their mixture.

    A colour for each architecture and support. What differs between members is what the training left uncertain.
    """
    mixture = (
        Layer.from_posterior("mixture", data.posterior, data.parameters, GREY, "-", True, 1.0) if data.members else None
    )
    if mixture is None:
        return None
    names = list(dict.fromkeys(name for name, _ in data.members))
    colours = dict(zip(names, _colours(len(names)), strict=True))
    layers = [mixture]
    for name, posterior in data.members:
        layer = Layer.from_posterior(name, posterior, mixture.parameters.names, colours[name], "-", False, 1.0)
        layers += [] if layer is None else [replace(layer, thickness=MEMBER_THICKNESS)]
    return _triangle(layers, {"mixture": data.posterior}, data, _row_title(data.posterior))


def _triangle(layers: list[Layer], posteriors: dict[str, Posterior], data: FigureData, title: str) -> Figure:
    """Layers one over the other; of a single one with its numbers. title: of the legend."""
    parameters = reduce(_join, (layer.parameters for layer in layers))
    truths = _truths(layers, data.marks)
    limits = _limits(layers, parameters, truths)
    has_one_box = {name: _has_one_box(layers, name) for name in parameters.names}
    boxes = [(low, high) if has_one_box[name] else (-np.inf, np.inf) for name, low, high in _boxes(parameters)]
    low, high = np.transpose(boxes)
    common = Parameters.from_names(parameters.names, low, high, where=parameters.where)
    colours = {layer.name: layer.colour for layer in layers}
    priors = [
        (posterior.independent_parameters, colours[name]) for name, posterior in posteriors.items() if name in colours
    ]
    figure, grid = empty_triangle(len(parameters), data.width)
    drawn: set[str] = set()
    for (y, x), axes in np.ndenumerate(grid):
        if x > y:
            axes.set_visible(False)
            continue
        set_scales(axes, parameters, x, y, limits)
        names = [parameters.names[column] for column in dict.fromkeys((x, y))]
        for layer in layers:
            if {*names} <= {*layer.parameters.names}:
                (layer.draw_regions if x < y else layer.draw_marginal)(axes, *names)
        if x == y and has_one_box[names[0]]:
            drawn |= _draw_priors(axes, priors, names[0])
        if np.isfinite([*common.low[[x, y]], *common.high[[x, y]]]).any():
            shade_outside(axes, common, x, y if y > x else None)
            drawn.add("outside the prior")
        _mark_truths(axes, truths, names)
    label_edges(grid, parameters, limits)
    numbers = {name: f"${layers[0].constraint(name).latex}$" for name in parameters.names} if len(layers) == 1 else {}
    lines = write_numbers(figure, grid, numbers, parameters) if numbers else []
    fit_margins(figure, grid)
    place_legend(figure, grid, _legend_handles(layers, truths, drawn), title, lines)
    return figure


def _boxes(parameters: Parameters) -> Iterator[tuple[str, float, float]]:
    """Name, lower and upper edge of each parameter."""
    return zip(parameters.names, parameters.low.tolist(), parameters.high.tolist(), strict=True)


def _has_one_box(layers: Sequence[Layer], name: str) -> bool:
    """Whether all posteriors that have this parameter have the same edges of it."""
    return len({box for layer in layers for box in _boxes(layer.parameters) if box[0] == name}) == 1


def _typical(posterior: Posterior) -> Posterior:
    return posterior.select(np.array([typical_row(posterior)]))


def typical_row(posterior: Posterior) -> int:
    """Of the test rows (of all, if none is), the one whose truth has the median density; the first without truths."""
    rows = np.flatnonzero(posterior.split == 2)
    rows = rows if len(rows) else np.arange(len(posterior))
    if posterior.log_prob_truth is None:
        return int(rows[0])
    return int(rows[np.argsort(posterior.log_prob_truth[rows], kind="stable")[len(rows) // 2]])


def _layers(posteriors: dict[str, Posterior], names: tuple[str, ...]) -> list[Layer]:
    """One for each posterior with enough draws and a parameter that varies, of those that are named."""
    layers: list[Layer] = []
    for name, posterior, colour in zip(posteriors, posteriors.values(), _colours(len(posteriors)), strict=True):
        if posterior.draws is None or posterior.draws.count < MIN_DRAWS:
            return []
        filled = len(posteriors) <= MAX_FILLED
        linestyle = LINESTYLES[len(layers) % len(LINESTYLES)] if len(posteriors) <= len(COLOURS) else "-"
        opacity = 1.0 if len(posteriors) == 1 else OPACITY
        layer = Layer.from_posterior(name, posterior, names, colour, linestyle, filled, opacity)
        layers += [] if layer is None else [layer]
    return layers


def _colours(count: int) -> list[str]:
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return [to_hex(colour) for colour in matplotlib.colormaps["viridis"](np.linspace(0, 0.9, count))]


def _join(first: Parameters, second: Parameters) -> Parameters:
    """The first ones, then those of the second that are not among them."""
    added = second.select([name for name in second.names if name not in first.names])
    return first.concatenated(added) if len(added) else first


def _truths(layers: list[Layer], marks: Any) -> list[Truth]:
    """Values to be marked: those of a user, else the true parameters, once where they are the same."""
    single = RED if len(layers) == 1 else "black"
    if marks is not None:
        return [(dict(marks), single)]
    truths: list[Truth] = []
    for layer in layers:
        if layer.truth is not None:
            truths.append((dict(zip(layer.parameters.names, layer.truth.tolist(), strict=True)), layer.colour))
    same = all(truth == truths[0][0] for truth, _ in truths)
    return [(truths[0][0], single)] if truths and same else truths


def _limits(layers: list[Layer], parameters: Parameters, truths: list[Truth]) -> np.ndarray:
    """Of each axis, (P, 2): nearly all draws, and the truths."""
    limits = []
    for name, prior in zip(parameters.names, parameters.priors, strict=True):
        marked = [truth[name] for truth, _ in truths if name in truth]
        drawn = [np.quantile(layer.values(name), [0.001, 0.999]) for layer in layers if name in layer.parameters.names]
        ends = np.concatenate([*drawn, marked])
        if prior.log_axis:
            ends = np.log(ends[ends > 0])
        margin = 0.06 * np.ptp(ends)
        start, end = ends.min() - margin, ends.max() + margin
        limits.append((np.exp(start), np.exp(end)) if prior.log_axis else (start, end))
    return np.array(limits)


def _draw_priors(axes: Axes, priors: Sequence[tuple[Parameters, str]], name: str) -> set[str]:
    """The prior of one parameter by itself, on the scale of the posterior: once if all posteriors have the same one,
    else each that is known in its colour. What the legend says of them."""
    start, end = axes.get_xlim()
    logarithmic = axes.get_xscale() == "log"
    values = np.geomspace(start, end, 400) if logarithmic else np.linspace(start, end, 400)
    curves: list[tuple[np.ndarray | None, str]] = []
    for parameters, colour in priors:
        if name in parameters.names:
            column = parameters.names.index(name)
            is_known = parameters.has_prior[column]
            curves.append((parameters.joint_prior.marginal_density(column, values) if is_known else None, colour))
    drawn = [(density, colour) for density, colour in curves if density is not None]
    if not drawn:
        return set()
    legend = "priors, by colour"
    if len(drawn) == len(curves) and all(np.array_equal(density, drawn[0][0]) for density, _ in drawn):
        drawn, legend = [(drawn[0][0], GREY)], "prior"
    for density, colour in drawn:
        heights = density * values if logarithmic else density
        axes.plot(values, heights, color=colour, linewidth=1, linestyle=PRIOR_LINES[legend])
    return {legend}


def _mark_truths(axes: Axes, truths: list[Truth], names: list[str]) -> None:
    """By lines; where there are many, by a cross each, or a tick on the axis of a single parameter."""
    many = len(truths) > MAX_FILLED
    for truth, colour in truths:
        if not {*names} <= truth.keys():
            continue
        if many:
            height = truth[names[1]] if len(names) == 2 else 0.02 * axes.get_ylim()[1]
            axes.plot(truth[names[0]], height, "+" if len(names) == 2 else "|", color=colour, markersize=4)
            continue
        axes.axvline(truth[names[0]], color=colour, linewidth=0.9)
        if len(names) == 2:
            axes.axhline(truth[names[1]], color=colour, linewidth=0.9)


def _legend_handles(layers: list[Layer], truths: list[Truth], drawn: set[str]) -> list[Any]:
    handles: list[Any] = [Line2D([], [], color=truths[0][1], label="truth")] if truths else []
    if len(layers) == 1:
        shares = (", 95 %", ", 68 %") if len(layers[0].parameters) > 1 else ("",)
        pairs = zip(layers[0].region_colours, shares, strict=False)
        handles += [Patch(facecolor=colour, label=f"posterior{share}") for colour, share in pairs]
    else:
        by_name: dict[str, Artist] = {}
        for layer in layers:
            colour, name = layer.colour, plain_text(layer.name)
            look: Any = {"linestyle": layer.linestyle, "label": name}
            region = Patch(facecolor=layer.region_colours[1], edgecolor=colour, **look)
            line = Line2D([], [], color=colour, **look)
            by_name.setdefault(layer.name, region if layer.filled else line)
        handles += by_name.values()
        if len(truths) > 1:
            many: Any = {"linestyle": "none", "marker": "+"} if len(truths) > MAX_FILLED else {}
            handles[0] = Line2D([], [], color=GREY, label="truths, by colour", **many)
    for legend, linestyle in PRIOR_LINES.items():
        if legend in drawn:
            handles.append(Line2D([], [], color=GREY, linestyle=linestyle, linewidth=1, label=legend))
    if "outside the prior" in drawn:
        handles.append(Patch(facecolor=BACKGROUND, edgecolor=GREY, linewidth=0.6, label="outside the prior"))
    return handles


def _legend_title(layers: list[Layer], posteriors: dict[str, Posterior], posterior: Posterior) -> str:
    """Which observation this is; of several posteriors, what their regions hold."""
    if len(layers) > 1:
        return "68 and 95 % regions" if layers[0].filled else "68 % regions"
    (observation,) = posteriors.values()
    return _row_title(observation) if len(posterior) > 1 or observation.has_truth[0] else ""


def _row_title(observation: Posterior) -> str:
    return f"row {observation.index[0]}, simulation {plain_text(str(observation.simulation[0]))}"
