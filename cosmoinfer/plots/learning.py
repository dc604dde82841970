"""Training history of the networks of a model."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cosmoinfer.plots.figure_data import FigureData
from cosmoinfer.plots.labels import plain_text
from cosmoinfer.plots.style import BLUE, GREY, RED, panel_grid

MAX_TITLE = 46  # characters of an architecture, above a panel of this width


def losses(data: FigureData) -> Figure | None:
    """Training and validation loss against epoch. Thin: members; bold: their median; dots: the epochs kept."""
    if not data.histories:
        return None
    figure, panels = panel_grid(len(data.histories), 4.4, 3.2, data.width)
    for axes, (name, history) in zip(panels, data.histories.items(), strict=True):
        epochs = 1 + np.arange(len(history.train))
        marker = "o" if len(epochs) == 1 else None
        for loss, colour, label in ((history.train, GREY, "training"), (history.validation, BLUE, "validation")):
            if loss.shape[1] > 1:
                axes.plot(epochs, loss, color=colour, linewidth=0.6, alpha=0.4)
            finite = np.isfinite(loss).any(axis=1)
            median = np.nanmedian(loss[finite], axis=1)
            axes.plot(
                epochs[finite],
                median,
                color=colour,
                linewidth=1.8,
                marker=marker,
                label=f"{label}{', median' if loss.shape[1] > 1 else ''}",
            )
        axes.plot(history.best + 1, history.best_validation, "o", color=RED, markersize=4, label="kept epochs")
        beyond = _clip_spikes(axes, np.hstack([history.train, history.validation]))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set(title=plain_text(name, MAX_TITLE), xlabel="epoch", ylabel=plain_text(data.loss))
        axes.legend(loc="upper right", title=beyond, title_fontsize="small")
    return figure


def _clip_spikes(axes: Axes, values: np.ndarray) -> str | None:
    """Limit the panel to the usual range of the curves; a note on how far they exceed it, if they do."""
    values = np.where(np.isfinite(values), values, np.nan)
    settled = values[min(len(values) - 1, 1 + len(values) // 10) :]  # the first steps may be anywhere
    usual = np.nanquantile(settled, 0.95)
    lowest, highest = np.nanmin(values), np.nanmax(values)
    room = max(usual - lowest, 1e-6 * max(abs(usual), 1.0))
    top = highest if highest < usual + 2 * room else usual + 0.5 * room
    axes.set_ylim(lowest - 0.08 * room, top + 0.08 * room)
    return f"not shown: up to {highest:,.4g}" if top < highest else None
