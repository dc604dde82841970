"""Draws that leave as files of other tools come back, read by those tools, with equal values, names and labels."""

import csv
import warnings
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import getdist
import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer import posterior as posteriors
from cosmoinfer import reweighting
from cosmoinfer.errors import UserError
from cosmoinfer.exporters import EXPORTERS
from cosmoinfer.latex import latex_label
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import ClassProbabilities, Draws, Posterior
from tests.command_line import call, done, refused

NAMES = ("Omega_m", "sigma_8", "h")
LABELS = (r"\Omega_{\mathrm{m}}", r"\sigma_{8}", "h")
ROWS = (3, 7)
COUNT = 400
PARAMETERS = Parameters.from_names(NAMES, (0.1, 0.6, -np.inf), (0.5, 1.0, np.inf))
HOSTILE = ("a b[km/s]", "a,b\n", '=1+"2"', "x/y", "Ω*?", "#!{", "a b[km s]", "row", "log_prob", "chain")


def make(parameters: Parameters = PARAMETERS, rows: tuple[int, ...] = ROWS, count: int = COUNT) -> Posterior:
    """Normal draws within the box, with their density up to a constant, and a derived parameter if there are three."""
    stream = np.random.default_rng(1)
    z = np.clip(stream.normal(size=(len(rows), count, len(parameters))), -3, 3)
    center = np.where(np.isfinite(parameters.low), parameters.low + 0.2, 0.7)
    draws = Draws(center + 0.02 * z, -0.5 * (z**2).sum(axis=-1))
    index = np.array(rows)
    return Posterior(
        parameters, index, index.astype(str), np.full(len(rows), 2, np.uint8), center + 0 * z[:, 0], None, draws
    )


POSTERIOR = reweighting.derive(make(), ["S_8=sigma_8*(Omega_m/0.3)**0.5"])
ALL_NAMES, ALL_LABELS = (*NAMES, "S_8"), (*LABELS, "S_{8}")


