"""What a model knows of its data, whatever its networks are: scalings, names, split, and which rows it has seen."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cosmoinfer.catalog import Catalog, Reading
from cosmoinfer.errors import UserError, listed
from cosmoinfer.models.reference import Ridge, fit_ridge
from cosmoinfer.parameters import Parameters, recognise_log_uniform
from cosmoinfer.scaling import Standardizer, fit_standardizer
from cosmoinfer.split import PARTS, Split


@dataclass(frozen=True)
class Frame:
    """shapes, kinds, periodic: one entry a summary. seen: (n, 2) hashes of the training rows (theta and x).
    judged: the same of the validation rows, which chose epoch, support and mixture."""

    parameters: Parameters
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    periodic: tuple[bool, ...]
    standardizers: tuple[Standardizer, ...]
    split: Split
    reading: Reading
    fingerprint: str
    seen: np.ndarray
    judged: np.ndarray
    reference: Ridge

    def data(self, catalog: Catalog, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """What the networks see of these rows: one float32 array a summary."""
        pairs = zip(catalog.summaries, self.standardizers, strict=True)
        return tuple(np.concatenate([scale(block) for block in summary.blocks(rows)]) for summary, scale in pairs)

    def references(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """The ridge estimate of theta, (n, P), inside the box."""
        return self.parameters.clip(self.reference(self.data(catalog, rows)))

    def own(self, catalog: Catalog) -> bool:
        """Whether this is the catalog that the model was trained on."""
        return catalog.fingerprint == self.fingerprint

    def check(self, catalog: Catalog) -> None:
        """Refuse data of another shape, or parameters of other names."""
        self.check_data(catalog)
        if catalog.parameters is not None and catalog.parameters.names != self.parameters.names:
            raise UserError(
                f"{catalog.path}: the model infers {', '.join(self.parameters.names)}; "
                f"this catalog has {', '.join(catalog.parameters.names)} (--names or --infer picks and orders them)"
            )

    def check_data(self, catalog: Catalog) -> None:
        """Refuse data of another shape."""
        found = tuple(summary.shape for summary in catalog.summaries)
        if found != self.shapes:
            raise UserError(
                f"{catalog.path}: the model was trained on data of shape {_shapes(self.shapes)} a row; "
                f"this catalog has {_shapes(found)}"
            )

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
                    f"rows (row {listed(catalog.index[used])}); --split test takes the others, --split train those"
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
        for number, standardizer in enumerate(self.standardizers):
            arrays |= {f"scalings/{number}/{name}": value for name, value in standardizer.arrays().items()}
        return arrays

    def config(self) -> dict[str, Any]:
        return {
            "names": self.names,
            "kinds": self.kinds,
            "shapes": self.shapes,
            "periodic": self.periodic,
            "reading": asdict(self.reading),
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_arrays(
        cls, config: dict[str, Any], arrays: dict[str, np.ndarray], attributes: dict[str, dict[str, Any]]
    ) -> "Frame":
        reading: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in config["reading"].items()
        }
        names = ("log", "floor", "mean", "std", "floored")
        return cls(
            Parameters.from_attributes(attributes["parameters"]),
            tuple(config["names"]),
            tuple(config["kinds"]),
            tuple(tuple(shape) for shape in config["shapes"]),
            tuple(config["periodic"]),
            tuple(
                Standardizer.from_arrays({name: arrays[f"scalings/{number}/{name}"] for name in names})
                for number in range(len(config["names"]))
            ),
            Split(arrays["split/simulation"].astype(str), arrays["split/part"]),
            Reading(**reading),
            config["fingerprint"],
            arrays["seen"],
            arrays["judged"],
            Ridge(arrays["reference/weights"], arrays["reference/offset"]),
        )


def fit_frame(catalog: Catalog, split: Split, reading: Reading, transform: str) -> Frame:
    """All scalings from the training rows, all of them, and from nothing else."""
    parameters, theta = catalog.training()
    rows = split.rows(catalog.simulation, "train")
    parameters = recognise_log_uniform(parameters, theta[rows], catalog.declared)
    _check_variation(catalog, parameters, theta[rows], rows)
    standardizers = tuple(
        fit_standardizer(lambda one=summary: one.blocks(rows), summary.kind == "vector", transform)  # type: ignore[misc]
        for summary in catalog.summaries
    )
    frame = Frame(
        parameters,
        tuple(summary.name for summary in catalog.summaries),
        tuple(summary.kind for summary in catalog.summaries),
        tuple(summary.shape for summary in catalog.summaries),
        tuple(summary.periodic for summary in catalog.summaries),
        standardizers,
        split,
        reading,
        catalog.fingerprint,
        catalog.hashes(rows),
        catalog.hashes(split.rows(catalog.simulation, "validation")),
        Ridge(np.zeros((0, len(parameters))), np.zeros(len(parameters))),
    )
    return replace(frame, reference=fit_ridge(frame.data(catalog, rows), theta[rows]))


def _check_variation(catalog: Catalog, parameters: Parameters, theta: np.ndarray, rows: np.ndarray) -> None:
    """A parameter that never varies has a density without bound; data that never vary teach nothing."""
    constant = [name for name, varies in zip(parameters.names, np.ptp(theta, axis=0) > 0, strict=True) if not varies]
    if constant:
        raise UserError(f"{catalog.path}: {listed(constant)} never varies in the training rows; --infer leaves it out")
    first = [summary.read(rows[:1]) for summary in catalog.summaries]
    if all(
        (block == one).all()
        for summary, one in zip(catalog.summaries, first, strict=True)
        for block in summary.blocks(rows)
    ):
        raise UserError(f"{catalog.path}: the data are the same in every training row")


def choices(frame: Frame, catalog: Catalog) -> list[str]:
    """What was assumed and chosen about the data, a line each."""
    lines = list(catalog.notes)
    guessed = [
        name
        for name, prior in zip(frame.parameters.names, frame.parameters.prior, strict=True)
        if prior == "log-uniform" and name not in catalog.declared
    ]
    if guessed:
        lines.append(f"taken as log-uniform, as the training rows prefer it: {', '.join(guessed)}")
    for name, standardizer in zip(frame.names, frame.standardizers, strict=True):
        if standardizer.log.any():
            note = f"/{name}: taken to log10"
            if standardizer.floored:
                note += f"; {standardizer.floored} training values floored at the feature's smallest positive one"
            lines.append(note)
    train, validation, test = frame.split.sizes
    lines.append(f"{train} simulations train, {validation} validate, {test} test")
    return lines


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
