"""A name of any characters can be given to every option that takes names, in one way."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.errors import UserError
from cosmoinfer.metrics.gates import parse_gate
from cosmoinfer.parameters import Parameters
from cosmoinfer.parameters.bounds import declared_priors, with_bounds
from cosmoinfer.quoting import quote, split, unquote, write
from cosmoinfer.reweighting import parse_changes
from tests.command_line import call, done

ODD = ("A,1", "x{0}", "k=0.1", "a:b", "c d", "p~q", "m@n", "w<0]", "{e}")


@pytest.mark.parametrize("name", [*ODD, "}", "{", " lead", "a}}b", "plain", "Omega_m"])
def test_a_quoted_name_comes_back_alone_and_in_a_list(name):
    assert unquote(quote(name)) == unquote(write(name)) == name
    for separator in ",=~@:":
        text = separator.join([write(name), quote(name), "z"])
        assert [unquote(item) for item in split(text, separator)] == [name, name, "z"]


def test_names_without_separators_need_no_braces():
    assert [write(name) for name in ("Omega_m", "10^9 A_s", "c d")] == ["Omega_m", "10^9 A_s", "c d"]
    assert split("x{0,1},b", ",") == ["x{0", "1}", "b"]  # a brace within a name quotes nothing


def odd_parameters() -> Parameters:
    return Parameters.from_names(ODD, [0.0] * len(ODD), [1.0] * len(ODD))


@pytest.mark.parametrize("name", ODD)
def test_bounds_priors_conditions_and_gates_take_every_name(name):
    quoted = quote(name)
    declared = with_bounds(odd_parameters(), f"{quoted}=1:4:log")
    column = ODD.index(name)
    assert (declared.low[column], declared.high[column], declared.prior[column]) == (1, 4, "log-uniform")
    assert declared_priors(f"{quoted}=1:4:log") == {name}
    assert odd_parameters().with_where([f"{quoted} < 0.5"]).conditions[0].names == (name,)
    (change,) = parse_changes([f"{quoted}=uniform:0.2:0.4"], ODD)
    assert (change.parameter, change.numbers) == (name, (0.2, 0.4))
    assert parse_gate(f"r2[{quoted}]<0.5").parameter == name


def test_correlations_of_odd_names():
    normals = odd_parameters().with_prior(["normal"] * len(ODD))
    tied = with_bounds(normals, "{p~q}~{A,1}=0.5")
    assert tied.correlation[ODD.index("p~q"), 0] == 0.5


COLUMNS = ("A,1", "x{0}", "k=0.1")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 rows: x = theta and noise, in two data sets with odd names, beside odd names of everything else."""
    path = tmp_path_factory.mktemp("odd") / "odd.h5"
    random = np.random.default_rng(0)
    theta = random.random((300, 3))
    with h5py.File(path, "w") as file:
        parameters = file.create_dataset("par,ams", data=theta)
        parameters.attrs["names"], parameters.attrs["low"], parameters.attrs["high"] = COLUMNS, [0.0] * 3, [1.0] * 3
        file["data/pk,1"] = np.repeat(theta, 2, axis=1) + 0.05 * random.normal(size=(300, 6))
        file["data/m@p{0}"] = random.normal(size=(300, 8, 4))
        file["{0}"] = np.arange(6) * 0.1
        file["{ids}"] = np.arange(300) // 2
        file["classes/a=b"] = (theta[:, 0] > 0.5).astype(int)
    return path


