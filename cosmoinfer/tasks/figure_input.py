"""From posteriors and the settings of a figure to what it is drawn from: rows, overlays, labels, marks."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import importers
from cosmoinfer import plots as drawing
from cosmoinfer.catalog import Catalog
from cosmoinfer.catalog.row_axis import ModelRow
from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.metrics import Evaluation
from cosmoinfer.models import FlowModel
from cosmoinfer.numerals import finite_number
from cosmoinfer.parameters import Parameters, describe_spellings, spell_as
from cosmoinfer.posterior import Posterior
from cosmoinfer.quoting import split, split_names, unquote
from cosmoinfer.settings import is_given, setting
from cosmoinfer.tasks.reading import find_rows, open_catalog
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.sampling_job import prepare_sampling
from cosmoinfer.tasks.settings import CatalogSettings, names_of_fields
from cosmoinfer.tasks.sources import PosteriorInput

NO_PARAMETERS = Parameters.from_names(())
# settings of reading that an observation has not
OF_PARAMETERS = ("parameters", "names", "bounds", "where", "infer", "simulation", "rows_per_simulation", "columns")
MAX_OVERLAYS = 50  # posteriors in one corner


@dataclass(frozen=True)
class FigureSettings:
    """rows: row numbers of the observations. parameters: names of those that a corner shows, in this order.

    labels: LaTeX of parameters, ``NAME=LABEL``, or by name. legend: names of the posteriors. truth: values that a
    corner marks, ``NAME=NUMBER``, or by name. width: in print, in inches. seed: of randomised ranks and resampling.
    """

    rows: str | tuple[int, ...] | None = None
    parameters: str | tuple[str, ...] = ()
    labels: Mapping[str, str] | str | tuple[str, ...] = ()
    legend: str | tuple[str, ...] = ()
    truth: Mapping[str, float] | str | tuple[str, ...] = ()
    width: float | None = setting(None, minimum=1, maximum=30)
    seed: int = 0


def figure_data(
    opened: Sequence[PosteriorInput],
    chosen: FigureSettings,
    evaluation: Evaluation | None,
    histories: Mapping[str, Any],
    has_corner: bool,
    catalogs: Sequence[Catalog] = (),
    reporter: Reporter = SILENT,
) -> drawing.FigureData:
    """What figures are drawn from. has_corner: whether a corner, by itself, is among them.

    catalogs: of simulations, and of what was observed, which has no parameters.

    Raises UserError, which names the setting, if one is not of these posteriors.
    """
    simulations = next((catalog for catalog in catalogs if catalog.parameters is not None), None)
    observation = next((catalog for catalog in catalogs if catalog.parameters is None), None)
    if not opened:
        empty = Posterior.empty(NO_PARAMETERS)
        data = drawing.FigureData(empty, evaluation, histories, width=chosen.width, catalog=simulations)
        return replace(data, parameters=_names(chosen.parameters))
    posteriors: Sequence[Posterior] = [item.posterior for item in opened]
    if chosen.rows is not None:
        posteriors = [
            item.posterior.select(find_rows(item.name, item.posterior.index, None, chosen.rows)) for item in opened
        ]
    posteriors = _labelled(posteriors, chosen.labels)
    names = _names_shown(opened, posteriors)
    pairs = zip(opened, posteriors, strict=True)
    posteriors = [_of_points(item, posterior, names, reporter) for item, posterior in pairs]
    for item, posterior in zip(opened, posteriors, strict=True):
        if not {*names} & {*posterior.parameters.names}:
            available = join_first(posterior.parameters.names, 20)
            raise UserError(f"{item.name}: shares no parameter with {', '.join(names)}; it has {available}")
    shown = _check_shown(_names(chosen.parameters), names)
    marks = _numbers(chosen.truth, names) if is_given(chosen.truth) else None
    legend = _names(chosen.legend)
    overlays = _overlays(opened, posteriors, chosen.rows is not None, legend) if has_corner else {}
    data = drawing.FigureData(posteriors[0], evaluation, histories, seed=chosen.seed, width=chosen.width)
    data = replace(data, catalog=simulations, observation=observation)
    return replace(data, overlays=overlays, parameters=shown, marks=marks)


def _names_shown(opened: Sequence[PosteriorInput], posteriors: Sequence[Posterior]) -> tuple[str, ...]:
    """Of all parameters, but for those that only chains of other programs have, unless there is nothing else."""
    kept = [posterior for item, posterior in zip(opened, posteriors, strict=True) if not item.is_chain] or posteriors
    return tuple(dict.fromkeys(name for posterior in kept for name in posterior.parameters.names))


def _of_points(opened: PosteriorInput, posterior: Posterior, names: Sequence[str], reporter: Reporter) -> Posterior:
    """Of a chain: with these names for parameters of the same symbol, sigma_8 for sigma8; reports what it shows."""
    if not opened.is_chain:
        return posterior
    parameters, spellings = spell_as(posterior.parameters, names)
    if shared := [name for name in names if name in parameters.names]:
        clauses = [f"drawn as points, of {join_first(shared, 20)}", *describe_spellings(spellings)]
        reporter.info(f"{opened.name}: {'; '.join(clauses)}")
    return replace(posterior, parameters=parameters)


def separate_reading(keywords: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The settings of a figure, and those of how catalogs are read that are given, by name.

    ``parameters`` that are an existing file are where those of a catalog are; else names.
    """
    figure = {name: value for name, value in keywords.items() if name in names_of_fields(FigureSettings)}
    reading = {name: value for name, value in keywords.items() if name not in figure and is_given(value)}
    place = figure.get("parameters")
    if isinstance(place, str) and place and os.path.isfile(place):  # which any text may be asked of
        return figure | {"parameters": ()}, {"parameters": place, **reading}
    return figure, reading


