"""Read any file of ours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cosmoinfer import catalog, importers, likelihoods, metrics, models, posterior, split, storage
from cosmoinfer.catalog import Catalog, multi_file
from cosmoinfer.errors import UserError
from cosmoinfer.models.density import scores
from cosmoinfer.studies import cross_suite, learning_curve
from cosmoinfer.tasks.reading import open_catalog

READERS: dict[str, Callable[[Path], Any]] = {
    "model": models.read,
    "posterior": posterior.read,
    "metrics": metrics.read,
    "split": split.read,
    "scores": scores.read,
    "likelihood": likelihoods.read,
    "cross-suite": cross_suite.read,
    "learning-curve": learning_curve.read,
    "catalog": catalog.read,
}


def load(path: Path | str) -> Any:
    """A model, likelihood, posterior, evaluation, split, scores or study from its file; of other HDF5, a catalog.

    Raises UserError, a ValueError, if the file cannot be read.
    """
    if importers.is_source(Path(path)):
        return importers.read(path)
    kind = storage.file_kind(multi_file.first_file(Path(path))) or "catalog"
    if kind not in READERS:
        raise UserError(f"{path}: is a {kind} file; expected one of {', '.join(READERS)}")
    return READERS[kind](Path(path))


def read_catalog(path: Path | str, **settings: Any) -> Catalog:
    """A catalog from its file, from many files ('sims/*.h5'), or from a manifest.

    settings: how it is read, by the name of the option of ``cosmoinfer train-flow``, as ``names=["a", "b"]``.

    Raises UserError, a ValueError, which says in which file and row, if it cannot be read.
    """
    return open_catalog(path, settings)
