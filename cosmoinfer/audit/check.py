"""A check of a catalog, and when it runs."""

from collections.abc import Callable
from dataclasses import dataclass

from cosmoinfer.audit.catalog_under_test import CatalogUnderTest
from cosmoinfer.audit.finding import Finding


@dataclass(frozen=True)
class Check:
    """A check of a catalog; ``inspect`` with ``audit``` runs all of them.

    find: the function that makes the findings.
    in_inspect: ``inspect`` runs it without ``audit`` too.
    before_training: every training runs it first, so it must be quick.
    """

    find: Callable[[CatalogUnderTest], list[Finding]]
    in_inspect: bool = False
    before_training: bool = False
