"""The command line, walked from catalog to figures on a small catalog; what users get wrong, and what they are told."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.plots import registry
from cosmoinfer.storage import out_of_core
from cosmoinfer.tasks.sampling_job import SamplingJob
from tests.command_line import call, done, linear, refused, write
from tests.posteriors import value_of

RACE = ["--epochs", "3", "--ensemble", "2", "--threads", "1", "--support", "probit"]
QUICK = [*RACE, "--flow", "maf"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def sims(folder: Path) -> Path:
    return write(folder / "sims.h5", *linear(240, 1))


@pytest.fixture(scope="module")
def flow(folder: Path, sims: Path) -> Path:
    path = folder / "sims.flow.h5"
    done("train-flow", sims, "-o", path, *RACE)
    return path


@pytest.fixture(scope="module")
def drawn(folder: Path, sims: Path, flow: Path) -> Path:
    path = folder / "sims.flow.posterior.h5"
    done("sample", flow, sims, "--draws", "100", "--threads", "1")
    return path


def test_the_python_face_reads_what_the_commands_wrote_by_path_or_by_name(sims, flow, drawn):
    assert len(cosmoinfer.read_catalog(str(sims))) == 240
    assert cosmoinfer.load(str(flow)).kind == "flow"
    posterior = cosmoinfer.read_posterior(str(drawn))
    assert posterior.samples.shape[1] == 100 and len(cosmoinfer.read_posterior(drawn)) == len(posterior)


def test_the_whole_walk(folder: Path, sims: Path, drawn: Path) -> None:
    with h5py.File(drawn) as file:
        assert file["samples"].shape[1:] == (100, 2)
        assert set(np.unique(file["split"][()])) == {2}
    document = json.loads(done("evaluate", drawn, "--json"))
    assert set(document) == {"rows", "simulations", "verdict", "metrics"}
    assert document["metrics"]["parameters"]["r2"]["Omega_m"]["value"] is not None
    assert (folder / "sims.flow.posterior.metrics.h5").exists()


def test_a_regressor_and_a_flow_on_its_output(folder: Path, sims: Path) -> None:
    regressor, fed = folder / "regressor.h5", folder / "fed.h5"
    done("train-regressor", sims, "-o", regressor, "--epochs", "3", "--ensemble", "2", "--threads", "1")
    done("train-flow", sims, "-o", fed, "--summary", regressor, *QUICK)
    document = json.loads(done("evaluate", regressor, sims, "--json", "--threads", "1", "-o", folder / "r.metrics.h5"))
    assert "coverage_68" in document["metrics"]["parameters"]
    regressor.unlink()  # embedded in the flow, not referenced
    done("evaluate", fed, sims, "--draws", "50", "--threads", "1", "-o", folder / "fed.metrics.h5")


def test_a_plain_regressor_has_no_widths(folder: Path, sims: Path) -> None:
    model = folder / "mse.h5"
    done("train-regressor", sims, "-o", model, "--loss", "mse", "--epochs", "2", "--ensemble", "1", "--threads", "1")
    document = json.loads(done("evaluate", model, sims, "--json", "--threads", "1", "-o", folder / "mse.metrics.h5"))
    assert "rmse" in document["metrics"]["parameters"]
    assert not {"chi2", "coverage_68", "sbc_p"} & set(document["metrics"]["parameters"])
    assert "log_prob" not in document["metrics"]["joint"]


@pytest.fixture
def two_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all figures a run draws these alone: which there are is tested beside them."""
    for name in registry.PLOTS.keys() - {"losses", "corner"}:
        monkeypatch.delitem(registry.PLOTS, name)


