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
from cosmoinfer.errors import UserError, blame, describe_type
from cosmoinfer.models.recipe import SharedSettings
from cosmoinfer.parameters import join_bounds
from cosmoinfer.quoting import split_names, write
from cosmoinfer.settings import Limits, check_keywords, check_value, convert, convert_settings, is_given, plain
from cosmoinfer.stopping import parse_duration
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.training.ranks import ALONE, Ranks, join_ranks

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
class CheckpointSettings:
    """checkpoint_every: a training with an output is kept so often, ``90s``, ``10min``, ``1h30m``."""

    checkpoint_every: str = "10min"

    @property
    def interval(self) -> float:
        """In seconds. Raises UserError for another text."""
        with blame("checkpoint_every", self.checkpoint_every):
            return parse_duration(self.checkpoint_every)


@dataclass(frozen=True)
class RankSettings:
    """ranks: whether processes that ``srun`` or ``torchrun`` has started train together."""

    ranks: bool = False

    def join(self) -> Ranks:
        """Meet the others. Raises UserError if there are none, or they do not come."""
        return join_ranks() if self.ranks else ALONE


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


@dataclass(frozen=True)
class ModelInputs:
    """Files beside the catalog from which a model is made.

    noise: a covariance (.npy). summary: a trained regressor. fine_tune: a flow from whose weights the training starts.
    like: a flow whose recipe is taken, and nothing else.
    """

    noise: Path | None = None
    summary: Path | None = None
    fine_tune: Path | None = None
    like: Path | None = None

    def digests(self) -> dict[str, str]:
        """SHA-256 of each file that is used, by setting; a recipe is one whatever file it was read from."""
        paths = {name: getattr(self, name) for name in names_of_fields(self) if name != "like"}
        return {name: storage.file_digest(path) for name, path in paths.items() if path is not None}


@dataclass(frozen=True)
class TrainingRequest:
    """All settings of a training but how its catalog is read.

    recipe: those of architecture and training by name, without those that are None.
    """

    split: SplitSettings
    run: RunSettings
    checkpoints: CheckpointSettings
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
        check_keywords(task, keywords, (*recipe, *inputs, *READ_OPTIONS, *SPLIT, *RUN, *CHECKPOINTS, *of_task))
        return cls(
            select_keywords(SplitSettings, keywords),
            select_keywords(RunSettings, keywords),
            select_keywords(CheckpointSettings, keywords),
            select_keywords(ModelInputs, {name: keywords.get(name) for name in inputs}),
            _recipe_settings({name: keywords.get(name) for name in recipe}),
        )


def names_of_fields(settings: Any) -> tuple[str, ...]:
    """Of a dataclass."""
    return tuple(entry.name for entry in fields(settings))


READ_OPTIONS = (*names_of_fields(ReadOptions), "memory")
CHECKPOINTS, RANKS = names_of_fields(CheckpointSettings), names_of_fields(RankSettings)
SPLIT, RUN, ROWS = names_of_fields(SplitSettings), names_of_fields(RunSettings), names_of_fields(RowSettings)


def select_keywords(settings: type[Settings], keywords: Mapping[str, Any]) -> Settings:
    """The keywords that are fields of this dataclass; None stands for its default.

    Raises UserError, which names the setting, if a value has another type than its field, or is outside its limits.
    """
    return settings(**convert_settings(settings, keywords))


def _recipe_settings(keywords: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings of architecture and training without those that are None; the owners of the others check these."""
    values = {name: plain(value) for name, value in keywords.items() if value is not None}
    return {**values, **convert_settings(SharedSettings, values)}
