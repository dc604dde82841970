"""Calibration: coverage and ranks of the true parameters, with confidence bands."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cosmoinfer.formatting import format_p_value
from cosmoinfer.metrics import Curve
from cosmoinfer.metrics.misspecification import OOD_PERCENTILE
from cosmoinfer.plots.figure_data import FigureData
from cosmoinfer.plots.labels import parameter_label
from cosmoinfer.plots.style import BLUE, GREY, QUARTERS, RED, explain, panel_grid

OOD_BINS = 20  # of percentiles, of which the last one is flagged


def coverage(data: FigureData) -> Figure | None:
    """Fraction of true values in the central interval, or joint region, of each level; the diagonal if calibrated.

    Dark band: 68 % interval of the curve, by resampling simulations. Light band: contains 95 % of calibrated curves.
    """
    curves = data.curves
    joint = {"highest density (hpd)": curves.hpd, "TARP (tarp)": curves.tarp, "TARP (tarp_x)": curves.tarp_x}
    titled = [(parameter_label(data.posterior.parameters, name), curve) for name, curve in curves.central.items()]
    titled += [(f"joint: {name}", curve) for name, curve in joint.items() if curve is not None]
    if not titled:
        return None
    figure, panels = panel_grid(len(titled), 2.7, 2.8, data.width)
    for axes, (title, curve) in zip(panels, titled, strict=True):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
        _fill_band(axes, curve, around=curve.alpha)
        axes.fill_between(curve.alpha, curve.low, curve.high, color=BLUE, alpha=0.3, linewidth=0)
        axes.plot(curve.alpha, curve.coverage, color=BLUE, linewidth=1.6)
        axes.set(xlim=(0, 1), ylim=(0, 1), title=title, xlabel="nominal coverage", ylabel="observed coverage")
        axes.set_xticks(QUARTERS, [f"{tick:g}" for tick in QUARTERS])
        axes.set_yticks(QUARTERS, [f"{tick:g}" for tick in QUARTERS])
        axes.set_box_aspect(1)
    panels[0].text(0.04, 0.95, "too wide", color=GREY, va="top", fontsize="small")
    panels[0].text(0.96, 0.05, "too narrow", color=GREY, ha="right", fontsize="small")
    line = Line2D([], [], color=BLUE, linewidth=1.6, label="observed")
    interval = Patch(color=BLUE, alpha=0.3, linewidth=0, label="its 68 % interval")
    band = Patch(color=BLUE, alpha=0.15, linewidth=0, label="95 % of calibrated curves")
    explain(figure, [line, interval, band, Line2D([], [], color=GREY, linewidth=1, label="calibrated")])
    return figure


def sbc(data: FigureData) -> Figure | None:
    """Fraction of true values below each rank, minus the rank; the band contains 95 % of calibrated curves.

    Säilynoja+ (arXiv:2103.10522), with the band of the Kolmogorov-Smirnov distance that ``sbc_p`` is computed from. A
    posterior equal to the prior passes: read it beside the contraction.
    """
    curves = data.curves.sbc
    if not curves:
        return None
    figure, panels = panel_grid(len(curves), 3.0, 2.5, data.width, sharey=True)
    limit = 1.35 * np.nanmax([[curve.band, np.abs(curve.coverage - curve.alpha).max()] for curve in curves.values()])
    for axes, (name, curve) in zip(panels, curves.items(), strict=True):
        difference = curve.coverage - curve.alpha
        outside = np.abs(difference) > curve.band
        _fill_band(axes, curve, around=np.zeros_like(curve.alpha))
        axes.axhline(0, color=GREY, linewidth=1)
        axes.plot(curve.alpha, difference, color=BLUE, linewidth=1.4)
        axes.plot(curve.alpha[outside], difference[outside], ".", color=RED, markersize=4)
        axes.set(xlim=(0, 1), ylim=(-limit, limit), xlabel="rank of the truth", ylabel="ECDF - uniform")
        axes.set_title(parameter_label(data.posterior.parameters, name))
        axes.set_xticks(QUARTERS, [f"{tick:g}" for tick in QUARTERS])
        contraction = data.metric("contraction", name)
        if contraction is not None:
            axes.text(
                0.03, 0.04, f"contraction {round(contraction, 2) + 0:.2f}", transform=axes.transAxes, fontsize="small"
            )
    band = Patch(color=BLUE, alpha=0.15, linewidth=0, label="95 % of calibrated curves")
    dots = Line2D([], [], color=RED, marker=".", linestyle="none", label="outside the band")
    explain(figure, [Line2D([], [], color=BLUE, linewidth=1.4, label="observed"), band, dots])
    return figure


def ood(data: FigureData) -> Figure | None:
    """How unlike the training data the observations are: percentiles among the validation rows, uniform if alike.

    Red: beyond the 95th percentile, of which 5 % are expected. Dotted: one standard deviation about the expected
    number.
    """
    percentile = data.posterior.diagnostics.ood_percentile
    if percentile is None or not np.isfinite(percentile).any():
        return None
    percentile = percentile[np.isfinite(percentile)]
    figure, (axes,) = panel_grid(1, 3.4, 2.7, data.width)
    edges = np.linspace(0, 100, OOD_BINS + 1)
    counts, _ = np.histogram(percentile, edges)
    colours = [BLUE] * (OOD_BINS - 1) + [RED]
    axes.bar(edges[:-1], counts, width=100 / OOD_BINS, align="edge", color=colours, edgecolor="white", linewidth=0.6)
    expected = len(percentile) / OOD_BINS
    spread = np.sqrt(expected * (1 - 1 / OOD_BINS))
    axes.axhline(expected, color=GREY, linewidth=1)
    for level in (max(0.0, expected - spread), expected + spread):
        axes.axhline(level, color=GREY, linewidth=0.8, linestyle=":")
    p_value = data.posterior.diagnostics.ood_set_p_value
    size = f"{len(percentile)} observations" if len(percentile) > 1 else f"percentile {percentile[0]:.1f}"
    axes.set_title(size if p_value is None else f"{size}; as one set p = {format_p_value(p_value)}".replace("= <", "<"))
    axes.set(xlim=(0, 100), xlabel="percentile among the validation rows", ylabel="observations")
    flagged = f"beyond 95: {100 * (percentile > OOD_PERCENTILE).mean():.0f} %"
    patches = [Patch(color=BLUE, label="observations"), Patch(color=RED, label=flagged)]
    explain(figure, [*patches, Line2D([], [], color=GREY, linewidth=1, label="expected if alike, and its scatter")])
    return figure


def _fill_band(axes: Axes, curve: Curve, around: np.ndarray) -> None:
    if np.isfinite(curve.band):
        axes.fill_between(curve.alpha, around - curve.band, around + curve.band, color=BLUE, alpha=0.15, linewidth=0)
    else:
        axes.text(
            0.04, 0.84, "too few simulations\nfor a 95 % band", transform=axes.transAxes, va="top", fontsize="small"
        )
