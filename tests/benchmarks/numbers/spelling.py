"""How everything that a rename may touch is spelled today, once: commands, options, datasets, outputs.

Cases and records speak the words on the left, which stay as they are; after a rename, edit what stands on the right. A
phrase of an option and its value, ``"--combine set"``, goes before the option alone and may become several words.
"""

import re

_COMMANDS = (
    "train-flow train-regressor train-density sample evaluate score generate reweight cross learning-curve simulate "
    "split run repack inspect"
)
_OPTIONS = (
    # reading a catalog
    "--parameters --data --kind --simulation --rows-per-simulation --names --bounds --infer --features --target "
    "--missing --drop-nonfinite --noisy --memory "
    # split, run, output
    "--fractions --split-seed --split-file --seed --threads --json --force -o "
    # training
    "--epochs --batch-size --learning-rate --optimizer --schedule --weight-decay --momentum --patience --warm-up "
    "--clip "
    # architecture
    "--layers --hidden --dropout --activation --blocks --ensemble --transform --augment --compress --noise --kernel "
    "--stride --padding --pooling --batch-norm --no-batch-norm --flow --support --bins --linear --no-linear "
    "--embedding --combine --embedding-features --embedding-layers --embedding-hidden --embedding-dropout "
    "--embedding-activation --embedding-blocks --embedding-kernel --embedding-stride --embedding-padding "
    "--embedding-pooling --embedding-batch-norm --no-embedding-batch-norm --network --trees --depth --loss "
    "--unconditional --levels --summary --init "
    # what is done with a model or a posterior
    "--split --rows --draws --skip-failed --recalibrate --against --local --at --prior --derive --sizes --predict "
    # the rest
    "--set --truth -n --audit --manifest --gate --fail-if"
)
SPELLED: dict[str, str] = {word: word for word in f"{_COMMANDS} {_OPTIONS}".split()} | {
    "cross": "cross-suite",
    "--init": "--fine-tune",
    "--against": "--compare-to",
    "--local": "--lc2st",
    "--clip": "--clip-norm",
    "--combine set": "--observation simulation",
    "--features": "--scale-cut",
    "--noisy": "--data-include-noise",
}

# The datasets and attributes of the catalogs that are written for the cases.
CATALOG = {
    "parameters": "parameters",
    "names": "names",
    "low": "low",
    "high": "high",
    "prior": "prior",
    "mean": "prior_mean",
    "std": "prior_std",
    "data": "data",
    "kind": "kind",
    "periodic": "periodic",
    "simulation": "simulation",
    "classes": "classes",
    "suite": "suite",
}

# What a command leaves, by command: (name in the record, kind of file, path; {} is the output without its suffix).
PRODUCTS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "train-flow": (("", "model", "{}.h5"),),
    "train-regressor": (("", "model", "{}.h5"),),
    "train-density": (("", "model", "{}.h5"),),
    "sample": (("", "posterior", "{}.h5"),),
    "reweight": (("", "posterior", "{}.h5"),),
    "evaluate": (("", "metrics", "{}.h5"),),
    "score": (("", "scores", "{}.h5"),),
    "generate": (("", "catalog", "{}.h5"),),
    "repack": (("", "catalog", "{}.h5"),),
    "split": (("", "split", "{}.h5"),),
    "simulate": (("", "catalog", "{}.h5"), ("truth", "posterior", "{}.truth.h5")),
    "run": (
        ("split", "split", "{}/split.h5"),
        ("flow", "model", "{}/flow.h5"),
        ("posterior", "posterior", "{}/posterior.h5"),
        ("metrics", "metrics", "{}/metrics.h5"),
    ),
    "cross": (
        ("", "metrics", "{}.h5"),
        ("flow of a", "model", "{}/a.flow.h5"),
        ("flow of b and c", "model", "{}/all but a.flow.h5"),
        ("a on a", "posterior", "{}/a on a.posterior.h5"),
        ("a on b", "posterior", "{}/a on b.posterior.h5"),
        ("b and c on a", "posterior", "{}/all but a on a.posterior.h5"),
    ),
    "learning-curve": (
        ("", "metrics", "{}.h5"),
        ("smallest", "model", "{}/30.flow.h5"),
        ("largest", "model", "{}/90.flow.h5"),
    ),
    "inspect": (),
}

