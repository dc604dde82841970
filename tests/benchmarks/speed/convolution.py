"""Maps a second in the training of a CNN: our convolution round the box beside torch's own circular padding."""

import copy
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.convolution import Convolution
from tests.benchmarks.speed.clock import Seconds, alternated, measured, median
from tests.benchmarks.speed.report import COMPARED, Report, Task

PIXELS, BATCH, OUTPUTS = 64, 64, 16
MARK = 1.25
CLOSE = 1e-4  # of the largest output, float32 through all layers


def measure(task: Task) -> Report:
    torch.set_num_threads(1)
    steps = 2 if task.quick else 20
    maps = torch.randn(1, BATCH, 1, PIXELS, PIXELS, generator=torch.Generator().manual_seed(0))
    ours = CNN().build(maps.shape[2:], OUTPUTS, [torch.Generator().manual_seed(0)])
    ours(maps)  # the first batch sets the scale of each channel
    plain = _plainly(ours)
    difference = _difference(ours, plain, maps)
    assert difference < CLOSE, f"the outputs differ by {difference:g} of the largest"
    times = alternated(
        {"ours": partial(_train, ours, maps, steps), "torch": partial(_train, plain, maps, steps)}, task.repeats
    )
    report = Report(figures={**times, "difference": difference})
    table = report.table(f"Maps of {PIXELS}x{PIXELS} in training, batches of {BATCH}", COMPARED)
    what = f"CNN; Conv2d, circular (outputs differ by {difference:.1g} of the largest)"
    report.faster(table, what, median(times["ours"]), median(times["torch"]), MARK, BATCH * steps)
    return report


class _Circular(Convolution):
    """As torch has it: its own circular padding, channels first, and the scale of each channel as a step of its own."""

    def forward(
        self, x: torch.Tensor, gain: torch.Tensor | None = None, offset: float | torch.Tensor = 0.0
    ) -> torch.Tensor:
        x = functional.pad(x, [self.padding] * 4, mode="circular")
        x = functional.conv2d(x, self.weight.flatten(0, 1), self.bias.flatten(), self.stride)
        return x if gain is None else torch.addcmul(offset[:, None, None], x, gain[:, None, None])  # type: ignore[index]


def _plainly(network: nn.Module) -> nn.Module:
    """The same network of the same weights with torch's layer in the place of each convolution."""
    plain = copy.deepcopy(network)
    for layer in plain.modules():
        if isinstance(layer, Convolution):
            layer.__class__ = _Circular
    return plain


@torch.no_grad()
def _difference(ours: nn.Module, theirs: nn.Module, maps: torch.Tensor) -> float:
    """The largest, over the largest output."""
    expected = theirs(maps)
    return float((ours(maps) - expected).abs().max() / expected.abs().max())


def _train(network: nn.Module, maps: torch.Tensor, steps: int) -> Seconds:
    network = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def run() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            network(maps).square().mean().backward()
            optimizer.step()

    return measured(run)
