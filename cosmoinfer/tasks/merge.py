"""Join the shards of a sampling into the posterior of all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmoinfer import posterior as posteriors
from cosmoinfer import storage
from cosmoinfer.errors import UserError, describe_type, join_first
from cosmoinfer.posterior import Posterior
from cosmoinfer.sampling.shard import Shard
from cosmoinfer.tasks.provenance import is_up_to_date
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.sample import SampledPosterior
from cosmoinfer.tasks.settings import OutputSettings


@dataclass(frozen=True)
class ShardFile:
    """The posterior file of a shard. meta: of the file that a sampling without shards writes."""

    path: Path
    shard: Shard
    meta: storage.JSONObject

    @classmethod
    def from_path(cls, path: Path) -> "ShardFile":
        """Raises UserError where the file is no posterior, or not of a shard. Its values are not looked at."""
        if storage.file_kind(path) != "posterior":
            raise UserError(f"{path}: expected the posterior of a shard, found {storage.describe_file(path)}")
        meta = storage.read_meta(path)
        with storage.interpreted(path, "the posterior of a shard"):
            settings = dict(meta.get("settings", {}))
            if "shard" not in settings:
                raise UserError("is a posterior of all of its rows; expected one of sample with `shard`")
            return cls(path, Shard.parse(settings.pop("shard")), {**meta, "settings": settings})


def merge(
    shards: Sequence[Path | str], *, output: Path | str, force: bool = False, reporter: Reporter = SILENT
) -> Posterior:
    """Join the shards of a sampling into one file: the bytes of a sampling without shards.

    shards: the files of all shards, each once, in any order. Draws are copied without being held in memory.
    output: the file to write; a complete one of the same shards is read in place of it.

    Raises UserError, a ValueError, where a shard is missing, is there twice, or is of another sampling.
    """
    if not isinstance(shards, list | tuple) or not all(isinstance(path, Path | str) for path in shards):
        raise UserError(f"expected the paths of all shards, found {describe_type(shards)}", setting="shards")
    to = OutputSettings.from_arguments(output, force, reporter)
    if to.output is None:
        raise UserError("expected the path of a file, found None", setting="output")
    return write_merged([Path(path) for path in shards], to.output, to.force, to.reporter).posterior


def write_merged(paths: Sequence[Path], output: Path, force: bool, reporter: Reporter) -> SampledPosterior:
    """The same for the command line."""
    files = _complete_set([ShardFile.from_path(path) for path in paths])
    meta = files[0].meta
    complete = is_up_to_date(output, "posterior", meta, reporter, force, *paths)
    if not complete:
        joined = posteriors.read_joined([file.path for file in files])
        posteriors.write(output, joined, meta, force)
    return SampledPosterior(output, posteriors.read(output, leave_large=True), complete)


def _complete_set(files: Sequence[ShardFile]) -> list[ShardFile]:
    """In the order of the shards. Raises UserError unless they are all shards of one sampling, each once."""
    if not files:
        raise UserError("expected the posteriors of all shards, found no file")
    first, by_number = files[0], dict[int, ShardFile]()
    for file in files:
        if file.shard.count != first.shard.count:
            raise UserError(f"{file.path}: is shard {file.shard}, and {first.path} is {first.shard}, of another number")
        if different := storage.differences(first.meta, file.meta):
            raise UserError(
                f"{file.path}: is of another sampling than {first.path}, with other settings or inputs "
                f"({join_first(different, 3)})"
            )
        if (same := by_number.setdefault(file.shard.number, file)) is not file:
            if same.path == file.path:
                raise UserError(f"{file.path}: is given twice")
            raise UserError(f"{file.path}: is shard {file.shard}, as {same.path} is; expected each shard once")
    missing = [number for number in range(1, first.shard.count + 1) if number not in by_number]
    if missing:
        raise UserError(
            f"{len(missing)} of {first.shard.count} shards are missing ({join_first(missing)}) beside {first.path}"
        )
    return [by_number[number] for number in sorted(by_number)]
