"""Parameters on the whole real line, their prior box kept: bijections with their log-determinants.

A density learned on the line is then a density in catalog units. A support is a class, and one name in the table at the
foot; ``Support`` is one of them fitted to training rows.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy import special

from cosmoinfer.parameters import Parameters
from cosmoinfer.priors import Uniform

PROBIT = "probit"  # the support of parameters that the data say next to nothing about
MIN_PROBIT_U = 1e-7  # u is kept this far from 0 and 1: a parameter exactly on its edge stays finite
MIN_SOFT_U = 1e-12  # the same for a soft support, whose tail reaches further
MIN_EDGE_DISTANCE = np.finfo(np.float64).tiny  # from the edge of a half-open box: a parameter may be as small as A_s
SOFT_TAIL_FRACTION = 0.1  # the soft support is linear but for this share of the prior at each edge


class SupportMap(ABC):
    """theta <-> coordinates on the line, before the shift and scale of ``Support``."""

    overflows: ClassVar[bool] = False  # whether theta may leave its box, so that the density is renormalised over it
    is_raced: ClassVar[bool] = True  # whether it is tried where no support is chosen
    prior_becomes_normal: ClassVar[bool] = False  # whether theta drawn from the prior has standard normal coordinates

    @abstractmethod
    def to_line(self, parameters: Parameters, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """theta (..., P) in its box -> z and ln |dz/dtheta|, one term a parameter: (..., P) both."""

    @abstractmethod
    def from_line(self, parameters: Parameters, z: np.ndarray) -> np.ndarray:
        """The inverse, (..., P) -> (..., P)."""


class PriorMap(SupportMap):
    """z is a function of u = F(theta), element by element, of shape (...), F the prior's distribution function.

    A box whose prior is unknown is mapped as if it were uniform. What has one edge only is the logarithm of the
    distance to it; what has none is itself.
    """

    @abstractmethod
    def from_unit(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """u in 0..1, of shape (...) -> z and ln dz/du, (...) both."""

    @abstractmethod
    def to_unit(self, z: np.ndarray) -> np.ndarray:
        """The inverse of ``from_unit``: shape (...)."""

    def to_line(self, parameters: Parameters, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z, log_slope = np.empty(theta.shape), np.empty(theta.shape)
        parameters = _with_uniform_boxes(parameters)
        bounded = _bounded(parameters)
        if bounded.any():
            z, log_slope = self.from_unit(np.clip(parameters.cdf(theta), MIN_SOFT_U, 1 - MIN_SOFT_U))
            log_slope = log_slope + parameters.log_product(theta)
        for column in np.flatnonzero(~bounded):
            value, low, high = theta[..., column], parameters.low[column], parameters.high[column]
            if np.isfinite(low):
                z[..., column] = np.log(np.maximum(value - low, MIN_EDGE_DISTANCE))
                log_slope[..., column] = -z[..., column]
            elif np.isfinite(high):
                z[..., column] = -np.log(np.maximum(high - value, MIN_EDGE_DISTANCE))
                log_slope[..., column] = z[..., column]
            else:
                z[..., column], log_slope[..., column] = value, 0.0
        return z, log_slope

    def from_line(self, parameters: Parameters, z: np.ndarray) -> np.ndarray:
        theta = np.empty(z.shape)
        parameters = _with_uniform_boxes(parameters)
        bounded = _bounded(parameters)
        if bounded.any():
            theta = parameters.quantile(self.to_unit(z))
        for column in np.flatnonzero(~bounded):
            coordinate, low, high = z[..., column], parameters.low[column], parameters.high[column]
            if np.isfinite(low):
                theta[..., column] = low + np.exp(coordinate)
            elif np.isfinite(high):
                theta[..., column] = high - np.exp(-coordinate)
            else:
                theta[..., column] = coordinate
        return theta


class Probit(PriorMap):
    """z = Phi^-1(u): the prior becomes exactly N(0, 1)."""

    is_raced = False  # it had no share in any mixture with the others
    prior_becomes_normal = True

    def from_unit(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z = special.ndtri(np.clip(u, MIN_PROBIT_U, 1 - MIN_PROBIT_U))
        return z, 0.5 * z**2 + 0.5 * np.log(2 * np.pi)

    def to_unit(self, z: np.ndarray) -> np.ndarray:
        return special.ndtr(z)


class Soft(PriorMap):
    """z = sqrt(12) (u - 1/2) in the core; beyond it z falls as the root of -ln u, slopes matched.

    A straight exponential stretches the box, and cost 0.2 nat on the CAMELS histories; a normal's tail is so narrow
    that a Gaussian base squeezed up to a few per cent of its draws onto the edge.
    """

    def from_unit(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """u (...) in [0, 1] -> z and log |dz/du|, (...) each."""
        depth = np.minimum(u, 1 - u)  # by symmetry: how deep inside the nearer edge
        slope = np.sqrt(12.0)
        t = -np.log(np.clip(depth, MIN_SOFT_U, SOFT_TAIL_FRACTION) / SOFT_TAIL_FRACTION)
        tail = slope * (SOFT_TAIL_FRACTION - 0.5 - 2 * SOFT_TAIL_FRACTION * (np.sqrt(1 + t) - 1))
        below = np.where(depth < SOFT_TAIL_FRACTION, tail, slope * (depth - 0.5))
        return np.where(u < 0.5, below, -below), np.log(slope) + t - 0.5 * np.log1p(t)

    def to_unit(self, z: np.ndarray) -> np.ndarray:
        """z (...) -> u (...) in [0, 1]."""
        below = -np.abs(z) / np.sqrt(12.0)
        beyond = np.maximum(SOFT_TAIL_FRACTION - 0.5 - below, 0.0) / SOFT_TAIL_FRACTION
        tail = SOFT_TAIL_FRACTION * np.exp(1 - (1 + beyond / 2) ** 2)
        depth = np.where(below < SOFT_TAIL_FRACTION - 0.5, tail, 0.5 + below)
        return np.where(z < 0, depth, 1 - depth)


class Truncate(SupportMap):
    """z (..., P) is the coordinate of the prior itself: theta, or the logarithm of a log-uniform parameter."""

    overflows = True

    def to_line(self, parameters: Parameters, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z, log_slope = np.empty(theta.shape), np.empty(theta.shape)
        for column, prior in enumerate(parameters.priors):
            z[..., column], log_slope[..., column] = prior.to_line(theta[..., column])
        return z, log_slope

    def from_line(self, parameters: Parameters, z: np.ndarray) -> np.ndarray:
        theta = np.empty(z.shape)
        for column, prior in enumerate(parameters.priors):
            theta[..., column] = prior.from_line(z[..., column])
        return theta


SUPPORTS: dict[str, SupportMap] = {"probit": Probit(), "soft": Soft(), "truncate": Truncate()}


@dataclass(frozen=True)
class Support:
    """theta in its box <-> z on the real line, parameter by parameter, where a flow can live.

    name: of ``SUPPORTS``. All model a log-uniform parameter in its logarithm, and standardise an unbounded one.
    shift, scale: (P,), applied last; 0 and 1 for a probit that the training rows fill as the prior says.
    probit_only: names of parameters that take probit whatever ``name`` is, because the data say next to nothing about
        them: the prior is then exact, where a truncated Gaussian holds 55 % of a uniform parameter in its central 68 %
        interval.
    """

    name: str
    parameters: Parameters
    shift: np.ndarray
    scale: np.ndarray
    probit_only: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """Its name in a report."""
        return support_label(self.name, self.parameters)

    @property
    def maps_inside(self) -> bool:
        """Whether every z maps into box and region; if not, the density must be renormalised over them."""
        bounded = np.isfinite(self.parameters.low) | np.isfinite(self.parameters.high)
        overflowing = [name for name, bound in zip(self.parameters.names, bounded, strict=True) if bound]
        return not self.parameters.where and (
            not SUPPORTS[self.name].overflows or self.probit_only.issuperset(overflowing)
        )

    def forward(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(..., P) in catalog units -> z (..., P) and ln |dz/dtheta| (...), both float64."""
        z, log_slope = self.forward_by_parameter(self.parameters.clip(theta))
        return z, log_slope.sum(axis=-1)

    def forward_by_parameter(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(..., P) in catalog units, not clipped onto the box -> z and ln |dz/dtheta|, one term a parameter."""
        raw, log_slope = np.empty(theta.shape), np.empty(theta.shape)
        for support, columns, parameters in self._groups:
            raw[..., columns], log_slope[..., columns] = support.to_line(parameters, theta[..., columns])
        return (raw - self.shift) / self.scale, log_slope - np.log(self.scale)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """z (..., P) -> theta (..., P) in catalog units; inside box and region where ``maps_inside``."""
        raw = np.asarray(z, np.float64) * self.scale + self.shift
        theta = np.empty(raw.shape)
        for support, columns, parameters in self._groups:
            theta[..., columns] = support.from_line(parameters, raw[..., columns])
        return theta

    @cached_property
    def _groups(self) -> list[tuple[SupportMap, list[int], Parameters]]:
        """Each map with the columns and the parameters that take it."""
        names_of: dict[str, list[str]] = {PROBIT: [], self.name: []}
        for parameter in self.parameters.names:
            names_of[PROBIT if parameter in self.probit_only else self.name].append(parameter)
        return [
            (SUPPORTS[name], self.parameters.columns(names), self.parameters.untied.select(names))
            for name, names in names_of.items()
            if names
        ]


def support_label(name: str, parameters: Parameters) -> str:
    """What a report calls a support: none where no parameter is bounded, so that there is nothing to map."""
    return name if np.isfinite([parameters.low, parameters.high]).any() else "none"


def fit_support(
    name: str, parameters: Parameters, theta: np.ndarray, probit_only: frozenset[str] = frozenset()
) -> Support:
    """Fitted on the training rows, theta (N, P)."""
    count = len(theta)
    unscaled = Support(name, parameters, np.zeros(len(parameters)), np.ones(len(parameters)), probit_only)
    raw, _ = unscaled.forward(theta)
    shift, scale = raw.mean(axis=0), raw.std(axis=0)
    # where the box is filled as the prior says, the prior stays exactly normal
    as_prior = (np.abs(shift) < 5 / np.sqrt(count)) & (np.abs(scale - 1) < 5 / np.sqrt(2 * count))
    as_prior &= np.array(
        [SUPPORTS[name].prior_becomes_normal or parameter in probit_only for parameter in parameters.names]
    )
    as_prior &= _bounded(parameters.untied)
    shift, scale = np.where(as_prior, 0.0, shift), np.where(as_prior, 1.0, scale)
    return replace(unscaled, shift=shift, scale=np.where(scale > 0, scale, 1.0))


def _bounded(parameters: Parameters) -> np.ndarray:
    """Which parameters have a prior and a finite box, (P,) bool."""
    return parameters.has_prior & np.isfinite(parameters.low) & np.isfinite(parameters.high)


def _with_uniform_boxes(parameters: Parameters) -> Parameters:
    """The parameters, uniform where the prior in a finite box is unknown."""
    boxes = np.isfinite(parameters.low) & np.isfinite(parameters.high) & ~parameters.has_prior
    if not boxes.any():
        return parameters
    names = zip(parameters.prior, boxes, strict=True)
    return parameters.with_prior([Uniform.name if boxed else name for name, boxed in names])
