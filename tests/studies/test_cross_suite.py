"""Is a flow at home on its own suite, off on one that is shifted, and does the command say so, pair by pair?"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer import catalog as catalogs
from cosmoinfer import storage
from cosmoinfer.catalog import Catalog, ReadOptions, multi_file, read_unchecked
from cosmoinfer.catalog.suites import check_suites, join_suites, suite_names, with_suite_ids
from cosmoinfer.errors import UserError
from cosmoinfer.metrics import Estimate, Evaluation, Verdict, evaluate
from cosmoinfer.parameters import Parameters
from cosmoinfer.studies import cross_suite
from cosmoinfer.tasks.provenance import file_stem
from tests.command_line import call, done, linear, refused, write
from tests.examples import in_memory_catalog, linear_gaussian
from tests.posteriors import changed, make

SUITES = {"A": 0.0, "B": 3.0, "C": 1.5}  # by how much the first parameter seems larger, in tenths of its box
FLOW = ["--flow", "maf", "--layers", "2", "--hidden", "12", "--epochs", "25", "--batch-size", "50"]
FLOW += ["--learning-rate", "0.005", "--ensemble", "1", "--support", "probit", "--threads", "1", "--draws", "100"]


def suite(folder: Path, name: str, seed: int, shift: float, rows: int = 300) -> Path:
    """x = the two parameters, twice each, in units of a tenth of the box, with noise of one unit."""
    stream = np.random.default_rng(seed)
    theta = stream.uniform([0.1, 0.6], [0.5, 1.0], (rows, 2))
    x = np.repeat((theta - [0.1, 0.6]) / 0.04 + [shift, 0], 2, axis=1)
    return write(folder / f"{name}.h5", theta, x + stream.normal(size=x.shape))


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[object], str]:
    """Of three suites: the output, the command line, what it said."""
    folder = tmp_path_factory.mktemp("cross")
    paths = [suite(folder, name, 1 + number, shift) for number, (name, shift) in enumerate(SUITES.items())]
    line = ["cross-suite", *paths, "-o", folder / "cross.h5", *FLOW]
    return folder / "cross.h5", line, done(*line, "--figures", folder / "figures")


def test_home_is_good_and_elsewhere_is_biased(crossed: tuple[Path, list[object], str]) -> None:
    with h5py.File(crossed[0]) as file:
        assert file.attrs["kind"] == b"cross-suite"
        trained, tested = file["trained"].asstr()[()].tolist(), file["suites"].asstr()[()].tolist()
        r2, coverage = file["parameters/r2"][()], file["parameters/coverage_68"][()]
        gain, flagged = file["joint/log_prob_gain"][()], file["joint/ood"][()]
    assert trained == ["A", "B", "C", "all but A", "all but B", "all but C"] and tested == ["A", "B", "C"]
    home, away = np.eye(3, dtype=bool), np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
    value = r2[:3, :, :, 0]
    assert (value[home] > 0.75).all()
    assert (value[away][:, 0] < 0.4).all() and (value[:, :, 1] > 0.75).all()  # only the first parameter is shifted
    assert (coverage[:3, :, 0, 0][away] < 0.35).all() and (coverage[:3, :, 0, 0][home] > 0.5).all()
    assert gain[:3, :, 0][home].min() > gain[:3, :, 0][away].max() + 1
    assert flagged[:3, :, 0][home].max() < 0.2
    # Every one of the rest was tested on what was left out, and on nothing else.
    left_out = np.isfinite(r2[3:, :, 0, 0])
    np.testing.assert_array_equal(left_out, np.eye(3, dtype=bool))
    assert r2[5, 2, 0, 0] > r2[3, 0, 0, 0]  # C lies between the other two, A beside them
    with np.errstate(invalid="ignore"):
        inside = (r2[..., 1] <= r2[..., 0]) & (r2[..., 0] <= r2[..., 2])
    assert (inside | np.isnan(r2[..., 0])).all()


def test_a_study_is_up_to_date(crossed: tuple[Path, list[object], str]) -> None:
    output, line, printed = crossed
    before = output.read_bytes()
    status, again, messages = call(*line, "--figures", output.parent / "figures")
    assert status == 0 and printed.endswith(again) and f"{output}: complete already" in messages
    assert output.read_bytes() == before


def test_a_column_has_the_same_rows_whatever_was_trained(crossed: tuple[Path, list[object], str]) -> None:
    folder = crossed[0].with_suffix("")
    for tested in SUITES:
        rows = []
        for path in sorted(folder.glob(f"* on {tested}.posterior.h5")):
            with h5py.File(path) as file:
                rows.append((file["index"][()].tolist(), file["simulation"].asstr()[()].tolist()))
                assert (file["split"][()] == 2).all()
        assert len(rows) == 4 and all(entry == rows[0] for entry in rows)
        assert all(entry.startswith(f"{tested}/") for entry in rows[0][1])


def test_every_pair_of_suites_has_a_sentence(crossed: tuple[Path, list[object], str]) -> None:
    output, _, report = crossed
    assert "trained and tested on A: Omega_m R2 0." in report
    (line,) = [line for line in report.splitlines() if line.startswith("trained on A, tested on B:")]
    assert "sigma_8 R2" in line and "->" in line and "biased" in line and "% of the observations flagged" in line
    assert "trained on all but C, tested on C (compared to the flow of C)" in report
    assert (output.parent / "figures" / "cross.png").read_bytes().startswith(b"\x89PNG")


def test_a_job_that_was_killed_goes_on(crossed: tuple[Path, list[object], str]) -> None:
    output, line, _ = crossed
    folder = output.with_suffix("")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    gone = [folder / "B.flow.h5", folder / "A on B.posterior.h5"]
    with h5py.File(output) as file:
        document = json.loads(file["document"][()])
    for path in (output, *gone):
        path.unlink()
    assert json.loads(done(*line, "--json")) == document
    after = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert after.keys() == before.keys()
    assert {path for path in after if after[path] != before[path]} == set(gone)
    described = json.loads(done("inspect", output, "--json"))
    assert described["kind"] == "cross-suite" and described["datasets"]["/parameters/r2"].startswith("(6, 3, 2, 3)")
    assert "made with other settings" in refused(*line, "--draws", "50")


# -------------------------------------------------------------------------------------------------- what must agree
def narrower(sims: Catalog) -> Catalog:
    assert sims.parameters is not None
    return replace(sims, parameters=replace(sims.parameters, low=sims.parameters.low - 0.05))


def other_names(sims: Catalog) -> Catalog:
    return replace(sims, parameters=Parameters.from_names(("x", "y")))


def fewer_features(sims: Catalog) -> Catalog:
    return replace(sims, observables=(replace(sims.observables[0], values=sims.observables[0].values[:, :3]),))


def with_split(sims: Catalog) -> Catalog:
    return replace(sims, split_labels=np.zeros(len(sims), dtype=np.uint8))


def of_the_first(sims: Catalog) -> Catalog:
    return replace(sims, observables=linear_gaussian(2, rows=60, seed=0).observables)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_names, r"other.h5: expected parameters as in .*\(a, b\), found x, y"),
        (fewer_features, r"other.h5: expected data as in .*\(/data vector \(4,\)\), found /data vector \(3,\)"),
        (narrower, r"expected a prior of a as in .*\(uniform on 0.1..0.5\), found uniform on 0.05..0.5"),
        (with_split, "other.h5: has a /split, and the other catalogs have none"),
        (of_the_first, "other.h5: shares the data of 60 rows with linear_gaussian_0.h5"),
    ],
)
def test_suites_that_differ_are_refused(change: Callable[[Catalog], Catalog], message: str) -> None:
    first, second = (linear_gaussian(2, rows=60, seed=seed) for seed in (0, 1))
    check_suites([first, second])
    with pytest.raises(UserError, match=message):
        check_suites([first, replace(change(second), path=Path("other.h5"))])


def test_suites_that_share_universes_are_warned_about(tmp_path: Path) -> None:
    """Unless a list of test simulations names the same universes of both."""
    theta, x = linear(120, 1)
    apart = write(tmp_path / "A.h5", theta, x), write(tmp_path / "B.h5", theta[::-1], x[::-1] + 1)
    quick = ["--flow", "maf", "--epochs", "1", "--ensemble", "1", "--support", "probit", "--draws", "50", "--quiet"]
    status, _, err = call("cross-suite", *apart, "-o", tmp_path / "apart.h5", *quick)
    assert status == 0 and err.count("have the parameters of training rows of") == 2
    chosen = "".join(f"A/{number}\nB/{119 - number}\n" for number in range(20))
    (tmp_path / "test.txt").write_text(chosen)
    status, _, err = call(
        "cross-suite", *apart, "-o", tmp_path / "alike.h5", "--split-file", tmp_path / "test.txt", *quick
    )
    assert status == 0 and "have the parameters of training rows of" not in err


def test_the_command_refuses_one_suite_and_suites_that_differ(tmp_path: Path) -> None:
    first = suite(tmp_path, "A", 1, 0.0, rows=40)
    second = write(tmp_path / "B.h5", np.full((40, 2), 0.7), np.ones((40, 3)))
    with h5py.File(second, "r+") as file:
        file["parameters"].attrs["low"], file["parameters"].attrs["high"] = [0.1, 0.6], [0.8, 1.0]
    output = tmp_path / "cross.h5"
    assert "two suites or more" in refused("cross-suite", first, "-o", output)
    assert "expected data as in" in refused("cross-suite", first, second, "-o", output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["A.h5", "B.h5"]


def test_suites_are_called_by_attribute_stem_or_folder(tmp_path: Path) -> None:
    paths = []
    for name in ("TNG", "SIMBA", "Astrid"):
        (tmp_path / name).mkdir()
        paths.append(suite(tmp_path / name, "LH", 1, 0.0, rows=5))
    with h5py.File(paths[2], "r+") as file:
        file.attrs["suite"] = "third"

    def names(in_memory_catalog: list[Path]) -> list[str]:
        return suite_names(
            [read_unchecked(path, ReadOptions()) for path in in_memory_catalog],
            [multi_file.catalog_name(path) for path in in_memory_catalog],
        )

    assert names(paths) == ["TNG-LH", "SIMBA-LH", "third"]
    assert names(paths[1:]) == ["LH", "third"]
    assert names([tmp_path / "TNG" / "*.h5", tmp_path / "[SA]*" / "*.h5"]) == ["TNG", tmp_path.name]
    with pytest.raises(UserError, match="suite names must differ; found twice: TNG-LH"):
        names([paths[0], paths[0]])
    with h5py.File(paths[2], "r+") as file:
        file.attrs["suite"] = "a/b"
    with pytest.raises(UserError, match="without a slash"):
        names(paths)


def test_suites_joined_keep_their_rows_and_their_ids() -> None:
    first, second = (with_suite_ids(f"s{seed}", linear_gaussian(2, rows=30 + seed, seed=seed)) for seed in (0, 1))
    joined = join_suites([first, second])
    assert len(joined) == 61 and joined.index.tolist() == list(range(61))
    assert joined.simulation.tolist() == [f"s0/{n}" for n in range(30)] + [f"s1/{n}" for n in range(31)]
    np.testing.assert_array_equal(joined.require_parameters()[1][30:], second.theta)
    np.testing.assert_array_equal(joined.observables[0].values[30:], second.observables[0].values)
    assert len({catalog.fingerprint for catalog in (first, second, joined, linear_gaussian(2, rows=30, seed=0))}) == 4
    assert joined.fingerprint == catalogs.fingerprint(joined)


# ----------------------------------------------------------------------------------------------------------- words
def evaluation(
    r2: float | Estimate, gain: float, joint: str = "calibrated within errors", flagged: float | None = None
) -> Evaluation:
    def estimate(value: float) -> Estimate:
        return Estimate(value, value - 0.1, value + 0.1)

    first = r2 if isinstance(r2, Estimate) else estimate(r2)
    parameters = {"r2": {"a": first, "b": estimate(0.0)}, "coverage_68": {"a": estimate(1), "b": estimate(1)}}
    metrics = {"log_prob_gain": estimate(gain)} | ({} if flagged is None else {"ood": estimate(flagged)})
    return Evaluation(100, 100, metrics, parameters, Verdict(joint, {"a": "", "b": ""}))


def test_sentences_compare_with_the_same_suite() -> None:
    evaluations = {
        ("T", "T"): evaluation(0.6, 2.0),
        ("T", "S"): evaluation(-0.5, -3.0, "over-confident", 0.48),
        ("S", "S"): evaluation(0.9, 3.0),
        ("all but S", "S"): evaluation(0.2, 1.0),
    }
    assert cross_suite.describe_pair("T", "T", evaluations) == (
        "trained and tested on T: a R2 0.60; information gain over the prior 2.00 nats; calibrated within errors"
    )
    assert cross_suite.describe_pair("T", "S", evaluations) == (
        "trained on T, tested on S: a worse than the prior (R2 0.60 -> -0.50); worse than the prior: 2.00 -> -3.00 "
        "nats; over-confident; 48 % of the observations flagged as out of distribution"
    )
    left_out = cross_suite.describe_pair("all but S", "S", evaluations)
    assert "a R2 0.90 -> 0.20; information gain over the prior 3.00 -> 1.00 nats" in left_out
    study = cross_suite.compare_suites(["T", "S"], evaluations)
    flags = study.matrix("ood")
    assert flags.shape == (3, 2, 3) and flags[0, 1].tolist() == pytest.approx([0.48, 0.38, 0.58])
    assert np.isnan(flags).sum() == 15  # not evaluated, or without a detector
    document = json.loads(json.dumps(study.to_json()))
    assert set(document) == {"suites", "trained", "parameters", "pairs"}
    assert cross_suite.CrossSuite.from_json(document) == study
    assert left_out in str(study)


def test_flags_are_counted_beyond_the_95th_percentile() -> None:
    sims = in_memory_catalog(np.linspace(0.2, 0.4, 40)[:, None], None, linear_gaussian(1, rows=40).observables[0])
    parameters = Parameters.from_names(("a",), [0.0], [1.0])
    index, partition, truth = np.arange(40), np.full(40, 2, dtype=np.uint8), sims.theta
    ood = np.where(index < 10, 99.0, 95.0)
    posterior = make(parameters, index, index.astype(str), partition, truth, mean=truth, ood_percentile=ood)
    flagged = evaluate(posterior).joint["ood"]
    assert flagged.value == 0.25 and flagged.low < 0.25 < flagged.high
    assert "ood" not in evaluate(changed(posterior, ood_percentile=None)).joint


@pytest.mark.parametrize(("key", "value"), [("pairs", []), ("pairs", {}), ("words", [1])])
def test_a_document_that_cannot_be_shown_is_a_line(tmp_path: Path, key: str, value: object) -> None:
    study = cross_suite.compare_suites(["A"], {("A", "A"): evaluation(0.9, 2.0)})
    cross_suite.write(tmp_path / "cross.h5", study, {})
    contents = storage.read_contents(tmp_path / "cross.h5")
    document = json.loads(str(contents.arrays["document"]))
    (document if key in document else document["pairs"][0])[key] = value
    contents.arrays["document"] = np.array(json.dumps(document))
    storage.write(tmp_path / "changed.h5", contents)
    with pytest.raises(UserError, match="does not hold the document of a cross-suite file of this version") as caught:
        cross_suite.read(tmp_path / "changed.h5")
    assert "\n" not in str(caught.value)


def test_one_error_below_the_prior_is_not_significant() -> None:
    near = evaluation(Estimate(-0.06, -0.12, -0.01), 2.0)
    assert "worse" not in cross_suite.describe_pair("T", "S", {("T", "S"): near, ("T", "T"): evaluation(0.9, 3.0)})


def test_the_prior_of_a_region_is_that_of_every_suite(tmp_path: Path) -> None:
    """Cut to half of its box, its density doubles there: so much less is gained than the log density alone says."""
    files = []
    for number, name in enumerate("AB"):
        theta, x = linear(200, number)
        inside = (theta - [0.3, 0.8]).sum(axis=1) < 0
        files.append(write(tmp_path / f"{name}.h5", theta[inside], x[inside]))
    bounds = ["--bounds", "Omega_m=0.1:0.5,sigma_8=0.6:1", "--where", "Omega_m + sigma_8 < 1.1"]
    done("cross-suite", *files, "-o", tmp_path / "cross.h5", *FLOW, "--epochs", 2, *bounds)
    done(
        "learning-curve",
        files[0],
        "--sizes",
        "20,40,60",
        "-o",
        tmp_path / "curve.h5",
        *FLOW[:-2],
        "--epochs",
        2,
        *bounds,
    )
    with h5py.File(tmp_path / "cross.h5") as file:
        excess = file["joint/log_prob"][()] - file["joint/log_prob_gain"][()]
    np.testing.assert_allclose(excess[..., 0], np.log(2 / 0.16), atol=2e-3)
    for path in (*tmp_path.glob("cross/*.flow.h5"), *tmp_path.glob("curve/*.flow.h5")):
        draws = cosmoinfer.load(path).sample(np.zeros(8), draws=300).samples
        assert (draws.sum(axis=-1) < 1.1).all()


def test_files_are_called_after_suites_one_for_each(tmp_path: Path) -> None:
    names = [
        "A",
        "A on A",
        "all but A",
        "a/b",
        "..",
        ".",
        "",
        "%41",
        "Ω",
        "x" * 300,
        "x" * 299 + "y",
        "A%20on%20A",
        "A+B",
    ]
    stems = [file_stem(name) for name in names]
    assert len(set(stems)) == len(names) and stems[0] == "A" and stems[-1] == "A+B"
    for stem in stems:
        assert " " not in stem and "/" not in stem
        (tmp_path / f"all but {stem} on {stem}.posterior.h5").touch()
    assert len(list(tmp_path.iterdir())) == len(names)
