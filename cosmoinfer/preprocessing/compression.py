"""A data vector in fewer numbers: its principal components, or the code of an autoencoder. Fitted on training rows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cosmoinfer.errors import UserError
from cosmoinfer.networks.layers import Linear
from cosmoinfer.networks.mlp import MLP
from cosmoinfer.numerals import whole_number
from cosmoinfer.training.loaders import InMemoryLoader
from cosmoinfer.training.loop import Loss, train
from cosmoinfer.training.settings import Rows, TrainingContext, TrainingSettings
from cosmoinfer.training.streams import MemberStreams, generators

COMPRESSIONS = ("pca", "autoencoder")


@dataclass(frozen=True)
class Compression:
    """``size`` numbers of unit variance over the training rows. encoder: (n, inputs) -> (n, size)."""

    name: str
    inputs: int
    size: int
    encoder: "Encoder" = field(metadata={"path": "weights"})
    explained_variance: float

    @torch.no_grad()
    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(n, ...) standardised float32 -> (n, size) float32, on the CPU."""
        return self.encoder(torch.from_numpy(values.reshape(1, len(values), -1)))[0].numpy()

    @property
    def description(self) -> str:
        """In words: what it keeps of the training rows."""
        percent = 100 * self.explained_variance
        return f"{self.name}:{self.size} keeps {percent:.1f} % of the variance of the standardised data"

    @staticmethod
    def build_network(network: type["Encoder"], built: Mapping[str, Any]) -> "Encoder":
        """From the fields that are read already; its weights are filled in afterwards."""
        return _encoder(built["name"], built["inputs"], built["size"], 0)


def parse_compression(text: str, inputs: int, n_rows: int) -> tuple[str, int]:
    """The method and the size of a code. inputs: numbers of a row; n_rows: of the training.

    Raises UserError for a text that is not understood, and for more numbers than a row or the training rows have.
    """
    match = re.fullmatch(r"([a-z]+):(\d+)", text)
    if not match or match[1] not in COMPRESSIONS:
        raise UserError(f"{text!r} is not understood; expected pca:20 or autoencoder:8", setting="compress")
    size = whole_number(match[2])
    if size is None or not 1 <= size <= min(inputs, n_rows):
        raise UserError(f"expected 1 to {min(inputs, n_rows)} numbers a row", setting="compress", value=text)
    return match[1], size


def fit_compression(
    observable: str, text: str, train_rows: np.ndarray, validation_rows: np.ndarray, context: TrainingContext
) -> Compression:
    """Fit the compression that a text names.

    observable: its name, which tells its training from others. text: ``pca:20`` or ``autoencoder:8``.
    train_rows, validation_rows: (N, ...) standardised; the validation rows stop the training of an autoencoder.

    Raises UserError for a text that is not understood, and for more numbers than a row or the training rows have.
    """
    inputs = prod(train_rows.shape[1:])
    name, size = parse_compression(text, inputs, len(train_rows))
    rows, validation = train_rows.reshape(-1, inputs), validation_rows.reshape(-1, inputs)
    if name == "pca":
        encoder, kept = _principal_components(rows, size)
    else:
        encoder, kept = _autoencoder(observable, rows, validation, size, context)
    return Compression(name, inputs, size, encoder, kept)


class Encoder(nn.Module):
    """A network of one member, then a shift and a scale: (1, n, inputs) -> (1, n, size)."""

    shift: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("shift", torch.zeros(1, size))
        self.register_buffer("scale", torch.ones(1, size))

    def forward(self, x: Tensor) -> Tensor:
        return (self.network(x) - self.shift) / self.scale

    @torch.no_grad()
    def standardise(self, x: Tensor) -> None:
        """So that these rows come out with zero mean and unit variance."""
        code = self.network(x)
        self.shift.copy_(code.mean(1))
        self.scale.copy_(code.std(1).clamp(min=1e-12))


def _encoder(name: str, inputs: int, size: int, seed: int) -> Encoder:
    stream = generators(seed, "encoder", 1)
    network = Linear(stream, inputs, size) if name == "pca" else MLP(128, 2).build((inputs,), size, stream)
    return Encoder(network, size)


def _principal_components(rows: np.ndarray, size: int) -> tuple[Encoder, float]:
    """The directions of largest variance (Pearson 1901; Hotelling 1933), and the share of it that they hold."""
    centre = rows.mean(axis=0, dtype=np.float64)
    _, values, right = np.linalg.svd(rows - centre, full_matrices=False)
    encoder = _encoder("pca", rows.shape[1], size, 0)
    linear = {"weight": right[:size].T[None], "bias": -(centre @ right[:size].T)[None, None]}
    encoder.network.load_state_dict({name: torch.from_numpy(value) for name, value in linear.items()})
    encoder.standardise(torch.from_numpy(rows)[None])
    return encoder, float((values[:size] ** 2).sum() / (values**2).sum())


def _autoencoder(
    observable: str, rows: np.ndarray, validation: np.ndarray, size: int, context: TrainingContext
) -> tuple[Encoder, float]:
    """An encoder and a decoder that give the rows back in mean square (Hinton & Salakhutdinov 2006)."""
    encoder = _encoder("autoencoder", rows.shape[1], size, context.seed)
    decoder = MLP(128, 2).build((size,), rows.shape[1], generators(context.seed, "decoder", 1))
    chain = nn.Sequential(encoder, decoder).to(context.device)
    settings = TrainingSettings(epochs=min(400, max(50, 300_000 // len(rows))), patience=50)
    held_out = context.tensors(validation)
    train(
        chain,
        _RECONSTRUCTION,
        InMemoryLoader(context.tensors(rows)),
        InMemoryLoader(held_out),
        settings,
        MemberStreams.of_members(context.seed, "autoencoder", 1),
        context.on_epoch,
        keeper=context.keeper({"autoencoder": observable, "size": size}),
        ranks=context.ranks,
    )
    with torch.no_grad():
        missed = float(((chain(held_out[0][None])[0] - held_out[0]) ** 2).sum())
    encoder.cpu().standardise(torch.from_numpy(rows)[None])
    return encoder, 1 - missed / float(((validation - validation.mean(axis=0)) ** 2).sum())


def _squared_error(network: nn.Module, batch: Rows) -> Tensor:
    return (network(*batch) - batch[0]) ** 2


_RECONSTRUCTION = Loss(_squared_error)
