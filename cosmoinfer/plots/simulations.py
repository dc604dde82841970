"""Data of a catalog: coloured by a parameter, and an observation over them and over what the posterior predicts."""

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import special

from cosmoinfer.catalog import Catalog, Observable
from cosmoinfer.catalog.coordinates import Coordinate, find_coordinate
from cosmoinfer.parameters import Parameters
from cosmoinfer.plots.figure_data import FigureData, distinct_draws
from cosmoinfer.plots.labels import parameter_label, plain_text, typeset_name
from cosmoinfer.plots.style import BLUE, GREY, RED, explain, panel_grid

MAX_LINES, MAX_MAPS, MAX_ROWS = 200, 4, 5000  # rows of a catalog that a figure shows, or is computed from
MAX_KERNELS = 500  # of the density of a posterior
MAX_PANELS = 8  # channels and observables
POSITIVE_RANGE = 30.0  # of the ends of positive data, from which on their axis is logarithmic
DECADE = 10.0  # of the ends of a positive coordinate, from which on its axis is logarithmic
MAX_COORDINATE = 40  # characters of its name and unit
LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)  # of the regions that hold 68 and 95 %
MIN_EFFECTIVE_ROWS = 5  # of weighted simulations, below which their range is that of single ones


def data(figure_data: FigureData) -> Figure | None:
    """Simulated data, coloured by a parameter: the first one, or the first that is named.

    Vectors and profiles as lines, at most 200 rows; of maps four, whose parameter lies evenly in its range.
    """
    catalog = figure_data.catalog
    if catalog is None or catalog.parameters is None or catalog.theta is None or catalog.classes:
        return None
    name = figure_data.parameters[0] if figure_data.parameters else catalog.parameters.names[0]
    (column,) = catalog.parameters.columns([name])
    rows = _spread(np.flatnonzero(catalog.has_theta), MAX_LINES)
    if not len(rows):
        return None
    panels = [panel for observable in catalog.observables for panel in _curves(observable, rows)][:MAX_PANELS]
    values, norm = catalog.theta[rows, column], _norm(catalog.parameters, column, catalog.theta[rows, column])
    colours = ScalarMappable(norm, colormaps["viridis"])
    if not panels:
        return _maps(catalog, rows, values, parameter_label(catalog.parameters, name), figure_data.width)
    coordinates = _coordinates(catalog)
    figure, grid = panel_grid(len(panels), 3.4, 2.7, figure_data.width)
    for axes, (title, curves) in zip(grid, panels, strict=True):
        x = _frame(axes, curves, title, coordinates[title])
        lines = [np.column_stack([x, curve]) for curve in curves]
        axes.add_collection(LineCollection(lines, colors=colours.to_rgba(values).tolist(), linewidths=0.6, alpha=0.7))
    figure.colorbar(colours, ax=grid, label=parameter_label(catalog.parameters, name), aspect=30)
    return figure


