"""Figures of posteriors, of the training of their models and of studies: a folder of them, or a file of one."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cosmoinfer import importers, metrics, models, storage
from cosmoinfer import plots as drawing
from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.metrics import Evaluation
from cosmoinfer.posterior import Posterior
from cosmoinfer.settings import check_keywords, is_given
from cosmoinfer.studies import cross_suite, learning_curve
from cosmoinfer.tasks.figure_input import FigureSettings, figure_data, member_data, open_catalogs, separate_reading
from cosmoinfer.tasks.model_sources import AnyModel
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.settings import READ_OPTIONS, names_of_fields, select_keywords
from cosmoinfer.tasks.sources import PosteriorInput, PosteriorSource, holds_points, open_drawn

STUDIES: dict[str, tuple[Callable[[Path], Any], Callable[..., Any]]] = {  # by kind: how they are read, and drawn
    "cross-suite": (cross_suite.read, drawing.plot_cross_suite),
    "learning-curve": (learning_curve.read, drawing.plot_learning_curve),
}
OF_CATALOGS = ("data", "observation", "members")  # figures for which a catalog is read
OF_CLASSES = ("losses", "confusion", "reliability", "ood")  # figures of a classifier


def figures(
    posterior: PosteriorSource | Sequence[PosteriorSource],
    folder: Path | str,
    plots: Sequence[str] | None = None,
    *,
    evaluation: Evaluation | None = None,
    model: AnyModel | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> list[Path]:
    """Draw the figures of a posterior, as ``folder/corner.png``, or one, as ``corner.pdf``; returns their paths.

    posterior: a posterior or its path; of several, a corner shows one over the other.
    folder: or the name of a file that ends in .png, .pdf or .svg.
    plots: names of figures, as ``["corner"]``; by default all that apply to what the posterior holds, in a file the
        corner.
    evaluation: for numbers that are written into figures. model: for its training history.
    force: replace a file that shows something else; figures of ours in a folder are replaced in any case.
    settings: the options of ``cosmoinfer plot`` by name, as ``width=3.4``, ``rows=[3]``, ``labels={"a": "a_0"}``.

    Raises UserError, a ValueError, if a name is not known, or a figure that is named does not apply.
    """
    check_keywords("figures", settings, names_of_fields(FigureSettings))
    names = list(drawing.PLOTS) if plots is None else [plots] if isinstance(plots, str) else list(plots)
    _check_names(names)
    sources = [posterior] if isinstance(posterior, Path | str | Posterior) else list(posterior)
    opened, chosen = [open_drawn(source) for source in sources], select_keywords(FigureSettings, settings)
    path, histories = Path(folder), {} if model is None else models.histories(model)
    if drawing.figure_format(path) and not path.is_dir():
        if plots is not None and len(names) != 1:
            raise UserError(f"{path}: holds one figure, found {len(names)} names", setting="plots")
        check_figure(path)
        name = _default_figure(opened) if plots is None else names[0]
        data = figure_data(opened, chosen, evaluation, histories, name == "corner", reporter=reporter)
        _write_plot(path, name, data, opened[0].name, force, reporter)
        return [path]
    has_corner = len(sources) > 1 or chosen.rows is not None
    data = figure_data(opened, chosen, evaluation, histories, has_corner, reporter=reporter)
    paths = drawing.draw(data, path, names)
    missing = sorted({*names} - {path.stem for path in paths}) if plots is not None else []
    if missing:
        raise UserError(f"{opened[0].name} lacks what {', '.join(missing)} shows", setting="plots")
    return paths


def write_figure(
    files: Sequence[Path],
    figure: str,
    keywords: Mapping[str, Any],
    output: Path | None,
    force: bool,
    reporter: Reporter,
) -> Path:
    """One figure of files: posteriors, with a metrics file for its numbers; a model; a study; or catalogs.

    keywords: the settings of the figure and of how catalogs are read, by the name of their option; ``parameters`` are
    names, or an existing file of those of a catalog. figure: a name of ``plots.PLOTS``; by default that of what the
    files hold. Raises UserError if a file is of another kind, or holds nothing to draw.
    """
    check_keywords("plot", keywords, (*names_of_fields(FigureSettings), *READ_OPTIONS))
    keywords, reading = separate_reading(keywords)
    chosen = select_keywords(FigureSettings, keywords)
    if figure:
        _check_names([figure], "figure")
    by_kind: dict[str, list[Path]] = {}
    for file in files:
        by_kind.setdefault(_kind(file, figure), []).append(file)
    allowed = ("posterior", "model", "metrics", *STUDIES, *(["catalog"] if figure in OF_CATALOGS else []))
    for kind, paths in by_kind.items():
        if kind not in allowed or (len(paths) > 1 and kind not in ("posterior", "catalog")):
            found = storage.describe_file(paths[-1]) if kind not in allowed else f"{len(paths)} {kind} files"
            remedy = f"; of a catalog: `figure={OF_CATALOGS[0]}`" if kind == "catalog" else ""
            raise UserError(f"{paths[-1]}: expected posteriors, a model or a study, found {found}{remedy}")
    if reading and "catalog" not in by_kind:
        raise UserError("has no effect: says how a catalog is read, and none is given", setting=next(iter(reading)))
    for kind in STUDIES.keys() & by_kind.keys():
        return _write_study(kind, by_kind, figure, chosen, keywords, output, force, reporter)
    if figure == "members":
        return _write_members(by_kind, chosen, reading, output, force, reporter)
    histories = models.histories(models.read(by_kind["model"][0])) if "model" in by_kind else {}
    evaluation = metrics.read(by_kind["metrics"][0]) if "metrics" in by_kind else None
    opened = [open_drawn(path) for path in by_kind.get("posterior", [])]
    catalogs = open_catalogs(by_kind.get("catalog", []), reading)
    if not opened and figure != "data" and (not histories or figure not in ("", "losses")):
        name, kind = figure or "corner", " and ".join(by_kind)
        raise UserError(f"{files[0]}: {name} is a figure of a posterior, found {kind} alone; name the posterior too")
    name = figure or _default_figure(opened)
    path = _checked_output(files, name, output)
    data = figure_data(opened, chosen, evaluation, histories, name == "corner", catalogs, reporter)
    _write_plot(path, name, data, str(files[0]), force, reporter)
    return path


def _kind(file: Path, figure: str) -> str:
    """Of a file: a chain, or a table of text, is a posterior to a corner, and a catalog to other figures.

    Raises UserError for a folder that holds posteriors.
    """
    if file.is_dir() and (within := [path for path in sorted(file.glob("*.h5")) if storage.is_kind(path, "posterior")]):
        raise UserError(f"{file}: is a folder; of its files a plot takes the posteriors: {join_first(within)}")
    if figure in ("", "corner") and holds_points(file):
        return "posterior"
    return "catalog" if importers.is_source(file) else storage.file_kind(file) or "catalog"


def _write_members(
    by_kind: Mapping[str, list[Path]],
    chosen: FigureSettings,
    reading: Mapping[str, Any],
    output: Path | None,
    force: bool,
    reporter: Reporter,
) -> Path:
    """Raises UserError unless there are a model and an observation, and no other file."""
    files = [path for kind in ("model", "catalog") for path in by_kind.get(kind, [])]
    if len(files) != 2 or by_kind.keys() != {"model", "catalog"}:
        raise UserError("members: expected a model and an observation, as: flow.h5 observation.h5", setting="figure")
    if chosen.legend:
        raise UserError("has no effect: the members of a flow have names of their own", setting="legend")
    path = _checked_output(files, "members", output)
    _write_plot(
        path, "members", member_data(files[0], files[1], chosen, reporter, reading), str(files[0]), force, reporter
    )
    return path


def check_figure(path: Path, setting: str = "output") -> None:
    """Before any work is done. setting: that names the path.

    Raises UserError where a figure cannot be written, or would replace another file.
    """
    if not drawing.figure_format(storage.require_name(path)):
        raise UserError(f"expected a name that ends in .pdf, .png or .svg, found {path}", setting=setting)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist")
    drawing.check_replaceable(path)


def _check_names(names: Sequence[str], setting: str = "plots") -> None:
    for name in names:
        if name not in drawing.PLOTS:
            raise UserError(f"no figure is named {name}; {list_choices(name, drawing.PLOTS)}", setting=setting)


def _default_figure(opened: Sequence[PosteriorInput]) -> str:
    """A corner; of a model alone its learning curves."""
    return "corner" if opened else "losses"


def _checked_output(files: Sequence[Path], name: str, output: Path | None) -> Path:
    path = files[0].with_name(f"{files[0].stem}.{name}.pdf") if output is None else output
    check_figure(path)
    return path


def _write_plot(path: Path, name: str, data: drawing.FigureData, source: str, force: bool, reporter: Reporter) -> None:
    """Raises UserError where there is no such figure, and as ``_write``."""
    if data.posterior.classes is not None and name not in OF_CLASSES:
        choices = "`figure=confusion` or `figure=reliability`"
        raise UserError(f"{source}: is of a classifier, and holds probabilities of classes: {choices}, not {name}")
    image = drawing.render(partial(drawing.PLOTS[name], data), drawing.figure_format(path), data.width is not None)
    if image is None:
        caption = (drawing.PLOTS[name].__doc__ or "").partition("\n")[0]
        if name in OF_CATALOGS and data.catalog is None:
            raise UserError(f"{source}: {name} shows the simulations too: add their catalog, as: {source} catalog.h5")
        raise UserError(f"{source}: lacks what {name} shows. {caption}")
    _write(path, image, force, reporter)


def _write(path: Path, image: bytes, force: bool, reporter: Reporter) -> None:
    """Whole or absent. Raises UserError where the path has another figure, and is not forced."""
    if path.exists() and path.read_bytes() == image:
        reporter.info(f"{path}: complete already, the very same figure")
        return
    if path.exists() and not force:
        raise UserError(f"{path}: exists already, and shows something else; `force` replaces it")
    with storage.atomic_write(path) as scratch:
        scratch.write_bytes(image)
    reporter.result(f"{path}: written")


def _write_study(
    kind: str,
    by_kind: Mapping[str, list[Path]],
    figure: str,
    chosen: FigureSettings,
    keywords: Mapping[str, Any],
    output: Path | None,
    force: bool,
    reporter: Reporter,
) -> Path:
    (file,) = by_kind[kind]
    ineffective = [f"`{name}`" for name, value in keywords.items() if is_given(value) and name not in ("width", "seed")]
    ineffective += ["`figure`"] * bool(figure) + ["other files"] * (len(by_kind) > 1)
    if ineffective:
        raise UserError(f"{file}: is a study, which has one figure; {join_first(ineffective)} cannot be")
    path = _checked_output([file], kind.replace("-", "_"), output)
    read, plot = STUDIES[kind]
    image = drawing.render(
        partial(plot, read(file), chosen.width), drawing.figure_format(path), chosen.width is not None
    )
    assert image is not None
    _write(path, image, force, reporter)
    return path
