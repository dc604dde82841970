"""Problems whose exact posterior is known: they return arrays and densities, and write no file.

Linear Gaussian problems, bent and bimodal ones, supernovae, and the power of Gaussian modes: as bands, as a profile, a
map or a grid, behind an exponential, or with some of them missing. A new one is a class and one name here.
"""

from cosmoinfer.simulators.curved import NarrowRidge, TwoMoons
from cosmoinfer.simulators.gaussian_fields import GaussianField, GaussianGrids, GaussianMaps, GaussianProfiles
from cosmoinfer.simulators.gaussian_modes import Bands, GaussianModes
from cosmoinfer.simulators.grid_posterior import GridPosterior
from cosmoinfer.simulators.linear_gaussian import BoxedLinearGaussian, LinearGaussian
from cosmoinfer.simulators.linear_power import OMEGA_M_SIGMA_8, LinearPower, top_hat
from cosmoinfer.simulators.log_normal import LogNormalMaps, LogNormalPairs, log_normal_twins
from cosmoinfer.simulators.power_spectrum import MaskedSpectrum, PowerSpectrum
from cosmoinfer.simulators.simulations import Simulations, latin_hypercube
from cosmoinfer.simulators.simulator import Simulator
from cosmoinfer.simulators.supernovae import Supernovae

SIMULATORS: dict[str, Simulator] = {
    "linear-gaussian": LinearGaussian(),
    "linear-gaussian-box": BoxedLinearGaussian(),
    "two-moons": TwoMoons(),
    "narrow-ridge": NarrowRidge(),
    "supernovae": Supernovae(),
    "power-spectrum": PowerSpectrum(),
    "masked-spectrum": MaskedSpectrum(),
    "gaussian-profiles": GaussianProfiles(),
    "gaussian-maps": GaussianMaps(),
    "gaussian-grids": GaussianGrids(),
    "lognormal-maps": LogNormalMaps(),
    "lognormal-pairs": LogNormalPairs(),
}

__all__ = [
    "OMEGA_M_SIGMA_8",
    "SIMULATORS",
    "Bands",
    "BoxedLinearGaussian",
    "GaussianField",
    "GaussianGrids",
    "GaussianMaps",
    "GaussianModes",
    "GaussianProfiles",
    "GridPosterior",
    "LinearGaussian",
    "LinearPower",
    "LogNormalMaps",
    "LogNormalPairs",
    "MaskedSpectrum",
    "NarrowRidge",
    "PowerSpectrum",
    "Simulations",
    "Simulator",
    "Supernovae",
    "TwoMoons",
    "latin_hypercube",
    "log_normal_twins",
    "top_hat",
]
