"""The result of an evaluation: an ``Estimate`` for each metric, the verdict, a summary; JSON at its edge."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cosmoinfer.metrics import summary, tables
from cosmoinfer.metrics.bootstrap import MIN_SIMULATIONS
from cosmoinfer.metrics.classifier.predictions import Confusion
from cosmoinfer.metrics.classifier.summary import classifier_summary
from cosmoinfer.metrics.estimate import Estimate, Estimates, EstimatesByMetric
from cosmoinfer.metrics.gate_results import GateResults
from cosmoinfer.metrics.verdict import Verdict
from cosmoinfer.printable import one_line
from cosmoinfer.storage import JSONObject


@dataclass(frozen=True, repr=False)
class Evaluation:
    """All metrics of a posterior, with 68.3 % intervals clustered by simulation. ``print`` shows tables and summary.

    Metrics that need what the posterior does not hold (widths, draws, a reference posterior) are absent.

    rows, simulations: how many were evaluated.
    joint: metric -> Estimate, for all parameters together (of a classifier: for its target).
    parameters: metric -> parameter -> Estimate.
    verdict: in words, for the joint posterior and by parameter.
    pairs: metric -> "a,b" -> Estimate, for every two parameters; empty with a single one.
    local: metric -> row number, as a string -> Estimate; empty where no local test was asked for.
    compared_to: kind of the reference posterior ("regressor", "exact posterior"); empty without one.
    confusion: rows of each class by predicted class; of a classifier only.
    gates: which gates passed and which failed; None where none was asked for. Not in the file: they are checked anew.
    """

    rows: int
    simulations: int
    joint: Estimates
    parameters: EstimatesByMetric
    verdict: Verdict
    pairs: EstimatesByMetric = field(default_factory=dict)
    local: EstimatesByMetric = field(default_factory=dict)
    compared_to: str = ""
    confusion: Confusion | None = None
    gates: GateResults | None = None

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of the catalog."""
        return tuple(self.verdict.parameters)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics that were computed."""
        return (*self.joint, *self.parameters, *self.pairs, *self.local)

    def estimates(self, metric: str) -> Estimates | None:
        """Of one metric, by parameter, pair or row number; a joint metric by the empty string; None where absent."""
        if metric in self.joint:
            return {"": self.joint[metric]}
        return next((scope[metric] for scope in (self.parameters, self.pairs, self.local) if metric in scope), None)

    def value(self, metric: str, parameter: str = "") -> float | None:
        """Value of a metric, of one parameter (or pair, or row) unless it is joint; None where it is absent or null."""
        estimate = (self.estimates(metric) or {}).get(parameter)
        return None if estimate is None else estimate.value

    def without_secondary(self) -> "Evaluation":
        """With the metrics that one acts on alone, without ``tables.SECONDARY``."""
        parameters, pairs = (
            {name: estimates for name, estimates in scope.items() if name not in tables.SECONDARY}
            for scope in (self.parameters, self.pairs)
        )
        joint = {name: estimate for name, estimate in self.joint.items() if name not in tables.SECONDARY}
        return replace(self, joint=joint, parameters=parameters, pairs=pairs)

    def summary(self) -> list[str]:
        """How accurate and how well calibrated the posterior is, in two to five sentences; one for each other test."""
        if self.confusion is not None:
            return classifier_summary(self.rows, self.simulations, self.joint, self.verdict, self.confusion)
        accuracy, coverage = [summary.too_few(self.simulations)], ""
        if self.simulations >= MIN_SIMULATIONS:
            accuracy = [
                summary.constrained(self.parameters, self.verdict),
                summary.inaccurate(self.parameters, self.verdict),
                summary.unconstrained(self.verdict),
            ]
            coverage = summary.coverage(self.parameters)
        sentences = (
            summary.information(self.rows, self.simulations, self.joint),
            summary.worse_than_prior(self.verdict),
            *accuracy,
            summary.fixed(self.verdict),
            summary.calibration(self.verdict),
            coverage,
            summary.local_tests(self.local, self.simulations),
            summary.comparison(self.compared_to, self.joint, self.parameters),
        )
        return [sentence for sentence in sentences if sentence]

    # ------------------------------------------------------------------------------------------------------------ JSON
    def to_json(self) -> JSONObject:
        """The document of ``evaluate --json``.

        {"rows", "simulations", "verdict": {"joint", "parameters": {name}}, "metrics": {"joint": {metric: entry},
        "parameters": {metric: {name: entry}}}}; an entry is {"value", "low", "high"}, with "reason" where one is null.
        Where there are any: {"metrics": {"pairs": {metric: {"a,b": entry}}, "local": {metric: {"17": entry}}}},
        {"compared_to": kind of the reference posterior}, {"confusion": {"classes", "counts"}}, and of gates {"gates":
        [{"name", "value", "limit", "passed", "reason"}]}.
        """
        document: JSONObject = {"rows": self.rows, "simulations": self.simulations}
        document |= {"compared_to": self.compared_to} if self.compared_to else {}
        metrics: JSONObject = {"joint": {name: estimate.to_json() for name, estimate in self.joint.items()}}
        metrics["parameters"] = _nested_to_json(self.parameters)
        for scope, estimates in (("pairs", self.pairs), ("local", self.local)):
            metrics |= {scope: _nested_to_json(estimates)} if estimates else {}
        document |= {"verdict": self.verdict.to_json(), "metrics": metrics}
        document |= {"gates": self.gates.to_json()} if self.gates is not None else {}
        return document | ({"confusion": self.confusion.to_json()} if self.confusion is not None else {})

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Evaluation":
        """From the document that ``to_json`` gives."""
        metrics, confusion, gates = document["metrics"], document.get("confusion"), document.get("gates")
        return cls(
            document["rows"],
            document["simulations"],
            {name: Estimate.from_json(entry) for name, entry in metrics["joint"].items()},
            _nested_from_json(metrics["parameters"]),
            Verdict(**document["verdict"]),
            _nested_from_json(metrics.get("pairs", {})),
            _nested_from_json(metrics.get("local", {})),
            document.get("compared_to", ""),
            None if confusion is None else Confusion.from_json(confusion),
            None if gates is None else GateResults.from_json(gates),
        )

    # --------------------------------------------------------------------------------------------------------- display
    def tables(self, complete: bool = True) -> list[tables.Table]:
        """What ``print`` shows: metrics by parameter, joint metrics, verdicts, and the confusion of a classifier.

        complete: whether with ``tables.SECONDARY`` metrics.
        """
        title = f"{self.rows} rows of {self.simulations} simulations; 68.3 % intervals"
        shown = self if complete else self.without_secondary()
        by_parameter = tables.by_parameter(title, shown.parameters, self.parameter_names)
        values = tables.values("joint metrics" if self.parameters else title, shown.joint, shown.pairs, self.local)
        words = tuple(self.verdict.parameters.items())
        verdicts = tables.Table("verdicts", ("parameter", "verdict"), words, numeric=False)
        confusion = () if self.confusion is None else (tables.confusion(self.confusion),)
        return [table for table in (by_parameter, values, verdicts, *confusion) if table.rows]

    def __repr__(self) -> str:
        title = f"Evaluation of {self.rows} rows of {self.simulations} simulations: {self.verdict.joint}"
        return "\n".join(
            map(one_line, [title, *(f"  {name}: {verdict}" for name, verdict in self.verdict.parameters.items())])
        )

    def __str__(self) -> str:
        return "\n\n".join([*(table.to_text() for table in self.tables()), "\n".join(map(one_line, self._sentences()))])

    def _repr_html_(self) -> str:
        return "".join([*(table.to_html() for table in self.tables()), tables.paragraphs_to_html(self._sentences())])

    def _sentences(self) -> list[str]:
        return self.summary() + ([] if self.gates is None else self.gates.describe())


def _nested_to_json(estimates: EstimatesByMetric) -> JSONObject:
    return {
        metric: {name: estimate.to_json() for name, estimate in columns.items()}
        for metric, columns in estimates.items()
    }


def _nested_from_json(metrics: Mapping[str, Any]) -> EstimatesByMetric:
    return {
        metric: {name: Estimate.from_json(entry) for name, entry in columns.items()}
        for metric, columns in metrics.items()
    }
