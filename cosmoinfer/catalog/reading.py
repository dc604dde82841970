"""How a catalog file is to be read: where things stand in it, and which part of it is wanted."""

from dataclasses import dataclass

from cosmoinfer.errors import UserError

AXES = {"vector": 1, "profile": 2, "map": 3, "grid": 4}  # kind: axes of one row, channels included
MISSING = ("mask",)


@dataclass(frozen=True)
class Reading:
    """How to find things in a file. Empty means: as our own layout names them.

    target: a dataset of /classes that takes the place of the parameters. missing: ``mask`` where NaN in a vector marks
    what was not measured. noisy: the data hold their noise already, so a model that trained on noise adds none.
    """

    parameters: str = ""
    data: tuple[str, ...] = ()
    kind: str = ""
    simulation: str = ""
    rows_per_simulation: int = 0
    names: tuple[str, ...] = ()
    bounds: str = ""
    infer: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    target: str = ""
    missing: str = ""
    drop_nonfinite: bool = False
    noisy: bool = False

    def __post_init__(self) -> None:
        if self.kind and self.kind not in AXES:
            raise UserError(f"--kind: {self.kind!r} is not known; there are {', '.join(AXES)}")
        if self.missing and self.missing not in MISSING:
            raise UserError(f"--missing: {self.missing!r} is not known; there is {', '.join(MISSING)}")
        if self.target and (self.infer or self.bounds or self.names):
            raise UserError("--target replaces the parameters; --infer, --bounds and --names would not be heard")
        if self.rows_per_simulation < 0:
            raise UserError(f"--rows-per-simulation: expected at least 1, found {self.rows_per_simulation}")
