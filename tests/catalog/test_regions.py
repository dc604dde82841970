"""Catalogs whose prior is no box: how region, correlation and kinds of priors are declared, and must agree."""

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog, storage
from cosmoinfer.audit import audit_before_training, audit_catalog, value_ranges
from cosmoinfer.catalog import ReadOptions, from_arrays
from cosmoinfer.errors import UserError
from cosmoinfer.parameters import Parameters
from cosmoinfer.split import by_hash
from tests.command_line import call, done, refused

NAMES = ("w0", "wa")
BOX = {"names": NAMES, "low": [-3.0, -3.0], "high": [1.0, 2.0]}
WHERE = "w0+wa<0"
TRIANGLE = Parameters.from_names(**BOX, where=[WHERE])
THETA = TRIANGLE.quantile(TRIANGLE.joint_prior.draw_units(400, np.random.default_rng(0)))
DATA = THETA + np.random.default_rng(1).standard_normal(THETA.shape)


def write(path, theta=THETA, data=DATA, **attributes):
    with h5py.File(path, "w", libver="v110") as file:
        file["parameters"], file["data"] = theta, data
        file["parameters"].attrs.update(BOX | attributes)
    return path


@pytest.mark.parametrize("where", [WHERE, [WHERE], ["w0<0.999 and w0+wa<0", "wa>-4"]])
def test_a_file_declares_its_region(tmp_path, where):
    sims = catalog.read(write(tmp_path / "sims.h5", where=where))
    assert sims.parameters.where == ((where,) if isinstance(where, str) else tuple(where))
    assert sims.parameters.log_prior(np.zeros((1, 2)) - 1) == pytest.approx(-np.log(15.5), abs=2e-3)
    assert "where: " in repr(sims)


def test_the_option_adds_to_what_the_file_declares(tmp_path):
    path = write(tmp_path / "sims.h5", where=WHERE)
    sims = catalog.read(path, ReadOptions(where=("wa<2.5", WHERE)))
    assert sims.parameters.where == (WHERE, "wa<2.5")
    arrays = from_arrays(THETA, DATA, **BOX, where=WHERE)
    read = catalog.read(path)
    assert (arrays.fingerprint, arrays.selection_hash) == (read.fingerprint, read.selection_hash)
    assert from_arrays(THETA, DATA, **BOX).selection_hash != read.selection_hash
    with pytest.raises(UserError, match="replaces the parameters"):
        ReadOptions(where=(WHERE,), target="suite")


def test_rows_outside_the_region_are_refused_with_their_numbers(tmp_path):
    theta = THETA.copy()
    theta[[3, 7]] = 0.5
    path = write(tmp_path / "sims.h5", theta, where=WHERE)
    with pytest.raises(UserError, match=r"2 rows .* region where w0\+wa<0 \(row 3, 7\); w0 = 0.5, wa = 0.5"):
        catalog.read(path)
    status, _, err = call("inspect", path)
    assert status == 1 and "outside the region" in err
    assert "selects no rows" in refused("split", path)


def test_rows_in_single_precision_lie_in_their_region(tmp_path):
    edge = np.linspace(-1, 1, 400)
    theta = np.stack([edge, np.nextafter(-edge, -4)], axis=1).astype(np.float32)
    assert (theta.astype(np.float64).sum(axis=1) >= 0).any()
    catalog.read(write(tmp_path / "sims.h5", theta, where=WHERE))


def test_a_parameter_that_is_tied_to_a_marginalised_one_has_no_prior(tmp_path):
    sims = catalog.read(write(tmp_path / "sims.h5", where=WHERE), ReadOptions(infer=("w0",)))
    assert (sims.parameters.prior, sims.parameters.where) == (("unknown",), ())
    assert any("the prior of w0 is not known: region or correlation tie it" in note for note in sims.notes)
    plain = catalog.read(write(tmp_path / "plain.h5"), ReadOptions(infer=("w0",)))
    assert plain.parameters.prior == ("uniform",) and not any("not known" in note for note in plain.notes)


def test_files_of_one_catalog_have_one_region(tmp_path):
    write(tmp_path / "a.h5", THETA[:200], DATA[:200], where=WHERE)
    write(tmp_path / "b.h5", THETA[200:], DATA[200:])
    with pytest.raises(UserError, match=r"expected a region as in .*a.h5 \(w0.wa<0\), found none"):
        catalog.read(tmp_path / "*.h5")
    write(tmp_path / "b.h5", THETA[200:], DATA[200:], where=WHERE)
    assert catalog.read(tmp_path / "*.h5").parameters.where == (WHERE,)


