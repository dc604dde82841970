"""What the axes of a row mean: its kind, and which axis its channels stand on; a guess must not contradict the shape.

A kind that nobody declared is guessed from the number of axes. Maps and grids are then moved and joined at their edges,
which destroys what is no field; so a shape that is hardly one of a field asks for ``kind``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.quoting import join_items, split, unquote

AXES_OF_KIND = {"vector": 1, "profile": 2, "map": 3, "grid": 4}  # kind: axes of one row, channels included
CHANNEL_ORDERS = ("first", "last")  # the axis of a row on which its channels stand
GUESS_BY_AXES = {1: "vector", 2: "map", 3: "map", 4: "grid"}  # axes of one row in the file
MIN_SIDE_CELLS = 8  # of a field whose kind is guessed
MAX_SIDE_RATIO = 2  # longest side / shortest side of a field whose kind is guessed

Shape = tuple[int, ...]


@dataclass(frozen=True)
class AxisMeaning:
    """What the axes of the rows of a dataset mean.

    kind: vector, profile, map or grid.
    channels_last: whether the channels stand on the last axis, not on the first.
    guessed: whether nobody declared the kind.
    question: what must be declared before anything is learned from the dataset; empty where all is clear.
    note: how it was read, where that could be otherwise.
    """

    kind: str
    channels_last: bool = False
    guessed: bool = False
    question: str = ""
    note: str = ""


def interpret_axes(shape: Shape, kind: str, channels: str, channel_names: tuple[str, ...] = ()) -> AxisMeaning:
    """The meaning of rows of this shape, as they stand in the file.

    kind, channels: as declared, or empty. channel_names: of the file; their number tells on which axis they stand.

    Raises UserError for a kind that has another number of axes.
    """
    if kind == "vector":
        return AxisMeaning(kind)
    channels = channels or _order_by_names(shape, channel_names)
    guessed = not kind
    if guessed:
        if len(shape) not in GUESS_BY_AXES:
            raise UserError(f"has {len(shape) + 1} axes; expected 2 to 5 (rows first)")
        kind = "profile" if channels and len(shape) == 2 else GUESS_BY_AXES[len(shape)]
    if len(shape) not in (AXES_OF_KIND[kind] - 1, AXES_OF_KIND[kind]):
        raise UserError(f"has rows of shape {shape}, which is no {kind}")
    has_channels = len(shape) == AXES_OF_KIND[kind] > 1
    is_single = has_channels and shape[-1] == 1 < shape[0]
    channels_last = has_channels and (channels == "last" or (not channels and is_single))
    meaning = AxisMeaning(kind, channels_last, guessed)
    channel_shape = arranged_shape(shape, meaning)
    undeclared = not channels and not is_single
    problem = _contradiction(kind, channel_shape, undeclared) if guessed else ""
    if not guessed and undeclared and has_channels and kind != "profile" and _has_short_last_axis(shape):
        problem = f"the last axis is short behind {len(shape) - 1} equal ones"
    if problem:
        readings = ", ".join(_possible_readings(shape))
        question = (
            f"rows of shape {shape} are hardly a {kind} of {describe_channels(channel_shape)} ({problem}); declare "
        )
        return AxisMeaning(kind, channels_last, guessed, question + readings)
    return AxisMeaning(kind, channels_last, guessed, note=_note(meaning, channel_shape, undeclared))


def arranged_shape(shape: Shape, meaning: AxisMeaning) -> Shape:
    """The shape of a row with its channels first, or flat: of rows of that shape in the file."""
    if meaning.kind == "vector":
        return (prod(shape),)
    if len(shape) < AXES_OF_KIND[meaning.kind]:
        return (1, *shape)
    return (shape[-1], *shape[:-1]) if meaning.channels_last else shape


def arrange_axes(values: np.ndarray, meaning: AxisMeaning) -> np.ndarray:
    """Values (n, ...) of rows as they stand in the file, with their channels first, or flat."""
    shape = (len(values), *arranged_shape(values.shape[1:], meaning))
    if meaning.channels_last:
        return np.ascontiguousarray(np.moveaxis(values, -1, 1))
    return values.reshape(shape)


def declared_word(text: str, name: str) -> str:
    """What ``map``, of all datasets, or ``maps@map,pk@vector`` declares of a dataset; empty if nothing."""
    return text if "@" not in text else named_words(text).get(_short(name), "")


def join_words(words: str | Mapping[str, str] | None) -> str:
    """A word, or words by dataset, as ``declared_word`` takes them."""
    return join_items(words, "@")


def named_words(text: str) -> dict[str, str]:
    """``maps@map,pk@vector`` -> the word by dataset; no names give an empty one."""
    return {_short(unquote(name)): word for name, word in _name_word_pairs(text)}


def check_words(setting: str, text: str, choices: Iterable[str]) -> None:
    """Raises UserError unless the text is one of the words, or NAME@WORD of each dataset."""
    pairs = _name_word_pairs(text)
    if not all(name.strip() and word for name, word in pairs):
        raise UserError(f"{text!r} is not understood; expected NAME@WORD,NAME@WORD", setting)
    words = [word for _, word in pairs] or [text]
    for word in words:
        if text and word not in choices:
            raise UserError(f"{word!r} is not known; {list_choices(word, choices)}", setting)


def check_names(setting: str, text: str, names: Iterable[str]) -> None:
    """Raises UserError if NAME@WORD names a dataset that is none of the data."""
    short_names = [_short(name) for name in names]
    unknown = [name for name in named_words(text) if name not in short_names]
    if unknown:
        raise UserError(f"names {join_first(unknown)}, and the data are {join_first(short_names)}", setting, text)


def _name_word_pairs(text: str) -> list[tuple[str, str]]:
    """Each NAME and WORD of ``NAME@WORD,NAME@WORD``, empty where one is missing; none without a separator.

    A name may hold commas, a word holds none.
    """
    name, *pieces = split(text, "@")
    pairs = []
    for piece in pieces:
        word, _, following = piece.partition(",")
        pairs.append((name, word.strip()))
        name = following
    return [*pairs, (name, "")] if pieces and name.strip() else pairs


def _short(name: str) -> str:
    return name.strip().strip("/").removeprefix("data/")


def _order_by_names(shape: Shape, names: tuple[str, ...]) -> str:
    """The end at which an axis has as many entries as there are names of channels; empty unless one alone has."""
    if len(names) == 1 and names[0] in CHANNEL_ORDERS:
        return names[0]
    if len(names) < 2 or len(shape) < 2:
        return ""
    ends = [order for order, length in zip(CHANNEL_ORDERS, (shape[0], shape[-1]), strict=True) if length == len(names)]
    return ends[0] if len(ends) == 1 else ""


def _contradiction(kind: str, shape: Shape, undeclared: bool = True) -> str:
    """Why rows (C, ...) are hardly what they were guessed to be; empty if nothing speaks against it.

    undeclared: whether the axis of the channels was guessed, too.
    """
    channels, sides = shape[0], shape[1:]
    if kind not in ("map", "grid"):
        return ""
    if min(sides) < MIN_SIDE_CELLS:
        return f"a side of {min(sides)} cell{'s' * (min(sides) != 1)}"
    if max(sides) > MAX_SIDE_RATIO * min(sides):
        return "very unequal sides"
    if undeclared and channels >= max(sides):
        return "as many channels as cells a side"
    return ""


def _has_short_last_axis(shape: Shape) -> bool:
    """Whether (H, W, C) or (D, H, W, C) is what the shape looks like."""
    return shape[-1] < MIN_SIDE_CELLS <= shape[0] and len(set(shape[:-1])) == 1


def _possible_readings(shape: Shape) -> list[str]:
    """What rows of this shape may be, with the settings for each, the likely ones first."""
    flat = f"`kind=vector` ({prod(shape)} numbers)"
    if len(shape) < 2 or prod(shape) == max(shape):
        return [flat]
    with_channels = {2: "profile", 3: "map", 4: "grid"}[len(shape)]
    without = {2: "map", 3: "grid"}.get(len(shape))
    readings = [(with_channels, "", shape)]
    if shape[-1] < max(shape[:-1]):
        readings = [
            (with_channels, "last", (shape[-1], *shape[:-1])),
            (with_channels, "first", shape),
        ]
    if without:
        readings.append((without, "", (1, *shape)))
    readings.sort(key=lambda reading: bool(_contradiction(reading[0], reading[2])))
    described = []
    for kind, channels, channel_shape in readings:
        order = f" with `channels={channels}`" if channels else ""
        described.append(f"`kind={kind}`{order} ({describe_channels(channel_shape)})")
    return [*described[:-1], f"{described[-1]} or {flat}"]


def describe_channels(shape: Shape) -> str:
    """``2 channels of 32 x 32``, of rows (C, ...)."""
    return f"{shape[0]} channel{'s' * (shape[0] != 1)} of {' x '.join(map(str, shape[1:]))}"


def _note(meaning: AxisMeaning, shape: Shape, undeclared: bool) -> str:
    """shape: of a row, channels first."""
    if meaning.guessed:
        return "" if meaning.kind == "vector" else describe_channels(shape)
    if meaning.kind == "profile" and undeclared and shape[-1] < MIN_SIDE_CELLS <= shape[0]:
        return f"read as {describe_channels(shape)} (`channels=last`: {describe_channels((shape[-1], shape[0]))})"
    return ""
