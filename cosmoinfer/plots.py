"""Posterior, metrics and learning curves -> figures (PLOTS). The only importer of matplotlib and getdist.

A figure is one function ``material -> Figure``, None where it does not apply, and one entry in the table at the foot.
The first line of its docstring can stand as its caption. Grey ground is where the prior is zero. No pyplot: nothing
here leaves state behind.
"""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import getdist.chains
import matplotlib
import numpy as np
from getdist import MCSamples
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.mathtext import MathTextParser
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from cosmoinfer.errors import UserError
from cosmoinfer.history import History
from cosmoinfer.metrics import Curve, Curves, curves
from cosmoinfer.metrics.verdict import UNCONSTRAINED_R2
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior

getdist.chains.print_load_details = False  # it prints on stdout, which belongs to --json

BLUE, RED, GREY, GROUND = "#0072B2", "#D55E00", "#6B6B6B", "#ECECEC"  # Okabe & Ito: told apart by every eye
LIGHT, DARK = "#9CC8E3", "#4E9DCB"  # of the same blue: 95 and 68 %
LOOK: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
FEWEST_DRAWS = 50  # with fewer, a smoothed density shows its smoothing
MOST_IN_CORNER = 10  # parameters of one triangle that stay legible
QUARTERS = [0, 0.25, 0.5, 0.75, 1]


@dataclass(frozen=True)
class Material:
    """What figures are made of. metrics: the dictionary of ``evaluate``. histories: name of a stack -> its History.

    loss: what the learning curves measure, as an axis label.
    """

    posterior: Posterior
    metrics: Mapping[str, Any] = field(default_factory=dict)
    histories: Mapping[str, History] = field(default_factory=dict)
    loss: str = "minus mean log density"
    seed: int = 0

    @cached_property
    def curves(self) -> Curves:
        """Empty without truths."""
        known = self.posterior.truth is not None
        return curves(self.posterior, self.seed) if known else Curves({}, {}, None, None, None)

    def metric(self, name: str, parameter: str) -> float | None:
        """Its value for one parameter; None where it was not computed, or is null."""
        values = self.metrics.get("metrics", {}).get("parameters", {}).get(name) or {}
        return (values.get(parameter) or {}).get("value")


