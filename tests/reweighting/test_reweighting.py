"""Another prior by weights: against closed forms; derived parameters; and both from sample to evaluate."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import stats

from cosmoinfer import posterior as posteriors
from cosmoinfer.errors import UserError
from cosmoinfer.metrics import evaluate
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior
from cosmoinfer.reweighting import (
    PriorChange,
    derive,
    marginalise,
    parse_changes,
    reweight,
    with_covariance_of_file,
    with_priors,
)
from tests.command_line import call, done, linear, refused, write
from tests.posteriors import changed, make

BOX = Parameters.from_names(("a", "b"), [-5.0, 1.0], [5.0, 9.0], ["uniform", "log-uniform"])
X = np.array([-0.5, 0.1, 0.6])  # observations of a, with this noise
NOISE = 0.5


def exact(draws: int = 20_000, parameters: Parameters = BOX) -> Posterior:
    """x = a + noise, a uniform and far from its edges: a ~ N(x, 0.5^2); b has its prior."""
    random = np.random.default_rng(0)
    u = random.random((len(X), draws))
    samples = np.stack([random.normal(X[:, None], NOISE, (len(X), draws)), 9.0**u], axis=-1)
    truth = np.stack([X + 0.3, np.array([2.0, 4.0, 8.0])], axis=-1)
    rows = np.arange(len(X))
    return make(
        parameters,
        10 + rows,
        rows.astype(str),
        np.full(len(X), 2),
        truth,
        samples=samples,
        log_prob=log_q(samples),
        log_prob_truth=log_q(truth[:, None])[:, 0],
    )


def log_q(theta: np.ndarray) -> np.ndarray:
    return stats.norm(X[:, None], NOISE).logpdf(theta[..., 0]) - np.log(theta[..., 1] * np.log(9))


def under(*texts: str) -> Parameters:
    return with_priors(BOX, [PriorChange.parse(text) for text in texts])


def test_a_normal_prior_gives_the_closed_form():
    mean, width = 0.3, 0.4
    posterior = reweight(exact(), under(f"a=normal:{mean}:{width}"))
    variance = 1 / (NOISE**-2 + width**-2)
    centre = variance * (X / NOISE**2 + mean / width**2)
    error = np.sqrt(variance / posterior.diagnostics.ess)
    assert (np.abs(posterior.mean[:, 0] - centre) < 4 * error).all()
    assert (np.abs(posterior.std[:, 0] / np.sqrt(variance) - 1) < 4 / np.sqrt(2 * posterior.diagnostics.ess)).all()
    for n in range(len(X)):
        for theta, log_prob in (
            (posterior.samples[n], posterior.log_prob[n]),
            (posterior.truth[n], posterior.log_prob_truth[n]),
        ):
            right = stats.norm(centre[n], np.sqrt(variance)).logpdf(theta[..., 0]) - np.log(theta[..., 1] * np.log(9))
            assert (np.abs(log_prob - right) < 4 * posterior.draws.log_norm_error[n]).all()
        drawn = stats.kstest(posterior.samples[n, :, 0], stats.norm(centre[n], np.sqrt(variance)).cdf)
        assert drawn.statistic < 2 / np.sqrt(posterior.diagnostics.ess[n])
    assert (
        (posterior.draws.log_norm_error < 0.02).all()
        and (posterior.diagnostics.ess > 5000).all()
        and posterior.reweighted
    )
    assert posterior.parameters.prior == ("normal", "log-uniform") and posterior.parameters.mean[0] == mean


def test_a_smaller_uniform_box_cuts_and_renormalises():
    posterior = reweight(exact(), under("a=uniform:0:1"))
    mass = stats.norm(X, NOISE).cdf(1) - stats.norm(X, NOISE).cdf(0)
    assert (posterior.samples[..., 0] >= 0).all() and (posterior.samples[..., 0] <= 1).all()
    right = log_q(posterior.samples) - np.log(mass)[:, None]
    assert (np.abs(posterior.log_prob - right) < 5 * posterior.draws.log_norm_error[:, None]).all()
    np.testing.assert_allclose(posterior.diagnostics.ess, 20_000 * mass, rtol=0.05)
    assert (posterior.log_prob_truth == -np.inf).tolist() == [True, False, False]  # a = -0.2 lies outside
    assert (posterior.parameters.low[0], posterior.parameters.high[0]) == (0, 1)


def test_a_log_uniform_parameter_under_a_uniform_prior_is_uniform():
    posterior = reweight(exact(), under("b=uniform:1:9"))
    assert stats.kstest(posterior.samples[0, :, 1], stats.uniform(1, 8).cdf).statistic < 2 / np.sqrt(
        posterior.diagnostics.ess[0]
    )
    np.testing.assert_allclose(posterior.mean[:, 1], 5, atol=0.1)
    right = stats.norm(X, NOISE).logpdf(posterior.truth[:, 0]) - np.log(8)
    assert (np.abs(posterior.log_prob_truth - right) < 4 * posterior.draws.log_norm_error).all()


def test_the_same_prior_changes_nothing():
    before = exact(500)
    after = reweight(before, under("a=uniform:-5:5"))
    np.testing.assert_allclose(np.sort(after.samples, axis=1), np.sort(before.samples, axis=1), rtol=0)
    np.testing.assert_allclose(np.sort(after.log_prob), np.sort(before.log_prob), atol=1e-12)
    np.testing.assert_allclose(after.diagnostics.ess, 500, rtol=1e-12)
    np.testing.assert_allclose(after.mean, before.mean, rtol=1e-12)
    np.testing.assert_allclose(after.std, before.std, rtol=1e-9)
    assert (after.draws.log_norm_error < 1e-6).all()


def test_a_second_prior_replaces_the_first():
    """In two steps as in one; draws that the first step took several times count once."""
    direct = reweight(exact(), under("a=normal:0:0.5"))
    first = reweight(exact(), under("a=normal:0.2:0.6"))
    second = reweight(first, with_priors(first.parameters, [PriorChange.parse("a=normal:0:0.5")]))
    assert (np.abs(second.mean - direct.mean) < 0.03).all()
    assert (np.abs(second.log_prob_truth - direct.log_prob_truth) < 0.05).all()
    assert (second.diagnostics.ess < 1.02 * direct.diagnostics.ess).all() and (
        second.draws.log_norm_error > first.draws.log_norm_error
    ).all()


def test_the_draws_of_a_row_are_those_of_its_number_whichever_rows_stand_beside():
    three_rows, single_row = exact(300), exact(300).select(np.array([1]))
    prior = under("a=normal:0:0.3")
    np.testing.assert_array_equal(
        reweight(three_rows, prior, 50, seed=3).samples[1], reweight(single_row, prior, 50, seed=3).samples[0]
    )
    assert not np.array_equal(
        reweight(single_row, prior, 50, seed=3).samples, reweight(single_row, prior, 50, seed=4).samples
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=normal:0", "'0' is not 2 or 4 numbers; expected one of .*name=normal:mean:std"),
        ("a=flat:0:1", "'flat' is no prior; expected one of .*name=uniform:low:high"),
        ("normal:0:1", "names no parameter, and no file of a chain; expected one of .*name="),
        ("a=uniform:zero:1", "'zero:1' is not 2 numbers; expected one of .*name=uniform:low:high"),
        ("c=normal:0:1", "no parameter is named c"),
        ("a=uniform:-6:1", r"outside the box -5\.\.5"),
        ("b=log-uniform:0.5:2", r"outside the box 1\.\.9"),
        ("a=uniform:1:1", "empty"),
        ("a=normal:0:-1", "positive prior_std"),
        ("a=normal:50:1", r"lie in the box -5\.\.5"),
        ("a=log-uniform:-1:1", "positive bounds"),
    ],
)
def test_a_prior_that_cannot_be(text, message):
    with pytest.raises(UserError, match=message):
        under(text)


def test_a_prior_is_given_once_and_replaces_one_that_is_known():
    with pytest.raises(UserError, match="expected one prior, found 2"):
        under("a=normal:0:1", "a=uniform:0:1")
    with pytest.raises(UserError, match="own prior is not known"):
        with_priors(Parameters.from_names(("a",)), [PriorChange.parse("a=normal:0:1")])


def test_what_the_draws_do_not_cover():
    narrow = under("a=uniform:2.4:5")  # five sigma from the first row
    assert (exact(300).samples[0, :, 0] < 2.4).all()
    with pytest.raises(UserError, match=r"fewer than 3 draws are left of .* observations"):
        reweight(exact(300), narrow)
    far = under("a=normal:3:0.01")  # whose last draw would stand for all
    with pytest.raises(UserError, match=r"fewer than 3 draws are left"):
        reweight(exact(300), far)
    shifted = changed(exact(300), samples=exact(300).samples + np.array([[[0, 0]], [[0, 0]], [[2, 0]]]))
    assert reweight(shifted, narrow, skip_failed=True).index.tolist() == [12]
    with pytest.raises(UserError, match="points and no draws"):
        reweight(changed(exact(10), samples=None), narrow)
    with pytest.raises(UserError, match="expected 1 to 10"):
        reweight(exact(10), under("a=normal:0:1"), draws=11)


def test_derived_parameters_stand_beside_the_others():
    before = changed(exact(400), ridge_estimate=np.stack([X, X + 3], axis=-1), mean=exact(400).mean, std=exact(400).std)
    after = derive(before, ["c=a*b**0.5", "d = abs(c) - a"])
    a, b = before.samples[..., 0], before.samples[..., 1]
    np.testing.assert_allclose(after.samples[..., 2], a * np.sqrt(b), rtol=1e-15)
    np.testing.assert_allclose(after.samples[..., 3], np.abs(a * np.sqrt(b)) - a, rtol=1e-12)
    np.testing.assert_allclose(after.truth[:, 2], before.truth[:, 0] * np.sqrt(before.truth[:, 1]))
    np.testing.assert_allclose(after.diagnostics.ridge_estimate[:, 2], X * np.sqrt(X + 3))
    np.testing.assert_array_equal(after.mean[:, :2], before.mean)
    np.testing.assert_allclose(after.mean[:, 2], (a * np.sqrt(b)).mean(axis=1))
    np.testing.assert_allclose(after.std[:, 2], (a * np.sqrt(b)).std(axis=1, ddof=1))
    np.testing.assert_array_equal(after.log_prob, before.log_prob)
    assert after.parameters.names == ("a", "b", "c", "d") and after.derived == ("c", "d")
    assert after.parameters.has_prior.tolist() == [True, True, False, False]


def test_joint_metrics_are_of_the_parameters_that_make_the_others():
    plain = changed(exact(60), ridge_estimate=np.stack([X, X + 3], axis=-1))
    before, after = (evaluate(posterior).joint for posterior in (plain, derive(plain, ["c=a*b"])))
    for name in ("log_prob_gain", "tarp_p", "tarp_x_p", "hpd_p"):
        assert before[name].value is not None and after[name] == before[name], name


def test_a_derived_parameter_follows_the_new_prior():
    posterior = reweight(
        derive(exact(), ["c=2*a+1"]),
        with_priors(derive(exact(5), ["c=2*a+1"]).parameters, [PriorChange.parse("a=normal:0:0.3")]),
    )
    np.testing.assert_allclose(posterior.mean[:, 2], 2 * posterior.mean[:, 0] + 1, rtol=1e-9)
    np.testing.assert_allclose(posterior.std[:, 2], 2 * posterior.std[:, 0], rtol=1e-9)
    np.testing.assert_allclose(posterior.samples[..., 2], 2 * posterior.samples[..., 0] + 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a*b", "is not understood"),
        ("=a", "is not understood"),
        ("a=b", "is the name of a parameter"),
        ("all=a", "expected a name of letters"),
        ("c,d=a", "expected a name of letters"),
        ("c=1+0*a", "c: is 1 in every draw; there is nothing to infer"),
        ("c=log(a)", "no finite value for .* draws .row 10"),
        ("c=a*B", "derive=c: 'a.B': no parameter is named B, at character 3; did you mean b"),
    ],
)
def test_a_parameter_that_cannot_be_derived(text, message):
    with pytest.raises(UserError, match=message):
        derive(exact(50), [text])


def test_a_file_keeps_what_was_done(tmp_path: Path):
    made = reweight(
        derive(exact(50), ["c=a+b"]),
        with_priors(derive(exact(5), ["c=a+b"]).parameters, [PriorChange.parse("a=normal:0:0.3")]),
    )
    posteriors.write(tmp_path / "p.h5", made, {"settings": {}})
    posterior = posteriors.read(tmp_path / "p.h5")
    assert posterior.reweighted and posterior.derived == ("c",)
    np.testing.assert_array_equal(posterior.diagnostics.ess, made.diagnostics.ess)
    assert posterior.parameters.prior == ("normal", "log-uniform", "unknown") and posterior.parameters.std[0] == 0.3
    posteriors.write(tmp_path / "q.h5", exact(50), {"settings": {}})
    plain = posteriors.read(tmp_path / "q.h5")
    assert not plain.reweighted and plain.derived == () and plain.diagnostics.ess is None


# ------------------------------------------------------------------------------------------------ the command line
@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flow of few epochs, its posterior, and that of a regressor that gives points."""
    path = tmp_path_factory.mktemp("reweight")
    sims, threads = write(path / "sims.h5", *linear(90, 1)), ["--threads", "1"]
    quick = ["--epochs", "3", "--ensemble", "1", *threads]
    done("train-flow", sims, "-o", path / "flow.h5", "--flow", "maf", "--support", "probit", *quick)
    done("sample", path / "flow.h5", sims, "-o", path / "p.h5", "--draws", "400", *threads)
    done("train-regressor", sims, "-o", path / "points.h5", "--loss", "mse", *quick)
    done("sample", path / "points.h5", sims, "-o", path / "points.posterior.h5", *threads)
    return path


