"""Trainings, finished or on their way, that are kept until the output stands: a file each, in a folder beside it.

The same command run again goes on from there. This module knows arrays and JSON, and no network.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.errors import UserError
from cosmoinfer.stopping import STOP_REQUEST
from cosmoinfer.storage import Dataset, Schema
from cosmoinfer.training.ranks import ALONE, Ranks

KIND = "checkpoint"  # of files
DIGITS = 16  # of the name of a file
INTERVAL = 600.0

Arrays = Mapping[str, np.ndarray]


SCHEMA = Schema(
    "checkpoint",
    "`cosmoinfer train-flow`, `train-regressor`, `train-density` while they run: in the "
    "folder `OUTPUT.checkpoint` a file for each training, finished or not, with the "
    "`/meta` of the output",
    {
        "training": Dataset(
            "()", "JSON: what determines the training, among those of the output", type="text", required=True
        ),
        "weights/.*": Dataset("(M, ...)", "weights of the members, by the name of the tensor", type="any"),
        "best_weights/.*": Dataset("(M, ...)", "those of each member after its best epoch", type="any"),
        "optimizer/.*": Dataset("(M, W) or ()", "moments of the gradient, steps"),
        "progress/(epoch|step)": Dataset("()", "the next ones", type="whole"),
        "progress/(best_epoch|last_reduction)": Dataset("(M,)", "of each member", type="whole"),
        "progress/active": Dataset("(M,)", "whether it still trains", type="truth"),
        "progress/(best_loss|lr_scale|running_loss)": Dataset("(M,)", "of each member"),
        "history/(train|validation)": Dataset("(E, M)", "losses of each epoch"),
        "history/learning_rate": Dataset("(E,)", "learning rate"),
    },
)


@dataclass(frozen=True)
class CheckpointFolder:
    """Of one output.

    meta: the /meta of the output, which every file carries. info: takes a line on what is read, removed or replaced.
    interval: seconds of a training after which it is kept. ranks: that train together, of which the first one writes.
    """

    path: Path
    meta: storage.JSONObject
    info: Callable[[str], None]
    interval: float = INTERVAL
    ranks: Ranks = ALONE

    @classmethod
    def of_output(
        cls,
        output: Path,
        meta: storage.JSONObject,
        info: Callable[[str], None],
        interval: float = INTERVAL,
        ranks: Ranks = ALONE,
    ) -> "CheckpointFolder":
        """``OUTPUT.checkpoint/``, which is made when a training is kept."""
        return cls(Path(f"{output}{storage.CHECKPOINT_SUFFIX}"), meta, info, interval, ranks)

    def training(self, key: storage.JSONObject) -> "Checkpoint":
        """That of one training. key: what determines its result, among all trainings of the output."""
        text, meta = json.dumps(key, sort_keys=True), json.dumps(self.meta, sort_keys=True)
        digest = hashlib.sha256(f"{meta}{text}".encode()).hexdigest()  # another command's have other names
        return Checkpoint(self, self.path / f"{digest[:DIGITS]}.h5", text)

    def check(self, force: bool) -> None:
        """Before a training: files of other settings or inputs are removed if ``force`` is set; damaged ones, and those
        of another version, always.

        Raises UserError, which names what differs, if it is not set; where the folder is a file; for a foreign file.
        """
        if storage.require_name(self.path).is_file():
            raise UserError(f"{self.path}: the folder cannot be made (a file has its name)")
        for path in self._files():
            standing, reason = storage.examine(path, KIND, self.meta)
            if standing is storage.Standing.COMPLETE:
                continue
            if standing is storage.Standing.OTHER and not force:
                raise UserError(f"{reason}; with those again the training goes on, `force` begins anew")
            if standing is storage.Standing.FOREIGN:
                raise UserError(f"{path}: is no checkpoint of cosmoinfer; move it away")
            self.discard(path, reason)

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
            storage.remove_leftovers(self.path / f"{'?' * DIGITS}.h5")
            self.path.rmdir()

    def _files(self) -> list[Path]:
        return sorted(self.path.glob("[0-9a-f]" * DIGITS + ".h5"))


class Keeper:
    """Where a training is kept. This one keeps nothing, and lets a request to stop be carried out at once."""

    def read(self) -> Arrays | None:
        """The arrays that were kept, by name; None where there are none, or where the file is damaged."""
        return None

    def accept(self, progress: str) -> None:
        """Report that the training goes on from what was read. progress: how far it is, in words."""

    def discard(self) -> None:
        """Remove what was read: it is of another training."""

    def postponing(self) -> AbstractContextManager[None]:
        """Where ``keep`` looks for a request to stop."""
        return nullcontext()

    def keep(self, arrays: Callable[[], Arrays], only_at_stop: bool = False) -> None:
        """Keep a training if a stop is requested, or the interval is over. Raises Stopped at a request."""

    def write(self, arrays: Arrays) -> None:
        """Keep a training, whole or not at all; report it where that fails, which is no reason to end it."""


NOTHING_KEPT = Keeper()


class Checkpoint(Keeper):
    """The file of one training. key: JSON of what determines its result, among all trainings of the output."""

    def __init__(self, folder: CheckpointFolder, path: Path, key: str) -> None:
        self.folder, self.path, self.key = folder, path, key
        self._last_written = time.monotonic()

    def read(self) -> Arrays | None:
        if not self.path.exists():
            return None
        try:
            contents = storage.read(self.path, SCHEMA)
        except UserError as error:
            self.folder.discard(self.path, error.message)
            return None
        key, arrays = str(contents.arrays.get("training", "")), contents.arrays
        if key != self.key or storage.differences(contents.meta, json.loads(json.dumps(self.folder.meta))):
            self.discard()
            return None
        return {name: array for name, array in arrays.items() if name != "training"}

    def accept(self, progress: str) -> None:
        self.folder.info(f"{self.path}: {progress}")

    def discard(self) -> None:
        self.folder.discard(self.path, f"{self.path}: does not fit this training")

    def postponing(self) -> AbstractContextManager[None]:
        return STOP_REQUEST.postponed()

    def keep(self, arrays: Callable[[], Arrays], only_at_stop: bool = False) -> None:
        stopping = self.folder.ranks.any(bool(STOP_REQUEST))  # once: a later request waits for the next look
        is_over = time.monotonic() - self._last_written >= self.folder.interval
        if stopping or (is_over and not only_at_stop):
            self.write(arrays())
        if stopping:
            raise STOP_REQUEST.stopped(str(self.path) if self.path.exists() else "")

    def write(self, arrays: Arrays) -> None:
        contents = storage.FileContents(KIND, self.folder.meta, {"training": np.array(self.key), **arrays})
        self._last_written = time.monotonic()
        if not self.folder.ranks.is_first:
            return
        try:
            self._write(contents)
        except UserError as error:
            self.folder.info(f"not kept: {error.message}")

    def _write(self, contents: storage.FileContents) -> None:
        storage.make_folder(self.path.parent)
        try:
            storage.write(self.path, contents, force=True)
        except UserError:
            if self.path.parent.is_dir():
                raise
            storage.make_folder(self.path.parent)  # a twin that ended has removed it
            storage.write(self.path, contents, force=True)
