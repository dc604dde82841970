"""What of a catalog is used: its finite rows, the parameters to infer, the features within scale cuts.

A training can trust what is left, and recognises it by its hashes.
"""

import hashlib
import itertools
import re
from dataclasses import replace

import numpy as np

from cosmoinfer.catalog.catalog import UNKNOWN_THETA, Catalog, Observable
from cosmoinfer.catalog.coordinates import read_coordinate
from cosmoinfer.catalog.read_options import ReadOptions
from cosmoinfer.errors import UserError, blame, join_first
from cosmoinfer.expressions import COMPARISONS
from cosmoinfer.numerals import finite_number, whole_number
from cosmoinfer.parameters import Parameters
from cosmoinfer.priors import scale_problem
from cosmoinfer.quoting import QUOTED, split, unquote

MAX_RELATIVE_MAGNITUDE = 1e-3 * float(np.finfo(np.float32).max)  # of numbers in units of those of other rows
NUMBER_RANGE = re.compile(r"\s*(\d*):(\d*)\s*")
COORDINATE = re.compile(rf"[A-Za-z_/][\w/]*|{QUOTED}")
COMPARISON = re.compile("(<=|<|>=|>)")


def validated(catalog: Catalog, read_options: ReadOptions) -> Catalog:
    """The catalog once its values are checked, with its fingerprint, reduced to what ``read_options`` select.

    Raises UserError for axes whose meaning must be declared, for NaN or infinity that nothing allows, and for
    parameters outside their box.
    """
    require_clear_axes(catalog)
    catalog = without_nonfinite_rows(without_placeholders(catalog), read_options.drop_nonfinite)
    if catalog.parameters is not None and catalog.theta is not None:
        check_box(catalog, catalog.parameters, catalog.theta)
    catalog = replace(catalog, fingerprint=fingerprint(catalog), read_options=read_options)
    selected = select(catalog, read_options)
    return replace(
        selected, selection_hash=selection_hash(selected, cut=selected.observables is not catalog.observables)
    )


def require_clear_axes(catalog: Catalog) -> None:
    """Raises UserError, which asks what the axes of an observable mean, where its shape contradicts a guess."""
    for observable in catalog.observables:
        if observable.question:
            raise UserError(f"{catalog.path}: /{observable.name}: {observable.question}")


def without_placeholders(catalog: Catalog) -> Catalog:
    """The catalog, without parameters if they are NaN in every row: observations, and said in a note."""
    if catalog.theta is None or catalog.has_theta.any():
        return catalog
    return replace(catalog, parameters=None, theta=None, notes=(*catalog.notes, UNKNOWN_THETA))


def without_nonfinite_rows(catalog: Catalog, drop: bool) -> Catalog:
    """The catalog, or with ``drop`` its finite rows. A row whose parameters are all NaN is an observation.

    Raises UserError for other rows with NaN or infinity, or what amounts to it, unless they are dropped and others
    remain.
    """
    conversions = "".join(f"; {line}" for line in catalog.conversions)
    bad_theta, bad_data = nonfinite_parameters(catalog), nonfinite_data(catalog)
    if not (drop or bad_data.any()) and len(rows := np.flatnonzero(bad_theta & catalog.has_theta)):
        raise UserError(
            f"{catalog.path}: /parameters: {len(rows)} of {len(catalog)} rows hold NaN or inf "
            f"({catalog.describe_rows(rows)}); `drop_nonfinite` leaves them out (a row that is NaN in all parameters "
            f"is taken as an observation){conversions}"
        )
    bad = bad_data | bad_theta if drop else bad_data
    if not bad.any():
        return catalog
    rows = np.flatnonzero(bad)
    content = describe_nonfinite(catalog, rows)
    may_mask = "NaN" in content and not all(observable.masked for observable in catalog.observables)
    if not drop:
        raise UserError(
            f"{catalog.path}: {len(rows)} of {len(catalog)} rows hold {content} ({catalog.describe_rows(rows)}); "
            "`drop_nonfinite` leaves them out" + ", `missing=mask` reads NaN as not measured" * may_mask + conversions
        )
    if bad.all():
        raise UserError(f"{catalog.path}: all of its {len(catalog)} rows hold {content}")
    kept = catalog.select(np.flatnonzero(~bad))
    return replace(
        kept, notes=(*kept.notes, f"left out {len(rows)} rows with {content} ({catalog.describe_rows(rows)})")
    )


