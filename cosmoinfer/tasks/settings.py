"""Typed settings that several tasks share, and how they come from keyword arguments with the names of the options."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import torch

from cosmoinfer import memory, storage
from cosmoinfer.catalog import ReadOptions
from cosmoinfer.catalog.kinds import join_words
from cosmoinfer.device import prepare_device
from cosmoinfer.parameters import join_bounds
from cosmoinfer.quoting import split, unquote, write
from cosmoinfer.settings import check_keywords

Settings = TypeVar("Settings")
LISTS = {"names", "infer", "data", "scale_cut", "where"}  # of the settings that say how to read a catalog


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
        values = {name: keywords[name] for name in names_of_fields(ReadOptions) if keywords.get(name)}
        for name in ("names", "infer"):
            if isinstance(text := values.get(name), str):
                values[name] = tuple(unquote(word) for word in split(text, ","))
        values["bounds"] = join_bounds(values.get("bounds"))
        if isinstance(cuts := values.get("scale_cut"), Mapping):
            values["scale_cut"] = [f"{write(name)}@{cut}" for name, cut in cuts.items()]
        for name in ("data", "scale_cut", "where"):
            if isinstance(text := values.get(name), str):
                values[name] = (text,)
        for name in ("kind", "channels"):
            values[name] = join_words(values.get(name))
        for name in LISTS & values.keys():
            values[name] = tuple(values[name])
        size = keywords.get("memory")
        return cls(ReadOptions(**values), memory.parse_size(size) if isinstance(size, str) else size)


@dataclass(frozen=True)
class SplitSettings:
    """Which simulations train, validate and test.

    fractions: shares of the partitions, by default 0.7, 0.15, 0.15. split_seed: of the hash that assigns simulations.
    split_file: a split file, or a list of test simulations.
    """

    fractions: tuple[float, float, float] | None = None
    split_seed: int = 0
    split_file: Path | None = None

    def __post_init__(self) -> None:
        if isinstance(self.split_file, str):
            object.__setattr__(self, "split_file", Path(self.split_file))


@dataclass(frozen=True)
class RunSettings:
    """seed: of everything random but the split. device: auto, cpu, cuda or mps. threads: of the CPU, by default as many
    as the process may use."""

    seed: int = 0
    device: str = "auto"
    threads: int | None = None

    def prepare_device(self) -> torch.device:
        """Set the threads of this process and pick the device. Raises UserError if this machine has no such device."""
        return prepare_device(self.device, self.threads)


@dataclass(frozen=True)
class ModelInputs:
    """Files beside the catalog from which a model is made.

    noise: a covariance (.npy). summary: a trained regressor. fine_tune: a flow from whose weights the training starts.
    """

    noise: Path | None = None
    summary: Path | None = None
    fine_tune: Path | None = None

    def __post_init__(self) -> None:
        for name in names_of_fields(self):
            if isinstance(path := getattr(self, name), str):
                object.__setattr__(self, name, Path(path))

    def digests(self) -> dict[str, str]:
        """SHA-256 of each file that is used, by setting."""
        paths = {name: getattr(self, name) for name in names_of_fields(self)}
        return {name: storage.file_digest(path) for name, path in paths.items() if path is not None}


@dataclass(frozen=True)
class TrainingRequest:
    """All settings of a training but how its catalog is read.

    recipe: those of architecture and training by name, without those that are None.
    """

    split: SplitSettings
    run: RunSettings
    inputs: ModelInputs
    recipe: Mapping[str, Any]

    @classmethod
    def from_keywords(
        cls,
        task: str,
        keywords: Mapping[str, Any],
        recipe: Collection[str],
        inputs: Collection[str],
        of_task: Collection[str] = (),
    ) -> "TrainingRequest":
        """recipe, inputs: names of the settings of architecture and training, and of the files beside the catalog.

        of_task: names of the task's settings that no training has. Raises UserError if a keyword is none of them all.
        """
        check_keywords(task, keywords, (*recipe, *inputs, *READ_OPTIONS, *SPLIT, *RUN, *of_task))
        return cls(
            select_keywords(SplitSettings, keywords),
            select_keywords(RunSettings, keywords),
            ModelInputs(**{name: keywords.get(name) for name in inputs}),
            {name: keywords[name] for name in recipe if keywords.get(name) is not None},
        )


def names_of_fields(settings: Any) -> tuple[str, ...]:
    """Of a dataclass."""
    return tuple(entry.name for entry in fields(settings))


READ_OPTIONS = (*names_of_fields(ReadOptions), "memory")
SPLIT, RUN = names_of_fields(SplitSettings), names_of_fields(RunSettings)


def select_keywords(settings: type[Settings], keywords: Mapping[str, Any]) -> Settings:
    """The keywords that are fields of this dataclass; None stands for its default."""
    names = names_of_fields(settings)
    return settings(**{name: keywords[name] for name in names if keywords.get(name) is not None})
