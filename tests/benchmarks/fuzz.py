"""Damaged and hostile files: every kind of file that the commands write, changed at random, and read and used again.

    python -m tests.benchmarks.fuzz [--work FOLDER] [--seed 0] [--cases 200] [--kind NAME ...] [--family NAME ...]

Families: ``bit`` (one bit of the file is another), ``cut`` (its end is missing), ``zeros`` (64 bytes are zero), and
``meaning``: a dataset is missing, of another type or shape, holds NaN, infinities or huge numbers, an attribute or a
leaf of its JSON is something else, and the digests are made anew, as a stranger could. Each case is read and used in a
process of its own, with a time limit. Wanted: one line of an error, or the same numbers; after a change of meaning also
other numbers, which nobody could tell. Exits with 1 where a case ends in a traceback, a hang, a crash, an error of
several lines, or after damage in other numbers. A case is found again by its kind, family, seed and number.
"""

import argparse
import collections
import copy
import hashlib
import json
import os
import random
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import cosmoinfer
from cosmoinfer import metrics, split, storage
from cosmoinfer.errors import UserError
from cosmoinfer.models.density import scores
from cosmoinfer.studies import cross_suite, learning_curve
from cosmoinfer.tasks import inspect
from tests.command_line import done
from tests.guide_files import COMMANDS, write_examples

LIMIT_SECONDS = 20
STUDY = "--flow maf --hidden 8 --layers 1 --epochs 1 --ensemble 1 --support probit --threads 1 --quiet"
STUDIES = (
    f"cross-suite first.h5 second.h5 -o cross.h5 --draws 20 {STUDY}",
    f"learning-curve sims.h5 -o curve.h5 --sizes 30,60,120 {STUDY}",
)
DRAWS = 5
WRONG = ("same", "refused", "other numbers", "several lines", "traceback", "hang", "crash")
FAILURES = {"several lines", "traceback", "hang", "crash"}


def use_model(path: Path) -> Any:
    """Predictions of two rows by whatever model it is."""
    model = cosmoinfer.load(path)
    if model.kind == "density":
        rigid = cosmoinfer.read_catalog(path.parent.parent / "rigid.h5")
        return scores.score_rows(model, rigid, np.arange(DRAWS), lambda done, total: None)
    return cosmoinfer.sample(model, path.parent.parent / "sims.h5", rows=[0, 1], draws=DRAWS)


def use_posterior(path: Path) -> Any:
    return cosmoinfer.evaluate(cosmoinfer.read_posterior(path)).to_json()


USES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "flow": ("flow.h5", use_model),
    "regressor": ("regressor.h5", use_model),
    "classifier": ("classifier.h5", use_model),
    "summarised": ("summarised.h5", use_model),
    "density": ("density.h5", use_model),
    "posterior": ("posterior.h5", use_posterior),
    "probabilities": ("probabilities.h5", use_posterior),
    "metrics": ("metrics.h5", lambda path: metrics.read(path).to_json()),
    "split": ("split.h5", lambda path: split.read(path)),
    "scores": ("scores.h5", lambda path: scores.read(path)),
    "cross-suite": ("cross.h5", lambda path: cross_suite.read(path).to_json()),
    "learning-curve": ("curve.h5", lambda path: learning_curve.read(path).to_json()),
    "catalog": ("exact.h5", lambda path: inspect.inspect_file(path, {"audit": True})),
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
    failures = 0
    for kind in arguments.kind:
        for family in arguments.family:
            failures += attack(arguments.work, kind, family, arguments.seed, arguments.cases)
    if failures:
        sys.exit(f"{failures} cases are not as promised")


def make_files(folder: Path) -> None:
    """One of every kind, where they are not there yet."""
    if (folder / "curve.h5").exists():
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
    for command in (*COMMANDS, *STUDIES):
        done(*[str(folder / word) if word.endswith((".h5", ".npy")) else word for word in command.split()])