def draw(material: Material, folder: Path) -> list[Path]:
    """Every figure that applies, as ``folder/NAME.png``, whole or absent. Same material, same bytes.

    A figure of an earlier run that no longer applies is removed: it would show another posterior.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, plot in PLOTS.items():
        path = folder / f"{name}.png"
        with matplotlib.rc_context():
            matplotlib.rcdefaults()  # a matplotlibrc of the user's must not change a figure of ours
            matplotlib.rcParams.update(LOOK)
            figure = plot(material)
            if figure is None:
                path.unlink(missing_ok=True)
            else:
                _write(figure, path)
                written.append(path)
    return written


def _write(figure: Figure, path: Path) -> None:
    image = BytesIO()
    figure.savefig(image, format="png", dpi=150, metadata={"Software": None})
    scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        scratch.write_bytes(image.getvalue())
        os.replace(scratch, path)
    except OSError as error:
        raise UserError(f"{path}: could not be written ({error.strerror}); nothing is left behind") from error
    finally:
        scratch.unlink(missing_ok=True)


# -------------------------------------------------------------------------------------------------------- the figures
def losses(material: Material) -> Figure | None:
    """Training and validation loss against epoch. Thin: members; bold: their median; dots: the epochs that are kept."""
    if not material.histories:
        return None
    figure, panels = _panels(len(material.histories), width=4.4, height=3.2)
    for axes, (name, history) in zip(panels, material.histories.items(), strict=True):
        epochs = 1 + np.arange(len(history.train))
        marker = "o" if len(epochs) == 1 else None
        for loss, colour, label in ((history.train, GREY, "training"), (history.validation, BLUE, "validation")):
            if loss.shape[1] > 1:
                axes.plot(epochs, loss, color=colour, linewidth=0.6, alpha=0.4)
            known = np.isfinite(loss).any(axis=1)
            median = np.nanmedian(loss[known], axis=1)
            axes.plot(epochs[known], median, color=colour, linewidth=1.8, marker=marker, label=label)
        axes.plot(history.best + 1, history.best_validation, "o", color=RED, markersize=4, label="kept")
        beyond = _clip_spikes(axes, np.hstack([history.train, history.validation]))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set(title=name, xlabel="epoch", ylabel=material.loss)
        axes.legend(loc="upper right", title=beyond, title_fontsize=8)
    return figure


def truth_prediction(material: Material) -> Figure | None:
    """Posterior mean against truth, with the posterior's standard deviation where there is one."""
    posterior, parameters = material.posterior, material.posterior.parameters
    mean, std, truth = posterior.best_mean, posterior.best_std, posterior.truth
    if mean is None or truth is None:
        return None
    figure, panels = _panels(len(parameters), width=3.0, height=3.0)
    alpha = float(np.clip(8 / np.sqrt(len(truth)), 0.1, 0.8))
    for column, axes in enumerate(panels):
        sigma = None if std is None else std[:, column]
        low, high = _prediction_view(parameters, column, truth[:, column], mean[:, column], sigma)
        if parameters.prior[column] == "log-uniform":
            axes.set(xscale="log", yscale="log")
            _plain_numbers(axes)
        else:
            axes.ticklabel_format(scilimits=(-3, 4))
        axes.set(xlim=(low, high), ylim=(low, high))
        _shade_outside(axes, parameters, column, column)
        axes.plot([low, high], [low, high], color=GREY, linewidth=1)
        style: dict[str, Any] = {"fmt": ".", "color": BLUE, "markersize": 4, "elinewidth": 0.7, "alpha": alpha}
        axes.errorbar(truth[:, column], mean[:, column], yerr=sigma, **style)
        label = _label(parameters, parameters.names[column])
        axes.set(xlabel=f"true {label}", ylabel=f"predicted {label}")
        axes.set_box_aspect(1)
        _say_accuracy(axes, material, parameters.names[column])
    return figure


def corner(material: Material) -> Figure | None:
    """The posterior of one typical observation: its 68 and 95 % regions, the truth and the edges of the prior."""
    posterior = material.posterior
    if posterior.samples is None or posterior.samples.shape[1] < FEWEST_DRAWS:
        return None
    row = _typical_row(posterior)
    varying = np.flatnonzero(np.ptp(posterior.samples[row], axis=0) > 0)[:MOST_IN_CORNER]
    if not len(varying):
        return None
    parameters = posterior.parameters.take([posterior.parameters.names[column] for column in varying])
    draws = parameters.clip(posterior.samples[row][:, varying])  # (S, P)
    marks = np.empty((0, len(varying))) if posterior.truth is None else posterior.truth[row : row + 1, varying]
    views = _corner_views(draws, marks)
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
        axes.set_xlim(views[x])
        if x == y:
            _draw_marginal(axes, density, parameters, x, draws)
        else:
            axes.set_ylim(views[y])
            _draw_regions(axes, density, x, y)
        _shade_outside(axes, parameters, x, y if y > x else None)
        for mark in marks:
            axes.axvline(mark[x], color=RED, linewidth=1)
            if y > x:
                axes.axhline(mark[y], color=RED, linewidth=1)
        _name_edges(axes, parameters, x, y)
    figure.align_labels()
    _corner_legend(figure, posterior, row)
    return figure


