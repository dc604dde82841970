"""What the posterior of one observation says: an interval or a limit of each parameter, and whether to believe it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

from cosmoinfer.formatting import Constraint, constraint
from cosmoinfer.importance_sampling import MIN_EFFECTIVE_DRAWS
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior.posterior import Posterior
from cosmoinfer.storage import JSONObject

MAX_SUMMARISED = 10  # observations
MIN_DRAWS = 50  # of a posterior whose percentiles mean something
ANOMALOUS, EXTREME = 95.0, 99.0  # percentiles of the distance from the training data
MAX_CONSISTENCY_P_VALUE = 1e-3  # below which the single posteriors of a product do not agree


@dataclass(frozen=True)
class ObservationSummary:
    """Of one observation.

    row: its number in the catalog. simulation: its id. constraints: by parameter.
    ood_percentile: of its distance from the training data, 0 to 100; None where the model has no such detector.
    doubt: why the posterior is not to be believed, or with caution; empty where nothing speaks against it.
    """

    heading: ClassVar[str] = "median and 68 % interval; 95 % limits at an edge of the prior"  # of a table of them

    row: int
    simulation: str
    constraints: Mapping[str, Constraint]
    ood_percentile: float | None
    doubt: str

    @property
    def trust(self) -> str:
        """Whether to believe the posterior, in one sentence."""
        if self.doubt:
            return self.doubt
        if self.ood_percentile is None:
            return "nothing speaks against it; the model does not compare observations with its training data"
        return f"nothing speaks against it: more anomalous than {self.ood_percentile:.0f} % of the validation rows"

    def to_json(self) -> JSONObject:
        """{"row", "simulation", "parameters": {name: {"median", "low", "high", "kind", "limit", "text"}},
        "ood_percentile", "trust"}."""
        names = ("median", "low", "high", "kind", "limit")
        parameters = {
            name: {key: value for key, value in asdict(constraint).items() if key in names} | {"text": constraint.text}
            for name, constraint in self.constraints.items()
        }
        document: JSONObject = {"row": self.row, "simulation": self.simulation, "parameters": parameters}
        return document | {"ood_percentile": self.ood_percentile, "trust": self.trust}


def summarise_observations(posterior: Posterior) -> tuple[ObservationSummary, ...]:
    """One each, of at most MAX_SUMMARISED observations; none of more, or of fewer than MIN_DRAWS draws."""
    if posterior.draws is None or posterior.draws.count < MIN_DRAWS or len(posterior) > MAX_SUMMARISED:
        return ()
    return tuple(_summarise(posterior, position) for position in range(len(posterior)))


def _summarise(posterior: Posterior, position: int) -> ObservationSummary:
    parameters, diagnostics = posterior.parameters, posterior.diagnostics
    samples = posterior.samples[position]  # (S, P)
    constraints = {
        name: constraint(samples[:, column], None, *_box(parameters, column))
        for column, name in enumerate(parameters.names)
    }
    percentile = None if diagnostics.ood_percentile is None else float(diagnostics.ood_percentile[position])
    doubt = _doubt(posterior, position, constraints, percentile)
    row, simulation = int(posterior.index[position]), str(posterior.simulation[position])
    return ObservationSummary(row, simulation, constraints, percentile, doubt)


def _box(parameters: Parameters, column: int) -> tuple[float, float, bool]:
    """Its edges, and whether the prior is uniform in the logarithm."""
    return float(parameters.low[column]), float(parameters.high[column]), parameters.priors[column].log_axis


def _doubt(posterior: Posterior, position: int, constraints: Mapping[str, Constraint], percentile: float | None) -> str:
    diagnostics = posterior.diagnostics
    if percentile is not None and percentile > EXTREME:
        return (
            f"do not believe it: the observation is more anomalous than {percentile:.1f} % of the validation rows, the "
            "posterior an extrapolation"
        )
    if diagnostics.ess is not None and diagnostics.ess[position] < MIN_EFFECTIVE_DRAWS:
        return f"do not believe it: its draws are worth {diagnostics.ess[position]:.0f} independent ones"
    if diagnostics.consistency_p_value is not None and (
        diagnostics.consistency_p_value[position] < MAX_CONSISTENCY_P_VALUE
    ):
        return "do not believe it: the posteriors of its single observations are mutually inconsistent"
    if percentile is not None and percentile > ANOMALOUS:
        return f"with caution: the observation is more anomalous than {percentile:.0f} % of the validation rows"
    if all(entry.kind == "none" for entry in constraints.values()):
        return "no parameter is constrained: the posterior is the prior"
    return ""