S_8 = "S_8=sigma_8*(Omega_m/0.3)**0.5"


def test_from_sample_to_evaluate(folder: Path):
    file = folder / "p.h5"
    status, out, err = call("reweight", file, "--prior", "Omega_m=normal:0.31:0.1", "--derive", S_8, "--draws", "300")
    assert status == 0 and "worth" in out and "truncated to the box 0.1..0.5, which holds 95.3" in err
    assert "no fair test" in err
    with h5py.File(folder / "p.reweighted.h5") as made:
        theta, names = made["samples"][()], made["names"].attrs["names"].astype(str).tolist()
        assert theta.shape[1:] == (300, 3) and names == ["Omega_m", "sigma_8", "S_8"]
        np.testing.assert_allclose(theta[..., 2], theta[..., 1] * np.sqrt(theta[..., 0] / 0.3))
        assert np.isfinite(made["log_prob"][()]).all() and (made["ess"][()] > 50).all()
        meta = json.loads(made["meta"][()])
    assert meta["command"] == "reweight" and meta["settings"]["prior"] == ["Omega_m=normal:0.31:0.1"]
    document = json.loads(done("evaluate", folder / "p.reweighted.h5", "--figures", folder / "figures", "--json"))
    assert np.isfinite(document["metrics"]["parameters"]["rmse"]["S_8"]["value"])
    assert document["metrics"]["parameters"]["contraction"]["S_8"]["value"] is None
    assert (folder / "figures" / "corner.png").exists()
    done("inspect", folder / "p.reweighted.h5")
    again = call("reweight", file, "--prior", "Omega_m=normal:0.31:0.1", "--derive", S_8, "--draws", "300")
    assert "complete already" in again[2]