def coverage(material: Material) -> Figure | None:
    """Share of truths inside the central interval, or the joint region, of each level: the diagonal if calibrated.

    Dark band: 68 % interval of the curve, simulations resampled. Light band: 95 % of calibrated curves never leave it.
    """
    found = material.curves
    joint = {"highest density (hpd)": found.hpd, "TARP (tarp)": found.tarp, "TARP (tarp_x)": found.tarp_x}
    titled = [(_label(material.posterior.parameters, name), curve) for name, curve in found.central.items()]
    titled += [(f"jointly: {name}", curve) for name, curve in joint.items() if curve is not None]
    if not titled:
        return None
    figure, panels = _panels(len(titled), width=2.7, height=2.8)
    for axes, (title, curve) in zip(panels, titled, strict=True):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
        _fill_band(axes, curve, around=curve.alpha)
        axes.fill_between(curve.alpha, curve.low, curve.high, color=BLUE, alpha=0.3, linewidth=0)
        axes.plot(curve.alpha, curve.coverage, color=BLUE, linewidth=1.6)
        axes.set(xlim=(0, 1), ylim=(0, 1), title=title, xlabel="nominal coverage", ylabel="found coverage")
        axes.set_xticks(QUARTERS, [f"{tick:g}" for tick in QUARTERS])
        axes.set_yticks(QUARTERS, [f"{tick:g}" for tick in QUARTERS])
        axes.set_box_aspect(1)
    panels[0].text(0.04, 0.95, "too wide", color=GREY, va="top", fontsize=8)
    panels[0].text(0.96, 0.05, "too narrow", color=GREY, ha="right", fontsize=8)
    return figure


def sbc(material: Material) -> Figure | None:
    """Share of truths below each rank, less the rank itself; 95 % of calibrated curves never leave the band.

    Säilynoja+ (arXiv:2103.10522), with the band of the Kolmogorov-Smirnov distance that ``sbc_p`` is computed from. A
    posterior equal to the prior passes: read it beside the contraction.
    """
    found = material.curves.sbc
    if not found:
        return None
    figure, panels = _panels(len(found), width=3.0, height=2.5, sharey=True)
    reach = 1.35 * np.nanmax([[curve.band, np.abs(curve.coverage - curve.alpha).max()] for curve in found.values()])
    for axes, (name, curve) in zip(panels, found.items(), strict=True):
        difference = curve.coverage - curve.alpha
        outside = np.abs(difference) > curve.band
        _fill_band(axes, curve, around=np.zeros_like(curve.alpha))
        axes.axhline(0, color=GREY, linewidth=1)
        axes.plot(curve.alpha, difference, color=BLUE, linewidth=1.4)
        axes.plot(curve.alpha[outside], difference[outside], ".", color=RED, markersize=4)
        axes.set(xlim=(0, 1), ylim=(-reach, reach), xlabel="rank of the truth", ylabel="ECDF - uniform")
        axes.set_title(_label(material.posterior.parameters, name))
        axes.set_xticks(QUARTERS, [f"{tick:g}" for tick in QUARTERS])
        contraction = material.metric("contraction", name)
        if contraction is not None:
            axes.text(0.03, 0.04, f"contraction {round(contraction, 2) + 0:.2f}", transform=axes.transAxes, fontsize=8)
    return figure


# ------------------------------------------------------------------------------------------------------ what is drawn
def _panels(count: int, width: float, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """A page of ``count`` panels, near to square, of at most four columns."""
    columns = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3, 9: 3}.get(count, 4)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False, **options).ravel())
    for spare in panels[count:]:
        spare.set_visible(False)
    return figure, panels[:count]


def _label(parameters: Parameters, name: str) -> str:
    """Its LaTeX label; its plain name where it has none, or one that cannot be typeset."""
    label = parameters.labels[parameters.names.index(name)].strip("$")
    if label != name:
        try:
            MathTextParser("path").parse(f"${label}$")
            return f"${label}$"
        except ValueError:
            pass
    return name.replace("$", r"\$")


def _fill_band(axes: Axes, curve: Curve, around: np.ndarray) -> None:
    if np.isfinite(curve.band):
        axes.fill_between(curve.alpha, around - curve.band, around + curve.band, color=BLUE, alpha=0.15, linewidth=0)
    else:
        axes.text(0.04, 0.84, "too few simulations\nfor a 95 % band", transform=axes.transAxes, va="top", fontsize=8)


