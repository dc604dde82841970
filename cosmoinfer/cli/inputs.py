"""What commands read, and whether their output stands there already."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cosmoinfer import __version__, audit, catalog, memory, models, split, storage
from cosmoinfer.catalog import Catalog, Reading, multi_file
from cosmoinfer.cli.options import ReadingOptions, SplitOptions
from cosmoinfer.cli.terminal import Terminal
from cosmoinfer.device import device_settings
from cosmoinfer.errors import UserError, listed
from cosmoinfer.models.density import DensityModel
from cosmoinfer.models.fit_preprocessing import choices, compressed, fit_frame
from cosmoinfer.models.preprocessing import Frame, as_read_by
from cosmoinfer.preprocessing.noise import Noise, read_noise
from cosmoinfer.split import Split
from cosmoinfer.training.context import Bench


def read_catalog(path: Path, options: ReadingOptions) -> tuple[Catalog, Reading]:
    """The catalog, and how it was read."""
    reading = Reading(**options.given())
    sims = catalog.read(path, reading, memory_of(options))
    if reading.target and not sims.classes:
        raise UserError(f"{path}: has no /classes/{reading.target}, nor any other class (--target)")
    return sims, reading


def read_for(frame: Frame, path: Path, options: ReadingOptions) -> Catalog:
    """A catalog for a model: read as the model's own was, unless the options say otherwise; then checked."""
    generated = storage.command_of(multi_file.first(path)) == "generate"  # in our layout, and cut already
    own = Reading() if generated else frame.reading
    sims = catalog.read(path, as_read_by(own, Reading(**options.given())), memory_of(options))
    frame.check(sims)
    return sims


def memory_of(options: ReadingOptions) -> int | None:
    """Bytes that data may take, if it was said."""
    return None if options.memory is None else memory.parse_size(options.memory)


def named_after(path: Path, what: str) -> Path:
    """An output in the current folder, called after a catalog."""
    return Path(f"{multi_file.name(path)}.{what}.h5")


def choose_split(sims: Catalog, options: SplitOptions) -> Split:
    """A split file, else the catalog's own /split, else by hash; every part must have a simulation."""
    fractions = options.fractions or split.FRACTIONS
    if options.split_file is not None:
        if options.fractions is not None and storage.is_kind(options.split_file, "split"):
            raise UserError(f"{options.split_file}: says where each simulation belongs; --fractions would not be heard")
        return split.from_file(options.split_file, sims.simulation, fractions, options.split_seed).complete()
    if sims.label is not None:
        if options.fractions is not None or options.split_seed:
            raise UserError(f"{sims.path}: has its own /split; --fractions and --split-seed would not be heard")
        return split.by_label(sims.simulation, sims.label).complete()
    return split.by_hash(sims.simulation, fractions, options.split_seed).complete()


def noise(path: Path | None, sims: Catalog, seed: int) -> Noise | None:
    """What ``--noise`` names, if it was given."""
    return None if path is None else read_noise(path, tuple(one.shape for one in sims.summaries), seed)


def model(path: Path, kind: str, device: torch.device, option: str = "") -> Any:
    """A model of this kind, and no other. option: what named it on the command line."""
    found = models.read(path, device)
    if found.kind != kind:
        where, wanted = (f"{option} {path}", kind) if option else (path, f"{kind} (train-{kind})")
        raise UserError(f"{where}: expected a {wanted}, found a {found.kind}")
    return found


def density(path: Path, device: torch.device) -> DensityModel:
    """A density of the data."""
    return model(path, "density", device)


def fit_inputs(
    sims: Catalog, how: Reading, parts: Split, recipe: Any, bench: Bench, noise: Noise | None, terminal: Terminal
) -> Frame:
    """What a model knows of its data, fitted to the training rows; says what was assumed and chosen."""
    frame = fit_frame(sims, parts, how, recipe.transform, noise)
    if recipe.compress:
        frame = compressed(frame, sims, recipe.compress, bench)
    tell_data(frame, sims, parts, terminal)
    return frame


def tell_data(frame: Frame, sims: Catalog, parts: Split, terminal: Terminal) -> None:
    """What looks odd in the data of a training that begins now; what was assumed of them and chosen."""
    for finding in audit.before_training(sims, parts):
        terminal.warn(finding.text)
    for line in choices(frame, sims):
        terminal.say(line)


