"""Posteriors: what is written comes back, and an exact moment is preferred to that of the draws."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from cosmoinfer import metrics, posterior, storage
from cosmoinfer.errors import UserError
from cosmoinfer.formatting import format_with_error
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior
from cosmoinfer.posterior import draws as draws_module
from cosmoinfer.storage import out_of_core
from tests.posteriors import ARRAYS, FULL, HEAD, PARAMETERS, changed, make, value_of

RNG = np.random.default_rng(0)


CLASSIFIED = make(
    Parameters.from_names(("suite",)),
    HEAD.index,
    HEAD.simulation,
    HEAD.split,
    truth=np.array([[0.0], [2.0], [1.0]]),
    probabilities=np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0], [0.25, 0.5, 0.25]]),
    names=("TNG", "SIMBA", "Astrid"),
)


PROBABILITIES = CLASSIFIED.classes.probabilities


NUMBERS = ("ood_set_p_value", "temperature")


@pytest.mark.parametrize("written", [FULL, HEAD, CLASSIFIED], ids=["full", "empty", "classified"])
def test_a_posterior_comes_back_as_it_was(tmp_path, written):
    posterior.write(tmp_path / "p.h5", written, {"settings": {}})
    back = posterior.read(tmp_path / "p.h5")
    assert repr(back.parameters) == repr(written.parameters)
    assert (back.reweighted, back.derived) == (written.reweighted, written.derived)
    assert value_of(back, "names") == value_of(written, "names")
    assert all(value_of(back, name) == value_of(written, name) for name in NUMBERS)
    for name in ARRAYS:
        expected, actual = value_of(written, name), value_of(back, name)
        assert (expected is None) == (actual is None)
        if expected is not None:
            assert actual.dtype.kind == expected.dtype.kind
            np.testing.assert_array_equal(actual, expected)


# ---------------------------------------------------------------------------------------------- too large for memory
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_truth_is_finite_or_not_known_at_all(value):
    truth = FULL.truth.copy()
    truth[1] = np.nan
    assert not changed(FULL, truth=truth).has_truth[1]
    truth[2, 0] = value
    with pytest.raises(UserError, match=f"truth: expected finite numbers.* .row {FULL.index[2]}."):
        changed(FULL, truth=truth)


@pytest.mark.parametrize(
    ("written", "dataset", "attribute", "value", "message"),
    [
        (FULL, "names", "derived", ("x",), "/names, attribute derived: expected the last names, found x"),
        (FULL, "names", "reweighted", "x", "/names, attribute reweighted: expected true or false"),
        (FULL, "names", "low", np.zeros(9), "/names, attribute low: expected P = "),
        (FULL, "names", "prior", None, "/names: has no attribute prior"),
        (CLASSIFIED, "probabilities", "names", ("a", "b"), "/probabilities, attribute names: expected C = 3"),
        (CLASSIFIED, "probabilities", "names", None, "/probabilities: has no attribute names"),
    ],
)
def test_an_attribute_that_does_not_fit_is_told(tmp_path, written, dataset, attribute, value, message):
    contents = written.to_file({})
    attributes = contents.attributes | {dataset: contents.attributes[dataset] | {attribute: value}}
    attributes = {
        name: {key: item for key, item in items.items() if item is not None} for name, items in attributes.items()
    }
    storage.write(tmp_path / "p.h5", replace(contents, attributes=attributes))
    with pytest.raises(UserError, match=message) as error:
        posterior.read(tmp_path / "p.h5")
    assert "\n" not in str(error.value)


@pytest.fixture
def left_in_file(tmp_path, monkeypatch) -> Posterior:
    """FULL, whose draws stay in their file and are walked two rows at a time."""
    monkeypatch.setattr(out_of_core, "MAX_IN_MEMORY_BYTES", 0)  # of all arrays
    monkeypatch.setattr(draws_module, "MAX_NUMBERS_AT_ONCE", 2 * 50 * 2)
    posterior.write(tmp_path / "p.h5", FULL, {"settings": {}})
    read = posterior.read(tmp_path / "p.h5", leave_large=True)
    assert isinstance(read.samples, storage.OnDiskArray) and isinstance(read.log_prob, storage.OnDiskArray)
    return read


@pytest.mark.parametrize(
    "which", [0, -1, np.int64(1), slice(1, 3), np.array([2, 0]), np.array([0, 1, 2]), np.zeros(0, np.int64)], ids=str
)
def test_rows_are_read_from_their_file_as_from_memory(left_in_file, which):
    np.testing.assert_array_equal(left_in_file.samples[which], FULL.samples[which])
    assert len(left_in_file.samples) == 3 and left_in_file.samples.shape == FULL.samples.shape
    np.testing.assert_array_equal(np.asarray(left_in_file.samples), FULL.samples)


@pytest.mark.parametrize("keep", [np.array([True, False, True]), np.array([2, 0])], ids=["mask", "positions"])
def test_what_is_selected_of_draws_in_a_file_stays_there(left_in_file, keep):
    selected = left_in_file.select(keep)
    assert isinstance(selected.samples, storage.OnDiskArray)
    np.testing.assert_array_equal(selected.samples[:], FULL.samples[keep])
    np.testing.assert_array_equal(selected.log_prob[1], FULL.log_prob[keep][1])


def test_evaluation_of_draws_on_disk_equals_that_in_memory(left_in_file):
    on_disk, in_memory = (
        metrics.evaluate(changed(drawn, mean=None, std=None, reweighted=False, derived=()), 0)
        for drawn in (left_in_file, FULL)
    )
    assert on_disk == in_memory


def test_a_posterior_whose_draws_are_in_a_file_can_be_written_anew(left_in_file, tmp_path):
    posterior.write(tmp_path / "again.h5", left_in_file, {"settings": {}})
    np.testing.assert_array_equal(posterior.read(tmp_path / "again.h5").samples, FULL.samples)


def test_rows_alone_can_be_picked_of_draws_in_a_file(left_in_file):
    with pytest.raises(TypeError, match="only rows"):
        left_in_file.samples[..., 0]
    with pytest.raises(ValueError, match="copy"):
        np.asarray(left_in_file.samples, copy=False)


@pytest.mark.parametrize("full", [FULL, CLASSIFIED], ids=["full", "classified"])
def test_all_but_draws_is_in_memory_however_large_it_is(tmp_path, monkeypatch, full):
    monkeypatch.setattr(out_of_core, "MAX_IN_MEMORY_BYTES", 0)
    posterior.write(tmp_path / "p.h5", full, {"settings": {}})
    back = posterior.read(tmp_path / "p.h5", leave_large=True)
    on_disk = {name for name in ARRAYS if isinstance(value_of(back, name), storage.OnDiskArray)}
    assert on_disk == ({"samples", "log_prob"} if full is FULL else set())
    for name in ARRAYS:
        if value_of(full, name) is not None:
            np.testing.assert_array_equal(np.asarray(value_of(back, name)), value_of(full, name))


@pytest.mark.parametrize("full", [FULL, CLASSIFIED], ids=["full", "classified"])
@pytest.mark.parametrize("keep", [np.array([False, True, True]), np.array([1, 2])], ids=["mask", "positions"])
def test_taking_observations_takes_all_of_them(keep, full):
    taken = full.select(keep)
    assert len(taken) == 2 and value_of(taken, "names") == value_of(full, "names")
    for name in ARRAYS:
        expected = value_of(full, name)
        assert (expected is None) == (value_of(taken, name) is None)
        if expected is not None:
            np.testing.assert_array_equal(value_of(taken, name), expected[1:])
    assert HEAD.select(keep).draws is None
    assert taken.diagnostics.ood_set_p_value is None
    assert full.select(np.arange(3)).diagnostics.ood_set_p_value == full.diagnostics.ood_set_p_value
    assert taken.diagnostics.temperature == full.diagnostics.temperature


@pytest.mark.parametrize("full", [FULL, CLASSIFIED, HEAD], ids=["full", "classified", "empty"])
def test_parts_of_a_posterior_are_joined_to_it(full):
    pieces = [full.select(rows) for rows in ([0], [1, 2])]
    numbers = {name: getattr(full.diagnostics, name) for name in NUMBERS}
    pieces = [replace(piece, diagnostics=replace(piece.diagnostics, **numbers)) for piece in pieces]
    joined = Posterior.concatenated(pieces)
    assert repr(joined) == repr(full)
    for name in ARRAYS:
        np.testing.assert_array_equal(value_of(joined, name), value_of(full, name))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ood_set_p_value": 0.5}, "/ood_set_p_value: expected one value of all posteriors, found 0.25, 0.5"),
        ({"ess": None}, "/ess: is in some of the posteriors and not in all"),
        ({"reweighted": False}, "/reweighted: expected one value of all posteriors, found True, False"),
    ],
)
def test_posteriors_of_different_origin_are_not_joined(changes, message):
    with pytest.raises(UserError, match=message):
        Posterior.concatenated([FULL, changed(FULL, **changes)])


def test_what_a_model_holds_is_all_tested():
    assert all(value_of(FULL, name) is not None or value_of(CLASSIFIED, name) is not None for name in ARRAYS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"names": ("TNG", "SIMBA")}, r"a column for each of the classes TNG, SIMBA, found shape \(3, 3\)"),
        ({"names": ()}, "none is named"),
        ({"probabilities": PROBABILITIES[:2]}, r"expected 3 rows .* found shape \(2, 3\)"),
        ({"probabilities": np.ones((3, 1)), "names": ("TNG",)}, "of the classes TNG"),
        (
            {"probabilities": CLASSIFIED.classes.probabilities * [[1], [1.001], [1]]},
            r"add to one, found others \(row 7\)",
        ),
        ({"probabilities": np.array([[1.5, -0.5, 0]] * 3)}, r"not negative .* \(row 4, 7, 9\)"),
        ({"probabilities": np.full((3, 3), np.nan)}, r"found others \(row 4, 7, 9\)"),
        ({"truth": np.array([[0.0], [3.0], [0.5]])}, r"suite: expected class numbers from 0 to 2, .* \(row 7, 9\)"),
        ({"parameters": PARAMETERS}, r"expected one target, found 2 \(a, b\)"),
    ],
)
def test_probabilities_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        changed(CLASSIFIED, **wrong)


def test_probabilities_of_single_precision_add_to_one_well_enough():
    rounded = np.random.default_rng(0).dirichlet(np.ones(3), 1000).astype(np.float32)
    index = np.arange(1000)
    posterior = make(
        Parameters.from_names(("suite",)),
        index,
        index.astype(str),
        index,
        probabilities=rounded,
        names=("a", "b", "c"),
    )
    assert posterior.classes is not None
    np.testing.assert_array_equal(posterior.classes.probabilities, rounded)
    assert (rounded.astype(float).sum(axis=1) != 1).any()


def test_an_exact_moment_is_preferred_to_that_of_the_draws():
    assert FULL.mean is FULL.point.mean
    assert FULL.std is FULL.point.std
    drawn = make(PARAMETERS, FULL.index, FULL.simulation, FULL.split, samples=FULL.samples)
    np.testing.assert_allclose(drawn.mean, FULL.samples.sum(axis=1) / 50)
    spread = ((FULL.samples - drawn.mean[:, None]) ** 2).sum(axis=1)
    np.testing.assert_allclose(drawn.std, np.sqrt(spread / 49))
    assert HEAD.mean is HEAD.std is None


def test_one_draw_has_a_mean_and_no_width():
    single_draw = make(PARAMETERS, FULL.index, FULL.simulation, FULL.split, samples=FULL.samples[:, :1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(single_draw.mean, FULL.samples[:, 0])
        assert single_draw.std.shape == (3, 2) and np.isnan(single_draw.std).all()


# --------------------------------------------------------------------------------------------------- in a notebook
def test_a_parameter_is_read_by_its_name(left_in_file):
    np.testing.assert_array_equal(FULL["b"], FULL.samples[..., 1])
    np.testing.assert_array_equal(left_in_file["b"], FULL["b"])
    with pytest.raises(UserError, match="no parameter is named c; there are a, b"):
        FULL["c"]
    with pytest.raises(UserError, match="points and no draws"):
        HEAD["a"]
    with pytest.raises(UserError, match="probabilities of classes"):
        CLASSIFIED.samples  # noqa: B018


def test_a_posterior_is_shown_by_its_first_rows(left_in_file):
    assert repr(FULL).splitlines()[0] == "Posterior of 3 observations: 50 draws each of a, b"
    assert repr(left_in_file) == repr(FULL) and len(repr(FULL).splitlines()) == 4
    value, error = (array[0, 1] for array in (FULL.point.mean, FULL.point.std))
    assert repr(FULL).splitlines()[1].endswith(f"b = {format_with_error(value, error)}")
    thirty_rows = FULL.select(np.arange(30) % 3)
    assert len(repr(thirty_rows).splitlines()) == 7 and thirty_rows._repr_html_().count("<tr>") == 6
    single = FULL.select(np.arange(1))
    assert repr(single).splitlines()[0] == "Posterior of 1 observation: 50 draws of a, b"
    assert "<b>Posterior</b> of 1 observation: 50 draws of a, b" in single._repr_html_()
    assert "row 4: TNG = 0.7, SIMBA = 0.2, Astrid = 0.1" in repr(CLASSIFIED)
    one_draw = make(PARAMETERS, HEAD.index, HEAD.simulation, HEAD.split, samples=FULL.samples[:, :1])
    assert "±" in repr(FULL) and "±" not in repr(one_draw)  # whose width is not known
    assert repr(HEAD) == "Posterior of 3 observations: points, no draws, of a, b"
    assert "3 observations" in HEAD._repr_html_() and "<td>0.7</td>" in CLASSIFIED._repr_html_()
