"""Seconds until ours is as good as a peer is at its best, on held rows; the peer trained as it ships, ours by default.

Ours has the peer's architecture, and the training and the dropout that ``train-flow --flow`` takes for so many rows.

The peer's time is that until its best epoch, not the patience that it takes to know so. Both overflow the box (ours by
--support truncate, as the peers do), and are compared before they are renormalised over it.
"""

from dataclasses import replace

from cosmoinfer.models.flow.recipe import flow_defaults
from cosmoinfer.models.recipe import default_training
from cosmoinfer.training.settings import TrainingSettings
from tests.benchmarks.speed.clock import Seconds
from tests.benchmarks.speed.flow import AS_PEER, Fitted, fit
from tests.benchmarks.speed.peer import Peer
from tests.benchmarks.speed.problem import BOX, SPECTRA, Problem, make
from tests.benchmarks.speed.report import Report, Table, Task

MARKS = {"sbi-nsf": 2.0, "sbi-maf": 2.0, "lampe-nsf": 1.3, "lampe-maf": 1.2}  # times faster, CPU
NORMALISING = 200  # draws of a peer a held row: its mass in the box is not asked for
COLUMNS = [
    "",
    "ours",
    "peer's best epoch",
    "times faster, CPU",
    "by the wall",
    "log_prob ours",
    "peer",
    "mark",
]
HELD = 1000
QUICKLY = {"max_num_epochs": 10, "training_batch_size": 20}


def measure(task: Task) -> Report:
    report = Report()
    with Peer(task.work / "peers.log") as peer:
        for what, simulator, train in (("4,000 power spectra", SPECTRA, 3600), ("700 linear Gaussian rows", BOX, 640)):
            train, held = (200, 5) if task.quick else (train, HELD)
            problem = make(task.work, what.replace(" ", "_"), simulator, train, held)
            table = report.table(f"To the peer's best log_prob of held rows, {what}", COLUMNS)
            for name in AS_PEER:
                _compare(report, table, what, problem, peer, name, task.quick)
    return report


def _compare(report: Report, table: Table, what: str, problem: Problem, peer: Peer, name: str, quick: bool) -> None:
    seconds, trained = peer.train(name, problem.rows, **(QUICKLY if quick else {}))
    target = peer.score(name, problem.rows, NORMALISING)["raw"]
    training = TrainingSettings(epochs=10, batch_size=20) if quick else default_training(problem.train, [(1,)])
    flow = name.rpartition("-")[2]
    settings = replace(AS_PEER[name], dropout=flow_defaults(flow, problem.train, [(1,)]).settings.dropout)
    ours = fit(problem, settings, training, support="truncate")
    theirs, reached = seconds.per(trained["epochs"] / trained["best"]), _reached(ours, target)
    report.figures[f"{what}, {name}"] = {
        "peer": {"to its best epoch": theirs, "in all": seconds, **trained, "log_prob": target},
        "ours": {"reached": reached, "ends": ours.ends},
        "log_prob": ours.log_prob,
    }
    if reached is None:
        ours_text, ratios = "not reached", ["", ""]
    else:
        ours_text, ratios = (
            f"{reached.cpu:.3g} s",
            [f"{theirs.cpu / reached.cpu:.2f}", f"{theirs.wall / reached.wall:.2f}"],
        )
    soon = reached is not None and theirs.cpu >= MARKS[name] * reached.cpu
    mark = report.mark(f"{what}, {name}, held log_prob {target:.3f}", soon, f"at least {MARKS[name]:g}")
    best = f"{max(ours.log_prob):.3f}"
    table.rows.append([name, ours_text, f"{theirs.cpu:.3g} s", *ratios, best, f"{target:.3f}", mark])


def _reached(ours: Fitted, target: float) -> Seconds | None:
    """When the log_prob of the held rows first passed the target."""
    ends = (end for end, log_prob in zip(ours.ends, ours.log_prob, strict=True) if log_prob >= target)
    return next(ends, None)
