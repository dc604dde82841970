"""On a real SLURM: time limits, preemption, arrays and ranks end with the bytes of one undisturbed run.

Started by tests/slurm/run.sh, and skipped elsewhere: they submit jobs. The files that they submit are those that
``cosmoinfer workflow init`` writes.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import cosmoinfer
from tests.command_line import done, linear, write

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(
        "COSMOINFER_SLURM" not in os.environ, reason="submits jobs to a SLURM; tests/slurm/run.sh starts one"
    ),
]
ROOT = Path(cosmoinfer.__file__).parents[1]
FILES = ROOT / "cosmoinfer" / "workflow" / "slurm"
PATIENCE = 900  # seconds for a job
TRAINING = ("--flow", "maf,nsf", "--epochs", "250", "--ensemble", "8")  # longer than the least time limit, a minute
ROWS, SHARDS, KILLED = 2000, 16, (3, 7, 16)
LOG = "job.log"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Jobs find this package and its command, and write into a folder of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    yield
    slurm("scancel", "--user", str(os.getuid()))


@pytest.fixture
def catalog(environment: None, tmp_path: Path) -> Path:
    return write(tmp_path / "sims.h5", *linear(600, 0))


def slurm(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def submit(file: Path, *options: str, **variables: str) -> str:
    """The number of the job."""
    exported = ",".join(["ALL", *(f"{name}={value}" for name, value in variables.items())])
    return slurm("sbatch", "--parsable", f"--export={exported}", f"--output={LOG}", *options, str(file))


def state(job: str) -> set[str]:
    return set(slurm("squeue", "--noheader", "--array", f"--jobs={job}", "--format=%T").split())


def wait_for(condition: object, what: str) -> None:
    """condition: is asked once a second."""
    assert callable(condition)
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what}; log:\n{Path(LOG).read_text() if Path(LOG).exists() else ''}"
        time.sleep(1)


def wait_for_end(job: str) -> None:
    unfinished = {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED"}
    wait_for(lambda: not state(job) & unfinished, f"job {job} has not ended")


def log_has(text: str) -> bool:
    return Path(LOG).exists() and text in Path(LOG).read_text()


def training_file(folder: Path, *options: str) -> Path:
    """``train.sbatch`` with a training that these tests can wait for."""
    text = (FILES / "train.sbatch").read_text()
    command = 'cosmoinfer train-flow "$catalog"'
    assert text.count(command) == 1
    path = folder / "train.sbatch"
    path.write_text(text.replace(command, " ".join([command, *TRAINING, *options])))
    return path


def undisturbed(catalog: Path, *launcher: str, options: tuple[str, ...] = ()) -> bytes:
    """The flow that one run writes."""
    command = [*launcher, "cosmoinfer", "train-flow", str(catalog), *TRAINING, "--threads", "1", "-o", "reference.h5"]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return Path("reference.h5").read_bytes()


def test_a_training_outlives_its_time_limit(catalog, tmp_path):
    expected = undisturbed(catalog)
    job = submit(training_file(tmp_path), "--time=1", "--cpus-per-task=1", "--signal=USR1@30", "--mem=2G")
    wait_for_end(job)
    assert Path("flow.h5").read_bytes() == expected
    assert log_has("stopped (SIGUSR1); the same command goes on from")
    assert not Path("flow.h5.checkpoint").exists()


def test_a_preempted_training_goes_on_when_it_is_queued_again(catalog, tmp_path):
    expected = undisturbed(catalog)
    job = submit(training_file(tmp_path), "--time=20", "--cpus-per-task=1", "--mem=2G", "--partition=batch")
    wait_for(lambda: log_has("epoch "), "the training has not begun")
    slurm("sbatch", "--partition=high", "--cpus-per-task=2", "--mem=1G", "--output=high.log", "--wrap", "sleep 3")
    wait_for_end(job)
    assert log_has("stopped (SIGTERM); the same command goes on from")
    assert Path("flow.h5").read_bytes() == expected


def test_an_array_that_is_submitted_again_draws_what_is_missing(catalog, tmp_path):
    observations = write(tmp_path / "observations.h5", None, linear(ROWS, 1)[1])
    done(
        "train-flow", catalog, "--flow", "maf", "--support", "truncate", "--epochs", 5, "--threads", 1, "-o", "flow.h5"
    )
    done("sample", "flow.h5", observations, "--draws", 200, "--threads", 1, "-o", "reference.h5")
    text = (FILES / "shards.sbatch").read_text()
    file = tmp_path / "shards.sbatch"
    file.write_text(text.replace("cosmoinfer sample", "cosmoinfer sample --draws 200"))
    options = (f"--array=1-{SHARDS}", "--cpus-per-task=1", "--mem=1G", "--time=20")
    names = {"CATALOG": observations.name, "FLOW": "flow.h5", "SHARDS": str(SHARDS)}
    job = submit(file, *options, **names)
    for number in KILLED:
        wait_for(lambda number=number: "RUNNING" in state(f"{job}_{number}"), f"shard {number} does not run")
        slurm("scancel", "--signal=KILL", "--full", f"{job}_{number}")
    wait_for_end(job)
    shards = [Path(f"flow.observations.posterior-{number:02}-of-{SHARDS}.h5") for number in range(1, SHARDS + 1)]
    missing = [number for number, path in enumerate(shards, 1) if not path.exists()]
    assert missing == [*KILLED]
    written = {path: path.stat().st_mtime_ns for path in shards if path.exists()}
    wait_for_end(submit(file, *options, **names))
    assert all(path.stat().st_mtime_ns == moment for path, moment in written.items())
    done("merge", *shards, "-o", "merged.h5")
    assert Path("merged.h5").read_bytes() == Path("reference.h5").read_bytes()


def test_two_ranks_stop_with_75_and_go_on(catalog, tmp_path):
    tasks = ("--ntasks=2", "--cpus-per-task=1", "--mem=4G", "--time=20")
    file = training_file(tmp_path, "--ranks", "--epochs", "40", "--ensemble", "2")
    wait_for_end(submit(file, *tasks, FLOW="reference.h5"))
    expected = Path("reference.h5").read_bytes()
    Path(LOG).unlink()
    job = submit(file, *tasks)
    wait_for(lambda: log_has("epoch "), "the training has not begun")
    slurm("scancel", "--signal=USR1", job)  # to its steps alone
    wait_for_end(job)
    assert log_has("goes on in epoch")
    assert Path("flow.h5").read_bytes() == expected
