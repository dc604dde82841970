"""Every flow against exact posteriors: narrow targets in 1, 2, 6 and 20 parameters, and two moons.

    python -m tests.benchmarks.flows [--flows nsf,maf] [--parameters 1,2] [--rows 10000] [--set linear_start=false]
        [--quick]

Narrow: theta uniform in a box, seen through noise of a tenth and of a hundredth of the prior's width, both where
``supports.Support`` takes theta with ``probit``. There the prior is N(0, 1); its width is that of a uniform prior of
the same standard deviation, sqrt(12); the posterior given x = z + sigma noise is normal, of mean x / (1 + sigma^2) and
variance sigma^2 / (1 + sigma^2) a parameter, with no edge to treat. The two widths train side by side, as two members
of one network. At least 1,000 rows a parameter: even a straight line costs P / 2N nat a parameter. Two moons: in its
box, by probit.

Marks: KL(exact || flow), mean over test rows, below 0.1 nat for the narrow targets, with a regression before each flow
(``linear_start``); below 0.4 nat on two moons for the spline flows. Exits with 1 where a mark is missed.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from cosmoinfer.flows import FLOWS, Transform, initialise
from cosmoinfer.networks.layers import expand_members
from cosmoinfer.parameters import Parameters
from cosmoinfer.supports import fit_support
from cosmoinfer.training.loaders import InMemoryLoader
from cosmoinfer.training.loop import Loss, train
from cosmoinfer.training.settings import Rows, TrainingSettings
from cosmoinfer.training.streams import MemberStreams

NOISES = (0.1, 0.01)  # of the prior's width
WIDTH = np.sqrt(12)  # of a uniform prior whose standard deviation is 1
NARROW, MOONS = 0.1, 0.4  # nat
HALF_TURN = np.pi / 2
EXACT_DRAWS = 20  # of the exact posterior a test row
HELD_OUT = 0.1
SPLINES = ("nsf", "nsf-ar")
NARROW_RECIPE = {"linear_start": True, "hidden": 32}
NARROW_TRAINING = TrainingSettings(epochs=10, batch_size=250)
MOONS_RECIPE = {"layers": 5}
MOONS_TRAINING = TrainingSettings(epochs=40, batch_size=128)
QUICK = TrainingSettings(epochs=2, batch_size=128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", default=",".join(FLOWS), help="names, with commas")
    parser.add_argument("--parameters", default="1,2,6,20,moons", help="of the narrow targets; moons: two moons")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--set", default="", help="settings of the recipes, as layers=5,linear_start=false")
    parser.add_argument("--quick", action="store_true", help="few rows, few epochs: whether it runs; no marks")
    arguments = parser.parse_args()
    settings = {key: json.loads(value) for key, value in (word.split("=") for word in arguments.set.split(",") if word)}
    missed = False
    print(f"{'flow':8} {'target':>12} {'P':>3} {'rows':>7} {'KL':>8} {'+-':>7} {'mark':>5} {'seconds':>8}", flush=True)
    for name in arguments.flows.split(","):
        for target in arguments.parameters.split(","):
            if target == "moons":
                missed |= _run_moons(name, arguments.rows, settings, arguments.quick)
            else:
                missed |= _run_narrow(name, int(target), arguments.rows, settings, arguments.quick)
    if missed and not arguments.quick:
        sys.exit("missed a mark")


def _run_narrow(name: str, features: int, min_rows: int, settings: dict[str, Any], quick: bool) -> bool:
    rows, training = (1000, QUICK) if quick else (max(min_rows, 1000 * features), NARROW_TRAINING)
    begin = time.time()
    results = narrow(FLOWS[name](**{**NARROW_RECIPE, **settings}), features, rows, training)
    missed = [
        report(name, f"noise {noise:g}", features, rows, kl, error, NARROW, begin)
        for noise, (kl, error) in zip(NOISES, results, strict=True)
    ]
    return any(missed)


def _run_moons(name: str, rows: int, settings: dict[str, Any], quick: bool) -> bool:
    rows, training = (1000, QUICK) if quick else (rows, MOONS_TRAINING)
    begin = time.time()
    kl, error = moons(FLOWS[name](**{**MOONS_RECIPE, **settings}), rows, training)
    return report(name, "two moons", 2, rows, kl, error, MOONS if name in SPLINES else np.inf, begin)


def report(
    name: str, target: str, features: int, rows: int, kl: float, error: float, mark: float, begin: float
) -> bool:
    """One line of the table, as soon as it is known; whether it misses its mark."""
    missed, bound = not kl < mark, f"{mark:g}" if np.isfinite(mark) else "-"
    line = f"{name:8} {target:>12} {features:3d} {rows:7d} {kl:8.4f} {error:7.4f} {bound:>5} {time.time() - begin:8.0f}"
    print(line + ("  missed" if missed else ""), flush=True)
    return missed


# ------------------------------------------------------------------------------------------------------ a narrow one
def narrow(recipe: object, features: int, rows: int, settings: TrainingSettings) -> list[tuple[float, float]]:
    """KL and its error, for each noise."""
    random = np.random.default_rng(features)
    z, x = _seen(random, rows, features)
    _, test_x = _seen(random, 1000, features)
    spread = x.std((0, 2), keepdims=True)  # (1, noises, 1)
    flow = learned(recipe, z, x / spread, settings)
    shortfalls = []
    for member, noise in enumerate(WIDTH * np.array(NOISES)):
        mean, width = test_x[:, member] / (1 + noise**2), noise / np.sqrt(1 + noise**2)
        draws = mean[:, None] + width * random.standard_normal((len(mean), EXACT_DRAWS, features))
        exact = -0.5 * ((draws - mean[:, None]) / width) ** 2 - np.log(width) - 0.5 * np.log(2 * np.pi)
        ours = log_prob(flow, draws, (test_x / spread)[:, member], member)
        shortfalls.append(mean_and_error(exact.sum(-1) - ours))
    return shortfalls


def _seen(random: np.random.Generator, rows: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """z (N, P), and x (N, noises, P)."""
    z = random.standard_normal((rows, features))
    noise = WIDTH * np.array(NOISES)[:, None] * random.standard_normal((rows, len(NOISES), features))
    return z, z[:, None] + noise


# --------------------------------------------------------------------------------------------------------- two moons
def moons(recipe: object, rows: int, settings: TrainingSettings) -> tuple[float, float]:
    """theta uniform in (-1, 1)^2; a crescent of radius 0.1 +- 0.01 in x (Greenberg+ arXiv:1905.07488)."""
    random = np.random.default_rng(0)
    box = Parameters.from_names(("a", "b"), (-1.0, -1.0), (1.0, 1.0))
    theta, x = _moons(random, rows)
    support = fit_support("probit", box, theta)
    spread, middle = x.std(0), x.mean(0)
    flow = learned(recipe, support.forward(theta)[0], ((x - middle) / spread)[:, None], settings)
    _, test_x = _moons(random, 300)
    draws = np.stack([_moons_posterior(random, observation) for observation in test_x])  # (N, S, 2)
    exact = _moons_log_posterior(draws, test_x)
    z, log_det = support.forward(draws)
    return mean_and_error(exact - log_prob(flow, z, (test_x - middle) / spread, 0) - log_det)


def _crescent(random: np.random.Generator, rows: int) -> np.ndarray:
    angle, radius = random.uniform(-HALF_TURN, HALF_TURN, rows), random.normal(0.1, 0.01, rows)
    return np.stack([radius * np.cos(angle) + 0.25, radius * np.sin(angle)], axis=-1)


def _moons(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    theta = random.uniform(-1, 1, (rows, 2))
    shift = np.stack([-np.abs(theta.sum(-1)), theta[:, 1] - theta[:, 0]], axis=-1) / np.sqrt(2)
    return theta, _crescent(random, rows) + shift


def _moons_proposals(points: np.ndarray, sign: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """theta that with this point of the crescent gives x, and whether there is one in the box."""
    s, t = points[..., 0] - x[0], x[1] - points[..., 1]
    theta = np.stack([sign * s - t, sign * s + t], axis=-1) / np.sqrt(2)
    return theta, (s >= 0) & (np.abs(theta) < 1).all(-1)


def _moons_posterior(random: np.random.Generator, x: np.ndarray) -> np.ndarray:
    kept = np.empty((0, 2))
    while len(kept) < EXACT_DRAWS:
        theta, inside = _moons_proposals(_crescent(random, 200), random.choice([-1, 1], 200), x)
        kept = np.concatenate([kept, theta[inside]])
    return kept[:EXACT_DRAWS]


def _moons_log_posterior(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """theta (N, S, 2), x (N, 2) -> (N, S). theta and the crescent's points differ by a rotation: no Jacobian."""
    s, t = np.abs(theta.sum(-1)) / np.sqrt(2), (theta[..., 1] - theta[..., 0]) / np.sqrt(2)
    v = np.stack([x[:, None, 0] - 0.25 + s, x[:, None, 1] - t], axis=-1)
    radius = np.linalg.norm(v, axis=-1)
    likelihood = -0.5 * ((radius - 0.1) / 0.01) ** 2 - np.log(0.01 * np.sqrt(2 * np.pi)) - np.log(np.pi * radius)
    return likelihood - np.log([_moons_mass(observation) for observation in x])[:, None]


