"""Draws a second inside the prior's box: of one observation and of many, beside sbi's samplers.

Ours come with the log_prob of every draw, as ``sample`` writes them; sbi's are draws alone.
"""

from functools import partial
from typing import Any

import numpy as np

from cosmoinfer.sampling.options import SamplingOptions
from cosmoinfer.training.settings import TrainingSettings
from tests.benchmarks.speed.clock import Seconds, alternated, measured, median
from tests.benchmarks.speed.flow import AS_PEER, Fitted, fit
from tests.benchmarks.speed.peer import Peer
from tests.benchmarks.speed.problem import SPECTRA, Problem, make
from tests.benchmarks.speed.report import COMPARED, Report, Task

LIMIT = 300.0  # wall seconds after which sbi is given up
OURS: dict[str, tuple[Any, str]] = {  # architecture, support
    "NSF, truncate": (AS_PEER["sbi-nsf"], "truncate"),
    "NSF, probit": (AS_PEER["sbi-nsf"], "probit"),
    "MAF, truncate": (AS_PEER["sbi-maf"], "truncate"),
    "MAF, probit": (AS_PEER["sbi-maf"], "probit"),
}
PEERS = ("sbi-nsf", "sbi-maf")
MARKS = {  # of one observation, of many
    ("NSF, truncate", "sbi-nsf"): (3.0, 3.0),
    ("NSF, probit", "sbi-nsf"): (3.0, 3.0),
    ("MAF, truncate", "sbi-maf"): (None, 20.0),
    ("MAF, probit", "sbi-maf"): (None, 20.0),
}


def measure(task: Task) -> Report:
    report = Report()
    train, observations = (512, 5) if task.quick else (3600, 1000)
    problem = make(task.work, "observed_power_spectra", SPECTRA, train, observations)
    training = TrainingSettings(epochs=2 if task.quick else 60, batch_size=256)
    ours = {name: fit(problem, settings, training, support=support) for name, (settings, support) in OURS.items()}
    with Peer(task.work / "peers.log") as peer:
        for name in PEERS:
            peer.train(name, problem.rows, **({"max_num_epochs": 2} if task.quick else {}))
        for number, (count, draws) in enumerate(((1, 5000 if task.quick else 100_000), (observations, 1000))):
            slow: dict[str, Seconds] = {}
            calls = {name: partial(_ours, model, count, draws) for name, model in ours.items()}
            calls |= {name: partial(_theirs, peer, problem, name, count, draws, slow) for name in PEERS}
            timings = alternated(calls, task.repeats)
            report.figures[f"{count} x {draws}"] = {**timings, "did not finish": list(slow)}
            table = report.table(f"Draws of {_observations_text(count)}, {draws:,} each", COMPARED)
            for kind in OURS:
                for name in PEERS:
                    mark = MARKS.get((kind, name), (None, None))[number]
                    times = median(timings[kind]), median(timings[name])
                    report.faster(table, f"{kind}; {name}", *times, mark, count * draws, name in slow)
    return report


def _ours(fitted: Fitted, count: int, draws: int) -> Seconds:
    rows = np.flatnonzero(fitted.sims.split_labels == 1)[:count]
    kept = []
    seconds = measured(lambda: kept.append(fitted.model.posterior(fitted.sims, rows, SamplingOptions(draws))))
    (drawn,) = kept
    assert drawn.samples.shape[:2] == (count, draws) and drawn.parameters.inside(drawn.samples).all()
    return seconds


def _theirs(peer: Peer, problem: Problem, name: str, count: int, draws: int, slow: dict[str, Seconds]) -> Seconds:
    """What did not finish once is not asked again."""
    if name in slow:
        return slow[name]
    seconds, finished = peer.sample(name, problem.rows, count, draws, LIMIT)
    if not finished:
        slow[name] = seconds
    return seconds


def _observations_text(count: int) -> str:
    return "one observation" if count == 1 else f"{count:,} observations"
