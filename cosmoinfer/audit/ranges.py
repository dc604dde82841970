"""Where the numbers of a catalog lie: a line a parameter, or a class, and a line a summary."""

import numpy as np

from cosmoinfer.catalog import Catalog


def ranges(catalog: Catalog) -> dict[str, str]:
    """Where each parameter's rows lie in its box, or how many rows a class has; then the range of each summary."""
    return (_rows_of_classes(catalog) if catalog.classes else _rows_in_box(catalog)) | _summaries(catalog)


def _rows_in_box(catalog: Catalog) -> dict[str, str]:
    told = {}
    if catalog.parameters is not None and catalog.theta is not None:
        parameters = catalog.parameters
        for column, name in enumerate(parameters.names):
            values = catalog.theta[:, column]
            box = f"{parameters.low[column]:g}..{parameters.high[column]:g} {parameters.prior[column]}"
            told[name] = f"{np.nanmin(values):.4g}..{np.nanmax(values):.4g}, box {box}"
    return told


def _rows_of_classes(catalog: Catalog) -> dict[str, str]:
    parameters, theta = catalog.require_parameters()
    counts = np.bincount(theta[:, 0].astype(int), minlength=len(catalog.classes))
    told = ", ".join(f"{name} {count}" for name, count in zip(catalog.classes, counts, strict=True))
    return {parameters.names[0]: f"rows of each class: {told}"}


def _summaries(catalog: Catalog) -> dict[str, str]:
    """The range of the numbers that are there, and the share of those that are not."""
    told = {}
    for summary in catalog.observables:
        values = summary.array[np.isfinite(summary.array)]
        span = f"{values.min():.4g}..{values.max():.4g}" if values.size else "no number"
        gaps = f", {100 * np.isnan(summary.array).mean():.3g} % gaps" if summary.masked else ""
        told[f"/{summary.name}"] = f"{summary.kind} {summary.row_shape}, {span}{gaps}"
    return told