def _moons_mass(x: np.ndarray) -> float:
    """The integral of the likelihood over the box: the share of the crescent that theta of either sign can reach."""
    angle = (np.arange(2000) + 0.5) / 2000 * np.pi - HALF_TURN
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)
    radius = 0.1 + 0.01 * nodes[:, None]
    points = np.stack([radius * np.cos(angle) + 0.25, radius * np.sin(angle)], axis=-1)
    shares = [_moons_proposals(points, sign, x)[1].mean(-1) @ weights / weights.sum() for sign in (-1, 1)]
    return float(sum(shares))


# ---------------------------------------------------------------------------------------------------------- learning
def learned(recipe: object, z: np.ndarray, x: np.ndarray, settings: TrainingSettings) -> Transform:
    """Trained by maximum likelihood on z (N, P) given x (N, M, C): one member for each of M sights of x."""
    members, features = x.shape[1], z.shape[1]
    flow = recipe.build(features, x.shape[2], _generators("build", members))  # type: ignore[attr-defined]
    rows = (torch.from_numpy(z).float(), torch.from_numpy(x).float())
    held = round(len(z) * (1 - HELD_OUT))
    training, validation = tuple(values[:held] for values in rows), tuple(values[held:] for values in rows)
    first = tuple(expand_members(values[:5000], members) for values in training)
    initialise(flow, lambda: flow(first[0], sight(first[1], members)))
    loss = Loss(_negative_log_prob(members), lambda terms: terms.mean((1, 2)))
    loaders = InMemoryLoader(training), InMemoryLoader(validation)
    train(flow, loss, *loaders, settings, MemberStreams.of_members(0, "order", members), lambda *_: None)
    return flow


