"""A record of the numbers of every command, small: what a restructure must leave as it is, bit by bit.

    python -m tests.benchmarks.numbers record FILE.json [--arrays FOLDER] [--only PATTERN]
    python -m tests.benchmarks.numbers compare BEFORE.json AFTER.json [--arrays BEFORE AFTER]

Cases go through the command line in this process and are independent of each other; ``cases`` is their table,
``spelling`` how every word, dataset and output is called today. Keys are case/product/role; arrays of one role are
hashed as a multiset, so that names and order do not matter. The numbers hold for one machine and its libraries, which
the record names. With ``--arrays`` the arrays themselves are kept beside it, and a comparison gives the largest
difference. Exits with 1 where a case fails, a number differs or is missing.
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
from tests.benchmarks.numbers.record import differences, numbers_of, sha256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    recording = commands.add_parser("record")
    recording.add_argument("file", type=Path)
    recording.add_argument("--arrays", type=Path, help="folder that keeps the arrays, an .npz a case")
    recording.add_argument("--only", default="*", help="cases by name: 'flow *'")
    recording.set_defaults(run=lambda given: record(given.file, given.arrays, given.only))
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument("--arrays", type=Path, nargs=2, help="the folders of both")
    comparing.set_defaults(run=lambda given: compare(given.before, given.after, given.arrays))
    given = parser.parse_args()
    given.run(given)


def record(file: Path, folder: Path | None, only: str) -> None:
    torch.set_num_threads(1)
    records: dict[str, dict[str, Any]] = {}
    failed = []
    began = time.perf_counter()
    for case in fnmatch.filter(CASES, only):
        start = time.perf_counter()
        try:
            numbers = numbers_of(CASES[case])
        except Exception as error:
            failed.append(case)
            print(f"{case}: FAILED: {type(error).__name__}: {error}", flush=True)
            continue
        for role, arrays in numbers.items():
            count = sum(array.size for array in arrays)
            records[f"{case}/{role}"] = {"sha256": sha256(arrays), "count": count}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            keep(folder / _file_name(case), numbers)
        print(f"{case}: {len(numbers)} keys, {time.perf_counter() - start:.1f} s", flush=True)
    file.write_text(_text({"environment": environment(), "records": records}))
    cases = len(fnmatch.filter(CASES, only))
    print(f"{file}: {cases - len(failed)} cases, {len(records)} keys, {time.perf_counter() - began:.0f} s")
    if failed:
        sys.exit(f"{len(failed)} cases failed: {', '.join(failed)}")


def compare(before: Path, after: Path, folders: list[Path] | None) -> None:
    first, second = (json.loads(path.read_text()) for path in (before, after))
    if first["environment"] != second["environment"]:
        print(f"environments differ: {first['environment']} and {second['environment']}")
    old, new = first["records"], second["records"]
    missing, more = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    differ = [key for key in sorted(old.keys() & new.keys()) if old[key] != new[key]]
    print(
        f"{len(old)} keys, {len(old) - len(missing) - len(differ)} equal, {len(differ)} differ, {len(missing)} missing"
    )
    for key in differ:
        apart = ""
        if folders is not None:
            arrays = [kept(folder, key) for folder in folders]
            apart = ": arrays are missing" if None in arrays else f": {differences(*arrays)}"
        print(f"differs: {key} ({old[key]['count']} and {new[key]['count']} values){apart}")
    for what, keys in (("missing", missing), ("new", more)):
        for key in keys:
            print(f"{what}: {key}")
    if differ or missing:
        sys.exit(1)


def environment() -> dict[str, str]:
    """What the last digits depend on."""
    versions = {"torch": torch, "numpy": np, "scipy": scipy, "sklearn": sklearn, "h5py": h5py}
    return {
        "python": platform.python_version(),
        **{name: library.__version__ for name, library in versions.items()},
        "machine": platform.machine(),
        "processor": _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.*)", about.read_text()) if about.exists() else []
    return names[0] if names else platform.processor()


def _text(document: dict[str, Any]) -> str:
    """JSON with one line a record, for git to show what changed."""
    records = ",\n".join(
        f"  {json.dumps(key)}: {json.dumps(value, sort_keys=True)}"
        for key, value in sorted(document["records"].items())
    )
    about = json.dumps(document["environment"], sort_keys=True)
    return f'{{"environment": {about},\n"records": {{\n{records}\n}}}}\n'


def keep(path: Path, numbers: dict[str, list[np.ndarray]]) -> None:
    """Every array under its role and a number."""
    np.savez(
        path, **{f"{role}#{place}": array for role, arrays in numbers.items() for place, array in enumerate(arrays)}
    )


def kept(folder: Path, key: str) -> list[np.ndarray] | None:
    case, _, role = key.partition("/")
    path = folder / _file_name(case)
    if not path.exists():
        return None
    with np.load(path) as arrays:
        return [arrays[name] for name in arrays.files if name.rpartition("#")[0] == role]


def _file_name(case: str) -> str:
    return re.sub(r"[^\w=.-]+", "_", case) + ".npz"


if __name__ == "__main__":
    main()
