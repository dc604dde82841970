"""The ranges of the values of a catalog: one line per parameter, or class, and one per observable."""

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.parameters import recognise_priors


def value_ranges(catalog: Catalog) -> dict[str, str]:
    """The range of each parameter and its box, or the rows of each class; then the range of each observable."""
    ranges = (_class_counts(catalog) if catalog.classes else _parameter_ranges(catalog)) | _observable_ranges(catalog)
    return ranges | _weight_range(catalog)


def _parameter_ranges(catalog: Catalog) -> dict[str, str]:
    if catalog.parameters is None or catalog.theta is None:
        return {}
    ranges = {}
    parameters = catalog.parameters
    rows = catalog.theta[~np.isnan(catalog.theta).any(axis=1)]
    recognised = recognise_priors(parameters, rows, catalog.declared_priors)
    for column, name in enumerate(parameters.names):
        values = catalog.theta[~np.isnan(catalog.theta[:, column]), column]
        verb = "" if recognised.prior[column] == parameters.prior[column] else "taken as "
        box = f"{parameters.low[column]:g}..{parameters.high[column]:g} {verb}{recognised.priors[column]}"
        extent = f"{values.min():.4g}..{values.max():.4g}" if values.size else "no value"
        ranges[name] = f"{extent}, box {box}"
    if ties := parameters.joint_prior.describe():
        ranges["joint prior"] = ties
    return ranges


def _class_counts(catalog: Catalog) -> dict[str, str]:
    parameters, theta = catalog.require_parameters()
    counts = np.bincount(theta[:, 0].astype(int), minlength=len(catalog.classes))
    text = ", ".join(f"{name} {count}" for name, count in zip(catalog.classes, counts, strict=True))
    return {parameters.names[0]: f"rows of each class: {text}"}


def _observable_ranges(catalog: Catalog) -> dict[str, str]:
    """The range of the finite values, and the share of those that are missing."""
    ranges = {}
    for observable in catalog.observables:
        values = observable.array[np.isfinite(observable.array)]
        extent = f"{values.min():.4g}..{values.max():.4g}" if values.size else "no finite value"
        missing = f", {100 * np.isnan(observable.array).mean():.3g} % missing" if observable.masked else ""
        ranges[f"/{observable.name}"] = f"{observable.kind} {observable.row_shape}, {extent}{missing}"
    return ranges


def _weight_range(catalog: Catalog) -> dict[str, str]:
    """The range of the weights of the rows, and how many rows of equal weight they are worth."""
    if catalog.weights is None:
        return {}
    weights = catalog.weights
    effective = weights.sum() ** 2 / (weights**2).sum()
    return {"/weights": f"{weights.min():.4g}..{weights.max():.4g}, worth {effective:.4g} rows of equal weight"}
