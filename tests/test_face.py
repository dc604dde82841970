"""The Python face: the same path as the command line, the same bytes; files, objects and arrays alike."""

import re
import subprocess
import sys
import warnings
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.cli import COMMANDS
from cosmoinfer.cli.options import OutputOptions, grouped
from cosmoinfer.flows import FLOWS, MAP_FLOWS
from cosmoinfer.models import DensityModel, FlowModel, RegressorModel
from cosmoinfer.models.recipe import SharedSettings
from cosmoinfer.networks import NETWORKS
from cosmoinfer.networks.baselines import BASELINES
from cosmoinfer.settings import settings_of
from cosmoinfer.tasks.run_settings import CHECKPOINTS, RANKS, RUN
from cosmoinfer.tasks.settings import READ_OPTIONS, SPLIT
from cosmoinfer.tasks.train_density import DENSITY_TRAINER
from cosmoinfer.tasks.train_flow import FLOW_TRAINER
from cosmoinfer.tasks.train_regressor import REGRESSOR_TRAINER
from cosmoinfer.training.settings import TrainingSettings
from tests.command_line import done, linear, write
from tests.guide_examples import run_example

NAMES, LOW, HIGH = ["Omega_m", "sigma_8"], [0.1, 0.6], [0.5, 1.0]
QUICK: dict[str, Any] = {"epochs": 3, "ensemble": 2, "threads": 1, "seed": 3}
TRAININGS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "flow": ("train-flow", cosmoinfer.train_flow, {"flow": "maf", "support": "probit", "learning_rate": 0.002}),
    "regressor": ("train-regressor", cosmoinfer.train_regressor, {"network": "mlp", "hidden": 8}),
    "classifier": ("train-regressor", cosmoinfer.train_regressor, {"target": "kind", "hidden": 8}),
    "density": ("train-density", cosmoinfer.train_density, {"flow": "realnvp", "hidden": 8}),
}
TRAINING_ROWS = pytest.mark.filterwarnings("ignore:.*trained on or chosen by")
FEW_EPOCHS = pytest.mark.filterwarnings("ignore:the network returns the mean of the prior")


def flags(settings: dict[str, Any]) -> list[str]:
    pairs = [(f"--{name.replace('_', '-')}", str(value)) for name, value in settings.items()]
    return [word for pair in pairs for word in pair]


def weights(path: Path) -> dict[str, bytes]:
    """Every array of a file but /meta, and the digests."""
    values: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                values.setdefault(name, item[()].tobytes())
                if isinstance(item, h5py.Dataset) and name not in ("meta", "digests")
                else None
            )
        )
    return values


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("face")


@pytest.fixture(scope="module")
def catalog(folder: Path) -> Path:
    theta, x = linear(240, 1)
    return write(folder / "sims.h5", theta, x, **{"classes/kind": (theta[:, 0] > 0.3).astype(int)})


@pytest.fixture(scope="module")
def flow(catalog: Path) -> Any:
    return cosmoinfer.train_flow(catalog, **TRAININGS["flow"][2], **QUICK)


@FEW_EPOCHS
@pytest.mark.parametrize("kind", TRAININGS)
def test_a_call_and_a_command_give_the_same_bytes(kind: str, folder: Path, catalog: Path) -> None:
    command, train, settings = TRAININGS[kind]
    by_command, by_call = folder / f"{kind}.command.h5", folder / f"{kind}.call.h5"
    done(command, catalog, *flags(settings | QUICK), "-o", by_command)
    model = train(str(catalog), output=by_call, **settings, **QUICK)
    assert model.kind == kind
    assert by_call.read_bytes() == by_command.read_bytes()
    again = train(catalog, output=by_command, **settings, **QUICK)  # complete: read, not trained
    assert again.kind == kind
    if kind == "density":
        return
    drawn, called = folder / f"{kind}.command.posterior.h5", folder / f"{kind}.call.posterior.h5"
    done("sample", by_command, catalog, "--draws", 20, "--threads", 1, "-o", drawn)
    cosmoinfer.sample(by_call, catalog, draws=20, threads=1, output=called)
    assert called.read_bytes() == drawn.read_bytes()
    in_memory = cosmoinfer.sample(model, cosmoinfer.read_catalog(catalog, target=settings.get("target")), draws=20)
    assert (in_memory.index == cosmoinfer.read_posterior(drawn).index).all()


