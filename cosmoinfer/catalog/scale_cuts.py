"""What is selected from a catalog: the parameters to infer, and the features within scale cuts."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.read_options import ReadOptions
from cosmoinfer.catalog.rows import Catalog, Observable
from cosmoinfer.errors import UserError

COMPARISONS = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
NUMBER, COMPARISON = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)", r"(<=|<|>=|>)"
NUMBER_RANGE = re.compile(r"\s*(\d*):(\d*)\s*")
COORDINATE_RANGE = re.compile(
    rf"\s*(?:{NUMBER}\s*{COMPARISON})?\s*([A-Za-z_/][\w/]*)\s*(?:{COMPARISON}\s*{NUMBER})?\s*"
)


def select(catalog: Catalog, read_options: ReadOptions) -> Catalog:
    """Only the parameters to infer and the features within the scale cuts.

    Raises UserError for unknown parameters, and for cuts that are not understood or leave no feature.
    """
    if read_options.infer:
        parameters, theta = catalog.require_parameters()
        columns = parameters.columns(read_options.infer)
        catalog = replace(catalog, parameters=parameters.select(read_options.infer), theta=theta[:, columns])
    for cut in read_options.scale_cut:
        catalog = replace(catalog, observables=_apply_cut(catalog, cut))
    return catalog


def _apply_cut(catalog: Catalog, text: str) -> tuple[Observable, ...]:
    """``0:40``, ``k<0.3``, ``0.02<k<0.3``; with ``NAME@`` before it when there are several observables."""
    target, _, rule = text.rpartition("@")
    candidates = [observable for observable in catalog.observables if observable.kind in ("vector", "profile")]
    matches = [
        candidate for candidate in candidates if target in ("", candidate.name, candidate.name.removeprefix("data/"))
    ]
    if len(matches) != 1:
        names = ", ".join(observable.name for observable in candidates) or "none"
        raise UserError(
            f"expected one vector or profile to cut (NAME@...); the catalog has: {names}", "scale_cut", text
        )
    (observable,) = matches
    n_features = observable.row_shape[-1]
    if (match := NUMBER_RANGE.fullmatch(rule)) and any(int(end or 0) > n_features for end in match.groups()):
        numbers = f"numbered 0 to {n_features - 1}"
        raise UserError(f"/{observable.name} has {n_features} features, {numbers}", "scale_cut", text)
    features = _select_features([file.path for file in catalog.files], rule, n_features)
    if len(features) == 0:
        raise UserError(f"keeps none of the {n_features} features of /{observable.name}", "scale_cut", text)
    values = observable.values
    cut_values = values[..., features] if isinstance(values, np.ndarray) else values.select_features(features)
    cut = replace(observable, values=cut_values)
    return tuple(cut if kept is observable else kept for kept in catalog.observables)


def _select_features(paths: list[Path], rule: str, n_features: int) -> np.ndarray:
    """Numbers of the features that a rule keeps."""
    if match := NUMBER_RANGE.fullmatch(rule):
        return np.arange(n_features)[slice(*(int(end) if end else None for end in match.groups()))]
    match = COORDINATE_RANGE.fullmatch(rule)
    if not match or not (match[1] or match[5]):
        raise UserError(f"{rule!r} is not understood; expected 0:40, k<0.3 or 0.02<k<0.3", "scale_cut")
    coordinate = _read_coordinate(paths, match[3], n_features)
    keep = np.ones(n_features, dtype=bool)
    if match[1]:
        keep &= COMPARISONS[match[2]](float(match[1]), coordinate)
    if match[5]:
        keep &= COMPARISONS[match[4]](coordinate, float(match[5]))
    return np.flatnonzero(keep)


def _read_coordinate(paths: list[Path], name: str, n_features: int) -> np.ndarray:
    """The coordinate of each feature, (K,), which must be the same in all files of a catalog."""
    if not paths:
        raise UserError(f"needs a file with a dataset /{name}; of arrays, features are cut by number", "scale_cut")
    coordinate = storage.load(paths[0], name)
    if coordinate.shape != (n_features,):
        raise UserError(f"{paths[0]}: /{name} has shape {coordinate.shape}; expected ({n_features},), one a feature")
    for path in paths[1:]:
        repeated = storage.load(path, name)
        if repeated.shape != coordinate.shape or not np.allclose(repeated, coordinate, rtol=1e-6, atol=0):
            raise UserError(f"{path}: /{name} differs from that of {paths[0]}; the features are not the same")
    return coordinate
