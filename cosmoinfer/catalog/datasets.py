"""Where the datasets of one catalog are: in a file, in our layout or any other, or in arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.declarations import Declarations
from cosmoinfer.catalog.packing import declares_packing
from cosmoinfer.catalog.read_options import ReadOptions
from cosmoinfer.errors import UserError, join_first

MAX_DATASETS_IN_ERROR = 10


@dataclass(frozen=True)
class Layout:
    """Where the datasets of one catalog are.

    path: the file, or a name for messages where there is none.
    read_options: how the file is to be read.
    contents: every dataset, by path.
    data: the datasets to learn from.
    arrays: the values by path, of a catalog that was never in HDF5; rows may be left in other files.
    """

    path: Path
    read_options: ReadOptions
    contents: dict[str, storage.DatasetInfo]
    data: tuple[storage.DatasetInfo, ...]
    arrays: Mapping[str, np.ndarray | storage.StoredRows] | None = None

    def load(self, name: str) -> np.ndarray:
        """All values of a dataset; text as str. Raises UserError when it cannot be read."""
        if self.arrays is not None:
            values = self.arrays[name]
            return values if isinstance(values, np.ndarray) else values.read(0, len(values))
        require_dataset(self.path, self.contents, name)
        return storage.load(self.path, name, self.read_options.follow_links)

    def stored_rows(self, name: str, encoding: storage.Encoding) -> storage.StoredRows | None:
        """A dataset of which rows are read where they are; None where it must be loaded."""
        if self.arrays is None:
            return storage.DatasetHandle(self.path, name, self.read_options.follow_links, encoding)
        values = self.arrays[name]
        return None if isinstance(values, np.ndarray) or encoding != storage.Encoding() else values

    def declarations(self, name: str) -> Declarations:
        """What the attributes of a dataset declare."""
        dataset = self.contents[name]
        return Declarations(f"{self.path}: /{name}", dataset.attributes, dataset.unreadable)

    def group_attributes(self, name: str) -> storage.Attributes | None:
        """Of a group; None where there is none of that name."""
        if self.arrays is not None:
            return None
        return storage.group_attributes(self.path, name, self.read_options.follow_links)

    @property
    def parameters_name(self) -> str:
        """Path of the dataset, or group, of the parameters."""
        return self.read_options.parameters.strip("/") or "parameters"

    @property
    def simulation_name(self) -> str:
        """Path of the dataset of simulation ids."""
        return self.read_options.simulation.strip("/") or "simulation"

    @property
    def size(self) -> int:
        """Bytes of the data in memory, single precision at least."""
        return sum(
            int(np.prod(dataset.shape)) * max(8 if declares_packing(dataset) else 4, dataset.dtype.itemsize)
            for dataset in self.data
        )

    @property
    def has_ids(self) -> bool:
        """Whether the file says which simulation a row belongs to."""
        return not self.read_options.rows_per_simulation and self.simulation_name in self.contents


def read_layout(path: Path, read_options: ReadOptions) -> Layout:
    """The datasets of a file; no values are read. Raises UserError when it is no catalog, or has no data."""
    if storage.file_kind(path) not in (None, "catalog"):
        raise UserError(f"{path}: expected a catalog, found {storage.describe_file(path)}")
    contents = storage.describe_datasets(path, read_options.follow_links)
    names = _data_names(path, contents, read_options)
    return Layout(path, read_options, contents, tuple(require_dataset(path, contents, name) for name in names))


def require_dataset(path: Path, contents: Mapping[str, storage.DatasetInfo], name: str) -> storage.DatasetInfo:
    """The dataset of that name. Raises UserError where there is none, or its values cannot be read."""
    problems = [
        dataset for dataset in contents.values() if dataset.problem and f"{name}/".startswith(f"{dataset.path}/")
    ]
    if problems:
        raise UserError(f"{path}: /{problems[0].path} {problems[0].problem}")
    if name not in contents:
        raise UserError(f"{path}: has no dataset /{name}; it holds {_describe_contents(contents)}")
    return contents[name]


def _data_names(path: Path, contents: dict[str, storage.DatasetInfo], read_options: ReadOptions) -> list[str]:
    if read_options.data:
        return [name.strip("/") for name in read_options.data]
    names = [name for name in contents if name == "data" or name.startswith("data/")]
    if not names:
        raise UserError(f"{path}: has no /data; it holds {_describe_contents(contents)}; `data` names the datasets")
    return names


def _describe_contents(contents: Mapping[str, storage.DatasetInfo]) -> str:
    datasets = [f"/{name} {f'({info.problem})' if info.problem else info.shape}" for name, info in contents.items()]
    return join_first(datasets, MAX_DATASETS_IN_ERROR) or "nothing"