@pytest.mark.usefixtures("two_figures")
def test_run_continues_and_repeats_nothing(folder: Path, sims: Path) -> None:
    results = folder / "results"
    command = ["run", sims, "-o", results, "--draws", "60", *QUICK]
    done(*command)
    made = {path.name for path in results.rglob("*") if path.is_file()}
    assert {"split.h5", "flow.h5", "posterior.h5", "metrics.h5", "losses.png", "corner.png"} <= made
    flow = (results / "flow.h5").stat().st_mtime_ns
    (results / "metrics.h5").unlink()
    done(*command)
    assert (results / "metrics.h5").exists()
    assert (results / "flow.h5").stat().st_mtime_ns == flow
    assert "exists already" in refused(*command, "--seed", "1")
    status, _, err = call(*command, "--fail-if", "coverage_68<=1")
    assert status == 3 and "coverage_68<=1 failed" in err
    assert "no metric is called nothing" in refused("run", sims, "-o", folder / "none", "--fail-if", "nothing<1")
    assert not (folder / "none").exists()


@pytest.mark.usefixtures("two_figures")
def test_force_makes_again_what_has_changed(folder: Path, sims: Path) -> None:
    """Other draws train nothing again; other gates draw nothing again."""
    results = folder / "forced"
    command = ["run", sims, "-o", results, *QUICK, "--force"]
    done(*command, "--draws", "60")
    before = {path.name: path.stat().st_mtime_ns for path in results.glob("*.h5")}
    _, _, messages = call(*command, "--draws", "60", "--fail-if", "r2[Omega_m]>1")
    assert {path.name: path.stat().st_mtime_ns for path in results.glob("*.h5")} == before
    assert messages.count("complete already") == 4
    done(*command, "--draws", "70")
    changed = {path.name for path in results.glob("*.h5") if path.stat().st_mtime_ns > before[path.name]}
    assert changed == {"posterior.h5", "metrics.h5"}


def test_a_few_observations_are_answered_for(folder: Path, sims: Path, flow: Path) -> None:
    """Median, interval and trust of each parameter, on stdout and in JSON; of many rows a count alone."""
    command = ["sample", flow, sims, "--draws", "60", "--threads", "1", "-o", folder / "answer.h5", "--force"]
    one = done(*command, "--rows", "7")
    assert "answer.h5: 1 row, 60 draws\n" in one and "median and 68 % interval" in one and "Omega_m" in one
    trust, verdict = one.splitlines()[-2:]
    assert trust.startswith(("nothing speaks against it", "do not", "with caution", "no parameter is"))
    assert verdict.startswith(
        ("cosmoinfer evaluate says whether", "the model, ")
    )  # as another test evaluated it or not
    answers = json.loads(done(*command, "--rows", "7,9", "--json"))["observations"]
    assert [answer["row"] for answer in answers] == [7, 9]
    with h5py.File(folder / "answer.h5") as file:
        samples, percentile = file["samples"][()], file["ood_percentile"][()]
    for number, answer in enumerate(answers):
        omega_m = answer["parameters"]["Omega_m"]
        quantiles = np.quantile(samples[number, :, 0], [0.15865, 0.5, 0.84135], method="hazen")
        assert [omega_m["low"], omega_m["median"], omega_m["high"]] == pytest.approx(quantiles.tolist())
        assert answer["ood_percentile"] == percentile[number]
    many = json.loads(done(*command, "--split", "test", "--json"))
    assert many["rows"] > 10 and many["observations"] == []


def test_observations_have_posteriors_of_their_own(folder: Path, sims: Path, flow: Path) -> None:
    """Two observations do not collide, and the model's own catalog is not named twice."""
    options = ("--draws", "60", "--threads", "1")
    for number in (1, 2):
        observed = write(folder / f"sky{number}.h5", None, linear(1, number)[1])
        assert f"sims.flow.sky{number}.posterior.h5: 1 row" in done("sample", flow, observed, *options)
    assert "sims.flow.posterior.h5" not in done("sample", flow, folder / "sky1.h5", *options)