def nonfinite_rows(catalog: Catalog) -> np.ndarray:
    """(N,) whether a training could not use a row, for its parameters or its data."""
    return nonfinite_parameters(catalog) | nonfinite_data(catalog)


def nonfinite_parameters(catalog: Catalog) -> np.ndarray:
    """(N,) whether a parameter of a row is NaN or infinite."""
    return np.zeros(len(catalog), dtype=bool) if catalog.theta is None else ~np.isfinite(catalog.theta).all(axis=1)


def nonfinite_data(catalog: Catalog) -> np.ndarray:
    """(N,) whether a row has a NaN or infinite datum; where NaN marks missing entries, whether all are missing.

    Infinite for a network is also what exceeds the range of single precision in units of the scatter of other rows,
    which is taken as a thousandth of their size.
    """
    bad = np.zeros(len(catalog), dtype=bool)
    for observable in catalog.observables:
        nonfinite, largest = [np.zeros(0, dtype=bool)], [np.zeros(0)]
        for block in observable.blocks(np.arange(len(catalog))):
            nonfinite.append(is_nonfinite(block, observable.masked))
            largest.append(np.fmax.reduce(np.abs(block.reshape(len(block), -1)), axis=1).astype(np.float64))
        bad |= np.concatenate(nonfinite) | _is_beyond_others(np.concatenate(largest))
    return bad


def _is_beyond_others(largest: np.ndarray) -> np.ndarray:
    """largest: (N,) the largest magnitude in each row. Units do not matter: it is compared with the typical one."""
    positive = largest[np.isfinite(largest) & (largest > 0)]
    if not len(positive):
        return np.zeros(len(largest), dtype=bool)
    with np.errstate(over="ignore"):
        return largest / np.median(positive) > MAX_RELATIVE_MAGNITUDE


def describe_nonfinite(catalog: Catalog, rows: np.ndarray) -> str:
    """What rows (n,) that are not finite hold, for a message."""
    data = [is_nonfinite(observable.read(rows), observable.masked) for observable in catalog.observables]
    if catalog.theta is not None:
        data.append(~np.isfinite(catalog.theta[rows]).all(axis=1))
    nonfinite = np.logical_or.reduce(data)
    words = ["NaN or inf"] * bool(nonfinite.any())
    return " or ".join(words + ["numbers that exceed all others beyond single precision"] * (not nonfinite.all()))


def is_nonfinite(values: np.ndarray, masked: bool = False) -> np.ndarray:
    """(n, ...) -> (n,) bool: whether a row has a NaN or infinite value; masked: infinity, or nothing but NaN."""
    values = values.reshape(len(values), -1)
    if masked:
        return np.isinf(values).any(axis=1) | np.isnan(values).all(axis=1)
    return ~np.isfinite(values).all(axis=1)


def check_box(catalog: Catalog, parameters: Parameters, theta: np.ndarray) -> None:
    """Raises UserError when rows of theta, (N, P), are of no usable scale, or outside the declared box or region."""
    for name, values in zip(parameters.names, theta[catalog.has_theta].T, strict=True):
        if np.ptp(values) > 0 and (problem := scale_problem(values.min(), values.max())):
            raise UserError(f"{catalog.path}: {name}: {problem}")
    outside = np.flatnonzero(~parameters.in_box(theta) & catalog.has_theta)
    if len(outside):
        row = outside[0]
        column = int(np.flatnonzero(~parameters.in_box_by_parameter(theta[row]))[0])
        raise UserError(
            f"{catalog.path}: {len(outside)} rows lie outside the declared box ({catalog.describe_rows(outside)}); "
            f"{parameters.names[column]} = {theta[row, column]:g} is not in "
            f"{parameters.low[column]:g}..{parameters.high[column]:g}"
        )
    beyond = np.flatnonzero(~parameters.inside(theta) & catalog.has_theta)
    if len(beyond):
        values = ", ".join(
            f"{name} = {value:g}" for name, value in zip(parameters.names, theta[beyond[0]], strict=True)
        )
        raise UserError(
            f"{catalog.path}: {len(beyond)} rows lie outside the region where {' and '.join(parameters.where)} "
            f"({catalog.describe_rows(beyond)}); {values}. `where` declares the prior from which the simulations were "
            "drawn, and selects no rows"
        )
    if parameters.joint_prior.tied:
        parameters.joint_prior.check_mass()


