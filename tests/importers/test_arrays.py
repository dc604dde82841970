"""Arrays of numpy and torch, and tables of text, as other people write them, are the same catalog as one in HDF5."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import cosmoinfer
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from tests.command_line import call, done, linear, refused

NAMES = "Omega_m,sigma_8"
BOUNDS = "Omega_m=0.1:0.5,sigma_8=0.6:1.0"
THETA, X = linear(40, 1, features=3)
TEXTS: dict[str, Callable[[], str]] = {
    "plain": lambda: _text(THETA),
    "Windows line ends": lambda: _text(THETA).replace("\n", "\r\n"),
    "a comment of names": lambda: "#Omega_m   sigma_8\n" + _text(THETA),
    "a header with units": lambda: "Omega_m [-], sigma_8 [-]\n" + _text(THETA, ","),
    "comments": lambda: "% of the run\n# second\n" + _text(THETA) + "# end\n\n",
    "a byte order mark": lambda: "\ufeffOmega_m;sigma_8\n" + _text(THETA, ";"),
    "ids": lambda: "sim,Omega_m,sigma_8\n" + _text(np.c_[np.arange(len(THETA)), THETA], ","),
    "an index of pandas": lambda: ",Omega_m,sigma_8\n" + _text(np.c_[np.arange(len(THETA)), THETA], ","),
}
ARRAYS: dict[str, Callable[[Path], object]] = {
    "C order": lambda path: np.save(path, X),
    "Fortran order": lambda path: np.save(path, np.asfortranarray(X)),
    "big-endian": lambda path: np.save(path, X.astype(">f8")),
    "version 2": lambda path: _save_version_2(path),
}


def _text(values: np.ndarray, delimiter: str = " ") -> str:
    return "".join(delimiter.join(f"{number:.17g}" for number in row) + "\n" for row in values)


def _save_version_2(path: Path) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array(file, X, version=(2, 0))


def expected(folder: Path) -> Catalog:
    """The same rows from HDF5."""
    with h5py.File(folder / "expected.h5", "w") as file:
        file["parameters"], file["data"] = THETA, X
    return cosmoinfer.read_catalog(folder / "expected.h5", names=NAMES, bounds=BOUNDS)


def read(path: Path, **settings: object) -> Catalog:
    return cosmoinfer.read_catalog(path, **{"names": NAMES, "bounds": BOUNDS, **settings})


def imported(path: Path, *options: object) -> Catalog:
    """What the command makes of it."""
    output = path.with_name("imported.h5")
    done("import", path, "--names", NAMES, "--bounds", BOUNDS, *options, "-o", output, "--force")
    return cosmoinfer.read_catalog(output)


def same(first: Catalog, second: Catalog) -> bool:
    return first.fingerprint == second.fingerprint and bool(first.fingerprint)


@pytest.mark.parametrize(
    ("array", "text"), [*((name, "plain") for name in ARRAYS), *(("C order", name) for name in TEXTS)]
)
def test_an_array_and_its_table_of_parameters_are_a_catalog(tmp_path: Path, array: str, text: str) -> None:
    ARRAYS[array](tmp_path / "x.npy")
    (tmp_path / "params.txt").write_text(TEXTS[text](), newline="")
    catalog = read(tmp_path / "x.npy", parameters=str(tmp_path / "params.txt"))
    assert same(catalog, expected(tmp_path))
    stored = imported(tmp_path / "x.npy", "--parameters", tmp_path / "params.txt")
    assert same(stored, catalog) and stored.selection_hash == catalog.selection_hash
    assert stored.parameters is not None and stored.parameters.labels == (r"\Omega_{\mathrm{m}}", r"\sigma_{8}")


def test_arrays_by_name_are_a_catalog(tmp_path: Path) -> None:
    np.savez(tmp_path / "usual.npz", theta=THETA, x=X)
    np.savez_compressed(tmp_path / "named.npz", labels=THETA, spectra=X, redshift=np.zeros(40))
    np.savez(tmp_path / "described.npz", params=THETA, data=X, names=np.array(NAMES.split(",")), simulation=range(40))
    torch.save({"theta": torch.from_numpy(THETA), "x": torch.from_numpy(X)}, tmp_path / "sbi.pt")
    torch.save((torch.from_numpy(THETA), torch.from_numpy(X)), tmp_path / "pair.pt")
    torch.save(torch.from_numpy(X), tmp_path / "x.pt")
    torch.save(torch.from_numpy(THETA), tmp_path / "theta.pt")
    for name in ("usual.npz", "described.npz", "sbi.pt", "pair.pt"):
        assert same(read(tmp_path / name), expected(tmp_path)), name
        assert same(imported(tmp_path / name), expected(tmp_path)), name
    with pytest.raises(UserError, match=r"holds labels \(40, 2\), spectra \(40, 3\), redshift \(40,\)"):
        read(tmp_path / "named.npz")
    assert same(read(tmp_path / "named.npz", parameters="labels", data=["spectra"]), expected(tmp_path))
    assert same(read(tmp_path / "x.pt", parameters=str(tmp_path / "theta.pt")), expected(tmp_path))


def test_a_table_holds_parameters_and_data(tmp_path: Path) -> None:
    path = tmp_path / "sims.csv"
    path.write_text("Omega_m,sigma_8,a,b,c\n" + _text(np.c_[THETA, X], ","))
    assert same(read(path), expected(tmp_path)) and same(imported(path), expected(tmp_path))
    with pytest.raises(UserError, match=r"has the columns Omega_m, sigma_8, a, b, c; `names=a,b` says which"):
        cosmoinfer.read_catalog(path)
    (tmp_path / "sims.dat").write_text(_text(np.c_[X, THETA]))
    with pytest.raises(UserError, match="has 5 columns without names; `columns=parameters=0:2,data=2:`"):
        read(tmp_path / "sims.dat")
    by_number = read(tmp_path / "sims.dat", columns="parameters=3:,data=:3")
    assert same(by_number, expected(tmp_path))
    two = read(tmp_path / "sims.dat", columns="parameters=3:5,pk=0:2,bk=2")
    assert [observable.name for observable in two.observables] == ["data/pk", "data/bk"]


SPELLINGS = {  # of a header, and of its names for options
    "Omega(m),sigma[8]": "Omega(m),sigma[8]",
    "Omega_m [-],H0 [km/s/Mpc]": "Omega_m,H0",
    "Omega_m  [-],H0 [km/s/Mpc] ": "Omega_m [-],H0 [km/s/Mpc]",
    '"A,1",{x}': "{A,1},{{{x}}}",
    "a=1,b:2": "{a=1},{b:2}",
    "a~b,a@b": "{a~b},a@b",
    "Omega m,$\\sigma_8$": "Omega m,$\\sigma_8$",
}


@pytest.mark.parametrize("header", SPELLINGS)
def test_names_are_taken_as_the_header_has_them(tmp_path: Path, header: str) -> None:
    path, names = tmp_path / "sims.csv", SPELLINGS[header]
    path.write_text(f"{header},x,y,z\n" + _text(np.c_[THETA, X], ","))
    by_names = read(path, names=names, bounds=None)
    by_columns = read(path, names=None, bounds=None, columns=f"parameters={names},data=2:")
    for catalog in (by_names, by_columns):
        np.testing.assert_array_equal(catalog.theta, THETA)
        assert catalog.observables[0].row_shape == (3,)
    (tmp_path / "p.csv").write_text(f"{header},w\n" + _text(np.c_[THETA, THETA[:, 0]], ","))
    np.save(tmp_path / "x.npy", X)
    apart = read(tmp_path / "x.npy", parameters=str(tmp_path / "p.csv"), names=names, bounds=None)
    np.testing.assert_array_equal(apart.theta, THETA)
    assert apart.parameters is not None and by_names.parameters is not None
    assert apart.parameters.names == by_names.parameters.names


def test_names_that_a_header_lacks_are_refused_by_those_that_it_has(tmp_path: Path) -> None:
    (tmp_path / "sims.csv").write_text('Omega(m),"sigma,8",x,x,z\n' + _text(np.c_[THETA, X], ","))
    lacks = r"has no column Omega_m; there are Omega\(m\), {sigma,8}, x, z; did you mean Omega\(m\)\?"
    with pytest.raises(UserError, match=lacks):
        read(tmp_path / "sims.csv")
    with pytest.raises(UserError, match="2 columns have the name 'x'; a number says which"):
        read(tmp_path / "sims.csv", names=None, bounds=None, columns="parameters=0:2,data=x")
    with pytest.raises(UserError, match="a name that holds , = : @ or ~ stands in braces"):
        read(tmp_path / "sims.csv", names=None, bounds=None, columns="parameters=a=1,data=x")


def test_several_files_are_several_observables(tmp_path: Path) -> None:
    np.save(tmp_path / "pk.npy", X)
    np.save(tmp_path / "bk.npy", X[:, :2])
    np.save(tmp_path / "theta.npy", THETA)
    done(
        "import",
        tmp_path / "pk.npy",
        tmp_path / "bk.npy",
        "--parameters",
        tmp_path / "theta.npy",
        "-o",
        tmp_path / "both.h5",
    )
    catalog = cosmoinfer.read_catalog(tmp_path / "both.h5")
    assert {observable.name: observable.row_shape for observable in catalog.observables} == {
        "data/bk": (2,),
        "data/pk": (3,),
    }


REFUSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "objects": (lambda path: np.save(path / "x.npy", np.array([{}, 1], dtype=object)), "is no .npy file of numbers"),
    "truncated": (lambda path: (path / "x.npy").write_bytes((path / "x.npy").read_bytes()[:200]), "or a truncated one"),
    "too few": (
        lambda path: (path / "p.txt").write_text(_text(THETA[:-1])),
        "expected 40 rows, one a row of the data, found 39",
    ),
    "ragged": (lambda path: (path / "p.txt").write_text("1 2\n3\n"), "line 2 has 1 columns, those before it 2"),
    "no numbers": (lambda path: (path / "p.txt").write_text("# nothing\n"), "holds no numbers, only comments"),
    "three columns": (lambda path: (path / "p.txt").write_text(_text(X)), "has 3 columns, `names` has 2"),
    "absent": (lambda path: (path / "p.txt").unlink(), "no such file"),
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path: Path, fault: str) -> None:
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "p.txt").write_text(_text(THETA))
    write, complaint = REFUSALS[fault]
    write(tmp_path)
    with pytest.raises(UserError) as caught:
        read(tmp_path / "x.npy", parameters=str(tmp_path / "p.txt"))
    assert complaint in caught.value.message, caught.value.message
    assert complaint.replace("`names`", "--names") in refused(
        "import", tmp_path / "x.npy", "--parameters", tmp_path / "p.txt", "--names", NAMES, "-o", tmp_path / "out.h5"
    )
    assert not (tmp_path / "out.h5").exists()


class Executed:
    """Unpickled, it would leave a mark."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path("executed").touch, ()


