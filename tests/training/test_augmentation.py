"""Symmetries of periodic boxes: every one is drawn, equally often, and none changes what a box is."""

from functools import reduce

import numpy as np
import pytest
import torch
from scipy import stats

from cosmoinfer.errors import UserError
from cosmoinfer.training.augmentation import Symmetries, motions, parse, transformed

ALL = Symmetries(rotations=True, mirrors=True, shifts=True)
TURNS, MIRRORS, SHIFTS = Symmetries(rotations=True), Symmetries(mirrors=True), Symmetries(shifts=True)
POINTS = Symmetries(rotations=True, mirrors=True)  # what leaves the centre where it is


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def once(symmetries: Symmetries, batch: torch.Tensor, *seeds: int) -> torch.Tensor:
    streams = generators(*seeds or (0,))
    return transformed([symmetries], [batch.unflatten(0, (len(streams), -1))], streams)[0].flatten(0, 1)


def box(*axes: int) -> torch.Tensor:
    """Every cell another number, (*axes)."""
    return torch.arange(float(np.prod(axes))).reshape(axes)


def copies(array: torch.Tensor, rows: int) -> torch.Tensor:
    return array.expand(rows, 1, *array.shape).clone()


def bytes_of(array: torch.Tensor) -> bytes:
    return array.contiguous().numpy().tobytes()


def generated(start: torch.Tensor, moves: list) -> set[bytes]:
    """All that the moves make of a box, again and again: their group, told by torch's own rot90, flip and roll."""
    elements, new = {}, [start]
    while new:
        elements |= {bytes_of(element): element for element in new}
        new = [move(element) for element in new for move in moves]
        new = [element for element in new if bytes_of(element) not in elements]
    return set(elements)


def turns(dimensions: int) -> list:
    planes = [(0, 1)] if dimensions == 2 else [(0, 1), (1, 2)]
    return [lambda array, plane=plane: array.rot90(1, plane) for plane in planes]


def mirrors(dimensions: int) -> list:
    return [lambda array, axis=axis: array.flip(axis) for axis in range(dimensions)]


def rolls(dimensions: int) -> list:
    return [lambda array, axis=axis: array.roll(1, axis) for axis in range(dimensions)]


# ------------------------------------------------------------------------------------------------------- the groups
@pytest.mark.parametrize(
    ("symmetries", "axes", "moves", "size"),
    [
        (POINTS, (3, 3), turns(2) + mirrors(2), 8),
        (TURNS, (3, 3), turns(2), 4),
        (MIRRORS, (3, 3), mirrors(2), 4),
        (SHIFTS, (3, 4), rolls(2), 12),
        (ALL, (3, 3), turns(2) + mirrors(2) + rolls(2), 72),
        (Symmetries(rotations=True, shifts=True), (2, 4), [lambda array: array.rot90(2), *rolls(2)], 16),
        (POINTS, (2, 3), mirrors(2), 4),  # no quarter turn of an oblong
        (TURNS, (2, 3), [lambda array: array.rot90(2)], 2),
        (POINTS, (2, 2, 2), turns(3) + mirrors(3), 48),
        (TURNS, (2, 2, 2), turns(3), 24),
        (MIRRORS, (2, 2, 2), mirrors(3), 8),
        (POINTS, (3, 3, 4), [lambda array: array.rot90(1, (0, 1)), *mirrors(3)], 16),
        (SHIFTS, (2, 3, 2), rolls(3), 12),
        (Symmetries(), (3, 3), [], 1),
    ],
    ids=lambda value: "moves" if isinstance(value, list) else str(value),
)
def test_every_element_is_drawn_equally_often_and_nothing_else(symmetries, axes, moves, size):
    array = box(*axes)
    expected = generated(array, moves)
    assert len(expected) == size
    rows = 200 * size
    drawn = [bytes_of(row[0]) for row in once(symmetries, copies(array, rows))]
    assert set(drawn) == expected
    counts = [drawn.count(element) for element in expected]
    assert size == 1 or stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("axes", [(16, 16), (8, 8, 8), (8, 12)], ids=str)
