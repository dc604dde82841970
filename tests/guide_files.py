"""The guide's page on files: the datasets of files that the commands wrote, with the meaning of each.

A dataset that is written and not described here, or described and no longer written, is an error.
"""

import re
import tempfile
from pathlib import Path

import h5py
import numpy as np

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
    "reweight posterior.h5 --prior Omega_m=normal:0.3:0.05 -o reweighted.h5 --quiet --skip-failed",
    "score density.h5 rigid.h5 -o scores.h5 --quiet",
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
Meanings = dict[str, tuple[str, str]]  # regular expression of a path -> shape, meaning
FILES: dict[str, tuple[str, tuple[str, ...], Meanings]] = {
    "split": (
        "`cosmoinfer split`",
        ("split.h5",),
        {
            "simulation": ("(G,)", "ids of the simulations"),
            "partition": ("(G,)", "0 train, 1 validation, 2 test"),
        },
    ),
    "model": (
        "`cosmoinfer train-flow`, `train-regressor`, `train-density`. A model that another one needs lies in a group "
        "of its own with the same datasets: `/summary` (the regressor that conditions a flow), `/initialised_from` "
        "(`--fine-tune`)",
        MODELS,
        {
            "config": (
                "()",
                "JSON: kind of model, networks, observables, fingerprint of the catalog, temperature",
            ),
            "parameters": (
                "(P,)",
                "names; attributes `names`, `labels`, `low`, `high`, `prior`, `prior_mean`, `prior_std`, and "
                "`where`, `prior_correlation` of a prior that is no product",
            ),
            "mixture_weights": ("(M of all stacks,)", "probability of each member in the mixture"),
            r"stacks/\d+/weights/.*": ("(M, ...)", "weights of the members, by the name of the tensor"),
            r"stacks/\d+/history/(train|validation)": ("(E, M)", "losses of each epoch"),
            r"stacks/\d+/history/learning_rate": ("(E,)", "learning rate"),
            r"stacks/\d+/history/best": ("(M,)", "epoch of the weights that are kept"),
            r"inputs/\d+/standardizer/(clip|code|floor|log|mean|std)": (
                "(F,) or (channels, 1, ...)",
                "scaling of an observable",
            ),
            r"inputs/\d+/compression/.*": ("(...)", "weights of the compression"),
            "hashes/(train|validation)/theta(_single)?": (
                "(N,)",
                "hashes of theta of the rows that the model has learned from, or was chosen by; in single precision",
            ),
            "hashes/(train|validation)/data(_single)?": (
                "(N, 2)",
                "hashes of x, of the features with even and with odd numbers; in single precision",
            ),
            "split/simulation": ("(G,)", "ids of the simulations"),
            "split/partition": ("(G,)", "0 train, 1 validation, 2 test"),
            "ridge_estimate/(weights|offset)": ("(F, P), (P,)", "linear estimate of theta from x"),
            "noise/root": ("(F, F)", "square root of the covariance of the noise"),
            "ood/.*": ("(...)", "out-of-distribution detector: Gaussian fits, scores of the validation rows, MMD test"),
            r"stacks/\d+/support/(shift|scale)": ("(P,)", "standardisation on the real line"),
            "(condition/)?(shift|scale)": (
                "(P,)",
                "standardisation of the parameters, of a regressor or of a density's condition",
            ),
            "(kurtosis_)?typicality/(coefficients|residuals)": (
                "(...)",
                "expected log density of validation rows, and how they scatter",
            ),
            "null_mode_noise/(basis|mean|std)": ("(...)", "noise on modes of the data that never vary"),
        },
    ),
    "checkpoint": (
        "`cosmoinfer train-flow`, `train-regressor`, `train-density` while they run: in the folder `OUTPUT.checkpoint` "
        "a file for each training that is finished, with the `/meta` of the output",
        (),
        {
            "training": ("()", "JSON: what determines the training, among those of the output"),
            "weights/.*": ("(M, ...)", "weights of the members, by the name of the tensor"),
            "history/(train|validation)": ("(E, M)", "losses of each epoch"),
            "history/learning_rate": ("(E,)", "learning rate"),
            "history/best": ("(M,)", "epoch of the weights that are kept"),
        },
    ),
    "posterior": (
        "`cosmoinfer sample`, `reweight`, `simulate --truth`",
        POSTERIORS,
        {
            "index": ("(n,)", "row number in the catalog"),
            "simulation": ("(n,)", "id of the simulation"),
            "split": ("(n,)", "0 train, 1 validation, 2 test, 255 neither"),
            "names": ("(P,)", "names; attributes as of `/parameters` of a model, and `derived`, `reweighted`"),
            "truth": ("(n, P)", "true parameters, where known"),
            "samples": ("(n, S, P)", "draws, in catalog units"),
            "log_prob": ("(n, S)", "natural log density of each draw"),
            "log_prob_truth": ("(n,)", "of the true parameters"),
            "log_norm_error": ("(n,)", "standard error of the normalisation, where a density was renormalised"),
            "(mean|std)": ("(n, P)", "where the model knows them exactly"),
            "probabilities": ("(n, C)", "of the classes; attribute `names`"),
            "ridge_estimate": ("(n, P)", "linear estimate of theta, a reference for TARP"),
            "ood_percentile": ("(n,)", "0 to 100, among validation rows"),
            "ood_set_p_value": ("()", "of all rows as a set"),
            "consistency_p_value": ("(n,)", "of the single posteriors that were multiplied"),
            "n_observations": ("(n,)", "rows that each posterior is of"),
            "ess": ("(n,)", "effective sample size of weighted draws"),
            "temperature": ("()", "of a recalibrated posterior"),
            "fisher": ("(n, P, P)", "Fisher information at the true parameters, of a simulated problem"),
        },
    ),
    "metrics": (
        "`cosmoinfer evaluate`",
        ("metrics.h5",),
        {
            "document": ("()", "JSON: what `evaluate --json` prints"),
            "names": ("(P,)", "names of the parameters"),
            "pair_names": ("(pairs,)", "pairs of parameters, `a,b`"),
            "local_names": ("(rows,)", "row numbers of `--lc2st`"),
            "joint/.*": ("(3,)", "value, low, high of each metric of the joint posterior; NaN where null"),
            "parameters/.*": ("(P, 3)", "the same for each parameter"),
            "pairs/.*": ("(pairs, 3)", "the same for each pair"),
            "local/.*": ("(rows, 3)", "the same for each row of `--lc2st`"),
        },
    ),
    "scores": (
        "`cosmoinfer score`",
        ("scores.h5",),
        {
            "index": ("(n,)", "row number in the catalog"),
            "simulation": ("(n,)", "id of the simulation"),
            "split": ("(n,)", "0 train, 1 validation, 2 test, 255 neither"),
            "log_prob": ("(n,)", "natural log density, catalog units"),
            "z_score": ("(n,)", "of the log density, among validation rows with the same parameters"),
            "shape_z_score": ("(n,)", "of the kurtosis of the latent noise"),
            "(shape_)?percentile": ("(n,)", "0 to 100, two-sided"),
            "p_value": ("(n,)", "of the more extreme of the two"),
        },
    ),
    "cross-suite": (
        "`cosmoinfer cross-suite`",
        ("cross.h5",),
        {
            "document": ("()", "JSON: what `cross-suite --json` prints"),
            "(suites|trained|names)": (
                "(R,), (R,), (P,)",
                "names of the suites tested on, trained on, and of the parameters",
            ),
            "joint/.*": ("(trained, tested, 3)", "value, low, high; NaN where null"),
            "parameters/.*": ("(trained, tested, P, 3)", "the same for each parameter"),
        },
    ),
    "learning-curve": (
        "`cosmoinfer learning-curve`",
        ("curve.h5",),
        {
            "document": ("()", "JSON: what `learning-curve --json` prints"),
            "(sizes|validation)": ("(K,)", "training and validation simulations of each size"),
            "(index|simulation)": ("(n,)", "test rows"),
            "log_prob": ("(K, n)", "log density of the true parameters of each test row"),
        },
    ),
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


def page() -> str:
    """The page. Raises LookupError if a dataset is not described, or described and not written."""
    with tempfile.TemporaryDirectory() as folder:
        paths = written(Path(folder))
    lines = [HEAD.rstrip()]
    for kind, (commands, names, meanings) in FILES.items():
        datasets = set() if kind in SLOW else set().union(*(paths[name] for name in names))
        described = {dataset for dataset in datasets for pattern in meanings if re.fullmatch(pattern, dataset)}
        unwritten = [name for name in meanings if not any(re.fullmatch(name, dataset) for dataset in datasets)]
        unwritten = [] if kind in SLOW else sorted({*unwritten} - RARE)
        if described != datasets or unwritten:
            raise LookupError(f"{kind}: not described {sorted(datasets - described)}, not written {unwritten}")
        lines += ["", f"## {kind}", "", f"{commands}.", "", "| dataset | shape | meaning |", "|---|---|---|"]
        for pattern, (shape, meaning) in meanings.items():
            path = (
                re.sub(r"\(([^()]*)\)\?", r"[\1]", pattern).replace(r"\d+", "K").replace(".*", "...").replace("|", ", ")
            )
            lines.append(f"| `/{path}` | {shape} | {meaning} |")
    return "\n".join(lines) + "\n"
