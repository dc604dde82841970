"""One posterior of a corner: its densities, and how they are drawn. The only importer of getdist."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import getdist.chains
import numpy as np
from getdist import MCSamples
from matplotlib.axes import Axes

from cosmoinfer.formatting import Constraint, constraint
from cosmoinfer.parameters import Parameters
from cosmoinfer.plots.figure_data import distinct_draws
from cosmoinfer.plots.style import with_white
from cosmoinfer.posterior import Posterior

getdist.chains.print_load_details = False  # it prints on stdout, which is for results


@dataclass(frozen=True)
class Layer:
    """The posterior of one observation.

    name: in the legend. parameters: those that vary, P. draws: (S, P), inside the prior box. truth: (P,), or None.
    colour, linestyle: of its lines. filled: whether its 68 and 95 % regions are; else the outline of 68 % is drawn.
    opacity: of what is filled. thickness: of lines, in units of that of others.
    """

    name: str
    parameters: Parameters
    draws: np.ndarray
    truth: np.ndarray | None
    colour: str
    linestyle: str = "-"
    filled: bool = True
    opacity: float = 1.0
    thickness: float = 1.0

    @classmethod
    def from_posterior(
        cls,
        name: str,
        posterior: Posterior,
        names: Sequence[str],
        colour: str,
        linestyle: str,
        filled: bool,
        opacity: float,
    ) -> "Layer | None":
        """Of one observation. names: of the parameters, of those that vary; all if empty. None where none varies."""
        samples = np.asarray(posterior.samples[0])
        varying = np.ptp(samples, axis=0) > 0
        available = [name for name, varies in zip(posterior.parameters.names, varying, strict=True) if varies]
        kept = [name for name in names or available if name in available]
        if not kept:
            return None
        columns, parameters = posterior.parameters.columns(kept), posterior.parameters.select(kept)
        truth = posterior.truth[0, columns] if posterior.truth is not None and posterior.has_truth[0] else None
        draws = parameters.clip(samples[:, columns])
        return cls(name, parameters, draws, truth, colour, linestyle, filled, opacity)

    def values(self, name: str) -> np.ndarray:
        """The draws of one parameter, (S,)."""
        return self.draws[:, self.parameters.names.index(name)]

    def constraint(self, name: str) -> Constraint:
        """Median with interval, or limit, of one parameter."""
        prior = self.parameters.priors[self.parameters.names.index(name)]
        return constraint(self.values(name), None, prior.low, prior.high, prior.log_axis)

    def draw_marginal(self, axes: Axes, name: str) -> None:
        """The density of one parameter, which integrates to one along the axis, also along a logarithmic one."""
        (x,) = self.parameters.columns([name])
        with _without_warnings_of_kernels():
            curve = self._density.get1DDensity(f"p{x}")
        heights, values = curve.P / curve.norm_integral(), self._value(x, curve.x)
        if self.filled:
            axes.fill_between(values, heights, color=self.region_colours[0], alpha=0.7 * self.opacity, linewidth=0)
        axes.plot(values, heights, color=self.colour, linestyle=self.linestyle, linewidth=1.2 * self.thickness)
        axes.set_ylim(0, max(1.12 * heights.max(), axes.get_ylim()[1] * (len(axes.lines) > 1)))

    def draw_regions(self, axes: Axes, x_name: str, y_name: str) -> None:
        """The smallest regions that hold 68 and 95 % of two parameters."""
        x, y = self.parameters.columns([x_name, y_name])
        with _without_warnings_of_kernels():
            surface = self._density.get2DDensityGridData(f"p{x}", f"p{y}", num_plot_contours=2)
        levels = [*sorted(surface.contours), 1.01 * surface.P.max()]
        values = self._value(x, surface.x), self._value(y, surface.y), surface.P
        if self.filled:
            axes.contourf(*values, levels=levels, colors=self.region_colours, alpha=self.opacity)
        outlines = levels[:2] if self.filled else levels[1:2]
        look: Any = {"linestyles": [self.linestyle], "linewidths": 0.9 * self.thickness}
        axes.contour(*values, levels=outlines, colors=[self.colour], **look)

    @property
    def region_colours(self) -> list[str]:
        """Of 95 and of 68 %."""
        return [with_white(self.colour, 0.6), with_white(self.colour, 0.3)]

    def _value(self, column: int, coordinate: np.ndarray) -> np.ndarray:
        """Of the coordinate in which the density is taken: the logarithm, where the axis is logarithmic."""
        return np.exp(coordinate) if self.parameters.priors[column].log_axis else coordinate

    @cached_property
    def _density(self) -> MCSamples:
        """Kernel densities with the boundaries of the prior box; getdist chooses the kernels of pairs."""
        names = [f"p{column}" for column in range(len(self.parameters))]
        edges = np.stack([self.parameters.low, self.parameters.high], axis=-1)
        draws = self.draws.copy()
        for column, prior in enumerate(self.parameters.priors):
            if prior.log_axis:
                draws[:, column], edges[column] = np.log(draws[:, column]), np.log(edges[column])
        ranges = {name: [x if np.isfinite(x) else None for x in edge] for name, edge in zip(names, edges, strict=True)}
        draws, weights = distinct_draws(draws)
        settings = {"ignore_rows": 0, "contours": [0.68, 0.95], "fine_bins_2D": 128}
        return MCSamples(
            samples=draws, weights=weights, names=names, ranges=ranges, sampler="uncorrelated", settings=settings
        )


@contextmanager
def _without_warnings_of_kernels() -> Iterator[None]:
    """GetDist warns, on the root logger, of kernels that it then corrects, under names that are not the user's."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