def test_a_pickle_is_never_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"theta": Executed(), "x": torch.from_numpy(X)}, "sims.pt")
    with pytest.raises(UserError, match="can be read without executing it"):
        read(Path("sims.pt"))
    with pytest.raises(UserError, match="pickle, which executes what it holds"):
        read(Path("sims.pkl"))
    assert not Path("executed").exists()


def test_a_folder_and_a_source_too_large_for_memory_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4000, 3000)))
    np.save(tmp_path / "theta.npy", np.zeros((4000, 2)))
    assert f"is a folder; name a file of it, as {tmp_path}/" in refused("import", tmp_path)
    line = refused("run", tmp_path / "x.npy", "--parameters", tmp_path / "theta.npy", "--memory", "100MB")
    assert "need 288MB of memory" in line and "cosmoinfer import" in line and "--output sims.h5" in line


def test_an_import_is_repeated_replaced_or_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "sims.npz", theta=THETA, x=X)
    output = tmp_path / "sims.h5"
    assert "40 rows of 40 simulations" in call("import", tmp_path / "sims.npz", "-o", output)[2]
    before = output.read_bytes()
    assert "complete already" in call("import", tmp_path / "sims.npz", "-o", output)[2]
    np.savez(tmp_path / "sims.npz", theta=THETA, x=X + 1)
    assert "exists already, from other data" in refused("import", tmp_path / "sims.npz", "-o", output)
    assert output.read_bytes() == before
    done("import", tmp_path / "sims.npz", "-o", output, "--force")
    assert output.read_bytes() != before
    assert "is HDF5, which every command reads" in refused("import", output, "-o", tmp_path / "again.h5")


