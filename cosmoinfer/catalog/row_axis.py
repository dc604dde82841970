"""Which axis of a dataset the rows are along: the first, unless shapes or the user's settings tell otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass

from cosmoinfer.errors import UserError
from cosmoinfer.storage import DatasetInfo, Encoding
from cosmoinfer.storage.encoding import RowAxis, is_complex

REVERSED_AXES = "axes in reverse order, as Julia, MATLAB and Fortran write them; `transpose` turns them"
RowShape = tuple[int, ...]


@dataclass(frozen=True)
class ModelRow:
    """A row of one observable as a model takes it, by which the rows of a dataset are recognised.

    shape: with the axis of channels, first, after scale cuts. is_cut: whether there are any.
    channels_last: whether the training catalog had its channels on the last axis.
    """

    shape: RowShape
    is_cut: bool = False
    channels_last: bool = False

    def fits(self, dataset: DatasetInfo, row_axis: RowAxis) -> bool:
        """Whether the rows along this axis are of that shape."""
        if self.is_cut and row_axis is RowAxis.ONLY:
            return False  # one number a row leaves nothing to cut
        row = Encoding(row_axis).shape(dataset.shape)[1:]
        return any(self._matches(form) for form in _forms(row, is_complex(dataset.dtype)))

    def has_channels_last(self, row: RowShape) -> bool:
        """Whether a row of a dataset that declares nothing stands as those of the training catalog did."""
        return self.channels_last and self._matches((*row[-1:], *row[:-1]))

    def _matches(self, row: RowShape) -> bool:
        if self.is_cut and len(row) == len(self.shape):
            return row[:-1] == self.shape[:-1] and row[-1] >= self.shape[-1]
        return row == self.shape


def _forms(row: RowShape, has_parts: bool) -> list[RowShape]:
    """Shapes under which a model may know a row: with channels that are last, one, or real and imaginary parts."""
    forms = [row, (1, *row), (*row[-1:], *row[:-1])]
    if has_parts and row:
        forms += [(2 * row[0], *row[1:]), (2, *row), (2 * row[-1], *row[:-1])]
    return forms


def choose_row_axis(
    dataset: DatasetInfo, source: str, transpose: bool, model_row: ModelRow | None, row_counts: Sequence[int]
) -> RowAxis:
    """The axis of the rows of a dataset.

    source: for messages. transpose: axes are in reverse order. row_counts: numbers of rows that other datasets have.

    Raises UserError for a single axis of which nothing says whether it holds rows, or the numbers of one row.
    """
    if not dataset.shape:
        raise UserError(f"{source} is a single number; expected (1, 1) for one row of one number")
    candidates = (RowAxis.LAST, RowAxis.FIRST, RowAxis.ABSENT) if transpose else (RowAxis.FIRST, RowAxis.ABSENT)
    if len(dataset.shape) < 2:
        candidates = (RowAxis.ONLY, RowAxis.ABSENT)
    fitting = [axis for axis in candidates if model_row is not None and model_row.fits(dataset, axis)]
    if fitting:
        return fitting[0]
    if len(dataset.shape) == 1:
        (length,) = dataset.shape
        if length in row_counts:
            return RowAxis.ONLY
        if list(row_counts) == [1]:
            return RowAxis.ABSENT
        expected = f"(1, {length}) for one row of {length} numbers, or ({length}, 1) for {length} rows of one number"
        raise UserError(f"{source} has shape {dataset.shape}; expected {expected}")
    return candidates[0]


def describe_row_axis(name: str, dataset: DatasetInfo, row_axis: RowAxis) -> str:
    """A note on rows that are not along the first of several axes; empty where they are."""
    return {
        RowAxis.FIRST: "",
        RowAxis.LAST: f"/{name}: {dataset.shape} in the file, whose axes are turned (`transpose`)",
        RowAxis.ABSENT: f"/{name}: {dataset.shape} without an axis of rows, taken as one row",
        RowAxis.ONLY: f"/{name}: {dataset.shape} taken as one number a row",
    }[row_axis]


def reversed_axes_hint(data: Sequence[DatasetInfo], parameters: RowShape, n_names: int = 0) -> str:
    """What an error about numbers of rows adds where they agree once axes are reversed; empty elsewhere.

    parameters: the shape of their dataset. n_names: how many names they have, if known.
    """
    last = {dataset.shape[-1] for dataset in data if len(dataset.shape) > 1}
    first = {dataset.shape[0] for dataset in data}
    shapes = " and ".join(f"/{dataset.path} {dataset.shape}" for dataset in data)
    if len(parameters) == 2 and parameters[1] in last:
        return f"; {shapes} and parameters {parameters} have {REVERSED_AXES}"
    if len(parameters) == 2 and (parameters[1] in first or n_names == parameters[0] != parameters[1]):
        return f"; parameters {parameters} have {REVERSED_AXES}"
    return f"; {shapes} have {REVERSED_AXES}" if parameters[0] in last else ""
