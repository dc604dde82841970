"""What a model knows of its data, whatever its networks are: scalings, names, split, and which rows it has seen."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cosmoinfer.catalog import Catalog, ReadOptions
from cosmoinfer.errors import UserError, listed
from cosmoinfer.multiscale_power import summary_features
from cosmoinfer.ood.detector import OutOfDistribution, fit_ood_detector, gap_counts
from cosmoinfer.ood.mmd import MIN_OBSERVATIONS
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.inputs import Input
from cosmoinfer.preprocessing.noise import Noise
from cosmoinfer.preprocessing.ridge_estimate import Ridge
from cosmoinfer.split import PARTITIONS, Split
from cosmoinfer.training.loop import MAX_ROWS_PER_CHUNK

BELOW_RANGE_FRACTION = 0.5  # share of a row's numbers below all training values, from which on it is told
MAX_CHUNK_VALUES = 1 << 23  # of the data, that are scaled at once


@dataclass(frozen=True)
class Preprocessing:
    """inputs: one a summary. training_hashes: (n, 2) hashes of the training rows (theta and x), also of the models that
    this one was made from. validation_hashes: the same of the validation rows, which chose epoch, support and mixture.
    noise: what is added to simulated data. classes: names of the classes, where a categorical target stands in the
    place of parameters.
    ood: how unlike the training rows others are; None for a density, which tells that by itself."""

    parameters: Parameters
    inputs: tuple[Input, ...]
    split: Split
    reading: ReadOptions
    fingerprint: str
    training_hashes: np.ndarray
    validation_hashes: np.ndarray
    ridge_estimate: Ridge
    noise: Noise | None = None
    classes: tuple[str, ...] = ()
    ood: OutOfDistribution | None = None

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of one row as the networks see it, one a summary."""
        return tuple(one.network_shape for one in self.inputs)

    @property
    def periodic(self) -> tuple[bool, ...]:
        return tuple(one.periodic for one in self.inputs)

    def data(self, catalog: Catalog, rows: np.ndarray, epoch: int | None = None) -> tuple[np.ndarray, ...]:
        """What the networks see of these rows: one float32 array a summary. epoch: with fresh noise, for training."""
        pairs = zip(self.inputs, add_noise(catalog, rows, self.noise, epoch), strict=True)
        return tuple(np.concatenate([one(block) for block in blocks]) for one, blocks in pairs)

    def chunks(self, catalog: Catalog, rows: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """The same of as many rows at a time as fit into little memory."""
        for some in in_chunks(rows, self.rows_per_chunk):
            yield self.data(catalog, some)

    @property
    def rows_per_chunk(self) -> int:
        """Rows whose data are a bounded amount of numbers."""
        numbers = max(1, sum(int(np.prod(one.shape)) for one in self.inputs))
        return min(MAX_ROWS_PER_CHUNK, max(1, MAX_CHUNK_VALUES // numbers))

    def estimate_parameters(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """The ridge estimate of theta, (n, P), inside the box."""
        return self.parameters.clip(self.ridge_estimate(self.chunks(catalog, rows)))

    def feature_spaces(self, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
        """In which observations are compared with the training rows, (n, F) each: the data, scaled and not compressed,
        and how many gaps there are, where gaps are known."""
        data, gaps = [], []
        for one, blocks in zip(self.inputs, add_noise(catalog, rows, self.noise), strict=True):
            found, holes = [], []
            for block in blocks:  # which is let go before the next one comes
                scaled = one.scaled(block)
                found.append(summary_features(scaled))
                holes += [gap_counts(scaled[:, one.shape[0] :])] if one.masked else []
            data.append(np.concatenate(found))
            gaps += [np.concatenate(holes)] if one.masked else []
        return [np.concatenate(data, axis=1), *([np.concatenate(gaps, axis=1)] if gaps else [])]

    def with_ood_detector(self, catalog: Catalog, feature_spaces: "FeatureSpaces") -> "Preprocessing":
        """The frame that knows its training rows in these spaces, and how far from them its validation rows lie."""
        train, validation = (self.split.select_rows(catalog.simulation, part) for part in ("train", "validation"))
        found = fit_ood_detector(
            feature_spaces(catalog, train),
            feature_spaces(catalog, validation),
            catalog.simulation[train],
            catalog.simulation[validation],
            any(one.masked for one in self.inputs),
        )
        return replace(self, ood=found)

    def ood_scores(
        self, catalog: Catalog, rows: np.ndarray, feature_spaces: "FeatureSpaces", seed: int
    ) -> dict[str, Any]:
        """``ood_percentile`` of each row, and ``ood_set_p_value`` of all rows that no training has seen, if many."""
        if self.ood is None:
            return {}
        features = feature_spaces(catalog, rows)
        unseen = self.partition_of(catalog, rows) >= 2
        p_value = None
        if unseen.sum() >= MIN_OBSERVATIONS:
            p_value = self.ood.set_p_value([one[unseen] for one in features], catalog.simulation[rows][unseen], seed)
        below = np.where(self.below_training_range(catalog, rows), 100 * (1 - self._chance_below_range), 0.0)
        return {"ood_percentile": np.maximum(self.ood.percentile(features), below), "ood_set_p_value": p_value}

    def below_training_range(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """(n,) bool: whether half or more of the numbers that are taken to log10 lie below all training values.

        There they are all taken for the least of these, so that the network and the distances see no difference
        between them: negative numbers, other units, a logarithm that was taken before.
        """
        found = np.zeros(len(rows))
        for one, blocks in zip(self.inputs, add_noise(catalog, rows, self.noise), strict=True):
            if one.standardizer.log.any():
                found = np.maximum(
                    found, np.concatenate([one.standardizer.fraction_below_floor(block) for block in blocks])
                )
        return found >= BELOW_RANGE_FRACTION

    @property
    def _chance_below_range(self) -> float:
        """At most, of a row like the training rows: a number of it is less than all of G simulations' with a chance of
        1 / (G + 1) at most, or is none as often as in the training rows; half of all, by Markov's inequality, with
        twice that chance."""
        numbers = len(self.training_hashes) * sum(
            int(one.standardizer.log.any()) * int(np.prod(one.shape)) for one in self.inputs
        )
        floored = sum(one.standardizer.n_floored for one in self.inputs) / max(1, numbers)
        return min(1.0, (1 / (1 + self.split.sizes[0]) + floored) / BELOW_RANGE_FRACTION)

    def is_training_catalog(self, catalog: Catalog) -> bool:
        """Whether this is the catalog that the model was trained on."""
        return catalog.fingerprint == self.fingerprint

    def check_catalog(self, catalog: Catalog) -> None:
        """Refuse data of another shape, and parameters or classes of other names."""
        self.check_data(catalog)
        own = self.parameters.names
        if own and catalog.parameters is not None and catalog.parameters.names != own:
            raise UserError(
                f"{catalog.path}: the model infers {', '.join(own)}; "
                f"this catalog has {', '.join(catalog.parameters.names)} (--names or --infer picks and orders them)"
            )

        if catalog.classes and catalog.classes != self.classes:
            raise UserError(
                f"{catalog.path}: the model tells {', '.join(self.classes) or 'no classes'} apart; "
                f"this catalog has the classes {', '.join(catalog.classes)}, and the order counts"
            )

    def check_data(self, catalog: Catalog) -> None:
        """Refuse data of another shape, or with gaps of which the model knows nothing."""
        found = tuple(observable.row_shape for observable in catalog.observables)
        known = tuple(kept.shape for kept in self.inputs)
        if found != known:
            raise UserError(
                f"{catalog.path}: the model was trained on data of shape {_shapes(known)} a row; "
                f"this catalog has {_shapes(found)}"
            )
        if any(one.masked and not own.masked for one, own in zip(catalog.observables, self.inputs, strict=True)):
            raise UserError(f"{catalog.path}: was read with --missing mask, and the model was trained without")

    def select_rows(self, catalog: Catalog, part: str | None) -> np.ndarray:
        """The rows (by position) of a part. None: the model's own test rows, or the whole of another catalog.

        A row that the model was trained on is found by its content, under whatever number it stands.
        """
        if part is None and not self.is_training_catalog(catalog):
            everything = np.arange(len(catalog))
            used = self.partition_of(catalog, everything) < 2
            if used.any():
                raise UserError(
                    f"{catalog.path}: the model was trained on or chosen by {int(used.sum())} of these {len(catalog)} "
                    f"rows ({catalog.describe_rows(np.flatnonzero(used))}); "
                    "--split test takes the others, --split train those"
                )
            return everything
        part = part or "test"
        if part not in (*PARTITIONS, "all"):
            raise UserError(f"--split: {part!r} is not known; there are {', '.join(PARTITIONS)} and all")
        if part == "all":
            return np.arange(len(catalog))
        partitions = self.partition_of(catalog, np.arange(len(catalog)))
        chosen = np.flatnonzero(partitions == PARTITIONS.index(part))
        if len(chosen) == 0:
            raise UserError(f"{catalog.path}: no row belongs to the {part} part of the model's split")
        return chosen

    def partition_of(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """The part of each row, (n,): from the split in its own catalog; elsewhere told by content, test if unknown."""
        if self.is_training_catalog(catalog):
            return self.split.partition_of(catalog.simulation[rows])
        found = catalog.hashes(rows)[:, 1]  # of the data alone: an observation has no theta
        validation_hashes = np.where(np.isin(found, self.validation_hashes[:, 1]), 1, 2)
        return np.where(np.isin(found, self.training_hashes[:, 1]), 0, validation_hashes).astype(np.uint8)

    def is_training_row(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """(n,) bool: whether the data of the row were among the training rows."""
        return np.isin(catalog.hashes(rows)[:, 1], self.training_hashes[:, 1])

    def shares_parameters(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """(n,) bool: whether a training row had the parameters of the row, whatever its data."""
        return np.isin(catalog.theta_hashes(rows), self.training_hashes[:, 0])

    # -------------------------------------------------------------------------------------------------- the file
    def arrays(self) -> dict[str, np.ndarray]:
        arrays = {
            "parameters": np.array(self.parameters.names),
            "split/simulation": self.split.simulation,
            "split/part": self.split.partition,
            "seen": self.training_hashes,
            "judged": self.validation_hashes,
            "reference/weights": self.ridge_estimate.weights,
            "reference/offset": self.ridge_estimate.offset,
        }
        for number, one in enumerate(self.inputs):
            arrays |= {f"inputs/{number}/{name}": value for name, value in one.arrays().items()}
        if self.noise is not None:
            arrays["noise/root"] = self.noise.root
        if self.ood is not None:
            arrays |= {f"novelty/{name}": value for name, value in self.ood.arrays().items()}
        return arrays

    def config(self) -> dict[str, Any]:
        return {
            "inputs": [one.config() for one in self.inputs],
            "reading": asdict(self.reading),
            "fingerprint": self.fingerprint,
            "noise_seed": None if self.noise is None else self.noise.seed,
            "classes": self.classes,
        }

    @classmethod
    def from_arrays(
        cls, config: dict[str, Any], arrays: dict[str, np.ndarray], attributes: dict[str, dict[str, Any]]
    ) -> "Preprocessing":
        reading: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in config["reading"].items()
        }
        inputs = []
        for number, one in enumerate(config["inputs"]):
            start = f"inputs/{number}/"
            own = {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}
            inputs.append(Input.from_arrays(one, own))
        ood = {name.removeprefix("novelty/"): value for name, value in arrays.items() if name[:8] == "novelty/"}
        return cls(
            Parameters.from_attributes(attributes["parameters"]),
            tuple(inputs),
            Split(arrays["split/simulation"].astype(str), arrays["split/part"]),
            ReadOptions(**reading),
            config["fingerprint"],
            arrays["seen"],
            arrays["judged"],
            Ridge(arrays["reference/weights"], arrays["reference/offset"]),
            Noise(arrays["noise/root"], config["noise_seed"]) if "noise/root" in arrays else None,
            tuple(config["classes"]),
            OutOfDistribution.from_arrays(ood) if ood else None,
        )


def in_chunks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Rows (n,), so many at a time; one empty chunk of none."""
    return [rows[start : start + size] for start in range(0, len(rows), size)] or [rows]


FeatureSpaces = Callable[[Catalog, np.ndarray], list[np.ndarray]]


def add_noise(
    catalog: Catalog, rows: np.ndarray, noise: Noise | None, epoch: int | None = None
) -> list[Iterator[np.ndarray]]:
    """The data of these rows as a telescope would give them, in blocks, an iterator a summary.

    Noise goes onto simulations, whose parameters are known; what has none is an observation, and noisy already.
    """
    if noise is None or catalog.theta is None or catalog.includes_noise:
        return [summary.blocks(rows) for summary in catalog.observables]
    values = catalog.observables[0].read(rows)
    drawn = noise.fixed(catalog.index[rows]) if epoch is None else noise.fresh(len(rows), epoch)
    return [iter([values + drawn.reshape(values.shape)])]


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join(str(shape) for shape in shapes)


def reading_for_model(reading: ReadOptions, given: ReadOptions) -> ReadOptions:
    """How to read a catalog for a model: as the model's own was read, but for what the command line says."""
    empty = ReadOptions()
    if given.scale_cut and given.scale_cut != reading.scale_cut:
        raise UserError(f"--scale-cut {listed(given.scale_cut)}: the model has scale cuts of its own, which hold")
    overridden = {key: value for key, value in asdict(given).items() if value != getattr(empty, key)}
    layout = ("parameters", "data", "kind", "simulation", "rows_per_simulation", "names", "bounds")
    base = (
        replace(reading, **{key: getattr(empty, key) for key in layout}) if overridden.keys() & set(layout) else reading
    )
    return replace(base, **overridden)
