"""Peers: density estimators of other packages, trained as they ship and scored on test rows.

Knows nothing of cosmoinfer: a process of its own, for an environment that has the peer (sbi or lampe, numpy, torch) and
need not have us. From rows.npz

    theta_train (N, P), theta_test (n, P)   parameters, in the units of the catalog
    x_train (N, K), x_test (n, K)           data, prepared as a user would (log10 of a positive history)
    low, high (P,), prior (P,), seed        the box; `uniform` or `log-uniform`; seeds the training and the draws

to out.npz: per test row what `Scores` holds, `/samples` (k, S, P), draws inside the box of the first k test rows (those
that sbi's own rejection would return), and `/meta`, the JSON that is also printed.

As shipped: the peer gets theta in physical units with a BoxUniform prior on low..high for every parameter, the
log-uniform ones too; that a logarithm would suit them better is knowledge that its user would have to bring. `prior`
is therefore checked and recorded, and moves no number: one round of NPE learns the prior from the rows, and the
BoxUniform contributes no more than its support.

sbi splits a validation set (10 %) off the rows that it is given. Give it our train and validation rows together, so
that it fits and stops on at least as much data as ours.

lampe has no training loop, so one is written here as its tutorial has it (AdamW at 1e-3, gradients clipped at 1), with
what a careful user adds: both sides standardised, 10 % of the rows for validation, the best epoch kept, patience 20.
In the same loop nflows: sbi's networks without sbi's loop around them.

--ensemble 1 5: as many trainings as the largest, seeds apart; of the first 1, and of the first 5, the mean of their
densities, each to a file of its own: out.x1.npz, out.x5.npz.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

DRAWS = 10_000  # a test row, for log Z: the least
ENOUGH_INSIDE = 100  # draws in the box; below, a row goes on drawing: log Z would be off by more than 0.1
MOST_DRAWS = 1_000_000
MOST_EPOCHS = 1_000_000


@dataclass(frozen=True)
class Rows:
    """What a peer trains on and is scored on; shapes in the head of this file."""

    theta_train: np.ndarray
    x_train: np.ndarray
    theta_test: np.ndarray
    x_test: np.ndarray
    low: np.ndarray
    high: np.ndarray
    prior: np.ndarray
    seed: int

    def __post_init__(self) -> None:
        for partition, theta, x in (("train", self.theta_train, self.x_train), ("test", self.theta_test, self.x_test)):
            if len(theta) != len(x):
                raise ValueError(f"{partition}: expected as many theta as x, found {len(theta)} and {len(x)}")
            if not np.isfinite(x).all():  # sbi would drop such rows and go on with fewer
                raise ValueError(f"x_{partition}: row {np.flatnonzero(~np.isfinite(x).all(axis=1))[0]} is not finite")
            if not inside(theta, self.low, self.high).all():
                raise ValueError(f"theta_{partition}: a row lies outside low..high; its log_prob over the box is -inf")
        if unknown := set(self.prior.tolist()) - {"uniform", "log-uniform"}:
            raise ValueError(f"prior: expected uniform or log-uniform (a box), found {', '.join(sorted(unknown))}")


class Density(Protocol):
    """q(theta | x) over all of space, in the units of the catalog."""

    def log_prob(self, theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Of (n, P) given (n, K): (n,)."""

    def sample(self, count: int, x: torch.Tensor) -> torch.Tensor:
        """Draws given one x (K,): (count, P)."""


@dataclass(frozen=True)
class Scores:
    """Per test row, (n,), natural logarithms, physical units.

    log_prob_raw: log q(theta | x) at the truth; what leaks out of the box is lost to it.
    in_box: Z(x), the mass of q inside the box, by counting draws of q itself.
    log_prob: log q - log Z, the density over the box that rejection sampling would draw from.
    log_norm_error: standard error of log Z, sqrt((1 - Z) / (Z draws)).
    samples: (k, S, P), draws in the box of the first test rows.
    """

    log_prob_raw: np.ndarray
    log_prob: np.ndarray
    in_box: np.ndarray
    log_norm_error: np.ndarray
    samples: np.ndarray


def read(path: Path) -> Rows:
    with np.load(path) as file:
        arrays = {name: file[name] for name in Rows.__dataclass_fields__}
    return Rows(**arrays | {"seed": int(arrays["seed"])})