def test_derived_parameters_alone_keep_every_draw(folder: Path):
    done("reweight", folder / "p.h5", "--derive", S_8, "--derive", "ratio=S_8/sigma_8")
    with h5py.File(folder / "p.derived.h5") as made, h5py.File(folder / "p.h5") as before:
        np.testing.assert_array_equal(made["samples"][..., :2], before["samples"][()])
        np.testing.assert_array_equal(made["log_prob"][()], before["log_prob"][()])
        assert made["samples"].shape[-1] == made["truth"].shape[-1] == made["ridge_estimate"].shape[-1] == 4
        assert "ess" not in made
    done("evaluate", folder / "p.derived.h5")


def test_few_effective_draws_are_warned_about(folder: Path):
    document = json.loads(
        done("reweight", folder / "p.h5", "--prior", "Omega_m=normal:0.3:0.002", "-o", folder / "n.h5", "--json")
    )
    assert min(document["ess"]) < 100
    status, _, err = call("reweight", folder / "p.h5", "--prior", "Omega_m=normal:0.3:0.002", "-o", folder / "n.h5")
    assert status == 0 and "warning" in err and "worth less than 100 draws" in err


def test_what_the_command_refuses(folder: Path):
    assert "nothing to do" in refused("reweight", folder / "p.h5")
    assert "goes with --prior" in refused("reweight", folder / "p.h5", "--derive", S_8, "--draws", "10")
    assert "points and no draws" in refused("reweight", folder / "points.posterior.h5", "--derive", S_8)
    assert "expected a posterior file" in refused("reweight", folder / "flow.h5", "--derive", S_8)
    (folder / "x.h5").touch()  # a setting that is not usable is told before an output that exists
    assert "outside the box" in refused(
        "reweight", folder / "p.h5", "--prior", "Omega_m=uniform:0.2:0.6", "-o", folder / "x.h5"
    )
    assert "is read by this command" in refused("reweight", folder / "p.h5", "--derive", S_8, "-o", folder / "p.h5")
    assert "character 8" in refused("reweight", folder / "p.h5", "--derive", "S=sigma_8^2", "-o", folder / "x.h5")


