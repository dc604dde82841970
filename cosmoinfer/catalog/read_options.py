"""How a catalog is to be read: where its datasets stand, and what is selected from it."""

from dataclasses import dataclass

from cosmoinfer.errors import UserError, list_choices

AXES_OF_KIND = {"vector": 1, "profile": 2, "map": 3, "grid": 4}  # kind: axes of one row, channels included
MISSING_MODES = ("mask",)


@dataclass(frozen=True)
class ReadOptions:
    """How to find things in a file. Empty means: as our own layout names them.

    parameters, data, simulation: paths of datasets.
    kind: of all data: vector, profile, map or grid; by default as the file says, else by the number of axes.
    rows_per_simulation: how many consecutive rows are of one simulation.
    names: of the parameters.
    bounds: the prior box, ``a=0.1:0.5,b=0.25:4:log``.
    infer: the parameters to infer; the others are marginalised.
    scale_cut: features to keep, ``0:40``, ``k<0.3`` or ``0.02<k<0.3``, with ``NAME@`` before it when there are several
        observables.
    target: a dataset of /classes that takes the place of the parameters.
    missing: ``mask`` when NaN in a vector marks an entry that was not measured.
    drop_nonfinite: leave out rows with NaN or infinity, which are refused otherwise.
    data_include_noise: the data hold their noise already, so a model that was trained on noise adds none.

    Raises UserError for an unknown kind or mode, and for settings that exclude each other.
    """

    parameters: str = ""
    data: tuple[str, ...] = ()
    kind: str = ""
    simulation: str = ""
    rows_per_simulation: int = 0
    names: tuple[str, ...] = ()
    bounds: str = ""
    infer: tuple[str, ...] = ()
    scale_cut: tuple[str, ...] = ()
    target: str = ""
    missing: str = ""
    drop_nonfinite: bool = False
    data_include_noise: bool = False

    def __post_init__(self) -> None:
        if self.kind and self.kind not in AXES_OF_KIND:
            raise UserError(f"{self.kind!r} is not known; {list_choices(self.kind, AXES_OF_KIND)}", "kind")
        if self.missing and self.missing not in MISSING_MODES:
            raise UserError(f"{self.missing!r} is not known; {list_choices(self.missing, MISSING_MODES)}", "missing")
        if self.target and (self.infer or self.bounds or self.names):
            raise UserError("replaces the parameters, so that `infer`, `bounds` and `names` do not apply", "target")
        if self.rows_per_simulation < 0:
            raise UserError(f"expected at least 1, found {self.rows_per_simulation}", "rows_per_simulation")
