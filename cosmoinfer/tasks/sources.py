"""Posteriors and chains that a task is given, as files or as objects in memory, and digests of them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import importers, seeding, storage
from cosmoinfer import posterior as posteriors
from cosmoinfer.catalog import ReadOptions
from cosmoinfer.errors import UserError, describe_type
from cosmoinfer.importance_sampling import ImportanceWeights
from cosmoinfer.importers import chains, text
from cosmoinfer.importers.parameter_tables import read_parameters
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Draws, Posterior
from cosmoinfer.reweighting import ChainPoints

PosteriorSource = Path | str | Posterior
MAX_CHAIN_DRAWS = 10_000  # of the points of a chain, for a figure


@dataclass(frozen=True)
class PosteriorInput:
    """A posterior, its name in messages, and the digest by which an output knows it.

    is_chain: whether it is the chain of another program, which may have parameters that nobody asked for.
    """

    posterior: Posterior
    name: str
    digest: str
    is_chain: bool = False


def open_posterior(source: PosteriorSource, leave_large: bool = True) -> PosteriorInput:
    """leave_large: draws that are too large for memory stay in their file.

    Raises UserError if this is no posterior, or a file that holds none.
    """
    if isinstance(source, Posterior):
        return PosteriorInput(source, "the posterior", content_digest(source))
    if not isinstance(source, Path | str):
        raise UserError(f"expected a posterior or its path, found {describe_type(source)}")
    path = Path(source)
    return PosteriorInput(posteriors.read(path, leave_large=leave_large), str(path), storage.file_digest(path))


def open_drawn(source: PosteriorSource) -> PosteriorInput:
    """A posterior to be drawn, or a chain or table of points, of which a figure shows some, taken by their weights.

    Raises UserError if this is none of these.
    """
    if not isinstance(source, Path | str) or not holds_points(Path(source)):
        return open_posterior(source)
    chain = open_chain(Path(source))
    weights, generator = ImportanceWeights(chain.weights, 0.0), seeding.generator(0, "chain")
    theta = chain.theta[weights.resample(min(len(chain.theta), MAX_CHAIN_DRAWS), generator)]
    index, neither = np.zeros(1, np.int64), np.full(1, 255, np.uint8)
    posterior = Posterior(chain.parameters, index, np.zeros(1, np.str_), neither, draws=Draws(theta[np.newaxis]))
    return PosteriorInput(posterior, str(source), chain_digest(chain), is_chain=True)


def holds_points(path: Path) -> bool:
    """Whether a file is drawn as points: a chain, or a table of text."""
    return is_chain(str(path)) and importers.find_importer(path) in (chains.IMPORTER, text.IMPORTER)


def is_chain(place: str) -> bool:
    """Whether this is the path of a chain, or of a file that may hold points of one."""
    path = Path(place)
    try:
        return bool(path.name) and (path.is_file() or chains.recognises(path))
    except OSError:  # too long for a path
        return False


def open_chain(path: Path) -> ChainPoints:
    """Points of a chain that is imported, of a posterior of one row, or of a table with names in its first line.

    Raises UserError where it is none of these.
    """
    if not chains.recognises(path) and storage.begins_as_hdf5(path):
        return _chain_of_posterior(path)
    weights = None
    if chains.recognises(path):
        chain = chains.read_chain(path)
        table, weights = chain.parameters, chain.weights
    else:
        table = read_parameters(path, ReadOptions())
    if not table.names:
        raise UserError(f"{path}: expected a chain, a posterior, or a table with names in its first line")
    if not np.isfinite(table.values).all():
        raise UserError(f"{path}: holds points that are not finite")
    edges = {key: value for key, value in table.attributes.items() if key in ("low", "high", "labels")}
    weights = np.ones(len(table.values)) if weights is None else weights
    parameters = Parameters.from_attributes({"names": table.names, **edges})
    return ChainPoints(str(path), parameters, table.values, weights / weights.sum())


def _chain_of_posterior(path: Path) -> ChainPoints:
    posterior = posteriors.read(path)
    if len(posterior) != 1:
        raise UserError(f"{path}: holds {len(posterior)} posteriors; expected one, whose draws are points of a chain")
    theta = np.asarray(posterior.samples[0], np.float64)
    return ChainPoints(str(path), posterior.parameters.untied, theta, np.full(len(theta), 1 / len(theta)))


def chain_digest(chain: ChainPoints) -> str:
    """SHA-256 of names, box, points and weights, wherever they are."""
    box = Parameters.from_names(chain.parameters.names, chain.parameters.low, chain.parameters.high)
    return content_digest(replace(chain, name="", parameters=box))


def content_digest(table: Any) -> str:
    """SHA-256 of the fields of a dataclass, arrays by their values."""
    sha = hashlib.sha256()
    _update_digest(sha, table)
    return sha.hexdigest()


def _update_digest(sha: Any, value: Any) -> None:
    if is_dataclass(value):
        for field in fields(value):
            sha.update(field.name.encode())
            _update_digest(sha, getattr(value, field.name))
    elif isinstance(value, storage.OnDiskArray):
        for slab in value.slabs():
            sha.update(np.ascontiguousarray(slab).tobytes())
    elif isinstance(value, np.ndarray) and value.dtype.kind not in "OU":
        sha.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        _update_digest(sha, tuple(value.items()))
    else:
        sha.update(repr(value.tolist() if isinstance(value, np.ndarray) else value).encode())
