"""The vocabulary: plain technical English in what users of the package read; no pronouns as names, in tests neither."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "cosmoinfer"

OLD_WORDS = re.compile(
    "|".join(
        [
            r"\bmend(s|ed|ing)?\b",  # fix, remedy
            r"\btold\b|\bis said\b|\bsay(s)? so\b",  # describe, report, derive from
            r"\b(know|knows|say|says) nothing\b",  # does not depend on, has no information about
            r"could see\b",  # finds
            r"\bare guesses\b",  # are extrapolations
            r"\bwants?\b",  # requires, needs
            r"\bodder\b|\boddness\b|\bodd (rows?|data|observations?)\b",  # more anomalous, out-of-distribution score
            r"\bchance has it\b|\bthan chance\b",  # p < 0.001
            r"\basks for it\b",  # no recalibration needed
            r"\bcries? wolf\b",  # false alarm
            r"\bnovelty\b|\backquainted\b|\bsunk\b",  # out-of-distribution detector, below the training range
            r"\bdiscrepancy\b|\bjitter\b",  # MMD test, null-mode noise
            r"\b(nothing|anything|something) (is|to be) (done|told)\b",
            r"\bstands? (there|beside|here)\b|\bthere stands?\b",  # is present, is next to
            r"\bat first hand\b|\bby right\b|\bundone\b",
        ]
    ),
    re.IGNORECASE,
)
PRONOUNS = (
    "one ones found told tell said say part parts own known given other others there some rest each both met seen "
    "those such wanted every everything nothing something somebody nobody anybody many few most least none whole "
    "asked"
)
IS_PRONOUN = re.compile(f"^({PRONOUNS.replace(' ', '|')})$").match
MAX_PRONOUN_SHARE = 0.01  # of the references to variables


def room(path: Path) -> str:
    """The package or ``tests``, and the folder or module at its top: cosmoinfer/models of models/flow/fit.py."""
    return "/".join(path.relative_to(TESTS.parent).parts[:2]).removesuffix(".py")


def parsed_files(*folders: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        yield path, ast.parse(path.read_text())


def messages(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of docstrings and of strings of several words; names, patterns and keys are single words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value


def pronoun_counts(tree: ast.Module) -> tuple[Counter[str], int]:
    """How often each pronoun is a variable or an argument, and the number of all references to lower-case variables."""
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id[0].islower()]
    names += [node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)]
    return Counter(name for name in names if IS_PRONOUN(name)), len(names)


def test_messages_and_docstrings_avoid_the_old_words():
    offenders = [
        f"{path.relative_to(PACKAGE)}:{line}: {match[0]!r} in {text.strip()[:80]!r}"
        for path, tree in parsed_files(PACKAGE)
        for line, text in messages(tree)
        if (match := OLD_WORDS.search(text))
    ]
    assert not offenders, "\n" + "\n".join(offenders)


def test_variables_are_not_named_by_pronouns():
    shares = {}
    counts: dict[str, Counter[str]] = {}
    totals: Counter[str] = Counter()
    for path, tree in parsed_files(PACKAGE, TESTS):
        pronouns, total = pronoun_counts(tree)
        counts.setdefault(room(path), Counter()).update(pronouns)
        totals[room(path)] += total
    for name, pronouns in counts.items():
        share = pronouns.total() / max(1, totals[name])
        if share >= MAX_PRONOUN_SHARE:
            shares[name] = (
                f"{100 * share:.1f} % ({', '.join(f'{word} {count}' for word, count in pronouns.most_common(5))})"
            )
    assert not shares, "\n" + "\n".join(f"{name}: {share}" for name, share in shares.items())