def fingerprint(catalog: Catalog) -> str:
    """SHA-256 of names, parameters, ids, shapes and data values in row order, however they are stored."""
    sha = hashlib.sha256()
    if catalog.parameters is not None and catalog.theta is not None:
        sha.update(repr(catalog.parameters.names).encode())
        sha.update(_float64_bytes(catalog.theta))
    sha.update("\n".join(catalog.simulation.tolist()).encode())
    for observable in catalog.observables:
        sha.update(repr((observable.kind, observable.row_shape)).encode())
        for block in observable.blocks(np.arange(len(catalog))):
            sha.update(_float64_bytes(block))
    return sha.hexdigest()


def selection_hash(catalog: Catalog, cut: bool) -> str:
    """SHA-256 of what the fingerprint leaves out: declared names, box and priors, and with ``cut`` the cut data."""
    sha = hashlib.sha256(repr(sorted(catalog.declared_priors)).encode())
    if catalog.parameters is not None:
        for key, value in catalog.parameters.attributes().items():
            sha.update(f"{key} {np.asarray(value).tolist()!r}".encode())
    if cut:
        sha.update(fingerprint(catalog).encode())
    return sha.hexdigest()


def _float64_bytes(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def select(catalog: Catalog, read_options: ReadOptions) -> Catalog:
    """Only the parameters to infer and the features within the scale cuts.

    Raises UserError for unknown parameters, and for cuts that are not understood or leave no feature.
    """
    if read_options.infer and catalog.parameters is not None and catalog.theta is not None:
        parameters = catalog.parameters
        with blame("infer"):
            columns = parameters.columns(read_options.infer)
            inferred = parameters.select(read_options.infer)
        notes = catalog.notes
        pairs = zip(inferred.names, parameters.has_prior[columns], inferred.has_prior, strict=True)
        if lost := [name for name, before, after in pairs if before and not after]:
            notes += (
                f"the prior of {join_first(lost)} is not known: region or correlation tie it to a parameter that is "
                "marginalised, so that metrics which need a prior have no value",
            )
        catalog = replace(catalog, parameters=inferred, theta=catalog.theta[:, columns], notes=notes)
    for cut in read_options.scale_cut:
        with blame("scale_cut", cut):
            catalog = replace(catalog, observables=_apply_cut(catalog, cut, read_options.follow_links))
    return catalog


def _apply_cut(catalog: Catalog, text: str, follow_links: bool) -> tuple[Observable, ...]:
    """``0:40``, ``k<0.3``, ``0.02<k<0.3``; with ``NAME@`` before it when there are several observables."""
    *quoted, rule = split(text, "@")
    target = unquote("@".join(quoted))
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
    if match := NUMBER_RANGE.fullmatch(rule):
        ends = [whole_number(end) for end in match.groups() if end]
        if any(end is None or end > n_features for end in ends):
            numbers = f"numbered 0 to {n_features - 1}"
            raise UserError(f"/{observable.name} has {n_features} features, {numbers}", "scale_cut", text)
    features = _select_features(catalog, rule, n_features, follow_links)
    if len(features) == 0:
        raise UserError(f"keeps none of the {n_features} features of /{observable.name}", "scale_cut", text)
    values = observable.values
    cut_values = values[..., features] if isinstance(values, np.ndarray) else values.select_features(features)
    kept = tuple(observable.features[feature] for feature in features) if observable.features else ()
    cut = replace(observable, values=cut_values, features=kept)
    return tuple(cut if entry is observable else entry for entry in catalog.observables)


def _select_features(catalog: Catalog, rule: str, n_features: int, follow_links: bool) -> np.ndarray:
    """Numbers of the features that a rule keeps."""
    if match := NUMBER_RANGE.fullmatch(rule):
        return np.arange(n_features)[slice(*(whole_number(end) if end else None for end in match.groups()))]
    words = [word.strip() for word in COMPARISON.split(rule)]
    operands = [unquote(word) if COORDINATE.fullmatch(word) else finite_number(word) for word in words[::2]]
    names = [place for place, operand in enumerate(operands) if isinstance(operand, str)]
    if None in operands or (len(operands), names) not in ((2, [0]), (2, [1]), (3, [1])):
        raise UserError(f"{rule!r} is not understood; expected 0:40, k<0.3 or 0.02<k<0.3", "scale_cut")
    coordinate = read_coordinate(catalog, str(operands[names[0]]), n_features, follow_links)
    values = [coordinate if isinstance(operand, str) else operand for operand in operands]
    keep = [
        COMPARISONS[sign](left, right)
        for sign, (left, right) in zip(words[1::2], itertools.pairwise(values), strict=True)
    ]
    return np.flatnonzero(np.logical_and.reduce(keep))
