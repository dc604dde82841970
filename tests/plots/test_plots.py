"""Does every figure draw whatever a posterior may hold, always the same, whole, and leaving nothing behind?"""

import errno
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib
import matplotlib.figure
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.contour import ContourSet
from matplotlib.text import Text
from scipy import stats

from cosmoinfer import seeding
from cosmoinfer.errors import UserError
from cosmoinfer.metrics import evaluate
from cosmoinfer.parameters import Parameters
from cosmoinfer.plots import PLOTS, FigureData, draw, render
from cosmoinfer.plots.corner_layer import Layer
from cosmoinfer.plots.labels import MAX_NAME, parameter_label, plain_text, typeset, typeset_name
from cosmoinfer.plots.registry import save
from cosmoinfer.plots.triangle import typical_row
from cosmoinfer.posterior import Posterior
from cosmoinfer.training.state import History
from tests.posteriors import changed, make

WIDTHS = np.array([0.05, 0.2, 0.1, 0.3, 20.0, 20.0])  # of the noise, in units of the box: the last two say nothing
NEED_DRAWS = {"corner", "coverage", "sbc"}
NEED_TRUTH = {"truth_prediction", "coverage", "sbc"}
NESTED = "x^{" * 100 + "x" + "}" * 100
OF_CLASSES = {"confusion", "reliability"}
OF_MORE = {"ood", "data", "observation", "members"}  # of what these posteriors lack
OF_PARAMETERS = [name for name in PLOTS if name not in OF_CLASSES | OF_MORE]


def posterior_of(count: int, rows: int = 60, draws: int = 200, narrower: float = 1.0) -> Posterior:
    """Exact posteriors of x = theta + noise in a box: independent truncated normals; wrong where narrower than 1."""
    stream = seeding.generator(0, "test plots", count)
    low, high = np.array([0.1, 0.6, -1.0, 0.25, 0.0, 0.5])[:count], np.array([0.5, 1.0, 1.0, 4.0, 1e-3, 2.0])[:count]
    labels = [r"\Omega_m", r"\sigma_8", "c", r"A_{\rm SN1}", "$e$", r"\broken{"][:count]
    names = ["Omega_m", "sigma_8", "c", "A_SN1", "e", "a$b"][:count]
    parameters = Parameters.from_names(names, low, high, labels=labels)
    truth = parameters.quantile(stream.random((rows, count)))
    sigma = WIDTHS[:count] * (high - low)
    x = truth + sigma * stream.normal(size=truth.shape)
    sigma = narrower * sigma
    exact = stats.truncnorm((low - x) / sigma, (high - x) / sigma, loc=x, scale=sigma)
    samples = parameters.clip(exact.ppf(stream.random((draws, rows, count)))).swapaxes(0, 1)
    log_prob = np.stack([exact.logpdf(samples[:, k]).sum(axis=-1) for k in range(draws)], axis=1)
    index = np.arange(rows)
    partition = np.full(rows, 2, dtype=np.uint8)
    return make(
        parameters,
        index,
        (index // 2).astype(str),
        partition,
        truth,
        samples=samples,
        log_prob=log_prob,
        log_prob_truth=exact.logpdf(truth).sum(axis=-1),
    )


def classified(names: tuple[str, ...], rows: int = 200) -> Posterior:
    """Right probabilities of x = class + noise."""
    stream = seeding.generator(0, "test plots", "classes")
    number = stream.integers(len(names), size=rows)
    x = number + 0.7 * stream.normal(size=rows)
    odds = stats.norm.pdf(x[:, None], np.arange(len(names)), 0.7)
    index, partition = np.arange(rows), np.full(rows, 2, dtype=np.uint8)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    suite, truth = Parameters.from_names(("suite",)), number[:, None].astype(float)
    return make(suite, index, index.astype(str), partition, truth, probabilities=probabilities, names=names)


def history_of(members: int, epochs: int = 30) -> History:
    stream = seeding.generator(0, "test plots", "history")
    fall = np.exp(-np.arange(epochs) / 5)[:, None] + 0.02 * stream.random((epochs, members))
    return History(fall - 0.1, fall, np.full(epochs, 1e-3), fall.argmin(axis=0))


def figure_data_of(posterior: Posterior) -> FigureData:
    evaluation = None if posterior.truth is None else evaluate(posterior)
    return FigureData(posterior, evaluation, {"nsf": history_of(3)})


def only_points(posterior: Posterior) -> Posterior:
    return changed(posterior, mean=posterior.mean, samples=None, log_prob=None, log_prob_truth=None)


def without_truth(posterior: Posterior) -> Posterior:
    return changed(posterior, truth=None, log_prob_truth=None)


def unbounded(posterior: Posterior) -> Posterior:
    return changed(posterior, parameters=Parameters.from_names(posterior.parameters.names))


def one_simulation(posterior: Posterior) -> Posterior:
    return changed(posterior, simulation=np.full(len(posterior), "0"))


def one_value(posterior: Posterior) -> Posterior:
    return changed(posterior, samples=np.broadcast_to(posterior.samples[:, :1], posterior.samples.shape))


def names(paths: list[Path]) -> set[str]:
    return {path.stem for path in paths}


@pytest.mark.parametrize("count", [1, 4])  # two parameters: below
def test_every_figure_is_drawn_whole(count: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    written = draw(figure_data_of(posterior_of(count)), tmp_path / "figures")
    assert [path.stem for path in written] == OF_PARAMETERS
    assert sorted((tmp_path / "figures").iterdir()) == sorted(written)
    for path in written:
        image = path.read_bytes()
        assert image.startswith(b"\x89PNG") and image[-8:-4] == b"IEND"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        (only_points, NEED_DRAWS),
        (without_truth, NEED_TRUTH),
        (unbounded, set()),
        (one_simulation, set()),
        (one_value, {"corner"}),
    ],
)
def test_what_a_posterior_lacks_is_left_out(
    change: Callable[[Posterior], Posterior], absent: set[str], tmp_path: Path
) -> None:
    full = posterior_of(2 if change is unbounded else 1, draws=60)
    for name in absent:
        save(matplotlib.figure.Figure, tmp_path / f"{name}.png")  # of an earlier posterior
    assert names(draw(figure_data_of(change(full)), tmp_path)) == set(OF_PARAMETERS) - absent
    assert names(list(tmp_path.iterdir())) == set(OF_PARAMETERS) - absent


