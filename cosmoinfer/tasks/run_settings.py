"""Typed settings of what needs torch: where a task runs, and all that a training is asked for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cosmoinfer import storage
from cosmoinfer.device import prepare_device
from cosmoinfer.errors import blame
from cosmoinfer.models.recipe import SharedSettings
from cosmoinfer.settings import check_keywords, convert_settings, plain
from cosmoinfer.stopping import parse_duration
from cosmoinfer.tasks.settings import READ_OPTIONS, SPLIT, SplitSettings, names_of_fields, select_keywords
from cosmoinfer.training.ranks import ALONE, Ranks, join_ranks


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


RUN = names_of_fields(RunSettings)
CHECKPOINTS, RANKS = names_of_fields(CheckpointSettings), names_of_fields(RankSettings)


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


def _recipe_settings(keywords: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings of architecture and training without those that are None; the owners of the others check these."""
    values = {name: plain(value) for name, value in keywords.items() if value is not None}
    return {**values, **convert_settings(SharedSettings, values)}
