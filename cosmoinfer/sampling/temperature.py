"""A temperature: the standard deviation of a posterior's own noise, so that widths change and the density stays exact.

log q_T = log N(noise; 0, T^2) + log |det|: normalised for every T, with the same T for every member of a mixture.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from cosmoinfer.clustered_error import clustered_error

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.5, 3.0
SLOPE_STEP = 0.05  # of T, for the slopes that give its error
MAX_BOX_MASS_ROWS = 100  # whose mean log mass inside the box is taken for that of all
PROPOSAL_TEMPERATURES = (1.0, 1.8)  # of the draws, in equal shares, that are weighted for a mass at any temperature

LogProbAtTemperature = Callable[[float], np.ndarray]  # temperature -> (n,) log q_T of the same points


@dataclass(frozen=True)
class Recalibration:
    """The temperature that maximises the log_prob of the validation rows.

    The validation rows also chose the epochs, the support and the mixture, so that the model fits them a little better
    than new rows: the temperature is a little too low, by an amount that a small sample does not determine.

    temperature: multiplies the standard deviation of the base noise.
    error: its standard error, clustered by simulation.
    rows: number of validation rows.
    before, after: mean log_prob of these rows at temperature 1 and at this one, in nats.
    """

    temperature: float
    error: float
    rows: int
    before: float
    after: float

    def describe(self) -> str:
        """In words, and whether it is consistent with 1."""
        description = (
            f"temperature {self.temperature:.2f} +- {self.error:.2f} from {self.rows} validation rows; their mean "
            f"log_prob {self.before:.2f} -> {self.after:.2f}"
        )
        if not MIN_TEMPERATURE + SLOPE_STEP < self.temperature < MAX_TEMPERATURE - SLOPE_STEP:
            limits = f"{MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}"
            return f"{description}; at an end of the range that is searched, {limits}: check the model first"
        consistent = abs(self.temperature - 1) <= 2 * self.error
        return f"{description}; consistent with 1, no recalibration needed" if consistent else description


def log_box_mass(log_probs: LogProbAtTemperature, inside: np.ndarray) -> Callable[[float], float]:
    """T -> log of the mass of q_T inside the prior box, smooth in T.

    log_probs: of n points that were drawn at ``PROPOSAL_TEMPERATURES`` in equal shares. inside: (n,) bool.
    """
    proposed = np.logaddexp.reduce([log_probs(temperature) for temperature in PROPOSAL_TEMPERATURES], axis=0)

    def at_temperature(temperature: float) -> float:
        weights = np.exp(log_probs(temperature) - proposed)
        return float(np.log(max((weights * inside).sum() / weights.sum(), 0.5 / len(inside))))

    return at_temperature


def fit_recalibration(log_probs: LogProbAtTemperature, simulation: np.ndarray) -> Recalibration | None:
    """By maximum likelihood; simulation: (n,) of the validation rows. None where their densities are not finite."""
    if not np.isfinite(before := log_probs(1.0)).all():
        return None
    fit = optimize.minimize_scalar(
        lambda temperature: -log_probs(float(temperature)).mean(),
        bounds=(MIN_TEMPERATURE, MAX_TEMPERATURE),
        method="bounded",
        options={"xatol": 1e-4},
    )
    best = float(fit.x)
    low, middle, high = (log_probs(best + step) for step in (-SLOPE_STEP, 0.0, SLOPE_STEP))
    slopes, curvature = (high - low) / (2 * SLOPE_STEP), (high - 2 * middle + low).mean() / SLOPE_STEP**2
    error = clustered_error(slopes, simulation) / max(-float(curvature), 1e-12)
    return Recalibration(best, error, len(simulation), float(before.mean()), float(middle.mean()))
