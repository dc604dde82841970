"""Simulations in figures: weighted as the posterior says, and never another row than the one observed."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.errors import UserError
from cosmoinfer.parameters import Parameters
from cosmoinfer.plots import PLOTS, FigureData
from cosmoinfer.plots.simulations import posterior_weights, weighted_quantiles
from cosmoinfer.posterior import Posterior
from tests.command_line import call, done, linear, refused, write
from tests.posteriors import changed, make

RNG = np.random.default_rng(0)
PARAMETERS = Parameters.from_names(("a", "b"), (0, 1), (1, 100), ("uniform", "log-uniform"))
THETA = PARAMETERS.quantile(RNG.random((400, 2)))
X = THETA[:, :1] * np.arange(1, 6) + 0.01 * RNG.normal(size=(400, 5))


def posterior_at(row: int, width: float = 0.05) -> Posterior:
    u = np.clip(PARAMETERS.cdf(THETA[row]) + width * RNG.normal(size=(1000, 2)), 0.001, 0.999)
    truth, ids = THETA[row : row + 1], np.array([str(row)])
    number, partition = np.array([row]), np.array([2], np.uint8)
    return make(PARAMETERS, number, ids, partition, truth, samples=PARAMETERS.quantile(u)[None])


CATALOG = cosmoinfer.catalog_from_arrays(
    theta=THETA, x=X, names=["a", "b"], low=[0, 1], high=[1, 100], prior=["uniform", "log-uniform"]
)


def test_simulations_are_weighted_by_posterior_over_prior() -> None:
    weights = posterior_weights(PARAMETERS, posterior_at(3, 0.1).samples[0], THETA)
    u = PARAMETERS.cdf(THETA)
    centre = PARAMETERS.cdf(THETA[3])
    expected = np.exp(-(((u - centre) / 0.1) ** 2).sum(axis=1) / 2)
    assert np.corrcoef(weights, expected)[0, 1] > 0.97


def test_copies_of_draws_weigh_simulations_as_so_many_draws_do() -> None:
    draws = posterior_at(3, 0.1).samples[0, :100]
    expected = posterior_weights(PARAMETERS, draws, THETA)
    assert np.allclose(posterior_weights(PARAMETERS, np.repeat(draws, 50, axis=0), THETA), expected, atol=0.02)


def test_quantiles_heed_weights() -> None:
    values = np.linspace(0, 1, 1001)[:, None]
    assert np.allclose(weighted_quantiles(values, np.ones(1001))[:, 0], (0.025, 0.16, 0.5, 0.84, 0.975), atol=1e-3)
    assert weighted_quantiles(values, values[:, 0])[2, 0] == pytest.approx(0.5**0.5, abs=1e-3)


def test_the_posterior_predictive_says_what_it_is_worth() -> None:
    for width, words in ((0.1, "posterior predictive, 68 and 95 % (worth "), (1e-4, "no posterior predictive")):
        figure = PLOTS["observation"](FigureData(posterior_at(3, width), catalog=CATALOG))
        assert figure is not None
        texts = [text.get_text() for text in figure.legends[0].get_texts()]
        assert texts[0] == "observation, row 3" and texts[2].startswith(words)
        assert np.allclose(figure.axes[0].lines[0].get_ydata(), X[3])


def test_a_row_with_another_truth_is_not_the_observation() -> None:
    posterior = posterior_at(3)
    for another in (changed(posterior, truth=posterior.truth + 0.01), changed(posterior, truth=None)):
        assert PLOTS["observation"](FigureData(another, catalog=CATALOG)) is None
    observed = replace(CATALOG, parameters=None, theta=None)
    figure = PLOTS["observation"](FigureData(changed(posterior, truth=None), catalog=CATALOG, observation=observed))
    assert figure is not None and np.allclose(figure.axes[0].lines[0].get_ydata(), X[3])


@pytest.mark.parametrize("shape", [(400, 5), (400, 2, 6), (400, 1, 8, 8)])
def test_data_are_coloured_by_a_parameter(shape: tuple[int, ...]) -> None:
    kind = {2: "vector", 3: "profile", 4: "map"}[len(shape)]
    catalog = cosmoinfer.catalog_from_arrays(theta=THETA, x=RNG.normal(size=shape), names=["a", "b"], kind=kind)
    figure = PLOTS["data"](FigureData(posterior_at(3), catalog=catalog, parameters=("b",)))
    assert figure is not None
    assert figure.axes[-1].get_ylabel() == ("x, channel 0" if kind == "map" else "$b$") or kind == "map"
    with pytest.raises(UserError, match="no parameter is named h"):
        PLOTS["data"](FigureData(posterior_at(3), catalog=catalog, parameters=("h",)))


def test_out_of_distribution_percentiles_are_counted() -> None:
    posterior = changed(posterior_at(3), ood_percentile=np.array([97.0]))
    figure = PLOTS["ood"](FigureData(posterior))
    assert figure is not None
    assert [bar.get_height() for bar in figure.axes[0].patches] == [0] * 19 + [1]
    assert PLOTS["ood"](FigureData(posterior_at(3))) is None


def test_the_command_takes_the_catalog_as_a_further_file(tmp_path: Path) -> None:
    write(tmp_path / "sims.h5", *linear(60, 1))
    posterior_at(3, 0.1).save(tmp_path / "p.h5")
    assert call("plot", tmp_path / "sims.h5", "--figure", "data", "-o", tmp_path / "a.pdf")[0] == 0
    message = refused("plot", tmp_path / "p.h5", "--figure", "observation", "-o", tmp_path / "b.pdf")
    assert "observation shows the simulations too: add their catalog" in message and "p.h5 catalog.h5" in message
    assert "found a catalog" in refused("plot", tmp_path / "sims.h5", "-o", tmp_path / "b.pdf")


K = np.geomspace(0.01, 0.5, 8)
COORDINATES = {  # datasets beside the data: the label of the axis, and its scale
    "wavenumber": ({"k": K}, "k", "log"),
    "with another length": ({"k": K, "z": K[:5]}, "k", "log"),
    "short": ({"z": np.linspace(0.5, 2, 8)}, "z", "linear"),
    "two": ({"k": K, "ell": 100 * K}, "feature", "linear"),
    "neither rising nor falling": ({"k": np.tile(K[:4], 2)}, "feature", "linear"),
    "none": ({}, "feature", "linear"),
}


@pytest.mark.parametrize("case", COORDINATES)
def test_the_axis_is_the_coordinate_of_the_features(case: str, tmp_path: Path) -> None:
    datasets, label, scale = COORDINATES[case]
    catalog = cosmoinfer.read_catalog(write(tmp_path / "sims.h5", *linear(60, 1), **datasets))
    figure = PLOTS["data"](FigureData(posterior_at(3), catalog=catalog))
    assert figure is not None
    axes = figure.axes[0]
    assert (axes.get_xlabel().strip("$"), axes.get_xscale()) == (label, scale)
    x = axes.collections[0].get_segments()[0][:, 0]
    assert np.allclose(x, np.arange(8) if label == "feature" else datasets[label])


def test_a_coordinate_has_its_unit(tmp_path: Path) -> None:
    path = write(tmp_path / "sims.h5", *linear(60, 1), k=K)
    with h5py.File(path, "a") as file:
        file["k"].attrs["units"] = "h/Mpc"
    figure = PLOTS["data"](FigureData(posterior_at(3), catalog=cosmoinfer.read_catalog(path)))
    assert figure is not None and figure.axes[0].get_xlabel() == r"$k$ [$\mathrm{h/Mpc}$]"


def test_bands_of_data_with_gaps_are_of_what_was_measured() -> None:
    gaps = RNG.random(X.shape) < 0.3
    gaps[:, 4], gaps[3] = True, [False, True, False, False, True]
    x = np.where(gaps, np.nan, X)
    for column in range(4):
        measured = x[~gaps[:, column], column]
        assert np.allclose(
            weighted_quantiles(x, np.ones(400))[:, column],
            weighted_quantiles(measured[:, None], np.ones(len(measured)))[:, 0],
        )
    catalog = replace(CATALOG, observables=(replace(CATALOG.observables[0], values=x),))
    figure = PLOTS["observation"](FigureData(posterior_at(3, 0.1), catalog=catalog))
    assert figure is not None
    band = np.concatenate([path.vertices for path in figure.axes[0].collections[1].get_paths()])
    assert np.isfinite(band).all() and {*np.unique(band[:, 0])} == {0, 1, 2, 3}


def test_arrays_and_tables_are_read_as_by_other_commands(tmp_path: Path) -> None:
    theta, x = linear(60, 1)
    np.save(tmp_path / "sims.npy", x)
    np.savetxt(tmp_path / "theta.txt", theta)
    np.savetxt(tmp_path / "observed.txt", x[3][None])
    reading = ("--parameters", tmp_path / "theta.txt", "--names", "a,b", "--bounds", "a=0.1:0.5,b=0.6:1.0")
    done("plot", tmp_path / "sims.npy", "--figure", "data", *reading, "--infer", "b", "-o", tmp_path / "a.pdf")
    draws = np.clip(theta[3] + 0.03 * RNG.normal(size=(1, 500, 2)), [0.1, 0.6], [0.5, 1.0])
    parameters = Parameters.from_names(("a", "b"), (0.1, 0.6), (0.5, 1.0))
    number, partition = np.array([0]), np.array([255], np.uint8)
    make(parameters, number, np.array(["0"]), partition, samples=draws).save(tmp_path / "p.h5")
    np.savetxt(tmp_path / "column.txt", x[3])
    for name in ("observed.txt", "column.txt"):
        files = (tmp_path / "p.h5", tmp_path / "sims.npy", tmp_path / name)
        done("plot", *files, "--figure", "observation", *reading, "-o", tmp_path / f"{name}.pdf")
    assert (tmp_path / "observed.txt.pdf").read_bytes() == (tmp_path / "column.txt.pdf").read_bytes()
    message = refused("plot", tmp_path / "p.h5", "--names", "a,b", "-o", tmp_path / "c.pdf")
    assert "--names: has no effect: says how a catalog is read, and none is given" in message