def test_a_symmetry_keeps_the_values_and_the_power_spectrum(axes):
    batch = torch.randn(40, 2, *axes, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moved = once(ALL, batch)
    torch.testing.assert_close(moved.flatten(2).sort().values, batch.flatten(2).sort().values, rtol=0, atol=0)
    squares = [(np.fft.fftfreq(length) * 24) ** 2 for length in axes]  # 24: whole numbers for 8 and 12
    shells = np.round(reduce(np.add.outer, squares)).astype(int).ravel()

    def spectra(fields: torch.Tensor) -> np.ndarray:
        """Auto spectra and the cross spectrum of the two channels, by exact |k|^2."""
        modes = np.fft.fftn(fields.numpy(), axes=range(2, 2 + len(axes))).reshape(len(fields), 2, -1)
        powers = [abs(modes[:, 0]) ** 2, abs(modes[:, 1]) ** 2, (modes[:, 0] * modes[:, 1].conj()).real]
        return np.array([[np.bincount(shells, weights=row) for row in power] for power in powers])

    np.testing.assert_allclose(spectra(moved), spectra(batch), rtol=1e-9, atol=1e-9)


def test_it_fires():
    """Of 64 maps of 16 x 16 cells one in 2,048 would stay as it is by chance."""
    batch = torch.randn(64, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    moved = once(ALL, batch)
    assert sum(torch.equal(original, turned) for original, turned in zip(batch, moved, strict=True)) <= 1
    assert not torch.equal(once(ALL, batch, 1), moved)


def test_an_open_box_is_not_rolled():
    """Cells that touch differ by 1 or 5; across the edges they differ by 4 or 20."""

    def steps(symmetries: Symmetries) -> set[float]:
        moved = once(symmetries, copies(box(5, 5), 200))
        return set(torch.cat([moved.diff(dim=axis).abs().flatten() for axis in (-1, -2)]).tolist())

    assert steps(POINTS) == {1, 5}
    assert steps(ALL) == {1, 4, 5, 20}


# ------------------------------------------------------------------------------------------------------ the streams
def test_the_same_seed_gives_the_same_maps():
    batch = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(once(ALL, batch, 3, 4), once(ALL, batch, 3, 4))


def test_a_member_draws_what_it_would_draw_alone():
    batch = torch.randn(3, 10, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    streams, alone = generators(5, 6, 7), generators(6)
    for _ in range(3):
        together = transformed([ALL], [batch], streams)[0]
        assert torch.equal(together[1], transformed([ALL], [batch[1:2]], alone)[0][0])
    assert not torch.equal(once(ALL, batch[0], 5), once(ALL, batch[0], 6))


# --------------------------------------------------------------------------------------------------- many summaries
def test_maps_of_one_row_move_together_whatever_their_resolution():
    fine = torch.randn(200, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    coarse = torch.nn.functional.avg_pool2d(fine, 2)
    squared = fine.square()
    vectors = torch.randn(1, 200, 5)
    batch = [fine[None], vectors, coarse[None], squared[None]]
    moved = transformed([ALL, Symmetries(), ALL, ALL], batch, generators(0))
    assert moved[1] is vectors and not torch.equal(moved[0], fine[None])
    assert torch.equal(moved[3], moved[0].square())
    torch.testing.assert_close(moved[2][0], torch.nn.functional.avg_pool2d(moved[0][0], 2))
    assert len({bytes_of(row) for row in once(ALL, copies(box(8, 8), 4000))}) == 8 * 64


def test_what_one_map_lacks_all_maps_of_the_row_lack():
    maps = copies(box(4, 4), 500)[None]
    moved = transformed([ALL, MIRRORS], [maps, maps], generators(0))
    assert torch.equal(*moved)
    assert {bytes_of(row[0]) for row in moved[0][0]} == generated(box(4, 4), mirrors(2))


def test_a_map_and_a_grid_of_one_row_move_apart():
    batch = [copies(box(3, 3), 300)[None], copies(box(3, 3, 3), 300)[None]]
    maps, grids = (rows[0] for rows in transformed([POINTS, POINTS], batch, generators(0)))
    assert {bytes_of(row[0]) for row in grids} == generated(box(3, 3, 3), turns(3) + mirrors(3))
    faces = {(bytes_of(row[0]), bytes_of(face[0, 0])) for row, face in zip(maps, grids, strict=True)}
    assert len(faces) > 100  # of 8 x 48


def test_groups_shrink_to_what_all_sizes_share():
    assert len(motions(ALL, ((8, 8), (4, 4)))) == 8
    assert len(motions(ALL, ((8, 8), (4, 6)))) == 4


# ------------------------------------------------------------------------------------------------------ the setting
def test_auto_is_all_for_maps_and_grids_and_shifts_where_periodic():
    kinds, periodic = ("vector", "profile", "map", "map", "grid"), (False, True, True, False, True)
    assert parse("auto", kinds, periodic) == (Symmetries(), Symmetries(), ALL, POINTS, ALL)
    assert parse("none", kinds, periodic) == (Symmetries(),) * 5
    assert parse("rotations, shifts", kinds, periodic)[2:4] == (Symmetries(True, False, True), TURNS)
    assert parse("auto", ("vector",), (False,)) == (Symmetries(),)
    assert [str(symmetries) for symmetries in (ALL, TURNS, Symmetries())] == [
        "rotations,mirrors,shifts",
        "rotations",
        "none",
    ]


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("spins", "map", r"augment: 'spins' is not known; there are auto, none, rotations, mirrors, shifts"),
        ("mirrors", "vector", "augment=mirrors: expected a map or grid among the observables, found vector"),
        ("rotations,shifts", "map", "augment=shifts: expected a periodic map or grid among the observables, found map"),
    ],
)
def test_a_symmetry_that_is_not_there_is_refused(text, kind, message):
    with pytest.raises(UserError, match=message):
        parse(text, (kind,), (False,))
