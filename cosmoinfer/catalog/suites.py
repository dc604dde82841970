"""Suites of simulations side by side: what they must agree in, ids that tell them apart, and several as one catalog."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog import lazy_array as streaming
from cosmoinfer.catalog.lazy_array import LazyArray
from cosmoinfer.catalog.rows import Catalog, Observable, fingerprint, selection_hash
from cosmoinfer.errors import UserError, listed


def suite_names(catalogs: Sequence[Catalog], otherwise: Sequence[str]) -> list[str]:
    """What the files of each call themselves (attribute ``suite``), or else; with their folder where two are alike."""
    own = [{storage.file_attribute(file.path, "suite") for file in one.files} for one in catalogs]
    said = [(found.pop() if len(found) == 1 else None) or name for found, name in zip(own, otherwise, strict=True)]
    names = unique_names([one.path for one in catalogs], said)
    if len(set(names)) < len(names):
        raise UserError(f"two suites are called {listed({name for name in names if names.count(name) > 1})}")
    for name in names:
        if "/" in name:
            raise UserError(f"a suite is called {name!r}; expected a name without a slash, as ids are suite/id")
    return names


def unique_names(paths: Sequence[Path], names: Sequence[str] = ()) -> list[str]:
    """Names of files, by default their stems; of those that are alike, with the folder in front."""
    names = list(names) or [path.stem for path in paths]
    alike = {name for name, count in Counter(names).items() if count > 1}
    pairs = zip(names, paths, strict=True)
    return [f"{path.absolute().parent.name}-{path.stem}" if name in alike else name for name, path in pairs]


def with_suite_ids(name: str, catalog: Catalog) -> Catalog:
    """With ids ``suite/id``, so that simulations of two suites never meet in a split."""
    return _known(replace(catalog, simulation=np.array([f"{name}/{one}" for one in catalog.simulation.tolist()])))


def join_suites(catalogs: Sequence[Catalog]) -> Catalog:
    """The rows of all, one suite after the other, known by a fingerprint of their own."""
    return _known(concatenate(catalogs))


def concatenate(catalogs: Sequence[Catalog]) -> Catalog:
    """The rows of all that ``agree``, numbered anew."""
    first = catalogs[0]
    theta = [one.theta for one in catalogs if one.theta is not None]
    labels = [one.split_labels for one in catalogs if one.split_labels is not None]
    return replace(
        first,
        path=Path(" + ".join(one.path.name for one in catalogs)),
        theta=np.concatenate(theta) if theta else None,
        observables=tuple(_stacked(parts) for parts in zip(*(one.observables for one in catalogs), strict=True)),
        simulation=np.concatenate([one.simulation for one in catalogs]),
        index=np.arange(sum(len(one) for one in catalogs)),
        split_labels=np.concatenate(labels) if labels else None,
        declared_priors=frozenset.intersection(*(one.declared_priors for one in catalogs)),
        notes=tuple(dict.fromkeys(note for one in catalogs for note in one.notes)),
        files=sum((one.files for one in catalogs), ()),
    )


def check_compatible(catalogs: Sequence[Catalog]) -> None:
    """The same parameters in the same box, data of the same shape, a /split and parameters in all or in none."""
    first = catalogs[0]
    for other in catalogs[1:]:
        _same(first, other, "parameters", *(_names(one) for one in (first, other)))
        _same(first, other, "classes", *(", ".join(one.classes) or "none" for one in (first, other)))
        _same(first, other, "data", *(_told(one) for one in (first, other)))
        for name in () if first.parameters is None or first.classes else first.parameters.names:
            _same(first, other, f"a prior of {name}", *(_prior(one, name) for one in (first, other)))
        if (first.split_labels is None) != (other.split_labels is None):
            split = first if other.split_labels is None else other
            raise UserError(f"{split.path}: has a /split, and others have none")


def check_suites(catalogs: Sequence[Catalog]) -> None:
    """Suites that ``agree``, and no suite twice."""
    for one in catalogs:
        one.require_parameters()
    check_compatible(catalogs)
    seen: dict[int, Path] = {}
    for one in catalogs:
        hashes = set(one.hashes(np.arange(len(one)))[:, 1].tolist())
        twice = hashes & seen.keys()
        if twice:
            other_path = seen[next(iter(twice))]
            raise UserError(f"{one.path}: shares the data of {len(twice)} rows with {other_path}; suites must differ")
        seen |= dict.fromkeys(hashes, one.path)


def _same(first: Catalog, other: Catalog, what: str, expected: str, found: str) -> None:
    if expected != found:
        raise UserError(f"{other.path}: expected {what} as in {first.path} ({expected}), found {found}")


def _told(catalog: Catalog) -> str:
    edges = ("" if one.periodic or one.kind == "vector" else " with edges" for one in catalog.observables)
    return ", ".join(
        f"/{one.name} {one.kind} {one.row_shape}{told}" for one, told in zip(catalog.observables, edges, strict=True)
    )


def _prior(catalog: Catalog, name: str) -> str:
    (prior,) = catalog.require_parameters()[0].select([name]).priors
    return f"{prior} on {prior.low:g}..{prior.high:g}"


def _names(catalog: Catalog) -> str:
    return "none" if catalog.parameters is None else ", ".join(catalog.parameters.names)


def _stacked(parts: Sequence[Observable]) -> Observable:
    """In memory, if any of them is."""
    streamed = [one.values for one in parts if isinstance(one.values, LazyArray)]
    whole = streamed if len(streamed) == len(parts) else None
    values = (
        np.concatenate([one.in_memory().values for one in parts]) if whole is None else streaming.concatenate(whole)
    )
    return replace(parts[0], values=values)


def _known(catalog: Catalog) -> Catalog:
    """With a fingerprint of its own: of what is left after cuts, so that the view need not tell them."""
    return replace(catalog, fingerprint=fingerprint(catalog), selection_hash=selection_hash(catalog, cut=False))
