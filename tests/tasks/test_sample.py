"""Observations: those whose parameters are not known, and those whose data are those of training rows."""

from dataclasses import replace

import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.catalog import Observable, from_arrays
from cosmoinfer.errors import UserError
from cosmoinfer.models import posterior_model
from cosmoinfer.models.flow import product_posterior
from cosmoinfer.sampling.options import SamplingOptions
from cosmoinfer.tasks.reporter import Reporter
from tests.command_line import linear, write
from tests.examples import box, flow_of, in_memory_catalog, linear_gaussian, regressor_of, sampled, train_flow
from tests.posteriors import value_of

MODELS = {
    "flow": lambda: flow_of("maf", 2, 2, "probit"),
    "truncated flow": lambda: flow_of("maf", 2, 1, "truncate"),
    "regressor": lambda: regressor_of(2),
    "point": lambda: regressor_of(2, "mse"),
}
OTHER_MODELS = {
    "embedding": lambda: train_flow(linear_gaussian(2), flow="maf", ensemble=2, support="soft", embedding="mlp"),
    "codes": lambda: cosmoinfer.train_regressor(linear_gaussian(2), epochs=1, compress="pca:3", ensemble=1),
}


class Words:
    """What a task said."""

    def __init__(self):
        self.reported, self.warned = [], []
        self.reporter = Reporter(self.reported.append, self.reported.append, self.warned.append)


def with_placeholders(rows, count=8):
    """Other simulations of the linear problem, NaN for the parameters of some."""
    base = linear_gaussian(2, count, seed=3)
    theta = base.theta.copy()
    theta[rows] = np.nan
    parameters = {"low": base.parameters.low, "high": base.parameters.high, "prior": base.parameters.prior}
    return from_arrays(theta, base.observables[0].values, base.parameters.names, **parameters)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("rows", [range(8), [0, 5], [7]], ids=["all", "some", "one"])
def test_rows_with_nan_for_parameters_are_sampled_as_observations(kind, rows):
    model, rows, words = MODELS[kind](), list(rows), Words()
    sims = with_placeholders(rows)
    posterior = cosmoinfer.sample(model, sims, draws=20, reporter=words.reporter)
    complete = cosmoinfer.sample(model, with_placeholders([]), draws=20)
    assert words.warned == []
    assert any("/parameters are NaN in" in line and "taken as observations" in line for line in words.reported)
    for name in ("samples", "log_prob", "mean", "std"):
        np.testing.assert_array_equal(value_of(posterior, name), value_of(complete, name))
    if len(rows) == 8:
        assert posterior.truth is posterior.log_prob_truth is None
        return
    assert np.flatnonzero(~posterior.has_truth).tolist() == rows
    has_truth = posterior.has_truth
    np.testing.assert_array_equal(posterior.truth[has_truth], complete.truth[has_truth])
    if complete.log_prob_truth is not None:
        np.testing.assert_array_equal(posterior.log_prob_truth[has_truth], complete.log_prob_truth[has_truth])
        assert np.isnan(posterior.log_prob_truth[~has_truth]).all()


def test_a_file_of_observations_may_stand_beside_one_of_simulations(tmp_path):
    theta, x = linear(40, 1)
    write(tmp_path / "sims_a.h5", np.full_like(theta[:10], np.nan), x[:10])
    write(tmp_path / "sims_b.h5", theta[10:], x[10:])
    sims = cosmoinfer.read_catalog(tmp_path / "sims_*.h5")
    assert np.flatnonzero(~sims.has_theta).tolist() == list(range(10))


def test_more_placeholders_than_a_batch_of_truths_holds():
    model = MODELS["flow"]()
    rows = np.arange(300)
    posterior = sampled(model, with_placeholders(rows[:299], 300), rows, 2)
    assert np.isnan(posterior.log_prob_truth[:299]).all() and np.isfinite(posterior.log_prob_truth[299])


