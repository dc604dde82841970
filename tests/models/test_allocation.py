"""Is a tensor refused before it is made, whatever makes it, and is what needs no memory free?"""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cosmoinfer.errors import UserError
from cosmoinfer.models.allocation import FREE_NUMBERS, MAX_NUMBERS_PER_WEIGHT, AllocationLimit

COUNT, SIDE = FREE_NUMBERS + 1, 2049  # numbers, or the square root of more than are free
ROW = torch.zeros(SIDE)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(SIDE, SIDE),
        lambda: torch.full((SIDE, SIDE), 1.0, device="cpu"),
        lambda: torch.rand((SIDE, SIDE), generator=torch.Generator()),
        lambda: torch.eye(SIDE),
        lambda: torch.arange(0, COUNT / 2, 0.5),
        lambda: torch.randperm(COUNT),
        lambda: torch.randint(2, (SIDE, SIDE)),
        lambda: torch.linspace(0, 1, COUNT),
        lambda: torch.logspace(0, 1, steps=COUNT),
        lambda: torch.fft.fftfreq(COUNT),
        lambda: ROW.repeat(SIDE),
        lambda: torch.tile(ROW, (SIDE,)),
        lambda: ROW.repeat_interleave(SIDE),
        lambda: ROW.expand(SIDE, -1).contiguous(),
        lambda: ROW.new_zeros(SIDE, SIDE),
        lambda: ROW.new_empty((SIDE, SIDE)),
        lambda: ROW.new_ones((SIDE, SIDE)),
        lambda: ROW.new_full((SIDE, SIDE), 1.0),
        lambda: ROW[:, None] <= ROW,
        lambda: torch.stack([ROW] * SIDE),
        lambda: [torch.zeros(SIDE) for _ in range(SIDE)],
    ],
)
def test_more_numbers_than_weights_account_for_are_refused(make: Callable[[], Any]) -> None:
    with AllocationLimit(COUNT // MAX_NUMBERS_PER_WEIGHT + 1):
        make()
    with pytest.raises(UserError, match="a larger network than its weights are of"), AllocationLimit(0):
        make()


def test_views_are_free_and_draws_are_those_of_their_generator() -> None:
    expected = torch.rand(5, generator=torch.Generator().manual_seed(1))
    with AllocationLimit(0):
        ROW.expand(SIDE, -1).unsqueeze(0).transpose(0, 1)
        draws = torch.rand(5, generator=torch.Generator().manual_seed(1), device=torch.device("cpu"))
        drawn_in_place = torch.empty(5).uniform_(generator=torch.Generator().manual_seed(1))
    assert torch.equal(draws, expected) and torch.equal(drawn_in_place, expected)
