"""From rows of a catalog to what networks see of them: scaled, gaps filled and marked, compressed, with noise.

The state does not know which rows a model has learned from (``leakage``), nor what is unlike them (``ood``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cosmoinfer.blocks import aligned_blocks
from cosmoinfer.catalog import Catalog, Observable, ReadOptions
from cosmoinfer.catalog.kinds import join_words
from cosmoinfer.catalog.row_axis import REVERSED_AXES, ModelRow
from cosmoinfer.errors import UserError
from cosmoinfer.memory import slices
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.compression import Compression
from cosmoinfer.preprocessing.noise import Noise, add_noise
from cosmoinfer.preprocessing.standardizer import Standardizer
from cosmoinfer.quoting import write
from cosmoinfer.ridge_regression import Ridge
from cosmoinfer.settings import OMIT_DEFAULT
from cosmoinfer.training.augmentation import Symmetries, parse
from cosmoinfer.training.loop import MAX_ROWS_PER_CHUNK

BEYOND_PRECISION = (
    "numbers beyond what the training data scale to: in units of their scatter, single precision cannot hold them; "
    "look for other units, or a code for missing values"
)
MAX_LISTED_FEATURES = 40
MAX_CHUNK_VALUES = 1 << 23  # numbers of the data that are scaled at once
MAX_BLOCK_ROWS, MAX_BLOCK_VALUES = 61, 1 << 15  # of rows whose results do not depend on one another


@dataclass(frozen=True)
class Input:
    """name, kind, shape, periodic, masked, channels_last, features: of the observable. shape: of one row in the
    catalog."""

    name: str
    kind: str
    shape: tuple[int, ...]
    periodic: bool
    masked: bool
    standardizer: Standardizer
    compression: Compression | None = None
    channels_last: bool = False
    features: tuple[str, ...] = field(default=(), metadata=OMIT_DEFAULT)

    @classmethod
    def of(cls, observable: Observable, standardizer: Standardizer) -> "Input":
        return cls(
            observable.name,
            observable.kind,
            observable.row_shape,
            observable.periodic,
            observable.masked,
            standardizer,
            channels_last=observable.channels_last,
            features=observable.features,
        )

    @property
    def network_shape(self) -> tuple[int, ...]:
        """The shape of a row as a network sees it."""
        if self.compression is not None:
            return (self.compression.size,)
        return (2 * self.shape[0], *self.shape[1:]) if self.masked else self.shape

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """(n, ...) in catalog units -> (n, ...) float32.

        A gap is filled with the mean of its feature, or channel, and marked by a 1: in as many features, or channels,
        behind the others.
        """
        scaled = self.standardizer(values)
        if self.masked:
            gaps = np.isnan(scaled)
            scaled = np.concatenate([np.where(gaps, 0, scaled), gaps], axis=1, dtype=np.float32)
        return scaled

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(n, ...) in catalog units -> (n, *network_shape) float32."""
        return self.compressed(self.scaled(values))

    def compressed(self, scaled: np.ndarray) -> np.ndarray:
        """(n, ...) scaled -> (n, *network_shape) float32."""
        return scaled if self.compression is None else self.compression(scaled)


