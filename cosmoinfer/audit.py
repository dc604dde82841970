"""A catalog -> findings: what would break a training, and what should be looked at before one."""

from dataclasses import dataclass

import numpy as np

from cosmoinfer.catalog import Catalog, Summary, nonfinite_rows
from cosmoinfer.errors import listed
from cosmoinfer.storage import Dataset

LEVELS = ("error", "warning", "note")
FEW_ROWS = 100


@dataclass(frozen=True)
class Finding:
    """error: a training would break or be refused; warning: look at it first; note: good to know."""

    level: str
    text: str


def audit(catalog: Catalog, contents: dict[str, Dataset]) -> list[Finding]:
    """Everything worth saying about the values of a catalog and how they lie on disk."""
    found = [Finding("note", note) for note in catalog.notes]
    found += _nonfinite(catalog) + _box(catalog) + _parameters(catalog) + _duplicates(catalog)
    for summary in catalog.summaries:
        found += _features(summary) + _layout(summary, contents[summary.name])
    if len(catalog) < FEW_ROWS:
        found.append(Finding("warning", f"only {len(catalog)} rows; a flow wants hundreds, better thousands"))
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))


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
    parameters, theta = catalog.training()
    counts = np.bincount(theta[:, 0].astype(int), minlength=len(catalog.classes))
    told = ", ".join(f"{name} {count}" for name, count in zip(catalog.classes, counts, strict=True))
    return {parameters.names[0]: f"rows of each class: {told}"}


def _summaries(catalog: Catalog) -> dict[str, str]:
    """The range of the numbers that are there, and the share of those that are not."""
    told = {}
    for summary in catalog.summaries:
        values = summary.values[np.isfinite(summary.values)]
        span = f"{values.min():.4g}..{values.max():.4g}" if values.size else "no number"
        gaps = f", {100 * np.isnan(summary.values).mean():.3g} % gaps" if summary.masked else ""
        told[f"/{summary.name}"] = f"{summary.kind} {summary.shape}, {span}{gaps}"
    return told


def _nonfinite(catalog: Catalog) -> list[Finding]:
    rows = np.flatnonzero(nonfinite_rows(catalog))
    if len(rows) == 0:
        return []
    found, masked = "NaN or inf", [summary.masked for summary in catalog.summaries if summary.kind == "vector"]
    if any(masked):
        found = "inf, or nothing but gaps"
    text = f"{len(rows)} rows hold {found} (row {listed(rows)}); --drop-nonfinite skips them"
    if masked and not any(masked):
        text += ", --missing mask takes NaN in a vector for a gap"
    return [Finding("error", text)]


def _box(catalog: Catalog) -> list[Finding]:
    if catalog.parameters is None or catalog.theta is None:
        return []
    finite = np.isfinite(catalog.theta).all(axis=1)
    outside = np.flatnonzero(finite & ~catalog.parameters.inside(catalog.theta))
    if len(outside) == 0:
        return []
    return [Finding("error", f"{len(outside)} rows lie outside the declared box (row {listed(outside)})")]


def _parameters(catalog: Catalog) -> list[Finding]:
    if catalog.parameters is None or catalog.theta is None:
        return [Finding("note", "no /parameters: observations, to be sampled but not trained on")]
    names = np.array(catalog.parameters.names)
    constant = names[np.ptp(catalog.theta, axis=0) == 0]
    if len(constant):
        text = f"{listed(constant)} never varies: a fixed-parameter set; --infer leaves it out"
        return [Finding("warning" if len(constant) < len(names) else "error", text)]
    return []


def _duplicates(catalog: Catalog) -> list[Finding]:
    found = []
    hashes = catalog.hashes(np.arange(len(catalog)))
    _, first, counts = np.unique(hashes[:, 1], return_index=True, return_counts=True)
    if (counts > 1).any():
        rows = listed(np.sort(first[counts > 1]))
        found.append(Finding("warning", f"{int((counts - 1).sum())} rows repeat the data of another (row {rows})"))
    if catalog.theta is not None and not catalog.classes:
        simulations = len(np.unique(catalog.simulation))
        different = len(np.unique(hashes[:, 0]))
        if different < simulations:
            text = f"{simulations} simulations share {different} sets of parameters; do rows of one carry one id?"
            found.append(Finding("warning", text))
    return found


def _features(summary: Summary) -> list[Finding]:
    """Of the numbers that are there: NaN and inf are told elsewhere, and gaps are none of them."""
    found = []
    values = summary.values.reshape(len(summary.values), -1)
    there = np.isfinite(values)
    constant = np.flatnonzero(_spread(values, there) == 0)
    if len(constant) == values.shape[1]:
        found.append(Finding("error", f"/{summary.name}: the same in every row"))
    elif len(constant):
        found.append(Finding("warning", f"/{summary.name}: {len(constant)} constant features ({listed(constant)})"))
    if summary.masked:
        found += _gaps(summary, there)
    numbers = values[there]
    zeros = int(np.count_nonzero(numbers == 0))
    if (numbers >= 0).all() and (numbers > 0).any():
        low, high = numbers[numbers > 0].min(), numbers.max()
        text = f"/{summary.name}: positive, dynamic range {high / low:.3g}"
        found.append(Finding("note", text + (f", {zeros} exact zeros" if zeros else "")))
    return found


def _spread(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Largest less smallest of each feature's numbers, (K,); -inf where there is none."""
    return np.where(there, values, -np.inf).max(axis=0) - np.where(there, values, np.inf).min(axis=0)


def _gaps(summary: Summary, there: np.ndarray) -> list[Finding]:
    """How much is missing, and what always is."""
    found = [Finding("note", f"/{summary.name}: {100 * (1 - there.mean()):.3g} % of its entries are gaps")]
    never = np.flatnonzero(~there.any(axis=0))
    if len(never):
        found.append(Finding("warning", f"/{summary.name}: {len(never)} features always missing ({listed(never)})"))
    return found


def _layout(summary: Summary, dataset: Dataset) -> list[Finding]:
    rows = dataset.chunks[0] if dataset.chunks else 0
    how = f"chunks of {rows} rows" if rows else "contiguous"
    how += f", {dataset.compression}" if dataset.compression else ""
    return [Finding("note", f"/{summary.name}: {dataset.dtype}, {how}")]
