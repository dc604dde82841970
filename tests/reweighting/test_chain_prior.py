"""The density of a chain as a prior: against normals, names, weights and what is refused."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import stats

import cosmoinfer
from cosmoinfer import posterior as posteriors
from cosmoinfer.errors import UserError
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior
from cosmoinfer.reweighting import ChainPoints, ChainPrior
from tests.command_line import call, done, refused
from tests.posteriors import make

NAMES = ("a", "b", "c")
BOX = Parameters.from_names(NAMES, [-6.0, -6.0, 0.1], [6.0, 6.0, 10.0], ["uniform", "uniform", "log-uniform"])
MEAN, COVARIANCE = np.array([0.3, -0.2]), np.array([[0.5, -0.24], [-0.24, 0.4]])
NORMAL = "a,b=normal:0.3:-0.2:0.5:-0.24:0.4"
DRAWS = 5000
POINTS = np.random.default_rng(1).multivariate_normal(MEAN, COVARIANCE, 6000)


def wide(parameters: Parameters = BOX, rows: int = 2) -> Posterior:
    """a and b are N(0, 1) beside each other, c has its prior."""
    random = np.random.default_rng(0)
    samples = np.stack([*random.normal(size=(2, rows, DRAWS)), 0.1 * 100 ** random.random((rows, DRAWS))], axis=-1)
    index, truth = np.arange(rows), np.full((rows, 3), [0.5, 0.1, 2.0])
    values = {"samples": samples, "log_prob": log_q(samples), "log_prob_truth": log_q(truth)}
    return make(parameters, index, index.astype(str), np.full(rows, 2), truth, **values)


def log_q(theta: np.ndarray) -> np.ndarray:
    return stats.norm.logpdf(theta[..., :2]).sum(axis=-1) - np.log(theta[..., 2] * np.log(100))


def getdist(folder: Path, points: np.ndarray = POINTS, weights: np.ndarray | None = None, ranges: str = "") -> Path:
    """A chain of b, a and d, which is derived."""
    table = np.column_stack([np.ones(len(points)) if weights is None else weights, points[:, 0], points[:, ::-1]])
    np.savetxt(folder / "other.txt", np.column_stack([table, points.sum(axis=1)]))
    (folder / "other.paramnames").write_text("b b\na a\nd* d\n")
    (folder / "other.ranges").write_text(ranges)
    return folder / "other"


def chain_points(theta: np.ndarray, weights: np.ndarray | None = None, **box: list[float]) -> ChainPoints:
    weights = np.ones(len(theta)) if weights is None else weights
    return ChainPoints("chain", Parameters.from_names(NAMES[: theta.shape[1]], **box), theta, weights / weights.sum())


def test_a_normal_chain_is_the_prior_of_its_moments(tmp_path: Path) -> None:
    by_chain, by_normal = (cosmoinfer.reweight(wide(), prior=[text]) for text in (str(getdist(tmp_path)), NORMAL))
    np.testing.assert_allclose(by_chain.mean[:, :2], by_normal.mean[:, :2], atol=0.03 * 0.5)
    np.testing.assert_allclose(by_chain.std, by_normal.std, rtol=0.03)
    np.testing.assert_allclose(by_chain.diagnostics.ess, by_normal.diagnostics.ess, rtol=0.1)
    np.testing.assert_allclose(by_chain.log_prob_truth, by_normal.log_prob_truth, atol=0.05)
    assert by_chain.parameters.prior == ("unknown", "unknown", "log-uniform")
    exact = np.linalg.inv(np.eye(2) + np.linalg.inv(COVARIANCE))
    centre = exact @ np.linalg.solve(COVARIANCE, MEAN)
    expected = stats.multivariate_normal(centre, exact).logpdf(by_chain.samples[..., :2])
    error = by_chain.log_prob - expected + np.log(by_chain.samples[..., 2] * np.log(100))
    assert np.abs(error).mean() < 0.05


SPELLED: dict[str, tuple[tuple[str, str], tuple[str, ...], str]] = {  # of the chain, of the posterior, what is said
    "other": (
        ("sigma8", "omegam"),
        ("Omega_m", "sigma_8"),
        "prior of Omega_m, sigma_8; of the posterior alone: c; omegam of the chain is Omega_m; sigma8 of the chain is",
    ),
    "same": (("sigma_8", "Omega_m"), ("Omega_m", "sigma_8"), "prior of Omega_m, sigma_8; of the posterior alone: c"),
    "one": (
        ("ns", "n_x"),
        ("n_s", "h"),
        "of the chain alone: n_x; of the posterior alone: h, c; ns of the chain is n_s",
    ),
    "taken": (("sigma8", "sigma_8"), ("sigma_8", "h"), "of the chain alone: sigma8; of the posterior alone: h, c"),
}


@pytest.mark.parametrize("case", SPELLED)
def test_other_spellings_of_a_symbol_are_matched_and_said(case: str) -> None:
    of_chain, of_posterior, said = SPELLED[case]
    names = (*of_posterior, "c")
    chain = ChainPoints("chain", Parameters.from_names(of_chain), POINTS, np.full(len(POINTS), 1 / len(POINTS)))
    prior = ChainPrior.of_shared(chain, Parameters.from_names(names, BOX.low, BOX.high))
    line = prior.describe(Parameters.from_names(names))
    assert said in line and line.count("of the chain is") == said.count("of the chain is")
    columns = [prior.chain.parameters.names.index(name) for name in prior.names]
    np.testing.assert_allclose(prior.mean, POINTS.mean(axis=0)[columns], atol=1e-9)


def test_spellings_that_leave_it_open_are_refused() -> None:
    names = Parameters.from_names(("sigma_8", "S_8", "h"), BOX.low, BOX.high)
    chain = ChainPoints("chain", Parameters.from_names(("sigma8", "\u03c3_8")), POINTS, np.full(6000, 1 / 6000))
    message = "sigma8, \u03c3_8 may be sigma_8 of the posterior, by their symbol; the same name"
    with pytest.raises(UserError, match=message):
        ChainPrior.of_shared(chain, names)


def test_weights_count() -> None:
    """Points of a wider normal with weights, as many effective ones as of the narrow one within a factor."""
    wider = stats.multivariate_normal(MEAN, 2 * COVARIANCE)
    theta = wider.rvs(20_000, random_state=3)
    weights = np.exp(stats.multivariate_normal(MEAN, COVARIANCE).logpdf(theta) - wider.logpdf(theta))
    prior = ChainPrior.of_shared(chain_points(theta, weights), BOX)
    assert 10_000 < prior.chain.effective_points < 16_000
    points = np.random.default_rng(4).multivariate_normal(MEAN, COVARIANCE, 500)
    expected = stats.multivariate_normal(MEAN, COVARIANCE).logpdf(points)
    assert np.abs(prior.log_density(points) - expected).mean() < 0.08


def test_it_is_the_kernel_density_of_points_drawn_towards_their_mean() -> None:
    theta, weights = POINTS[:300], np.random.default_rng(5).random(300)
    prior = ChainPrior.of_shared(chain_points(theta, weights), BOX)
    shrink, mean = np.sqrt(1 - prior.bandwidth**2), weights @ theta / weights.sum()
    kernels = stats.gaussian_kde((mean + shrink * (theta - mean)).T, prior.bandwidth / shrink, weights)
    np.testing.assert_allclose(prior.log_density(POINTS[300:400]), kernels.logpdf(POINTS[300:400].T), atol=1e-9)


@pytest.mark.parametrize(
    ("low", "high", "draw", "density"),
    [
        (0.0, 1.0, lambda u: u, lambda x: 0 * x),
        (0.0, np.inf, lambda u: -np.log(u), lambda x: -x),
        (-np.inf, 0.0, np.log, lambda x: x),
        (0.0, 2.0, lambda u: 2 * np.sqrt(u), lambda x: np.log(x / 2)),
    ],
)
def test_a_hard_edge_of_the_chain_is_kept(low, high, draw, density) -> None:
    theta = draw(np.random.default_rng(6).random((8000, 1)))
    prior = ChainPrior.of_shared(chain_points(theta, low=[low], high=[high]), BOX)
    points = draw(np.linspace(0.02, 0.98, 30))[:, None]
    assert np.abs(prior.log_density(points) - density(points[:, 0])).max() < 0.15
    outside = np.array([[max(low, -9) - 0.01] if np.isfinite(low) else [high + 0.01]])
    assert prior.log_density(outside) == -np.inf
    grid = np.linspace(max(low, -12), min(high, 12), 20_001)
    assert np.trapezoid(np.exp(prior.log_density(grid[:, None])), grid) == pytest.approx(1, abs=0.01)


def test_a_parameter_with_a_logarithmic_prior_is_smoothed_in_its_logarithm() -> None:
    theta = np.exp(np.random.default_rng(7).normal(0, 1, (5000, 1)))
    chain = replace(chain_points(theta), parameters=Parameters.from_names(["c"]))
    prior = ChainPrior.of_shared(chain, BOX)
    points = np.exp(np.linspace(-2, 2, 20))[:, None]
    expected = stats.lognorm(1).logpdf(points[:, 0])
    assert np.abs(prior.log_density(points) - expected).max() < 0.1


def test_a_derived_parameter_multiplies_the_prior(tmp_path: Path) -> None:
    path = getdist(tmp_path)
    (tmp_path / "other.paramnames").write_text("x\ny\nd*\n")
    by_chain = cosmoinfer.reweight(wide(), prior=[path], derive={"d": "a+b"})
    variance = COVARIANCE.sum()
    by_normal = cosmoinfer.reweight(wide(), prior={"d": f"normal:{MEAN.sum()}:{variance**0.5}"}, derive={"d": "a+b"})
    np.testing.assert_allclose(by_chain.mean, by_normal.mean, atol=0.02)
    np.testing.assert_allclose(by_chain.std, by_normal.std, rtol=0.03)
    assert by_chain.parameters.prior == ("unknown",) * 4


def test_the_other_prior_settings_go_with_it(tmp_path: Path) -> None:
    path, more = str(getdist(tmp_path)), {"where": ["a < 0.5"]}
    by_chain, by_normal = (
        cosmoinfer.reweight(wide(), prior=[text, "c=uniform:1:9"], **more) for text in (path, NORMAL)
    )
    np.testing.assert_allclose(by_chain.mean, by_normal.mean, rtol=0.05, atol=0.02)
    np.testing.assert_allclose(by_chain.log_prob_truth, by_normal.log_prob_truth, atol=0.05)
    assert by_chain.parameters.where == ("a < 0.5",) and by_chain.parameters.prior[2] == "uniform"


def written(path: Path, posterior: Posterior) -> Path:
    posteriors.write(path, posterior, {"version": "0", "command": "sample", "settings": {}, "inputs": {}})
    return path


def test_the_command_says_what_it_did_and_knows_the_chain(tmp_path: Path) -> None:
    file, chain, out = written(tmp_path / "p.h5", wide()), getdist(tmp_path), tmp_path / "out.h5"
    command = ("reweight", file, "-o", out, "--prior")
    status, _, err = call(*command, chain)
    assert status == 0
    line = next(line for line in err.splitlines() if "6000 points worth 6000 of equal weight" in line)
    assert "prior of a and b" in line or "prior of a, b" in line
    assert "of the chain alone: d" in line and "of the posterior alone: c" in line
    (tmp_path / "moved").mkdir()
    assert "complete already" in call(*command, getdist(tmp_path / "moved"))[2]  # by its content, not its path
    assert "exists" in refused(*command, getdist(tmp_path, POINTS[:5000]))
    with h5py.File(out) as opened:
        assert "chain" in opened["meta"][()].decode() and str(tmp_path) not in opened["meta"][()].decode()
    done("evaluate", out)


def test_posteriors_and_tables_are_chains_too(tmp_path: Path) -> None:
    single = make(BOX, np.zeros(1, int), np.array(["0"]), np.array([2]), samples=np.zeros((1, 6000, 3)))
    samples = np.column_stack([POINTS, np.random.default_rng(8).uniform(1, 2, 6000)])[None]
    single = replace(single, draws=replace(single.draws, samples=samples))
    table = tmp_path / "points.csv"
    table.write_text(",a,b\n" + "".join(f"{number},{a},{b}\n" for number, (a, b) in enumerate(POINTS)))
    of_chain, of_table = (cosmoinfer.reweight(wide(), prior=[path]) for path in (getdist(tmp_path), table))
    np.testing.assert_array_equal(of_chain.samples, of_table.samples)
    of_posterior = cosmoinfer.reweight(wide(), prior=[written(tmp_path / "single.h5", single)])
    np.testing.assert_allclose(of_posterior.mean[:, :2], of_chain.mean[:, :2], atol=0.05)
    np.testing.assert_allclose(of_posterior.mean[:, 2], 1.5, atol=0.05)  # uniform in 1..2
    np.testing.assert_allclose(of_posterior.std[:, 2], 12**-0.5, rtol=0.1)


def test_a_chain_far_from_the_posterior_is_warned_about(tmp_path: Path) -> None:
    file = written(tmp_path / "p.h5", wide())
    status, _, err = call("reweight", file, "--prior", getdist(tmp_path, 0.2 * POINTS + [1.8, 1.8]))
    assert status == 0 and "of 2 posteriors are worth less than 100 draws" in err


@pytest.mark.parametrize(
    ("points", "more", "message"),
    [
        (POINTS[:99], [], "its 99 points are worth 99.0 of equal weight; expected 100 or more"),
        (np.repeat(POINTS[:90], 5, axis=0), [], "its 450 points are worth 90.0"),
        (POINTS + 40, [], "0 % of it lie in the box of a, b"),
        (POINTS * [1, 0], [], "do not vary independently"),
        (POINTS[:, :1] * [1, 2], [], "do not vary independently"),
        (POINTS, ["a=normal:0:1"], "has a prior from .*other already"),
        (POINTS, ["a~c=0.5", "a=normal:0:1", "c=normal:1:1"], "has a prior from .*other already"),
        (POINTS, ["SECOND"], "expected one chain, found"),
        (POINTS, ["nothing.txt"], "names no parameter, and no file of a chain"),
    ],
)
def test_what_is_refused(tmp_path: Path, points: np.ndarray, more: list[str], message: str) -> None:
    path = getdist(tmp_path, points)
    (tmp_path / "second").mkdir()
    second = getdist(tmp_path / "second")
    with pytest.raises(UserError, match=message):
        cosmoinfer.reweight(wide(), prior=[path, *(second if text == "SECOND" else text for text in more)])


def test_posteriors_that_take_no_chain(tmp_path: Path) -> None:
    path = getdist(tmp_path)
    names = Parameters.from_names(("x", "y", "z"), BOX.low, BOX.high)
    with pytest.raises(
        UserError, match="shares no parameter with the posterior: it has b, a, d, the posterior x, y, z"
    ):
        cosmoinfer.reweight(wide(names), prior=[path])
    with pytest.raises(UserError, match=r"a: its own prior is not known.*`bounds` at training declares it"):
        cosmoinfer.reweight(wide(BOX.with_prior(["unknown"] * 3)), prior=[path])
    correlation = [[1, 0, 0.5], [0, 1, 0], [0.5, 0, 1]]
    tied = Parameters.from_names(NAMES, BOX.low, BOX.high, ["normal"] * 3, [0, 0, 1], [1, 1, 1], None, (), correlation)
    with pytest.raises(UserError, match=r"a: its prior is correlated with that of c, which .* has not"):
        cosmoinfer.reweight(wide(tied), prior=[path])
    with pytest.raises(UserError, match="holds 2 posteriors; expected one"):
        cosmoinfer.reweight(wide(), prior=[written(tmp_path / "two.h5", wide())])