def test_the_audit_knows_the_marginals_of_a_region(tmp_path):
    def messages(sims):
        return [finding.message for finding in audit_before_training(sims, by_hash(sims.simulation))]

    theta = TRIANGLE.quantile(TRIANGLE.joint_prior.draw_units(4000, np.random.default_rng(2)))
    data = theta + np.random.default_rng(3).standard_normal(theta.shape)
    right = catalog.read(write(tmp_path / "sims.h5", theta, data, where=WHERE))
    assert not any("inconsistent with its" in message for message in messages(right))
    boxed = catalog.read(write(tmp_path / "box.h5", theta, data))
    assert sum("inconsistent with its uniform prior" in message for message in messages(boxed)) == 2
    wider = catalog.read(write(tmp_path / "wide.h5", theta, data, where="w0+wa<1"))
    assert any("under `where`" in message for message in messages(wider))
    assert value_ranges(right)["joint prior"].startswith("w0+wa<0; holds 77.")
    path = write(tmp_path / "out.h5", theta - [1, 0], data, where="w0+wa<-2", low=[-4, -3])
    findings = audit_catalog(catalog.read_unchecked(path, ReadOptions()), storage.describe_datasets(path), True)
    assert any("outside the region where w0+wa<-2" in finding.message for finding in findings)


# ------------------------------------------------------------------------------------------------- kinds of priors
def test_bounds_declare_normals_and_their_correlation(tmp_path):
    bounds = "w0=-3:1:normal:-1:0.5, wa=-inf:inf:normal:0:0.8, w0~wa=-0.4"
    sims = catalog.read(write(tmp_path / "sims.h5"), ReadOptions(bounds=bounds))
    assert sims.parameters.prior == ("normal", "normal") and sims.declared_priors == {"w0", "wa"}
    assert sims.parameters.correlation.tolist() == [[1, -0.4], [-0.4, 1]]
    assert (sims.parameters.mean.tolist(), sims.parameters.std.tolist()) == ([-1, 0], [0.5, 0.8])
    narrower = catalog.read(write(tmp_path / "file.h5", **file_attributes()), ReadOptions(bounds="w0=-3.5:1.5"))
    assert (narrower.parameters.prior, narrower.parameters.low[0]) == (("normal", "normal"), -3.5)


def file_attributes():
    return {
        "prior": ["normal", "normal"],
        "prior_mean": [-1.0, 0.0],
        "prior_std": [0.9, 1.1],
        "prior_correlation": [[1, -0.5], [-0.5, 1]],
    }


def test_a_file_declares_correlated_normals(tmp_path):
    sims = catalog.read(write(tmp_path / "sims.h5", **file_attributes(), where=WHERE))
    assert sims.parameters.correlation.tolist() == [[1, -0.5], [-0.5, 1]]
    arrays = from_arrays(THETA, DATA, **BOX, **file_attributes(), where=WHERE)
    assert arrays.selection_hash == sims.selection_hash
    assert "correlation of w0 and wa -0.5" in done("inspect", tmp_path / "sims.h5")
    with pytest.raises(UserError, match="only a normal or log-normal prior can be correlated"):
        catalog.read(write(tmp_path / "no.h5", prior_correlation=[[1, 0.5], [0.5, 1]]))


@pytest.mark.parametrize(
    ("bounds", "complaint"),
    [
        ("w0=-3:1:normal", "optionally followed by :log or :uniform or :log-normal:mean:std or :normal:mean:std"),
        ("w0=-3:1:log-normal:0:1", "w0: a log-normal prior needs a box above 0, found -3..1"),
        ("w0=-3:1:normal:0:zero", "holds no four numbers"),
        ("w0=-3:1:normal:0:-1", "positive prior_std"),
        ("w0~wa=0.2", "only a normal or log-normal prior can be correlated"),
        ("w0~wa=x", "expected a correlation, as in a~b=-0.7"),
    ],
)
def test_bounds_that_define_no_prior_are_refused(tmp_path, bounds, complaint):
    with pytest.raises(UserError, match=complaint):
        catalog.read(write(tmp_path / "sims.h5"), ReadOptions(bounds=bounds))


def test_a_repacked_catalog_keeps_what_is_declared_and_no_more(tmp_path):
    path = write(tmp_path / "sims.h5", where=WHERE)
    done("repack", path, "--bounds", "w0=-3:1:normal:-1:0.9", "-o", tmp_path / "packed.h5")
    packed = catalog.read(tmp_path / "packed.h5")
    assert packed.parameters.prior == ("normal", "uniform") and packed.declared_priors == {"w0"}
    assert packed.parameters.where == (WHERE,) and packed.parameters.std[0] == 0.9
    assert packed.selection_hash == catalog.read(path, ReadOptions(bounds="w0=-3:1:normal:-1:0.9")).selection_hash


def test_a_region_is_the_same_however_it_is_spelled(tmp_path):
    """One file may declare it, the option all: several files, and one condition."""
    write(tmp_path / "a.h5", THETA[:200], DATA[:200], where="{w0} + wa <  0")
    write(tmp_path / "b.h5", THETA[200:], DATA[200:])
    sims = catalog.read(tmp_path / "*.h5", ReadOptions(where=(WHERE, "w0 + wa<0")))
    assert sims.parameters.where == ("{w0} + wa <  0",)
    assert TRIANGLE.with_where(["wa < 2.5", "wa<2.5 ", " w0+ wa<0"]).where == (WHERE, "wa < 2.5")