SPECTRA = ["--parameters", "{par,ams}", "--data", "{data/pk,1}"]
SPECTRA_IN_PYTHON = {"parameters": "par,ams", "data": ["data/pk,1"]}
OPTIONS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "data": ([], {}),
    "kind": (["--data", "data/m@p{0}", "--kind", "{m@p{{0}}}@profile"],
             {"data": ["data/pk,1", "data/m@p{0}"], "kind": {"m@p{0}": "profile"}}),
    "channels": (["--data", "{data/m@p{{0}}}", "--kind", "profile", "--channels", "{m@p{{0}}}@last"],
                 {"data": ["data/pk,1", "data/m@p{0}"], "kind": "profile", "channels": {"m@p{0}": "last"}}),
    "simulation": (["--simulation", "{{{ids}}}"], {"simulation": "{ids}"}),
    "names": (["--names", "{B,2},{y{{1}}},z"], {"names": ["B,2", "y{1}", "z"]}),
    "bounds": (["--bounds", "{A,1}=-1:2,{x{{0}}}=0:3,{k=0.1}=-0.5:1:normal:0:1"],
               {"bounds": {"A,1": (-1, 2), "x{0}": [0, 3], "k=0.1": "-0.5:1:normal:0:1"}}),
    "where": (["--where", "{A,1} + {x{{0}}} < 3"], {"where": ["{A,1} + {x{{0}}} < 3"]}),
    "infer": (["--infer", "{k=0.1},{A,1}"], {"infer": ["k=0.1", "A,1"]}),
    "scale_cut": (["--scale-cut", "{pk,1}@{{{0}}}<0.25"], {"scale_cut": {"pk,1": "{{{0}}}<0.25"}}),
    "target": (["--target", "{a=b}"], {"target": "a=b"}),
}  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_reading_takes_odd_names_in_braces_and_python_takes_them_plainly(catalog, option):
    arguments, settings = OPTIONS[option]
    read = cosmoinfer.read_catalog(catalog, **{**SPECTRA_IN_PYTHON, **settings})
    described = json.loads(done("inspect", catalog, "--json", *SPECTRA, *arguments))["contents"]
    for observable in read.observables:
        assert f"{observable.kind} {observable.row_shape}" in described[f"/{observable.name}"]
    assert read.observables[-1].row_shape == {"kind": (8, 4), "channels": (4, 8), "scale_cut": (3,)}.get(option, (6,))
    assert len(set(read.simulation)) == (150 if option == "simulation" else 300)
    expected = {
        "names": ("B,2", "y{1}", "z"),
        "infer": ("k=0.1", "A,1"),
        "target": ("a=b",),
    }.get(option, COLUMNS)
    assert read.parameters.names == expected
    if option == "bounds":
        assert read.parameters.low.tolist() == [-1, 0, -0.5] and read.parameters.prior[2] == "normal"
        assert "-1" in described["A,1"]
    if option == "where":
        assert read.parameters.conditions[0].names == ("A,1", "x{0}")
    if option == "scale_cut":
        assert read.observables[0].row_shape == (3,)


def test_a_whole_run_with_odd_names(catalog, tmp_path):
    """Train, sample, evaluate, reweight, derive, generate: names in braces; Python takes them plainly."""
    reading = ["--parameters", "{par,ams}", "--data", "{data/pk,1}"]
    small = [*reading, "--epochs", 2, "--flow", "maf", "--layers", 1, "--hidden", 8]
    flow, posterior = tmp_path / "flow.h5", tmp_path / "posterior.h5"
    done("train-flow", catalog, *small, "-o", flow)
    done("sample", flow, catalog, "--draws", 200, "-o", posterior)
    status, _, err = call("evaluate", posterior, "--fail-if", "r2[{k=0.1}]<2", "-o", tmp_path / "metrics.h5")
    assert status == 3 and "r2[k=0.1] is" in err
    status, _, err = call("evaluate", posterior, "--fail-if", "fom[{A,1},{x{{0}}}]<1e9", "-o", tmp_path / "metrics.h5")
    assert status == 3 and "fom[{A,1},{x{{0}}}] is" in err
    done("reweight", posterior, "--prior", "{A,1}=uniform:0:1", "--where", "{x{{0}}}<{k=0.1}+1",
         "--derive", "{S,8}={A,1}*{x{{0}}}", "--skip-failed", "-o", tmp_path / "reweighted.h5")  # fmt: skip
    written = cosmoinfer.read_posterior(tmp_path / "reweighted.h5")
    plain = cosmoinfer.reweight(
        posterior,
        prior={"A,1": "uniform:0:1"},
        where="{x{{0}}}<{k=0.1}+1",
        derive={"S,8": "{A,1}*{x{{0}}}"},
        skip_failed=True,
    )
    assert written.parameters.names == plain.parameters.names == (*COLUMNS, "S,8")
    np.testing.assert_array_equal(written["S,8"], plain["S,8"])
    density = tmp_path / "density.h5"
    done("train-density", catalog, *small, "-o", density)
    done("generate", density, "--at", "{A,1}=0.5,{x{{0}}}=0.4,{k=0.1}=0.3", "--draws", 3, "-o", tmp_path / "new.h5")
    with h5py.File(tmp_path / "new.h5") as file:
        np.testing.assert_allclose(file["parameters"][0], [0.5, 0.4, 0.3])


def test_names_that_a_message_lists_can_be_copied():
    with pytest.raises(UserError, match=r"there are a, \{b,c\}$"):
        Parameters.from_names(("a", "b,c"), where=["1 < 2"])