def test_several_models_are_asked_of_one_observation_and_drawn_in_one_corner(folder, sims, flow, tmp_path):
    other, sky, corner = tmp_path / "other.h5", write(tmp_path / "sky.h5", None, linear(1, 7)[1]), tmp_path / "a.pdf"
    done("train-flow", sims, "-o", other, *QUICK, "--ensemble", "1")
    command = ["sample", flow, other, sky, "--draws", "60", "--threads", "1"]
    assert "output: names one file; 2 models name a posterior each" in refused(*command, "-o", tmp_path / "b.h5")
    assert "--corner: expected a name that ends in .pdf" in refused(*command, "--corner", tmp_path / "a.h5")
    assert "expected different models" in refused("sample", flow, flow, sky)
    assert not list(tmp_path.glob("*.posterior.h5"))
    document = json.loads(done(*command, "--corner", corner, "--json"))
    paths = [flow.with_name("sims.flow.sky.posterior.h5"), tmp_path / "other.sky.posterior.h5"]
    assert [Path(item["output"]) for item in document["posteriors"]] == paths and document["corner"] == str(corner)
    alone = json.loads(done("sample", other, sky, "--draws", "60", "--threads", "1", "--json"))
    assert alone == document["posteriors"][1]
    done("plot", *paths, "-o", tmp_path / "b.pdf")
    assert (tmp_path / "b.pdf").read_bytes() == corner.read_bytes()
    words = done(*command)
    assert words.index(str(paths[0])) < words.index("Omega_m") < words.index(str(paths[1]))

    command = ["reweight", paths[1], "--prior", "Omega_m=normal:0.3:0.2", "--corner", tmp_path / "prior.pdf", "--json"]
    document = json.loads(done(*command))
    done("plot", paths[1], document["output"], "-o", tmp_path / "c.pdf")
    assert (tmp_path / "c.pdf").read_bytes() == Path(document["corner"]).read_bytes()


@pytest.mark.usefixtures("two_figures")
def test_a_damaged_output_is_not_complete(folder: Path, sims: Path) -> None:
    """One byte of a model: named by the command that wrote it, made again with ``force`` and by ``run``."""
    results = folder / "damaged"
    command = ["run", sims, "-o", results, "--draws", "60", *QUICK]
    done(*command)
    model = results / "flow.h5"
    content = model.read_bytes()
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    model.write_bytes(changed)
    line = refused("inspect", model, "--verify")
    assert "is damaged, or was changed" in line
    training = ["train-flow", sims, "-o", model, *QUICK]
    assert "is damaged, or was changed" in (line := refused(*training)) and "--force" in line
    status, _, messages = call(*command)
    assert status == 0 and "is damaged, or was changed after it was written; it is made again" in messages
    assert model.read_bytes() == content
    assert "undamaged" in done("inspect", model, "--verify")


def test_the_same_command_again_is_one_line(sims: Path, flow: Path) -> None:
    before = flow.read_bytes()
    status, _, err = call("train-flow", sims, "-o", flow, *RACE)
    assert status == 0
    assert err.count("\n") == 1 and "complete already" in err
    assert flow.read_bytes() == before


def test_the_same_seed_gives_the_same_bytes(folder: Path, sims: Path, flow: Path, drawn: Path) -> None:
    again = folder / "again.h5"
    done("train-flow", sims, "-o", again, *RACE)
    assert again.read_bytes() == flow.read_bytes()
    done("sample", again, sims, "--draws", "100", "--threads", "1", "-o", folder / "again.posterior.h5")
    assert (folder / "again.posterior.h5").read_bytes() == drawn.read_bytes()


def test_draws_of_a_row_do_not_depend_on_other_rows(folder: Path, sims: Path, flow: Path) -> None:
    for name, rows in (("many", "0:8"), ("one", "7")):
        options = ["--rows", rows, "--draws", "100", "--threads", "1", "-o", folder / f"{name}.h5"]
        done("sample", flow, sims, *options)
    with h5py.File(folder / "many.h5") as eight_rows, h5py.File(folder / "one.h5") as single_row:
        assert np.array_equal(eight_rows["samples"][7], single_row["samples"][0])
        assert np.array_equal(eight_rows["log_prob"][7], single_row["log_prob"][0])


def test_an_observation_without_parameters(folder: Path, flow: Path) -> None:
    observed = write(folder / "observed.h5", None, linear(3, 5)[1])
    done("sample", flow, observed, "--draws", "50", "-o", folder / "observed.posterior.h5", "--threads", "1")
    with h5py.File(folder / "observed.posterior.h5") as file:
        assert file["samples"].shape == (3, 50, 2)
        assert "parameters" not in file and "log_prob_truth" not in file
    assert "no true parameters" in refused("evaluate", folder / "observed.posterior.h5")


