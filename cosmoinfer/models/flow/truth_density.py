"""The density of a flow at the true parameters of the observations that are sampled."""

import numpy as np
import torch

from cosmoinfer.models.flow.mixture import Contexts, Mixture

ROWS_PER_BATCH = 256  # whose truths go through a network at once


class TruthDensity:
    """log q at the truths of rows that are added one by one, before it is renormalised over the box.

    A network always sees ROWS_PER_BATCH rows at once, the last batch filled up by repetition: the result of a row does
    not depend on how many other rows there are.
    """

    def __init__(self, mixture: Mixture, theta: np.ndarray | None) -> None:
        """theta: (N, P) of all rows of the catalog, if they are known."""
        self.mixture, self.theta = mixture, theta
        self.pending: list[tuple[int, Contexts]] = []
        self.log_probs: list[np.ndarray] = []

    def add(self, row: int, contexts: Contexts) -> None:
        """The embedded data of a row; nothing is computed if the truths are not known."""
        if self.theta is None:
            return
        self.pending.append((row, contexts))
        if len(self.pending) == ROWS_PER_BATCH:
            self._evaluate(self.theta)

    def log_prob(self) -> np.ndarray | None:
        """Of all rows that were added, (n,), in catalog units, if their truths are known."""
        if self.theta is None:
            return None
        if self.pending:
            self._evaluate(self.theta)
        return np.concatenate(self.log_probs)

    def _evaluate(self, theta: np.ndarray) -> None:
        filled_up = [self.pending[n % len(self.pending)] for n in range(ROWS_PER_BATCH)]
        rows, contexts = zip(*filled_up, strict=True)
        batch = [torch.cat(stack, dim=1) for stack in zip(*contexts, strict=True)]
        log_prob = self.mixture.log_prob(theta[np.array(rows)], batch)
        self.log_probs.append(log_prob[: len(self.pending)])
        self.pending = []