def test_simulations_without_known_parameters_are_combined_too():
    model = MODELS["flow"]()
    base = with_placeholders([0, 1, 2, 3])
    sims = replace(base, theta=base.theta[[0, 0, 0, 0, 4, 4, 4, 4]], simulation=np.repeat(["a", "b"], 4))
    posterior = product_posterior(model, sims, np.arange(8), SamplingOptions(50))
    assert posterior.has_truth.tolist() == [False, True]
    assert np.isfinite(posterior.log_prob_truth).tolist() == [False, True]
    sims = replace(with_placeholders([0, 1]), simulation=np.repeat(["a", "b"], 4))
    with pytest.raises(UserError, match="the rows of simulation a have different parameters"):
        product_posterior(model, sims, np.arange(8), SamplingOptions(50))


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_known_in_part_are_refused_by_name(column, value):
    base = linear_gaussian(2, 8, seed=3)
    theta = base.theta.copy()
    theta[3, column] = value
    with pytest.raises(UserError, match=r"/parameters: 1 of 8 rows hold NaN or inf \(row 3\)"):
        from_arrays(theta, base.observables[0].values, base.parameters.names)


@pytest.mark.filterwarnings("ignore:the network returns the mean")
def test_a_training_needs_the_parameters_of_all_rows():
    base = linear_gaussian(2, 200, seed=4)
    theta = base.theta.copy()
    theta[[3, 9]] = np.nan
    arrays = {"x": base.observables[0].values, "names": base.parameters.names}
    for train in (cosmoinfer.train_flow, cosmoinfer.train_regressor, cosmoinfer.train_density):
        with pytest.raises(UserError, match=r"/parameters are NaN in 2 of 200 rows \(row 3, 9\)"):
            train(theta=theta, epochs=1, **arrays)
        with pytest.raises(UserError, match="/parameters"):
            train(theta=np.full_like(theta, np.nan), epochs=1, **arrays)
    unconditional = cosmoinfer.train_density(theta=theta, epochs=1, unconditional=True, **arrays)
    assert unconditional.condition is None
    model = cosmoinfer.train_regressor(theta=theta, epochs=1, drop_nonfinite=True, **arrays)
    assert sum(model.training_record.split.sizes) == 198


@pytest.mark.filterwarnings("ignore:the network returns the mean")
@pytest.mark.parametrize("kind", ["regressor", "point", *OTHER_MODELS])
def test_no_number_of_a_row_depends_on_which_other_rows_there_are(kind):
    """Nor does the test of the set, which is of all rows of the run."""
    model, sims = {**MODELS, **OTHER_MODELS}[kind](), linear_gaussian(2, 140, seed=5)
    selection = np.arange(len(sims))
    complete = model.posterior(sims, selection, SamplingOptions(2)).to_file({}).arrays
    pieces = [selection[:7], selection[7:60], selection[60:]]
    options = SamplingOptions(2, selection=selection)
    arrays = [model.posterior(sims, rows, options).to_file({}).arrays for rows in pieces]
    for name, array in complete.items():
        if name in ("names", "ood_set_p_value"):
            assert all((piece[name] == array).all() for piece in arrays), name
        else:
            np.testing.assert_array_equal(np.concatenate([piece[name] for piece in arrays]), array, err_msg=name)


def test_a_shard_computes_the_features_of_its_rows_and_of_those_that_the_set_test_looks_at(monkeypatch):
    model, sims = regressor_of(2, "mse"), linear_gaussian(2, 140, seed=5)
    monkeypatch.setattr(posterior_model, "MAX_ROWS", 30)
    selection, rows = np.arange(140), np.arange(50, 57)
    complete = model.posterior(sims, selection, SamplingOptions())
    features, computed = type(model).feature_spaces, set()

    def counted(self, catalog, rows):
        computed.update(rows.tolist())
        return features(self, catalog, rows)

    monkeypatch.setattr(type(model), "feature_spaces", counted)
    shard = model.posterior(sims, rows, SamplingOptions(selection=selection))
    assert computed == {*range(50, 57), *range(0, 140, 5)}
    assert shard.diagnostics.ood_set_p_value == complete.diagnostics.ood_set_p_value


# --------------------------------------------------------------------------------------------- data of training rows
def counts_catalog(count, seed, theta=None, labelled=True):
    """Numbers of clusters in two bins of mass: many simulations have the same."""
    random = np.random.default_rng(seed)
    theta = box(2).quantile(random.random((count, 2))) if theta is None else theta
    x = random.poisson(np.stack([2 + 10 * theta[:, 0], 1 + theta[:, 1]], axis=1))
    parameters = (theta, box(2)) if labelled else (None, None)
    return in_memory_catalog(*parameters, Observable("data", "vector", x), name=f"counts_{seed}.h5")


@pytest.fixture(scope="module")
def counts_model():
    return cosmoinfer.train_regressor(counts_catalog(400, 0), epochs=1, hidden=8, layers=1, ensemble=1)


