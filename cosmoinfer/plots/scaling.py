"""Held-out log density against the number of training simulations."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from cosmoinfer.plots.style import BLUE, GREY, RED
from cosmoinfer.studies.learning_curve import LearningCurve


def plot_learning_curve(curve: LearningCurve, width: float | None = None) -> Figure:
    """Mean held-out log density of each training size, and the fitted power law with its 68.3 % interval.

    Error bars: of the difference from the largest size. The sampling error of the test rows, which all sizes share, is
    in the title. width: of the figure, in inches.
    """
    figure = Figure(figsize=(5.2, 3.6) if width is None else (width, 0.7 * width), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    band, limit = curve.band, curve.law["limit"].value
    assert limit is not None
    axes.fill_between(band.size, band.low, band.high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(band.size, band.value, color=BLUE, linewidth=1.4, label="power law, 68 %")
    axes.axhline(limit, color=GREY, linewidth=1, linestyle="--", label="extrapolated limit")
    means = np.stack([estimate.to_array() for estimate in curve.log_prob])[:, 0]
    axes.errorbar(curve.sizes, means, curve.errors, fmt="o", color=BLUE, markersize=4, label="trained")
    predicted_sizes = [prediction.size for prediction in curve.predictions]
    if curve.predictions:
        predicted = np.stack([prediction.log_prob.to_array() for prediction in curve.predictions])
        errors = np.abs(predicted[:, 1:].T - predicted[:, 0])
        axes.errorbar(predicted_sizes, predicted[:, 0], errors, fmt="D", color=RED, markersize=4, label="predicted")
    axes.set_xticks(sorted({*curve.sizes, curve.doubled_size, *predicted_sizes}))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", labelrotation=30)
    axes.set_title(
        f"{curve.rows:,} test rows; common error of all sizes {curve.log_prob[-1].error:.2f}", fontsize="small"
    )
    axes.set(xlabel="training simulations", ylabel="mean log_prob of test rows [nat]")
    axes.legend(loc="lower right")
    return figure
