"""Seconds an epoch: ours beside sbi, lampe and plain nflows on as many rows in the same batches; five beside one."""

from dataclasses import dataclass
from functools import partial

from cosmoinfer.training.settings import TrainingSettings
from tests.benchmarks.speed.clock import Seconds, alternated, median
from tests.benchmarks.speed.flow import AS_PEER, fit, shape
from tests.benchmarks.speed.peer import Peer
from tests.benchmarks.speed.problem import BOX, SPECTRA, Problem, make
from tests.benchmarks.speed.report import COMPARED, Report, Table, Task

MARKS = {"sbi-nsf": 2.0, "sbi-maf": 2.0, "lampe-nsf": 1.3, "lampe-maf": 1.2}
BARE = {"sbi-nsf": "nflows-nsf", "sbi-maf": "nflows-maf"}  # sbi's networks without sbi
ENSEMBLE, ENSEMBLE_MARK = 5, 4.5


def measure(task: Task) -> Report:
    """An epoch trains on whole batches and evaluates a ninth as many rows; building the network is shared out."""
    report = Report(figures={"weights": {}})
    with Peer(task.work / "peers.log") as peer:
        for what, simulator, batches, batch, epochs in (
            ("16,000 power spectra", SPECTRA, 57, 256, 2),  # of which 57 batches train, whole ones for everybody
            ("700 linear Gaussian rows", BOX, 5, 128, 20),
        ):
            batches, epochs = (2, 2) if task.quick else (batches, epochs)
            train = batches * batch
            problem = make(task.work, what.replace(" ", "_"), simulator, train, train // 9)
            table = report.table(f"An epoch of {what}, batches of {batch}", COMPARED)
            for name in AS_PEER:
                _compare(report, table, what, Course(problem, batch, epochs), peer, name, task.repeats)
    return report


@dataclass(frozen=True)
class Course:
    problem: Problem
    batch: int
    epochs: int


def _compare(report: Report, table: Table, what: str, course: Course, peer: Peer, name: str, repeats: int) -> None:
    """One of ours and five side by side, beside a peer, and beside its networks in a bare loop."""
    weights: dict[str, int] = report.figures["weights"]
    bare = [BARE[name]] if name in BARE else []
    calls = {
        "ours": partial(_ours, course, name, 1, weights),
        "five of ours": partial(_ours, course, name, ENSEMBLE, weights),
        **{peer_name: partial(_theirs, course, peer, peer_name, weights) for peer_name in (name, *bare)},
    }
    timings = alternated(calls, repeats)
    report.figures[f"{what}, {name}"] = timings
    middle = {call: median(times) for call, times in timings.items()}
    label = shape(AS_PEER[name])
    sizes = f"({weights[f'ours as {name}']:,} weights, {weights[name]:,})"
    report.faster(table, f"{label}; {name} {sizes}", middle["ours"], middle[name], MARKS[name])
    for peer_name in bare:
        report.faster(table, f"{label}; {peer_name}", middle["ours"], middle[peer_name])
    five, mark = middle[name].per(1 / ENSEMBLE), ENSEMBLE_MARK if name.startswith("sbi") else None
    report.faster(table, f"five {label}; five {name}", middle["five of ours"], five, mark)


def _ours(course: Course, name: str, members: int, weights: dict[str, int]) -> Seconds:
    training = TrainingSettings(epochs=course.epochs, batch_size=course.batch)
    fitted = fit(course.problem, AS_PEER[name], training, members)
    weights[f"ours as {name}"] = fitted.weights // members
    return fitted.ends[-1].per(course.epochs)


def _theirs(course: Course, peer: Peer, name: str, weights: dict[str, int]) -> Seconds:
    max_epochs = course.epochs - name.startswith("sbi")  # sbi trains one epoch more than it is told
    settings = {"training_batch_size": course.batch, "max_num_epochs": max_epochs}
    seconds, result = peer.train(name, course.problem.rows, **settings)
    weights[name] = result["weights"]
    return seconds.per(result["epochs"])