def optional(package: str) -> Any:
    """A package of the extra `export`, or the test is skipped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(package, reason="of the extra `export`")
        return import_module(package)


def exported(to: str, output: Path, posterior: Posterior = POSTERIOR, **settings: Any) -> list[Path]:
    return cosmoinfer.export(posterior, to, output=output, **settings)


def chain(root: Path) -> getdist.MCSamples:
    return getdist.loadMCSamples(str(root), no_cache=True)


# ---------------------------------------------------------------------------------------- what the tools read
@pytest.mark.parametrize("place", [0, 1])
def test_getdist_reads_what_it_would_be_handed(tmp_path: Path, place: int) -> None:
    exported("getdist", tmp_path / "nsf.posterior")
    loaded, handed = chain(tmp_path / f"nsf.posterior_row{ROWS[place]}"), POSTERIOR.to_getdist(place)
    samples = POSTERIOR.samples[place]
    for entry in (loaded, handed):
        np.testing.assert_array_equal(entry.samples, samples)
        np.testing.assert_array_equal(entry.loglikes, -POSTERIOR.log_prob[place])
        np.testing.assert_allclose(entry.getMeans(), samples.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(entry.sddev, samples.std(axis=0), rtol=1e-9)
        assert tuple(entry.paramNames.list()) == ALL_NAMES
        assert tuple(entry.paramNames.labels()) == ALL_LABELS
        assert [name.isDerived for name in entry.paramNames.names] == [False, False, False, True]
        assert entry.sampler == "uncorrelated" and entry.weights.sum() == COUNT
        assert (entry.ranges.getLower("Omega_m"), entry.ranges.getUpper("Omega_m")) == (0.1, 0.5)
        assert entry.ranges.getLower("h") is None and entry.ranges.getUpper("S_8") is None
    assert loaded.properties.bool("burn_removed")


def test_anesthetic_reads_a_root(tmp_path: Path) -> None:
    anesthetic = optional("anesthetic")
    exported("getdist", tmp_path / "nsf", rows="7")
    samples = anesthetic.read_chains(str(tmp_path / "nsf"))
    for column, name in enumerate(ALL_NAMES):
        np.testing.assert_array_equal(samples[name].to_numpy().ravel(), POSTERIOR.samples[1][:, column])
        assert samples.get_label(name) == f"${ALL_LABELS[column]}$"


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1]])
def test_arviz_reads_the_netcdf_file(tmp_path: Path, rows: tuple[int, ...]) -> None:
    arviz = optional("arviz")
    posterior = POSTERIOR.select(np.arange(len(rows)))
    (path,) = exported("arviz", tmp_path / "nsf.nc", posterior)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded, handed = arviz.from_netcdf(str(path)), posterior.to_arviz()
    for data in (loaded, handed):
        group = data["posterior"]
        assert group.sizes["chain"] == 1 and group.sizes["draw"] == COUNT
        for column, name in enumerate(ALL_NAMES):
            values = posterior.samples[:, :, column].T  # (S, n)
            np.testing.assert_array_equal(group[name].values[0].reshape(COUNT, -1), values)
            np.testing.assert_allclose(group[name].mean(("chain", "draw")).values.ravel(), values.mean(axis=0))
            np.testing.assert_allclose(group[name].std(("chain", "draw")).values.ravel(), values.std(axis=0))
            assert group[name].attrs["long_name"] == f"${ALL_LABELS[column]}$"
            assert group[name].dims == (("chain", "draw", "row") if len(rows) > 1 else ("chain", "draw"))
        np.testing.assert_array_equal(data["sample_stats"]["lp"].values[0].reshape(COUNT, -1), posterior.log_prob.T)
        if len(rows) > 1:
            assert group["row"].values.tolist() == list(rows)


def test_the_netcdf_file_has_dimension_scales(tmp_path: Path) -> None:
    (path,) = exported("arviz", tmp_path / "nsf.nc")
    with h5py.File(path) as file:
        axes = file["posterior/Omega_m"].dims
        assert [axis[0].name for axis in axes] == [f"/posterior/{name}" for name in ("chain", "draw", "row")]


@pytest.mark.parametrize("to", ["csv", "parquet"])
def test_pandas_reads_the_tables(tmp_path: Path, to: str) -> None:
    pandas = optional("pandas")
    if to == "parquet":
        optional("pyarrow")
    (path,) = exported(to, tmp_path / f"nsf.{to}")
    loaded = pandas.read_csv(path, float_precision="round_trip") if to == "csv" else pandas.read_parquet(path)
    for table in (loaded, POSTERIOR.to_pandas()):
        assert tuple(table.columns) == ("row", *ALL_NAMES, "log_prob")
        assert table["row"].tolist() == np.repeat(ROWS, COUNT).tolist()
        np.testing.assert_array_equal(table[list(ALL_NAMES)].to_numpy(), np.asarray(POSTERIOR.samples).reshape(-1, 4))
        np.testing.assert_array_equal(table["log_prob"].to_numpy(), np.asarray(POSTERIOR.log_prob).ravel())


def test_parquet_keeps_the_labels(tmp_path: Path) -> None:
    optional("pyarrow")
    (path,) = exported("parquet", tmp_path / "nsf.parquet")
    schema = import_module("pyarrow.parquet").read_schema(path)
    assert schema.field("Omega_m").metadata == {b"label": rb"\Omega_{\mathrm{m}}"}


def test_numpy_reads_the_arrays(tmp_path: Path) -> None:
    (path,) = exported("npz", tmp_path / "nsf.npz")
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["samples"], POSTERIOR.samples)
        np.testing.assert_array_equal(arrays["log_prob"], POSTERIOR.log_prob)
        np.testing.assert_array_equal(arrays["truth"], POSTERIOR.truth)
        assert arrays["names"].tolist() == list(ALL_NAMES) and arrays["labels"].tolist() == list(ALL_LABELS)
        assert arrays["row"].tolist() == list(ROWS) and arrays["derived"].tolist() == [False] * 3 + [True]
        assert arrays["low"].tolist() == [0.1, 0.6, -np.inf, -np.inf]


# ------------------------------------------------------------------------------------- names, labels, densities
@pytest.mark.parametrize(
    ("name", "label", "latex"),
    [
        ("Omega_m", "Omega_m", r"\Omega_{\mathrm{m}}"),
        ("Omega_m", r"$\Omega_\mathrm{m}$", r"\Omega_\mathrm{m}"),
        ("H_0 [km/s]", "H_0 [km/s]", r"H_{0}\ [\mathrm{km/s}]"),
        ("x", r"\hspace{1e9}", "x"),
        ("x", "x}{", "x"),
        ("my_name here", "my_name here", r"\mathrm{my\_name\ here}"),
        ("a\n#!b$", "a\n#!b$", r"\mathrm{a\ n\ \ b\$}"),
    ],
)
def test_labels_are_latex(name: str, label: str, latex: str) -> None:
    assert latex_label(name, label) == latex


@pytest.mark.parametrize("to", EXPORTERS)
def test_hostile_names_stay_names(tmp_path: Path, to: str) -> None:
    """Every format reads as many columns as were written, under different names."""
    posterior = make(Parameters.from_names(HOSTILE), rows=(5,), count=30)
    if to == "parquet":
        optional("pyarrow")
    lines: list[str] = []
    (*_, path) = exported(to, tmp_path / "x", posterior, reporter=cosmoinfer.Reporter(info=lines.append))
    assert {entry.name.partition(".")[0] for entry in tmp_path.iterdir()} == {"x"}
    samples = np.asarray(posterior.samples)[0]
    if to == "getdist":
        loaded = chain(tmp_path / "x")
        np.testing.assert_array_equal(loaded.samples, samples)
        assert len(set(loaded.paramNames.list())) == len(HOSTILE)
        assert "'a b[km/s]' is a_b_km_s" in lines[0]
    elif to == "csv":
        with path.open(newline="") as file:
            head, *body = csv.reader(file)
        assert head == ["row_", *HOSTILE, "log_prob_"]
        np.testing.assert_array_equal(np.array(body, dtype=np.float64)[:, 1:-1], samples)
    elif to == "arviz":
        with h5py.File(path) as file:
            names = list(file["posterior"])
            assert len(names) == len(HOSTILE) + 2 and {"x_y", "chain_"} <= set(names)
    elif to == "parquet":
        schema = import_module("pyarrow.parquet").read_schema(path)
        assert schema.names == ["row_", *HOSTILE, "log_prob_"]


@pytest.mark.parametrize("to", EXPORTERS)
def test_draws_without_density_are_exported(tmp_path: Path, to: str) -> None:
    if to == "parquet":
        optional("pyarrow")
    posterior = replace(make(rows=(5,)), draws=Draws(np.asarray(make(rows=(5,)).samples)))
    paths = exported(to, tmp_path / "x", posterior)
    if to == "csv":
        assert paths[0].read_text().startswith("row,Omega_m,sigma_8,h\n5,")
    if to == "getdist":
        np.testing.assert_array_equal(chain(tmp_path / "x").samples, posterior.samples[0])


def test_a_tool_takes_hostile_names_in_memory() -> None:
    posterior = make(Parameters.from_names(HOSTILE), rows=(5,), count=30)
    assert posterior.to_getdist().paramNames.numParams() == len(HOSTILE)
    optional("arviz")
    assert {"x_y", "chain_"} <= set(posterior.to_arviz()["posterior"].data_vars)


# ------------------------------------------------------------------------------------------------ output rules
@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nsf.posterior.h5"
    POSTERIOR.save(path)
    return path


@pytest.mark.parametrize("to", EXPORTERS)
def test_an_export_is_written_once_and_replaces_nothing_unasked(file: Path, to: str) -> None:
    if to == "parquet":
        optional("pyarrow")
    done("export", file, "--to", to)
    paths = {path: path.read_bytes() for path in file.parent.iterdir() if path != file}
    assert all(path.name.startswith("nsf.posterior") for path in paths)
    status, _, err = call("export", file, "--to", to)
    assert status == 0 and "complete already" in err
    assert {path: path.read_bytes() for path in file.parent.iterdir() if path != file} == paths
    first = sorted(paths)[0]
    first.write_text("of another tool")
    assert "exists already, with other content; --force replaces it" in refused("export", file, "--to", to)
    assert first.read_text() == "of another tool"
    done("export", file, "--to", to, "--force")
    assert {path: path.read_bytes() for path in file.parent.iterdir() if path != file} == paths


def test_files_of_this_tool_are_not_replaced(file: Path) -> None:
    other = file.with_name("other.h5")
    POSTERIOR.save(other)
    for path in (file, other):
        before = path.read_bytes()
        message = refused("export", file, "--to", "npz", "-o", path, "--force")
        assert "is read by this command" in message or "is a posterior file of this tool" in message
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--to", "getdists"), "'getdists' is not known; there are getdist, arviz, csv, npz, parquet; did you mean"),
        (("--to", "csv", "--rows", "5"), "has no row"),
        (("--to", "csv", "-o", "missing/x.csv"), "the folder missing does not exist"),
        (("--to", "csv", "-o", "."), "is a folder"),
        (("--to", "getdist", "-o", "."), "is a folder; name the root of its files"),
    ],
)
def test_what_cannot_be_exported_is_one_line(file: Path, arguments: tuple[str, ...], complaint: str) -> None:
    assert complaint in refused("export", file, *arguments)


@pytest.mark.parametrize("to", EXPORTERS)
def test_classes_and_points_have_no_draws_to_export(tmp_path: Path, to: str) -> None:
    classes = ClassProbabilities(("a", "b"), np.array([[0.2, 0.8]]))
    index = np.arange(1)
    posterior = Posterior(
        Parameters.from_names(["class"]), index, index.astype(str), index.astype(np.uint8), classes=classes
    )
    with pytest.raises(UserError, match="the posterior holds probabilities of classes"):
        exported(to, tmp_path / "x", posterior)
    for method in (posterior.to_getdist, posterior.to_arviz, posterior.to_pandas):
        with pytest.raises(UserError, match="probabilities of classes"):
            method()
    with pytest.raises(UserError, match=r"holds no observation|no draws"):
        exported(to, tmp_path / "x", Posterior.empty(PARAMETERS), rows="3")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_one_line_that_names_the_extra(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    imported = import_module

    def without(name: str, package: str | None = None) -> Any:
        if name.partition(".")[0] in ("pyarrow", "arviz", "pandas"):
            raise ImportError(f"No module named {name!r}")
        return imported(name, package)

    monkeypatch.setattr("cosmoinfer.exporters.packages.import_module", without)
    assert "pip install 'cosmoinfer[export]'" in refused("export", file, "--to", "parquet")
    for method, package in ((POSTERIOR.to_arviz, "arviz"), (POSTERIOR.to_pandas, "pandas")):
        with pytest.raises(UserError, match=f"requires {package}, which is not installed"):
            method()
    done("export", file, "--to", "arviz")
    done("export", file, "--to", "csv")


def test_draws_may_stay_in_their_file(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmoinfer.storage.out_of_core.MAX_IN_MEMORY_BYTES", 1)
    assert not isinstance(posteriors.read(file, leave_large=True).samples, np.ndarray)
    for to in ("csv", "getdist"):
        for path in (*exported(to, tmp_path / "disk", posteriors.read(file, leave_large=True)),):
            memory = path.with_name(path.name.replace("disk", "memory"))
            exported(to, tmp_path / "memory")
            assert path.read_bytes() == memory.read_bytes()


def test_a_row_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UserError, match="row: expected 0 to 1, found 2"):
        POSTERIOR.to_getdist(2)
