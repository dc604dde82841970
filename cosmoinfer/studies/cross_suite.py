"""Cross-suite study: flows trained on each suite of simulations and tested on every suite; a matrix of evaluations."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import storage
from cosmoinfer.metrics.estimate import Estimate
from cosmoinfer.metrics.evaluation import Evaluation
from cosmoinfer.metrics.tables import Table
from cosmoinfer.printable import one_line
from cosmoinfer.r2 import UNCONSTRAINED_R2
from cosmoinfer.storage import Dataset, Schema

PARAMETER_METRICS = ("r2", "coverage_68")  # of the tables, the figure and the arrays of the file
JOINT_METRICS = ("log_prob", "log_prob_gain", "ood")
ALL_BUT = "all but "
WORSE_THAN_PRIOR_ERRORS = 3  # errors below zero; one error is exceeded by chance in one pair of six


SCHEMA = Schema(
    "cross-suite",
    "`cosmoinfer cross-suite`",
    {
        "document": Dataset("()", "JSON: what `cross-suite` prints as JSON", type="text", required=True),
        "suites": Dataset("(R,)", "names of the suites tested on", type="text"),
        "trained": Dataset("(T,)", "names of the suites trained on", type="text"),
        "names": Dataset("(P,)", "names of the parameters", type="text"),
        "joint/.*": Dataset("(T, R, 3)", "value, low, high; NaN where null"),
        "parameters/.*": Dataset("(T, R, P, 3)", "the same for each parameter"),
    },
)


@dataclass(frozen=True)
class SuitePair:
    """One cell of the matrix.

    trained: the suite that the flow was trained on, or ``all but X``: on all other suites together.
    tested: the suite of the test rows.
    evaluation: on these test rows.
    sentence: R2 of each parameter, gain over the prior, calibration and flagged rows, beside those without a shift of
    suite.
    """

    trained: str
    tested: str
    evaluation: Evaluation
    sentence: str


@dataclass(frozen=True)
class CrossSuite:
    """All pairs of a training suite (R of them, combinations included) and a test suite (S) that were evaluated.

    suites: names of the S suites. pairs: in the order in which flows were trained.
    """

    suites: tuple[str, ...]
    pairs: tuple[SuitePair, ...]

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the R training sets, the rows of the matrix."""
        return tuple(dict.fromkeys(pair.trained for pair in self.pairs))

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the P parameters."""
        return self.pairs[0].evaluation.parameter_names

    def matrix(self, metric: str) -> np.ndarray:
        """(R, S, P, 3) of a metric of PARAMETER_METRICS, (R, S, 3) of one of JOINT_METRICS: value, low, high.

        NaN where it is null, or the pair was not evaluated.
        """
        columns = self.parameter_names if metric in PARAMETER_METRICS else ("",)
        values = np.full((len(self.trained), len(self.suites), len(columns), 3), np.nan)
        for pair in self.pairs:
            estimates = pair.evaluation.estimates(metric)
            if estimates is not None:
                cell = self.trained.index(pair.trained), self.suites.index(pair.tested)
                values[cell] = np.stack([estimates[name].to_array() for name in columns])
        return values if metric in PARAMETER_METRICS else values[:, :, 0]

    def tables(self) -> list[Table]:
        """A row for each pair; a column for each parameter of a metric, then one for each joint metric."""
        metrics = [metric for metric in JOINT_METRICS if metric in self.pairs[0].evaluation.joint]
        joint = [[str(pair.evaluation.joint[metric]) for metric in metrics] for pair in self.pairs]
        return [*map(self._parameter_table, PARAMETER_METRICS), self._table("joint metrics", metrics, joint)]

    def _parameter_table(self, metric: str) -> Table:
        parameters = self.parameter_names
        cells = [[str(pair.evaluation.parameters[metric][name]) for name in parameters] for pair in self.pairs]
        return self._table(f"{metric}; 68.3 % intervals", parameters, cells)

    def _table(self, title: str, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> Table:
        rows = [(pair.trained, pair.tested, *row) for pair, row in zip(self.pairs, cells, strict=True)]
        return Table(title, ("trained on", "tested on", *columns), tuple(rows), name_columns=2)

    def __str__(self) -> str:
        return "\n\n".join(
            [*(table.to_text() for table in self.tables()), "\n".join(one_line(pair.sentence) for pair in self.pairs)]
        )

    def to_json(self) -> storage.JSONObject:
        """{"suites", "trained", "parameters", "pairs": [{"trained", "tested", "words", and the evaluation's own}]}."""
        pairs = [
            {"trained": pair.trained, "tested": pair.tested, "words": pair.sentence, **pair.evaluation.to_json()}
            for pair in self.pairs
        ]
        return {
            "suites": list(self.suites),
            "trained": list(self.trained),
            "parameters": list(self.parameter_names),
            "pairs": pairs,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "CrossSuite":
        """From the document that ``to_json`` gives."""
        pairs = tuple(
            SuitePair(pair["trained"], pair["tested"], Evaluation.from_json(pair), pair["words"])
            for pair in document["pairs"]
        )
        return cls(tuple(document["suites"]), pairs)


def compare_suites(suites: Sequence[str], evaluations: Mapping[tuple[str, str], Evaluation]) -> CrossSuite:
    """The study, with a sentence on each pair.

    evaluations: by (trained, tested); every suite must be tested with its own flow.
    """
    pairs = tuple(
        SuitePair(trained, tested, evaluation, describe_pair(trained, tested, evaluations))
        for (trained, tested), evaluation in evaluations.items()
    )
    return CrossSuite(tuple(suites), pairs)


def describe_pair(trained: str, tested: str, evaluations: Mapping[tuple[str, str], Evaluation]) -> str:
    """R2 of each parameter, gain over the prior, calibration and flagged rows of one pair.

    Changes are given from the same flow on its own suite; for a flow that left a suite out, from that suite's own flow.
    """
    evaluation, baseline_suite = evaluations[trained, tested], tested if trained.startswith(ALL_BUT) else trained
    baseline = None if trained == tested else evaluations[baseline_suite, baseline_suite]
    phrases = [", ".join(_accuracy(evaluation, baseline)) or "no parameter is constrained"]
    phrases += [*_gain(evaluation, baseline), evaluation.verdict.joint, *_flagged(evaluation)]
    return f"{_describe_suites(trained, tested)}: {'; '.join(phrases)}"


def write(path: Path, study: CrossSuite, meta: storage.JSONObject, force: bool = False) -> None:
    """/document (JSON); /suites (S,), /trained (R,), /names (P,); /parameters/NAME (R, S, P, 3) and /joint/NAME
    (R, S, 3): value, low, high; NaN where null or not evaluated.

    Raises UserError if the file exists already, unless ``force``.
    """
    arrays = {"document": np.array(json.dumps(study.to_json(), allow_nan=False))}
    arrays |= {"suites": np.array(study.suites), "trained": np.array(study.trained)}
    arrays["names"] = np.array(study.parameter_names)
    arrays |= {f"parameters/{metric}": study.matrix(metric) for metric in PARAMETER_METRICS}
    arrays |= {f"joint/{metric}": study.matrix(metric) for metric in JOINT_METRICS}
    storage.write(path, storage.FileContents("cross-suite", meta, arrays), force)


def read(path: Path) -> CrossSuite:
    """The study that a file holds."""
    return storage.read_document(path, SCHEMA, CrossSuite.from_json)


def _describe_suites(trained: str, tested: str) -> str:
    if trained == tested:
        return f"trained and tested on {trained}"
    baseline = f" (compared to the flow of {tested})" if trained.startswith(ALL_BUT) else ""
    return f"trained on {trained}, tested on {tested}{baseline}"


def _accuracy(evaluation: Evaluation, baseline: Evaluation | None) -> list[str]:
    """R2 of the parameters that the baseline constrains, and of those that are worse than the mean of the prior."""
    phrases = []
    for name, estimate in evaluation.parameters.get("r2", {}).items():
        value = estimate.value
        before = value if baseline is None else baseline.value("r2", name)
        if value is None or before is None:
            continue
        change = f"R2 {value:.2f}" if baseline is None else f"R2 {before:.2f} -> {value:.2f}"
        if _is_below_zero(estimate) and value < -UNCONSTRAINED_R2:
            phrases.append(f"{name} worse than the prior ({change})")
        elif before > UNCONSTRAINED_R2:
            phrases.append(f"{name} {change}")
    return phrases


def _gain(evaluation: Evaluation, baseline: Evaluation | None) -> list[str]:
    """Information gain over the prior."""
    value, before = evaluation.value("log_prob_gain"), (baseline or evaluation).value("log_prob_gain")
    if value is None or before is None:
        return []
    change = _format_nats(value) if baseline is None else f"{_format_nats(before)} -> {_format_nats(value)}"
    worse = _is_below_zero(evaluation.joint["log_prob_gain"])
    return [f"worse than the prior: {change} nats" if worse else f"information gain over the prior {change} nats"]


def _is_below_zero(estimate: Estimate) -> bool:
    """By WORSE_THAN_PRIOR_ERRORS errors."""
    if estimate.value is None or estimate.high is None:
        return False
    return estimate.value + WORSE_THAN_PRIOR_ERRORS * (estimate.high - estimate.value) < 0


def _format_nats(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def _flagged(evaluation: Evaluation) -> list[str]:
    fraction = evaluation.value("ood")
    return [] if fraction is None else [f"{100 * fraction:.0f} % of the observations flagged as out of distribution"]
