"""What tasks read: a catalog, its split, and some of its rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import catalog as catalogs
from cosmoinfer import importers, split, storage
from cosmoinfer.catalog import Catalog
from cosmoinfer.catalog.catalog import UNKNOWN_THETA
from cosmoinfer.errors import UserError, describe_type, join_first
from cosmoinfer.leakage import TEST, TrainingRecord
from cosmoinfer.numerals import whole_number
from cosmoinfer.settings import is_given
from cosmoinfer.split import Split
from cosmoinfer.tasks.reporter import Reporter
from cosmoinfer.tasks.settings import READ_OPTIONS, CatalogSettings, SplitSettings

CatalogSource = Path | str | Catalog | None  # None: arrays
Rows = str | Sequence[int]  # row numbers, ``3,5,20:25`` or one by one
# settings that arrays take too
OF_ARRAYS = ("names", "where", "simulation", "kind", "channels", "missing", "drop_nonfinite", "transpose", "complex")


def check_source(source: CatalogSource, *unnamed: object) -> None:
    """unnamed: arguments behind it without a name. Raises UserError unless it is a path, a catalog or None, alone."""
    if unnamed or not (source is None or isinstance(source, Path | str | Catalog)):
        found = ", ".join(map(describe_type, (source, *unnamed)))
        raise UserError(
            f"expected the path of a catalog or a Catalog, found {found}; arrays go by name, as theta=theta, x=x"
        )


def open_catalog(
    source: CatalogSource, keywords: Mapping[str, Any], arrays: Mapping[str, Any] | None = None
) -> Catalog:
    """A catalog from its file, as it is, or from arrays.

    keywords: how it is read, by the name of their option. arrays: theta, x, low, high, prior and classes, as of
    ``catalog.from_arrays``, without a source.

    Raises UserError if it cannot be read, or settings would have no effect.
    """
    check_source(source)
    given_arrays = {name: array for name, array in (arrays or {}).items() if array is not None}
    if source is not None and given_arrays:
        raise UserError(f"give a catalog, or arrays ({', '.join(given_arrays)}); not both")
    if isinstance(source, Path | str):
        return read_catalog(Path(source), CatalogSettings.from_keywords(keywords))
    settings = [name for name in READ_OPTIONS if is_given(keywords.get(name))]
    if source is not None:
        if settings:
            raise UserError(f"the catalog {source.path} has been read already; give its path", setting=settings[0])
        return source
    if without_effect := [name for name in settings if name not in OF_ARRAYS]:
        instead = "; `low`, `high` and `prior` describe theta" if without_effect[0] == "bounds" else ""
        raise UserError(f"applies to catalog files, found arrays{instead}", setting=without_effect[0])
    words = [name for name in settings if name != "simulation"]
    read_options = CatalogSettings.from_keywords({name: keywords[name] for name in words}).read_options
    described = {name: getattr(read_options, name) for name in words}
    return catalogs.from_arrays(**given_arrays, **described, simulation=keywords.get("simulation"))


def read_catalog(path: Path, settings: CatalogSettings) -> Catalog:
    """Raises UserError if it cannot be read, or lacks the class that is the target."""
    catalog = importers.read(path, settings.read_options, settings.memory)
    target = settings.read_options.target
    if target and not catalog.classes:
        raise UserError(f"{path}: has no /classes/{target}, nor any other class (`target`)")
    return catalog


def choose_split(catalog: Catalog, settings: SplitSettings) -> Split:
    """A split file, else the catalog's own /split, else by hash.

    Raises UserError if a partition has no simulation, settings would have no effect, or rows have weights.
    """
    if catalog.weights is not None:
        raise UserError(
            f"{catalog.path}: has /weights, and a training takes rows of equal weight only (thin the chain to equal "
            "weights, as GetDist does)"
        )
    fractions = settings.fractions or split.DEFAULT_FRACTIONS
    path = settings.split_file
    if path is not None:
        if settings.fractions is not None and storage.is_kind(path, "split"):
            raise UserError(f"{path}: says where each simulation belongs; `fractions` has no effect")
        return split.from_file(path, catalog.simulation, fractions, settings.split_seed).require_complete()
    if catalog.split_labels is not None:
        if settings.fractions is not None or settings.split_seed:
            raise UserError(f"{catalog.path}: has its own /split; `fractions` and `split_seed` have no effect")
        return split.by_labels(catalog.simulation, catalog.split_labels).require_complete()
    return split.by_hash(catalog.simulation, fractions, settings.split_seed).require_complete()


def select_rows(record: TrainingRecord, catalog: Catalog, partition: str | None, rows: Rows | None) -> np.ndarray:
    """Positions (n,) in the catalog. rows: row numbers of the file, which replace the partition."""
    return (
        record.select_rows(catalog, partition)
        if rows is None
        else find_rows(catalog.path, catalog.index, partition, rows)
    )


def find_rows(path: Path | str, index: np.ndarray, partition: str | None, rows: Rows) -> np.ndarray:
    """Positions (n,) of row numbers (``3,5,20:25``) among those (N,) that a file holds.

    Raises UserError if some are not there, or a partition is given too.
    """
    if partition is not None:
        raise UserError("`rows` replaces `split`; give one of them")
    text = rows if isinstance(rows, str) else ",".join(str(int(row)) for row in rows)
    count = int(index.max()) + 1
    ranges = parse_row_ranges(text, count)
    absent = [max(numbers.start, count) for numbers in ranges if numbers.stop > count]
    if not absent:
        numbers = distinct_numbers(ranges, count)
        absent = numbers[~np.isin(numbers, index)].tolist()
    if absent or not len(numbers):
        raise UserError(
            f"{path} has no row {join_first(absent) or 'of these numbers'} (it has {len(index)} rows)",
            setting="rows",
            value=text,
        )
    order = np.argsort(index)
    return order[np.searchsorted(index, numbers, sorter=order)]


def warn_of_training_rows(
    record: TrainingRecord, catalog: Catalog, rows: np.ndarray, partition: str | None, reporter: Reporter
) -> None:
    """Of rows (n,), by position, that the model was trained on, where no partition names them.

    Simulations that were picked by number may be such; observations may have the data of one.
    """
    if partition is not None:
        return
    simulations = catalog.has_theta[rows]
    used = int((record.partition_of(catalog, rows[simulations]) < TEST).sum())
    if used:
        reporter.warn(f"the model was trained on or chosen by {used} of these {len(rows)} rows")
    text = record.describe_used_data(catalog, rows[~simulations])
    if text and record.copy_criterion.data:
        reporter.warn(text)
    elif text:
        reporter.info(f"{text}, as a few counts may be by chance")


def report_placeholders(catalog: Catalog, rows: np.ndarray, reporter: Reporter) -> None:
    """Rows (n,), by position, that are observations because their parameters are NaN."""
    if UNKNOWN_THETA in catalog.notes:
        reporter.info(f"{catalog.path}: {UNKNOWN_THETA}")
    elif catalog.theta is not None and len(placeholders := rows[~catalog.has_theta[rows]]):
        reporter.info(
            f"{catalog.path}: /parameters are NaN in {len(placeholders)} of these {len(rows)} rows "
            f"({catalog.describe_rows(placeholders)}), which are taken as observations"
        )


def parse_row_ranges(text: str, count: int) -> list[range]:
    """``0:10``, ``7``, ``3,5,20:25``; a range without an end goes on to ``count``. No numbers are listed yet.

    Raises UserError if the text is not understood.
    """
    ranges = []
    for word in text.split(","):
        first, colon, last = word.partition(":")
        start = whole_number(first) if first or not colon else 0
        stop = (whole_number(last) if last else count) if colon else None if start is None else start + 1
        if start is None or stop is None:
            raise UserError(
                f"{word!r} is not understood; expected 7, 0:10 or 3,5,20:25, and row numbers count from 0", "rows"
            )
        ranges.append(range(start, stop))
    return ranges


def distinct_numbers(ranges: Sequence[range], count: int) -> np.ndarray:
    """The numbers below ``count`` of these ranges, in their order and each once."""
    is_new, numbers = np.ones(count, dtype=bool), [np.zeros(0, dtype=np.int64)]
    for entry in filter(None, ranges):
        numbers.append(entry.start + np.flatnonzero(is_new[entry.start : entry.stop]))
        is_new[entry.start : entry.stop] = False
    return np.concatenate(numbers)


def parse_counts(setting: str, counts: str | Sequence[int]) -> tuple[int, ...]:
    """``500,1000``, or a sequence. Raises UserError, naming the setting, if they are no positive whole numbers."""
    words = counts.split(",") if isinstance(counts, str) else [str(count) for count in counts]
    numbers = [whole_number(word.replace("_", "")) for word in words]
    positive = tuple(number for number in numbers if number)
    if len(positive) < len(numbers):
        raise UserError(f"expected positive whole numbers, as 500,1000,2000, found {counts!r}", setting=setting)
    return positive