# ----------------------------------------------------------------------------------------- regions, and kinds of priors
SQUARE = Parameters.from_names(("a", "b"), [-4.0, -4.0], [4.0, 4.0])
CENTRES, WIDTH = np.array([[0.3, 0.2], [-0.5, 0.9]]), 0.6


def normal_draws(parameters: Parameters = SQUARE, draws: int = 20_000) -> Posterior:
    """Two rows: x = theta + n, under a uniform prior far wider than the noise."""
    samples = np.random.default_rng(5).normal(CENTRES[:, None], WIDTH, (2, draws, 2))
    log_prob = stats.norm(CENTRES[:, None], WIDTH).logpdf(samples).sum(axis=-1)
    return make(parameters, np.arange(2), np.array(["0", "1"]), np.full(2, 2), samples=samples, log_prob=log_prob)


def log_density(row: int, theta: np.ndarray) -> np.ndarray:
    return stats.norm(CENTRES[row], WIDTH).logpdf(theta).sum(axis=-1)


def test_a_region_cuts_and_renormalises():
    after = reweight(normal_draws(), SQUARE.with_where(["a+b<0"]))
    assert (after.samples.sum(axis=-1) < 0).all() and after.parameters.where == ("a+b<0",)
    mass = stats.norm(CENTRES.sum(axis=1), np.sqrt(2) * WIDTH).cdf(0)
    for row in range(2):
        right = log_density(row, after.samples[row]) - np.log(mass[row])
        assert (np.abs(after.log_prob[row] - right) < 4 * after.draws.log_norm_error[row]).all()
    np.testing.assert_allclose(after.diagnostics.ess, 20_000 * mass, rtol=0.05)


