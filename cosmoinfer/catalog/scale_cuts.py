"""The part of a catalog that is wanted: parameters to infer, and features within scale cuts."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.reading import ReadOptions
from cosmoinfer.catalog.rows import Catalog, Observable
from cosmoinfer.errors import UserError


def select(catalog: Catalog, reading: ReadOptions) -> Catalog:
    """Only the parameters to infer and the features within the scale cuts."""
    if reading.infer:
        parameters, theta = catalog.require_parameters()
        columns = parameters.columns(reading.infer)
        catalog = replace(catalog, parameters=parameters.select(reading.infer), theta=theta[:, columns])
    for cut in reading.scale_cut:
        catalog = replace(catalog, observables=_cut(catalog, cut))
    return catalog


def _cut(catalog: Catalog, text: str) -> tuple[Observable, ...]:
    """``0:40``, ``k<0.3``, ``0.02<k<0.3``; ``NAME@0:40`` where there are several summaries."""
    target, _, rule = text.rpartition("@")
    able = [summary for summary in catalog.observables if summary.kind in ("vector", "profile")]
    chosen = [summary for summary in able if target in ("", summary.name, summary.name.removeprefix("data/"))]
    if len(chosen) != 1:
        names = ", ".join(summary.name for summary in able) or "none here"
        raise UserError(f"--scale-cut {text}: expected one vector or profile to cut (NAME@...); there is: {names}")
    keep = _kept([one.path for one in catalog.files], rule, chosen[0].row_shape[-1])
    if len(keep) == 0:
        raise UserError(
            f"--scale-cut {text}: leaves none of the {chosen[0].row_shape[-1]} features of /{chosen[0].name}"
        )
    values = chosen[0].values
    cut = replace(
        chosen[0], values=values[..., keep] if isinstance(values, np.ndarray) else values.select_features(keep)
    )
    return tuple(cut if summary is chosen[0] else summary for summary in catalog.observables)


def _kept(paths: list[Path], rule: str, length: int) -> np.ndarray:
    """The features that a rule leaves, by number; of many files, all must hold the same coordinate."""
    if match := re.fullmatch(r"\s*(\d*):(\d*)\s*", rule):
        return np.arange(length)[slice(*(int(end) if end else None for end in match.groups()))]
    number, ways = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)", r"(<=|<|>=|>)"
    match = re.fullmatch(rf"\s*(?:{number}\s*{ways})?\s*([A-Za-z_/][\w/]*)\s*(?:{ways}\s*{number})?\s*", rule)
    if not match or not (match[1] or match[5]):
        raise UserError(f"--scale-cut: {rule!r} is not understood; expected 0:40, k<0.3 or 0.02<k<0.3")
    coordinate = storage.load(paths[0], match[3])
    if coordinate.shape != (length,):
        raise UserError(f"{paths[0]}: /{match[3]} has shape {coordinate.shape}; expected ({length},), one a feature")
    for other in paths[1:]:
        there = storage.load(other, match[3])
        if there.shape != coordinate.shape or not np.allclose(there, coordinate, rtol=1e-6, atol=0):
            raise UserError(f"{other}: /{match[3]} differs from that of {paths[0]}; the features are not the same")
    compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
    keep = np.ones(length, dtype=bool)
    if match[1]:
        keep &= compare[match[2]](float(match[1]), coordinate)
    if match[5]:
        keep &= compare[match[4]](coordinate, float(match[5]))
    return np.flatnonzero(keep)
