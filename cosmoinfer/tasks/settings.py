"""Typed settings that several tasks share, and how they come from keyword arguments with the names of the options."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from cosmoinfer import memory
from cosmoinfer.catalog import ReadOptions
from cosmoinfer.catalog.kinds import join_words
from cosmoinfer.errors import UserError, describe_type
from cosmoinfer.parameters import join_bounds
from cosmoinfer.quoting import split_names, write
from cosmoinfer.settings import Limits, check_value, convert, convert_settings, is_given
from cosmoinfer.tasks.reporter import SILENT, Reporter

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class CatalogSettings:
    """How a catalog is read.

    read_options: where things stand in its file, and which of them are used.
    memory: bytes that data may take in memory, by default a share of what there is.
    """

    read_options: ReadOptions = field(default_factory=ReadOptions)
    memory: int | None = None

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> "CatalogSettings":
        """Lists may be given as such or as ``a,b``, and what is by name (bounds, words and cuts of datasets) as a
        mapping or as text, in which a name may stand in braces (``quoting``).

        Empty and missing values are the defaults.

        Raises UserError if a value is not allowed.
        """
        values = {name: keywords[name] for name in names_of_fields(ReadOptions) if is_given(keywords.get(name))}
        for name in ("names", "infer"):
            if name in values:
                values[name] = split_names(convert(values[name], str | tuple[str, ...]))
        values["bounds"] = join_bounds(values.get("bounds"))
        if isinstance(cuts := values.get("scale_cut"), Mapping):
            values["scale_cut"] = [f"{write(name)}@{cut}" for name, cut in cuts.items()]
        for name in ("kind", "channels"):
            values[name] = join_words(values.get(name))
        size = keywords.get("memory")
        size = memory.parse_size(size) if isinstance(size, str) else size
        check_value("memory", size, int | None, Limits(minimum=1, maximum=memory.MAX_MEMORY_BYTES))
        return cls(select_keywords(ReadOptions, values), size)


@dataclass(frozen=True)
class SplitSettings:
    """Which simulations train, validate and test.

    fractions: shares of the partitions, by default 0.7, 0.15, 0.15. split_seed: of the hash that assigns simulations.
    split_file: a split file, or a list of test simulations.
    """

    fractions: tuple[float, float, float] | None = None
    split_seed: int = 0
    split_file: Path | None = None


@dataclass(frozen=True)
class RowSettings:
    """Which rows of a catalog or posterior. split: a partition, or all. rows: their numbers, or ``3,5,20:25``."""

    split: str | None = None
    rows: str | tuple[int, ...] | None = None


@dataclass(frozen=True)
class OutputSettings:
    """output: the file to write, if any. force: whether it may replace another. reporter: of what a task does."""

    output: Path | None = None
    force: bool = False
    reporter: Reporter = SILENT

    @classmethod
    def from_arguments(cls, output: Path | str | None, force: bool, reporter: Reporter) -> "OutputSettings":
        """Raises UserError, which names the argument, if one is of another type."""
        if not isinstance(reporter, Reporter):
            raise UserError(
                f"expected a Reporter, as Reporter(info=print), found {describe_type(reporter)}", setting="reporter"
            )
        return select_keywords(cls, {"output": output, "force": force, "reporter": reporter})


def names_of_fields(settings: Any) -> tuple[str, ...]:
    """Of a dataclass."""
    return tuple(entry.name for entry in fields(settings))


READ_OPTIONS = (*names_of_fields(ReadOptions), "memory")
SPLIT, ROWS = names_of_fields(SplitSettings), names_of_fields(RowSettings)


def select_keywords(settings: type[Settings], keywords: Mapping[str, Any]) -> Settings:
    """The keywords that are fields of this dataclass; None stands for its default.

    Raises UserError, which names the setting, if a value has another type than its field, or is outside its limits.
    """
    return settings(**convert_settings(settings, keywords))
