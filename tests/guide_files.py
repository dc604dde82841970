"""The guide's page on files: the datasets of files that the commands wrote, with the meaning of each.

A dataset that is written and not described here, or described and no longer written, is an error.
"""

import re
import tempfile
from pathlib import Path

import h5py
import numpy as np

from cosmoinfer.tasks.inspect import SCHEMAS
from tests.command_line import done

HEAD = """# Files

Every dataset of every file that the commands write.

All files are HDF5 (1.10) that `h5ls` opens: arrays and JSON, nothing is executed. Common to all: attributes
`creator`, `kind` and `format` (2), and `/meta`, JSON with the version, the command, the settings that affect the
numbers and digests of the inputs. Text has a fixed length: h5py gives it as bytes, or as str by
`dataset.asstr()[()]`. `/digests` is JSON with the type, the shape and SHA-256 of the attributes and of each block of
rows of every dataset, and the attribute `digest` is that of `/digests`: reading compares with them, and a file that
is damaged or was changed is an error. Who edits a catalog removes that attribute; it is then read as one of another
tool. A file is written under another name and renamed: it is complete or absent. N rows, G simulations, P parameters,
S draws, C classes, M members of a stack, E epochs, F features, n rows of a posterior, K sizes, R suites.

Files of a released version are read by every later one of the same major number, with the same numbers; checkpoints
are made again. A file of a newer format than a version knows is an error of one line.
"""
SETTINGS = "--epochs 1 --ensemble 1 --threads 1 --quiet"
COMMANDS = (  # each leaves the file behind -o; later ones read those of earlier ones
    "split sims.h5 -o split.h5",
    f"train-regressor sims.h5 --loss moment -o regressor.h5 {SETTINGS}",
    f"train-regressor sims.h5 --target suite -o classifier.h5 {SETTINGS}",
    f"train-flow sims.h5 --flow maf --support probit --noise cov.npy --compress pca:4 -o flow.h5 {SETTINGS}",
    f"train-flow sims.h5 --flow maf --support probit --summary regressor.h5 -o summarised.h5 {SETTINGS}",
    "train-flow sims.h5 --fine-tune summarised.h5 --summary regressor.h5 -o tuned.h5 --epochs 1 --threads 1 --quiet",
    f"train-density rigid.h5 --flow maf -o density.h5 {SETTINGS}",
    "sample flow.h5 sims.h5 --draws 20 -o posterior.h5 --quiet",
    "sample regressor.h5 sims.h5 --draws 20 -o normals.h5 --quiet",
    "sample regressor.h5 sims.h5 --draws 20 --recalibrate temperature -o recalibrated.h5 --quiet",
    "sample classifier.h5 sims.h5 -o probabilities.h5 --quiet",
    f"train-regressor sims.h5 --loss gaussian-nll -o covariance.h5 {SETTINGS}",
    "sample covariance.h5 sims.h5 --draws 20 -o correlated.h5 --quiet",
    "simulate linear-gaussian -n 60 --truth --draws 20 -o exact.h5 --quiet",
    "evaluate normals.h5 -o metrics.h5 --quiet",
    "evaluate probabilities.h5 -o confusion.h5 --quiet",
    "reweight posterior.h5 --prior Omega_m=normal:0.3:0.05 -o reweighted.h5 --quiet --skip-failed",
    "score density.h5 rigid.h5 -o scores.h5 --quiet",
    "likelihood density.h5 rigid.h5 --rows 3 -o likelihood.h5 --quiet",
    "likelihood flow.h5 sims.h5 --rows 3 -o ratio.h5 --quiet",
)
MODELS = ("regressor.h5", "classifier.h5", "flow.h5", "summarised.h5", "tuned.h5", "density.h5")
POSTERIORS = (
    "posterior.h5",
    "normals.h5",
    "recalibrated.h5",
    "probabilities.h5",
    "exact.truth.h5",
    "reweighted.h5",
    "correlated.h5",
)
SLOW = {"cross-suite", "learning-curve"}  # kinds of files that take minutes to write: tests of studies read them
SLOW |= {"checkpoint"}  # or are gone once a command has ended: tests of checkpoints read them
RARE = {  # datasets of --lc2st and --combine product, which are slow: their tests read them
    *("local/.*", "local_names", "consistency_p_value", "n_observations"),
}
EXAMPLES = {  # of each kind of file, those of the commands above
    "split": ("split.h5",),
    "model": MODELS,
    "checkpoint": (),
    "posterior": POSTERIORS,
    "metrics": ("metrics.h5", "confusion.h5"),
    "scores": ("scores.h5",),
    "likelihood": ("likelihood.h5", "ratio.h5"),
    "cross-suite": ("cross.h5",),
    "learning-curve": ("curve.h5",),
}


