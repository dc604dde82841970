"""What stands at the path of an output: of which kind, whether it is complete, and whether it may be replaced."""

import json
import os
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from cosmoinfer.errors import DamagedOutput, DamageError, SameOutput, UserError, join_first
from cosmoinfer.storage.formats import CREATOR, FORMATS, SIGNATURE
from cosmoinfer.storage.links import stored_dataset
from cosmoinfer.storage.opening import describe_foreign, open_file, require_name
from cosmoinfer.storage.plain_files import JSONObject, parse_object
from cosmoinfer.storage.reading import Head, read_text, verify

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # the first bytes of a file
MAX_WRONG_BYTES = 1  # of these in a damaged file
MAX_ATTRIBUTE_BYTES = 64  # between the name of an attribute and its text
MAX_SHOWN = 20  # characters of a setting; of longer ones, which are digests, only the name is shown
SCANNED_BYTES = 1 << 20  # at a time


class Standing(Enum):
    """Of a path, for an output of one kind and /meta."""

    FREE = "nothing is there"
    COMPLETE = "the very same output"
    OTHER = "one of the same kind with other settings or inputs"
    OUTDATED = "one of the same kind of another version"
    DAMAGED = "one of the same kind that is damaged, or was changed"
    FOREIGN = "a file of another kind or tool"


def file_kind(path: Path) -> str | None:
    """The kind of a file that this tool wrote; None for any other HDF5 file, text, and arrays of numpy and torch."""
    try:
        with open_file(path) as file:
            return Head.of_file(file).kind or None
    except DamageError:
        if describe_foreign(path):
            return None
        raise


def has_dataset(path: Path, name: str) -> bool:
    """Whether a path is an HDF5 file with a dataset of that name."""
    if not path.is_file():
        return False
    try:
        with open_file(path) as file:
            return stored_dataset(file, name) is not None
    except UserError:
        return False


def describe_file(path: Path) -> str:
    """What a file is, for an error: ``a flow (model file)``, ``a posterior file``, ``a catalog``, ``a text file``."""
    try:
        with open_file(path) as file:
            return Head.of_file(file).describe(file)
    except DamageError:
        if content := describe_foreign(path):
            return content
        raise


def read_meta(path: Path) -> JSONObject:
    """What made a file, as its /meta says, which is not compared with its digest; empty for a file of another tool."""
    with open_file(path) as file:
        meta = read_text(file, "meta") if Head.of_file(file).kind else ""
        return parse_object(meta) if meta else {}


def differences(earlier: Any, now: Any, name: str = "") -> list[str]:
    """``seed 0, now 1`` of every setting that is not the same in two JSON documents."""
    if isinstance(earlier, dict) and isinstance(now, dict):
        names = sorted(earlier.keys() | now.keys())
        return [line for key in names for line in differences(earlier.get(key), now.get(key), key)]
    if isinstance(earlier, list) and isinstance(now, list) and len(earlier) == len(now):
        pairs = zip(earlier, now, strict=True)
        return list(dict.fromkeys(line for before, after in pairs for line in differences(before, after, name)))
    if earlier == now:
        return []
    is_short = max(len(str(earlier)), len(str(now))) <= MAX_SHOWN
    return [f"{name} {earlier}, now {now}" if is_short else f"different {name}"]


def is_kind(path: Path, kind: str) -> bool:
    """Whether a path is a file of this kind that this tool wrote, damaged or not."""
    return path.is_file() and _kind(path) == kind


def examine(path: Path, kind: str, meta: Mapping[str, Any]) -> tuple[Standing, str]:
    """What stands at a path where an output of this kind and /meta goes; and what is wrong with it, in words.

    An output is complete only if all that it holds is as it was written: it is read for that.
    """
    if not path.exists():
        return Standing.FREE, ""
    if not is_kind(path, kind):
        return Standing.FOREIGN, ""
    try:
        with open_file(path) as file:
            if (text := read_text(file, "meta")) != encode_meta(meta):
                Head.of_file(file).digests(file, (kind,))  # of a damaged file nobody knows its settings
                different = join_first(differences(parse_object(text), json.loads(encode_meta(meta))), 3)
                return Standing.OTHER, f"{path}: exists already, made with other settings or inputs ({different})"
        verify(path)
    except DamageError as error:
        return Standing.DAMAGED, error.message
    except UserError as error:
        return Standing.OUTDATED, error.message
    return Standing.COMPLETE, ""


