"""How a posterior fares on another suite of simulations than its own: the matrix of trained by tested, in words too."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import storage
from cosmoinfer.metrics.metric import JOINT, PARAMETERS
from cosmoinfer.metrics.verdict import UNCONSTRAINED_R2

MATRIX_METRICS = {PARAMETERS: ("r2", "coverage_68"), JOINT: ("log_prob", "log_prob_gain", "ood")}
ALL_BUT = "all but "


def gather(suites: Sequence[str], found: Mapping[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    """{"suites", "trained", "parameters", "pairs": [{"trained", "tested", "words", and what ``measure`` gave}]}.

    found: by what was trained on and what was tested on; ``all but X`` was trained on the other suites together.
    """
    pairs = [
        {"trained": trained, "tested": tested, "words": words(trained, tested, found), **document}
        for (trained, tested), document in found.items()
    ]
    return {
        "suites": list(suites),
        "trained": list(dict.fromkeys(trained for trained, _ in found)),
        "parameters": list(pairs[0]["verdict"]["parameters"]),
        "pairs": pairs,
    }


def matrix(document: Mapping[str, Any], scope: str, metric: str) -> np.ndarray:
    """(R, S, P, 3) of a metric a parameter, (R, S, 3) of a joint one: value, low, high; NaN where null or not tested.

    R: what was trained on; S: what was tested on.
    """
    trained, suites, names = (document[key] for key in ("trained", "suites", "parameters"))
    found = np.full((len(trained), len(suites), len(names) if scope == PARAMETERS else 1, 3), np.nan)
    for pair in document["pairs"]:
        entries = pair["metrics"][scope].get(metric)
        if entries:
            columns = [entries[name] for name in names] if scope == PARAMETERS else [entries]
            numbers = [[entry[key] for key in ("value", "low", "high")] for entry in columns]
            found[trained.index(pair["trained"]), suites.index(pair["tested"])] = np.array(numbers, dtype=np.float64)
    return found if scope == PARAMETERS else found[:, :, 0]


def words(trained: str, tested: str, found: Mapping[tuple[str, str], dict[str, Any]]) -> str:
    """What became of each parameter, of the gain over the prior and of the calibration; and how many were flagged.

    Beside the same flow at home; beside the suite's own flow, where that suite was the one left out of the training.
    """
    here, beside = found[trained, tested], tested if trained.startswith(ALL_BUT) else trained
    home = None if trained == tested else found[beside, beside]
    told = [", ".join(_accuracy(here, home)) or "no parameter is constrained", *_gain(here, home)]
    told += [here["verdict"][JOINT], *_flagged(here)]
    return f"{_where(trained, tested)}: {'; '.join(told)}"


def write(path: Path, document: dict[str, Any], meta: dict[str, Any], force: bool = False) -> None:
    """/document (JSON); /suites (S,), /trained (R,), /names (P,); /parameters/NAME (R, S, P, 3) and /joint/NAME
    (R, S, 3): value, low, high; NaN where null or not tested."""
    arrays = {"document": np.array(json.dumps(document, allow_nan=False))}
    arrays |= {"suites": np.array(document["suites"]), "trained": np.array(document["trained"])}
    arrays["names"] = np.array(document["parameters"])
    for scope, metrics in MATRIX_METRICS.items():
        arrays |= {f"{scope}/{metric}": matrix(document, scope, metric) for metric in metrics}
    storage.write(path, storage.FileContents("cross", meta, arrays), force)


def read(path: Path) -> dict[str, Any]:
    """The document."""
    return dict(json.loads(str(storage.read(path, "cross").arrays["document"])))


def _where(trained: str, tested: str) -> str:
    if trained == tested:
        return f"trained and tested on {trained}"
    beside = f" (beside the flow of {tested})" if trained.startswith(ALL_BUT) else ""
    return f"trained on {trained}, tested on {tested}{beside}"


def _accuracy(here: dict[str, Any], home: dict[str, Any] | None) -> list[str]:
    """R2 of what is constrained at home, and of what is further off than the mean of the prior would be."""
    told = []
    for name, entry in here["metrics"][PARAMETERS].get("r2", {}).items():
        value = entry["value"]
        before = value if home is None else home["metrics"][PARAMETERS]["r2"][name]["value"]
        if value is None or before is None:
            continue
        change = f"R2 {value:.2f}" if home is None else f"R2 {before:.2f} -> {value:.2f}"
        if _below_zero(entry) and value < -UNCONSTRAINED_R2:
            told.append(f"{name} worse than the prior ({change})")
        elif before > UNCONSTRAINED_R2:
            told.append(f"{name} {change}")
    return told


def _gain(here: dict[str, Any], home: dict[str, Any] | None) -> list[str]:
    """Nats over the prior."""
    value, before = (_joint(document, "log_prob_gain") for document in (here, home or here))
    if value is None or before is None:
        return []
    change = _nats(value) if home is None else f"{_nats(before)} -> {_nats(value)}"
    worse = _below_zero(here["metrics"][JOINT]["log_prob_gain"])
    return [f"worse than the prior: {change} nats" if worse else f"{change} nats over the prior"]


def _below_zero(entry: dict[str, Any]) -> bool:
    """By three errors; one alone is what chance gives in one pair of six."""
    value, high = entry["value"], entry["high"]
    return high is not None and value + 3 * (high - value) < 0


def _nats(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def _flagged(here: dict[str, Any]) -> list[str]:
    share = _joint(here, "ood")
    return [] if share is None else [f"{100 * share:.0f} % of the observations flagged"]


def _joint(document: dict[str, Any], metric: str) -> float | None:
    value = document["metrics"][JOINT].get(metric, {}).get("value")
    return None if value is None else float(value)
