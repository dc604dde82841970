"""What more simulations bring: held-out log density against their number."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from cosmoinfer.plots.style import BLUE, GREY, RED


def plot_learning_curve(document: dict[str, Any]) -> Figure:
    """Mean held-out log density of each size, and the power law through them with its 68.3 % interval.

    Error bars: of the difference from the largest size. What test rows add to all sizes alike stands in the title.
    """
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    sizes, band, law = document["sizes"], document["band"], document["law"]
    axes.set_xscale("log")
    axes.fill_between(band["size"], band["low"], band["high"], color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(band["size"], band["value"], color=BLUE, linewidth=1.4, label="power law, 68 %")
    axes.axhline(law["limit"]["value"], color=GREY, linewidth=1, linestyle="--", label="endless simulations")
    means = [entry["value"] for entry in document["log_prob"]]
    axes.errorbar(sizes, means, document["error"], fmt="o", color=BLUE, markersize=4, label="trained")
    predictions = document["predictions"]
    if predictions:
        found = np.array([[one["log_prob"][key] for key in ("value", "low", "high")] for one in predictions])
        errors = np.abs(found[:, 1:].T - found[:, 0])
        where = [one["size"] for one in predictions]
        axes.errorbar(where, found[:, 0], errors, fmt="D", color=RED, markersize=4, label="predicted")
    ticks = sorted({*sizes, document["doubling"]["size"], *(one["size"] for one in predictions)})
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", labelrotation=30)
    entry = document["log_prob"][-1]
    common = (entry["high"] - entry["low"]) / 2
    axes.set_title(
        f"same {document['rows']:,} test rows for all; another set would move all by {common:.2f}", fontsize=8
    )
    axes.set(xlabel="training simulations", ylabel="mean log_prob of test rows [nat]")
    axes.legend(loc="lower right")
    return figure