def _shade_outside(axes: Axes, parameters: Parameters, x: int, y: int | None) -> None:
    """Grey ground where the prior of one parameter, or of two, is zero."""
    limits = [axes.get_xlim(), axes.get_ylim()]
    edges = [(parameters.low[k], parameters.high[k]) if k is not None else (-np.inf, np.inf) for k in (x, y)]
    beyond = [(2 * start - end, 2 * end - start) for start, end in limits]  # an edge out of sight, at a finite place
    (left, right), (bottom, top) = (np.clip(edge, *far) for edge, far in zip(edges, beyond, strict=True))
    axes.set_facecolor(GROUND)
    style: dict[str, Any] = {"facecolor": "white", "edgecolor": GREY, "linewidth": 0.8, "zorder": 0}
    axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, **style))


def _clip_spikes(axes: Axes, values: np.ndarray) -> str | None:
    """Let the curves fill the panel; the sentence that says how far they go beyond it."""
    values = np.where(np.isfinite(values), values, np.nan)
    settled = values[min(len(values) - 1, 1 + len(values) // 10) :]  # the first steps may be anywhere
    usual = np.nanquantile(settled, 0.95)
    lowest, highest = np.nanmin(values), np.nanmax(values)
    room = max(usual - lowest, 1e-6 * max(abs(usual), 1.0))
    top = highest if highest < usual + 2 * room else usual + 0.5 * room
    axes.set_ylim(lowest - 0.08 * room, top + 0.08 * room)
    return f"not shown: up to {highest:,.4g}" if top < highest else None


def _prediction_view(
    parameters: Parameters, column: int, truth: np.ndarray, mean: np.ndarray, std: np.ndarray | None
) -> tuple[float, float]:
    """The box (else the truths) and nearly all predictions."""
    low, high = parameters.low[column], parameters.high[column]
    std = np.zeros_like(mean) if std is None else std
    start = min(low if np.isfinite(low) else truth.min(), np.quantile(mean - std, 0.01))
    end = max(high if np.isfinite(high) else truth.max(), np.quantile(mean + std, 0.99))
    if parameters.prior[column] == "log-uniform":
        return float(0.9 * max(start, low / 2)), float(1.1 * end)
    return float(start - 0.04 * (end - start)), float(end + 0.04 * (end - start))


def _plain_numbers(axes: Axes) -> None:
    """0.5, 1, 2, 5 along logarithmic axes, for ranges too short for powers of ten."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def _say_accuracy(axes: Axes, material: Material, name: str) -> None:
    r2, chi2 = material.metric("r2", name), material.metric("chi2", name)
    said = [rf"$R^2$ = {r2:.3f}"] if r2 is not None else []
    said += [rf"$\chi^2$ = {chi2:.2f}"] if chi2 is not None else []
    unconstrained = r2 is not None and r2 <= UNCONSTRAINED_R2
    title = "unconstrained\n" * unconstrained + "   ".join(said)
    axes.set_title(title, fontsize=9, color=RED if unconstrained else "black")


def _typical_row(posterior: Posterior) -> int:
    """Of the test rows (of all, if none is), the one whose truth has the median density; the first without truths."""
    rows = np.flatnonzero(posterior.split == 2)
    rows = rows if len(rows) else np.arange(len(posterior))
    if posterior.log_prob_truth is None:
        return int(rows[0])
    return int(rows[np.argsort(posterior.log_prob_truth[rows], kind="stable")[len(rows) // 2]])


def _smoothed(draws: np.ndarray, parameters: Parameters) -> MCSamples:
    """Kernel densities that know the edges of the box; getdist chooses the kernels of pairs."""
    names = [f"p{column}" for column in range(len(parameters))]
    edges = np.stack([parameters.low, parameters.high], axis=-1)
    ranges = {name: [x if np.isfinite(x) else None for x in edge] for name, edge in zip(names, edges, strict=True)}
    width = 0.9 * len(draws) ** (-1 / 9)  # in standard deviations: of its own choice it warns that it may fail
    settings = {"ignore_rows": 0, "contours": [0.68, 0.95], "smooth_scale_1D": width, "fine_bins_2D": 128}
    return MCSamples(samples=draws, names=names, ranges=ranges, settings=settings)


def _corner_views(draws: np.ndarray, marks: np.ndarray) -> list[tuple[float, float]]:
    """Limits a parameter: nearly all draws, and the truth however far it is."""
    start, end = np.quantile(draws, [0.001, 0.999], axis=0)
    start = np.minimum(start, marks.min(axis=0, initial=np.inf))
    end = np.maximum(end, marks.max(axis=0, initial=-np.inf))
    margin = 0.06 * (end - start)
    return list(zip(start - margin, end + margin, strict=True))


def _draw_marginal(axes: Axes, density: MCSamples, parameters: Parameters, x: int, draws: np.ndarray) -> None:
    """The posterior of one parameter, and its prior on the same scale: both integrate to one."""
    curve = density.get1DDensity(f"p{x}")
    heights = curve.P / curve.norm_integral()
    axes.fill_between(curve.x, heights, color=LIGHT, alpha=0.7, linewidth=0)
    axes.plot(curve.x, heights, color=BLUE, linewidth=1.4)
    theta = np.repeat(draws[:1], 400, axis=0)
    theta[:, x] = np.linspace(*axes.get_xlim(), 400)
    axes.plot(theta[:, x], np.exp(parameters.log_prior(theta)[:, x]), color=GREY, linewidth=1, linestyle="--")
    axes.set_ylim(0, 1.12 * heights.max())
    mean, std = draws[:, x].mean(), draws[:, x].std()
    digits = int(max(0, 1 - np.floor(np.log10(std))))
    short = 1e-4 < std < 1e4
    said = f"{mean:.{digits}f} ± {std:.{digits}f}" if short else f"{mean:.3g} ± {std:.1e}"
    axes.set_title(said, fontsize=8, pad=3)


def _draw_regions(axes: Axes, density: MCSamples, x: int, y: int) -> None:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # getdist warns, on the root logger, of kernels that it then mends
    try:
        surface = density.get2DDensityGridData(f"p{x}", f"p{y}", num_plot_contours=2)
    finally:
        logging.disable(before)
    levels = [*sorted(surface.contours), 1.01 * surface.P.max()]
    axes.contourf(surface.x, surface.y, surface.P, levels=levels, colors=[LIGHT, DARK])
    axes.contour(surface.x, surface.y, surface.P, levels=levels[:2], colors=[BLUE], linewidths=0.9)


def _name_edges(axes: Axes, parameters: Parameters, x: int, y: int) -> None:
    """Numbers and names at the outer edges of the triangle only."""
    last = len(parameters) - 1
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(3, prune="both"))
    axes.tick_params(labelbottom=y == last, labelleft=x == 0 < y, left=y > x, labelsize=7)
    axes.tick_params(axis="x", labelrotation=45)
    axes.spines["left"].set_visible(y > x)
    if y == last:
        axes.set_xlabel(_label(parameters, parameters.names[x]))
    if x == 0 < y:
        axes.set_ylabel(_label(parameters, parameters.names[y]))


def _corner_legend(figure: Figure, posterior: Posterior, row: int) -> None:
    """In the empty corner of the triangle, or beside a single panel."""
    regions = {DARK: ", 68 %", LIGHT: ", 95 %"} if len(figure.axes) > 1 else {LIGHT: ""}
    handles: list[Any] = [
        *(Patch(facecolor=colour, label=f"posterior{share}") for colour, share in regions.items()),
        Line2D([], [], color=GREY, linestyle="--", label="prior"),
        Patch(facecolor=GROUND, edgecolor=GREY, label="outside the prior"),
    ]
    if posterior.truth is not None:
        handles.insert(0, Line2D([], [], color=RED, label="truth"))
    title = f"row {posterior.index[row]}, simulation {posterior.simulation[row]}"
    figure.legend(handles=handles, loc="upper right", title=title, title_fontsize=9)


PLOTS: dict[str, Callable[[Material], Figure | None]] = {
    "losses": losses,
    "truth_prediction": truth_prediction,
    "corner": corner,
    "coverage": coverage,
    "sbc": sbc,
}
