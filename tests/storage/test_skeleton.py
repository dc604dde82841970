"""A file in memory as ``io.BytesIO``, but that it takes no memory where nothing is written."""

import io
from pathlib import Path

import numpy as np

from cosmoinfer.storage.skeleton import Skeleton


def test_it_reads_and_writes_as_a_file_in_memory(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    skeleton, expected = Skeleton(), io.BytesIO()
    for _ in range(300):
        offset, size = int(generator.integers(100)), int(generator.integers(1, 40))
        values = generator.bytes(size)
        for file in (skeleton, expected):
            file.seek(offset)
            assert file.write(values) == size
        if generator.random() < 0.2:  # to less than was written
            for file in (skeleton, expected):
                assert file.truncate(offset) == offset
        assert skeleton.seek(0, io.SEEK_END) == expected.seek(0, io.SEEK_END)
        for file in (skeleton, expected):
            file.seek(offset // 2)
        rest = expected.read()
        assert skeleton.read(len(rest)) == rest
    with (tmp_path / "file").open("wb") as disk:
        skeleton.write_to(disk)
    assert (tmp_path / "file").read_bytes() == expected.getvalue()


def test_what_is_not_written_takes_no_memory() -> None:
    skeleton = Skeleton()
    skeleton.seek(10**15)
    skeleton.write(b"end")
    assert skeleton.seek(-4, io.SEEK_CUR) == 10**15 - 1
    assert skeleton.read(4) == b"\0end"
