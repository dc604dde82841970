"""Networks that regress the parameters: a point, or with the moment losses a mean and a width, as a mixture."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import nn

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.losses import LOSSES, means_and_widths
from cosmoinfer.models.box import Listener
from cosmoinfer.models.frame import Frame
from cosmoinfer.models.stack import Stack
from cosmoinfer.networks import NETWORKS
from cosmoinfer.networks.embedding import Embedding
from cosmoinfer.networks.stacked import Generators, Linear
from cosmoinfer.posterior import Posterior
from cosmoinfer.training import CHUNK, stacked


class Regressor(nn.Module):
    """One network for one summary; several meet in a linear layer: (M*B, ...) each -> (M*B, outputs)."""

    def __init__(self, parts: Embedding, head: nn.Module) -> None:
        super().__init__()
        self.parts, self.head = parts, head

    def forward(self, *data: torch.Tensor) -> torch.Tensor:
        return self.head(self.parts(*data))


def build_regressor(config: dict[str, Any], generators: Generators) -> Regressor:
    """From the JSON of a stack: one recipe a summary, by name, with its settings."""
    shapes = [tuple(shape) for shape in config["shapes"]]
    outputs = config["outputs"]
    alone = len(shapes) == 1
    parts = [
        NETWORKS[name](**recipe).build(shape, outputs if alone else config["features"], generators)
        for (name, recipe), shape in zip(config["networks"], shapes, strict=True)
    ]
    size = outputs if alone else config["features"] * len(shapes)
    return Regressor(Embedding(parts, size), nn.Identity() if alone else Linear(generators, size, outputs))


@dataclass(frozen=True)
class RegressorModel:
    """shift, scale: (P,), standardised parameters to catalog units. loss: by name; it says whether widths are known."""

    frame: Frame
    loss: str
    shift: np.ndarray
    scale: np.ndarray
    stacks: tuple[Stack[Regressor], ...]
    weights: np.ndarray
    kind = "regressor"

    @property
    def widths(self) -> bool:
        return LOSSES[self.loss].widths

    @property
    def summary_shape(self) -> tuple[int, ...]:
        """Of one row of ``summarise``."""
        return (len(self.frame.parameters) * (2 if self.widths else 1),)

    def outputs(self, catalog: Catalog, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Means and widths of every member, (M, n, P) each, in catalog units; None where the loss knows no width."""
        data = self.frame.data(catalog, rows)
        found = [
            self._outputs(tuple(part[start : start + CHUNK] for part in data)) for start in range(0, len(rows), CHUNK)
        ]
        raw = np.concatenate(found, axis=1)
        if not self.widths:
            return raw * self.scale + self.shift, None
        mean, width = (part.numpy() for part in means_and_widths(torch.from_numpy(raw)))
        return mean * self.scale + self.shift, width * self.scale

    def summarise(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """The mixture's mean (and log width) in standardised units, (n, P or 2P) float32: a summary for a flow."""
        means, widths = self.outputs(catalog, rows)
        mean, std = self._moments(means, widths)
        parts = [(mean - self.shift) / self.scale]
        if std is not None:
            parts.append(np.log(std / self.scale))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def posterior(
        self, catalog: Catalog, rows: np.ndarray, draws: int, seed: int, listen: Listener, skip_failed: bool
    ) -> Posterior:
        """Independent normals a member, truncated to the box for draws and density; mean and std are the network's.

        Row by row: in a larger batch the same row can come out differently in its last digits.
        """
        alone = [self.outputs(catalog, rows[position : position + 1]) for position in range(len(rows))]
        means = np.concatenate([mean for mean, _ in alone], axis=1)
        widths = np.concatenate([width for _, width in alone], axis=1) if self.widths else None
        mean, std = self._moments(means, widths)
        theta = catalog.theta
        samples = log_prob = log_prob_truth = None
        if widths is not None:
            drawn = []
            for position, row in enumerate(rows):
                generator = seeding.generator(seed, "draws", int(catalog.index[row]))
                drawn.append(self._draw(means[:, position], widths[:, position], draws, generator))
                listen(position + 1, len(rows))
            samples = np.stack(drawn)
            log_prob = self._log_prob(samples, means, widths)
            log_prob_truth = None if theta is None else self._log_prob(theta[rows][:, None], means, widths)[:, 0]
        return Posterior(
            self.frame.parameters,
            catalog.index[rows],
            catalog.simulation[rows],
            self.frame.parts(catalog, rows),
            None if theta is None else theta[rows],
            samples,
            log_prob,
            log_prob_truth,
            self.frame.references(catalog, rows),
            mean,
            std,
        )

    @torch.no_grad()
    def _outputs(self, data: tuple[np.ndarray, ...]) -> np.ndarray:
        """Raw outputs, (M, n, P or 2P) float64."""
        found = []
        for stack in self.stacks:
            device = next(stack.network.parameters()).device
            raw = stack.network(*(stacked(torch.from_numpy(part).to(device), stack.members) for part in data))
            found.append(raw.reshape(stack.members, len(data[0]), -1).double().cpu().numpy())
        return np.concatenate(found)

    def _moments(self, means: np.ndarray, widths: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean and standard deviation of the mixture, (n, P)."""
        mean = np.einsum("m,mnp->np", self.weights, means)
        if widths is None:
            return mean, None
        second = np.einsum("m,mnp->np", self.weights, widths**2 + (means - mean) ** 2)
        return mean, np.sqrt(second)

    def _draw(self, means: np.ndarray, widths: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
        """(S, P): members by multinomial, then the inverse of the truncated normal's distribution function.

        In logarithms, and mirrored where the box lies above the mean: exact however far away the box is.
        """
        member = generator.choice(len(self.weights), size=draws, p=self.weights)
        mean, width = means[member], widths[member]
        low, high = ((edge - mean) / width for edge in self._box)
        flip = low > 0
        share = np.log(1 - generator.random(mean.shape)) + _log_mass(low, high)
        log_u = np.logaddexp(special.log_ndtr(np.where(flip, -high, low)), share)
        z = special.ndtri_exp(np.minimum(log_u, 0.0))
        return self.frame.parameters.clip(mean + width * np.where(flip, -z, z))

    def _log_prob(self, theta: np.ndarray, means: np.ndarray, widths: np.ndarray) -> np.ndarray:
        """log of the mixture at theta (n, S, P), under means and widths (M, n, P): (n, S)."""
        low, high = self._box
        terms = []
        for mean, width in zip(means[:, :, None], widths[:, :, None], strict=True):  # (n, 1, P)
            mass = _log_mass((low - mean) / width, (high - mean) / width)
            terms.append((-0.5 * ((theta - mean) / width) ** 2 - np.log(width * np.sqrt(2 * np.pi)) - mass).sum(-1))
        log_prob = special.logsumexp(np.stack(terms), axis=0, b=self.weights[:, None, None])
        return np.where(self.frame.parameters.inside(theta), log_prob, -np.inf)

    @property
    def _box(self) -> tuple[np.ndarray, np.ndarray]:
        return self.frame.parameters.low, self.frame.parameters.high

    # -------------------------------------------------------------------------------------------------- the file
    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        yield "target/shift", self.shift
        yield "target/scale", self.scale

    def config(self) -> dict[str, Any]:
        return {"loss": self.loss}


def _log_mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """log(Phi(high) - Phi(low)), in the tail where both are on one side too."""
    flip = low > 0
    near, far = np.where(flip, -low, high), np.where(flip, -high, low)
    return special.log_ndtr(near) + np.log1p(-np.exp(special.log_ndtr(far) - special.log_ndtr(near)))


def regressor_config(
    networks: list[tuple[str, Any]], shapes: tuple[tuple[int, ...], ...], outputs: int, features: int
) -> dict[str, Any]:
    """The JSON from which ``build_regressor`` builds; plain lists and numbers only."""
    return {
        "networks": [[name, asdict(recipe)] for name, recipe in networks],
        "shapes": [list(shape) for shape in shapes],
        "outputs": outputs,
        "features": features,
    }
