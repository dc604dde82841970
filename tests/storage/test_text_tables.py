"""Tables of text: headers as codes write them, with units, and numbers with decimal commas."""

from pathlib import Path

import numpy as np
import pytest

from cosmoinfer.errors import UserError
from cosmoinfer.storage import load_table

SPACES, COMMAS, TABS = "0.1 2\n0.2 3\n", "0.1,2\n0.2,3\n", "0.1\t2\n0.2\t3\n"
HEADERS: dict[str, tuple[str, tuple[str, ...]]] = {  # what names the columns, above which numbers
    "# k [h/Mpc], P(k) [(Mpc/h)^3]\n" + SPACES: ("k", "P(k)"),
    "# k [h/Mpc], P(k) [(Mpc/h)^3]\n" + COMMAS: ("k", "P(k)"),
    "# k [h,Mpc], P(k) [(Mpc,h)^3]\n" + COMMAS: ("k", "P(k)"),
    "# k [h Mpc^-1]  P [Mpc^3 h^-3]\n" + SPACES: ("k", "P"),
    "k [h Mpc^-1]\tP(k) [Mpc^3 h^-3]\n" + TABS: ("k", "P(k)"),
    "k [h/Mpc], P(k) [(Mpc/h)^3]\n" + SPACES: ("k", "P(k)"),
    "k P(k)\n" + COMMAS: ("k", "P(k)"),
    "k[h/Mpc] P[Mpc^3]\n" + SPACES: ("k", "P"),
    "# k (h/Mpc)  P(k) ((Mpc/h)^3)\n" + SPACES: ("k", "P(k)"),
    "# Spectrum\n#    1:k (h/Mpc)       2:P (Mpc/h)^3\n" + SPACES: ("k", "P"),
    "sigma[8],Omega(m)\n" + COMMAS: ("sigma[8]", "Omega(m)"),
    "# pk[0]  pk[1]\n" + SPACES: ("pk[0]", "pk[1]"),
    "a [1], b []\n" + COMMAS: ("a", "b"),
    '"k [h, Mpc]","P(k), z=0"\n' + COMMAS: ("k", "P(k), z=0"),
    "# (1) k\n# (2) P\n" + SPACES: (),
    "# of a run that has\n" + SPACES: (),
}
COMMAS_IN_NUMBERS = {  # lines, and what is named
    "0,31;0,82\n0,32;0,83\n": "line 1 holds '0,31'",
    "k;P\n0,31;0,82\n0,32;0,83\n": "line 2 holds '0,31'",
    "# k P\n0,31 0,82\n0,32 0,83\n": "line 2 holds '0,31'",
    "0,31\t0,82\n": "line 1 holds '0,31'",
    "1;0,82\n2;0,83\n": "line 1 holds '0,82'",
    "1,5e-3; 2,5e+4\n": "line 1 holds '1,5e-3'",
    "-0,31   1\n": "line 1 holds '-0,31'",
    "1 1\n1 2\n1 0,82\n1 0,83\n": "line 3 holds '0,82'",
    "0,31\n0,05\n": "line 2 holds '0,05'",
    "1,000.5 2\n1,000.6 3\n": "line 1 holds '1,000.5'",
}
BETWEEN_COLUMNS = ("1,2\n3,4\n", "1, 2\n3, 4\n", "1 ,2\n3 ,4\n", "1,\t2\n3,\t4\n", "a b,1,2\na c,3,4\n")


@pytest.mark.parametrize("text", HEADERS)
def test_names_of_columns_are_without_units(tmp_path: Path, text: str) -> None:
    (tmp_path / "table.txt").write_text(text)
    table = load_table(tmp_path / "table.txt")
    assert table.names == HEADERS[text]
    np.testing.assert_array_equal(table.values, [[0.1, 2], [0.2, 3]])


@pytest.mark.parametrize(("line", "name"), [("log SFR [Msun/yr]", "log SFR"), ("log SFR", "log SFR"), ("k", "k")])
def test_one_column_has_one_name(tmp_path: Path, line: str, name: str) -> None:
    (tmp_path / "table.txt").write_text(f"{line}\n1\n2\n")
    table = load_table(tmp_path / "table.txt")
    assert table.names == (name,) and table.values.shape == (2, 1)


def test_a_header_of_another_number_of_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.txt").write_text("k P err\n" + SPACES)
    with pytest.raises(
        UserError, match="has 3 names in its first line and 2 columns; expected a name each, between co"
    ):
        load_table(tmp_path / "table.txt")


@pytest.mark.parametrize("text", COMMAS_IN_NUMBERS)
def test_decimal_commas_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        load_table(tmp_path / "table.csv")
    assert f"{COMMAS_IN_NUMBERS[text]}: decimal commas" in caught.value.message


@pytest.mark.parametrize("text", BETWEEN_COLUMNS)
def test_commas_between_columns_are_no_decimal_commas(tmp_path: Path, text: str) -> None:
    (tmp_path / "table.csv").write_text(text)
    np.testing.assert_array_equal(load_table(tmp_path / "table.csv").values[:, -2:], [[1, 2], [3, 4]])
