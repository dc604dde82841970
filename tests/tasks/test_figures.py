"""One figure into a file: the right one, byte by byte the same, and never in the place of another file."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.figure
import matplotlib.text
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.errors import UserError
from cosmoinfer.formatting import constraint
from cosmoinfer.plots import PLOTS
from cosmoinfer.plots.style import GREY
from cosmoinfer.plots.triangle import corner, members
from tests.command_line import call, done, linear, refused, write
from tests.plots.test_plots import classified, posterior_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    posterior_of(2, draws=100).save(folder / "two.h5")
    posterior_of(4, draws=100).save(folder / "four.h5")
    return folder


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[matplotlib.figure.Figure]:
    """Every corner that is drawn."""
    figures: list[matplotlib.figure.Figure] = []

    def keep(data: Any) -> Any:
        figures.append(figure := corner(data))
        return figure

    monkeypatch.setitem(PLOTS, "corner", keep)
    return figures


def legend_texts(figure: matplotlib.figure.Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("suffix", ["pdf", "png", "svg"])
def test_the_same_figure_has_the_same_bytes_and_another_one_needs_force(suffix: str, tmp_path: Path) -> None:
    posterior, path = posterior_of(2, draws=100), tmp_path / f"corner.{suffix}"
    assert cosmoinfer.figures(posterior, path, width=3.4) == [path]
    image = path.read_bytes()
    cosmoinfer.figures(posterior, path, width=3.4)
    with pytest.raises(UserError, match="exists already, and shows something else; `force` replaces it"):
        cosmoinfer.figures(posterior, path, width=7.1)
    assert path.read_bytes() == image
    cosmoinfer.figures(posterior, path, width=7.1, force=True)
    assert path.read_bytes() != image
    assert b"Date" not in image and [entry.name for entry in tmp_path.iterdir()] == [path.name]
    if suffix == "pdf":
        assert b"/FontFile2" in image and b"/Type3" not in image


@pytest.mark.parametrize("suffix", ["pdf", "png", "svg"])
def test_a_figure_of_somebody_else_is_not_replaced(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"corner.{suffix}"
    matplotlib.figure.Figure().savefig(path)
    content = path.read_bytes()
    with pytest.raises(UserError, match="was not drawn by this version of cosmoinfer, and is not replaced"):
        cosmoinfer.figures(posterior_of(2, draws=100), path, force=True)
    assert path.read_bytes() == content


def test_posteriors_are_drawn_one_over_the_other(
    folder: Path, tmp_path: Path, drawn: list[matplotlib.figure.Figure]
) -> None:
    cosmoinfer.figures([folder / "two.h5", folder / "four.h5"], tmp_path / "a.png", width=3.4)
    assert {"two", "four"} <= {*legend_texts(drawn[0])} and len(drawn[0].axes) == 16
    cosmoinfer.figures([folder / "two.h5", folder / "four.h5"], tmp_path / "b.png", legend="A,B", parameters="sigma_8")
    assert {"A", "B"} <= {*legend_texts(drawn[1])} and len(drawn[1].axes) == 1
    cosmoinfer.figures(folder / "two.h5", tmp_path / "c.png", rows="3,5:7")
    assert {"row 3", "row 5", "row 6"} <= {*legend_texts(drawn[2])}


def test_prior_and_edges_are_drawn_of_each_parameter_whose_box_the_posteriors_share(
    folder: Path, drawn: list[matplotlib.figure.Figure]
) -> None:
    four, two = (cosmoinfer.read_posterior(folder / f"{name}.h5") for name in ("four", "two"))
    wider = replace(two.parameters, high=np.add(two.parameters.high, [0.0, 1.0]))
    cosmoinfer.figures([folder / "four.h5", folder / "two.h5"], folder / "shared.png")
    cosmoinfer.figures([four, replace(two, parameters=wider)], folder / "wider.png")
    for figure, has_prior in zip(drawn, ([1, 1, 1, 1], [1, 0, 1, 1]), strict=True):
        diagonal = figure.axes[::5]
        assert {"prior", "outside the prior"} <= {*legend_texts(figure)}
        assert [any(line.get_color() == GREY for line in axes.lines) for axes in diagonal] == has_prior
        assert [bool(axes.patches) for axes in diagonal] == has_prior


def test_of_a_folder_the_posteriors_are_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "two.h5").write_bytes((folder / "two.h5").read_bytes())
    write(tmp_path / "sims.h5", *linear(60, 1))
    line = refused("plot", tmp_path)
    assert line.endswith(f"is a folder; of its files a plot takes the posteriors: {tmp_path / 'two.h5'}"), line


def test_a_prior_is_drawn_once_where_posteriors_share_it_and_by_colour_where_they_differ(
    folder: Path, tmp_path: Path, drawn: list[matplotlib.figure.Figure]
) -> None:
    with pytest.warns(cosmoinfer.CosmoinferWarning, match="worth less than 100 draws"):
        cosmoinfer.reweight(folder / "two.h5", prior={"Omega_m": "normal:0.3:0.1"}, output=tmp_path / "two.normal.h5")
    cosmoinfer.figures([folder / "two.h5", tmp_path / "two.normal.h5"], tmp_path / "a.png")
    assert {"two", "two.normal", "prior", "priors, by colour"} <= {*legend_texts(drawn[0])}
    lines = [[line for line in drawn[0].axes[place].lines if len(line.get_xdata()) == 400] for place in (0, 3)]
    flat, normal = (line.get_ydata() for line in lines[0])
    assert np.ptp(normal[flat > 0]) > 1 and len({line.get_color() for line in lines[0]}) == 2 and len(lines[1]) == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("metrics.h5",), "corner is a figure of a posterior, found metrics alone; name the posterior too"),
        (("sims.h5",), "found a catalog; of a catalog: --figure data"),
        (("two.h5", "later.h5"), "has no row 12, to be drawn over row 12 of"),
    ],
)
def test_what_cannot_be_drawn_is_told_with_what_can(
    files: tuple[str, ...], message: str, folder: Path, tmp_path: Path
) -> None:
    cosmoinfer.evaluate(folder / "two.h5", output=tmp_path / "metrics.h5")
    write(tmp_path / "sims.h5", *linear(20, 1))
    two = cosmoinfer.read_posterior(folder / "two.h5")
    two.save(tmp_path / "two.h5")
    two.select(np.arange(40, 60)).save(tmp_path / "later.h5")
    assert message in refused("plot", *(tmp_path / file for file in files))


def test_a_chain_is_drawn_over_a_posterior_by_its_weights_in_the_parameters_that_both_have(
    folder: Path, tmp_path: Path, drawn: list[matplotlib.figure.Figure]
) -> None:
    generator = np.random.default_rng(0)
    weights, points = generator.integers(0, 2, 4000), generator.normal([0.3, 5.0, 0.8], [0.01, 1.0, 0.01], (4000, 3))
    points[weights == 0] += 0.1
    np.savetxt(tmp_path / "planck.txt", np.column_stack([weights, np.zeros(4000), points]))
    (tmp_path / "planck.paramnames").write_text("sigma8 \\sigma_8\ntau \\tau\nomegam \\Omega_m\n")
    cosmoinfer.figures([folder / "two.h5", tmp_path / "planck"], tmp_path / "a.png", rows=[0])
    assert {"two", "planck"} <= {*legend_texts(drawn[0])} and len(drawn[0].axes) == 4
    output = call("plot", folder / "two.h5", tmp_path / "planck", "-o", tmp_path / "b.png")[2]
    matched = "omegam of the chain is Omega_m; sigma8 of the chain is sigma_8"
    assert f"planck: drawn as points, of Omega_m, sigma_8; {matched}" in output
    done("plot", tmp_path / "planck", "-o", tmp_path / "c.png", "--parameters", "sigma8")
    (title,) = [axes.get_title() for axes in drawn[2].axes]
    assert title == f"${constraint(points[weights == 1, 0]).latex}$"
    (tmp_path / "planck.paramnames").write_text("a\nb\nc\n")
    message = "planck: shares no parameter with Omega_m, sigma_8; it has a, b, c"
    assert message in refused("plot", folder / "two.h5", tmp_path / "planck", "-o", tmp_path / "d.png")


@pytest.mark.parametrize("width", [3.4, 7.1])
def test_labels_with_long_units_do_not_touch(
    width: float, tmp_path: Path, drawn: list[matplotlib.figure.Figure]
) -> None:
    posterior = posterior_of(4, draws=100)
    names = ("H_0 [km/s/Mpc]", "M_nu [eV]", "log10_M [Msun/h]", "T_AGN [keV/mp/yr]")
    labels = dict(zip(posterior.parameters.names, names, strict=True))
    cosmoinfer.figures(posterior, tmp_path / "a.png", width=width, labels=labels)
    renderer = drawn[0].canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [axes.xaxis.label.get_window_extent(renderer) for axes in drawn[0].axes[-4:]]
    assert not any(first.overlaps(second) for first, second in itertools.pairwise(boxes))


def test_a_legend_has_what_the_names_of_files_do_not_share(
    folder: Path, tmp_path: Path, drawn: list[matplotlib.figure.Figure]
) -> None:
    paths = [tmp_path / f"{name}.sky.posterior.h5" for name in ("flow", "maf")]
    for path in paths:
        path.write_bytes((folder / "two.h5").read_bytes())
    cosmoinfer.figures(paths, tmp_path / "a.png")
    assert legend_texts(drawn[0])[1:3] == ["flow", "maf"]  # behind the truth
    equal = [tmp_path / folder / "results" / "flow.h5" for folder in ("a", "b")]
    for path in equal:
        path.parent.mkdir(parents=True)
        path.write_bytes((folder / "two.h5").read_bytes())
    cosmoinfer.figures(equal, tmp_path / "b.png")
    assert legend_texts(drawn[1])[1:3] == ["a/flow", "b/flow"]
    cosmoinfer.figures([equal[0], equal[0]], tmp_path / "c.png")
    assert legend_texts(drawn[2])[1:3] == ["flow (1)", "flow (2)"]


def test_labels_and_marks_of_a_user_win(folder: Path, tmp_path: Path, drawn: list[matplotlib.figure.Figure]) -> None:
    labels = [r"Omega_m=\Omega_0,x=1 [a],sigma_8=s"]
    cosmoinfer.figures(folder / "two.h5", tmp_path / "a.png", labels=labels, truth="Omega_m=0.25,sigma_8=0.75")
    axes = drawn[0].axes[2]
    assert axes.get_xlabel() == r"$\Omega_0,x=1$ [$\mathrm{a}$]" and axes.get_ylabel() == "$s$"
    vertical = [line.get_xdata() for line in axes.lines]
    assert np.allclose(vertical[0], 0.25)


@pytest.mark.parametrize("width", [3.4, 7.1])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_corner_has_its_width_and_letters_that_can_be_read(
    count: int, width: float, folder: Path, tmp_path: Path, drawn: list[matplotlib.figure.Figure]
) -> None:
    cosmoinfer.figures(posterior_of(count, draws=100), tmp_path / "a.pdf", width=width)
    (figure,) = drawn
    assert figure.get_size_inches()[0] == width
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    texts = [text for text in figure.findobj(matplotlib.text.Text) if text.get_text() and text.get_visible()]
    assert min(float(text.get_fontsize()) for text in texts) >= 5
    panels = [axes.get_tightbbox(renderer) for axes in figure.axes if axes.get_visible()]
    for box in panels:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    for legend in figure.legends:
        assert not any(legend.get_window_extent(renderer).overlaps(panel) for panel in panels)


def test_numbers_above_the_panels_are_those_of_a_paper(tmp_path: Path, drawn: list[matplotlib.figure.Figure]) -> None:
    posterior = posterior_of(2, draws=500)
    cosmoinfer.figures(posterior, tmp_path / "a.png", rows=[3], width=7.1)
    draws = np.asarray(posterior.samples[3, :, 0])
    assert drawn[0].axes[0].get_title() == f"${constraint(draws, low=0.1, high=0.5).latex}$"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0.1}, "width: expected 1 to 30, found 0.1"),
        ({"width": "wide"}, "width"),
        ({"rows": "99"}, "has no row 99"),
        ({"parameters": "h"}, "no parameter is named h"),
        ({"labels": {"h": "h"}}, "no parameter is named h"),
        ({"labels": {"Omega_m": r"\frac{"}}, r"Omega_m: \\frac{ cannot be typeset"),
        ({"legend": "a,b"}, "expected 1 names, one a posterior, found 2"),
        ({"truth": "Omega_m=x"}, "expected a number, found 'x'"),
        ({"plots": ["corners"]}, "no figure is named corners"),
        ({"plots": ["corner", "sbc"]}, "holds one figure, found 2 names"),
        ({"plots": ["confusion"]}, "lacks what confusion shows. Rows by true and predicted class"),
        ({"height": 3}, "height"),
    ],
)
def test_a_setting_that_is_not_usable_is_told_in_one_line(
    settings: dict[str, Any], message: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        cosmoinfer.figures(folder / "two.h5", tmp_path / "a.pdf", **settings)
    assert not list(tmp_path.iterdir())


def test_a_classifier_has_no_corner(tmp_path: Path) -> None:
    classified(("TNG", "SIMBA")).save(tmp_path / "classes.h5")
    message = "probabilities of classes: --figure confusion or --figure reliability, not corner"
    assert message in refused("plot", tmp_path / "classes.h5", "-o", tmp_path / "a.pdf")
    assert call("plot", tmp_path / "classes.h5", "--figure", "confusion", "-o", tmp_path / "a.pdf")[0] == 0


def test_the_command_draws_into_the_folder_of_the_posterior(folder: Path) -> None:
    status, out, _ = call("plot", folder / "two.h5", "--width", 3.4)
    assert (status, out) == (0, f"{folder / 'two.corner.pdf'}: written\n")
    status, out, err = call("plot", folder / "two.h5", "--width", 3.4)
    assert (status, out) == (0, "") and "complete already" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("two.h5", "-o", "a.txt"), "expected a name that ends in .pdf, .png or .svg, found a.txt"),
        (("two.h5", "-o", "none/a.pdf"), "the folder none does not exist"),
        (("two.h5", "-o", "x.pdf/"), "x.pdf: is a folder; name a file"),
        (("absent.h5",), "absent.h5"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(
    arguments: tuple[str, ...], message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "x.pdf").mkdir(exist_ok=True)
    assert message in refused("plot", *arguments)


def test_a_folder_of_figures_has_no_name_of_a_figure(folder: Path, tmp_path: Path) -> None:
    err = refused("evaluate", folder / "two.h5", "--figures", tmp_path / "x.pdf")
    assert "x.pdf: expected a folder, found the name of a figure; draw one with: cosmoinfer plot FILE" in err
    assert not (tmp_path / "x.pdf").exists()


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two flows of each of two architectures, and the catalog that they were trained on."""
    folder = tmp_path_factory.mktemp("members")
    catalog = write(folder / "sims.h5", *linear(80, 1, features=3))
    options = ("--flow", "maf:hidden=4,layers=1", "--epochs", 1, "--ensemble", 2, "--threads", 1, "--quiet")
    done("train-flow", catalog, "-o", folder / "soft.h5", "--support", "soft", *options)
    done("train-flow", catalog, "-o", folder / "probit.h5", "--support", "probit", *options)
    done("ensemble", folder / "soft.h5", folder / "probit.h5", catalog, "-o", folder / "flow.h5", "--quiet")
    return folder


