"""A temperature: the standard deviation of a posterior's own noise, so that widths change and the density stays exact.

log q_T = log N(noise; 0, T^2) + log |det|: normalised for every T, with the same T for every member of a mixture.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from cosmoinfer.clustered_error import clustered_error

LOWEST, HIGHEST = 0.5, 3.0
STEP = 0.05  # of T, for the slopes that give its error
NORMALISING_ROWS = 100  # whose mean log mass inside the box stands for that of all

PROPOSING = (1.0, 1.8)  # temperatures, in equal shares, of the draws from which a mass at any other is weighted

LogProbs = Callable[[float], np.ndarray]  # temperature -> (n,) log q_T of the same points


@dataclass(frozen=True)
class Recalibration:
    """temperature, with its clustered standard error, of ``rows`` validation rows; before, after: their mean log_prob.

    The validation rows also chose the epochs, the support and the mixture, so that the model fits them a little better
    than new rows: the temperature is a little too low, by how much a small sample cannot say.
    """

    temperature: float
    error: float
    rows: int
    before: float
    after: float

    @property
    def told(self) -> str:
        """In words, and whether it is anything but chance."""
        told = (
            f"temperature {self.temperature:.2f} +- {self.error:.2f} from {self.rows} validation rows; their mean "
            f"log_prob {self.before:.2f} -> {self.after:.2f}"
        )
        if not LOWEST + STEP < self.temperature < HIGHEST - STEP:
            return f"{told}; at the end of what is tried, {LOWEST:g} to {HIGHEST:g}: look at the model first"
        near = abs(self.temperature - 1) <= 2 * self.error
        return f"{told}; within its errors of 1, nothing asks for it" if near else told


def log_mass(log_probs: LogProbs, inside: np.ndarray) -> Callable[[float], float]:
    """log of the mass of q_T inside a box, smooth in T, from points drawn at ``PROPOSING``; inside: (n,) bool."""
    proposed = np.logaddexp.reduce([log_probs(temperature) for temperature in PROPOSING], axis=0)

    def of_temperature(temperature: float) -> float:
        weights = np.exp(log_probs(temperature) - proposed)
        return float(np.log(max((weights * inside).sum() / weights.sum(), 0.5 / len(inside))))

    return of_temperature


def fit_recalibration(log_probs: LogProbs, simulation: np.ndarray) -> Recalibration | None:
    """By maximum likelihood; simulation: (n,) of the validation rows. None where their densities are not finite."""
    if not np.isfinite(before := log_probs(1.0)).all():
        return None
    found = optimize.minimize_scalar(
        lambda temperature: -log_probs(float(temperature)).mean(),
        bounds=(LOWEST, HIGHEST),
        method="bounded",
        options={"xatol": 1e-4},
    )
    best = float(found.x)
    low, middle, high = (log_probs(best + step) for step in (-STEP, 0.0, STEP))
    slopes, bend = (high - low) / (2 * STEP), (high - 2 * middle + low).mean() / STEP**2
    error = clustered_error(slopes, simulation) / max(-float(bend), 1e-12)
    return Recalibration(best, error, len(simulation), float(before.mean()), float(middle.mean()))