def chosen_rows(frame: Frame, sims: Catalog, part: str | None, rows: str | None) -> np.ndarray:
    """Positions in the catalog: ``--rows`` are row numbers of the file and replace ``--split``."""
    return frame.rows(sims, part) if rows is None else numbered(sims.path, sims.index, part, rows)


def numbered(path: Path, index: np.ndarray, part: str | None, rows: str) -> np.ndarray:
    """Positions of ``--rows`` among the row numbers (n,) that a file holds."""
    if part is not None:
        raise UserError("--rows replaces --split; give one of them")
    wanted = _numbers(rows, int(index.max()) + 1)
    positions = {number: position for position, number in enumerate(index.tolist())}
    missing = [number for number in wanted if number not in positions]
    if missing or not wanted:
        raise UserError(f"--rows {rows}: {path} has no row {listed(missing) or 'so named'} (it has {len(index)})")
    return np.array([positions[number] for number in wanted])


def tell_seen(parts: np.ndarray, part: str | None, terminal: Terminal) -> None:
    """Rows that were picked by number may be some that the model was trained on; parts: (n,), of those rows."""
    seen = int((parts < 2).sum())
    if seen and part is None:
        terminal.warn(f"the model was trained on or chosen by {seen} of these {len(parts)} rows")


def _numbers(text: str, count: int) -> list[int]:
    """``0:10``, ``7``, ``3,5,20:25``."""
    found: list[int] = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        try:
            start = int(first) if first else 0
            stop = (int(last) if last else count) if colon else start + 1
        except ValueError as error:
            raise UserError(f"--rows: {part!r} is not understood; expected 7, 0:10 or 3,5,20:25") from error
        if start < 0 or stop < 0:
            raise UserError(f"--rows: {part!r} is not understood; row numbers count from 0")
        found += range(start, stop)
    return list(dict.fromkeys(found))


def make_folder(path: Path) -> None:
    """For the many files of ``run``."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: the folder cannot be made ({error.strerror})") from error


def folder_of(output: Path) -> Path:
    """Beside an output, by its name: for what a long command makes on its way, so that it can go on."""
    if not output.suffix:
        raise UserError(f"{output}: expected the name of a file, as {output}.h5: the folder {output} keeps the models")
    folder = output.with_suffix("")
    make_folder(folder)
    return folder


def counts(option: str, text: str) -> tuple[int, ...]:
    """``500,1000``: positive whole numbers."""
    words = [word.strip().replace("_", "") for word in text.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise UserError(f"{option}: expected positive whole numbers, as 500,1000,2000, found {text!r}")
    return tuple(int(word) for word in words)


def picture(plot: Callable[[], Any], path: Path, terminal: Terminal) -> None:
    """One figure, into a folder that is made."""
    from cosmoinfer import plots

    make_folder(path.parent)
    plots.save(plot, path)
    terminal.say(f"{path.parent}: {path.name}")


def record(command: str, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, Any]:
    """The /meta of a file: version, the settings that affect its numbers, fingerprints of what it was made from."""
    return {"version": __version__, "command": command, "settings": _jsonable(settings), "inputs": dict(inputs)}


def record_training(
    command: str,
    recipe: Any,
    how: Reading,
    seed: int,
    device: torch.device,
    sims: Catalog,
    parts: Split,
    others: Mapping[str, str],
) -> dict[str, Any]:
    """The /meta of a model. others: digests of what it is made from beside the catalog."""
    settings = {"recipe": recipe, "reading": how, "seed": seed, **device_settings(device)}
    settings |= {"memory": sims.memory} if sims.streamed else {}  # it decides which rows meet in a batch
    fingerprints = {"catalog": sims.fingerprint, "view": sims.view, "split": split.fingerprint(parts)}
    return record(command, settings, {**fingerprints, **others})


def stands(path: Path, kind: str, meta: Mapping[str, Any], terminal: Terminal, force: bool, *read: Path | None) -> bool:
    """Whether the very same output is there already; another one there is an error unless forced.

    read: inputs of the same kind, which must not be the output.
    """
    if path.exists() and any(path.samefile(one) for one in read if one is not None):
        raise UserError(f"{path}: is read by this command; name another output")
    if not force and storage.same_run(path, meta):
        terminal.say(f"{path}: complete already, from the same settings and inputs")
        return True
    storage.refuse_existing(path, kind, force)
    return False


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _jsonable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(one) for one in value]
    if hasattr(value, "__dataclass_fields__"):
        return _jsonable(asdict(value))
    return str(value) if isinstance(value, Path) else value
