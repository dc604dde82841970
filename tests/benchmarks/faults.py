"""Faults of a disk, and signals, at every system call of a write: old files stay, new ones are complete or absent.

    python -m tests.benchmarks.faults [--work FOLDER] [--calls 40] [--seed 0]

By strace, on a small file (`split`) and a streamed one (`repack` of 100 MB), each absent before or replaced by
`--force`. Every call that touches the folder of the output is made to fail with ENOSPC, and is met by SIGTERM, SIGUSR1,
SIGINT and SIGKILL; of more than --calls of a write, so many at random. Then locks that a file system refuses (ENOLCK,
EOPNOTSUPP, 524) and folders that cannot be flushed (EINVAL, EOPNOTSUPP). Exits with 1 where strace is missing, where
a file is neither as it was nor as the command leaves it, where a caught signal leaves a `.part`, where the exit status
or the words are other than they should be, or more than one line.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from cosmoinfer.stopping import EXIT_STATUS, INTERRUPTED

CALLS = (
    "openat",
    "write",
    "pwrite64",
    "fallocate",
    "ftruncate",
    "fsync",
    "link",
    "rename",
    "unlink",
    "flock",
)
SIGNALS = {"SIGTERM": EXIT_STATUS, "SIGUSR1": EXIT_STATUS, "SIGINT": INTERRUPTED, "SIGKILL": -signal.SIGKILL}
NO_LOCKS = ("ENOLCK", "EOPNOTSUPP", "524")
NO_FLUSH = ("EINVAL", "EOPNOTSUPP")
NO_SPACE = "error=ENOSPC"
ROWS, SIDE = 1500, 128  # of the maps that are repacked
Call = tuple[str, int]  # the name of a system call, and which one of the process


@dataclass(frozen=True)
class Write:
    """A command that writes an output. options: after the catalog. old, new: the output before, and after."""

    folder: Path
    command: tuple[str, ...]
    old: bytes | None
    new: bytes

    @property
    def output(self) -> Path:
        return self.folder / "output.h5"

    def run(self, *strace: str) -> subprocess.CompletedProcess[str]:
        """Under strace with these options, from the state before."""
        for path in self.folder.iterdir():
            path.unlink()
        if self.old is not None:
            self.output.write_bytes(self.old)
        return _traced(self.command, *strace)

    def calls(self) -> list[Call]:
        """Those of the process itself that touch the folder."""
        log = self.folder.parent / "strace.log"
        self.run("-y", "-e", f"trace={','.join(CALLS)}", "-o", str(log))
        lines = [line.split(maxsplit=1) for line in log.read_text().splitlines()]
        own = [words[1] for words in lines if words[0] == lines[0][0] and "(" in words[1]]
        counts: Counter[str] = Counter()
        touching = []
        for line in own:
            if line.startswith(("<...", "---", "+++")):
                continue
            name = line.partition("(")[0]
            counts[name] += 1
            if str(self.folder) in line:
                touching.append((name, counts[name]))
        return touching

    def strike(self, call: Call, injected: str) -> str:
        """What came of it, in words; begins with FAILED where that must not be."""
        name, number = call
        ended = self.run("-e", f"trace={name}", "-e", f"inject={name}:{injected}:when={number}", "-o", os.devnull)
        content = self.output.read_bytes() if self.output.exists() else None
        state = "new" if content == self.new else "old" if content == self.old else "OTHER"
        left = [path.name for path in self.folder.iterdir() if path != self.output]
        words = ended.stderr.strip().splitlines()
        status = SIGNALS.get(injected.removeprefix("signal="), 1)
        expected = {(0, "new"), (status, "old")} | ({(status, "new")} if status != 1 else set())
        problems = []
        if (ended.returncode, state) not in expected:
            problems.append(f"status {ended.returncode}, {state} file")
        removal_refused = name == "unlink" and injected == NO_SPACE  # the next write sweeps what could not be removed
        if left and status != SIGNALS["SIGKILL"] and not removal_refused:
            problems.append(f"left behind: {left}")
        said = [line for line in words if not line.startswith("warning: ")]
        names_no_file = status == 1 and ended.returncode != 0 and str(self.folder) not in ended.stderr
        if "Traceback" in ended.stderr or len(said) > 1 or names_no_file:
            problems.append(f"said {words}")
        if problems:
            return f"FAILED at {name} {number}, {injected}: {'; '.join(problems)}"
        return f"{injected}: status {ended.returncode}, {state} file"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "cosmoinfer-faults")
    parser.add_argument("--calls", type=int, default=40, help="of a write, that are struck")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if shutil.which("strace") is None:
        sys.exit("strace is missing")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, and so by children
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    _write_maps(work / "maps.h5")
    random, failed = np.random.default_rng(arguments.seed), False
    for label, write in _writes(work):
        calls = write.calls()
        struck = calls
        if len(calls) > arguments.calls:
            struck = [calls[place] for place in sorted(random.permutation(len(calls))[: arguments.calls])]
        injections = [NO_SPACE, *(f"signal={name}" for name in SIGNALS)]
        outcomes = Counter(write.strike(call, injected) for injected in injections for call in struck)
        print(f"{label}: {len(struck)} of {len(calls)} calls", flush=True)
        for outcome, times in outcomes.items():
            print(f"  {times} x {outcome}", flush=True)
        failed |= any(outcome.startswith("FAILED") for outcome in outcomes)
        for injected in injections:
            if not any(outcome.startswith(f"{injected}: ") and ": status 0" not in outcome for outcome in outcomes):
                print(f"  FAILED: {injected} never struck", flush=True)
                failed = True
        failed |= any(_fails(write, "flock", error) for error in NO_LOCKS)
        failed |= any(_fails(write, "fsync", error, "-P", str(write.folder)) for error in NO_FLUSH)
    sys.exit(1 if failed else 0)


def _fails(write: Write, call: str, error: str, *strace: str) -> bool:
    """Whether a command does not do its work where all such calls fail."""
    ended = write.run(*strace, "-e", f"trace={call}", "-e", f"inject={call}:error={error}", "-o", os.devnull)
    done = ended.returncode == 0 and write.output.read_bytes() == write.new and not ended.stderr
    outcome = "done" if done else f"FAILED: status {ended.returncode}, {ended.stderr}"
    print(f"  {call} refused with {error}: {outcome}", flush=True)
    return not done


def _writes(work: Path) -> Iterator[tuple[str, Write]]:
    for label, command in {"small": ("split", "--split-seed"), "streamed": ("repack", "")}.items():
        folder = work / label
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        output = folder / "output.h5"
        words = (command[0], str(work / "maps.h5"), "-o", str(output), "--quiet")
        _done(*words)
        new = output.read_bytes()
        yield f"{label}, absent before", Write(folder, words, None, new)
        output.unlink()
        _done(command[0], str(work / "others.h5"), "-o", str(output), "--quiet")
        yield f"{label}, replaced", Write(folder, (*words, "--force"), output.read_bytes(), new)


def _done(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "cosmoinfer", *words], check=True, stdout=subprocess.DEVNULL)


def _traced(words: tuple[str, ...], *strace: str) -> subprocess.CompletedProcess[str]:
    command = ["strace", "-f", *strace, sys.executable, "-m", "cosmoinfer", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    said = [line for line in ended.stderr.splitlines() if not re.match(r"strace: ", line)]
    return subprocess.CompletedProcess(command, ended.returncode, ended.stdout, "\n".join(said))


def _write_maps(path: Path) -> None:
    """A catalog, and a small one of the same kind, by whose outputs those of the first are told."""
    stream = np.random.default_rng(0)
    for name, rows in ((path, ROWS), (path.with_name("others.h5"), ROWS // 10)):
        with h5py.File(name, "w") as file:
            file["parameters"] = stream.uniform(size=(rows, 2))
            file["parameters"].attrs.update(names=["a", "b"], low=[0.0, 0.0], high=[1.0, 1.0])
            file.create_dataset("data", data=stream.normal(size=(rows, SIDE, SIDE)).astype(np.float32), chunks=True)


if __name__ == "__main__":
    main()