def test_members_are_drawn_over_their_mixture(ensemble: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setitem(PLOTS, "members", lambda data: drawn.append((data, figure := members(data))) or figure)
    files, output = (ensemble / "flow.h5", ensemble / "sims.h5"), tmp_path / "a.pdf"
    done("plot", *files, "--figure", "members", "--rows", 5, "--width", 3.4, "--labels", "sigma_8=s", "-o", output)
    ((data, figure),) = drawn
    model = cosmoinfer.load(ensemble / "flow.h5")
    assert len(data.members) == len(model.weights) > 2
    x = cosmoinfer.read_catalog(ensemble / "sims.h5").observables[0].read(np.array([5]))
    for number, (_, posterior) in enumerate(data.members):
        alone = model.select_member(number)
        theta = np.asarray(posterior.samples[0, :20])
        assert np.allclose(posterior.log_prob[0, :20], alone.log_prob(theta, x[0]), atol=0.05)
    texts = legend_texts(figure)
    assert "mixture" in texts and sum(" x maf, " in text for text in texts) == len({*dict(data.members)}) > 1
    assert figure.axes[2].get_ylabel() == "$s$"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("flow.h5",), "expected a model and an observation, as: flow.h5 observation.h5"),
        (("flow.h5", "sims.h5", "--rows", "3,5"), "expected one row, whose members are drawn, found 2"),
        (("flow.h5", "sims.h5", "--parameters", "h"), "no parameter is named h"),
        (("flow.h5", "flow.h5", "sims.h5"), "found 2 model files"),
        (("flow.h5", "sims.h5", "--legend", "a,b"), "members of a flow have names of their own"),
    ],
)
def test_members_ask_for_one_observation(arguments: tuple[str, ...], message: str, ensemble: Path) -> None:
    files = [ensemble / text if text.endswith(".h5") else text for text in arguments]
    assert message in refused("plot", *files, "--figure", "members", "-o", ensemble / "a.pdf")


def test_a_single_member_has_no_others(ensemble: Path) -> None:
    cosmoinfer.load(ensemble / "soft.h5").select_member(0).save(ensemble / "single.h5")
    message = refused("plot", ensemble / "single.h5", ensemble / "sims.h5", "--figure", "members")
    assert "has one member; expected several, which differ" in message


@pytest.mark.parametrize(("count", "width"), [(2, 3.4), (2, 7.1), (4, 3.4)])
def test_numbers_along_axes_lie_flat_where_there_is_room(
    count: int, width: float, tmp_path: Path, drawn: list[matplotlib.figure.Figure]
) -> None:
    cosmoinfer.figures(posterior_of(count, draws=100), tmp_path / "a.png", width=width)
    labels = [label for axes in drawn[0].axes[-count:] for label in axes.get_xticklabels()]
    assert {label.get_rotation() for label in labels} == {0}
    assert not any("-" in label.get_text() for label in labels)
    renderer = drawn[0].canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [label.get_window_extent(renderer) for label in labels]
    assert not any(first.overlaps(second) for first, second in itertools.pairwise(boxes))