def open_catalogs(paths: Sequence[Path], reading: Mapping[str, Any]) -> list[Catalog]:
    """Simulations, and behind them what was observed: it has no parameters, and rows as the simulations have them."""
    if not paths:
        return []
    simulations = open_catalog(paths[0], reading)
    of_data = {name: value for name, value in reading.items() if name not in OF_PARAMETERS}
    settings = CatalogSettings.from_keywords(of_data)
    is_cut = bool(settings.read_options.scale_cut)
    rows = [ModelRow(item.row_shape, is_cut, item.channels_last) for item in simulations.observables]
    return [
        simulations,
        *(importers.read(path, settings.read_options, settings.memory, rows) for path in paths[1:]),
    ]


def member_data(
    model: Path, observation: Path, chosen: FigureSettings, reporter: Reporter, reading: Mapping[str, Any]
) -> drawing.FigureData:
    """One observation under each member of a flow, and under their mixture, drawn with the same random numbers.

    chosen: ``rows`` has one row, by default the first of those that ``sample`` would draw. reading: how the observation
    is read. Raises UserError for other models, and where a flow has a single member.
    """
    job = prepare_sampling(model, observation, {**reading, "rows": chosen.rows, "seed": chosen.seed})
    flow = job.model
    if not isinstance(flow, FlowModel):
        raise UserError(f"{model}: expected a flow, whose members are drawn, found a {flow.kind}")
    if (count := len(flow.weights)) == 1:
        raise UserError(f"{model}: has one member; expected several, which differ")
    if chosen.rows is not None and len(job.rows) > 1:
        raise UserError(f"expected one row, whose members are drawn, found {len(job.rows)}", setting="rows")
    job = job.of_rows(job.rows[:1])
    mixture = job.draw(reporter, None)
    alone = [replace(flow.select_member(member), ood=None) for member in range(count)]
    drawn = [member.posterior(job.catalog, job.rows, job.options) for member in alone]
    mixture, *drawn = _labelled([mixture, *drawn], chosen.labels)
    shown = _check_shown(_names(chosen.parameters), mixture.parameters.names)
    data = drawing.FigureData(mixture, seed=chosen.seed, width=chosen.width, parameters=shown)
    marks = _numbers(chosen.truth, mixture.parameters.names) if is_given(chosen.truth) else None
    return replace(data, members=tuple(zip(_member_names(alone), drawn, strict=True)), marks=marks)


def _member_names(alone: Sequence[FlowModel]) -> list[str]:
    """Of single members: how many are alike, their architecture, and their support where supports differ."""
    stacks = [member.stacks[0] for member in alone]
    flows, supports = [stack.config["flow"] for stack in stacks], [stack.support.label for stack in stacks]
    differ = len({*supports}) > 1
    kinds = [f"{flow}, {support}" if differ else flow for flow, support in zip(flows, supports, strict=True)]
    return [f"{kinds.count(kind)} x {kind}" for kind in kinds]


def _check_shown(shown: tuple[str, ...], names: Sequence[str]) -> tuple[str, ...]:
    """Parameters of a corner; all, if they are not named. Raises UserError for those that there are not."""
    for name in shown:
        if name not in names:
            raise UserError(f"no parameter is named {name}; {list_choices(name, names)}", setting="parameters")
    return shown or tuple(names[: drawing.MAX_CORNER_PARAMETERS])


