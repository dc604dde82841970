"""Predicted against true parameters."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from cosmoinfer.parameters import Parameters
from cosmoinfer.plots.figure_data import FigureData
from cosmoinfer.plots.labels import parameter_label
from cosmoinfer.plots.style import BLUE, GREY, RED, explain, panel_grid, shade_outside

MIN_RATIO_OF_DECADES = 5  # of the ends of a logarithmic axis along which 1, 2, 5 lie close enough


def truth_prediction(data: FigureData) -> Figure | None:
    """Posterior mean against truth, with the posterior standard deviation as error bar if there is one."""
    posterior, parameters = data.posterior, data.posterior.parameters
    mean, std, truth = posterior.mean, posterior.std, posterior.truth
    if mean is None or truth is None:
        return None
    figure, panels = panel_grid(len(parameters), 3.0, 3.0, data.width)
    alpha = float(np.clip(8 / np.sqrt(len(truth)), 0.1, 0.8))
    for column, axes in enumerate(panels):
        sigma = None if std is None else std[:, column]
        low, high = _prediction_limits(parameters, column, truth[:, column], mean[:, column], sigma)
        if parameters.priors[column].log_axis:
            axes.set(xscale="log", yscale="log")
            _plain_numbers(axes, high / low)
        else:
            axes.ticklabel_format(scilimits=(-3, 4))
        axes.set(xlim=(low, high), ylim=(low, high))
        shade_outside(axes, parameters, column, column)
        axes.plot([low, high], [low, high], color=GREY, linewidth=1)
        points = truth[:, column], mean[:, column]
        axes.errorbar(*points, yerr=sigma, fmt=".", color=BLUE, markersize=4, elinewidth=0.7, alpha=alpha)
        label = parameter_label(parameters, parameters.names[column])
        axes.set(xlabel=f"true {label}", ylabel=f"predicted {label}")
        axes.set_box_aspect(1)
        _write_accuracy(axes, data, parameters.names[column])
    bars = " and standard deviation" if std is not None else ""
    dots = Line2D([], [], color=BLUE, marker=".", linestyle="none", label=f"mean{bars} of a posterior")
    explain(figure, [dots, Line2D([], [], color=GREY, linewidth=1, label="prediction = truth")])
    return figure


def _prediction_limits(
    parameters: Parameters, column: int, truth: np.ndarray, mean: np.ndarray, std: np.ndarray | None
) -> tuple[float, float]:
    """Limits of both axes: the prior box (else the truths) and nearly all predictions."""
    low, high = parameters.low[column], parameters.high[column]
    std = np.zeros_like(mean) if std is None else std
    start = min(low if np.isfinite(low) else truth.min(), np.quantile(mean - std, 0.01))
    end = max(high if np.isfinite(high) else truth.max(), np.quantile(mean + std, 0.99))
    if parameters.priors[column].log_axis:
        return float(0.9 * max(start, low / 2)), float(1.1 * end)
    return float(start - 0.04 * (end - start)), float(end + 0.04 * (end - start))


def _plain_numbers(axes: Axes, ratio: float) -> None:
    """0.5, 1, 2, 5 along logarithmic axes, for ranges too short for powers of ten; equal steps where few of these lie.

    ratio: of the largest to the smallest number on them.
    """
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if ratio > MIN_RATIO_OF_DECADES else MaxNLocator(5))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def _write_accuracy(axes: Axes, data: FigureData, name: str) -> None:
    r2, chi2 = data.metric("r2", name), data.metric("chi2", name)
    numbers = [rf"$R^2$ = {r2:.3f}"] if r2 is not None else []
    numbers += [rf"$\chi^2$ = {chi2:.2f}"] if chi2 is not None else []
    unconstrained = data.evaluation is not None and name in data.evaluation.verdict.unconstrained
    title = "unconstrained\n" * unconstrained + "   ".join(numbers)
    axes.set_title(title, fontsize="medium", color=RED if unconstrained else "black")