def test_a_prior_in_a_region_and_back_is_the_first_one():
    cut = reweight(normal_draws(), SQUARE.with_where(["a+b<0"]))
    there = reweight(cut, with_priors(cut.parameters, [PriorChange.parse("a=normal:0:1")]))
    back = reweight(there, with_priors(there.parameters, [PriorChange.parse("a=uniform:-4:4")]))
    assert back.parameters.where == ("a+b<0",) and back.parameters.prior == ("uniform", "uniform")
    error = 5 * np.hypot(back.draws.log_norm_error, cut.draws.log_norm_error)
    for row in range(2):
        same = (back.samples[row][:, None] == cut.samples[row][None, :200]).all(axis=-1)
        first, second = np.nonzero(same)
        assert len(first) > 20
        difference = back.log_prob[row][first] - cut.log_prob[row][second]
        assert (np.abs(difference) < error[row]).all()
    np.testing.assert_allclose(back.mean, cut.mean, atol=0.05)


def test_correlated_normals_give_the_closed_form():
    texts = ["a=normal:0:0.5", "b=normal:0.4:0.8", "a~b=0.6"]
    parameters = with_priors(SQUARE, parse_changes(texts, SQUARE.names))
    after = reweight(normal_draws(), parameters)
    prior = np.array([[0.25, 0.24], [0.24, 0.64]])
    covariance = np.linalg.inv(np.linalg.inv(prior) + np.eye(2) / WIDTH**2)
    for row in range(2):
        mean = covariance @ (np.linalg.solve(prior, [0, 0.4]) + CENTRES[row] / WIDTH**2)
        np.testing.assert_allclose(
            after.mean[row], mean, atol=5 * np.sqrt(covariance.max() / after.diagnostics.ess[row])
        )
        right = stats.multivariate_normal(mean, covariance).logpdf(after.samples[row])
        assert (np.abs(after.log_prob[row] - right) < 5 * after.draws.log_norm_error[row] + 1e-3).all()
    (first, second, correlation) = parse_changes(texts, SQUARE.names)
    assert (first.parameter, second.parameter, correlation.parameter) == ("a", "b", "a~b")
    assert correlation.describe(parameters) == "a, b: correlation 0.6"


def test_a_log_normal_and_a_truncated_normal_prior():
    positive = Parameters.from_names(("a", "b"), [0.0, -4.0], [4.0, 4.0])
    changes = [PriorChange.parse("a=log-normal:-0.5:0.3"), PriorChange.parse("b=normal:0:1:-0.5:0.5")]
    parameters = with_priors(positive, changes)
    assert (parameters.low[1], parameters.high[1]) == (-0.5, 0.5)
    assert changes[0].describe(parameters).startswith("a: log-normal -0.5 +- 0.3, truncated to the box 0..4")
    before = normal_draws(positive)
    before = changed(before, samples=np.abs(before.samples))  # as good as any, inside of the box
    after = reweight(before, parameters)
    assert (np.abs(after.samples[..., 1]) <= 0.5).all()
    expected = before.log_prob[0] + parameters.log_prior(before.samples[0]) - positive.log_prior(before.samples[0])
    taken = (after.samples[0][:50, None] == before.samples[0][None]).all(axis=-1)
    first, second = np.nonzero(taken)
    shift = after.log_prob[0][first] - expected[second]
    np.testing.assert_allclose(shift, shift[0], atol=1e-9)