def test_data_alone_are_told_how_their_parameters_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    message = "x.npy: has no /parameters; expected a catalog with parameters, found observations; --parameters FILE"
    assert message in refused("train-flow", tmp_path / "x.npy", "-o", tmp_path / "flow.h5")


OBSERVATIONS: dict[str, Callable[[Path], object]] = {
    "row.txt": lambda path: path.write_text(_text(X[:1])),
    "column.txt": lambda path: path.write_text(_text(X[0][:, None])),
    "at.txt": lambda path: path.write_text("# k [h/Mpc]  Pk\r\n" + _text(np.c_[[0.1, 0.2, 0.3], X[0]])),
    "named.csv": lambda path: path.write_text("a,b,c\n" + _text(X[:1], ",")),
    "one.npy": lambda path: np.save(path, X[0]),
    "one.npz": lambda path: np.savez(path, x=X[:1]),
    "one.pt": lambda path: torch.save(torch.from_numpy(X[0]), path),
}


AT = np.c_[np.arange(1, 9), np.arange(8)]
OF_ANOTHER_SIZE = {  # than that of a model of three numbers
    "three.txt": (_text(np.c_[X[0], X[0], X[0], X[0]]), "columns coordinate=0,data=1 says which column is the data"),
    "eight.txt": (
        "# k  P(k)\n" + _text(AT),
        "has 8 lines of 2 columns (k, P(k)) for a model that takes 3 numbers; expected 3 columns of data, one line an "
        "observation, or 3 lines, of which --columns coordinate=0,data=1 says where the data are",
    ),
    "column.dat": (_text(AT[:, 1:]), "has 8 lines of 1 column for a model that takes 3 numbers"),
    "wide.txt": (_text(np.ones((2, 5))), "has 2 lines of 5 columns for a model that takes 3 numbers"),
    "ids.csv": ("id,a,b,c,error\n7,1,2,3,4\n", "--columns data=1:4 chooses columns"),
}


