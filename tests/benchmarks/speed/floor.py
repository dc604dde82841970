"""A training step of ours beside its own floor: the same matrix products, forward and backward, and a fused Adam step.

The products are those that torch is seen to make in a step, by their shapes; nothing is assumed of the network.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cosmoinfer.models.flow.network import ConditionalFlow
from cosmoinfer.training.loaders import InMemoryLoader
from cosmoinfer.training.loop import Loss, train
from cosmoinfer.training.settings import Rows, TrainingSettings
from cosmoinfer.training.streams import MemberStreams, generators
from tests.benchmarks.speed.clock import Seconds, alternated, measured, median
from tests.benchmarks.speed.flow import AS_PEER, shape
from tests.benchmarks.speed.report import Report, Task, seconds_text

PARAMETERS, NUMBERS, BATCH = 2, 24, 256
MARK = 1.7
PRODUCTS = {getattr(torch.ops.aten, name).default for name in ("mm", "addmm", "bmm", "baddbmm", "baddbmm_")}
COLUMNS = ["", "ours", "floor", "times the floor, CPU", "by the wall", "mark"]
Products = Counter[tuple[tuple[int, ...], ...]]  # shapes of the operands, and how often


def measure(task: Task) -> Report:
    torch.set_num_threads(1)
    report, steps = Report(), 5 if task.quick else 200
    table = report.table(f"A training step of {BATCH} rows, and its matrix products with Adam alone", COLUMNS)
    for settings in AS_PEER.values():
        products = _products(settings)
        network = _network(settings)
        weights = sum(parameter.numel() for parameter in network.parameters())
        calls = {"ours": partial(_step, settings, steps), "floor": partial(_floor, products, weights, steps)}
        times = alternated(calls, task.repeats)
        ours, floor = median(times["ours"]), median(times["floor"])
        shapes = {" x ".join(map(str, operands)): count for operands, count in products.items()}
        what = shape(settings)
        report.figures[what] = {**times, "products": shapes, "weights": weights}
        ratio, wall = ours.cpu / floor.cpu, ours.wall / floor.wall
        mark = report.mark(f"{what}, {ratio:.2f} times the floor", ratio <= MARK, f"at most {MARK}")
        table.rows.append([what, seconds_text(ours.cpu), seconds_text(floor.cpu), f"{ratio:.2f}", f"{wall:.2f}", mark])
    return report


def _step(settings: Any, steps: int) -> Seconds:
    """Of the training loop, all of it: order of the rows, batches, gradient, clipping."""
    network = _network(settings)
    return measured(lambda: _train(network, steps)).per(steps)


def _network(settings: Any) -> ConditionalFlow:
    config: dict[str, Any] = {
        "flow": type(settings).__name__.lower(),
        "recipe": asdict(settings),
        "embedding": [["none", {}]],
    }
    config |= {"features": 1, "shapes": [[NUMBERS]], "parameters": PARAMETERS}
    return ConditionalFlow.from_config(config, generators(0, "initialise", 1))


def _train(network: ConditionalFlow, steps: int) -> None:
    random = torch.Generator().manual_seed(0)
    z, x = (torch.randn(steps * BATCH, size, generator=random) for size in (PARAMETERS, NUMBERS))
    settings, rows, judges = (
        TrainingSettings(epochs=1, batch_size=BATCH),
        InMemoryLoader((z, x)),
        InMemoryLoader((z[:1], x[:1])),
    )
    train(network, LIKELIHOOD, rows, judges, settings, MemberStreams.of_members(0, "order", 1), lambda *_: None)


def _minus_log_prob(network: Any, batch: Rows) -> torch.Tensor:
    z, x = batch
    return -network.log_prob(z, network.embedding(x))[..., None]


LIKELIHOOD = Loss(_minus_log_prob, lambda terms: terms.mean((1, 2)))


def _products(settings: Any) -> Products:
    """Of one step: those of a training of two steps that a training of one has not."""
    return _seen(lambda: _train(_network(settings), 2)) - _seen(lambda: _train(_network(settings), 1))


def _seen(call: Callable[[], object]) -> Products:
    with _Watch() as watch:
        call()
    return watch.products


class _Watch(TorchDispatchMode):
    """What reaches torch's kernels, gradients too."""

    def __init__(self) -> None:
        super().__init__()
        self.products: Products = Counter()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if operation in PRODUCTS:
            self.products[tuple(tuple(operand.shape) for operand in args)] += 1
        return operation(*args, **(kwargs or {}))


def _floor(products: Products, weights: int, steps: int) -> Seconds:
    calls = [(_plain(shapes), count) for shapes, count in products.items()]
    value = torch.nn.Parameter(torch.zeros(weights))
    value.grad = torch.randn(weights)
    adam = torch.optim.Adam([value], fused=True)

    def run() -> None:
        for _ in range(steps):
            for call, count in calls:
                for _ in range(count):
                    call()
            adam.step()

    return measured(run).per(steps)


def _plain(shapes: tuple[tuple[int, ...], ...]) -> Callable[[], torch.Tensor]:
    """A product of two matrices; of a single member, whose axis is dropped. With a third operand, added to that."""
    operands = [torch.randn(shape[1:] if len(shape) == 3 else shape) for shape in shapes]
    return partial(torch.mm if len(operands) == 2 else torch.addmm, *operands)
