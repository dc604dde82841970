"""Parameters on the whole real line, their prior box kept: bijections with their log-determinants.

A density learned on the line is then a density in catalog units.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from cosmoinfer.parameters import Parameters

SUPPORTS = ("probit", "soft", "truncate")
MIN_PROBIT_U = 1e-7  # u is kept this far from 0 and 1: a parameter exactly on its edge stays finite
MIN_EDGE_DISTANCE = np.finfo(np.float64).tiny  # from the edge of a half-open box: a parameter may be as small as A_s
MIN_SOFT_U = 1e-12  # the same for a soft support, whose tail reaches further
SOFT_TAIL_FRACTION = 0.1  # the soft support is linear but for this share of the prior at each edge


@dataclass(frozen=True)
class Support:
    """theta in its box <-> z on the real line, parameter by parameter, where a flow can live.

    probit: z = Phi^-1(F(theta)), F the prior's distribution function: the prior becomes exactly N(0, 1).
    soft: linear in F over the central 80 %, bent towards the edges (once differentiable).
    truncate: standardised only; the flow overflows the box and its density is renormalised over it.
    A log-uniform parameter is modelled in its logarithm by all three; an unbounded one is standardised.
    shift, scale: (P,), applied last; 0 and 1 for a probit that the training rows fill as the prior says.
    unconstrained: parameters that take probit under any name, because the data say next to nothing about them: the
    prior is then exact, where a truncated Gaussian holds 55 % of a uniform parameter in its central 68 % interval.
    """

    name: str
    parameters: Parameters
    shift: np.ndarray
    scale: np.ndarray
    probit_only: frozenset[str] = frozenset()

    @property
    def maps_into_box(self) -> bool:
        """Whether every z maps into the box; if not, the density must be renormalised over it."""
        bounded = np.isfinite(self.parameters.low) | np.isfinite(self.parameters.high)
        overflowing = [name for name, bound in zip(self.parameters.names, bounded, strict=True) if bound]
        return self.name != "truncate" or self.probit_only.issuperset(overflowing)

    def forward(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(..., P) in catalog units -> z (..., P) and log |dz/dtheta| (...), both float64."""
        raw, log_slope = self._raw(self.parameters.clip(theta))
        return (raw - self.shift) / self.scale, (log_slope - np.log(self.scale)).sum(axis=-1)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """z (..., P) -> theta (..., P) in catalog units; inside the box unless ``truncate``."""
        raw = np.asarray(z, np.float64) * self.scale + self.shift
        theta = np.empty(raw.shape)
        for name, columns, parameters in self._groups():
            theta[..., columns] = _from_line(name, parameters, raw[..., columns])
        return theta

    def _raw(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raw, log_slope = np.empty(theta.shape), np.empty(theta.shape)
        for name, columns, parameters in self._groups():
            raw[..., columns], log_slope[..., columns] = _to_line(name, parameters, theta[..., columns])
        return raw, log_slope

    def _groups(self) -> list[tuple[str, list[int], Parameters]]:
        """Which map the columns take: probit for the unconstrained, ``name`` for the rest."""
        names = self.parameters.names
        groups = {
            "probit": [one for one in names if one in self.probit_only],
            self.name: [one for one in names if one not in self.probit_only],
        }
        if self.name == "probit":
            groups = {"probit": list(names)}
        return [
            (name, self.parameters.columns(group), self.parameters.select(group))
            for name, group in groups.items()
            if group
        ]


def fit_support(
    name: str, parameters: Parameters, theta: np.ndarray, probit_only: frozenset[str] = frozenset()
) -> Support:
    """Fitted on the training rows, theta (N, P)."""
    zeros, ones, count = np.zeros(len(parameters)), np.ones(len(parameters)), len(theta)
    plain = Support(name, parameters, zeros, ones, probit_only)
    raw, _ = plain.forward(theta)
    shift, scale = raw.mean(axis=0), raw.std(axis=0)
    # where a probit finds the box filled as the prior says, the prior stays exactly normal
    probit = np.array([name == "probit" or one in probit_only for one in parameters.names])
    as_prior = (np.abs(shift) < 5 / np.sqrt(count)) & (np.abs(scale - 1) < 5 / np.sqrt(2 * count))
    as_prior &= probit & _bounded(parameters)
    shift, scale = np.where(as_prior, 0.0, shift), np.where(as_prior, 1.0, scale)
    return replace(plain, shift=shift, scale=np.where(scale > 0, scale, 1.0))


def _bounded(parameters: Parameters) -> np.ndarray:
    return parameters.has_prior & np.isfinite(parameters.low) & np.isfinite(parameters.high)


def _boxed(parameters: Parameters) -> Parameters:
    """A box is kept even where the prior in it is unknown: mapped as a uniform one would be."""
    box = np.isfinite(parameters.low) & np.isfinite(parameters.high)
    return parameters.with_prior(
        [
            "uniform" if closed and not known else prior
            for prior, closed, known in zip(parameters.prior, box, parameters.has_prior, strict=True)
        ]
    )


def _to_line(name: str, parameters: Parameters, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z before the last shift and scale, and log |dz/dtheta| a parameter, (..., P) each."""
    z, log_slope = np.empty(theta.shape), np.empty(theta.shape)
    parameters = _boxed(parameters)
    bounded = _bounded(parameters)
    if name != "truncate" and bounded.any():
        u = np.clip(parameters.cdf(theta), MIN_SOFT_U, 1 - MIN_SOFT_U)
        bent, bend = _probit(u) if name == "probit" else _soft(u)
        z, log_slope = bent, bend + parameters.log_prior(theta)
    for column, prior in enumerate(parameters.prior):
        if name == "truncate" or not bounded[column]:
            value, low, high = theta[..., column], parameters.low[column], parameters.high[column]
            if name != "truncate" and np.isfinite(low):
                z[..., column] = np.log(np.maximum(value - low, MIN_EDGE_DISTANCE))
                log_slope[..., column] = -z[..., column]
            elif name != "truncate" and np.isfinite(high):
                z[..., column] = -np.log(np.maximum(high - value, MIN_EDGE_DISTANCE))
                log_slope[..., column] = z[..., column]
            elif prior == "log-uniform":
                z[..., column] = np.log(value)
                log_slope[..., column] = -z[..., column]
            else:
                z[..., column], log_slope[..., column] = value, 0.0
    return z, log_slope


def _from_line(name: str, parameters: Parameters, z: np.ndarray) -> np.ndarray:
    theta = np.empty(z.shape)
    parameters = _boxed(parameters)
    bounded = _bounded(parameters)
    if name != "truncate" and bounded.any():
        theta = parameters.quantile(_probit_inverse(z) if name == "probit" else _soft_inverse(z))
    for column, prior in enumerate(parameters.prior):
        if name == "truncate" or not bounded[column]:
            value, low, high = z[..., column], parameters.low[column], parameters.high[column]
            if name != "truncate" and np.isfinite(low):
                theta[..., column] = low + np.exp(value)
            elif name != "truncate" and np.isfinite(high):
                theta[..., column] = high - np.exp(-value)
            else:
                theta[..., column] = np.exp(value) if prior == "log-uniform" else value
    return theta


def _probit(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z and log dz/du."""
    z = special.ndtri(np.clip(u, MIN_PROBIT_U, 1 - MIN_PROBIT_U))
    return z, 0.5 * z**2 + 0.5 * np.log(2 * np.pi)


def _probit_inverse(z: np.ndarray) -> np.ndarray:
    return special.ndtr(z)


def _soft(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z = sqrt(12) (u - 1/2) in the core; beyond it z falls as the root of -log u, slopes matched; and log dz/du.

    A straight exponential stretches the box, and cost 0.2 nat on the CAMELS histories; a normal's tail is so narrow
    that a Gaussian base squeezed up to a few per cent of its draws onto the edge.
    """
    depth = np.minimum(u, 1 - u)  # by symmetry: how deep inside the nearer edge
    slope = np.sqrt(12.0)
    t = -np.log(np.clip(depth, MIN_SOFT_U, SOFT_TAIL_FRACTION) / SOFT_TAIL_FRACTION)
    tail = slope * (SOFT_TAIL_FRACTION - 0.5 - 2 * SOFT_TAIL_FRACTION * (np.sqrt(1 + t) - 1))
    below = np.where(depth < SOFT_TAIL_FRACTION, tail, slope * (depth - 0.5))
    return np.where(u < 0.5, below, -below), np.log(slope) + t - 0.5 * np.log1p(t)


def _soft_inverse(z: np.ndarray) -> np.ndarray:
    slope = np.sqrt(12.0)
    below = -np.abs(z) / slope
    beyond = np.maximum(SOFT_TAIL_FRACTION - 0.5 - below, 0.0) / SOFT_TAIL_FRACTION
    depth = np.where(
        below < SOFT_TAIL_FRACTION - 0.5, SOFT_TAIL_FRACTION * np.exp(1 - (1 + beyond / 2) ** 2), 0.5 + below
    )
    return np.where(z < 0, depth, 1 - depth)