def test_training_rows_are_scored_by_name_only(folder: Path, sims: Path, flow: Path) -> None:
    with h5py.File(flow) as file:
        train = file["split/simulation"].asstr()[file["split/partition"][()] == 0]
    rows = ",".join(train[:5])
    options = ["--draws", "20", "--threads", "1"]
    done("sample", flow, sims, "--rows", rows, *options, "-o", folder / "trained.h5")
    assert "--split" in refused("evaluate", folder / "trained.h5")
    theta, x = linear(240, 1)
    copied = write(folder / "copied.h5", theta[::-1], x[::-1])  # every row under another number
    assert "was trained on or chosen by" in refused("sample", flow, copied, *options)
    done("sample", flow, copied, "--split", "test", *options, "-o", folder / "copied.posterior.h5")


def test_gates(folder: Path, drawn: Path) -> None:
    output = folder / "gated.h5"
    status, _, err = call("evaluate", drawn, "-o", output, "--fail-if", "r2[Omega_m]<2")
    assert status == 3 and "r2" in err
    assert output.exists()
    assert call("evaluate", drawn, "-o", output, "--fail-if", "r2<-1e9")[0] == 0


def test_gates_of_what_was_measured_before(folder: Path, drawn: Path) -> None:
    """The metrics of a gate that failed are there: another judges them, and nothing is drawn or written."""
    output = folder / "measured.h5"
    status, out, _ = call("evaluate", drawn, "-o", output, "--fail-if", "r2[Omega_m]<2", "--json")
    before, files = output.read_bytes(), set(folder.iterdir())
    assert status == 3 and call("evaluate", output, "--fail-if", "r2[Omega_m]<2", "--json")[:2] == (3, out)
    (gate,) = json.loads(out)["gates"]
    assert (gate["name"], gate["limit"], gate["passed"]) == ("r2[Omega_m]<2", 2, False) and gate["value"] < 2
    assert call("evaluate", output, "--fail-if", "r2<-1e9")[0] == 0
    assert cosmoinfer.evaluate(output, fail_if=["r2<2"]).gates.failed.keys() == {"r2<2"}
    assert output.read_bytes() == before and set(folder.iterdir()) == files
    assert "no parameter is called b" in refused("evaluate", output, "--fail-if", "r2[b]<2")


@pytest.mark.parametrize(
    "option", [["-o", "x.h5"], ["--draws", 9], ["--split", "test"], ["--figures", "x"], ["sims.h5"]]
)
def test_what_was_measured_takes_nothing_but_gates(folder: Path, drawn: Path, option: list[object]) -> None:
    done("evaluate", drawn, "-o", folder / "measured.h5")
    line = refused("evaluate", folder / "measured.h5", *option)
    assert "holds what was measured already, for gates alone" in line and "cannot be" in line


@pytest.mark.usefixtures("two_figures")
def test_every_command_speaks_json_only_on_stdout(folder: Path, sims: Path) -> None:
    for arguments in (
        ["split", sims, "-o", folder / "json.split.h5"],
        ["inspect", sims],
        ["train-flow", sims, "-o", folder / "json.flow.h5", *QUICK],
        ["sample", folder / "json.flow.h5", sims, "--draws", "20", "--threads", "1"],
        ["run", sims, "-o", folder / "json", "--draws", "60", *QUICK],
    ):
        json.loads(done(*arguments, "--json"))


