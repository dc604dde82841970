"""Encodings: packed values, fill values, axes, complex numbers; whole, and by rows that stay in their file."""

import h5py
import numpy as np
import pytest

from cosmoinfer.storage import DatasetHandle
from cosmoinfer.storage.encoding import PLAIN, ComplexForm, Encoding, RowAxis

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(5, 4)).astype(np.float32)
COMPLEX = (RNG.normal(size=(5, 4)) + 1j * RNG.normal(size=(5, 4))).astype(np.complex64)
MAPS = COMPLEX[:, :, None] * np.ones((1, 1, 3), np.complex64)
PACKED = np.array([[-32767, 0, 5], [7, -32767, 9]], np.int16)
PAIRS = np.zeros((5, 4), [("re", "f8"), ("im", "f8")])
PAIRS["re"], PAIRS["im"] = COMPLEX.real, COMPLEX.imag
NAN = np.nan


@pytest.mark.parametrize(
    ("stored", "encoding", "expected"),
    [
        (REAL, PLAIN, REAL),
        (REAL, Encoding(scale=2.0, offset=1.0), REAL * np.float64(2) + 1),
        (PACKED, Encoding(scale=0.5), PACKED * 0.5),
        (PACKED, Encoding(offset=10.0), PACKED + 10.0),
        (PACKED, Encoding(scale=0.5, fill_values=(-32767,)), np.array([[NAN, 0, 2.5], [3.5, NAN, 4.5]])),
        (PACKED, Encoding(fill_values=(-32767, 9)), np.array([[NAN, 0, 5], [7, NAN, NAN]])),
        (np.array([[1e20, 1.0]], np.float32), Encoding(fill_values=(1e20,)), np.array([[NAN, 1]], np.float32)),
        (np.array([[-1, 2]], np.int8), Encoding(unsigned=True), np.array([[255, 2]], np.uint8)),
        (np.array([[-1, 2]], np.int8), Encoding(unsigned=True, fill_values=(-1,)), np.array([[NAN, 2.0]])),
        (np.array([[True, False]]), PLAIN, np.array([[1, 0]], np.uint8)),
        (REAL, Encoding(RowAxis.LAST), REAL.T),
        (MAPS.real, Encoding(RowAxis.LAST), MAPS.real.transpose(2, 1, 0)),
        (REAL, Encoding(RowAxis.ABSENT), REAL[None]),
        (REAL[0], Encoding(RowAxis.ABSENT), REAL[:1]),
        (REAL[0], Encoding(RowAxis.ONLY), REAL[0][:, None]),
        (COMPLEX, Encoding(complex_form=ComplexForm.AMPLITUDE), np.abs(COMPLEX)),
        (PAIRS, Encoding(complex_form=ComplexForm.AMPLITUDE), np.abs(COMPLEX.astype(np.complex128))),
        (COMPLEX, Encoding(complex_form=ComplexForm.PARTS), np.concatenate([COMPLEX.real, COMPLEX.imag], axis=1)),
        (MAPS, Encoding(complex_form=ComplexForm.CHANNELS), np.stack([MAPS.real, MAPS.imag], axis=1)),
        (
            COMPLEX,
            Encoding(RowAxis.LAST, complex_form=ComplexForm.PARTS),
            np.concatenate([COMPLEX.T.real, COMPLEX.T.imag], axis=1),
        ),
    ],
)
def test_values_are_decoded_alike_in_memory_and_by_rows_of_a_file(tmp_path, stored, encoding, expected):
    decoded = encoding.decode(stored)
    np.testing.assert_array_equal(decoded, expected)
    assert decoded.dtype == expected.dtype == encoding.dtype(stored.dtype)
    assert decoded.shape == encoding.shape(stored.shape)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = stored
    handle = DatasetHandle(tmp_path / "x.h5", "x", encoding=encoding)
    assert (handle.shape, handle.dtype) == (expected.shape, expected.dtype)
    for start in range(len(handle)):
        np.testing.assert_array_equal(handle.read(start, start + 2), expected[start : start + 2])


def test_a_block_of_reversed_axes_is_a_chunk_of_the_last_one(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=np.zeros((3, 1000)), chunks=(3, 10))
    handle = DatasetHandle(tmp_path / "x.h5", "x", encoding=Encoding(RowAxis.LAST))
    assert len(handle) == 1000 and handle.rows_per_block(24 * 30) == 30
