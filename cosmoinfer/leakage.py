"""Which rows a model has learned from: recognised by their content, under whatever number and in whatever catalog."""

from dataclasses import dataclass, field, replace

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.split import PARTITIONS, Split

TRAIN, VALIDATION, TEST = range(len(PARTITIONS))


@dataclass(frozen=True)
class TrainingRecord:
    """What was used to train a model, and to choose its epochs, support and mixture.

    split: of the simulations of its catalog.
    fingerprint: of that catalog.
    training_hashes: (n, 2) uint64, of theta and of x of the training rows, also of the models that this one was made
    from (a summary network, a flow that it was initialised from).
    validation_hashes: (n, 2) uint64, the same of the validation rows.
    """

    split: Split
    fingerprint: str
    training_hashes: np.ndarray = field(metadata={"path": "hashes/train"})
    validation_hashes: np.ndarray = field(metadata={"path": "hashes/validation"})

    @classmethod
    def from_catalog(cls, catalog: Catalog, split: Split) -> "TrainingRecord":
        """Of a training on a catalog; both parts are hashed in one walk over the data."""
        train, validation = (split.select_rows(catalog.simulation, partition) for partition in ("train", "validation"))
        rows = np.sort(np.concatenate([train, validation]))
        hashes = catalog.hashes(rows)
        train_hashes, validation_hashes = (
            hashes[np.searchsorted(rows, partition)] for partition in (train, validation)
        )
        return cls(split, catalog.fingerprint, train_hashes, validation_hashes)

    def including(self, source: "TrainingRecord") -> "TrainingRecord":
        """With the rows of a model that this one was made from."""
        return replace(
            self,
            training_hashes=np.concatenate([self.training_hashes, source.training_hashes]),
            validation_hashes=np.concatenate([self.validation_hashes, source.validation_hashes]),
        )

    def rows(self, catalog: Catalog, partition: str) -> np.ndarray:
        """The rows (by position) of a part of the training catalog."""
        return self.split.select_rows(catalog.simulation, partition)

    def is_training_catalog(self, catalog: Catalog) -> bool:
        """Whether this is the catalog that the model was trained on."""
        return catalog.fingerprint == self.fingerprint

    def select_rows(self, catalog: Catalog, partition: str | None) -> np.ndarray:
        """The rows (by position) of a part: train, validation, test or all.

        None: the test rows of the training catalog, or the whole of another one. Raises UserError where another
        catalog holds rows that the model has learned from, for an unknown part, and for one without rows.
        """
        all_rows = np.arange(len(catalog))
        if partition is None and not self.is_training_catalog(catalog):
            used = self.partition_of(catalog, all_rows) < TEST
            if used.any():
                raise UserError(
                    f"{catalog.path}: the model was trained on or chosen by {int(used.sum())} of these {len(catalog)} "
                    f"rows ({catalog.describe_rows(np.flatnonzero(used))}); "
                    "`split=test` selects the remaining rows, `split=train` the training rows"
                )
            return all_rows
        partition = partition or "test"
        if partition not in (*PARTITIONS, "all"):
            raise UserError(
                f"{partition!r} is not known; {list_choices(partition, (*PARTITIONS, 'all'))}", setting="split"
            )
        if partition == "all":
            return all_rows
        rows = np.flatnonzero(self.partition_of(catalog, all_rows) == PARTITIONS.index(partition))
        if len(rows) == 0:
            raise UserError(f"{catalog.path}: no row belongs to the {partition} part of the model's split")
        return rows

    def partition_of(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """The part of each row, (n,) uint8: 0 train, 1 validation, 2 test; 255 for a simulation outside the split.

        In the training catalog by the split; elsewhere by the content of the data, and test if unknown.
        """
        if self.is_training_catalog(catalog):
            return self.split.partition_of(catalog.simulation[rows])
        hashes = catalog.hashes(rows)[:, 1]  # of the data alone: an observation has no theta
        partition = np.where(np.isin(hashes, self.validation_hashes[:, 1]), VALIDATION, TEST)
        return np.where(np.isin(hashes, self.training_hashes[:, 1]), TRAIN, partition).astype(np.uint8)

    def is_training_row(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """(n,) bool: whether the data of the row were among the training rows."""
        return np.isin(catalog.hashes(rows)[:, 1], self.training_hashes[:, 1])

    def shares_parameters(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """(n,) bool: whether a training row had the parameters of the row, whatever its data."""
        return np.isin(catalog.theta_hashes(rows), self.training_hashes[:, 0])


def check_held_out(kind: str, record: TrainingRecord, catalog: Catalog, split: Split, setting: str) -> None:
    """Raises UserError where a model has learned from this split's validation or test rows: or was chosen by test rows.

    They would be training rows. kind: of the model. setting: that names it.
    """
    validation, test = (split.select_rows(catalog.simulation, partition) for partition in ("validation", "test"))
    rows = np.concatenate([validation, test])
    used = np.concatenate(
        [record.partition_of(catalog, validation) < VALIDATION, record.partition_of(catalog, test) < TEST]
    )
    if used.any():
        raise UserError(
            f"the {kind} was trained on or chosen by {int(used.sum())} validation or test rows of this "
            f"split (row {join_first(catalog.index[rows[used]])}); train it with the same `split_seed`, `fractions` "
            "and `split_file`",
            setting=setting,
        )