def test_split_file_and_split_seed(folder: Path, sims: Path) -> None:
    done("split", sims, "-o", folder / "a.split.h5", "--split-seed", "3", "--fractions", "0.6", "0.2", "0.2")
    (folder / "test.txt").write_text("3 14 15 92")
    options = [*QUICK, "-o", folder / "listed.h5"]
    done("train-flow", sims, "--split-file", folder / "test.txt", *options)
    with h5py.File(folder / "listed.h5") as file:
        test = file["split/simulation"].asstr()[file["split/partition"][()] == 2]
    assert set(test) == {"3", "14", "15", "92"}
    assert "partition is empty" in refused("split", sims, "--fractions", "0.9", "0.1", "0", "-o", folder / "x.h5")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda theta, x: (theta, np.where(np.arange(len(x))[:, None] == 5, np.nan, x)), "NaN or inf (row 5)"),
        (
            lambda theta, x: (np.where(np.arange(len(x))[:, None] == 9, 0.55, theta), x),
            "outside the declared box (row 9)",
        ),
        (lambda theta, x: (theta[:-1], x), "has 239 rows, the data have 240"),
    ],
)
def test_bad_catalogs_are_refused_and_leave_nothing(folder: Path, spoil: object, message: str) -> None:
    assert callable(spoil)
    bad = write(folder / "bad.h5", *spoil(*linear(240, 1)))
    output = folder / "none.h5"
    assert message in refused("train-flow", bad, "-o", output, *QUICK)
    assert not output.exists()
    assert not list(folder.glob(".*part"))


def test_rows_with_nan_can_be_left_out(folder: Path) -> None:
    theta, x = linear(240, 1)
    x[5] = np.nan
    done("train-flow", write(folder / "holes.h5", theta, x), "--drop-nonfinite", "-o", folder / "holes.flow.h5", *QUICK)


def test_invalid_files_and_options_are_refused(folder: Path, sims: Path, flow: Path) -> None:
    assert "no such file" in refused("train-flow", folder / "absent.h5")
    (folder / "text.h5").write_text("no HDF5")
    assert "is a text file, no HDF5 file" in refused("inspect", folder / "text.h5")
    (folder / "cut.h5").write_bytes(flow.read_bytes()[:3000])
    assert "is no HDF5 file, or a truncated one" in refused("sample", folder / "cut.h5", sims)
    assert "expected a model file" in refused("sample", sims, sims)
    assert "has no dataset /nothing" in refused("train-flow", sims, "--data", "nothing")
    theta, x = linear(50, 2, features=9)
    wide = write(folder / "wide.h5", theta, x)
    assert "trained on data of shape (8,) a row; this catalog has (9,)" in refused("sample", flow, wide)
    assert "--hidden: --network linear has no such setting; it has none" in refused(
        "train-regressor", sims, "--network", "linear", "--hidden", "9"
    )
    assert "does not exist" in refused("split", sims, "-o", folder / "no" / "where.h5")
    assert call("train-flow")[0] == 2
    assert call("train-flow", sims, "--epochs", "many")[0] == 2