@dataclass(frozen=True)
class Preprocessing:
    """How a model takes its data and names its parameters; fitted on training rows by ``fit_preprocessing``.

    parameters: what is inferred, with box and priors.
    inputs: one for each observable.
    read_options: how the training catalog was read.
    ridge_estimate: a linear estimate of theta from the data.
    noise: what is added to simulated data; None for none.
    classes: names of the classes, where a categorical target stands in the place of parameters.
    """

    parameters: Parameters
    inputs: tuple[Input, ...]
    read_options: ReadOptions
    ridge_estimate: Ridge
    noise: Noise | None = None
    classes: tuple[str, ...] = ()

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of one row as the networks see it, one for each observable."""
        return tuple(observable.network_shape for observable in self.inputs)

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Whether opposite edges touch, one for each observable."""
        return tuple(observable.periodic for observable in self.inputs)

    def data(self, catalog: Catalog, rows: np.ndarray, epoch: int | None = None) -> tuple[np.ndarray, ...]:
        """What the networks see of rows (n,), by position: one float32 array (n, ...) for each observable.

        epoch: with noise drawn anew, for training. Raises UserError as ``scaled_blocks``.
        """
        pairs = zip(self.inputs, self.scaled_blocks(catalog, rows, epoch), strict=True)
        return tuple(np.concatenate([observable.compressed(block) for block in blocks]) for observable, blocks in pairs)

    def scaled_blocks(self, catalog: Catalog, rows: np.ndarray, epoch: int | None = None) -> list[Iterator[np.ndarray]]:
        """The data of rows (n,) scaled and not compressed, float32: an iterator of blocks for each observable.

        Raises UserError, which names the rows, where numbers are not finite once they are scaled.
        """
        pairs = zip(self.inputs, add_noise(catalog, rows, self.noise, epoch), strict=True)
        return [_scaled_blocks(observable, blocks, catalog, rows) for observable, blocks in pairs]

    def chunks(self, catalog: Catalog, rows: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """``data`` of rows (n,), at most ``rows_per_chunk`` at a time; no rows give one empty chunk."""
        for chunk in slices(len(rows), self.rows_per_chunk, keep_empty=True):
            yield self.data(catalog, rows[chunk])

    @property
    def rows_per_chunk(self) -> int:
        """Rows whose data are a bounded amount of numbers."""
        return min(MAX_ROWS_PER_CHUNK, max(1, MAX_CHUNK_VALUES // self._row_size))

    @property
    def rows_per_block(self) -> int:
        """Of ``aligned_blocks``: few of large rows, since as much is computed where a single one is asked for."""
        return min(MAX_BLOCK_ROWS, MAX_BLOCK_VALUES // self._row_size) | 1

    @property
    def _row_size(self) -> int:
        """Numbers of the data of a row, at least 1."""
        return max(1, sum(int(np.prod(observable.shape)) for observable in self.inputs))

    def estimate_parameters(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """The ridge estimate of theta, (n, P), inside the box; that of a row does not depend on the others."""
        estimates = np.empty((len(rows), len(self.parameters)))
        for block in aligned_blocks(rows, self.rows_per_block):
            estimates[block.positions] = self.ridge_estimate([self.data(catalog, block.rows)])[block.places]
        return self.parameters.clip(estimates)

    def symmetries(self, augment: str) -> tuple[Symmetries, ...]:
        """Of each observable, by which a training moves its rows; augment: as ``augmentation.parse`` takes it.

        Raises UserError for names that are unknown or that fit no observable.
        """
        return parse(augment, [observable.kind for observable in self.inputs], self.periodic)

    def with_kinds(self, read_options: ReadOptions) -> ReadOptions:
        """Profiles, maps and grids are read as such, unless a kind is declared: their axes alone may not say it."""
        kinds = [observable.kind for observable in self.inputs]
        names = read_options.data or tuple(observable.name for observable in self.inputs)
        if read_options.kind or len(names) != len(kinds) or set(kinds) == {"vector"}:
            return read_options
        if len(kinds) == 1:
            return replace(read_options, kind=kinds[0])
        pairs = zip(names, kinds, strict=True)
        return replace(read_options, kind=join_words({name: kind for name, kind in pairs if kind != "vector"}))

    def model_rows(self, read_options: ReadOptions) -> tuple[ModelRow, ...]:
        """Rows as a file may hold them, one for each observable, when it is read like this."""
        is_cut = bool(read_options.scale_cut)
        return tuple(ModelRow(observable.shape, is_cut, observable.channels_last) for observable in self.inputs)

    def check_catalog(self, catalog: Catalog) -> None:
        """Raises UserError for data of another shape, and for parameters or classes of other names."""
        self.check_data(catalog)
        names = self.parameters.names
        if names and catalog.parameters is not None and catalog.parameters.names != names:
            raise UserError(
                f"{catalog.path}: the model infers {', '.join(names)}; "
                f"this catalog has {', '.join(catalog.parameters.names)} (`infer` picks and orders them)"
            )
        if catalog.classes and catalog.classes != self.classes:
            raise UserError(
                f"{catalog.path}: the model has the classes {', '.join(self.classes) or 'none'}; "
                f"this catalog has the classes {', '.join(catalog.classes)}, and their order matters"
            )

    def check_data(self, catalog: Catalog) -> None:
        """Raises UserError for data of another shape, or with gaps where the model was trained without."""
        shapes = tuple(observable.row_shape for observable in catalog.observables)
        expected = tuple(observable.shape for observable in self.inputs)
        if shapes != expected:
            raise UserError(
                f"{catalog.path}: the model was trained on data of shape {_join_shapes(expected)} a row; "
                f"this catalog has {_join_shapes(shapes)}{_reversed_axes_hint(catalog, expected)}"
            )
        for observable, trained in zip(catalog.observables, self.inputs, strict=True):
            if observable.features and trained.features and observable.features != trained.features:
                raise UserError(_other_features(catalog, observable.name, observable.features, trained.features))
        if any(observable.masked for observable in catalog.observables) and not any(
            trained.masked for trained in self.inputs
        ):
            raise UserError(f"{catalog.path}: was read with `missing=mask`, and the model was trained without")


def _other_features(catalog: Catalog, name: str, features: tuple[str, ...], trained: tuple[str, ...]) -> str:
    """That data whose columns have names are not those of the model."""
    place = next(place for place, pair in enumerate(zip(features, trained, strict=True)) if len({*pair}) > 1)
    difference = f"{catalog.path}: column {place} of /{name} is {features[place]}, and the model was trained on"
    if sorted(features) == sorted(trained):
        order = ",".join(write(feature) for feature in trained) if len(trained) <= MAX_LISTED_FEATURES else "..."
        return f"{difference} {trained[place]} there: the order differs; `columns=data={order}` orders them by name"
    return f"{difference} {trained[place]}; give the columns the names that they had, or none"


def _scaled_blocks(
    observable: Input, blocks: Iterator[np.ndarray], catalog: Catalog, rows: np.ndarray
) -> Iterator[np.ndarray]:
    first = 0
    for block in blocks:
        scaled = observable.scaled(block)
        bad = first + np.flatnonzero(~np.isfinite(scaled.reshape(len(scaled), -1)).all(axis=1))
        if len(bad):
            reason = "NaN, and no training row has a gap in it" if np.isnan(scaled).any() else BEYOND_PRECISION
            raise UserError(f"{catalog.path}: {catalog.describe_rows(rows[bad])}: /{observable.name} holds {reason}")
        yield scaled
        first += len(block)


def _reversed_axes_hint(catalog: Catalog, expected: Sequence[tuple[int, ...]]) -> str:
    """What an error about shapes adds where those of the file, in reverse order, are the expected ones."""
    stored = [(len(catalog), *observable.row_shape) for observable in catalog.observables]
    turned = [shape[::-1][1:] in (row, row[1:]) for shape, row in zip(stored, expected, strict=False)]
    return f"; its data have {REVERSED_AXES}" if turned and all(turned) else ""


def _join_shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join(str(shape) for shape in shapes)