def _overlays(
    opened: Sequence[PosteriorInput], posteriors: Sequence[Posterior], by_rows: bool, legend: tuple[str, ...]
) -> dict[str, Posterior]:
    """Posteriors of one observation each, by name: the rows that were asked for; without any, the typical row."""
    count = sum(map(len, posteriors))
    if not by_rows:
        first = posteriors[0].index[drawing.typical_row(posteriors[0])]
        of_first = f"row {first} of {opened[0].name}"
        pairs = zip(opened, posteriors, strict=True)
        posteriors = [_row(item, posterior, first, of_first) for item, posterior in pairs]
    elif count > MAX_OVERLAYS:
        raise UserError(f"a corner shows at most {MAX_OVERLAYS} posteriors, found {count}", setting="rows")
    files = _short_names([item.name for item in opened])
    overlays = [
        (", ".join([file] * (len(opened) > 1) + [f"row {posterior.index[k]}"] * (len(posterior) > 1)), posterior, k)
        for file, posterior in zip(files, posteriors, strict=True)
        for k in range(len(posterior))
    ]
    if legend and len(legend) != len(overlays):
        raise UserError(f"expected {len(overlays)} names, one a posterior, found {len(legend)}", setting="legend")
    if len({*legend}) != len(legend):
        raise UserError(f"expected different names, found {', '.join(legend)}", setting="legend")
    names = legend or tuple(name for name, _, _ in overlays)
    named = zip(names, overlays, strict=True)
    return {name: posterior.select(np.array([k])) for name, (_, posterior, k) in named}


def _names(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return split_names(names) if names else ()


def _row(opened: PosteriorInput, posterior: Posterior, number: int, of_first: str) -> Posterior:
    """The observation of this row number, or the only one that there is. of_first: which is drawn, in words."""
    if len(posterior) == 1:
        return posterior
    if number not in posterior.index:
        raise UserError(f"{opened.name}: has no row {number}, to be drawn over {of_first}; `rows` says which to show")
    return posterior.select(np.flatnonzero(posterior.index == number)[:1])


def _short_names(names: Sequence[str]) -> list[str]:
    """The stems of files without the endings that all share, flow and maf of flow.observed.posterior.h5 and
    maf.observed.posterior.h5; where they are the same, with the folder in which they differ, else numbered."""
    words = [[word for word in Path(name).stem.split(".") if word != "posterior"] for name in names]
    while len(words) > 1 and min(map(len, words)) > 1 and len({stem[-1] for stem in words}) == 1:
        words = [stem[:-1] for stem in words]
    stems = [".".join(stem) for stem in words]
    if len({*stems}) == len(stems):
        return stems
    for folders in zip_longest(*(Path(name).parts[-2::-1] for name in names), fillvalue=""):
        labels = [f"{folder}/{stem}" if folder else stem for folder, stem in zip(folders, stems, strict=True)]
        if len({*labels}) == len(labels):
            return labels
    return [f"{stem} ({k})" for k, stem in enumerate(stems, 1)]


def _labelled(
    posteriors: Sequence[Posterior], labels: Mapping[str, str] | str | tuple[str, ...]
) -> Sequence[Posterior]:
    """With these labels in the place of those of the file. Raises UserError for one that cannot be typeset."""
    names = [name for posterior in posteriors for name in posterior.parameters.names]
    by_name = _assignments(labels, names, "labels")
    for name, label in by_name.items():
        if drawing.typeset(label) is None:
            raise UserError(f"{name}: {label} cannot be typeset", setting="labels")
    return [replace(posterior, parameters=_with_labels(posterior.parameters, by_name)) for posterior in posteriors]


def _with_labels(parameters: Parameters, by_name: Mapping[str, str]) -> Parameters:
    pairs = zip(parameters.names, parameters.labels, strict=True)
    return replace(parameters, labels=tuple(by_name.get(name, label) for name, label in pairs))


def _numbers(values: Mapping[str, float] | str | tuple[str, ...], names: Sequence[str]) -> dict[str, float]:
    numbers = {}
    for name, value in _assignments(values, names, "truth").items():
        number = finite_number(value)
        if number is None:
            raise UserError(f"{name}: expected a number, found {value!r}", setting="truth")
        numbers[name] = number
    return numbers


def _assignments(values: Any, names: Sequence[str], setting: str) -> dict[str, str]:
    """By name, of ``a=1,b=2`` or of several such texts; what follows a name may hold commas and equals signs.

    Raises UserError for a name that is none of these.
    """
    if isinstance(values, Mapping):
        by_name = {name: str(value) for name, value in values.items()}
    else:
        by_name = {}
        for text in [values] if isinstance(values, str) else values:
            items: list[str] = []
            for item in split(text, ","):
                begins = unquote(item.partition("=")[0]) in names or not items
                items = [*items, item] if begins else [*items[:-1], f"{items[-1]},{item}"]
            by_name |= {unquote(name): value.strip() for name, _, value in (item.partition("=") for item in items)}
    for name in by_name:
        if name not in names:
            raise UserError(f"no parameter is named {name}; {list_choices(name, names)}", setting=setting)
    return by_name
