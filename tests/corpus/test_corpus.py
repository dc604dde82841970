"""What the fuzz once found, read again: the same numbers or one line, in a process that may hang or crash."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from cosmoinfer import __version__
from tests.benchmarks.changes import BYTES, Change
from tests.benchmarks.fuzz import USES, Attack, is_promised, outcome_of, use_catalog
from tests.corpus.make import CORPUS, STRANGERS
from tests.kept.numbers import KEPT

FINDINGS = json.loads((CORPUS / "changes.json").read_text())  # "kind", the change, and what came of it "then"
WITH_NUMBERS = {"group-in-itself.h5", "names-of-nothing.h5"}  # strange, but what matters can be read
pytestmark = pytest.mark.filterwarnings("ignore")  # of files with odd numbers


@pytest.fixture(scope="module")
def attack_on(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """By kind of file."""
    scratch = tmp_path_factory.mktemp("changed")
    return lru_cache(lambda kind: Attack(kind, KEPT / __version__, scratch))


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: json.dumps(finding)[1:-1])
def test_a_changed_file_is_the_same_numbers_or_one_line(attack_on: Any, finding: Change) -> None:
    change = {key: value for key, value in finding.items() if key not in ("kind", "then")}
    label, detail = attack_on(finding["kind"]).outcome(change)
    assert is_promised(label, change), detail


def test_damage_of_every_kind_of_file_is_among_them() -> None:
    assert {(kind, what) for kind in USES for what in BYTES} <= {(item["kind"], item["what"]) for item in FINDINGS}


def test_every_catalog_of_another_tool_is_here() -> None:
    names = {f"{make.__name__.replace('_', '-')}.h5" for make in STRANGERS}
    assert names == {path.name for path in CORPUS.glob("*.h5")}


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.h5")), ids=lambda path: path.name)
def test_a_strange_catalog_is_read_or_refused_in_one_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmoinfer.storage.probe.MAX_CPU_SECONDS", 1)  # after which its text has no end
    label, detail = outcome_of(use_catalog, path, path.parent)
    assert label == ("numbers" if path.name in WITH_NUMBERS else "refused"), detail
