"""Confusion matrix and reliability diagram of a classifier."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cosmoinfer.metrics.classifier.reliability import reliability as reliabilities
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.plots.figure_data import FigureData
from cosmoinfer.plots.labels import plain_text
from cosmoinfer.plots.style import BLUE, GREY, QUARTERS, explain, panel_grid

MAX_LEVEL_NAME = 10  # characters of two names that fit side by side
MAX_CLASSES_WITH_COUNTS = 15  # with more, the numbers in the cells are not legible


def confusion(data: FigureData) -> Figure | None:
    """Rows by true and predicted class: their number, shaded by the fraction of the true class."""
    posterior = data.posterior
    if posterior.classes is None or posterior.truth is None:
        return None
    predictions = EvaluationData(posterior).predictions
    assert predictions is not None
    counts = np.array(predictions.confusion.counts)
    fraction = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [plain_text(name) for name in predictions.class_names]
    side = 0.75 * min(len(names), MAX_CLASSES_WITH_COUNTS) + 1.8
    width = side + 0.9 if data.width is None else data.width
    figure = Figure(figsize=(width, side / (side + 0.9) * width), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(fraction, cmap=LinearSegmentedColormap.from_list("blue", ["white", BLUE]), vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, label="fraction of the true class", ticks=QUARTERS, format="%g")
    bar.outline.set_visible(False)
    axes.set_xticks(range(len(names)), names)
    if len(names) > 2 or max(map(len, names)) > MAX_LEVEL_NAME:
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set(visible=True, color=GREY)
    axes.set(xlabel="predicted class", ylabel="true class")
    if len(names) <= MAX_CLASSES_WITH_COUNTS:
        _write_counts(axes, counts, fraction)
    return figure


def reliability(data: FigureData) -> Figure | None:
    """Observed frequency of a class against its predicted probability; the diagonal if calibrated.

    Bins of equally many rows, with 68.3 % binomial intervals. Of two classes one is shown, since the other mirrors it.
    """
    diagrams = reliabilities(data.posterior)
    if not diagrams:
        return None
    shown = dict(list(diagrams.items())[-1:]) if len(diagrams) == 2 else diagrams
    figure, panels = panel_grid(len(shown), 3.0, 3.1, data.width)
    for axes, (name, curve) in zip(panels, shown.items(), strict=True):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
        errors = np.abs(np.stack([curve.low, curve.high]) - curve.observed)
        axes.errorbar(curve.predicted, curve.observed, errors, fmt="o-", color=BLUE, markersize=4, linewidth=1.2)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), title=plain_text(name))
        axes.set(xlabel="predicted probability", ylabel="observed frequency")
        axes.set_xticks(QUARTERS, [f"{tick:g}" for tick in QUARTERS])
        axes.set_yticks(QUARTERS, [f"{tick:g}" for tick in QUARTERS])
        axes.set_box_aspect(1)
    dots = Line2D([], [], color=BLUE, marker="o", markersize=4, label="equally many rows, 68 % interval")
    explain(figure, [dots, Line2D([], [], color=GREY, linewidth=1, label="calibrated")])
    return figure


def _write_counts(axes: Axes, counts: np.ndarray, fraction: np.ndarray) -> None:
    for (true, predicted), count in np.ndenumerate(counts):
        colour = "white" if fraction[true, predicted] > 0.6 else "black"
        text = f"{count}\n{100 * fraction[true, predicted]:.0f} %" if count else "0"
        axes.text(predicted, true, text, ha="center", va="center", color=colour, fontsize="small")
