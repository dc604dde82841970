"""How a catalog is read: where things stand in its files, what they mean, and which of them are used."""

from dataclasses import dataclass, field

from cosmoinfer.catalog.kinds import AXES_OF_KIND, CHANNEL_ORDERS, check_words
from cosmoinfer.errors import UserError, list_choices
from cosmoinfer.settings import OMIT_DEFAULT

MISSING_MODES = ("mask",)
COMPLEX_FORMS = ("parts", "amplitude")


@dataclass(frozen=True)
class ReadOptions:
    """How to find things in a file. Empty means: as our own layout names them.

    parameters, data, simulation: paths of datasets.
    kind: vector, profile, map or grid, of all data or ``pk@vector,maps@map``; by default as the file says, else by the
        number of axes.
    channels: ``first`` or ``last``, the axis of a row on which its channels stand; of all data or ``maps@last``.
    rows_per_simulation: how many consecutive rows are of one simulation.
    names: of the parameters.
    bounds: the prior box, ``a=0.1:0.5,b=0.25:4:log``; priors, ``n=0.9:1:normal:0.96:0.02``; correlations, ``a~b=0.5``.
    where: conditions that hold in the region to which the prior is cut, ``w0+wa<0``, beside those of the file.
    infer: the parameters to infer; the others are marginalised.
    scale_cut: features to keep, ``0:40``, ``k<0.3`` or ``0.02<k<0.3``, with ``NAME@`` before it when there are several
        observables.
    target: a dataset of /classes that takes the place of the parameters.
    missing: ``mask`` when NaN marks an entry that was not measured.
    drop_nonfinite: leave out rows with NaN or infinity, which are refused otherwise.
    data_include_noise: the data hold their noise already, so a model that was trained on noise adds none.
    transpose: axes are in reverse order in the file, as Julia, MATLAB and Fortran write them.
    complex: what stands for complex data: ``parts`` (real and imaginary) or ``amplitude``.
    columns: of tables in text files, what each is: ``parameters=0:2,data=2:``.
    follow_links: open the other files to which links of this one lead, or that hold values of its datasets; a model
        does not remember it.

    Raises UserError for an unknown kind or mode, and for settings that exclude each other.
    """

    parameters: str = ""
    data: tuple[str, ...] = ()
    kind: str = ""
    channels: str = ""
    simulation: str = ""
    rows_per_simulation: int = 0
    names: tuple[str, ...] = ()
    bounds: str = ""
    where: tuple[str, ...] = ()
    infer: tuple[str, ...] = ()
    scale_cut: tuple[str, ...] = ()
    target: str = ""
    missing: str = ""
    drop_nonfinite: bool = False
    data_include_noise: bool = False
    transpose: bool = False
    complex: str = ""
    columns: str = field(default="", metadata=OMIT_DEFAULT)
    follow_links: bool = False

    def __post_init__(self) -> None:
        check_words("kind", self.kind, AXES_OF_KIND)
        check_words("channels", self.channels, CHANNEL_ORDERS)
        if self.missing and self.missing not in MISSING_MODES:
            raise UserError(f"{self.missing!r} is not known; {list_choices(self.missing, MISSING_MODES)}", "missing")
        if self.complex and self.complex not in COMPLEX_FORMS:
            raise UserError(f"{self.complex!r} is not known; {list_choices(self.complex, COMPLEX_FORMS)}", "complex")
        if self.target and (self.infer or self.bounds or self.where or self.names):
            settings = "`infer`, `bounds`, `where` and `names`"
            raise UserError(f"replaces the parameters, so that {settings} do not apply", "target")
        if self.rows_per_simulation < 0:
            raise UserError(f"expected at least 1, found {self.rows_per_simulation}", "rows_per_simulation")
