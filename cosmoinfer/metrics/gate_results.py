"""What became of gates: which passed, which failed and why, which could not be checked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cosmoinfer.storage import JSONObject


@dataclass(frozen=True)
class GateResult:
    """What became of one gate.

    name: its condition, as it was written.
    value: of the parameter that decides it: the furthest on the side of the limit that fails, or of ``all`` parameters
        the last to fail; None where it has none.
    limit: with which the value is compared.
    passed: None where a gate of the default set could not be checked.
    reason: why it failed or was not checked, in one sentence; empty where it passed.
    """

    name: str
    value: float | None
    limit: float
    passed: bool | None
    reason: str = ""

    @property
    def word(self) -> str:
        """passed, failed, not checked."""
        return {True: "passed", False: "failed", None: "not checked"}[self.passed]


@dataclass(frozen=True)
class GateResults:
    """What became of several gates."""

    results: tuple[GateResult, ...] = ()

    @classmethod
    def from_json(cls, document: list[Mapping[str, Any]]) -> "GateResults":
        """From the list that ``to_json`` gives."""
        return cls(tuple(GateResult(**entry) for entry in document))

    @property
    def failed(self) -> dict[str, str]:
        """By condition, why a gate failed."""
        return {result.name: result.reason for result in self.results if result.passed is False}

    @property
    def skipped(self) -> dict[str, str]:
        """By condition, why a gate of the default set could not be checked."""
        return {result.name: result.reason for result in self.results if result.passed is None}

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return not self.failed

    def describe(self) -> list[str]:
        """The sentences, the failed gates first."""
        return [*(self.failed.values() or ["no gate failed"]), *self.skipped.values()]

    def to_json(self) -> list[JSONObject]:
        """[{"name", "value", "limit", "passed", "reason"}]; ``passed`` is null where a gate could not be checked."""
        return [asdict(result) for result in self.results]