def attack(folder: Path, kind: str, family: str, seed: int, cases: int) -> int:
    """How many cases failed; prints a line for the family, and one for each different failure."""
    name, use = USES[kind]
    scratch = folder / "changed" / name
    scratch.parent.mkdir(exist_ok=True)
    outcomes: collections.Counter[str] = collections.Counter()
    examples: dict[str, list[str]] = collections.defaultdict(list)
    scratch.write_bytes((folder / name).read_bytes())
    expected = outcome_of(use, scratch)
    assert expected[0] == "numbers", expected
    for number in range(cases):
        stream = random.Random(f"{seed} {kind} {family} {number}")
        what = FAMILIES[family](folder / name, scratch, stream)
        label, detail = outcome_of(use, scratch)
        if label == "numbers":
            label = "same" if detail == expected[1] else "other numbers"
        outcomes[label] += 1
        if label in FAILURES or (label == "other numbers" and family != "meaning"):
            examples[f"{label}: {detail}"].append(f"{number} ({what})")
    counts = ", ".join(f"{label} {outcomes[label]}" for label in WRONG if outcomes[label])
    print(f"{kind:15} {family:8} {cases:5} cases, seed {seed}: {counts}", flush=True)
    for failure, where in examples.items():
        print(f"    {failure[:200]}\n        {len(where)} x, case {', '.join(where[:3])}", flush=True)
    return sum(map(len, examples.values()))


def outcome_of(use: Callable[[Path], Any], path: Path) -> tuple[str, str]:
    """What comes of reading and using a file, in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIMIT_SECONDS)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(json.dumps(_outcome(use, path)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        result = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return ("hang", "") if os.WTERMSIG(status) == signal.SIGALRM else ("crash", f"signal {os.WTERMSIG(status)}")
    label, detail = json.loads(result)
    return label, detail


def _outcome(use: Callable[[Path], Any], path: Path) -> tuple[str, str]:
    try:
        return "numbers", hashlib.sha256(repr(_plain(use(path))).encode()).hexdigest()
    except UserError as error:
        return ("several lines" if "\n" in str(error) else "refused"), str(error)[:80]
    except BaseException as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/cosmoinfer/" in frame.filename]
        place = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[:-3:-1])
        first = (str(error) or " ").splitlines()[0]
        return "traceback", f"{type(error).__name__}: {first[:90]} at {place}"


def _plain(value: Any) -> Any:
    """Of all that has a number in it, something whose repr is the same for the same numbers."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes() if value.dtype.kind != "O" else value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


# ------------------------------------------------------------------------------------------------------------ damage
def flip_bit(original: Path, scratch: Path, stream: random.Random) -> str:
    content = bytearray(original.read_bytes())
    place, bit = _place(content, stream), stream.randrange(8)
    content[place] ^= 1 << bit
    scratch.write_bytes(content)
    return f"bit {bit} of byte {place}"


def cut(original: Path, scratch: Path, stream: random.Random) -> str:
    content = original.read_bytes()
    size = stream.randrange(len(content))
    scratch.write_bytes(content[:size])
    return f"{size} of {len(content)} bytes"


def zero(original: Path, scratch: Path, stream: random.Random) -> str:
    content = bytearray(original.read_bytes())
    place = _place(content, stream)
    content[place : place + 64] = bytes(len(content[place : place + 64]))
    scratch.write_bytes(content)
    return f"64 bytes from {place} on"


def _place(content: bytearray, stream: random.Random) -> int:
    """Half of them among the structures of the library at the start and at the end."""
    region = stream.choice(["start", "end", "all", "all"])
    first = {"start": 0, "end": max(0, len(content) - 6000), "all": 0}[region]
    return stream.randrange(first, min(len(content), 6000) if region == "start" else len(content))


# ----------------------------------------------------------------------------------------------------------- meaning
ODD = (None, True, -1, 0, 1, 10**18, 0.5, -1e300, float("nan"), "", "x", "nsf", [], [1], {}, "[/red]\x1b[31m", [None])


