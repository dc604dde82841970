"""Trainings that are finished before their output is: a file each in a folder beside it, until the output stands.

The same command run again reads them in place of training. It knows arrays and JSON, and no network.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import storage
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.storage import Dataset, Schema

SUFFIX = ".checkpoint"  # of the folder, after the name of the output
KIND = "checkpoint"  # of the files in it
DIGITS = 16  # of the name of a file
MAX_SHOWN = 20  # characters of a setting; of longer ones, which are digests, only the name is shown

Arrays = Mapping[str, np.ndarray]


SCHEMA = Schema(
    "checkpoint",
    "`cosmoinfer train-flow`, `train-regressor`, `train-density` while they run: in the "
    "folder `OUTPUT.checkpoint` a file for each training that is finished, with the "
    "`/meta` of the output",
    {
        "training": Dataset(
            "()", "JSON: what determines the training, among those of the output", type="text", required=True
        ),
        "weights/.*": Dataset("(M, ...)", "weights of the members, by the name of the tensor", type="any"),
        "history/(train|validation)": Dataset("(E, M)", "losses of each epoch"),
        "history/learning_rate": Dataset("(E,)", "learning rate"),
        "history/best": Dataset("(M,)", "epoch of the weights that are kept"),
    },
)


@dataclass(frozen=True)
class CheckpointFolder:
    """Of one output.

    meta: the /meta of the output, which every file carries. info: takes a line on what is read, removed or replaced.
    """

    path: Path
    meta: storage.JSONObject
    info: Callable[[str], None]

    @classmethod
    def of_output(cls, output: Path, meta: storage.JSONObject, info: Callable[[str], None]) -> "CheckpointFolder":
        """``OUTPUT.checkpoint/``, which is made when a training is kept."""
        return cls(Path(f"{output}{SUFFIX}"), meta, info)

    def training(self, key: storage.JSONObject) -> "Checkpoint":
        """That of one training. key: what determines its result, among all trainings of the output."""
        text = json.dumps(key, sort_keys=True)
        return Checkpoint(self, self.path / f"{hashlib.sha256(text.encode()).hexdigest()[:DIGITS]}.h5", text)

    def check(self, force: bool) -> None:
        """Before a training: files of other settings or inputs are removed if ``force`` is set, damaged ones always.

        Raises UserError, which names what differs, if it is not set, and where the folder is a file.
        """
        if storage.require_name(self.path).is_file():
            raise UserError(f"{self.path}: the folder cannot be made (a file has its name)")
        for path in self._files():
            standing, reason = storage.examine(path, KIND, self.meta)
            if standing is storage.Standing.COMPLETE:
                continue
            if standing is storage.Standing.OTHER and not reason:
                differences = dict.fromkeys(_differences(storage.read(path, SCHEMA, omit="weights").meta, self.meta))
                reason = f"{path}: was trained with other settings or inputs ({join_first(differences, 3)})"
                if not force:
                    raise UserError(f"{reason}; with those again the training goes on, `force` begins anew")
            self.discard(path, reason or f"{path}: is no checkpoint")

    def discard(self, path: Path, reason: str) -> None:
        """Remove a file that cannot be used, and report it."""
        self.info(f"{reason}; its training is repeated")
        with suppress(OSError):  # then it cannot be replaced either, which is an error that is reported
            path.unlink()

    def remove(self) -> None:
        """Once the output stands: all files of its settings and inputs, and the folder unless other files are in it."""
        with suppress(OSError):  # the output is complete with or without them
            for path in self._files():
                if storage.examine(path, KIND, self.meta)[0] is storage.Standing.COMPLETE:
                    path.unlink()
            for scratch in self.path.glob(f".{'?' * DIGITS}.h5.*.part"):  # of a process that was killed
                scratch.unlink()
            self.path.rmdir()

    def _files(self) -> list[Path]:
        return sorted(self.path.glob("[0-9a-f]" * DIGITS + ".h5"))


@dataclass(frozen=True)
class Checkpoint:
    """The file of one training. key: JSON of what determines its result, among all trainings of the output."""

    folder: CheckpointFolder
    path: Path
    key: str

    def read(self) -> Arrays | None:
        """The arrays that were kept, by name; None where there are none, or where the file is damaged."""
        if not self.path.exists():
            return None
        try:
            arrays = storage.read(self.path, SCHEMA).arrays
        except UserError as error:
            self.folder.discard(self.path, error.message)
            return None
        if str(arrays.pop("training", "")) != self.key:
            self.discard()
            return None
        return arrays

    def accept(self) -> None:
        """Report that what was read stands in place of the training."""
        self.folder.info(f"{self.path}: trained before, read in place of training")

    def discard(self) -> None:
        """Remove what was read: it is of another training."""
        self.folder.discard(self.path, f"{self.path}: does not fit this training")

    def write(self, arrays: Arrays) -> None:
        """Keep a training, whole or not at all. Raises UserError if the folder cannot be made, or the file written."""
        try:
            self.path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.path.parent}: the folder cannot be made ({error.strerror})") from error
        contents = {"training": np.array(self.key), **arrays}
        storage.write(self.path, storage.FileContents(KIND, self.folder.meta, contents), force=True)


def _differences(earlier: Any, now: Any, name: str = "") -> list[str]:
    """``seed 0, now 1`` of every setting that is not the same in two JSON documents."""
    if isinstance(earlier, dict) and isinstance(now, dict):
        names = sorted(earlier.keys() | now.keys())
        return [line for key in names for line in _differences(earlier.get(key), now.get(key), key)]
    if isinstance(earlier, list) and isinstance(now, list) and len(earlier) == len(now):
        pairs = zip(earlier, now, strict=True)
        return [line for before, after in pairs for line in _differences(before, after, name)]
    if earlier == now:
        return []
    is_short = max(len(str(earlier)), len(str(now))) <= MAX_SHOWN
    return [f"{name} {earlier}, now {now}" if is_short else f"another {name}"]
