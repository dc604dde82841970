"""Two densities on the same held-out rows: which is the better one, beyond the error of their paired difference."""

from dataclasses import dataclass

import numpy as np

from cosmoinfer.clustered_error import clustered_error
from cosmoinfer.formatting import format_with_error
from cosmoinfer.storage import JSONObject

SIGNIFICANT_ERRORS = 2.0  # errors by which a difference must exceed zero
BETTER, NO_BETTER, WORSE, UNKNOWN = "better", "no better", "worse", "not comparable"


@dataclass(frozen=True)
class Comparison:
    """difference: of the mean log_prob, in nat, positive where the first density is the better one. error: its own,
    clustered by simulation. rows, simulations: how many."""

    difference: float
    error: float
    rows: int
    simulations: int

    @classmethod
    def of_log_probs(cls, first: np.ndarray, second: np.ndarray, simulation: np.ndarray) -> "Comparison":
        """log_prob of the same rows under two densities, and their simulations: (n,) each."""
        with np.errstate(invalid="ignore"):
            differences = first - second
        finite = np.isfinite(differences).all()
        difference = float(differences.mean()) if finite else float("nan")
        error = clustered_error(differences, simulation) if finite else float("nan")
        return cls(difference, error, len(simulation), len(np.unique(simulation)))

    @property
    def verdict(self) -> str:
        """``better``, ``no better``, ``worse``, or ``not comparable`` where a density is not finite."""
        if not np.isfinite(self.difference):
            return UNKNOWN
        if self.simulations < 2 or abs(self.difference) <= SIGNIFICANT_ERRORS * self.error:
            return NO_BETTER
        return BETTER if self.difference > 0 else WORSE

    def describe(self, name: str) -> str:
        """In words. name: of the second density."""
        rows = f"{self.rows} test rows"
        if self.verdict == UNKNOWN:
            return f"not comparable to {name}: a log_prob of the {rows} is not finite"
        if self.difference == self.error == 0:
            return f"the same as {name}, to the last bit of the log_prob of {rows}"
        difference = f"{format_with_error(abs(self.difference), self.error)} nat"
        if self.verdict == NO_BETTER:
            return f"no better than {name} ({format_with_error(self.difference, self.error)} nat on {rows})"
        return f"{self.verdict} than {name} by {difference} on {rows}"

    def to_json(self) -> JSONObject:
        """{"difference", "error", "rows", "simulations", "verdict"}; null where a density is not finite."""
        numbers: JSONObject = {"difference": self.difference, "error": self.error}
        if self.verdict == UNKNOWN:
            numbers = dict.fromkeys(numbers)
        return {**numbers, "rows": self.rows, "simulations": self.simulations, "verdict": self.verdict}