def test_a_model_is_saved_as_its_command_writes_it_and_takes_arrays(flow: Any, catalog: Path, folder: Path) -> None:
    saved, written = folder / "saved.h5", folder / "written.h5"
    flow.save(saved)
    done("train-flow", catalog, *flags(TRAININGS["flow"][2] | QUICK), "-o", written)
    assert saved.read_bytes() == written.read_bytes()
    loaded = cosmoinfer.load(saved)
    posterior = cosmoinfer.sample(loaded, catalog, draws=50)
    x = linear(240, 1)[1][posterior.index]
    again = loaded.sample(x, draws=50, row_numbers=posterior.index)
    assert again.draws.samples.tobytes() == posterior.draws.samples.tobytes()
    log_prob = loaded.log_prob(again.draws.samples[0], x[0])
    np.testing.assert_allclose(log_prob, again.draws.log_prob[0], rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="exists already, from the same settings and inputs; `force`"):
        flow.save(saved)


def test_arrays_train_as_their_file_does(catalog: Path, flow: Any, folder: Path) -> None:
    theta, x = linear(240, 1)
    arrays = {"theta": theta, "x": x, "names": NAMES, "low": LOW, "high": HIGH}
    output = folder / "arrays.flow.h5"
    cosmoinfer.train_flow(**arrays, **TRAININGS["flow"][2], **QUICK, output=output)
    from_file = folder / "file.flow.h5"
    cosmoinfer.train_flow(catalog, **TRAININGS["flow"][2], **QUICK, output=from_file)
    of_arrays, of_file = weights(output), weights(from_file)
    assert of_arrays.keys() == of_file.keys()
    assert all(of_arrays[name] == of_file[name] for name in of_file if "/weights/" in name)
    read = cosmoinfer.read_catalog(catalog)
    from_arrays = cosmoinfer.train_flow(read, **TRAININGS["flow"][2], **QUICK)
    state, expected = (model.stacks[0].network.state_dict() for model in (from_arrays, flow))
    assert all((state[name] == expected[name]).all() for name in expected)


def test_a_posterior_is_evaluated_in_memory_as_from_its_file(flow: Any, catalog: Path, folder: Path) -> None:
    posterior = cosmoinfer.sample(flow, catalog, draws=100)
    evaluation = cosmoinfer.evaluate(posterior)
    estimate = evaluation.joint["log_prob"]
    assert estimate.low < estimate.value < estimate.high
    assert evaluation.verdict.joint
    done("train-flow", catalog, *flags(TRAININGS["flow"][2] | QUICK), "-o", folder / "f.h5")
    done("sample", folder / "f.h5", catalog, "--draws", 100, "--threads", 1, "-o", folder / "f.posterior.h5")
    assert cosmoinfer.evaluate(folder / "f.posterior.h5").to_json() == evaluation.to_json()
    assert cosmoinfer.evaluate(flow, catalog, draws=100).to_json() == evaluation.to_json()
    subset = cosmoinfer.evaluate(posterior, rows=posterior.index[:20].tolist())
    assert subset.rows == 20
    beside = cosmoinfer.evaluate(posterior, compare_to=posterior)
    assert beside.compared_to == "other posterior"


