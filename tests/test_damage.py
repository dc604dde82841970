"""Any byte of any kept file is another, or its end is missing: one line, or the same numbers."""

from functools import lru_cache
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from cosmoinfer import __version__
from cosmoinfer.errors import UserError
from tests.kept.numbers import KEPT, USES

FOLDER = KEPT / __version__
numbers = lru_cache(lambda name: repr(USES[name](FOLDER / name)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the catalogs that the models take."""
    damaged = tmp_path_factory.mktemp("damaged")
    for name in ("sims.h5", "rigid.h5"):
        (damaged / name).write_bytes((FOLDER / name).read_bytes())
    return damaged


def one_line_or(path: Path, expected: str) -> bool:
    """Whether reading ends in an error; else its numbers are compared."""
    try:
        assert repr(USES[path.name](path)) == expected
    except UserError as error:
        assert len(str(error).splitlines()) == 1
        return True
    return False


@pytest.mark.parametrize("name", USES)
@hypothesis.given(data=st.data())
def test_a_byte_that_is_another(folder: Path, name: str, data: st.DataObject) -> None:
    content = bytearray((FOLDER / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1), "byte")] ^= data.draw(st.integers(1, 255), "change")
    (folder / name).write_bytes(content)
    one_line_or(folder / name, numbers(name))


@pytest.mark.parametrize("name", USES)
@hypothesis.given(data=st.data())
def test_an_end_that_is_missing(folder: Path, name: str, data: st.DataObject) -> None:
    content = (FOLDER / name).read_bytes()
    (folder / name).write_bytes(content[: data.draw(st.integers(0, len(content) - 1), "size")])
    assert one_line_or(folder / name, numbers(name))
