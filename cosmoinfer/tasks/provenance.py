"""What made a file (its ``/meta``), whether an output is up to date, and the names of outputs."""

import glob
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cosmoinfer import __version__, storage
from cosmoinfer.catalog import Catalog, multi_file
from cosmoinfer.errors import UserError
from cosmoinfer.settings import is_omitted
from cosmoinfer.tasks.reporter import Reporter

NODE_SETTINGS = ("device", "threads", "memory")  # by default what the machine has; they change bytes
MAX_STEM = 80  # bytes: two and a suffix are a name that every file system takes


def task_provenance(task: str, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> storage.JSONObject:
    """The /meta of a file: version, the settings that affect its numbers, fingerprints of what it was made from."""
    return {"version": __version__, "command": task, "settings": _as_json(settings), "inputs": dict(inputs)}


def catalog_inputs(catalog: Catalog) -> dict[str, str]:
    """Fingerprints of a catalog: of its content, and of what was declared of it and selected from it."""
    return {"catalog": catalog.fingerprint, "view": catalog.selection_hash}


def is_up_to_date(
    path: Path | None, kind: str, provenance: Mapping[str, Any], reporter: Reporter, force: bool, *inputs: Path | None
) -> bool:
    """Whether the very same output is there already; reports it. Without a path nothing is.

    inputs: files of the same kind that are read, and must not be the output. Raises UserError if another file is there
    and ``force`` is not set, or if the output cannot be written; DamagedOutput if it is there and damaged.
    """
    if path is None:
        return False
    if storage.require_name(path).exists() and any(path.samefile(read) for read in inputs if read is not None):
        raise UserError(f"{path}: is read by this command; name another output")
    is_complete = storage.is_complete(path, kind, provenance, force)
    if is_complete:
        reporter.info(f"{path}: complete already, from the same settings and inputs")
    return is_complete


def with_node_settings(keywords: Mapping[str, Any], force: bool, *outputs: Path | None) -> storage.JSONObject:
    """The keywords of a task, with NODE_SETTINGS that they leave open as its output has them, or a training of it.

    So a command that goes on, or is repeated, on another machine asks for the very same. force: what stands at the
    outputs is to be replaced, and is not asked; a training on its way goes on all the same.
    """
    recorded = (settings for output in outputs if output is not None for settings in _recorded(output, force))
    standing, open_values = next(recorded, {}), (None, "", "auto")
    return {**keywords, **{name: value for name, value in standing.items() if keywords.get(name) in open_values}}


def _recorded(output: Path, force: bool) -> Iterator[storage.JSONObject]:
    """NODE_SETTINGS of each file that stands for an output."""
    kept = Path(f"{output}{storage.CHECKPOINT_SUFFIX}")
    trainings = [kept / name for name in sorted(glob.glob("*.h5", root_dir=kept))]
    for path in (*([] if force else [output]), *trainings):
        with suppress(UserError, OSError):  # of a file that cannot be read nothing is known
            settings = storage.read_meta(path).get("settings") if path.is_file() else None
            if isinstance(settings, dict) and "threads" in settings:
                yield {name: settings[name] for name in NODE_SETTINGS if name in settings}


def default_output(catalog: Path, suffix: str) -> Path:
    """An output in the current folder, named after a catalog."""
    return Path(f"{multi_file.catalog_name(catalog)}.{suffix}.h5")


def stem_of_rows(model: Path, catalog: Path) -> str:
    """Of an output of a model and rows of a catalog: ``maps.flow`` for maps.flow.h5 and maps.h5; ``maps.flow.observed``
    for any other catalog or observation."""
    name = multi_file.catalog_name(catalog)
    return model.stem if model.stem == name or model.stem.startswith(f"{name}.") else f"{model.stem}.{name}"


def output_beside(file: Path, ending: str) -> Path:
    """An output beside the file that it is made of, ``nsf.metrics.h5`` of ``nsf.h5``. Raises UserError without it."""
    return storage.require_file(file).with_name(f"{file.stem}{ending}")


def file_stem(name: str) -> str:
    """Of a file that is called after a name from a file: one for each name, without spaces and separators, not long."""
    quoted = quote(name, safe="+")
    if len(quoted) <= MAX_STEM:
        return quoted
    return f"{quoted[: MAX_STEM // 2]}%{hashlib.sha256(name.encode()).hexdigest()}"  # which no quoted name contains


def work_folder(output: Path) -> Path:
    """Beside an output and of its name: for the files that a long task makes on its way, so that it can go on.

    Raises UserError if the output's name has no suffix, or the folder cannot be made.
    """
    if not output.suffix:
        raise UserError(f"{output}: expected the name of a file, as {output}.h5: the folder {output} keeps the models")
    folder = output.with_suffix("")
    storage.make_folder(folder)
    return folder


def standing_models(output: Path) -> list[Path]:
    """In the work folder of an output: the flows that are there, and those of which trainings are on their way."""
    folder = output.with_suffix("") if output.suffix else output
    names = glob.glob("*.flow.h5*", root_dir=folder)
    return sorted({folder / name.removesuffix(storage.CHECKPOINT_SUFFIX) for name in names})


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        present = [entry.name for entry in fields(value) if not is_omitted(entry, getattr(value, entry.name))]
        return {name: _as_json(getattr(value, name)) for name in present}
    return str(value) if isinstance(value, Path) else value