@pytest.mark.filterwarnings("ignore::cosmoinfer.CosmoinferWarning")
def test_counts_that_a_training_row_has_too_are_new_observations(counts_model):
    record, words = counts_model.training_record, Words()
    observed, new = counts_catalog(50, 1, labelled=False), counts_catalog(50, 2)
    rows = np.arange(50)
    assert record.has_used_data(observed, rows).mean() > 0.5
    posterior = cosmoinfer.sample(counts_model, observed, draws=5, reporter=words.reporter)
    assert len(posterior) == 50 and set(posterior.split) == {2}
    assert any("are those of rows that the model was trained on" in line for line in words.reported)
    assert not any("trained on" in line for line in words.warned)
    for partition in (None, "test", "all"):
        assert record.select_rows(new, partition).tolist() == rows.tolist()
    evaluation = cosmoinfer.evaluate(counts_model, new, draws=5)
    assert evaluation.rows == 50
    copies = counts_catalog(400, 0)
    copies = replace(copies.select(np.arange(399, -1, -1)), fingerprint="another")
    with pytest.raises(UserError, match=r"trained on or chosen by \d+ of these 400 rows"):
        cosmoinfer.sample(counts_model, copies)
    test = record.select_rows(copies, "test")
    assert set(copies.simulation[test]) == set(record.split.simulation[record.split.partition == 2])


@pytest.mark.parametrize("theta", [False, True], ids=["without parameters", "NaN"])
def test_an_observation_with_the_data_of_a_training_row_is_sampled_with_a_warning(theta):
    model, sims, words = MODELS["flow"](), linear_gaussian(2), Words()
    rows = np.array([model.training_record.rows(sims, "train")[0], model.training_record.rows(sims, "test")[0]])
    x = sims.observables[0].values[rows]
    observed = from_arrays(np.full((2, 2), np.nan) if theta else None, x)
    posterior = cosmoinfer.sample(model, observed, draws=5, reporter=words.reporter)
    assert len(posterior) == 2
    assert words.warned == [
        "the data of 1 of these 2 observations are those of rows that the model was trained on or chosen by (row 0)"
    ]


@pytest.mark.parametrize("kind", MODELS)
def test_parameters_that_are_not_to_be_inferred_are_marginalised(kind):
    model, sims = MODELS[kind](), with_placeholders([])
    names = model.preprocessing.parameters.names
    complete = cosmoinfer.sample(model, sims, draws=20)
    marginal = cosmoinfer.sample(model, sims, draws=20, infer=names[1:])
    assert marginal.parameters.names == names[1:] and complete.parameters.names == names
    for name in ("samples", "mean", "truth"):
        expected = value_of(complete, name)
        values = value_of(marginal, name)
        assert (values is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(values, expected[..., 1:])
    assert marginal.log_prob_truth is None and value_of(marginal, "log_prob") is None
    with pytest.raises(UserError, match=f"infer: the .* infers {', '.join(names)}, found h"):
        cosmoinfer.sample(model, sims, infer="h")


@pytest.mark.filterwarnings("ignore:only 60 rows")
def test_a_catalog_in_a_file_may_be_sampled_for_some_of_its_parameters(tmp_path):
    theta, x = linear(60, 1, features=3)
    sims = write(tmp_path / "sims.h5", theta, x)
    model = cosmoinfer.train_flow(sims, flow="maf:hidden=4,layers=1", ensemble=1, epochs=1, support="probit", threads=1)
    rows = {"split": "test", "draws": 20}
    complete = cosmoinfer.sample(model, sims, **rows)
    swapped = cosmoinfer.sample(model, sims, infer="sigma_8,Omega_m", output=tmp_path / "a.h5", **rows)
    assert swapped.parameters.names == ("sigma_8", "Omega_m")
    np.testing.assert_array_equal(swapped.samples, complete.samples[..., ::-1])
    np.testing.assert_array_equal(swapped.log_prob, complete.log_prob)
    again = cosmoinfer.sample(model, sims, infer=["sigma_8", "Omega_m"], output=tmp_path / "a.h5", **rows)
    np.testing.assert_array_equal(again.samples, swapped.samples)
    with pytest.raises(UserError, match="made with other settings"):
        cosmoinfer.sample(model, sims, infer="sigma_8", output=tmp_path / "a.h5", **rows)
