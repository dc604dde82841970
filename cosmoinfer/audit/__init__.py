"""The audit of a catalog: what would break a training, and what should be looked at before one.

A new check is one function from a CatalogUnderTest to findings, and one entry in the table at the foot of its file.
"""

from dataclasses import replace

from cosmoinfer.audit import counts, dependence, features, parameters, rows, values
from cosmoinfer.audit.check import LEVELS, Budget, CatalogUnderTest, Check, Finding, sample_rows
from cosmoinfer.audit.ranges import value_ranges
from cosmoinfer.catalog import Catalog
from cosmoinfer.split import Split
from cosmoinfer.storage import DatasetInfo

__all__ = [
    "CHECKS",
    "LEVELS",
    "Check",
    "Finding",
    "audit_before_training",
    "audit_catalog",
    "sample_rows",
    "value_ranges",
]

CHECKS: dict[str, Check] = (
    values.CHECKS | parameters.CHECKS | rows.CHECKS | features.CHECKS | counts.CHECKS | dependence.CHECKS
)
QUICK_BUDGET = Budget(simulations=2000, features=128, numbers=1 << 24, shuffles=49)


def audit_catalog(catalog: Catalog, datasets: dict[str, DatasetInfo], full: bool = False) -> list[Finding]:
    """The findings on a catalog, errors first: those of all checks if ``full``, else those of ``inspect``.

    datasets: the layout of each dataset of its (first) file. Notes made when the catalog was read are findings too.
    """
    reading_notes = [Finding("note", text, check="reading") for text in catalog.notes]
    names = [name for name, check in CHECKS.items() if full or check.in_inspect]
    return _sort_by_level(reading_notes + _run_checks(CatalogUnderTest(catalog, datasets), names))


def audit_before_training(catalog: Catalog, split: Split) -> list[Finding]:
    """The errors and warnings, errors first, of the quick checks on a catalog and the split of the training."""
    subject = CatalogUnderTest(sample_rows(catalog), training_split=split, budget=QUICK_BUDGET)
    findings = _run_checks(subject, [name for name, check in CHECKS.items() if check.before_training])
    return _sort_by_level([finding for finding in findings if finding.level != "note"])


def _run_checks(subject: CatalogUnderTest, names: list[str]) -> list[Finding]:
    return [replace(finding, check=name) for name in names for finding in CHECKS[name].find(subject)]


def _sort_by_level(findings: list[Finding]) -> list[Finding]:
    """Errors, then warnings, then notes, each in the order of the checks."""
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))
