"""Boxes and priors as a user writes them: ``a=0.1:0.5,b=0.25:4:log,c=0:inf:log-normal:0:0.3``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cosmoinfer.errors import UserError, blame
from cosmoinfer.parameters.parameters import Parameters
from cosmoinfer.priors import MOMENTS, PRIORS, default_prior
from cosmoinfer.quoting import join_items, split, unquote


@dataclass(frozen=True)
class BoundsItem:
    """One item of ``bounds``.

    name: of a parameter. box: low and high. prior: of PRIORS; empty where the box alone is declared.
    moments: mean and std where the prior has them.
    """

    name: str
    box: tuple[float, float]
    prior: str = ""
    moments: tuple[float, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "BoundsItem":
        """``a=0.25:4:log``. Raises UserError where it is not understood."""
        quoted, equals, written = _split_item(text)
        words = [word.strip() for word in written.split(":")]
        word = words.pop(2) if len(words) > 2 else ""
        prior = _bounds_words().get(word, "")
        has_moments = bool(prior) and PRIORS[prior].arguments == MOMENTS
        name, count = unquote(quoted), 4 if has_moments else 2
        if not (name and equals and all(words) and len(words) == count and bool(word) == bool(prior)):
            raise UserError(
                f"{text!r} is not understood; expected name=low:high, optionally followed by {_endings()}",
                setting="bounds",
            )
        try:
            low, high, *moments = map(float, words)
        except ValueError as error:
            raise UserError(f"{text!r} holds no {'four' if has_moments else 'two'} numbers", "bounds") from error
        return cls(name, (low, high), prior, tuple(moments))

    def apply_to(self, parameters: Parameters) -> Parameters:
        """The parameters with this box and prior; where none is declared here, that of a normal stays, and is cut anew.

        Raises UserError for an unknown name, and where box and prior do not go together.
        """
        (column,) = parameters.columns([self.name])
        kept = parameters.prior[column]
        prior = self.prior or (kept if PRIORS[kept].arguments == MOMENTS else default_prior(*self.box))
        fields = {"low": self.box[0], "high": self.box[1]} | dict(zip(("mean", "std"), self.moments, strict=False))
        arrays: dict[str, Any] = {
            field: _with_entry(getattr(parameters, field), column, number) for field, number in fields.items()
        }
        names = [prior if place == column else name for place, name in enumerate(parameters.prior)]
        return replace(parameters, prior=tuple(names), **arrays)


def with_bounds(parameters: Parameters, text: str) -> Parameters:
    """Boxes and priors from ``a=0.1:0.5,b=0.25:4:log``, and correlations of normals from ``a~b=-0.7``.

    The other parameters keep theirs. Raises UserError where the text is not understood, names no parameter, or defines
    no prior.
    """
    for item in split(text, ","):
        with blame("bounds", item.strip()):
            correlation = parse_correlation(item, parameters.names)
            parameters = (
                BoundsItem.parse(item).apply_to(parameters)
                if correlation is None
                else parameters.with_correlation(*correlation)
            )
    return parameters


def join_bounds(bounds: str | Mapping[str, str | Sequence[float]] | None) -> str:
    """The text of ``with_bounds`` from ``{"a": "0.25:4:log"}`` or ``{"a": (0.25, 4)}``, whose names are plain."""
    if not isinstance(bounds, Mapping):
        return bounds or ""
    texts = {name: item if isinstance(item, str) else ":".join(map(str, item)) for name, item in bounds.items()}
    return join_items(texts, "=")


def parse_correlation(text: str, names: tuple[str, ...]) -> tuple[str, str, float] | None:
    """Two names and their correlation, from ``a~b=-0.7``; None where the text is of another form.

    Raises UserError where this is no correlation.
    """
    *pair, number = split(text, "=")
    pair_text = "=".join(pair).strip()
    pair_names = [unquote(name) for name in split(pair_text, "~")]
    if len(pair_names) != 2 or pair_text in names:
        return None
    try:
        return pair_names[0], pair_names[1], float(number)
    except ValueError as error:
        raise UserError(f"{text!r} is not understood; expected a correlation, as in a~b=-0.7") from error


def declared_priors(text: str) -> frozenset[str]:
    """The names of the parameters whose prior, and not only their box, is declared in the text of ``with_bounds``."""
    items = [_split_item(item) for item in split(text, ",")]
    endings = [(unquote(quoted), written.split(":")[2:3]) for quoted, _, written in items]
    return frozenset(name for name, ending in endings if ending and ending[0].strip() in _bounds_words())


def _split_item(text: str) -> tuple[str, str, str]:
    """The name, as written, an equals sign, and what follows it; both empty where there is none."""
    quoted, *following = split(text, "=")
    return quoted, "=" * bool(following), "=".join(following)


def bounds_suffixes() -> dict[str, str]:
    """The prior of each suffix; log before uniform, as the help has it, and those with moments last."""
    entries = [(prior.bounds_suffix, name) for name, prior in reversed(PRIORS.items()) if prior.bounds_suffix]
    return dict(sorted(entries, key=lambda entry: PRIORS[entry[1]].arguments == MOMENTS))


def _endings() -> str:
    forms = {suffix: MOMENTS if PRIORS[name].arguments == MOMENTS else () for suffix, name in bounds_suffixes().items()}
    return " or ".join(":" + ":".join((suffix, *moments)) for suffix, moments in forms.items())


def _bounds_words() -> dict[str, str]:
    """The prior of each suffix, and of its own name: ``log`` and ``log-uniform``; the longer word first."""
    suffixes = bounds_suffixes()
    words = suffixes | {name: name for name in suffixes.values()}
    return dict(sorted(words.items(), key=lambda word: -len(word[0])))


def _with_entry(values: np.ndarray, column: int, number: float) -> np.ndarray:
    changed = values.copy()
    changed[column] = number
    return changed
