"""Anomaly scores: the log density of each row, and how untypical it is, whether too low or too high, and its shape."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog import Catalog
from cosmoinfer.models.density.model import DensityModel, Listener
from cosmoinfer.posterior.file import ROWS
from cosmoinfer.storage import Dataset, Schema

OUTLIER_P_VALUE = 0.01  # p-value below which a row is counted as odd


SCHEMA = Schema(
    "scores",
    "`cosmoinfer score`",
    {
        **ROWS,
        "log_prob": Dataset("(n,)", "natural log density, catalog units", required=True),
        "z_score": Dataset("(n,)", "of the log density, among validation rows with the same parameters", required=True),
        "shape_z_score": Dataset("(n,)", "of the kurtosis of the latent noise", required=True),
        "percentile": Dataset("(n,)", "of the validation rows that are less odd, 0 to 100", required=True),
        "shape_percentile": Dataset("(n,)", "the same by the kurtosis", required=True),
        "p_value": Dataset("(n,)", "of the more extreme of the two", required=True),
    },
)


@dataclass(frozen=True)
class Scores:
    """log_prob: (n,) log q(x), natural, catalog units. z_score: (n,) of it from what is typical, in standard
    deviations of the validation rows, + for too dense. percentile: (n,) per cent of the validation rows that are less
    odd. shape_z_score, shape_percentile: the same of the kurtosis of the noise that the flow makes of the row.
    p_value: (n,) how rarely a row like those of the training is so odd in either (Bonferroni). index, simulation,
    split: of the rows."""

    log_prob: np.ndarray
    z_score: np.ndarray
    percentile: np.ndarray
    shape_z_score: np.ndarray
    shape_percentile: np.ndarray
    p_value: np.ndarray
    index: np.ndarray
    simulation: np.ndarray
    split: np.ndarray

    def __len__(self) -> int:
        return len(self.index)


def score_rows(model: DensityModel, catalog: Catalog, rows: np.ndarray, listen: Listener) -> Scores:
    """Scores of these rows (n,), by position in the catalog; listen takes how many are done, and of how many."""
    log_prob, kurtosis = model.log_prob_and_kurtosis(catalog, rows, listen)
    contexts = model.scale_parameters(None if catalog.theta is None else catalog.theta[rows], catalog.path)
    z_score, shape = model.typicality.z_score(log_prob, contexts), model.kurtosis_typicality.z_score(kurtosis, contexts)
    return Scores(
        log_prob,
        z_score,
        model.typicality.percentile(z_score),
        shape,
        model.kurtosis_typicality.percentile(shape),
        np.minimum(1, 2 * np.minimum(model.typicality.p_value(z_score), model.kurtosis_typicality.p_value(shape))),
        catalog.index[rows],
        catalog.simulation[rows],
        model.training_record.partition_of(catalog, rows),
    )


def write(path: Path, scores: Scores, meta: storage.JSONObject, force: bool = False) -> None:
    arrays = {field.name: getattr(scores, field.name) for field in fields(scores)}
    storage.write(path, storage.FileContents("scores", meta, arrays), force)


def read(path: Path) -> Scores:
    arrays = storage.read(path, SCHEMA).arrays
    return Scores(**arrays | {"simulation": arrays["simulation"].astype(str)})
