"""Posteriors from one flat set of names, as their file has them: for tests that make or change many."""

from dataclasses import fields, replace
from typing import Any

from cosmoinfer.posterior import ClassProbabilities, Diagnostics, Draws, PointEstimate, Posterior

PARTS = {"draws": Draws, "point": PointEstimate, "classes": ClassProbabilities, "diagnostics": Diagnostics}
FIELDS = {part: tuple(field.name for field in fields(table)) for part, table in PARTS.items()}
ARRAYS = ("index", "simulation", "split", "truth", "log_prob_truth", *FIELDS["draws"], *FIELDS["point"])
ARRAYS += ("probabilities", *(name for name in FIELDS["diagnostics"] if name not in ("temperature", "ood_set_p_value")))


def make(*head: Any, **values: Any) -> Posterior:
    """``samples=``, ``mean=``, ``ridge_estimate=``... go to the part that has them; a part of Nones is None."""
    return Posterior(*head, **_parts(values))


def changed(posterior: Posterior, **values: Any) -> Posterior:
    """``dataclasses.replace`` by flat names."""
    touched = [part for part, names in FIELDS.items() if set(names) & set(values)]
    kept = {name: value_of(posterior, name) for part in touched for name in FIELDS[part]}
    return replace(posterior, **_parts(kept | values))


def value_of(posterior: Posterior, name: str) -> Any:
    """By its flat name; None where the posterior, or the part that has it, does not hold it."""
    part = next((part for part, names in FIELDS.items() if name in names), None)
    return getattr(getattr(posterior, part) if part else posterior, name, None)


def _parts(values: dict[str, Any]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for part, table in PARTS.items():
        own = {name: values.pop(name) for name in FIELDS[part] if name in values}
        if own:
            required = FIELDS[part][0]  # samples, mean, names
            empty = part != "diagnostics" and own.get(required) is None
            parts[part] = None if empty else table(**own)
    return parts | values
