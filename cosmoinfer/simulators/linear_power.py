"""The linear matter power spectrum, and the two parameters that it is a function of here."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from cosmoinfer.parameters import Parameters

OMEGA_M_SIGMA_8 = Parameters.from_names(
    ("Omega_m", "sigma_8"), (0.1, 0.6), (0.5, 1.0), labels=(r"\Omega_m", r"\sigma_8")
)
SIGMA_8_RADIUS = 8.0  # Mpc/h, of the spheres that sigma_8 is defined by
WAVENUMBERS = np.geomspace(1e-4, 20, 192)  # h/Mpc, for the integral over that sphere: sigma_8 to better than 1e-6


@dataclass(frozen=True)
class LinearPower:
    """The linear matter power spectrum today of a flat universe without neutrinos or acoustic oscillations.

    Transfer function: Eisenstein & Hu 1998 (ApJ 496, 605; arXiv:astro-ph/9709112), equations 26 and 28 to 31, good
    to a few per cent outside the oscillations. ``omega_b``: Omega_b; ``temperature``: of the CMB, in K.
    """

    h: float = 0.6711
    n_s: float = 0.9624
    omega_b: float = 0.049
    temperature: float = 2.7255

    def __call__(self, k: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """P(k; Omega_m, sigma_8) in (Mpc/h)^3; k: (K,) in h/Mpc; theta: (..., 2) -> (..., K)."""
        # P is sigma_8^2 times a shape that Omega_m alone sets; on grids and among maps of one simulation few differ.
        omega_m, which = np.unique(theta[..., 0].ravel(), return_inverse=True)
        shape = self._shape(k, omega_m) / self._variance(omega_m)[:, None]
        return theta[..., 1:] ** 2 * shape[which.ravel()].reshape(*theta.shape[:-1], len(k))

    def transfer(self, k: np.ndarray, omega_m: np.ndarray) -> np.ndarray:
        """T(k), one on the largest scales; k: (K,) in h/Mpc; omega_m: (...) -> (..., K)."""
        omega_m = np.asarray(omega_m)[..., None]
        matter, baryons, fraction = omega_m * self.h**2, self.omega_b * self.h**2, self.omega_b / omega_m
        sound = 44.5 * np.log(9.83 / matter) / np.sqrt(1 + 10 * baryons**0.75)  # Mpc
        alpha = 1 - 0.328 * np.log(431 * matter) * fraction + 0.38 * np.log(22.3 * matter) * fraction**2
        gamma = omega_m * self.h * (alpha + (1 - alpha) / (1 + np.square(0.43 * k * self.h * sound) ** 2))
        q = k * (self.temperature / 2.7) ** 2 / gamma
        logarithm = np.log(2 * np.e + 1.8 * q)
        return logarithm / (logarithm + (14.2 + 731 / (1 + 62.5 * q)) * q**2)

    def _shape(self, k: np.ndarray, omega_m: np.ndarray) -> np.ndarray:
        return k**self.n_s * self.transfer(k, omega_m) ** 2

    def _variance(self, omega_m: np.ndarray) -> np.ndarray:
        """The variance of the unnormalised shape in spheres: int dln k k^3 P(k) W(k R)^2 / (2 pi^2)."""
        weight = WAVENUMBERS**3 * top_hat(WAVENUMBERS * SIGMA_8_RADIUS) ** 2 / (2 * np.pi**2)
        # Both ends vanish, so the plain sum in ln k converges faster than any power of its step.
        return self._shape(WAVENUMBERS, omega_m) @ weight * np.log(WAVENUMBERS[1] / WAVENUMBERS[0])


def top_hat(x: np.ndarray) -> np.ndarray:
    """The Fourier transform of a sphere of unit volume, 3 (sin x - x cos x) / x^3, with x = k R > 0, of shape (...)."""
    return 3 * special.spherical_jn(1, x) / x