def test_a_prior_on_a_derived_parameter_multiplies_the_others():
    """A look at a + b of width 0.3: the density of both times that of the sum, whose own prior is a triangle."""
    before = derive(normal_draws(), ["c=a+b"])
    parameters = with_priors(before.parameters, [PriorChange.parse("c=normal:0:0.3")], before.derived)
    after = reweight(before, parameters)
    precision = np.eye(2) / WIDTH**2 + np.ones((2, 2)) / 0.3**2
    for row in range(2):
        mean = np.linalg.solve(precision, CENTRES[row] / WIDTH**2)
        exact = stats.multivariate_normal(mean, np.linalg.inv(precision))
        np.testing.assert_allclose(after.mean[row, :2], mean, atol=0.03)
        right = exact.logpdf(after.samples[row][:, :2])
        assert (np.abs(after.log_prob[row] - right) < 5 * after.draws.log_norm_error[row]).all()
    assert not after.independent_parameters.has_prior.any()
    narrower = reweight(after, with_priors(parameters, [PriorChange.parse("c=normal:0:0.2")], after.derived))
    precision = np.eye(2) / WIDTH**2 + np.ones((2, 2)) / 0.2**2
    np.testing.assert_allclose(narrower.mean[0, :2], np.linalg.solve(precision, CENTRES[0] / WIDTH**2), atol=0.03)
    cut = reweight(before, before.parameters.with_where(["c<0"]))
    assert (cut.samples.sum(axis=-1) != 0).all() and (cut.samples[..., 2] < 0).all()
    assert not cut.independent_parameters.has_prior.any()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a~b=0.5"], "a: only a normal or log-normal prior can be correlated"),
        (["a=normal:0:1", "b=normal:0:1", "a~b=two"], "expected a correlation"),
        (["a=normal:0:1", "b=normal:0:1", "a~b=1.5"], "not positive definite"),
        (["a=normal:0:1", "b=normal:0:1", "a~b=0.1", "b~a=0.2"], "expected one prior, found 2"),
        (["a=normal:0:1", "b=normal:0:1", "a~d=0.2"], "no parameter is named d"),
        (["a=normal:0:1:-9:9"], "outside the box"),
        (["a=normal:0:1:2"], "'0:1:2' is not 2 or 4 numbers"),
        (["a=log-normal:0:0.1", "a=uniform:0:1"], "expected one prior, found 2"),
        (["a=normal:3.5:0.5", "b=normal:3.5:0.5", "a~b=-0.9999"], "of the correlated normals lie in the box"),
    ],
)
def test_priors_that_cannot_be(texts, message):
    tight = Parameters.from_names(("a", "b"), [-4.0, -4.0], [3.5, 3.5]) if "3.5" in texts[0] else SQUARE
    with pytest.raises(UserError, match=message):
        with_priors(tight, parse_changes(texts, SQUARE.names))


def test_the_command_cuts_by_a_condition_or_a_derived_parameter(folder: Path):
    status, out, err = call("reweight", folder / "p.h5", "--where", "Omega_m+sigma_8<1.1", "-o", folder / "cut.h5")
    assert status == 0 and "cut to the region where Omega_m+sigma_8<1.1" in err and "worth" in out
    with h5py.File(folder / "cut.h5") as file:
        assert (file["samples"][()].sum(axis=-1) < 1.1).all()
        assert file["names"].attrs["where"].tolist() == [b"Omega_m+sigma_8<1.1"]
        assert json.loads(file["meta"][()])["settings"]["where"] == ["Omega_m+sigma_8<1.1"]
    assert "Omega_m+sigma_8<1.1; holds" in done("inspect", folder / "cut.h5")
    document = json.loads(done("evaluate", folder / "cut.h5", "--figures", folder / "cut_figures", "--json"))
    assert "prior box or region" in document["metrics"]["joint"]["log_prob_gain"]["reason"]  # of some truths
    assert document["metrics"]["parameters"]["contraction"]["Omega_m"]["value"] is not None
    derived = ("--derive", "sum=Omega_m+sigma_8", "--prior", "sum=uniform:0.7:1.1")
    status, _, err = call("reweight", folder / "p.h5", *derived, "-o", folder / "sum.h5")
    assert status == 0 and "it multiplies the prior of the parameters from which it is derived" in err
    document = json.loads(done("evaluate", folder / "sum.h5", "--json"))
    assert "prior of Omega_m, sigma_8 is not known" in document["metrics"]["joint"]["log_prob_gain"]["reason"]
    assert document["metrics"]["parameters"]["contraction"]["sum"]["value"] is None
    assert "expected comparisons" in refused("reweight", folder / "p.h5", "--where", "Omega_m", "-o", folder / "x.h5")


