"""Problems whose exact posterior is known: they return arrays and densities. Writing a file is somebody else's work.

All of them measure the power of Gaussian modes; what differs is how the modes come: as bands, as a profile, a map or a
grid, behind an exponential, or with some of them missing. A new one is a class and one name here.
"""

from cosmoinfer.simulators.gaussian_fields import GaussianField, GaussianGrids, GaussianMaps, GaussianProfiles
from cosmoinfer.simulators.gaussian_modes import Bands, GaussianModes
from cosmoinfer.simulators.grid_posterior import GridPosterior
from cosmoinfer.simulators.linear_power import OMEGA_M_SIGMA_8, LinearPower, top_hat
from cosmoinfer.simulators.log_normal import LogNormalMaps, log_normal_twins
from cosmoinfer.simulators.power_spectrum import MaskedSpectrum, PowerSpectrum
from cosmoinfer.simulators.simulations import Simulations, latin_hypercube

SIMULATORS: dict[str, GaussianModes] = {
    "power-spectrum": PowerSpectrum(),
    "masked-spectrum": MaskedSpectrum(),
    "gaussian-profiles": GaussianProfiles(),
    "gaussian-maps": GaussianMaps(),
    "gaussian-grids": GaussianGrids(),
    "lognormal-maps": LogNormalMaps(),
}

__all__ = [
    "OMEGA_M_SIGMA_8",
    "SIMULATORS",
    "Bands",
    "GaussianField",
    "GaussianGrids",
    "GaussianMaps",
    "GaussianModes",
    "GaussianProfiles",
    "GridPosterior",
    "LinearPower",
    "LogNormalMaps",
    "MaskedSpectrum",
    "PowerSpectrum",
    "Simulations",
    "latin_hypercube",
    "log_normal_twins",
    "top_hat",
]
