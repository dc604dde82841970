"""Damaged and hostile files: every kind of file that the commands write, changed at random, and read and used again.

    python -m tests.benchmarks.fuzz [--work FOLDER] [--seed 0] [--cases 200] [--kind NAME ...] [--family NAME ...]

Families: those of ``changes``. Each case is read and used in a process of its own, with a time limit. Wanted: one line
of an error, or the same numbers; after a change of meaning also other numbers, which nobody could tell. Exits with 1
where a case ends in a traceback, a hang, a crash, an error of several lines, in NaN or infinities without an error, or
after damage or in another layout in other numbers. A case is found again by its kind, family, seed and number, or as
the line of JSON that is printed: the corpus of tests/corpus holds such lines.
"""

import argparse
import collections
import faulthandler
import hashlib
import json
import os
import random
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch

import cosmoinfer
from cosmoinfer import metrics, split, storage
from cosmoinfer.errors import UserError
from cosmoinfer.models.density import scores
from cosmoinfer.parameters import Parameters
from cosmoinfer.studies import cross_suite, learning_curve
from cosmoinfer.tasks import inspect
from tests.benchmarks.changes import FAMILIES, MEANINGS, Change, apply
from tests.command_line import done
from tests.guide_files import COMMANDS, write_examples

LIMIT_SECONDS = 20
STUDY = "--flow maf --hidden 8 --layers 1 --epochs 1 --ensemble 1 --support probit --threads 1 --quiet"
STUDIES = (
    f"cross-suite first.h5 second.h5 -o cross.h5 --draws 20 {STUDY}",
    f"learning-curve sims.h5 -o curve.h5 --sizes 30,60,120 {STUDY}",
)
COMPLETE = "complete"  # a file of this name is written last
DRAWS = 5
LABELS = ("same", "refused", "other numbers", "not finite", "several lines", "traceback", "hang", "crash")
PROMISED = {"same", "refused"}
NUMBERS = {"numbers", "not finite"}  # labels of what was read
MAY_BE_NONFINITE = set(scores.SCHEMA.datasets)  # of rows unlike all others, as they were computed

Outcome = tuple[str, str]  # a label, or "numbers"; and their digest, or what went wrong


def use_model(path: Path, folder: Path) -> Any:
    """Predictions of two rows by whatever model it is."""
    model = cosmoinfer.load(path)
    if model.kind == "density":
        rigid = cosmoinfer.read_catalog(folder / "rigid.h5")
        return scores.score_rows(model, rigid, np.arange(DRAWS), lambda done, total: None)
    return cosmoinfer.sample(model, folder / "sims.h5", rows=[0, 1], draws=DRAWS)


def use_likelihood(path: Path, folder: Path) -> Any:
    """Values and slopes at some points."""
    likelihood = cosmoinfer.load(path)
    return likelihood(likelihood.test_points), likelihood.gradient(likelihood.test_points)


def use_posterior(path: Path, folder: Path) -> Any:
    return cosmoinfer.evaluate(cosmoinfer.read_posterior(path)).to_json()


def use_catalog(path: Path, folder: Path) -> Any:
    """All that a training takes of it."""
    inspect.inspect_file(path, {"audit": True})
    catalog = cosmoinfer.read_catalog(path)
    values = [np.asarray(observable.values[:]) for observable in catalog.observables]
    return catalog.parameters, catalog.theta, catalog.simulation, values