@pytest.mark.filterwarnings("error")
def test_a_derived_parameter_of_a_single_draw_has_no_width():
    values = np.array([[[0.2, 0.5]], [[0.3, 0.6]]])
    head = (Parameters.from_names(("a", "b")), np.arange(2), np.array(["0", "1"]), np.full(2, 2, np.uint8))
    single = make(*head, samples=values, log_prob=np.zeros((2, 1)), mean=values[:, 0], std=np.ones((2, 2)))
    derived = derive(single, ["c=a+b"])
    np.testing.assert_allclose(derived.mean[:, 2], [0.7, 0.9])
    assert np.isnan(derived.std[:, 2]).all()


# ------------------------------------------------------------------------------------------------- marginals
def test_a_marginal_has_the_draws_and_the_prior_of_what_is_kept():
    posterior = changed(exact(50), ridge_estimate=np.zeros((3, 2)), mean=np.zeros((3, 2)), std=np.ones((3, 2)))
    marginal = marginalise(posterior, ["b"])
    np.testing.assert_array_equal(marginal["b"], posterior["b"])
    np.testing.assert_array_equal(marginal.truth[:, 0], posterior.truth[:, 1])
    assert marginal.parameters.names == ("b",) and marginal.parameters.prior == ("log-uniform",)
    assert marginal.mean.shape == marginal.std.shape == marginal.diagnostics.ridge_estimate.shape == (3, 1)
    assert marginal.draws.log_prob is marginal.log_prob_truth is None
    evaluation = evaluate(marginal)
    assert evaluation.value("r2", "b") == evaluate(posterior).value("r2", "b")


def test_a_marginal_of_all_but_derived_parameters_keeps_its_density():
    derived = derive(exact(50), ["c=a+b", "d=a*b"])
    marginal = marginalise(derived, ["c", "b", "a"])
    assert marginal.parameters.names == ("b", "a", "c") and marginal.derived == ("c",)
    np.testing.assert_array_equal(marginal.log_prob, derived.log_prob)
    np.testing.assert_array_equal(marginal.log_prob_truth, derived.log_prob_truth)
    assert marginalise(derived, ["d", "c"]).derived == ()  # parameters like any others
    assert marginalise(derived, ["d", "c"]).parameters.prior == ("unknown", "unknown")


def test_a_marginal_can_be_reweighted_and_derived_from():
    mean, width = 0.3, 0.4
    changes = [PriorChange.parse(f"a=normal:{mean}:{width}")]
    marginal = marginalise(exact(), ["a"])
    both = [
        reweight(marginal, with_priors(marginal.parameters, changes)),
        marginalise(reweight(exact(), with_priors(BOX, changes)), ["a"]),
    ]
    np.testing.assert_allclose(both[0].mean, both[1].mean)
    np.testing.assert_array_equal(both[0].samples, both[1].samples)
    assert both[0].draws.log_prob is both[0].draws.log_norm_error is None
    np.testing.assert_allclose(derive(marginal, ["c=2*a"])["c"], 2 * marginal["a"])


@pytest.mark.parametrize(
    ("change", "kept", "prior"),
    [
        ({"where": ("a < b",)}, "a", "unknown"),
        ({"where": ("a < 1",)}, "a", "uniform"),
        ({"where": ("a < 1",)}, "b", "log-uniform"),
    ],
)
def test_the_prior_of_a_marginal_is_unknown_where_a_condition_ties_it(change, kept, prior):
    parameters = BOX.with_where(change["where"])
    assert marginalise(exact(50, parameters), [kept]).parameters.prior == (prior,)


def test_a_prior_of_a_derived_parameter_that_is_left_out_leaves_none_known():
    posterior = derive(exact(2000), ["c=a+b"])
    cut = reweight(posterior, with_priors(posterior.parameters, [PriorChange.parse("c=normal:3:2")], ("c",)))
    assert marginalise(cut, ["a", "b"]).parameters.prior == ("unknown", "unknown")