def test_a_model_of_a_table_takes_observations_without_its_parameters(tmp_path: Path) -> None:
    theta, x = linear(200, 3, features=3)
    (tmp_path / "sims.txt").write_text(_text(np.c_[theta, x]))
    columns, quick = "parameters=0:2,data=2:", {"flow": "maf:hidden=4,layers=1", "epochs": 1, "ensemble": 1}
    settings = {"names": NAMES, "bounds": BOUNDS, "columns": columns, "support": "probit"}
    model = cosmoinfer.train_flow(tmp_path / "sims.txt", **settings, **quick)
    means = []
    for name, text in (("row", _text(X[:1])), ("column", _text(X[0][:, None])), ("at", _text(np.c_[AT[:3, 0], X[0]]))):
        (tmp_path / f"{name}.txt").write_text(text)
        means.append(cosmoinfer.sample(model, tmp_path / f"{name}.txt", draws=20)["Omega_m"].mean())
    np.testing.assert_allclose(means, means[0], rtol=1e-6)
    (tmp_path / "eight.txt").write_text(_text(AT))
    with pytest.raises(UserError, match="has 8 lines of 2 columns for a model that takes 3 numbers"):
        cosmoinfer.sample(model, tmp_path / "eight.txt")


@pytest.mark.parametrize("source", ["table", "catalog"])
def test_columns_of_other_names_or_in_another_order_are_not_taken_by_their_place(tmp_path: Path, source: str) -> None:
    theta, x = linear(60, 1, features=3)
    table, model = tmp_path / "sims.csv", tmp_path / "model.h5"
    table.write_text("Omega_m,sigma_8,k0,k1,k2\n" + _text(np.c_[theta, x], ","))
    options = ["--names", NAMES, "--bounds", BOUNDS]
    if source == "catalog":
        done("import", table, *options, "-o", tmp_path / "sims.h5")
        table, options = tmp_path / "sims.h5", []
    done("train-regressor", table, *options, "--scale-cut", "0:3", "--epochs", "1", "-o", model, "--threads", "1")
    numbers = _text(x[:1], ",")
    by_name = {"k0,k1,k2\n": "", "": "", "q,k1,k2\n": "q", "k1,k0,k2\n": "k1"}
    observed = tmp_path / "observed.csv"
    for number, (header, found) in enumerate(by_name.items()):
        observed.write_text(header + numbers)
        command = ("sample", model, observed, "--draws", "50", "--threads", "1", "-o", tmp_path / f"{number}.h5")
        if not found:
            done(*command)
            continue
        message = refused(*command)
        assert f"column 0 of /data is {found}, and the model was trained on k0" in message
        if found == "k1":
            assert "--columns data=k0,k1,k2 orders them by name" in message
            done(*command, "--columns", "data=k0,k1,k2")