def inside(theta: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whether each row of (n, P) lies in the box, edges included; the same test for truths and for draws."""
    return np.all((theta >= low) & (theta <= high), axis=-1)


def train(peer: str, rows: Rows, ensemble: int = 1, **settings: Any) -> tuple[list[Density], dict[str, float]]:
    """The trained densities of a peer, and the seconds that one took; the peer's own messages go to stderr.

    Seconds by the wall and of the processor: on a shared machine only the second can be compared.
    """
    began, members = (time.perf_counter(), time.process_time()), []
    for member in range(ensemble):
        torch.manual_seed(rows.seed + 1000 * member)  # sbi draws its split, weights and batches from the global state
        with _elsewhere(), contextlib.redirect_stdout(sys.stderr):
            members.append(PEERS[peer](rows, **settings))
    wall, processor = time.perf_counter() - began[0], time.process_time() - began[1]
    return members, {"wall": wall / ensemble, "processor": processor / ensemble}


def mixture(members: list[Density]) -> Density:
    """The mean of the densities, in equal shares."""
    return members[0] if len(members) == 1 else _Mixture(members)


@torch.no_grad()
def score(density: Density, rows: Rows, draws: int = DRAWS, keep: int = 0, samples: int = 2000) -> Scores:
    torch.manual_seed(rows.seed)  # again: the draws shall not depend on how long training took
    theta, x = _tensor(rows.theta_test), _tensor(rows.x_test)
    raw = density.log_prob(theta, x).double().numpy()
    counted = np.array(
        [_count(partial(density.sample, x=observation), rows, draws, row) for row, observation in enumerate(x)]
    )
    mass = counted[:, 0] / counted[:, 1]
    kept = [_inside(partial(density.sample, x=observation), rows, samples) for observation in x[:keep]]
    drawn = np.stack(kept) if kept else np.empty((0, samples, theta.shape[1]))
    return Scores(raw, raw - np.log(mass), mass, np.sqrt((1 - mass) / counted[:, 0]), drawn)


def summary(
    peer: str, rows: Rows, scores: Scores, seconds: dict[str, float], settings: dict[str, Any]
) -> dict[str, Any]:
    return {
        "peer": peer,
        "versions": {name: version(name) for name in (*PACKAGES[peer.split("-")[0]], "torch", "numpy")},
        "settings": settings,
        "seed": rows.seed,
        "prior": rows.prior.tolist(),
        "rows": {"train": len(rows.theta_train), "test": len(rows.theta_test)},
        "log_prob_raw": _mean(scores.log_prob_raw),
        "log_prob": _mean(scores.log_prob),
        "in_box": {"mean": float(scores.in_box.mean()), "lowest": float(scores.in_box.min())},
        "log_norm_error": float(np.sqrt(np.mean(scores.log_norm_error**2))),
        "seconds": seconds,
    }


def write(path: Path, scores: Scores, meta: dict[str, Any]) -> None:
    unfinished = path.with_name(path.name + ".unfinished.npz")
    np.savez(unfinished, **asdict(scores), meta=np.array(json.dumps(meta)))
    os.replace(unfinished, path)


@dataclass(frozen=True)
class _SbiDensity:
    """validation: the loss after each epoch."""

    estimator: Any
    validation: list[float]

    def log_prob(self, theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.estimator.log_prob(theta[None], condition=x)[0]

    def sample(self, count: int, x: torch.Tensor) -> torch.Tensor:
        return self.estimator.sample((count,), condition=x[None])[:, 0]


def _sbi_npe(rows: Rows, density_estimator: str, **settings: Any) -> Density:
    """Neural posterior estimation by sbi (Boelts et al. 2025, JOSS 10, 7754), one round.

    Nothing is set that sbi sets itself, so the numbers follow the installed version: 0.27 takes batches of 200 (old
    ones took 50), learning rate 5e-4, 10 % for validation, patience 20, gradients clipped at 5, both sides z-scored.
    settings: those of sbi's `train`, to see how much one of them matters; then it is no longer as shipped.
    """
    from sbi.inference import NPE  # here: seconds to import, and another peer may live without it
    from sbi.utils import BoxUniform

    box = BoxUniform(_tensor(rows.low), _tensor(rows.high))
    trainer = NPE(prior=box, density_estimator=density_estimator, show_progress_bars=False)
    trainer.append_simulations(_tensor(rows.theta_train), _tensor(rows.x_train))
    estimator = trainer.train(**settings).eval()
    return _SbiDensity(estimator, trainer.summary["validation_loss"])


def _nflows_npe(
    rows: Rows, density_estimator: str, training_batch_size: int = 200, max_num_epochs: int = MOST_EPOCHS
) -> Density:
    """The network that sbi builds on nflows, trained as sbi trains, without a loader and with a fused optimiser."""
    from sbi.neural_nets.net_builders import flow

    theta, x = _tensor(rows.theta_train), _tensor(rows.x_train)
    estimator = getattr(flow, f"build_{density_estimator}")(theta, x)
    optimizer = torch.optim.Adam(estimator.parameters(), lr=5e-4, fused=True)

    def loss(batch: torch.Tensor) -> torch.Tensor:
        return estimator.loss(theta[batch], condition=x[batch]).mean()

    def step(value: torch.Tensor) -> None:
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(estimator.parameters(), 5.0)
        optimizer.step()

    rows_of_partitions = _partitions(len(theta))
    return _SbiDensity(
        estimator, _descend(estimator, loss, step, rows_of_partitions, training_batch_size, max_num_epochs)
    )


@dataclass(frozen=True)
class _Mixture:
    """The mean of the members' densities, in equal shares."""

    members: list[Density]

    def log_prob(self, theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        log_probs = torch.stack([member.log_prob(theta, x) for member in self.members])
        return torch.logsumexp(log_probs, 0) - np.log(len(self.members))

    def sample(self, count: int, x: torch.Tensor) -> torch.Tensor:
        picked = torch.randint(len(self.members), (count,)).bincount(minlength=len(self.members)).tolist()
        drawn = [member.sample(share, x) for member, share in zip(self.members, picked, strict=True) if share]
        return torch.cat(drawn)[torch.randperm(count)]


@dataclass(frozen=True)
class _LampeDensity:
    """mean, std: of theta and of x, as the training rows have them. validation: the loss after each epoch."""

    estimator: Any
    theta: tuple[torch.Tensor, torch.Tensor]
    x: tuple[torch.Tensor, torch.Tensor]
    validation: list[float]

    def log_prob(self, theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.estimator(self._scaled(theta, self.theta), self._scaled(x, self.x)) - self.theta[1].log().sum()

    def sample(self, count: int, x: torch.Tensor) -> torch.Tensor:
        drawn = self.estimator.flow(self._scaled(x, self.x)).sample((count,))
        return drawn * self.theta[1] + self.theta[0]

    @staticmethod
    def _scaled(values: torch.Tensor, moments: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return (values - moments[0]) / moments[1]


def _lampe_npe(
    rows: Rows, flow: str, training_batch_size: int = 0, max_num_epochs: int = MOST_EPOCHS, **settings: Any
) -> Density:
    """Neural posterior estimation by lampe (Rozet et al., github.com/probabilists/lampe) and zuko, as they ship.

    settings: of the flow.
    """
    import zuko
    from lampe.inference import NPE, NPELoss
    from lampe.utils import GDStep

    theta, x = _tensor(rows.theta_train), _tensor(rows.x_train)
    moments = [(values.mean(0), values.std(0).clamp_min(1e-12)) for values in (theta, x)]
    z, s = ((values - mean) / std for values, (mean, std) in zip((theta, x), moments, strict=True))
    rows_of_partitions = _partitions(len(z))
    estimator = NPE(z.shape[1], s.shape[1], build=getattr(zuko.flows, flow), **settings)
    loss = NPELoss(estimator)
    step = GDStep(torch.optim.AdamW(estimator.parameters(), lr=1e-3), clip=1.0)
    batch = training_batch_size or (100 if len(z) <= 2000 else 256)
    validation = _descend(
        estimator, lambda chosen: loss(z[chosen], s[chosen]), step, rows_of_partitions, batch, max_num_epochs
    )
    return _LampeDensity(estimator, moments[0], moments[1], validation)


def _partitions(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows that train and rows that validate, as many of each as with sbi."""
    order = torch.randperm(count)
    judges = count - int((1 - 0.1) * count)
    return order[judges:], order[:judges]


def _descend(
    network: torch.nn.Module,
    loss: Callable[[torch.Tensor], torch.Tensor],
    step: Callable[[torch.Tensor], object],
    rows_of_partitions: tuple[torch.Tensor, torch.Tensor],
    batch: int,
    max_epochs: int,
) -> list[float]:
    """Leaves the best weights in the network; the validation loss after each epoch, ``most`` at most.

    loss: of rows by number. step: from a loss to the next weights.
    """
    order, judges = rows_of_partitions
    best, kept, waited = np.inf, network.state_dict(), 0
    validation: list[float] = []
    while waited < 20 and len(validation) < max_epochs:
        order = order[torch.randperm(len(order))]
        for rows in order.split(batch):
            step(loss(rows))
        with torch.no_grad():
            validation_loss = float(loss(judges))
        validation.append(validation_loss)
        waited += 1
        if validation_loss < best:
            best, waited = validation_loss, 0
            kept = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)
    network.eval()
    return validation


def _inside(sample: Callable[[int], torch.Tensor], rows: Rows, samples: int) -> np.ndarray:
    """Draws inside the box, (S, P)."""
    kept = np.empty((0, len(rows.low)))
    while len(kept) < samples:
        drawn = sample(samples).double().numpy()
        kept = np.concatenate([kept, drawn[inside(drawn, rows.low, rows.high)]])
    return kept[:samples]


def _count(sample: Callable[[int], torch.Tensor], rows: Rows, draws: int, row: int) -> tuple[int, int]:
    """Draws of one test row inside the box, and all of them."""
    within = drawn = 0
    while drawn < draws or (within < ENOUGH_INSIDE and drawn < MOST_DRAWS):
        within += int(inside(sample(draws).double().numpy(), rows.low, rows.high).sum())
        drawn += draws
    if within == 0:
        raise ValueError(f"test row {row}: none of {drawn} draws lies in the box, its log Z cannot be told")
    return within, drawn


def _mean(values: np.ndarray) -> dict[str, float]:
    return {"mean": float(values.mean()), "error": float(values.std(ddof=1) / np.sqrt(len(values)))}


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float32)


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """A working directory that goes away: sbi leaves a folder of TensorBoard logs wherever it is run."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


def main() -> None:
    parser = argparse.ArgumentParser(epilog="example: python -m tests.benchmarks.peers sbi-maf rows.npz out.npz")
    parser.add_argument("peer", choices=list(PEERS))
    parser.add_argument("rows", type=Path, help="see the head of this file")
    parser.add_argument("out", type=Path)
    parser.add_argument("--draws", type=int, default=DRAWS, help="at least, for log Z of a test row (%(default)s)")
    parser.add_argument("--batch-size", type=int, help="in place of the peer's own: not as shipped")
    parser.add_argument("--threads", type=int, default=1, help="of torch (%(default)s)")
    parser.add_argument("--ensemble", type=int, nargs="+", default=[1], help="trainings that are mixed (%(default)s)")
    parser.add_argument("--keep", type=int, default=0, help="test rows of which draws are kept (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = {} if options.batch_size is None else {"training_batch_size": options.batch_size}
    rows = read(options.rows)
    members, seconds = train(options.peer, rows, max(options.ensemble), **settings)
    for size in options.ensemble:
        scores = score(mixture(members[:size]), rows, options.draws, options.keep)
        meta = summary(options.peer, rows, scores, seconds, settings | {"ensemble": size})
        write(options.out.with_name(f"{options.out.stem}.x{size}.npz"), scores, meta)
        print(json.dumps(meta, allow_nan=False))


PEERS: dict[str, Callable[..., Density]] = {
    "sbi-maf": partial(_sbi_npe, density_estimator="maf"),
    "sbi-nsf": partial(_sbi_npe, density_estimator="nsf"),
    "lampe-maf": partial(_lampe_npe, flow="MAF"),
    "lampe-nsf": partial(_lampe_npe, flow="NSF"),
    "nflows-maf": partial(_nflows_npe, density_estimator="maf"),
    "nflows-nsf": partial(_nflows_npe, density_estimator="nsf"),
}
PACKAGES = {"sbi": ("sbi",), "lampe": ("lampe", "zuko"), "nflows": ("sbi", "nflows")}

if __name__ == "__main__":
    main()