def change_meaning(original: Path, scratch: Path, stream: random.Random) -> str:
    """Digests and all else that this tool writes are right afterwards."""
    contents = storage.read_contents(original)
    arrays, attributes = dict(contents.arrays), copy.deepcopy(contents.attributes)
    documents = {"/meta": contents.meta} | {
        name: json.loads(str(arrays[name])) for name in arrays if _is_json(arrays[name])
    }
    what = stream.choice(["array", "array", "attribute", "document", "document"])
    if what == "attribute" and any(attributes.values()):
        label = _change_attribute(attributes, stream)
    elif what == "array":
        label = _change_array(arrays, stream)
    else:
        name = stream.choice(sorted(documents))
        label = f"{name} {_change_document(documents[name], stream)}"
        if name != "/meta":
            arrays[name] = np.array(json.dumps(documents[name]))
    meta = json.loads(json.dumps(contents.meta).replace("NaN", "null"))
    changed = replace(contents, meta=meta, arrays=arrays, attributes=attributes)
    changed = replace(changed, file_attributes=storage.file_attributes(original))
    scratch.unlink(missing_ok=True)
    storage.write(scratch, changed)
    return label


def _is_json(array: np.ndarray) -> bool:
    return array.shape == () and array.dtype.kind == "U" and str(array).startswith("{")


def _change_array(arrays: dict[str, np.ndarray], stream: random.Random) -> str:
    name = stream.choice(sorted(arrays))
    array = arrays.pop(name)
    numbers = array if array.dtype.kind in "fiub" else np.zeros(array.shape)
    first = np.zeros(array.shape, bool)
    first.reshape(-1)[:1] = True
    changes: dict[str, Callable[[], np.ndarray]] = {
        "float32": lambda: numbers.astype(np.float32),
        "whole": lambda: np.nan_to_num(numbers.astype(float)).astype(np.int64),
        "text": lambda: array.astype(str),
        "number": lambda: np.float64(1.0) * np.ones(()),
        "one row less": lambda: array[1:] if array.ndim else array,
        "no rows": lambda: array[:0] if array.ndim else np.zeros(0),
        "one axis more": lambda: array[..., None],
        "transposed": lambda: array.T,
        "zero": lambda: np.zeros_like(numbers),
        "negative": lambda: np.where(first, -1, numbers.astype(float)),
        **{f"{odd}": lambda odd=odd: np.where(first, odd, numbers.astype(float)) for odd in (np.nan, np.inf, 1e300)},
    }
    change = stream.choice(["missing", *changes])
    if change != "missing":
        arrays[name] = np.array(changes[change]())
    return f"{name} {change}"


def _change_attribute(attributes: dict[str, dict[str, Any]], stream: random.Random) -> str:
    name = stream.choice(sorted(path for path in attributes if attributes[path]))
    key = stream.choice(sorted(attributes[name]))
    odd = stream.choice(
        ["missing", "x", 1.0, np.nan, np.zeros(0), np.zeros((2, 2)), ("a",), ("a", "a"), np.array([np.inf, 1])]
    )
    if isinstance(odd, str) and odd == "missing":
        del attributes[name][key]
    else:
        attributes[name][key] = odd
    return f"{name}.{key} {odd!r}"


def _change_document(document: dict[str, Any], stream: random.Random) -> str:
    """One leaf or branch, at random."""
    node: Any = document
    path = []
    while True:
        key = stream.choice(sorted(node) if isinstance(node, dict) else range(len(node)))
        path.append(str(key))
        child = node[key]
        if isinstance(child, dict | list) and child and stream.random() < 0.85:
            node = child
            continue
        if stream.random() < 0.15:
            del node[key]
            return f"{'.'.join(path)} missing"
        node[key] = stream.choice(ODD)
        return f"{'.'.join(path)} {node[key]!r}"


FAMILIES: dict[str, Callable[[Path, Path, random.Random], str]] = {
    "bit": flip_bit,
    "cut": cut,
    "zeros": zero,
    "meaning": change_meaning,
}


if __name__ == "__main__":
    main()