def observation(figure_data: FigureData) -> Figure | None:
    """An observation over the range of the training data, and over what its posterior predicts.

    The prediction is made of the catalog's own simulations, each weighted by posterior over prior at its parameters;
    the legend has the number of equally weighted ones that they are worth, (sum w)^2 / sum w^2.
    """
    catalog, posterior = figure_data.catalog, figure_data.posterior
    if catalog is None or catalog.parameters is None or catalog.theta is None or posterior.draws is None:
        return None
    if catalog.parameters.names != posterior.parameters.names or (observed := _observed(figure_data)) is None:
        return None
    excluded = observed.simulation[0] if figure_data.observation is None else ""
    rows = _spread(np.flatnonzero(catalog.has_theta & (catalog.simulation != excluded)), MAX_ROWS)
    weights = posterior_weights(posterior.parameters, np.asarray(posterior.samples[0]), catalog.theta[rows])
    worth = weights.sum() ** 2 / (weights**2).sum()
    panels = [panel for observable in catalog.observables for panel in _curves(observable, rows)][:MAX_PANELS]
    curve_of = {title: curve[0] for item in observed.observables for title, curve in _curves(item, np.arange(1))}
    panels = [
        (title, curves) for title, curves in panels if title in curve_of and curve_of[title].shape == curves.shape[1:]
    ]
    if not panels:
        return None
    coordinates = _coordinates(catalog)
    figure, grid = panel_grid(len(panels), 3.4, 2.7, figure_data.width)
    for axes, (title, curves) in zip(grid, panels, strict=True):
        curve = curve_of[title]
        x = _frame(axes, np.vstack([curves, curve]), title, coordinates[title])
        low, _, _, _, high = weighted_quantiles(curves, np.ones(len(rows)))
        axes.fill_between(x, low, high, color=GREY, alpha=0.2, linewidth=0)
        if worth >= MIN_EFFECTIVE_ROWS:
            bands = weighted_quantiles(curves, weights)
            axes.fill_between(x, bands[0], bands[4], color=BLUE, alpha=0.25, linewidth=0)
            axes.fill_between(x, bands[1], bands[3], color=BLUE, alpha=0.45, linewidth=0)
        axes.plot(x, curve, color=RED, linewidth=1.2, marker="." if np.isnan(curve).any() else None, markersize=3)
    handles: list[Artist] = [Line2D([], [], color=RED, label=f"observation, row {posterior.index[0]}")]
    handles.append(Patch(color=GREY, alpha=0.2, linewidth=0, label=f"95 % of {len(rows)} simulations"))
    if worth >= MIN_EFFECTIVE_ROWS:
        label = f"posterior predictive, 68 and 95 % (worth {worth:.0f})"
        handles.append(Patch(color=BLUE, alpha=0.45, linewidth=0, label=label))
    else:
        label = f"no posterior predictive: near it, simulations are worth {worth:.1f}"
        handles.append(Line2D([], [], linestyle="none", label=label))
    explain(figure, handles)
    return figure


def _observed(figure_data: FigureData) -> Catalog | None:
    """The row that the first posterior is of: of an observation's file, else of the catalog, if that has its truth."""
    posterior, catalog = figure_data.posterior, figure_data.observation or figure_data.catalog
    if catalog is None or not len(posterior):
        return None
    rows = np.flatnonzero(catalog.index == posterior.index[0])[:1]
    if len(rows) and figure_data.observation is None:
        if posterior.truth is None or catalog.theta is None:
            return None
        if not np.allclose(posterior.truth[0], catalog.theta[rows[0]], rtol=1e-5):
            return None
    return catalog.select(rows) if len(rows) else None


