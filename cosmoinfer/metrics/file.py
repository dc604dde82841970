"""The metrics file: the whole evaluation as JSON, and every number as an array for readers of HDF5."""

import json
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.metrics.evaluation import Evaluation
from cosmoinfer.storage import Dataset, Schema

SCHEMA = Schema(
    "metrics",
    "`cosmoinfer evaluate`",
    {
        "document": Dataset("()", "JSON: what `evaluate` prints as JSON", type="text", required=True),
        "names": Dataset("(P,)", "names of the parameters", type="text", required=True),
        "pair_names": Dataset("(K,)", "pairs of parameters, `a,b`", type="text"),
        "local_names": Dataset("(L,)", "row numbers of the local test", type="text"),
        "classes": Dataset("(C,)", "names of the classes", type="text"),
        "confusion": Dataset("(C, C)", "rows of each true class (down) by predicted class", type="whole"),
        "joint/.*": Dataset("(3,)", "value, low, high of each metric of the joint posterior; NaN where null"),
        "parameters/.*": Dataset("(P, 3)", "the same for each parameter"),
        "pairs/.*": Dataset("(K, 3)", "the same for each pair"),
        "local/.*": Dataset("(L, 3)", "the same for each row of the local test"),
    },
)


def write(path: Path, evaluation: Evaluation, meta: storage.JSONObject, force: bool = False) -> None:
    """/document (JSON), /names (P,), /joint/NAME (3,) and /parameters/NAME (P, 3): value, low, high; NaN is null.

    Where there are any, /pairs/NAME (K, 3) of the /pair_names (K,), and /local/NAME (L, 3) of the /local_names (L,).
    Of a classifier also /classes (C,) and /confusion (C, C), rows of each true class (down) by predicted class.

    Raises UserError if the file exists already, unless ``force``.
    """
    names = evaluation.parameter_names
    document = json.dumps(evaluation.to_json(), allow_nan=False)
    arrays = {"document": np.array(document), "names": np.array(names)}
    for metric, estimate in evaluation.joint.items():
        arrays[f"joint/{metric}"] = estimate.to_array()
    for metric, estimates in evaluation.parameters.items():
        arrays[f"parameters/{metric}"] = np.stack([estimates[name].to_array() for name in names])
    for scope, columns, dataset in (
        ("pairs", evaluation.pairs, "pair_names"),
        ("local", evaluation.local, "local_names"),
    ):
        for metric, estimates in columns.items():
            arrays[dataset] = np.array(list(estimates))
            arrays[f"{scope}/{metric}"] = np.stack([estimate.to_array() for estimate in estimates.values()])
    if evaluation.confusion is not None:
        arrays["classes"] = np.array(evaluation.confusion.classes)
        arrays["confusion"] = np.array(evaluation.confusion.counts, dtype=np.int64)
    storage.write(path, storage.FileContents("metrics", meta, arrays), force)


def read(path: Path | str) -> Evaluation:
    """The evaluation that a metrics file holds."""
    return storage.read_document(path, SCHEMA, Evaluation.from_json)