def test_an_evaluation_carries_the_result_of_its_gates(flow: Any, catalog: Path, folder: Path) -> None:
    posterior = cosmoinfer.sample(flow, catalog, draws=100)
    assert cosmoinfer.evaluate(posterior).gates is None
    output = folder / "gates.metrics.h5"
    for _ in range(2):  # measured, then read
        gates = cosmoinfer.evaluate(posterior, output=output, fail_if=["r2[Omega_m]<2", "r2[Omega_m]>2"]).gates
        assert list(gates.failed) == ["r2[Omega_m]<2"] and not gates.passed
    by_default = cosmoinfer.evaluate(posterior, gate=True)
    assert by_default.gates.passed == (not by_default.gates.failed)
    evaluation = cosmoinfer.evaluate(posterior, fail_if=["r2[Omega_m]<2"])
    assert "the gate r2[Omega_m]<2 failed" in str(evaluation) and "r2[Omega_m]&lt;2 failed" in evaluation._repr_html_()
    assert str(cosmoinfer.evaluate(posterior, fail_if=["r2[Omega_m]>2"])).endswith("no gate failed")


def test_an_exact_posterior_is_exact_in_memory_and_in_its_file(folder: Path) -> None:
    truth = cosmoinfer.exact_posterior("two-moons", cosmoinfer.simulate("two-moons", rows=60, seed=2), draws=40)
    done("simulate", "two-moons", "-n", 60, "--seed", 2, "--truth", "--draws", 40, "-o", folder / "exact.h5")
    of_file = cosmoinfer.read_posterior(folder / "exact.truth.h5")
    subject = of_file.select(np.arange(len(of_file)))
    for reference in (truth, of_file, folder / "exact.truth.h5"):
        evaluation = cosmoinfer.evaluate(subject, compare_to=reference)
        assert evaluation.compared_to == "exact posterior" and "expected_kl" in evaluation.joint
    derived = cosmoinfer.reweight(truth, derive={"sum": "theta_1+theta_2"}, output=folder / "derived.h5")
    assert not derived.exact and not cosmoinfer.read_posterior(folder / "derived.h5").exact


def test_arrays_in_the_place_of_files_are_refused_by_name(flow: Any, catalog: Path) -> None:
    theta, x = linear(20, 1)
    for train in (cosmoinfer.train_flow, cosmoinfer.train_regressor, cosmoinfer.train_density):
        with pytest.raises(
            cosmoinfer.UserError, match=r"found an array of shape \(20, 2\); arrays go by name, as theta="
        ):
            train(theta)
        with pytest.raises(
            cosmoinfer.UserError, match=r"shape \(20, 2\), an array of shape \(20, 8\); arrays go by name"
        ):
            train(theta, x)
    with pytest.raises(
        cosmoinfer.UserError, match=r"a Catalog, found an array of shape \(20, 8\); .* model.sample\(x\)"
    ):
        cosmoinfer.sample(flow, x)
    with pytest.raises(cosmoinfer.UserError, match="expected a model or its path, found Catalog"):
        cosmoinfer.sample(cosmoinfer.read_catalog(catalog), flow)
    for task in (cosmoinfer.evaluate, partial(cosmoinfer.reweight, derive={"a": "1"})):
        with pytest.raises(cosmoinfer.UserError, match=r"expected a posterior or its path, found an array"):
            task(x)


def test_observations_unlike_the_training_data_are_warned_of(flow: Any, catalog: Path) -> None:
    _, x = linear(240, 2)  # of no training row
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        flow.sample(x[:4], draws=10)
    with pytest.warns(cosmoinfer.CosmoinferWarning, match="2 of 2 observations are unlike the training data") as caught:
        flow.sample(-30 - x[:2], draws=10)
    assert caught[0].filename == __file__
    with pytest.raises(
        cosmoinfer.UserError, match=r"^x: data holds NaN or infinity in observation 1 \(counted from 0\)"
    ):
        flow.sample(np.stack([x[0], np.full_like(x[0], np.nan)]))
    flow.sample(x[:2], draws=10, skip_failed=True)
    with pytest.raises(cosmoinfer.UserError, match=r"draw: sample has no such setting; .*did you mean draws"):
        flow.sample(x[:2], draw=5)


