"""A record of the numbers of every command, small: what a restructure must leave as it is, bit by bit.

    python -m tests.benchmarks.numbers record FILE.json [--arrays FOLDER] [--only PATTERN]
    python -m tests.benchmarks.numbers compare BEFORE.json AFTER.json [--arrays BEFORE AFTER]

Cases go through the command line in this process, each in a folder of its own; ``cases`` is their table, ``spelling``
how every word, dataset and output is called today. Keys are case/product/role; arrays of one role are hashed as a
multiset, so that neither names nor order matter. The numbers hold for one machine and its libraries, which the record
names. With ``--arrays`` the arrays are kept too, and a comparison gives the largest differences. Exits with 1 where a
case fails, a number differs or is missing.
"""

import argparse
import fnmatch
import json
import platform
import re
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy
import sklearn
import torch

from tests.benchmarks.numbers.cases import CASES
from tests.benchmarks.numbers.compare import Record, difference, differing, keep
from tests.benchmarks.numbers.record import Numbers, numbers_of, sha256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    recording = commands.add_parser("record")
    recording.add_argument("file", type=Path)
    recording.add_argument("--arrays", type=Path, help="folder that keeps the arrays, an .npz a case")
    recording.add_argument("--only", default="*", help="cases by name, as 'flow *'")
    recording.set_defaults(run=lambda options: record(options.file, options.arrays, options.only))
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument("--arrays", type=Path, nargs=2, help="the folders of both")
    comparing.set_defaults(run=lambda options: compare(options.before, options.after, options.arrays))
    options = parser.parse_args()
    options.run(options)


def record(file: Path, folder: Path | None, only: str) -> None:
    torch.set_num_threads(1)
    began, failed, records = time.perf_counter(), [], {}
    names = fnmatch.filter(CASES, only)
    for case in names:
        start = time.perf_counter()
        try:
            numbers = numbers_of(CASES[case])
        except Exception as error:  # a case that breaks must not hide the others
            failed.append(case)
            print(f"{case}: failed: {type(error).__name__}: {error}", flush=True)
            continue
        records |= {f"{case}/{role}": entry for role, entry in _entries(numbers).items()}
        if folder is not None:
            keep(folder, case, numbers)
        print(f"{case}: {len(numbers)} keys, {time.perf_counter() - start:.1f} s", flush=True)
    file.write_text(_text(records))
    print(f"{file}: {len(names)} cases, {len(records)} keys, {time.perf_counter() - began:.0f} s")
    if failed:
        sys.exit(f"{len(failed)} of {len(names)} cases failed: {', '.join(failed)}")


def compare(before: Path, after: Path, folders: list[Path] | None) -> None:
    first, second = (json.loads(path.read_text()) for path in (before, after))
    for name, value in first["environment"].items():
        if (now := second["environment"].get(name)) != value:
            print(f"another environment: {name} {value} and {now}")
    old, new = first["records"], second["records"]
    differ, missing, added = differing(old, new), sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    equal = len(old) - len(differ) - len(missing)
    print(f"{len(old)} keys: {equal} equal, {len(differ)} differ, {len(missing)} missing; {len(added)} new")
    for key in differ:
        counts = f"{old[key]['count']} and {new[key]['count']} values"
        print(f"differs: {key}: {counts if folders is None else f'{counts}: {difference(key, *folders)}'}")
    for what, keys in (("missing", missing), ("new", added)):
        for key in keys:
            print(f"{what}: {key}")
    if differ or missing:
        sys.exit(1)


def environment() -> dict[str, str]:
    """What the last digits depend on."""
    libraries = {"torch": torch, "numpy": np, "scipy": scipy, "sklearn": sklearn, "h5py": h5py}
    about = Path("/proc/cpuinfo")
    processors = re.findall(r"model name\s*:\s*(.*)", about.read_text()) if about.exists() else []
    return {
        "python": platform.python_version(),
        **{name: library.__version__ for name, library in libraries.items()},
        "machine": platform.machine(),
        "processor": processors[0] if processors else platform.processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def _entries(numbers: Numbers) -> Record:
    counts = {role: sum(array.size for array in arrays) for role, arrays in numbers.items()}
    return {role: {"sha256": sha256(arrays), "count": counts[role]} for role, arrays in numbers.items()}


def _text(records: dict[str, Any]) -> str:
    """JSON with one line a record, so that git shows which changed."""
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(records.items()))
    about = json.dumps(environment(), indent=0, sort_keys=True)
    return f'{{"environment": {about},\n"records": {{\n{lines}\n}}}}\n'


if __name__ == "__main__":
    main()