# The roles of datasets, by kind of file: role -> the dataset, as a regular expression of its whole path. What no role
# names is "else", as a multiset.
_STACK = r"(.*/)?stacks/\d+"
ROLES: dict[str, dict[str, str]] = {
    "model": {
        "weights": rf"{_STACK}/weights/.*",
        "history": rf"{_STACK}/history/.*",
        "mixture": r"(.*/)?mixture_weights",
        "clips": r"(.*/)?standardizer/(clip|code)",
        "hashes of rows": r"(.*/)?hashes/.*",
    },
    "posterior": {
        "samples": "samples",
        "log_prob": "log_prob",
        "log_prob_truth": "log_prob_truth",
        "truth": "truth",
        "mean": "mean",
        "std": "std",
        "ridge estimate": "ridge_estimate",
        "log_norm_error": "log_norm_error",
        "probabilities": "probabilities",
        "fisher": "fisher",
        "ess": "ess",
        "agreement": "consistency_p_value",
        "observations": "n_observations",
        "ood": "ood_percentile",
        "ood of the set": "ood_set_p_value",
        "temperature": "temperature",
        "rows": "index",
        "part": "split",
    },
    "scores": {"log_prob": "log_prob", "p_value": "p_value"},
    "catalog": {"parameters": "parameters", "data": "data"},
    "split": {"part": "partition"},
    "metrics": {},
}
# Numbers in the JSON of a model that are recorded with its datasets, by the path of their keys: a key alone stands
# wherever it occurs, lists are gone through.
CONFIG = "config"
SCALARS = ("members", "n_floored", "recalibration/*", "classifier/temperature")
DOCUMENT = "document"  # the dataset of JSON whose numbers are recorded


FLOW_COMMANDS = ("train-flow", "cross-suite", "learning-curve", "run")


def spelled(words: list[str]) -> list[str]:
    """A command line as it is spelled today; an option that the table lacks is an error."""
    line: list[str] = []
    while words:
        phrase = " ".join(words[:2])
        taken = 2 if phrase in SPELLED else 1
        word = " ".join(words[:taken])
        if word.startswith("-") and word not in SPELLED and not word[1:2].isdigit():
            raise KeyError(f"{word}: is not in the table SPELLED")
        line += SPELLED[word].split() if word in SPELLED else [word]
        words = words[taken:]
    return with_named_settings(line)


def with_named_settings(line: list[str]) -> list[str]:
    """Settings of an embedding, an optimiser or a flow behind its name: ``--embedding cnn:hidden=8``."""
    if line[0] not in FLOW_COMMANDS:
        return line
    kept: list[str] = []
    behind: dict[str, list[str]] = {}
    words = iter(line)
    for word in words:
        if word.startswith("--embedding-"):
            switch = word == "--embedding-batch-norm"
            key = word.removeprefix("--embedding-").replace("-", "_")
            behind.setdefault("--embedding", []).append(f"{key}={'true' if switch else next(words)}")
        elif word == "--no-embedding-batch-norm":
            behind.setdefault("--embedding", []).append("batch_norm=false")
        elif word in ("--momentum", "--blocks"):
            owner = "--optimizer" if word == "--momentum" else "--flow"
            behind.setdefault(owner, []).append(f"{word[2:]}={next(words)}")
        elif word in ("--linear", "--no-linear"):
            behind.setdefault("--flow", []).append(f"linear_start={'true' if word == '--linear' else 'false'}")
        else:
            kept.append(word)
    for option, settings in behind.items():
        if option not in kept:
            kept += [option, "auto"]
        kept[kept.index(option) + 1] += ":" + ",".join(settings)
    return kept


def role_of(kind: str, dataset: str) -> str:
    roles = ROLES[kind].items()
    return next((role for role, pattern in roles if re.fullmatch(pattern, dataset)), "else")