def test_a_posterior_is_reweighted_in_memory(flow: Any, catalog: Path) -> None:
    posterior = cosmoinfer.sample(flow, catalog, draws=300)
    derived = cosmoinfer.reweight(posterior, derive={"S_8": "sigma_8*(Omega_m/0.3)**0.5"})
    assert derived.parameters.names == ("Omega_m", "sigma_8", "S_8")
    narrowed = cosmoinfer.reweight(posterior, prior={"Omega_m": "normal:0.3:0.1"}, skip_failed=True)
    assert narrowed.reweighted


@TRAINING_ROWS
def test_a_posterior_of_observations_is_saved_and_has_no_truths(flow: Any, folder: Path) -> None:
    posterior = flow.sample(linear(240, 1)[1][:3], draws=20)
    with pytest.raises(cosmoinfer.UserError, match=r"cosmoinfer.sample\(model, catalog\), with catalog_from_arrays"):
        cosmoinfer.evaluate(posterior)
    posterior.save(folder / "observed.posterior.h5")
    read = cosmoinfer.load(folder / "observed.posterior.h5")
    assert read.samples.tobytes() == posterior.samples.tobytes() and not read.exact
    truth = cosmoinfer.exact_posterior("two-moons", cosmoinfer.simulate("two-moons", rows=3), draws=5)
    truth.save(str(folder / "exact.posterior.h5"))
    assert cosmoinfer.read_posterior(folder / "exact.posterior.h5").exact
    with pytest.raises(cosmoinfer.UserError, match="exists already"):
        truth.save(folder / "exact.posterior.h5")


@TRAINING_ROWS
def test_figures_are_drawn_by_name(flow: Any, catalog: Path, folder: Path) -> None:
    observation = flow.sample(linear(240, 1)[1][0], draws=100)
    assert cosmoinfer.figures(observation, folder / "pages", plots=["corner"]) == [folder / "pages" / "corner.png"]
    assert [path.name for path in (folder / "pages").iterdir()] == ["corner.png"]
    posterior = cosmoinfer.sample(flow, catalog, draws=100)
    drawn = cosmoinfer.figures(posterior, folder / "all", evaluation=cosmoinfer.evaluate(posterior), model=flow)
    assert {"losses", "corner", "coverage"} < {path.stem for path in drawn}
    with pytest.raises(ValueError, match=r"plots: no figure is named korner; .* did you mean corner"):
        cosmoinfer.figures(posterior, folder, plots=["korner"])
    with pytest.raises(ValueError, match="plots: the posterior lacks what coverage shows"):
        cosmoinfer.figures(observation, folder, plots=["coverage"])


@pytest.mark.parametrize("name", ["train_flow", "train_regressor", "train_density", "catalog_from_arrays"])
def test_a_signature_shows_the_names_of_types(name: str) -> None:
    assert len(str(signature(getattr(cosmoinfer, name)))) < 1000
    for method in (FlowModel.log_prob, FlowModel.sample, RegressorModel.sample, DensityModel.log_prob):
        assert len(str(signature(method))) < 300


def test_a_problem_is_simulated_in_memory_as_into_a_file(folder: Path) -> None:
    made = cosmoinfer.simulate("two-moons", rows=50, seed=2)
    done("simulate", "two-moons", "-n", 50, "--seed", 2, "-o", folder / "moons.h5")
    assert made.fingerprint == cosmoinfer.read_catalog(folder / "moons.h5").fingerprint
    truth = cosmoinfer.exact_posterior("two-moons", made, draws=10, rows=[3, 4])
    assert truth.index.tolist() == [3, 4]


