"""A shard: one of several contiguous parts of a sampling, which are drawn by as many jobs and merged."""

import re
from dataclasses import dataclass

from cosmoinfer.errors import UserError
from cosmoinfer.numerals import whole_number


@dataclass(frozen=True)
class Shard:
    """number: 1 to count. count: of all shards of the sampling."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """``3/16``. Raises UserError for another text, and for a number that is not 1 to 16."""
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        number, count = (whole_number(word) for word in match.groups()) if match else (None, None)
        if not number or not count or number > count:
            raise UserError(f"expected 1/16 to 16/16 for each of 16 shards, found {text!r}", setting="shard")
        return cls(number, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def file_suffix(self) -> str:
        """``03-of-16``: by name, files are in the order of their shards."""
        return f"{self.number:0{len(str(self.count))}}-of-{self.count}"

    def places(self, size: int) -> slice:
        """Its units (rows, or simulations) among as many of the whole sampling: about as many as of any other shard.

        Raises UserError where there are more shards than units, so that one would be empty.
        """
        if self.count > size:
            raise UserError(f"expected at most {size} shards, one for each observation", "shard", self)
        return slice((self.number - 1) * size // self.count, self.number * size // self.count)
