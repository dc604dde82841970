"""How a catalog file is to be read: where things stand in it, and which part of it is wanted."""

from dataclasses import dataclass

from cosmoinfer.errors import UserError

AXES = {"vector": 1, "profile": 2, "map": 3, "grid": 4}  # kind: axes of one row, channels included


@dataclass(frozen=True)
class Reading:
    """How to find things in a file. Empty means: as our own layout names them."""

    parameters: str = ""
    data: tuple[str, ...] = ()
    kind: str = ""
    simulation: str = ""
    rows_per_simulation: int = 0
    names: tuple[str, ...] = ()
    bounds: str = ""
    infer: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    drop_nonfinite: bool = False

    def __post_init__(self) -> None:
        if self.kind and self.kind not in AXES:
            raise UserError(f"--kind: {self.kind!r} is not known; there are {', '.join(AXES)}")
        if self.rows_per_simulation < 0:
            raise UserError(f"--rows-per-simulation: expected at least 1, found {self.rows_per_simulation}")