def test_the_guide_shows_what_arrays_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(cosmoinfer.__file__).parent / "guide" / "python.md"
    (code,) = re.findall(r"<!-- arrays -->\n```python\n(.*?)```", page.read_text(), re.S)
    monkeypatch.chdir(folder)
    quick = partial(cosmoinfer.train_flow, **TRAININGS["flow"][2], **QUICK)
    monkeypatch.setattr(cosmoinfer, "train_flow", quick, raising=False)
    theta, x = linear(240, 1)
    names = run_example(folder / "arrays.py", code, cosmoinfer=cosmoinfer, theta=theta, x=x)
    assert not names["evaluation"].gates.passed and names["exact"].samples.shape == (2, 500, 2)
    assert names["reweighted"].parameters.names == ("Omega_m", "sigma_8", "S_8")


def test_load_reads_every_kind_of_file(folder: Path, catalog: Path) -> None:
    done("split", catalog, "-o", folder / "loaded.split.h5")
    done("train-flow", catalog, *flags(TRAININGS["flow"][2] | QUICK), "-o", folder / "loaded.flow.h5")
    done("sample", folder / "loaded.flow.h5", catalog, "--draws", 20, "-o", folder / "loaded.posterior.h5")
    done("evaluate", folder / "loaded.posterior.h5", "-o", folder / "loaded.metrics.h5")
    kinds = {name: type(cosmoinfer.load(folder / f"loaded.{name}.h5")).__name__ for name in KINDS}
    assert kinds == KINDS
    assert type(cosmoinfer.load(catalog)).__name__ == "Catalog"


KINDS = {"split": "Split", "flow": "FlowModel", "posterior": "Posterior", "metrics": "Evaluation"}


def test_an_unknown_setting_suggests_those_that_are_spelled_alike(catalog: Path) -> None:
    with pytest.raises(ValueError, match="learning_rat: train_flow has no such setting; did you mean learning_rate"):
        cosmoinfer.train_flow(catalog, learning_rat=0.1)
    with pytest.raises(ValueError, match="support: is a setting of train_flow, not of train_regressor"):
        cosmoinfer.train_regressor(catalog, support="soft")
    with pytest.raises(cosmoinfer.UserError, match=r"^epochs: expected 1 to 1000000, found 0") as caught:
        cosmoinfer.train_flow(catalog, epochs=0)
    assert caught.value.setting == "epochs"


@pytest.mark.parametrize("train", [cosmoinfer.train_flow, cosmoinfer.train_density])
def test_classes_are_for_regressors(train: Any, catalog: Path) -> None:
    with pytest.raises(ValueError, match=r"target=kind: a .*; train-regressor classifies"):
        train(catalog, target="kind")


def test_settings_without_effect_are_refused(catalog: Path) -> None:
    theta, x = linear(20, 1)
    with pytest.raises(ValueError, match="give a catalog, or arrays"):
        cosmoinfer.train_flow(catalog, theta=theta, x=x)
    with pytest.raises(ValueError, match="bounds: applies to catalog files"):
        cosmoinfer.train_flow(theta=theta, x=x, bounds="a=0:1")
    with pytest.raises(ValueError, match=r"names: the catalog .* has been read already"):
        cosmoinfer.train_flow(cosmoinfer.read_catalog(catalog), names=["a", "b"])


@TRAINING_ROWS
def test_arrays_of_numpy_are_settings_too(folder: Path) -> None:
    theta, x = linear(240, 1)
    quick = {**QUICK, "epochs": np.int64(1), "seed": np.int64(3), "flow": "maf", "low": LOW, "high": HIGH}
    model = cosmoinfer.train_flow(theta=theta, x=x, names=np.array(NAMES), simulation=np.arange(240), **quick)
    assert model.preprocessing.parameters.names == tuple(NAMES)
    by_text = cosmoinfer.catalog_from_arrays(theta, x, names="Omega_m,sigma_8", prior=np.array(["unknown"] * 2))
    assert by_text.parameters.names == tuple(NAMES)
    assert cosmoinfer.sample(model, by_text, rows=np.array([3, 4]), draws=np.int64(5)).index.tolist() == [3, 4]
    assert cosmoinfer.sample(model, by_text, rows=5, draws=5).index.tolist() == [5]


