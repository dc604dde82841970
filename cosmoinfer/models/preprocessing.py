"""What a model knows of its data, whatever its networks are: scalings, names, split, and which rows it has seen."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cosmoinfer.catalog import Catalog, Reading
from cosmoinfer.errors import UserError, listed
from cosmoinfer.multiscale_power import summary_features
from cosmoinfer.ood.detector import Novelty, fit_novelty, gap_counts
from cosmoinfer.ood.mmd import LEAST_OBSERVATIONS
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.inputs import Input
from cosmoinfer.preprocessing.noise import Noise
from cosmoinfer.preprocessing.ridge_estimate import Ridge
from cosmoinfer.split import PARTS, Split
from cosmoinfer.training.loop import MAX_ROWS_PER_CHUNK

SUNK = 0.5  # share of a row's numbers below all training values, from which on it is told
CHUNK_NUMBERS = 1 << 23  # of the data, that are scaled at once


@dataclass(frozen=True)
class Frame:
    """inputs: one a summary. seen: (n, 2) hashes of the training rows (theta and x), of an ancestor's and a summary
    network's too. judged: the same of the validation rows, which chose epoch, support and mixture. noise: what is added
    to simulated data. classes: names of the classes, where a categorical target stands in the place of parameters.
    novelty: how unlike the training rows others are; None for a density, which tells that by itself."""

    parameters: Parameters
    inputs: tuple[Input, ...]
    split: Split
    reading: Reading
    fingerprint: str
    seen: np.ndarray
    judged: np.ndarray
    reference: Ridge
    noise: Noise | None = None
    classes: tuple[str, ...] = ()
    novelty: Novelty | None = None

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of one row as the networks see it, one a summary."""
        return tuple(one.seen for one in self.inputs)

    @property
    def periodic(self) -> tuple[bool, ...]:
        return tuple(one.periodic for one in self.inputs)

    def data(self, catalog: Catalog, rows: np.ndarray, epoch: int | None = None) -> tuple[np.ndarray, ...]:
        """What the networks see of these rows: one float32 array a summary. epoch: with fresh noise, for training."""
        pairs = zip(self.inputs, observed(catalog, rows, self.noise, epoch), strict=True)
        return tuple(np.concatenate([one(block) for block in blocks]) for one, blocks in pairs)

    def chunks(self, catalog: Catalog, rows: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """The same of as many rows at a time as fit into little memory."""
        for some in in_chunks(rows, self.at_once):
            yield self.data(catalog, some)

    @property
    def at_once(self) -> int:
        """Rows whose data are a bounded amount of numbers."""
        numbers = max(1, sum(int(np.prod(one.shape)) for one in self.inputs))
        return min(MAX_ROWS_PER_CHUNK, max(1, CHUNK_NUMBERS // numbers))

    def references(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """The ridge estimate of theta, (n, P), inside the box."""
        return self.parameters.clip(self.reference(self.chunks(catalog, rows)))

    def spaces(self, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
        """In which observations are compared with the training rows, (n, F) each: the data, scaled and not compressed,
        and how many gaps there are, where gaps are known."""
        data, gaps = [], []
        for one, blocks in zip(self.inputs, observed(catalog, rows, self.noise), strict=True):
            found, holes = [], []
            for block in blocks:  # which is let go before the next one comes
                scaled = one.scaled(block)
                found.append(summary_features(scaled))
                holes += [gap_counts(scaled[:, one.shape[0] :])] if one.masked else []
            data.append(np.concatenate(found))
            gaps += [np.concatenate(holes)] if one.masked else []
        return [np.concatenate(data, axis=1), *([np.concatenate(gaps, axis=1)] if gaps else [])]

    def acquainted(self, catalog: Catalog, spaces: "Spaces") -> "Frame":
        """The frame that knows its training rows in these spaces, and how far from them its validation rows lie."""
        train, validation = (self.split.rows(catalog.simulation, part) for part in ("train", "validation"))
        found = fit_novelty(
            spaces(catalog, train),
            spaces(catalog, validation),
            catalog.simulation[train],
            catalog.simulation[validation],
            any(one.masked for one in self.inputs),
        )
        return replace(self, novelty=found)

    def oddness(self, catalog: Catalog, rows: np.ndarray, spaces: "Spaces", seed: int) -> dict[str, Any]:
        """``ood_percentile`` of each row, and ``ood_set_p_value`` of all rows that no training has seen, if many."""
        if self.novelty is None:
            return {}
        found = spaces(catalog, rows)
        new = self.parts(catalog, rows) >= 2
        p_value = None
        if new.sum() >= LEAST_OBSERVATIONS:
            p_value = self.novelty.p_value([one[new] for one in found], catalog.simulation[rows][new], seed)
        below = np.where(self.sunk(catalog, rows), 100 * (1 - self._chance_sunk), 0.0)
        return {"ood_percentile": np.maximum(self.novelty.percentile(found), below), "ood_set_p_value": p_value}

    def sunk(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """(n,) bool: whether half or more of the numbers that are taken to log10 lie below all training values.

        There they are all taken for the least of these, so that the network and the distances see no difference
        between them: negative numbers, other units, a logarithm that was taken before.
        """
        found = np.zeros(len(rows))
        for one, blocks in zip(self.inputs, observed(catalog, rows, self.noise), strict=True):
            if one.standardizer.log.any():
                found = np.maximum(found, np.concatenate([one.standardizer.below(block) for block in blocks]))
        return found >= SUNK

    @property
    def _chance_sunk(self) -> float:
        """At most, of a row like the training rows: a number of it is less than all of G simulations' with a chance of
        1 / (G + 1) at most, or is none as often as in the training rows; half of all, by Markov's inequality, with
        twice that chance."""
        numbers = len(self.seen) * sum(int(one.standardizer.log.any()) * int(np.prod(one.shape)) for one in self.inputs)
        floored = sum(one.standardizer.floored for one in self.inputs) / max(1, numbers)
        return min(1.0, (1 / (1 + self.split.sizes[0]) + floored) / SUNK)

    def own(self, catalog: Catalog) -> bool:
        """Whether this is the catalog that the model was trained on."""
        return catalog.fingerprint == self.fingerprint

    def check(self, catalog: Catalog) -> None:
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
        found, known = (tuple(one.shape for one in group) for group in (catalog.summaries, self.inputs))
        if found != known:
            raise UserError(
                f"{catalog.path}: the model was trained on data of shape {_shapes(known)} a row; "
                f"this catalog has {_shapes(found)}"
            )
        if any(one.masked and not own.masked for one, own in zip(catalog.summaries, self.inputs, strict=True)):
            raise UserError(f"{catalog.path}: was read with --missing mask, and the model was trained without")

    def rows(self, catalog: Catalog, part: str | None) -> np.ndarray:
        """The rows (by position) of a part. None: the model's own test rows, or the whole of another catalog.

        A row that the model was trained on is found by its content, under whatever number it stands.
        """
        if part is None and not self.own(catalog):
            everything = np.arange(len(catalog))
            used = self.parts(catalog, everything) < 2
            if used.any():
                raise UserError(
                    f"{catalog.path}: the model was trained on or chosen by {int(used.sum())} of these {len(catalog)} "
                    f"rows ({catalog.told(np.flatnonzero(used))}); --split test takes the others, --split train those"
                )
            return everything
        part = part or "test"
        if part not in (*PARTS, "all"):
            raise UserError(f"--split: {part!r} is not known; there are {', '.join(PARTS)} and all")
        if part == "all":
            return np.arange(len(catalog))
        parts = self.parts(catalog, np.arange(len(catalog)))
        chosen = np.flatnonzero(parts == PARTS.index(part))
        if len(chosen) == 0:
            raise UserError(f"{catalog.path}: no row belongs to the {part} part of the model's split")
        return chosen

    def parts(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """The part of each row, (n,): from the split in its own catalog; elsewhere told by content, test if unknown."""
        if self.own(catalog):
            return self.split.of(catalog.simulation[rows])
        found = catalog.hashes(rows)[:, 1]  # of the data alone: an observation has no theta
        judged = np.where(np.isin(found, self.judged[:, 1]), 1, 2)
        return np.where(np.isin(found, self.seen[:, 1]), 0, judged).astype(np.uint8)

    def trained_on(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """(n,) bool: whether the data of the row were among the training rows."""
        return np.isin(catalog.hashes(rows)[:, 1], self.seen[:, 1])

    def met(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """(n,) bool: whether a training row had the parameters of the row, whatever its data."""
        return np.isin(catalog.theta_hashes(rows), self.seen[:, 0])

    # -------------------------------------------------------------------------------------------------- the file
    def arrays(self) -> dict[str, np.ndarray]:
        arrays = {
            "parameters": np.array(self.parameters.names),
            "split/simulation": self.split.simulation,
            "split/part": self.split.part,
            "seen": self.seen,
            "judged": self.judged,
            "reference/weights": self.reference.weights,
            "reference/offset": self.reference.offset,
        }
        for number, one in enumerate(self.inputs):
            arrays |= {f"inputs/{number}/{name}": value for name, value in one.arrays().items()}
        if self.noise is not None:
            arrays["noise/root"] = self.noise.root
        if self.novelty is not None:
            arrays |= {f"novelty/{name}": value for name, value in self.novelty.arrays().items()}
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
    ) -> "Frame":
        reading: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in config["reading"].items()
        }
        inputs = []
        for number, one in enumerate(config["inputs"]):
            start = f"inputs/{number}/"
            own = {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}
            inputs.append(Input.from_arrays(one, own))
        novelty = {name.removeprefix("novelty/"): value for name, value in arrays.items() if name[:8] == "novelty/"}
        return cls(
            Parameters.from_attributes(attributes["parameters"]),
            tuple(inputs),
            Split(arrays["split/simulation"].astype(str), arrays["split/part"]),
            Reading(**reading),
            config["fingerprint"],
            arrays["seen"],
            arrays["judged"],
            Ridge(arrays["reference/weights"], arrays["reference/offset"]),
            Noise(arrays["noise/root"], config["noise_seed"]) if "noise/root" in arrays else None,
            tuple(config["classes"]),
            Novelty.from_arrays(novelty) if novelty else None,
        )


def in_chunks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Rows (n,), so many at a time; one empty chunk of none."""
    return [rows[start : start + size] for start in range(0, len(rows), size)] or [rows]


Spaces = Callable[[Catalog, np.ndarray], list[np.ndarray]]


def observed(
    catalog: Catalog, rows: np.ndarray, noise: Noise | None, epoch: int | None = None
) -> list[Iterator[np.ndarray]]:
    """The data of these rows as a telescope would give them, in blocks, an iterator a summary.

    Noise goes onto simulations, whose parameters are known; what has none is an observation, and noisy already.
    """
    if noise is None or catalog.theta is None or catalog.noisy:
        return [summary.blocks(rows) for summary in catalog.summaries]
    values = catalog.summaries[0].read(rows)
    drawn = noise.fixed(catalog.index[rows]) if epoch is None else noise.fresh(len(rows), epoch)
    return [iter([values + drawn.reshape(values.shape)])]


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join(str(shape) for shape in shapes)


def as_read_by(reading: Reading, given: Reading) -> Reading:
    """How to read a catalog for a model: as the model's own was read, but for what the command line says."""
    empty = Reading()
    if given.features and given.features != reading.features:
        raise UserError(f"--features {listed(given.features)}: the model has scale cuts of its own, which hold")
    said = {key: value for key, value in asdict(given).items() if value != getattr(empty, key)}
    layout = ("parameters", "data", "kind", "simulation", "rows_per_simulation", "names", "bounds")
    base = replace(reading, **{key: getattr(empty, key) for key in layout}) if said.keys() & set(layout) else reading
    return replace(base, **said)
