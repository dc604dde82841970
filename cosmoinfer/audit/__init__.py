"""A catalog -> findings: what would break a training, and what should be looked at before one.

A check is a function from a Subject to findings, and one name in AUDITS.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from cosmoinfer.audit import dependence, features, parameters, rows, values
from cosmoinfer.audit.catalog_under_test import Budget, Subject, sample
from cosmoinfer.audit.finding import LEVELS, Finding
from cosmoinfer.audit.ranges import ranges
from cosmoinfer.catalog import Catalog
from cosmoinfer.split import Split
from cosmoinfer.storage import DatasetInfo

__all__ = ["AUDITS", "LEVELS", "Audit", "Finding", "audit", "before_training", "ranges"]

QUICK = Budget(simulations=2000, features=128, numbers=1 << 24, shuffles=49)


@dataclass(frozen=True)
class Audit:
    """find: the check. look: part of a mere look at a file. training: asked before every training, so it is quick."""

    find: Callable[[Subject], list[Finding]]
    look: bool = False
    training: bool = False


AUDITS: dict[str, Audit] = {
    "finite": Audit(values.finite, look=True),
    "outside": Audit(parameters.outside, look=True),
    "fixed": Audit(parameters.fixed, look=True),
    "prior": Audit(parameters.prior, training=True),
    "functions": Audit(parameters.copies, training=True),
    "repeated": Audit(rows.repeated, look=True),
    "across": Audit(rows.across, training=True),
    "ids": Audit(rows.ids, training=True),
    "parts": Audit(rows.parts),
    "classes": Audit(rows.classes),
    "constant": Audit(features.constant, look=True, training=True),
    "gaps": Audit(features.gaps, look=True),
    "usual": Audit(features.usual),
    "flat": Audit(features.flat),
    "copies": Audit(features.copies),
    "answers": Audit(features.answers, training=True),
    "numbered": Audit(features.numbered),
    "precision": Audit(values.precision),
    "outliers": Audit(values.outliers),
    "ends": Audit(values.ends),
    "positive": Audit(values.positive, look=True),
    "dependence": Audit(dependence.dependence, training=True),
    "layout": Audit(values.layout, look=True),
    "enough": Audit(rows.enough, look=True),
}


def audit(catalog: Catalog, contents: dict[str, DatasetInfo], full: bool = False) -> list[Finding]:
    """What is worth saying about the values of a catalog and how they lie on disk: at a look, or by every check."""
    notes = [Finding("note", line, "reading") for line in catalog.notes]
    chosen = [name for name, one in AUDITS.items() if full or one.look]
    return _sorted(notes + _found(Subject(catalog, contents), chosen))


def before_training(catalog: Catalog, split: Split) -> list[Finding]:
    """What a training that begins now should not begin without saying: errors and warnings, from quick checks."""
    subject = Subject(sample(catalog), given=split, budget=QUICK)
    found = _found(subject, [name for name, one in AUDITS.items() if one.training])
    return _sorted([finding for finding in found if finding.level != "note"])


def _found(subject: Subject, chosen: list[str]) -> list[Finding]:
    return [replace(finding, check=name) for name in chosen for finding in AUDITS[name].find(subject)]


def _sorted(found: list[Finding]) -> list[Finding]:
    """The worst first."""
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))