@TRAINING_ROWS
@pytest.mark.parametrize(
    ("task", "setting", "value"),
    [
        *(("train", "seed", value) for value in ("x", 1.5, True)),
        *(("train", name, "two") for name in ("ensemble", "threads", "epochs", "drop_nonfinite", "fractions", "low")),
        *(("train", name, 5) for name in ("names", "compress", "augment", "noise", "split_file", "output")),
        *(("train", "reporter", print), ("train", "flow", ["maf"]), ("train", "force", "yes")),
        *(("draw", "draws", 1.5), ("draw", "seed", "q"), ("draw", "recalibrate", "temperature")),
        *(("sample", "draws", "10"), ("sample", "rows", 1.5), ("sample", "theta", 1), ("sample", "reporter", print)),
        *(("evaluate", "lc2st", "28"), ("evaluate", "lc2st", 28), ("evaluate", "fail_if", 5), ("evaluate", "theta", 1)),
        *(("simulate", "n", 5), ("simulate", "rows", "5"), ("simulate", "seed", 1.5), ("exact", "draws", "5")),
        *(("reweight", "draws", "5"), ("reweight", "where", 5), ("figures", "seed", "x")),
    ],
)
def test_a_setting_of_another_type_or_task_is_named(
    task: str, setting: str, value: Any, flow: Any, folder: Path
) -> None:
    theta, x = linear(240, 1)
    arrays = {"theta": theta, "x": x, "low": LOW, "high": HIGH}
    catalog, posterior = cosmoinfer.catalog_from_arrays(theta, x, NAMES), flow.sample(x[:2], draws=20)
    tasks = {
        "train": lambda **settings: cosmoinfer.train_flow(**{**arrays, **settings}),
        "draw": partial(flow.sample, x[:2]),
        "sample": partial(cosmoinfer.sample, flow, catalog),
        "evaluate": partial(cosmoinfer.evaluate, cosmoinfer.sample(flow, catalog, split="test", draws=20)),
        "simulate": partial(cosmoinfer.simulate, "two-moons"),
        "exact": partial(cosmoinfer.exact_posterior, "two-moons", catalog),
        "reweight": partial(cosmoinfer.reweight, posterior, prior={"Omega_m": "normal:0.3:0.1"}),
        "figures": partial(cosmoinfer.figures, posterior, folder / "none"),
    }
    with pytest.raises(cosmoinfer.UserError) as caught:
        tasks[task](**{setting: value})
    assert caught.value.setting == setting


@FEW_EPOCHS
def test_a_training_says_which_parameters_have_no_prior_box() -> None:
    (theta, x), lines = linear(240, 1), []
    quick = {**QUICK, "epochs": 1, "network": "mlp", "hidden": 8, "reporter": cosmoinfer.Reporter(info=lines.append)}
    cosmoinfer.train_regressor(theta=theta, x=x, names=NAMES, low=[0.1, -np.inf], high=[0.5, np.inf], **quick)
    assert any(line.startswith("no prior box: sigma_8; no limit") for line in lines)
    with pytest.warns(cosmoinfer.CosmoinferWarning, match="Omega_m, sigma_8: one of low and high is given"):
        cosmoinfer.train_regressor(theta=theta, x=x, names=NAMES, low=LOW, **quick)


def test_what_goes_with_another_function_is_said() -> None:
    with pytest.raises(ValueError, match=r"^theta: evaluate has no such setting; .* catalog_from_arrays"):
        cosmoinfer.evaluate("flow.h5", theta=[1], x=[1])
    with pytest.raises(ValueError, match=r"^n: simulate has no such setting; `rows`"):
        cosmoinfer.simulate("two-moons", n=5)
    with pytest.raises(ValueError, match="bounds: applies to catalog files, found arrays; `low`, `high`"):
        cosmoinfer.train_flow(theta=[[1.0]], x=[[1.0]], bounds="a=0:1")


