"""What is written is read, and equal: contents that hypothesis makes up, with odd text and extreme numbers."""

import json
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

import cosmoinfer
from cosmoinfer import __version__, metrics, posterior, split, storage
from cosmoinfer.metrics import Estimate, Evaluation, Verdict
from cosmoinfer.models.density import scores
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import ClassProbabilities
from cosmoinfer.split import Split
from cosmoinfer.studies import cross_suite, learning_curve
from cosmoinfer.studies.cross_suite import CrossSuite, SuitePair
from tests.benchmarks.fuzz import plain
from tests.kept.numbers import KEPT
from tests.posteriors import make

KEPT_HERE = KEPT / __version__
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)  # HDF5 ends text at NUL
FINITE = st.floats(allow_nan=False, allow_infinity=False)
DTYPES = st.sampled_from([np.dtype(name) for name in ("<f8", "<f4", "<i8", "<i4", "<u1", "<u8", "?")])
SHAPES = st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
PATHS = st.from_regex(r"[a-zA-Z_][\w.]{0,8}(/[a-zA-Z_][\w.]{0,8}){0,2}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ATTRIBUTES = st.one_of(TEXT, FINITE, st.integers(-(2**62), 2**62), st.lists(TEXT, min_size=1, max_size=3).map(tuple))
ESTIMATES = st.builds(Estimate, *3 * [st.none() | FINITE], TEXT)


def texts(count: int) -> Any:
    return st.lists(TEXT, min_size=count, max_size=count).map(lambda items: np.array(items, dtype=str))


def distinct(low: int, high: int) -> Any:
    return st.lists(TEXT.filter(bool), min_size=low, max_size=high, unique=True)


def numbers(*shape: int, elements: Any = None) -> Any:
    return st_numpy.arrays(np.float64, shape, elements=elements)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every example writes it anew."""
    return tmp_path_factory.mktemp("files") / "file.h5"


def equal(first: Any, second: Any) -> bool:
    return repr(plain(_listed(first))) == repr(plain(_listed(second)))


def _listed(value: Any) -> Any:
    """With arrays of text as lists: the length of numpy's text is that of the longest."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) and value.dtype.kind == "U" else value


@st.composite
def contents(draw: Any) -> storage.FileContents:
    """Of any kind; no dataset stands where another one has a group."""
    names = draw(st.lists(PATHS, max_size=4, unique_by=lambda name: name.split("/")[0]))
    names = [name for name in names if name not in ("meta", "digests")]
    kinds = st.one_of(st_numpy.arrays(DTYPES, SHAPES), st.integers(0, 3).flatmap(texts), TEXT.map(np.array))
    arrays = {name: draw(kinds) for name in names}
    attributes = {name: draw(st.dictionaries(TEXT.filter(bool), ATTRIBUTES, max_size=2)) for name in names}
    meta = draw(st.dictionaries(TEXT, JSON, max_size=3))
    suite = draw(TEXT.filter(bool))
    return storage.FileContents(
        draw(st.sampled_from(sorted(storage.FORMATS))), meta, arrays, attributes, {"suite": suite}
    )


@hypothesis.given(contents())
def test_any_contents(path: Path, written: storage.FileContents) -> None:
    path.unlink(missing_ok=True)
    storage.write(path, written)
    back = storage.read_contents(path, written.kind)
    assert (back.kind, back.meta) == (written.kind, written.meta)
    assert back.arrays.keys() == written.arrays.keys()
    for name, array in written.arrays.items():
        assert back.arrays[name].shape == array.shape
        assert array.dtype.kind == "U" or back.arrays[name].dtype == array.dtype
        assert back.arrays[name].tobytes() == array.tobytes() or back.arrays[name].tolist() == array.tolist()
        assert back.attributes.get(name, {}) == written.attributes[name]
    assert storage.file_attributes(path) == written.file_attributes
    assert storage.verify(path) == len(written.arrays) + 1


@hypothesis.given(
    st.integers(0, 6).flatmap(lambda count: st.tuples(distinct(count, count), st.just(count))), st.randoms()
)
def test_a_split(path: Path, ids: tuple[list[str], int], stream: Any) -> None:
    names, count = ids
    partition = np.array([stream.randrange(3) for _ in range(count)], np.uint8)
    path.unlink(missing_ok=True)
    split.write(path, Split(np.array(names, dtype=str), partition), {})
    back = split.read(path)
    assert back.simulation.tolist() == names and back.partition.tolist() == partition.tolist()


@st.composite
def posteriors(draw: Any) -> posterior.Posterior:
    """With draws, point estimates or class probabilities, and some diagnostics."""
    n, draws = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    form = draw(st.sampled_from(["draws", "point", "classes"]))
    names = draw(distinct(1, 1 if form == "classes" else 3))
    size = len(names)
    values: dict[str, Any] = {"log_prob_truth": numbers(n), "ess": numbers(n), "truth": numbers(n, size)}
    values |= {"ridge_estimate": numbers(n, size), "ood_percentile": numbers(n), "temperature": FINITE}
    values = {name: draw(strategy) for name, strategy in values.items() if draw(st.booleans())}
    if form == "draws":
        values |= {"samples": draw(numbers(n, draws, size)), "log_prob": draw(numbers(n, draws))}
    elif form == "point":
        values |= {"mean": draw(numbers(n, size)), "std": draw(numbers(n, size))}
    else:
        values.pop("truth", None)
        count = draw(st.integers(2, 3))
        classes = ClassProbabilities(tuple(draw(distinct(count, count))), np.full((n, count), 1 / count))
        values["classes"] = classes
    head = Parameters.from_names(names), np.arange(n), draw(texts(n)), np.full(n, 2, np.uint8)
    classes = values.pop("classes", None)
    made = make(*head, **values)
    return made if classes is None else posterior.Posterior(*head, classes=classes, diagnostics=made.diagnostics)


@hypothesis.given(posteriors())
def test_a_posterior(path: Path, written: posterior.Posterior) -> None:
    path.unlink(missing_ok=True)
    posterior.write(path, written, {})
    back = posterior.read(path)
    assert back.parameters.names == written.parameters.names
    expected = written.to_file({})
    assert equal(back.to_file({}).arrays, expected.arrays) and equal(back.to_file({}).attributes, expected.attributes)
    assert len(repr(back).splitlines()) <= len(back) + 2


@hypothesis.given(st.data())
def test_a_catalog(path: Path, data: Any) -> None:
    rows, names = data.draw(st.integers(1, 4)), data.draw(distinct(1, 3))
    integers = st.integers(-(10**6), 10**6)
    theta = 10.0 ** data.draw(st.integers(-90, 90)) * data.draw(numbers(rows, len(names), elements=integers))
    x = 10.0 ** data.draw(st.integers(-290, 290)) * data.draw(numbers(rows, 3, elements=integers))
    ids = data.draw(distinct(rows, rows))
    arrays = {"parameters": theta, "data": x, "simulation": np.array(ids)}
    attributes = {"parameters": {"names": tuple(names)}}
    path.unlink(missing_ok=True)
    storage.write(path, storage.FileContents("catalog", {}, arrays, attributes))
    back = cosmoinfer.read_catalog(path)
    assert back.parameters.names == tuple(names) and back.simulation.tolist() == ids
    np.testing.assert_array_equal(back.theta, theta)
    np.testing.assert_array_equal(back.observables[0].values[:], x)


@hypothesis.given(st.data())
def test_scores(path: Path, data: Any) -> None:
    n = data.draw(st.integers(0, 4))
    columns = [data.draw(numbers(n)) for _ in range(6)]
    written = scores.Scores(*columns, np.arange(n), data.draw(texts(n)), np.full(n, 255, np.uint8))
    path.unlink(missing_ok=True)
    scores.write(path, written, {})
    back = scores.read(path)
    assert equal(columns, [getattr(back, name) for name in vars(written)][:6])
    assert back.simulation.tolist() == written.simulation.tolist()


@st.composite
def evaluations(draw: Any) -> Evaluation:
    names, metric_names = draw(distinct(1, 2)), st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
    joint = draw(st.dictionaries(metric_names, ESTIMATES, max_size=2))
    parameters = {name: {item: draw(ESTIMATES) for item in names} for name in draw(st.lists(metric_names, max_size=2))}
    verdict = Verdict(draw(TEXT), {name: draw(TEXT) for name in names})
    return Evaluation(draw(st.integers(0, 10**9)), draw(st.integers(0, 10**9)), joint, parameters, verdict)


@hypothesis.given(evaluations())
def test_metrics(path: Path, written: Evaluation) -> None:
    path.unlink(missing_ok=True)
    metrics.file.write(path, written, {})
    assert metrics.read(path).to_json() == written.to_json()


@hypothesis.given(evaluations(), distinct(1, 1), TEXT)
def test_a_cross_suite(path: Path, evaluation: Evaluation, suites: list[str], sentence: str) -> None:
    parameters = {metric: dict.fromkeys(evaluation.parameter_names, Estimate(0.5)) for metric in ("r2", "coverage_68")}
    evaluation = Evaluation(evaluation.rows, evaluation.simulations, evaluation.joint, parameters, evaluation.verdict)
    written = CrossSuite(tuple(suites), (SuitePair(suites[0], suites[0], evaluation, sentence),))
    path.unlink(missing_ok=True)
    cross_suite.write(path, written, {})
    assert cross_suite.read(path).to_json() == written.to_json()


@hypothesis.given(st.data())
def test_a_learning_curve(path: Path, data: Any) -> None:
    """Of the kept one, with other numbers and sentences."""
    document = learning_curve.read(KEPT_HERE / "curve.h5").to_json()
    document["words"] = data.draw(st.lists(TEXT, max_size=3))
    document["error"] = data.draw(st.lists(FINITE, min_size=3, max_size=3))
    document["log_prob"] = [data.draw(ESTIMATES).to_json() for _ in range(3)]
    path.unlink(missing_ok=True)
    arrays = {"document": np.array(json.dumps(document))}
    storage.write(path, storage.FileContents("learning-curve", {}, arrays))
    assert learning_curve.read(path).to_json() == document


@pytest.mark.parametrize("name", ["flow.h5", "summarised.h5", "regressor.h5", "classifier.h5", "density.h5"])
def test_a_model(tmp_path: Path, name: str) -> None:
    cosmoinfer.load(KEPT_HERE / name).save(tmp_path / name)
    first, second = storage.read_contents(KEPT_HERE / name), storage.read_contents(tmp_path / name)
    before, after = (json.loads(str(contents.arrays.pop("config"))) for contents in (first, second))
    assert before == {key: value for key, value in after.items() if key in before or value is not None}
    assert (
        first.meta == second.meta and equal(first.arrays, second.arrays) and equal(first.attributes, second.attributes)
    )
