"""Suites of simulations side by side: what they must share, ids that keep them distinct, several as one catalog."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog import lazy_array
from cosmoinfer.catalog.catalog import Catalog, Observable
from cosmoinfer.catalog.copies import CopyCriterion
from cosmoinfer.catalog.lazy_array import LazyArray
from cosmoinfer.catalog.row_hashes import RowHashes
from cosmoinfer.catalog.selection import fingerprint, selection_hash
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.expressions import spell


def suite_names(catalogs: Sequence[Catalog], defaults: Sequence[str]) -> list[str]:
    """The name of each suite: the attribute ``suite`` of its files, or the default; with the folder for duplicates.

    Raises UserError when two names are the same all the same, or hold a slash.
    """
    names = []
    for catalog, default in zip(catalogs, defaults, strict=True):
        declared = {storage.file_attribute(file.path, "suite") for file in catalog.files}
        names.append((declared.pop() if len(declared) == 1 else None) or default)
    names = unique_names([catalog.path for catalog in catalogs], names)
    if len(set(names)) < len(names):
        raise UserError(
            f"suite names must differ; found twice: {join_first({name for name in names if names.count(name) > 1})}"
        )
    for name in names:
        if "/" in name:
            raise UserError(f"a suite is called {name!r}; expected a name without a slash, as ids are suite/id")
    return names


def unique_names(paths: Sequence[Path], names: Sequence[str] = ()) -> list[str]:
    """Names of files, by default their stems; duplicates get the folder in front of the stem."""
    names = list(names) or [path.stem for path in paths]
    duplicates = {name for name, count in Counter(names).items() if count > 1}
    return [
        f"{path.absolute().parent.name}-{path.stem}" if name in duplicates else name
        for name, path in zip(names, paths, strict=True)
    ]


def with_suite_ids(name: str, catalog: Catalog) -> Catalog:
    """With ids ``suite/id``, so that a split never confuses simulations of two suites."""
    ids = np.array([f"{name}/{simulation}" for simulation in catalog.simulation.tolist()])
    return _with_own_fingerprint(replace(catalog, simulation=ids))


def join_suites(catalogs: Sequence[Catalog]) -> Catalog:
    """The rows of all suites, one suite after the other, with a fingerprint of their own."""
    return _with_own_fingerprint(concatenate(catalogs))


def concatenate(catalogs: Sequence[Catalog]) -> Catalog:
    """The rows of compatible catalogs, one catalog after the other, numbered anew."""
    theta = [catalog.theta for catalog in catalogs if catalog.theta is not None]
    labels = [catalog.split_labels for catalog in catalogs if catalog.split_labels is not None]
    weights = [catalog.weights for catalog in catalogs if catalog.weights is not None]
    observables = zip(*(catalog.observables for catalog in catalogs), strict=True)
    return replace(
        catalogs[0],
        path=Path(" + ".join(catalog.path.name for catalog in catalogs)),
        theta=np.concatenate(theta) if theta else None,
        observables=tuple(_concatenate_observables(same_name) for same_name in observables),
        simulation=np.concatenate([catalog.simulation for catalog in catalogs]),
        index=np.arange(sum(len(catalog) for catalog in catalogs)),
        split_labels=np.concatenate(labels) if labels else None,
        declared_priors=frozenset.intersection(*(catalog.declared_priors for catalog in catalogs)),
        notes=tuple(dict.fromkeys(note for catalog in catalogs for note in catalog.notes)),
        conversions=tuple(dict.fromkeys(note for catalog in catalogs for note in catalog.conversions)),
        weights=np.concatenate(weights) if len(weights) == len(catalogs) else None,
        files=sum((catalog.files for catalog in catalogs), ()),
    )


def check_compatible(catalogs: Sequence[Catalog]) -> None:
    """Raises UserError unless all have the same parameters and priors, data of the same shape, and all or none a
    /split."""
    first = catalogs[0]
    for catalog in catalogs[1:]:
        _check_same(first, catalog, "parameters", _describe_names)
        _check_same(first, catalog, "classes", _describe_classes)
        _check_same(first, catalog, "data", _describe_data)
        for name in () if first.parameters is None or first.classes else first.parameters.names:
            _check_same(first, catalog, f"a prior of {name}", partial(_describe_prior, name=name))
        _check_same(first, catalog, "a region", _describe_region)
        if (first.split_labels is None) != (catalog.split_labels is None):
            with_split = first if catalog.split_labels is None else catalog
            raise UserError(f"{with_split.path}: has a /split, and the other catalogs have none")


def check_suites(catalogs: Sequence[Catalog]) -> None:
    """Raises UserError unless suites have parameters, are compatible, and share no row of data."""
    for catalog in catalogs:
        catalog.require_parameters()
    check_compatible(catalogs)
    hashes = [catalog.hashes(np.arange(len(catalog))) for catalog in catalogs]
    criterion = CopyCriterion.from_rows(RowHashes.concatenate(hashes))
    for (first, first_hashes), (second, second_hashes) in combinations(zip(catalogs, hashes, strict=True), 2):
        if copies := int(criterion.copies(first_hashes, second_hashes).sum()):
            raise UserError(f"{second.path}: shares the data of {copies} rows with {first.path}; suites must differ")


def _check_same(first: Catalog, second: Catalog, noun: str, describe: Callable[[Catalog], str]) -> None:
    if (expected := describe(first)) != (actual := describe(second)):
        raise UserError(f"{second.path}: expected {noun} as in {first.path} ({expected}), found {actual}")


def _describe_names(catalog: Catalog) -> str:
    return "none" if catalog.parameters is None else ", ".join(catalog.parameters.names)


def _describe_classes(catalog: Catalog) -> str:
    return ", ".join(catalog.classes) or "none"


def _describe_data(catalog: Catalog) -> str:
    return ", ".join(
        f"/{observable.name} {observable.kind} {observable.row_shape}"
        + ("" if observable.periodic or observable.kind == "vector" else " with edges")
        for observable in catalog.observables
    )


def _describe_prior(catalog: Catalog, name: str) -> str:
    assert catalog.parameters is not None
    parameters = catalog.parameters
    (column,) = parameters.columns([name])
    prior = parameters.priors[column]
    correlated = "" if parameters.correlation is None else f", correlations {parameters.correlation[column].tolist()}"
    return f"{prior} on {prior.low:g}..{prior.high:g}{correlated}"


def _describe_region(catalog: Catalog) -> str:
    conditions = () if catalog.parameters is None else catalog.parameters.where
    return " and ".join(sorted(map(spell, conditions))) or "none"


def _concatenate_observables(observables: Sequence[Observable]) -> Observable:
    """In memory, if any of them is."""
    arrays = [observable.values for observable in observables if isinstance(observable.values, LazyArray)]
    if len(arrays) == len(observables):
        return replace(observables[0], values=lazy_array.concatenate(arrays))
    values = np.concatenate([observable.in_memory().values for observable in observables])
    return replace(observables[0], values=values)


def _with_own_fingerprint(catalog: Catalog) -> Catalog:
    """The fingerprint is of what is left after cuts, so the selection hash need not repeat them."""
    return replace(catalog, fingerprint=fingerprint(catalog), selection_hash=selection_hash(catalog, cut=False))