def test_a_single_gate_is_a_text(flow: Any, catalog: Path) -> None:
    gates = cosmoinfer.evaluate(cosmoinfer.sample(flow, catalog, draws=50), fail_if="r2[Omega_m]<2").gates
    assert list(gates.failed) == ["r2[Omega_m]<2"]


def test_the_settings_of_every_training_have_a_type() -> None:
    tables = (FLOWS, MAP_FLOWS, NETWORKS, BASELINES)
    owners = [recipe for table in tables for recipe in table.values()]
    recipes = settings_of(*owners, TrainingSettings, SharedSettings)
    for trainer in (FLOW_TRAINER, REGRESSOR_TRAINER, DENSITY_TRAINER):
        unchecked = {name for name in trainer.settings() if name not in recipes}
        assert all(name.startswith("embedding_") for name in unchecked), unchecked


def test_a_reporter_shows_what_it_was_given() -> None:
    assert repr(cosmoinfer.Reporter()) == "Reporter()"
    assert repr(cosmoinfer.Reporter(info=print)) == "Reporter(info=print)"


def test_repr_of_models_catalogs_posteriors_and_evaluations(flow: Any, catalog: Path) -> None:
    posterior = cosmoinfer.sample(flow, catalog, draws=20)
    read, evaluation = cosmoinfer.read_catalog(catalog), cosmoinfer.evaluate(posterior)
    for shown in (read, flow, posterior, evaluation):
        assert str(shown) and len(repr(shown).splitlines()) < 20
        assert "<table" in shown._repr_html_() and "Omega_m" in shown._repr_html_()
    assert "FlowModel of p(Omega_m, sigma_8 | data)" in repr(flow)
    assert "2 x maf" in repr(flow)


def test_a_task_is_silent_and_progress_is_a_callback(catalog: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines, counts = [], []
    cosmoinfer.train_flow(catalog, **TRAININGS["flow"][2], **QUICK)
    assert capfd.readouterr() == ("", "")
    reporter = cosmoinfer.Reporter(info=lines.append, progress=lambda *state: counts.append(state))
    cosmoinfer.train_flow(catalog, **TRAININGS["flow"][2], **QUICK, reporter=reporter)
    assert [state[:3] for state in counts] == [("epoch", epoch, 3) for epoch in (1, 2, 3)]
    assert any("simulations train" in line for line in lines)
    assert capfd.readouterr() == ("", "")


def test_importing_the_face_imports_nothing_heavy() -> None:
    code = "import sys, cosmoinfer; dir(cosmoinfer); print(*sorted({n.split('.')[0] for n in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "h5py", "scipy"} & set(loaded)
    with pytest.raises(AttributeError, match="there are Catalog"):
        cosmoinfer.nothing  # noqa: B018


@pytest.mark.parametrize("name", cosmoinfer.__all__)
def test_every_name_of_the_face_is_there(name: str) -> None:
    assert getattr(cosmoinfer, name).__doc__


def test_names_are_completed() -> None:
    assert {"train_flow", "UserError", "__version__"} <= set(dir(cosmoinfer))


def test_options_and_keywords_have_the_same_names() -> None:
    """What a training command takes, its function takes by that name."""
    shared = {*READ_OPTIONS, *SPLIT, *RUN, *CHECKPOINTS, *RANKS}
    saying = {*OutputOptions.__dataclass_fields__, "catalog", "output", "max_time"}
    for trainer in (FLOW_TRAINER, REGRESSOR_TRAINER, DENSITY_TRAINER):
        settings = {*trainer.settings(), *trainer.inputs, *shared}
        assert options_of(COMMANDS[f"train-{trainer.kind}"]) - saying <= settings


def options_of(command: Any) -> set[str]:
    return set(signature(grouped(command)).parameters)