def is_complete(path: Path, kind: str, meta: Mapping[str, Any], force: bool = False) -> bool:
    """Whether an output of this kind and /meta is there already.

    Checked before any work is done. ``force`` lets a file of the same kind be replaced that is damaged or was made
    with other settings, and no other file.

    Raises UserError when another file is there, or when its folder does not take one; DamagedOutput when it is there
    and damaged.
    """
    _check_kind(path, kind, force)
    standing, reason = examine(path, kind, meta)
    if standing is Standing.COMPLETE:
        return True
    if standing is Standing.DAMAGED and not force:
        raise DamagedOutput(reason)
    if standing in (Standing.OTHER, Standing.OUTDATED) and not force:
        raise UserError(f"{reason}; `force` replaces it")
    _check_folder(path)
    return False


def refuse_existing(path: Path, kind: str, meta: Mapping[str, Any], force: bool = False) -> None:
    """Raises UserError as ``is_complete`` does, and unless forced SameOutput where the very same output is there."""
    if force:
        _check_kind(path, kind, force)
        _check_folder(path)
    elif is_complete(path, kind, meta):
        raise SameOutput(f"{path}: exists already, from the same settings and inputs; `force` replaces it")


def _check_kind(path: Path, kind: str, force: bool) -> None:
    """Raises UserError where no file of this kind may be written, whatever its settings are."""
    _check_name(path)
    if path.exists() and (existing := _kind(path)) != kind:
        description = f"a {existing} file" if existing else "a file of another tool"
        exists = "" if force else "exists already; "
        raise UserError(f"{path}: {exists}`force` replaces a {kind} file only, found {description}")


def check_replaceable(path: Path) -> None:
    """Raises UserError where no file of another tool's format may be written: in a place of one of this tool, say."""
    _check_name(path)
    if path.exists() and (existing := _kind(path)):
        raise UserError(f"{path}: is a {existing} file of this tool, which no export replaces; name another output")
    _check_folder(path)


def _check_name(path: Path) -> None:
    """Raises UserError where a path cannot be that of a file."""
    if require_name(path).is_dir():
        raise UserError(f"{path}: is a folder; name a file")
    if path.is_symlink() and not path.exists():
        raise UserError(f"{path}: is a link to {os.readlink(path)}, which is not there")


def _check_folder(path: Path) -> None:
    """Raises UserError where the folder of an output is not there, or cannot be written."""
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: the folder {path.parent} cannot be written")


def encode_meta(meta: Mapping[str, Any]) -> str:
    """The text of /meta. Raises ValueError for NaN and infinities."""
    return json.dumps(meta, sort_keys=True, allow_nan=False)


def _kind(path: Path) -> str | None:
    """Of a file that this tool wrote and signed, also where HDF5 no longer opens it; no other is replaced."""
    if not begins_as_hdf5(path):  # HDF5 finds a file within another one, as in an archive
        return None
    try:
        with open_file(path) as file:
            head = Head.of_file(file)
            return head.kind if head.signed else None
    except DamageError:
        return _kind_by_signature(path)
    except UserError:
        return None


def begins_as_hdf5(path: Path) -> bool:
    """Whether the first bytes are those of an HDF5 file, but for damage."""
    try:
        with path.open("rb") as file:
            first = file.read(len(HDF5_SIGNATURE))
    except OSError:
        return False
    matches = sum(byte == expected for byte, expected in zip(first, HDF5_SIGNATURE, strict=False))
    return matches >= len(HDF5_SIGNATURE) - MAX_WRONG_BYTES


def _kind_by_signature(path: Path) -> str | None:
    """Of a damaged file: the value of its attribute CREATOR, wherever that lies."""
    kinds = "|".join(SIGNATURE.format(kind=f"(?:{kind})") for kind in FORMATS)
    pattern = re.compile(rf"{CREATOR}\0.{{0,{MAX_ATTRIBUTE_BYTES}}}?({kinds})".encode(), re.DOTALL)
    with path.open("rb") as file:
        overlap = b""
        while block := file.read(SCANNED_BYTES):
            if found := pattern.search(overlap + block):
                return found[1].decode().split()[1]
            overlap = block[-2 * MAX_ATTRIBUTE_BYTES :]
    return None