def test_every_command_takes_a_source(tmp_path: Path) -> None:
    path, quick = tmp_path / "sims.csv", ("--flow", "maf:hidden=4,layers=1", "--epochs", 1, "--ensemble", 1)
    theta, x = linear(200, 3, features=3)
    path.write_text("Omega_m,sigma_8,a,b,c\n" + _text(np.c_[theta, x], ","))
    settings = ("--names", NAMES, "--bounds", BOUNDS)
    shown = " ".join(call("inspect", path, *settings, "--audit")[1].split())  # a long path folds the title
    assert "200 rows of 200 simulations" in shown
    done("run", path, *settings, *quick, "--support", "probit", "--draws", 50, "-o", tmp_path / "results")
    flow = tmp_path / "results" / "flow.h5"
    assert (tmp_path / "results" / "metrics.h5").exists() and list((tmp_path / "results" / "figures").iterdir())
    done("import", path, *settings, "-o", tmp_path / "sims.h5")
    for name, catalog in (("direct", path), ("stored", tmp_path / "sims.h5")):
        done("sample", flow, catalog, "--draws", 20, "-o", tmp_path / f"{name}.h5")
    direct, stored = (cosmoinfer.read_posterior(tmp_path / f"{name}.h5") for name in ("direct", "stored"))
    np.testing.assert_array_equal(direct.samples, stored.samples)
    means = []
    for name, write_observation in OBSERVATIONS.items():
        write_observation(tmp_path / name)
        done("sample", flow, tmp_path / name, "--draws", 20, "-o", tmp_path / f"{name}.h5")
        posterior = cosmoinfer.read_posterior(tmp_path / f"{name}.h5")
        assert len(posterior) == 1
        means.append(posterior["Omega_m"].mean())
    np.testing.assert_allclose(means, means[0], rtol=1e-6)
    for name, (values, complaint) in OF_ANOTHER_SIZE.items():
        (tmp_path / name).write_text(values)
        assert complaint in refused("sample", flow, tmp_path / name), name
    assert "applies to tables of text" in refused("split", tmp_path / "sims.h5", "--columns", "data=0")
    assert "is no HDF5; cosmoinfer import" in refused("repack", path, *settings)
