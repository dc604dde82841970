"""The peers' process: it trains and draws there, and is asked from here; a line of JSON each way.

It runs in an environment that has the peers (sbi, lampe, zuko, numpy, torch) and need not have us, keeps what it has
trained, and tells its own seconds: its imports do not count.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmarks import peers
from tests.benchmarks.speed.clock import Seconds, now, since
from tests.benchmarks.speed.report import Unmeasured

PEER = os.environ.get("COSMOINFER_PEER_PYTHON", sys.executable)
ROOT = Path(__file__).parents[3]
Kept = dict[str, Any]  # densities of ``peers``, by the name of the peer


class Peer:
    """What is asked of the process. log: the file that takes what the peers print."""

    def __init__(self, log: Path) -> None:
        self.log = log
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        try:
            self.process = subprocess.Popen([PEER, "-m", __name__], cwd=ROOT, stderr=log.open("w"), **pipes)
        except OSError as error:
            raise Unmeasured(f"the peers' interpreter {PEER} cannot be run ({error.strerror})") from error

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()  # nothing more is asked, so it ends

    def train(self, peer: str, rows: Path, **settings: Any) -> tuple[Seconds, dict[str, Any]]:
        """In all, from rows to the network with the best weights, which is kept by the peer's name.

        And ``epochs``, ``best``: the one whose weights were taken, ``weights``: how many. settings: of sbi's ``train``.
        """
        return self._ask("train", peer=peer, rows=str(rows), settings=settings)

    def score(self, peer: str, rows: Path, draws: int) -> dict[str, float]:
        """``raw`` and ``boxed``: mean log_prob of the test rows, as it is and renormalised by so many draws a row."""
        return self._ask("score", peer=peer, rows=str(rows), draws=draws)[1]

    def sample(self, peer: str, rows: Path, observations: int, draws: int, limit: float) -> tuple[Seconds, bool]:
        """Draws inside the box of the first test rows by sbi; and whether they were done before ``limit`` seconds."""
        limits = {"observations": observations, "draws": draws, "limit": limit}
        seconds, answer = self._ask("sample", peer=peer, rows=str(rows), **limits)
        return seconds, answer["finished"]

    def _ask(self, what: str, **details: Any) -> tuple[Seconds, dict[str, Any]]:
        assert self.process.stdin and self.process.stdout
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            print(json.dumps({"what": what, **details}), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            last = self.log.read_text().strip().splitlines()[-1:]
            raise Unmeasured(f"the peers did not run ({''.join(last)}); install the extra `bench`")
        result = json.loads(answer)
        return Seconds(*result.pop("seconds")), result


# ---------------------------------------------------------------------------------------------------- what answers
def _train(kept: Kept, peer: str, rows: str, settings: dict[str, Any]) -> dict[str, Any]:
    start = now()
    (kept[peer],), _ = peers.train(peer, peers.read(Path(rows)), **settings)
    seconds, density = since(start), kept[peer]
    weights = sum(parameter.numel() for parameter in density.estimator.parameters())
    best = int(np.argmin(density.validation)) + 1
    return {"seconds": seconds, "epochs": len(density.validation), "best": best, "weights": weights}


def _score(kept: Kept, peer: str, rows: str, draws: int) -> dict[str, Any]:
    start = now()
    scores = peers.score(kept[peer], peers.read(Path(rows)), draws)
    return {"seconds": since(start), "raw": float(scores.log_prob_raw.mean()), "boxed": float(scores.log_prob.mean())}


def _sample(kept: Kept, peer: str, rows: str, observations: int, draws: int, limit: float) -> dict[str, Any]:
    from sbi.inference.posteriors import DirectPosterior
    from sbi.utils import BoxUniform

    held = peers.read(Path(rows))
    low, high, x = (torch.as_tensor(values, dtype=torch.float32) for values in (held.low, held.high, held.x_test))
    posterior = DirectPosterior(kept[peer].estimator, BoxUniform(low, high))
    sample = posterior.sample if observations == 1 else posterior.sample_batched
    start = now()
    try:
        sample((draws,), x=x[:observations], show_progress_bars=False, max_sampling_time=limit)
    except RuntimeError as error:
        if "max_sampling_time" not in str(error):
            raise
        return {"seconds": since(start), "finished": False}
    return {"seconds": since(start), "finished": True}


def main() -> None:
    torch.set_num_threads(1)
    kept: Kept = {}
    answers, sys.stdout = sys.stdout, sys.stderr  # the peers print
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(ANSWERS[request.pop("what")](kept, **request)), file=answers, flush=True)


ANSWERS: dict[str, Callable[..., dict[str, Any]]] = {"train": _train, "score": _score, "sample": _sample}

if __name__ == "__main__":
    main()
