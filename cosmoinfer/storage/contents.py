"""What one file of this tool holds."""

from dataclasses import dataclass, field

import numpy as np

from cosmoinfer.storage.attributes import Attributes
from cosmoinfer.storage.out_of_core import OnDiskArray
from cosmoinfer.storage.plain_files import JSONObject


@dataclass(frozen=True)
class FileContents:
    """What one file holds.

    kind: a key of ``formats.FORMATS``.
    meta: JSON that says from what it was made.
    arrays: by path, without the leading slash.
    attributes: of the arrays, by path.
    file_attributes: of the file itself.
    on_disk: arrays that are not in memory, by path.
    """

    kind: str
    meta: JSONObject
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, Attributes] = field(default_factory=dict)
    file_attributes: Attributes = field(default_factory=dict)
    on_disk: dict[str, OnDiskArray] = field(default_factory=dict)

    @property
    def all_arrays(self) -> dict[str, np.ndarray | OnDiskArray]:
        """All arrays by path, in memory or not."""
        return {**self.arrays, **self.on_disk}