def write_examples(folder: Path) -> None:
    """Small catalogs, and what the commands make of them."""
    random = np.random.default_rng(0)
    theta = random.uniform([0.1, 0.6], [0.5, 1.0], (200, 2))
    data = (theta - [0.3, 0.8]) @ random.normal(size=(2, 8)) * 5 + random.normal(size=(200, 8))
    catalogs = {"sims.h5": data, "rigid.h5": data - data.mean(axis=1, keepdims=True)}  # whose mean is a null mode
    for name, values in catalogs.items():
        with h5py.File(folder / name, "w") as file:
            parameters = file.create_dataset("parameters", data=theta)
            parameters.attrs["names"] = ["Omega_m", "sigma_8"]
            parameters.attrs["low"], parameters.attrs["high"] = [0.1, 0.6], [0.5, 1.0]
            file["data"] = values
            file["classes/suite"] = (theta[:, 0] > 0.3).astype(int)
            file["classes/suite"].attrs["names"] = ["low", "high"]
    np.save(folder / "cov.npy", 0.01 * np.eye(8))


def written(folder: Path) -> dict[str, set[str]]:
    """Paths of the datasets of each file that the commands leave, groups of other models left out."""
    write_examples(folder)
    paths: dict[str, set[str]] = {}
    for command in COMMANDS:
        words = [str(folder / word) if re.search(r"\.(h5|npy)$", word) else word for word in command.split()]
        done(*words)
    for path in folder.glob("*.h5"):
        with h5py.File(path) as file:
            names: list[str] = []
            file.visititems(
                lambda name, item, names=names: names.append(name) if isinstance(item, h5py.Dataset) else None
            )
            paths[path.name] = {
                re.sub(r"^(summary|initialised_from)/", "", re.sub(r"^(initialised_from|summary)/", "", name))
                for name in names
            } - {"meta", "digests"}
    return paths


def _shape(axes: str) -> str:
    return "" if axes == "()" else f" {axes}"


def page() -> str:
    """The page. Raises LookupError if a dataset is not described, or described and not written."""
    with tempfile.TemporaryDirectory() as folder:
        paths = written(Path(folder))
    lines = [HEAD.rstrip()]
    for kind, names in EXAMPLES.items():
        schema = SCHEMAS[kind]
        datasets = set() if kind in SLOW else set().union(*(paths[name] for name in names))
        patterns = schema.datasets
        described = {dataset for dataset in datasets for pattern in patterns if re.fullmatch(pattern, dataset)}
        unwritten = [name for name in patterns if not any(re.fullmatch(name, dataset) for dataset in datasets)]
        unwritten = [] if kind in SLOW else sorted({*unwritten} - RARE)
        if described != datasets or unwritten:
            raise LookupError(f"{kind}: not described {sorted(datasets - described)}, not written {unwritten}")
        lines += ["", f"## {kind}", "", f"{schema.commands}.", "", "| dataset | shape | meaning |", "|---|---|---|"]
        for pattern, dataset in patterns.items():
            path = (
                re.sub(r"\(([^()]*)\)\?", r"[\1]", pattern).replace(r"\d+", "K").replace(".*", "...").replace("|", ", ")
            )
            attributes = [f"`{name}`{_shape(attribute.axes)}" for name, attribute in dataset.attributes.items()]
            described = f"; attributes {', '.join(attributes)}" if attributes else ""
            lines.append(f"| `/{path}` | {dataset.axes} | {dataset.meaning}{described} |")
    return "\n".join(lines) + "\n"