@pytest.mark.parametrize(
    "classes", [("TNG", "SIMBA"), ("a$b", "$c", "long name of a suite"), tuple("abcdefghijklmnopqr")]
)
def test_a_classifier_has_figures_of_classes(
    classes: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in OF_PARAMETERS:
        save(matplotlib.figure.Figure, tmp_path / f"{name}.png")  # of an earlier posterior
    posterior = classified(classes)
    assert names(draw(figure_data_of(posterior), tmp_path)) == {"losses"} | OF_CLASSES
    assert names(list(tmp_path.iterdir())) == {"losses"} | OF_CLASSES
    assert names(draw(FigureData(without_truth(posterior)), tmp_path)) == set()
    assert capfd.readouterr() == ("", "")


def test_the_confusion_matrix_figure_shows_counts_and_fractions() -> None:
    posterior = classified(("TNG", "SIMBA"))
    figure = PLOTS["confusion"](FigureData(posterior))
    assert figure is not None
    matrix = figure.axes[0]
    assert (matrix.get_xlabel(), matrix.get_ylabel()) == ("predicted class", "true class")
    confusion = evaluate(posterior).confusion
    assert confusion is not None
    counts = np.array(confusion.counts)
    cell_texts = {text.get_position(): text.get_text() for text in matrix.texts}
    assert cell_texts[(0, 1)] == f"{counts[1, 0]}\n{100 * counts[1, 0] / counts[1].sum():.0f} %"


def test_reliability_shows_one_of_two_classes_and_all_of_three() -> None:
    for classes, shown in ((("TNG", "SIMBA"), ["SIMBA"]), (("a", "b", "c"), ["a", "b", "c"])):
        figure = PLOTS["reliability"](FigureData(classified(classes)))
        assert figure is not None
        assert [axes.get_title() for axes in figure.axes if axes.get_visible()] == shown


def test_same_material_same_bytes_whatever_the_user_likes(tmp_path: Path) -> None:
    data = figure_data_of(posterior_of(2, draws=60))
    first = draw(data, tmp_path / "first")
    assert [path.stem for path in first] == OF_PARAMETERS
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "pink"}):
        mine = dict(matplotlib.rcParams)
        second = draw(replace(data), tmp_path / "second")
        assert dict(matplotlib.rcParams) == mine
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_figure_is_flushed_to_disk_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every file: after a crash of the machine, a renamed file that was never flushed may be empty."""
    calls: list[str] = []
    flush, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append("flush"), flush(descriptor))[1])
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("rename"), rename(*paths))[1])
    save(matplotlib.figure.Figure, tmp_path / "figure.png")
    assert calls[:2] == ["flush", "rename"]
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]


def test_a_figure_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "losses.png").mkdir()
    with pytest.raises(UserError, match=r"losses\.png: was not drawn by this version"):
        draw(figure_data_of(posterior_of(1, draws=60)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["losses.png"]


@pytest.mark.parametrize("name", ["corner", "losses"])  # which is drawn, which does not apply
def test_a_file_of_somebody_else_is_neither_replaced_nor_removed(tmp_path: Path, name: str) -> None:
    theirs = tmp_path / f"{name}.png"
    matplotlib.figure.Figure().savefig(theirs)
    content = theirs.read_bytes()
    with pytest.raises(UserError, match=rf"{name}\.png: was not drawn by this version of cosmoinfer, and is not"):
        draw(figure_data_of(posterior_of(1, draws=60)), tmp_path)
    assert theirs.read_bytes() == content and [path.name for path in tmp_path.iterdir()] == [theirs.name]
    theirs.unlink()
    before = [path.read_bytes() for path in draw(figure_data_of(posterior_of(1, draws=60)), tmp_path)]
    assert before == [path.read_bytes() for path in draw(figure_data_of(posterior_of(1, draws=60)), tmp_path)]


def test_the_last_figures_stay_where_a_new_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = {path: path.read_bytes() for path in draw(figure_data_of(posterior_of(1, draws=60)), tmp_path)}
    monkeypatch.setitem(PLOTS, "sbc", lambda data: 1 / 0)  # the last one that applies
    with pytest.raises(ZeroDivisionError):
        draw(figure_data_of(posterior_of(2, draws=60)), tmp_path)
    assert first == {path: path.read_bytes() for path in tmp_path.iterdir()}


def test_the_last_figures_stay_where_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = {path: path.read_bytes() for path in draw(figure_data_of(posterior_of(1, draws=60)), tmp_path)}
    write_bytes = Path.write_bytes

    def write(path: Path, image: bytes) -> int:
        if "sbc" in path.name:  # the last one
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(path, image)

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(UserError, match=r"sbc\.png: could not be written .No space left on device.; nothing is left"):
        draw(figure_data_of(posterior_of(2, draws=60)), tmp_path)
    assert first == {path: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_figure_marks_an_unconstrained_parameter() -> None:
    figure = PLOTS["truth_prediction"](figure_data_of(posterior_of(6)))
    assert figure is not None
    marked = ["unconstrained" in axes.get_title() for axes in figure.axes]
    assert marked == [False, False, False, False, True, True]


@pytest.mark.parametrize("high", [1.5, 300.0])
def test_a_logarithmic_axis_has_numbers(high: float) -> None:
    """Within the box, also of less than a decade."""
    posterior = posterior_of(1)
    parameters = Parameters.from_names(("a",), [1.0], [high], ["log-uniform"])
    scaled = 1 + (high - 1) * (posterior.truth - 0.1) / 0.4
    samples = 1 + (high - 1) * (np.asarray(posterior.samples) - 0.1) / 0.4
    figure = PLOTS["truth_prediction"](
        FigureData(changed(posterior, parameters=parameters, truth=scaled, samples=samples), None, {})
    )
    assert figure is not None
    axes = figure.axes[0]
    assert axes.get_xscale() == "log" and sum(1 <= tick <= high for tick in axes.get_xticks()) >= 3


def test_rank_curves_stray_only_if_the_posterior_is_wrong() -> None:
    def strays(narrower: float) -> int:
        figure = PLOTS["sbc"](figure_data_of(posterior_of(2, rows=200, narrower=narrower)))
        assert figure is not None
        return sum(len(axes.lines[-1].get_xdata()) for axes in figure.axes)

    assert strays(1.0) <= 5 < 20 < strays(0.3)


def test_the_figure_marks_as_unconstrained_what_the_words_do() -> None:
    """A mean that is far off and yet follows the truth has a small R2: a bias, in the figure as in words."""
    posterior = posterior_of(1, rows=200)
    biased = changed(posterior, samples=np.asarray(posterior.samples) + 0.3, parameters=Parameters.from_names(["a"]))
    data = figure_data_of(biased)
    assert data.evaluation is not None
    figure, r2 = PLOTS["truth_prediction"](data), data.evaluation.value("r2", "a")
    assert figure is not None and r2 is not None and r2 < 0
    assert "unconstrained" not in figure.axes[0].get_title() and not data.evaluation.verdict.unconstrained


@pytest.mark.parametrize("name", ["coverage", "sbc"])
def test_a_single_observation_has_no_coverage(name: str) -> None:
    posterior = posterior_of(2, rows=5)
    assert PLOTS[name](FigureData(posterior)) is not None
    assert PLOTS[name](FigureData(posterior.select(np.array([2])))) is None


@pytest.mark.parametrize("width", [3.4, 7.1])
@pytest.mark.parametrize("name", ["truth_prediction", "coverage", "sbc", "losses", "reliability", "confusion"])
def test_a_figure_says_what_it_shows_at_its_width(name: str, width: float) -> None:
    posterior = classified(("TNG", "SIMBA")) if name in OF_CLASSES else posterior_of(2)
    figures = []
    data = replace(figure_data_of(posterior), width=width)
    assert render(lambda: figures.append(PLOTS[name](data)) or figures[0], "png", True)
    figure = figures[0]
    assert figure.get_size_inches()[0] == pytest.approx(width)
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    assert legends or name == "confusion"  # in which every cell and the colour bar have words
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(float(text.get_fontsize()) for text in texts) >= 6
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [legend.get_window_extent(renderer) for legend in figure.legends]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 + 1 for box in boxes)


def test_the_typical_row_has_the_median_density_of_the_test_rows() -> None:
    posterior = posterior_of(1, rows=5, draws=60)
    posterior = changed(posterior, log_prob_truth=np.array([9.0, 3.0, 1.0, 2.0, 8.0]))
    assert typical_row(posterior) == 1
    assert typical_row(changed(posterior, split=np.array([0, 2, 2, 2, 0]))) == 3
    assert typical_row(without_truth(posterior)) == 0


def test_an_early_spike_does_not_squash_the_curve() -> None:
    calm = history_of(3)
    wild = replace(calm, validation=calm.validation + 1e6 * (np.arange(30) == 0)[:, None])
    gone = replace(calm, train=np.where(np.arange(30)[:, None] > 20, np.nan, calm.train))
    posterior = posterior_of(1, draws=60)
    for history, legend_title in ((calm, ""), (wild, "not shown: up to 1e+06"), (gone, "")):
        figure = PLOTS["losses"](FigureData(posterior, histories={"nsf": history}))
        assert figure is not None
        assert figure.axes[0].get_ylim()[1] < 2
        legend = figure.axes[0].get_legend()
        assert legend is not None and legend.get_title().get_text() == legend_title


def test_a_label_that_cannot_be_typeset_becomes_the_name() -> None:
    parameters = posterior_of(6, rows=2, draws=2).parameters
    labels = [parameter_label(parameters, name) for name in parameters.names]
    assert labels == [r"$\Omega_m$", r"$\sigma_8$", "$c$", r"$A_{\rm SN1}$", "$e$", r"a\$b"]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Omega_m", r"\Omega_{\mathrm{m}}"),
        ("omegam", r"\Omega_\mathrm{m}"),
        ("omega_m", r"\omega_{\mathrm{m}}"),
        ("Omega_b_h2", r"\Omega_{\mathrm{b}}h^2"),
        ("omegabh2", r"\Omega_\mathrm{b}h^2"),
        ("sigma8", r"\sigma_{8}"),
        ("\u03c3\u2088", r"\sigma_{8}"),
        ("\u03a9m", r"\Omega_{\mathrm{m}}"),
        ("n_s", r"n_\mathrm{s}"),
        ("ns", r"n_\mathrm{s}"),
        ("S8", "S_{8}"),
        ("S_8", "S_{8}"),
        ("h", "h"),
        ("w0", "w_{0}"),
        ("w_a", "w_a"),
        ("A_SN1", r"A_{\mathrm{SN1}}"),
        ("M_nu", r"M_\nu"),
        ("mnu", r"\sum m_\nu"),
        ("x_1_2", "x_{1,2}"),
        ("log10_M", r"\log_{10} M"),
        ("ln10As", r"\ln(10^{10}A_\mathrm{s})"),
    ],
)
def test_common_names_are_typeset_by_themselves(name: str, label: str) -> None:
    assert typeset_name(name) == f"${label}$"
    assert typeset_name(f"{name} [km s^-1]") == f"${label}$ [$\\mathrm{{km\\ s^{{-1}}}}$]"
    assert typeset(label) == f"${label}$"  # which matplotlib knows
    assert parameter_label(Parameters.from_names([name], labels=["x^2"]), name) == "$x^2$"  # that of a catalog wins


@pytest.mark.parametrize("name", ["temperature", "a$b", "", "_", "_a", "\\alpha", "many_words_of_a", "x" * 99, "Alpha"])
def test_other_names_are_plain_text(name: str) -> None:
    assert typeset_name(name) is None


def test_a_unit_of_a_label_is_upright_beside_it() -> None:
    assert typeset(r"\sum m_\nu [eV]") == r"$\sum m_\nu$ [$\mathrm{eV}$]"
    assert typeset("x [$]") is None and typeset("x [^]") == "$x$ [^]"


@pytest.mark.parametrize(
    "label",
    [
        "x^{" * 100 + "x" + "}" * 100,  # deeper than the parser can
        r"\}" * 12 + "{" * 12 + "x" + "}" * 12,
        r"\sqrt" * 30 + " x",
        r"a\hspace{1000000000}b",  # wider than memory
        r"\hspace{-1000000000}a",
        r"\genfrac{[}{]}{1000000}{0}{a}{b}",
        "x" * 200,
        "x\x1b",
        "x\n",
        "x\u202e",
        "a$ $b",
        "",
    ],
)
def test_a_label_without_bounds_becomes_the_name(label: str) -> None:
    parameters = Parameters.from_names(["$a$" * 30, "b"], labels=[label, "b"])
    text = parameter_label(parameters, parameters.names[0])
    assert text == plain_text("$a$" * 30) and len(text.replace("\\", "")) == MAX_NAME


def test_names_in_figures_are_no_mathematics_and_short(tmp_path: Path) -> None:
    name = "run $\\frac$ \x1b\n中 " + 100 * "x"
    posterior = posterior_of(2)
    parameters = replace(posterior.parameters, names=(name, "b"), labels=(NESTED, "$" + NESTED + "$"))
    named = changed(posterior, parameters=parameters, simulation=np.array([rf"$\frac$ {row}" for row in range(60)]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert names(draw(figure_data_of(named), tmp_path)) == set(OF_PARAMETERS)
        assert names(draw(figure_data_of(classified((name, "$x$ $y$"))), tmp_path)) >= OF_CLASSES


def test_neither_torch_nor_pyplot_is_imported() -> None:
    code = "import sys, cosmoinfer.plots; sys.exit(bool({'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("distinct", [80, 300])
def test_copies_of_draws_are_weights_and_narrow_no_kernel(distinct: int) -> None:
    """A reweighted posterior repeats its draws; kernels for so many draws would show each one by itself."""
    stream = np.random.default_rng(distinct)
    draws = stream.normal(size=(distinct, 2))
    copies = draws[np.concatenate([np.arange(distinct), stream.integers(distinct, size=5000 - distinct)])]
    parameters = Parameters.from_names(("a", "b"), (-10, -10), (10, 10))
    once, often = (Layer("", parameters, values, None, "black") for values in (draws, copies))
    axes = matplotlib.figure.Figure().subplots()
    for layer in (once, often):
        layer.draw_regions(axes, "a", "b")
        layer.draw_marginal(axes, "a")
    regions = [contours for contours in axes.collections if isinstance(contours, ContourSet) and not contours.filled]
    pieces = [[len(path.to_polygons()) for path in contours.get_paths()] for contours in regions]
    assert pieces == [[1, 1], [1, 1]]
    narrow, repeated = (line.get_ydata() for line in axes.lines)
    assert np.max(repeated) == pytest.approx(np.max(narrow), rel=0.15)