def test_the_command_keeps_parameters(folder: Path):
    out = folder / "p.marginal.h5"
    done("reweight", folder / "p.h5", "--keep", "sigma_8")
    with h5py.File(folder / "p.h5") as whole_file, h5py.File(out) as file:
        np.testing.assert_array_equal(file["samples"][..., 0], whole_file["samples"][..., 1])
        assert "log_prob" not in file and json.loads(file["meta"][()])["settings"]["keep"] == ["sigma_8"]
    done("evaluate", out)
    changes = ("--derive", S_8, "--prior", "sigma_8=normal:0.8:0.2", "--keep", "S_8,Omega_m")
    done("reweight", folder / "p.h5", *changes, "-o", folder / "both.h5")
    assert posteriors.read(folder / "both.h5").parameters.names == ("Omega_m", "S_8")
    assert "--keep: no parameter is named h" in refused("reweight", folder / "p.h5", "--keep", "h")
    assert "--keep: " in refused("reweight", folder / "p.h5", "--keep", "")


# ------------------------------------------------------------------------------------------ correlated normals
WIDE = Parameters.from_names(("a", "b", "c"), [-9.0] * 3, [9.0] * 3)
COVARIANCE = np.array([[1.0, 0.5, -0.6], [0.5, 2.0, 0.2], [-0.6, 0.2, 0.8]])
MEANS = ("b,a,c=normal:0.2:0.1:0.3", [0.1, 0.2, 0.3])  # in another order than the parameters


def test_a_covariance_in_one_text_is_a_multivariate_normal():
    text = "a,b,c=normal:0.1:0.2:0.3:1:0.5:2:-0.6:0.2:0.8"
    parameters = with_priors(WIDE, parse_changes([text], WIDE.names))
    theta = np.random.default_rng(1).uniform(-2, 2, (50, 3))
    expected = stats.multivariate_normal(MEANS[1], COVARIANCE).logpdf(theta)
    np.testing.assert_allclose(parameters.log_prior(theta), expected, atol=5e-3)


def test_a_covariance_in_a_file_is_the_same(tmp_path: Path):
    path = tmp_path / "x.covmat"
    np.savetxt(path, np.block([[COVARIANCE, np.zeros((3, 1))], [np.zeros((1, 3)), np.eye(1)]]), header="a b c other")
    (text,) = with_covariance_of_file([MEANS[0]], path, WIDE.names)
    inline = with_priors(WIDE, parse_changes(["a,b,c=normal:0.1:0.2:0.3:1:0.5:2:-0.6:0.2:0.8"], WIDE.names))
    from_file = with_priors(WIDE, parse_changes([text], WIDE.names))
    np.testing.assert_allclose(from_file.correlation, inline.correlation)
    np.testing.assert_allclose(from_file.std, inline.std)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b=normal:0:0:1:2:1", "is not positive definite"),
        ("a,b=normal:0:0:1:2", "is not understood; expected a normal of different parameters"),
        ("a,b=uniform:0:1", "is not understood"),
        ("a,a=normal:0:0:1:0:1", "is not understood"),
        ("a,b=normal:0:0", "expected a covariance behind the means"),
        ("a,h=normal:0:0:1:0:1", "no parameter is named h"),
        ("a,b=normal:0:0:1:nan:1", "is not understood"),
    ],
)
def test_a_covariance_that_is_none_is_refused(text, message):
    with pytest.raises(UserError, match=message):
        with_priors(WIDE, parse_changes([text], WIDE.names))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected names behind #"),
        ("# a b\n1 2\n", "expected names behind #"),
        ("# a b\n1 2\n3 4\n", "the matrix is not symmetric"),
        ("# a c\n1 0\n0 1\n", "has no b"),
        ("# a b\n1 nan\nnan 1\n", "expected names behind #"),
    ],
)
def test_a_file_without_the_covariance_is_refused(tmp_path: Path, content: str, message: str):
    path = tmp_path / "x.covmat"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        with_covariance_of_file(["a,b=normal:0:0"], path, WIDE.names)
    path.write_text("# a b\n1 0\n0 1\n")
    with pytest.raises(UserError, match="goes with means"):
        with_covariance_of_file(["a=normal:0:1"], path, WIDE.names)


def test_the_command_takes_a_covariance(folder: Path):
    covariance = folder / "x.covmat"
    covariance.write_text("# Omega_m sigma_8\n0.01 0.002\n0.002 0.01\n")
    means, out = ("--prior", "Omega_m,sigma_8=normal:0.3:0.8"), folder / "correlated.h5"
    done("reweight", folder / "p.h5", *means, "--prior-covariance", covariance, "-o", out)
    assert posteriors.read(out).parameters.correlation[0, 1] == pytest.approx(0.2)
    assert "in a file of --prior-covariance" in refused("reweight", folder / "p.h5", *means, "-o", folder / "x.h5")
