"""The standard normal distribution between two edges, ``low`` and ``high``, in units of its standard deviation.

All arguments and results are arrays, element by element, broadcast. ``mass``, ``cdf`` and ``quantile`` are differences
of the normal distribution function and precise while the interval holds more than about 1e-12 of the normal;
``log_mass`` and ``draw`` work in logarithms, mirrored where the interval lies above the mean, and are precise however
far in a tail it lies.
"""

import numpy as np
from scipy import special


def mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Phi(high) - Phi(low), the probability between the edges: shape (...)."""
    return special.ndtr(high) - special.ndtr(low)


def log_mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """ln(Phi(high) - Phi(low)), natural: shape (...)."""
    mirror = low > 0
    near, far = np.where(mirror, -low, high), np.where(mirror, -high, low)
    return special.log_ndtr(near) + np.log1p(-np.exp(special.log_ndtr(far) - special.log_ndtr(near)))


def cdf(z: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The distribution function at z, which lies between the edges: shape (...), in [0, 1]."""
    below, above = special.ndtr(low), special.ndtr(high)
    return (special.ndtr(z) - below) / (above - below)


def quantile(u: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The inverse of ``cdf``: z for u in [0, 1], of shape (...)."""
    below, above = special.ndtr(low), special.ndtr(high)
    return special.ndtri(below + u * (above - below))


def draw(low: np.ndarray, high: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One independent draw of each pair of edges, in their shape: by inverting the distribution function."""
    mirror = low > 0
    log_share = np.log(1 - generator.random(low.shape)) + log_mass(low, high)
    log_u = np.logaddexp(special.log_ndtr(np.where(mirror, -high, low)), log_share)
    z = special.ndtri_exp(np.minimum(log_u, 0.0))
    return np.where(mirror, -z, z)
