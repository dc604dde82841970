"""Which rows a model has learned from: recognised by their content, under whatever number and in whatever catalog."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.catalog.copies import CopyCriterion
from cosmoinfer.catalog.row_hashes import RowHashes
from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.split import PARTITIONS, Split

TRAIN, VALIDATION, TEST = range(len(PARTITIONS))


@dataclass(frozen=True)
class TrainingRecord:
    """What was used to train a model, and to choose its epochs, support and mixture.

    split: of the simulations of its catalog.
    fingerprint: of that catalog.
    training_hashes: of the training rows, also of the models that this one was made from (a summary network, a flow
    that it was initialised from).
    validation_hashes: the same of the validation rows.
    """

    split: Split
    fingerprint: str
    training_hashes: RowHashes = field(metadata={"path": "hashes/train"})
    validation_hashes: RowHashes = field(metadata={"path": "hashes/validation"})

    @classmethod
    def from_catalog(cls, catalog: Catalog, split: Split) -> "TrainingRecord":
        """Of a training on a catalog; both parts are hashed in one walk over the data."""
        train, validation = (split.select_rows(catalog.simulation, partition) for partition in ("train", "validation"))
        rows = np.sort(np.concatenate([train, validation]))
        hashes = catalog.hashes(rows)
        train_hashes, validation_hashes = (
            hashes.select(np.searchsorted(rows, partition)) for partition in (train, validation)
        )
        return cls(split, catalog.fingerprint, train_hashes, validation_hashes)

    def including(self, source: "TrainingRecord") -> "TrainingRecord":
        """With the rows of a model that this one was made from."""
        return replace(
            self,
            training_hashes=RowHashes.concatenate([self.training_hashes, source.training_hashes]),
            validation_hashes=RowHashes.concatenate([self.validation_hashes, source.validation_hashes]),
        )

    @cached_property
    def used_hashes(self) -> RowHashes:
        """Of training and validation rows."""
        return RowHashes.concatenate([self.training_hashes, self.validation_hashes])

    @cached_property
    def copy_criterion(self) -> CopyCriterion:
        """When a row of another catalog is a copy of one of these."""
        return CopyCriterion.from_rows(self.used_hashes)

    def rows(self, catalog: Catalog, partition: str) -> np.ndarray:
        """The rows (by position) of a part of the training catalog."""
        return self.split.select_rows(catalog.simulation, partition)

    def is_training_catalog(self, catalog: Catalog) -> bool:
        """Whether this is the catalog that the model was trained on."""
        return catalog.fingerprint == self.fingerprint

    def select_rows(self, catalog: Catalog, partition: str | None) -> np.ndarray:
        """The rows (by position) of a part: train, validation, test or all.

        None: the test rows of the training catalog, or the whole of another one. Raises UserError where another
        catalog holds simulations that the model has learned from, for an unknown part, and for one without rows.
        """
        all_rows = np.arange(len(catalog))
        if partition is None and not self.is_training_catalog(catalog):
            simulations = np.flatnonzero(catalog.has_theta)
            used = simulations[self.partition_of(catalog, simulations) < TEST]
            if len(used):
                raise UserError(
                    f"{catalog.path}: the model was trained on or chosen by {len(used)} of these {len(catalog)} "
                    f"rows ({catalog.describe_rows(used)}); "
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

        In the training catalog by the split; elsewhere train or validation for a copy of such a row, and test if it is
        not known to be one (see ``CopyCriterion``).
        """
        if self.is_training_catalog(catalog):
            return self.split.partition_of(catalog.simulation[rows])
        partition = np.full(len(catalog), TEST, dtype=np.uint8)
        compared = rows if self.copy_criterion.data else np.flatnonzero(self._shared_parameters(catalog))
        if len(compared):
            hashes = catalog.hashes(compared)
            copies = self.copy_criterion.copies(self.used_hashes, hashes)
            trained = self.copy_criterion.equal_key(self.training_hashes, hashes)
            partition[compared[copies]] = np.where(trained, TRAIN, VALIDATION)[copies]
        return partition[rows]

    def has_used_data(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """(n,) bool: whether a training or validation row had the data of the row, be it by chance."""
        return self.copy_criterion.equal_data(self.used_hashes, catalog.hashes(rows))

    def describe_used_data(self, catalog: Catalog, observations: np.ndarray) -> str:
        """Which observations (n,), rows by position, have the data of training or validation rows; empty if none."""
        if self.is_training_catalog(catalog) or not len(observations):
            return ""
        equal = observations[self.has_used_data(catalog, observations)]
        if not len(equal):
            return ""
        return (
            f"the data of {len(equal)} of these {len(observations)} observations are those of rows that the model was "
            f"trained on or chosen by ({catalog.describe_rows(equal)})"
        )

    def shares_parameters(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """(n,) bool: whether a training row had the parameters of the row, whatever its data."""
        return self.copy_criterion.equal_theta(self.training_hashes, *catalog.theta_hashes(rows))

    def _shared_parameters(self, catalog: Catalog) -> np.ndarray:
        """(N,) bool: whether a training or validation row had the parameters of the row."""
        hashes = catalog.theta_hashes(np.arange(len(catalog)))
        return self.copy_criterion.equal_theta(self.used_hashes, *hashes)


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