Use = Callable[[Path, Path], Any]  # of a file, perhaps with catalogs of the folder
USES: dict[str, tuple[str, Use]] = {
    "flow": ("flow.h5", use_model),
    "regressor": ("regressor.h5", use_model),
    "classifier": ("classifier.h5", use_model),
    "summarised": ("summarised.h5", use_model),
    "density": ("density.h5", use_model),
    "posterior": ("posterior.h5", use_posterior),
    "probabilities": ("probabilities.h5", use_posterior),
    "metrics": ("metrics.h5", lambda path, folder: metrics.read(path).to_json()),
    "split": ("split.h5", lambda path, folder: split.read(path)),
    "scores": ("scores.h5", lambda path, folder: scores.read(path)),
    "likelihood": ("likelihood.h5", use_likelihood),
    "ratio": ("ratio.h5", use_likelihood),
    "cross-suite": ("cross.h5", lambda path, folder: cross_suite.read(path).to_json()),
    "learning-curve": ("curve.h5", lambda path, folder: learning_curve.read(path).to_json()),
    "catalog": ("exact.h5", use_catalog),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("fuzz.benchmark"), help="folder that keeps the files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=200, help="of each kind and family")
    parser.add_argument("--kind", nargs="+", default=tuple(USES), choices=tuple(USES))
    parser.add_argument("--family", nargs="+", default=tuple(FAMILIES), choices=tuple(FAMILIES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    make_files(arguments.work)
    scratch = arguments.work / "changed"
    scratch.mkdir(exist_ok=True)
    failures = 0
    for kind in arguments.kind:
        attack = Attack(kind, arguments.work, scratch)
        for family in arguments.family:
            tally = attack.run(family, arguments.seed, arguments.cases)
            print(f"{kind:15} {family:8} {arguments.cases:5} cases, seed {arguments.seed}: {tally}", flush=True)
            failures += sum(map(len, tally.failures.values()))
    if failures:
        sys.exit(f"{failures} cases are not as promised")


def make_files(folder: Path, commands: tuple[str, ...] = (*COMMANDS, *STUDIES)) -> None:
    """One of every kind, where not all are there yet."""
    if (folder / COMPLETE).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_examples(folder)
    for number, name in enumerate(("first", "second")):
        sims = cosmoinfer.read_catalog(folder / "sims.h5")
        contents = {"parameters": sims.theta, "data": sims.observables[0].values[:] + number}
        attributes = {"parameters": sims.parameters.attributes()}
        storage.write(
            folder / f"{name}.h5",
            storage.FileContents("catalog", {}, contents, attributes, {"suite": name}),
            force=True,
        )
    for command in commands:
        done(*[str(folder / word) if word.endswith((".h5", ".npy")) else word for word in command.split()])
    (folder / COMPLETE).touch()


@dataclass
class Tally:
    """counts: by label. failures: by what went wrong, the changes that did it, as JSON."""

    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    failures: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [", ".join(f"{label} {self.counts[label]}" for label in LABELS if self.counts[label])]
        for failure, examples in self.failures.items():
            lines += [f"    {failure[:200]}", f"        {len(examples)} x: {'; '.join(examples[:3])}"]
        return "\n".join(lines)


class Attack:
    """On one kind of file. folder: of ``make_files``. scratch: a folder for the changed ones."""

    def __init__(self, kind: str, folder: Path, scratch: Path) -> None:
        name, self.use = USES[kind]
        self.kind, self.folder = kind, folder
        self.original, self.scratch = folder / name, scratch / name
        self.scratch.write_bytes(self.original.read_bytes())
        self.use(self.original, folder)  # imports what it needs, once for the processes of all cases
        self.expected = outcome_of(self.use, self.scratch, folder)
        assert self.expected[0] in NUMBERS, self.expected

    def run(self, family: str, seed: int, cases: int) -> Tally:
        """Cases 0, 1, ... of a family and a seed."""
        tally = Tally()
        for number in range(cases):
            change = FAMILIES[family](self.original, random.Random(f"{seed} {self.kind} {family} {number}"))
            label, detail = self.outcome(change)
            tally.counts[label] += 1
            if not is_promised(label, change):
                line = json.dumps({"kind": self.kind, **change})
                tally.failures.setdefault(f"{label}: {detail}", []).append(line)
        return tally

    def outcome(self, change: Change) -> Outcome:
        """Of the file, changed: a label of LABELS, and what went wrong."""
        apply(change, self.original, self.scratch)
        label, detail = outcome_of(self.use, self.scratch, self.folder)
        if label not in NUMBERS:
            return label, detail
        if detail == self.expected[1]:
            return "same", ""
        return "other numbers" if label == self.expected[0] else label, ""


def is_promised(label: str, change: Change) -> bool:
    """Whether what came of a change is what should."""
    if label == "not finite":
        return change.get("dataset") in MAY_BE_NONFINITE
    return label in PROMISED or (label == "other numbers" and change["what"] in MEANINGS)


def outcome_of(use: Use, path: Path, folder: Path) -> Outcome:
    """What comes of reading and using a file, in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        faulthandler.disable()  # a crash is reported here
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIMIT_SECONDS)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(_outcome(use, path, folder)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        result = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return ("hang", "") if os.WTERMSIG(status) == signal.SIGALRM else ("crash", f"signal {os.WTERMSIG(status)}")
    label, detail = json.loads(result)
    return label, detail


def _outcome(use: Use, path: Path, folder: Path) -> Outcome:
    try:
        result = use(path, folder)
        label = "numbers" if is_finite(result) else "not finite"
        return label, hashlib.sha256(repr(plain(result)).encode()).hexdigest()
    except UserError as error:
        return ("several lines" if "\n" in str(error) else "refused"), str(error)[:80]
    except BaseException as error:
        package = str(Path(cosmoinfer.__file__).parent)
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(package)]
        place = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[:-3:-1])
        first = (str(error) or " ").splitlines()[0]
        return "traceback", f"{type(error).__name__}: {first[:90]} at {place}"


def plain(value: Any) -> Any:
    """Of all that has a number in it, something whose repr is the same for the same numbers."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes() if value.dtype.kind != "O" else value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def is_finite(value: Any) -> bool:
    """Whether no number in it is NaN or infinite, but for parameters without a box or a prior."""
    if isinstance(value, Parameters):
        return True
    if isinstance(value, np.ndarray):
        return value.dtype.kind not in "fc" or bool(np.isfinite(value).all())
    if is_dataclass(value) and not isinstance(value, type):
        return all(is_finite(getattr(value, item.name)) for item in fields(value))
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_finite, value))
    return not isinstance(value, float) or isfinite(value)


if __name__ == "__main__":
    main()
