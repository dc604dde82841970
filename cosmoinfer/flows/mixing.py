"""What stands between layers so that all dimensions meet: reversal, and a learned linear map."""

import torch
from torch import nn

from cosmoinfer.flows.transform import Transform
from cosmoinfer.networks.members import Generators


class Reverse(Transform):
    """The dimensions (M, B, D) in reverse order. (nflows stores the order as a buffer, which is not needed.)"""

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """(M, B, D) -> (M, B, D) in reverse order, and log |det| = 0, (M, B)."""
        return inputs.flip(-1), inputs.new_zeros(inputs.shape[:2])

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """(M, B, D) -> (M, B, D) in reverse order, and log |det| = 0, (M, B)."""
        return self.forward(inputs)


class LU(Transform):
    """M learned linear maps x -> x W + b of (M, B, D): W = L U, log |det| from U's diagonal, the identity at first."""

    upper: torch.Tensor

    def __init__(self, generators: Generators, features: int) -> None:
        super().__init__()
        members = len(generators)
        self.below = nn.Parameter(torch.zeros(members, features, features))
        self.above = nn.Parameter(torch.zeros(members, features, features))
        self.log_diagonal = nn.Parameter(torch.zeros(members, features))
        self.bias = nn.Parameter(torch.zeros(members, 1, features))
        self.register_buffer("upper", torch.triu(torch.ones(features, features), 1), persistent=False)

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """x (M, B, D) -> x W + b (M, B, D), and log |det W| (M, B)."""
        lower, upper = self._factors()
        return torch.baddbmm(self.bias, inputs, torch.bmm(lower, upper)), self._log_det(inputs)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """z (M, B, D) -> (z - b) W^-1 (M, B, D), and -log |det W| (M, B)."""
        lower, upper = self._factors()
        z = inputs - self.bias
        identity = torch.eye(len(self.upper), dtype=z.dtype, device=z.device).expand_as(lower)
        upper_inverse = torch.linalg.solve_triangular(
            upper, identity, upper=True
        )  # of the small matrices: rows may be a million
        inverse = torch.linalg.solve_triangular(lower, upper_inverse, upper=False, left=False, unitriangular=True)
        return torch.bmm(z, inverse), -self._log_det(z)

    def _factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        identity = torch.eye(self.upper.shape[0], dtype=self.below.dtype, device=self.below.device)
        lower = self.below * self.upper.T + identity
        return lower, self.above * self.upper + torch.diag_embed(self.log_diagonal.exp())

    def _log_det(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_diagonal.sum(-1, keepdim=True).expand(-1, x.shape[1])