def posterior_weights(parameters: Parameters, draws: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Posterior over prior at the parameters of simulations, (n,), of a kernel density in the quantiles of the prior.

    draws: (S, P). theta: (n, P), of simulations that were drawn from the prior. Where no prior is known, parameters are
    taken as they are, and the simulations as uniform.
    """
    if parameters.has_prior.all():
        draws, theta = parameters.cdf(draws), parameters.cdf(theta)
    scale, count = np.maximum(draws.std(axis=0), 1e-12), draws.shape[1]
    centres, copies = distinct_draws(draws / scale)
    correlation = np.cov((draws / scale).T).reshape(count, count) + 1e-9 * np.eye(count)
    whiten = np.linalg.inv(np.linalg.cholesky(correlation)).T
    points, centres = (theta / scale) @ whiten, centres @ whiten
    width = (copies.sum() ** 2 / (copies**2).sum()) ** (-1 / (count + 4))  # Scott's rule, of the effective number
    kernels = slice(None, None, max(1, len(centres) // MAX_KERNELS))
    distances = ((points[:, None] - centres[None, kernels]) / width) ** 2
    log_weights = special.logsumexp(-distances.sum(axis=2) / 2, axis=1, b=copies[kernels])
    return np.exp(log_weights - log_weights.max())


def weighted_quantiles(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """LEVELS of each column of (n, K), with weights (n,): (5, K), of the values that are no gap (NaN), if there are."""
    columns = []
    for column in values.T:
        order = np.argsort(column)[: np.isfinite(column).sum()]
        cumulative = np.cumsum(weights[order])
        has_weight = len(order) > 0 and cumulative[-1] > 0
        places = (cumulative - weights[order] / 2) / cumulative[-1] if has_weight else cumulative
        columns.append(np.interp(LEVELS, places, column[order]) if has_weight else np.full(len(LEVELS), np.nan))
    return np.stack(columns, axis=1)


def _coordinates(catalog: Catalog) -> dict[str, Coordinate | None]:
    """What the features of each panel lie at, by its title."""
    first = np.arange(1)
    return {
        title: find_coordinate(catalog, observable)
        for observable in catalog.observables
        for title, _ in _curves(observable, first)
    }


def _curves(observable: Observable, rows: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Title and values (n, K) of a vector, and of each channel of a profile; none of maps."""
    if observable.kind not in ("vector", "profile"):
        return []
    values, name = np.asarray(observable.read(rows), np.float64), plain_text(observable.name)
    if observable.kind == "vector":
        return [(name, values)]
    return [(f"{name}, channel {channel}", values[:, channel]) for channel in range(values.shape[1])]


def _maps(catalog: Catalog, rows: np.ndarray, values: np.ndarray, label: str, width: float | None) -> Figure | None:
    """Four maps of the first channel, from a small to a large value of the parameter."""
    fields = [observable for observable in catalog.observables if observable.kind in ("map", "grid")]
    if not fields:
        return None
    places = _spread(np.argsort(values, kind="stable"), MAX_MAPS)
    images = np.asarray(fields[0].read(rows[places]), np.float64)[:, 0]
    images = images if images.ndim == 3 else images[:, images.shape[1] // 2]  # the slice in the middle of a grid
    figure, grid = panel_grid(len(images), 2.2, 2.4, width)
    norm = Normalize(*np.nanquantile(images, [0.01, 0.99]))
    for axes, image, value in zip(grid, images, values[places], strict=True):
        axes.imshow(image, norm=norm, cmap="viridis", origin="lower")
        axes.set(xticks=[], yticks=[], title=f"{label} = {value:.3g}")
        axes.grid(False)
    title = f"{plain_text(fields[0].name)}, channel 0"
    figure.colorbar(ScalarMappable(norm, "viridis"), ax=grid, label=title, aspect=30)
    return figure


def _frame(axes: Axes, curves: np.ndarray, title: str, coordinate: Coordinate | None) -> np.ndarray:
    """Limits and names of the axes; logarithmic where positive numbers span a wide range. Places of the features."""
    finite = curves[np.isfinite(curves)]
    low, high = np.quantile(finite, [0.001, 0.999])
    if finite.min() > 0 and high > POSITIVE_RANGE * low:
        axes.set(yscale="log", ylim=(0.8 * low, 1.25 * high))
    else:
        axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    x, label = np.arange(curves.shape[1]), "feature"
    if coordinate is not None and len(x) > 1:
        x, label = coordinate.values, coordinate.name.rpartition("/")[2]
        label += f" [{coordinate.unit}]" if coordinate.unit else ""
        label = typeset_name(label) or plain_text(label, MAX_COORDINATE)
        axes.set_xscale("log" if x.min() > 0 and x.max() > DECADE * x.min() else "linear")
    axes.set(xlim=(x.min(), x.max() if len(x) > 1 else 1), xlabel=label, title=title)
    return x


def _norm(parameters: Parameters, column: int, values: np.ndarray) -> Normalize:
    ends = float(values.min()), float(values.max())
    return LogNorm(*ends) if parameters.priors[column].log_axis else Normalize(*ends)


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    """At most so many of these rows, evenly among them."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