def sight(x: torch.Tensor, members: int) -> torch.Tensor:
    """What each member sees: x (M, B, M, C) -> (M, B, C)."""
    return torch.stack([x[member, :, member] for member in range(members)])


def _negative_log_prob(members: int) -> Callable[[torch.nn.Module, Rows], torch.Tensor]:
    def terms(flow: torch.nn.Module, batch: Rows) -> torch.Tensor:
        noise, log_det = flow(batch[0], sight(batch[1], members))
        return (0.5 * (noise**2).sum(-1) - log_det)[..., None]

    return terms


@torch.no_grad()
def log_prob(flow: Transform, z: np.ndarray, x: np.ndarray, member: int) -> np.ndarray:
    """log q of z (N, S, P) given x (N, C) by one member: (N, S)."""
    members = len(next(flow.parameters()))
    flat = torch.from_numpy(z.reshape(-1, z.shape[-1])).float()
    context = torch.from_numpy(np.repeat(x, z.shape[1], axis=0)).float()
    noise, log_det = flow(expand_members(flat, members), expand_members(context, members))
    densities = (log_det - 0.5 * (noise**2 + np.log(2 * np.pi)).sum(-1)).reshape(members, *z.shape[:2])
    return densities[member].double().numpy()


def mean_and_error(gap: np.ndarray) -> tuple[float, float]:
    """Over the rows of (N, S)."""
    rows = gap.mean(1)
    return float(rows.mean()), float(rows.std() / np.sqrt(len(rows)))


def _generators(purpose: str, members: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(1000 * len(purpose) + member) for member in range(members)]


if __name__ == "__main__":
    main()