def test_interrupt_leaves_no_file(folder: Path, sims: Path) -> None:
    output = folder / "interrupted.h5"
    process = subprocess.Popen(
        [sys.executable, "-m", "cosmoinfer", "train-flow", str(sims), "-o", str(output),
         "--flow", "maf", "--ensemble", "1", "--epochs", "100000", "--patience", "100000",
         "--threads", "1", "--support", "probit"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    assert process.stderr is not None
    with process.stderr as stderr:
        for line in stderr:
            if line.startswith("epoch"):
                break
        process.send_signal(2)
        messages = stderr.read()
    assert process.wait(60) == 130
    assert "interrupted" in messages and "Traceback" not in messages
    assert not output.exists()


def test_another_prior_is_another_run(folder: Path) -> None:
    theta, x = linear(240, 1)
    output = folder / "declared.flow.h5"
    declared = write(folder / "declared.h5", theta, x)
    done("train-flow", declared, "-o", output, *QUICK)
    with h5py.File(declared, "r+") as file:
        file["parameters"].attrs["high"] = [0.6, 1.0]
    assert "made with other settings or inputs" in refused("train-flow", declared, "-o", output, *QUICK)


def test_no_command_changes_a_file_that_it_reads(folder: Path, sims: Path, flow: Path) -> None:
    for path, command in ((sims, ["train-flow", sims, *QUICK]), (flow, ["sample", flow, sims, "--draws", "9"])):
        before = path.read_bytes()
        assert "--force replaces" in refused(*command, "-o", path, "--force")
        assert path.read_bytes() == before


def test_a_model_scores_no_training_rows_either(folder: Path, sims: Path, flow: Path) -> None:
    options = ["--draws", "20", "--threads", "1", "--json"]
    scored = json.loads(done("evaluate", flow, sims, "--rows", "0:40", *options, "-o", folder / "first.metrics.h5"))
    with h5py.File(flow) as file:
        test = set(file["split/simulation"].asstr()[file["split/partition"][()] == 2])
    assert scored["rows"] == len(test & {str(row) for row in range(40)})


def test_rows_of_the_catalog_are_recognised_in_other_files(folder: Path, flow: Path) -> None:
    """Shuffled, and saved in single precision: training and validation rows are no test rows there either."""
    theta, x = linear(240, 1)
    order = np.random.default_rng(0).permutation(240)
    copy = write(folder / "single.h5", theta[order].astype(np.float32), x[order].astype(np.float32))
    options = ["--draws", "20", "--threads", "1"]
    assert "was trained on or chosen by" in refused("evaluate", flow, copy, *options, "-o", folder / "s.metrics.h5")
    done("sample", flow, copy, "--split", "test", *options, "-o", folder / "single.posterior.h5")
    with h5py.File(flow) as file, h5py.File(folder / "single.posterior.h5") as drawn:
        test = file["split/simulation"].asstr()[file["split/partition"][()] == 2]
        assert sorted(order[drawn["index"][()]]) == sorted(int(simulation_id) for simulation_id in test)


def test_a_foreign_log_uniform_parameter_is_recognised(folder: Path) -> None:
    stream = np.random.default_rng(3)
    a = np.exp(stream.uniform(np.log(0.25), np.log(4), 240))
    with h5py.File(folder / "foreign.h5", "w") as file:
        file["p"], file["x"] = a[:, None], np.log(a)[:, None] + stream.normal(size=(240, 3))
    options = ["--parameters", "p", "--data", "x", "--names", "A", *QUICK, "--transform", "none"]
    for bounds, prior in (("A=0.25:4", "log-uniform"), ("A=0.25:4:uniform", "uniform")):
        path = folder / f"{prior}.flow.h5"
        done("train-flow", folder / "foreign.h5", *options, "--bounds", bounds, "-o", path)
        with h5py.File(path) as file:
            assert file["parameters"].attrs["prior"].astype(str).tolist() == [prior]


def test_nothing_is_learned_from_what_never_varies(folder: Path) -> None:
    theta, x = linear(240, 1)
    theta[:, 1] = 0.8
    assert "there is nothing to infer" in refused(
        "train-flow", write(folder / "all_fixed.h5", np.tile([0.3, 0.8], (len(x), 1)), x), *QUICK
    )
    assert "sigma_8 never varies" in refused("train-flow", write(folder / "fixed.h5", theta, x), *QUICK)
    theta, x = linear(240, 1)
    assert "the same in every training row" in refused(
        "train-flow", write(folder / "flat.h5", theta, 0 * x + 1), *QUICK
    )


def test_numbers_that_make_no_sense(sims: Path) -> None:
    for options, message in (
        (["--ensemble", "0"], "--ensemble: expected 1 to 1000, found 0"),
        (["--weight-decay", "-1"], "--weight-decay: expected at least 0, found -1"),
        (["--optimizer", "sgd:momentum=2"], "--optimizer sgd:momentum=2: expected at least 0, less than 1, found 2"),
        (["--embedding", "mlp:features=0"], "--embedding mlp:features=0: expected 1 to 8192, found 0"),
    ):
        assert message in refused("train-flow", sims, *options)


@pytest.mark.parametrize(
    "options", [["--draws", 3], ["--skip-failed"], ["--kind", "map"], ["--data", "data"], ["--memory", "1GB"]]
)
def test_evaluate_refuses_sampling_options_for_a_posterior_file(drawn, options) -> None:
    message = refused("evaluate", drawn, *options, "-o", drawn.with_name("never.h5"))
    assert "drawn already" in message and message.endswith(f"only a model takes {options[0]}")


def test_evaluate_takes_row_numbers_of_a_posterior_file(folder, drawn) -> None:
    rows = cosmoinfer.read_posterior(drawn).index[[3, 8, 5]]
    named = ",".join(map(str, rows))
    command = ("evaluate", drawn, "--rows", named, "-o", folder / "named.metrics.h5")
    document = json.loads(done(*command, "--json"))
    assert document["rows"] == document["simulations"] == 3
    assert "has no row 1000 (it has" in refused(*command[:2], "--rows", "1000", *command[4:])
    assert "--rows replaces --split" in refused(*command, "--split", "test")


def test_rows_that_are_named_and_have_all_trained_are_refused_before_they_are_drawn(folder, sims, flow, monkeypatch):
    drawn, output = folder / "seen.posterior.h5", ("-o", folder / "never.metrics.h5")
    with h5py.File(flow) as file:
        train = file["split/simulation"].asstr()[file["split/partition"][()] == 0]
    done("sample", flow, sims, "--rows", ",".join(train[:5]), "--draws", "10", "-o", drawn)
    monkeypatch.setattr(SamplingJob, "draw", None)
    row = cosmoinfer.read_posterior(drawn).index[0]
    for files in ((flow, sims), (drawn,)):
        assert "trained on or chosen by all of them" in refused("evaluate", *files, "--rows", row, *output)


def test_evaluate_refuses_invalid_settings_before_sampling(folder, sims, flow, monkeypatch) -> None:
    monkeypatch.setattr(SamplingJob, "draw", None)
    output = ("-o", folder / "never.metrics.h5")
    assert "the posterior has no row 1000" in refused("evaluate", flow, sims, "--lc2st", 1000, *output)
    unlabelled = write(folder / "unlabelled.h5", None, linear(5, 3)[1])
    assert "has no true parameters to compare with" in refused("evaluate", flow, unlabelled, *output)


def test_the_json_of_a_posterior_has_the_number_of_draws(folder, sims, flow) -> None:
    draw_counts = [json.loads(done("sample", flow, sims, "--draws", 7, "-o", folder / "seven.h5", "--json"))["draws"]]
    points = folder / "points.h5"
    done("train-regressor", sims, "--network", "linear", "--loss", "mse", "--epochs", "2", "-o", points)
    draw_counts.append(
        json.loads(done("sample", points, sims, "-o", folder / "points.posterior.h5", "--json"))["draws"]
    )
    assert draw_counts == [7, None]


def test_draws_that_are_too_many_for_memory_are_the_same_file(folder, sims, flow, drawn, monkeypatch) -> None:
    """And are judged the same, alone, against others, at one row; nothing is left beside."""
    options = (
        "--json",
        "--compare-to",
        drawn,
        "--lc2st",
        str(cosmoinfer.read_posterior(drawn).index[0]),
        "--threads",
        "1",
    )
    expected = done("evaluate", drawn, "-o", folder / "small.metrics.h5", *options)
    inspected = json.loads(done("inspect", drawn, "--json"))
    monkeypatch.setattr(out_of_core, "MAX_IN_MEMORY_BYTES", 0)
    files = set(folder.iterdir())
    large = folder / "large.posterior.h5"
    done("sample", flow, sims, "--draws", "100", "--threads", "1", "-o", large)
    assert set(folder.iterdir()) == {*files, large}
    small, large_posterior = cosmoinfer.read_posterior(drawn), cosmoinfer.read_posterior(large)
    for name in ("samples", "log_prob", "log_prob_truth", "index", "ridge_estimate"):
        np.testing.assert_array_equal(value_of(large_posterior, name), value_of(small, name))
    assert done("evaluate", large, "-o", folder / "large.metrics.h5", *options) == expected
    assert json.loads(done("evaluate", flow, sims, "--draws", "100", "-o", folder / "model.metrics.h5", *options)) == (
        json.loads(expected)
    )
    assert json.loads(done("inspect", large, "--json")) == inspected
    done("reweight", large, "--derive", "S_8=sigma_8*(Omega_m/0.3)**0.5", "-o", folder / "large.derived.h5")
