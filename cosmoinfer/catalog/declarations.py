"""What the attributes of a dataset declare: text, numbers and flags, or an error that names the attribute."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cosmoinfer.errors import UserError, join_first
from cosmoinfer.storage import Attributes

FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
TEXTS = ("names", "labels", "prior", "where")  # of /parameters
NUMBERS = ("low", "high", "prior_mean", "prior_std", "prior_correlation")


@dataclass(frozen=True)
class Declarations:
    """source: the dataset, for messages. attributes: as of DatasetInfo. unreadable: why others cannot be read, by name.

    The methods raise UserError for an attribute of another type than they return; None stands for one that is absent.
    """

    source: str
    attributes: Attributes
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def texts(self, name: str) -> tuple[str, ...] | None:
        """One or several words."""
        value = self._value(name)
        if value is None:
            return None
        texts = (value,) if isinstance(value, str) else tuple(np.ravel(value).tolist())
        if not all(isinstance(text, str) for text in texts):
            raise self._unexpected(name, "text")
        return texts

    def text(self, name: str) -> str:
        """A single word; empty if absent."""
        texts = self.texts(name) or ("",)
        if len(texts) > 1:
            raise self._unexpected(name, "a single text")
        return texts[0]

    def numbers(self, name: str) -> np.ndarray | None:
        """float64, in the shape of the attribute."""
        value = self._value(name)
        if value is None:
            return None
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise self._unexpected(name, "numbers")
        return array.astype(np.float64)

    def flags(self, name: str) -> tuple[bool, ...] | None:
        """True or false, or one for each of several axes."""
        value = self._value(name)
        if value is None:
            return None
        words = [str(item).lower() for item in np.ravel(np.asarray(value)).tolist()]
        if not words or not all(word in FLAGS for word in words):
            raise self._unexpected(name, "true or false")
        return tuple(FLAGS[word] for word in words)

    def parameters(self) -> Attributes:
        """What describes parameters, as ``Parameters.from_attributes`` takes it."""
        described = {name: self.texts(name) for name in TEXTS} | {name: self.numbers(name) for name in NUMBERS}
        return {name: value for name, value in described.items() if value is not None}

    def _value(self, name: str) -> Any:
        if name in self.unreadable:
            raise UserError(f"{self.source}: the attribute {name} {self.unreadable[name]}")
        return self.attributes.get(name)

    def _unexpected(self, name: str, expected: str) -> UserError:
        values = np.ravel(np.asarray(self.attributes[name])).tolist()
        is_text = expected == "numbers" and any(isinstance(value, str | bytes) for value in values)
        holds = f"holds {'the text ' * is_text}{join_first(values) or 'nothing'}"
        return UserError(f"{self.source}: the attribute {name} {holds}; expected {expected}")
