"""What is recorded: cases by name, each a few command lines in a folder of its own. A new case is one line.

Files that ``catalogs`` knows are made where they are named. ``-o NAME.h5`` names a product in the record. A command may
begin with variables of its environment, ``NAME=value``.
"""

from itertools import product

THREAD = "--threads 1"
QUICK = f"--epochs 3 --ensemble 2 --batch-size 40 --learning-rate 0.005 {THREAD}"
SMALL = "--layers 2 --hidden 12"
FEW = f"--draws 40 {THREAD}"
Lines = tuple[str, ...]


def flow(options: str = "", catalog: str = "vectors.h5", tested: str = "", support: str = "probit") -> Lines:
    """Trained and drawn from."""
    return (
        f"train-flow {catalog} {QUICK} {SMALL} --support {support} {options} -o flow.h5",
        f"sample flow.h5 {tested or catalog} {FEW} -o posterior.h5",
    )


def shaped_flow(options: str, catalog: str) -> Lines:
    """Behind a network that takes axes, whose members learn on small batches."""
    return flow(f"--embedding-hidden 4 --embedding-features 4 {options}", catalog)


def regressor(options: str = "", catalog: str = "vectors.h5", quick: str = QUICK) -> Lines:
    return (
        f"train-regressor {catalog} {quick} {options} -o regressor.h5",
        f"sample regressor.h5 {catalog} {FEW} -o posterior.h5",
    )


def classifier(options: str, catalog: str = "vectors.h5") -> Lines:
    return (*regressor(f"{SMALL} --target {options}", catalog), f"evaluate posterior.h5 {THREAD} -o metrics.h5")


def density(options: str = "", catalog: str = "vectors.h5", at: str = "--at Omega_m=0.3,sigma_8=0.8") -> Lines:
    """Trained, drawn from and scored by."""
    at = "" if "--unconditional" in options or catalog == "bare.h5" else at
    return (
        f"train-density {catalog} {QUICK} --layers 2 --hidden 8 {options} -o density.h5",
        f"generate density.h5 {at} --draws 12 {THREAD} -o generated.h5",
        f"score density.h5 {catalog} {THREAD} -o scores.h5",
    )


def simulated(problem: str, options: str = "", rows: int = 24) -> Lines:
    return (f"simulate {problem} -n {rows} {options} --truth --draws 20 -o sims.h5",)


def measured(options: str = "", before: Lines = (), support: str = "probit") -> Lines:
    """A posterior of rows that no training has seen."""
    return (
        *flow(tested="fresh.h5", support=support),
        *before,
        f"evaluate posterior.h5 {options} {THREAD} -o metrics.h5",
    )


FLOWS = ("realnvp", "maf", "iaf", "glow", "nsf", "nsf-ar")
SUPPORTS = ("probit", "soft", "truncate", "auto")
CATALOGS_OF_P = {"P=1": "single.h5", "P=4, mixed priors": "mixed.h5", "unbounded": "unbounded.h5"}
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky-relu", "elu", "maxout", "silu", "gelu")
LOSSES = ("mse", "mae", "moment", "moment-log", "gaussian-nll")
OF_CLASSES = ("cross-entropy", "logistic", "hinge", "cosine")
PROBLEMS = {
    "linear-gaussian": "--rows-per-simulation 2",
    "linear-gaussian-box": "",
    "two-moons": "--seed 3",
    "narrow-ridge": "--split-seed 1",
    "supernovae": "",
    "power-spectrum": "--set shot_noise=1000",
    "masked-spectrum": "",
    "gaussian-profiles": "",
    "gaussian-maps": "--set pixels=16",
    "gaussian-grids": "--set pixels=8",
    "lognormal-maps": "--set pixels=16",
    "lognormal-pairs": "--fractions 0.5 0.2 0.3",
}

OF_FLOWS: dict[str, Lines] = {
    **{f"flow {name}": flow(f"--flow {name}") for name in FLOWS},
    **{f"flow {name}, P=1": flow(f"--flow {name}", "single.h5") for name in FLOWS},
    **{f"flow {name}, P=4": flow(f"--flow {name}", "mixed.h5") for name in FLOWS},
    **{f"flow {name}, --linear": flow(f"--flow {name} --linear") for name in ("maf", "nsf")},
    **{
        f"flow {name}, --no-linear": flow(f"--flow {name} --no-linear") for name in ("realnvp", "iaf", "glow", "nsf-ar")
    },
    **{f"flow {name}, P=11": flow(f"--flow {name}", "many.h5") for name in ("nsf", "iaf")},
    "flow auto, few rows": (
        f"train-flow vectors.h5 --epochs 3 {THREAD} -o flow.h5",
        f"sample flow.h5 vectors.h5 {FEW} -o posterior.h5",
    ),
    "flow auto, many rows": (
        f"train-flow larger.h5 --epochs 1 --ensemble 1 --support probit {THREAD} -o flow.h5",
        f"sample flow.h5 larger.h5 --rows 0:5 {FEW} -o posterior.h5",
    ),
    "flow auto, more rows": (
        f"train-flow largest.h5 --epochs 1 --ensemble 1 --support probit {THREAD} -o flow.h5",
        f"sample flow.h5 largest.h5 --rows 0:5 {FEW} -o posterior.h5",
    ),
    "flow nsf, by its defaults": (f"train-flow vectors.h5 --flow nsf --epochs 2 --support soft {THREAD} -o flow.h5",),
    "flow nsf, bins, blocks, dropout": flow("--flow nsf:bins=5 --blocks 1 --dropout 0.3 --seed 4"),
    **{
        f"support {support}, {what}": flow("--flow maf", catalog, support=support)
        for support, (what, catalog) in product(SUPPORTS, CATALOGS_OF_P.items())
    },
    **{f"support {support}, P=2": flow("--flow nsf", support=support) for support in SUPPORTS},
    "support truncate, realnvp": flow("--flow realnvp", support="truncate"),
    **{f"flow activation {name}": flow(f"--flow maf --activation {name}") for name in ACTIVATIONS if name != "maxout"},
    "embedding none": flow("--flow maf --embedding none"),
    "embedding linear": flow("--flow maf --embedding linear --embedding-features 3"),
    "embedding mlp": flow(
        "--flow maf --embedding mlp --embedding-layers 1 --embedding-hidden 10 --embedding-dropout 0.2 "
        "--embedding-activation tanh"
    ),
    "embedding cnn, 1-D": shaped_flow("--flow maf", "profiles.h5"),
    "embedding cnn, 1-D, periodic": shaped_flow("--flow maf", "rings.h5"),
    "embedding cnn, 2-D": shaped_flow("--flow nsf", "maps.h5"),
    "embedding cnn, 2-D, set": shaped_flow(
        "--flow maf --embedding-layers 1 --embedding-kernel 5 --embedding-stride 2 --embedding-padding zero "
        "--embedding-pooling max --embedding-blocks 1 --embedding-activation relu --embedding-batch-norm",
        "fields.h5",
    ),
    "embedding cnn, 3-D": shaped_flow("--flow maf --embedding cnn --no-embedding-batch-norm", "grids.h5"),
    "embedding cmd": flow("--flow maf --embedding cmd --embedding-hidden 1 --embedding-features 4", "maps.h5"),
    "map flow by its defaults": (
        f"train-flow maps.h5 --epochs 2 {THREAD} -o flow.h5",
        f"sample flow.h5 maps.h5 {FEW} -o posterior.h5",
    ),
    "several summaries": shaped_flow("--flow maf", "several.h5"),
    "one of several summaries": flow("--flow maf --data data/spectrum", "several.h5"),
    "flow, compressed by pca": flow("--flow maf --compress pca:3"),
    "flow, compressed by an autoencoder": flow("--flow maf --compress autoencoder:3"),
    "flow, --noise": flow("--flow maf --noise covariance.npy", "clean.h5"),
    "flow, --noise, noisy tests": (
        *flow("--flow maf --noise variances.npy", "clean.h5"),
        f"sample flow.h5 fresh.h5 --noisy {FEW} -o noisy.h5",
    ),
    "flow, --noise and pca": flow("--flow maf --noise covariance.npy --compress pca:4", "clean.h5"),
    "flow, gaps": flow("--flow maf --missing mask", "gaps.h5"),
    "flow, gaps, behind an mlp": flow("--flow nsf --missing mask --embedding mlp", "gaps.h5"),
    "flow, sets": flow("--flow maf --combine set --embedding-hidden 8 --embedding-features 4", "looks.h5"),
    "product": (
        *flow("--flow maf", "looks.h5"),
        f"sample flow.h5 looks.h5 --combine product --skip-failed {FEW} -o product.h5",
        f"evaluate product.h5 {THREAD} -o metrics.h5",
    ),
    "product of observations": (
        *flow("--flow nsf", "looks.h5"),
        f"sample flow.h5 bare.h5 --rows-per-simulation 2 --rows 0:12 --combine product --skip-failed {FEW} "
        "-o product.h5",
    ),
    "temperature of a flow": (
        *flow("--flow nsf", support="truncate"),
        f"sample flow.h5 vectors.h5 --recalibrate temperature {FEW} -o hot.h5",
    ),
    "flow, --infer": flow("--flow nsf --infer b,a", "mixed.h5"),
    "flow, scale cut by numbers": flow("--flow maf --features 2:6"),
    "flow, scale cut by a coordinate": flow("--flow maf --features k<0.45"),
    **{f"flow, transform {name}": flow(f"--flow maf --transform {name}", "positive.h5") for name in ("auto", "none")},
    "flow, transform log10": flow("--flow maf --transform log10", "positive.h5"),
    "flow, rows left out": flow("--flow maf --drop-nonfinite", "flawed.h5"),
    "flow, --summary": (
        f"train-regressor vectors.h5 {QUICK} {SMALL} -o regressor.h5",
        *flow("--flow maf --summary regressor.h5"),
    ),
    "flow, --summary of points": (
        f"train-regressor vectors.h5 {QUICK} {SMALL} --loss mse -o regressor.h5",
        *flow("--flow nsf --summary regressor.h5"),
    ),
    "flow, --summary of noise": (
        f"train-regressor clean.h5 {QUICK} {SMALL} --noise variances.npy -o regressor.h5",
        *flow("--flow maf --summary regressor.h5", "clean.h5"),
    ),
    "flow, --init": (
        f"train-flow a.h5 {QUICK} {SMALL} --flow nsf --support soft -o ancestor.h5",
        f"train-flow b.h5 --epochs 2 {THREAD} --init ancestor.h5 -o flow.h5",
        f"sample flow.h5 b.h5 {FEW} -o posterior.h5",
    ),
    **{f"flow, optimizer {name}": flow(f"--flow maf --optimizer {name}") for name in ("adam", "sgd")},
    "flow, schedule and descent": flow(
        "--flow maf --schedule cyclic --weight-decay 0.1 --patience 2 --clip 0.1 --epochs 12 --learning-rate 0.03"
    ),
    "flow, plateau and momentum": flow("--flow nsf --schedule plateau --optimizer sgd --momentum 0.5 --epochs 15"),
    "flow, augment": shaped_flow("--flow maf --augment mirrors", "maps.h5"),
    "flow, kind": flow("--flow maf --kind vector", "rings.h5"),
    "flow, rows of a simulation": flow("--flow maf --rows-per-simulation 4"),
    "flow, --noise, observations": (
        *flow("--flow maf --noise covariance.npy", "clean.h5"),
        f"sample flow.h5 bare.h5 {FEW} -o observed.h5",
    ),
    "flow, another split": flow("--flow maf --split-seed 3 --fractions 0.6 0.2 0.2"),
    "flow, tests by a list": flow("--flow maf --split-file tests.txt"),
    "flow, a split of the catalog": flow("--flow maf", "labelled.h5"),
    "flow of somebody else's file": flow(
        "--flow maf --parameters LH/params --data LH/x --data LH/y --names a,b --bounds a=0.1:0.5,b=0.25:4:log "
        "--simulation LH/id",
        "foreign.h5",
    ),
    "flow of many files": (
        f"train-flow [ab].h5 {QUICK} {SMALL} --flow maf --support probit -o flow.h5",
        f"sample flow.h5 [ab].h5 {FEW} -o posterior.h5",
    ),
}

OF_REGRESSORS: dict[str, Lines] = {
    "regressor by its defaults": (f"train-regressor vectors.h5 --epochs 3 {THREAD} -o regressor.h5",),
    "network linear": regressor("--network linear"),
    "network mlp": regressor(f"--network mlp {SMALL} --dropout 0.3"),
    "network cnn, 1-D": regressor("--network cnn --hidden 4 --kernel 5", "profiles.h5"),
    "network cnn, 2-D": regressor("--network cnn --hidden 4", "maps.h5"),
    "network cnn, 2-D, edges": regressor("--network cnn --hidden 4", "edges.h5"),
    "network cnn, 2-D, fields": regressor("--hidden 4 --pooling none --stride 2 --batch-norm", "fields.h5"),
    "network cnn, 3-D": regressor("--hidden 4 --padding zero", "grids.h5"),
    "network cnn, several": regressor(f"{SMALL} --dropout 0.1", "several.h5"),
    "network cmd": regressor(
        "--network cmd --hidden 1 --loss moment-log --schedule cyclic --optimizer adam --dropout 0.1", "maps.h5"
    ),
    **{
        f"pooling {name}": regressor(f"--hidden 4 --pooling {name} --stride 2 --layers 1", "maps.h5")
        for name in ("max", "none")
    },
    **{
        f"padding {name}": regressor(f"--hidden 4 --padding {name} --layers 1", "maps.h5")
        for name in ("periodic", "zero", "none")
    },
    "cnn, blocks and batch norm": regressor("--hidden 4 --blocks 1 --layers 1 --batch-norm", "maps.h5"),
    "cnn, blocks, no batch norm": regressor("--hidden 4 --blocks 2 --layers 1 --no-batch-norm", "profiles.h5"),
    **{
        f"augment {name}": regressor(f"--hidden 4 --augment {name}", "maps.h5")
        for name in ("none", "rotations", "mirrors,shifts")
    },
    "augment auto, 3-D": regressor("--hidden 2 --augment auto --layers 1", "grids.h5"),
    **{f"activation {name}": regressor(f"{SMALL} --activation {name}") for name in ACTIVATIONS},
    "cnn, activation maxout": regressor("--hidden 4 --activation maxout --layers 1", "maps.h5"),
    **{f"loss {name}": regressor(f"{SMALL} --loss {name}") for name in LOSSES},
    **{f"loss {name}, P=1": regressor(f"{SMALL} --loss {name}", "single.h5") for name in LOSSES},
    **{f"loss {name}, P=4": regressor(f"{SMALL} --loss {name}", "mixed.h5") for name in ("moment", "gaussian-nll")},
    **{
        f"{target}, loss {name}": classifier(f"{target} --loss {name}")
        for target in ("suite", "code")
        for name in OF_CLASSES
        if (target, name) != ("code", "logistic")
    },
    "classifier, pca": classifier("suite --compress pca:3"),
    **{
        f"optimizer {name}": regressor(f"{SMALL} --optimizer {name} --weight-decay 0.1")
        for name in ("adamw", "adam", "sgd")
    },
    "optimizer sgd, momentum": regressor(f"{SMALL} --optimizer sgd --momentum 0.5 --learning-rate 0.01"),
    **{f"schedule {name}": regressor(f"{SMALL} --schedule {name}") for name in ("cosine", "constant", "cyclic")},
    "schedule plateau": regressor(f"{SMALL} --schedule plateau --epochs 40 --learning-rate 0.05"),
    "patience": regressor(f"{SMALL} --patience 2 --epochs 40 --learning-rate 0.05"),
    "warm-up and clip": regressor(f"{SMALL} --warm-up 1 --clip 0.01"),
    "single rows": regressor(f"{SMALL} --batch-size 1 --epochs 1"),
    "full batch": regressor(f"{SMALL} --batch-size 10000"),
    "ridge": regressor("--network ridge", quick=THREAD),
    "ridge, P=4": regressor("--network ridge", "mixed.h5", THREAD),
    "ridge of maps": regressor("--network ridge", "maps.h5", THREAD),
    "trees": regressor("--network trees --trees 30 --depth 3", quick=THREAD),
    "regressor, compressed by pca": regressor(f"{SMALL} --compress pca:3"),
    "regressor, compressed by an autoencoder": regressor(f"{SMALL} --compress autoencoder:3"),
    "regressor, --noise": regressor(f"{SMALL} --noise covariance.npy", "clean.h5"),
    "regressor, gaps": regressor(f"{SMALL} --missing mask", "gaps.h5"),
    "regressor, transform": regressor(f"{SMALL} --transform log10", "positive.h5"),
    "regressor, scale cut": regressor(f"{SMALL} --features 0:5 --features 1:4"),
    "regressor, --infer": regressor(f"{SMALL} --infer c,b", "mixed.h5"),
    "regressor, another seed and split": regressor(f"{SMALL} --seed 3 --split-seed 2"),
    "regressor of many files": regressor(SMALL, "[ab].h5"),
    "regressor of profiles, --noise": regressor(f"{SMALL} --noise ring_variances.npy", "rings.h5"),
    "temperature of a regressor": (
        *regressor(SMALL),
        f"sample regressor.h5 vectors.h5 --recalibrate temperature {FEW} -o hot.h5",
    ),
    "temperature of a covariance": (
        *regressor(f"{SMALL} --loss gaussian-nll"),
        f"sample regressor.h5 vectors.h5 --recalibrate temperature {FEW} -o hot.h5",
    ),
    "profile as a vector": regressor(f"{SMALL} --kind vector --rows-per-simulation 2", "rings.h5"),
    "streamed": (
        f"SLURM_MEM_PER_NODE=1 train-regressor large.h5 {QUICK} --hidden 2 --epochs 2 -o regressor.h5",
        f"SLURM_MEM_PER_NODE=1 train-flow large.h5 {QUICK} --embedding-hidden 2 {SMALL} --epochs 1 -o flow.h5",
        f"SLURM_MEM_PER_NODE=1 sample flow.h5 large.h5 {FEW} -o posterior.h5",
    ),
    "streamed, --memory": (
        f"train-regressor huge.h5 --memory 100MB --ensemble 1 --epochs 1 --hidden 2 --stride 4 {THREAD} "
        "-o regressor.h5",
    ),
}

OF_DENSITIES: dict[str, Lines] = {
    **{f"density {name}": density(f"--flow {name}") for name in FLOWS},
    **{f"density {name}, unconditional": density(f"--flow {name} --unconditional") for name in FLOWS},
    **{f"density of maps, {name}": density(f"--flow {name}", "maps.h5") for name in ("glow", "realnvp")},
    **{
        f"density of maps, {name}, unconditional": density(f"--flow {name} --unconditional", "edges.h5")
        for name in ("glow", "realnvp")
    },
    "density of fields": density("--flow glow --levels 1 --kernel 5 --augment none", "fields.h5"),
    "density by its defaults": (f"train-density vectors.h5 --epochs 3 {THREAD} -o density.h5",),
    "density of maps, by its defaults": (f"train-density maps.h5 --epochs 1 {THREAD} -o density.h5",),
    "density nsf, bins, dropout": density("--flow nsf --bins 5 --dropout 0.2 --blocks 1"),
    "density, activation and descent": density("--activation relu --optimizer adam --schedule constant --seed 2"),
    "density, scored rows": (
        *density("--flow nsf"),
        f"score density.h5 fresh.h5 {THREAD} -o fresh_scores.h5",
        f"score density.h5 vectors.h5 --rows 0:9 {THREAD} -o rows.h5",
        f"score density.h5 vectors.h5 --split validation {THREAD} -o validation.h5",
        f"generate density.h5 --at Omega_m=0.2,sigma_8=0.9 --draws 5 --seed 7 {THREAD} -o again.h5",
    ),
    "density without parameters": density("", "bare.h5"),
    "density, transform": density("--flow maf --transform log10", "positive.h5"),
    "density, P=4": density("", "mixed.h5", "--at a=0.3,b=1,c=0.1,d=-0.2"),
    "density of what never varies": density("--flow maf", "rigid.h5"),
    "density of maps that never vary": density("--flow glow", "rigid_maps.h5"),
    "density, gaps of rows": density("--flow maf --drop-nonfinite --features 0:8", "flawed.h5"),
}

OF_POSTERIORS: dict[str, Lines] = {
    "rows and parts": (
        *flow("--flow nsf"),
        f"sample flow.h5 vectors.h5 --split validation --seed 5 {FEW} -o validation.h5",
        f"sample flow.h5 vectors.h5 --rows 3,5,20:25 {FEW} -o rows.h5",
        f"sample flow.h5 vectors.h5 --split all --draws 5 {THREAD} -o all.h5",
    ),
    "out of distribution": (
        *flow("--flow maf"),
        f"sample flow.h5 fresh.h5 {FEW} -o alike.h5",
        f"sample flow.h5 shifted.h5 --skip-failed {FEW} -o unlike.h5",
        f"sample flow.h5 bare.h5 {FEW} -o observed.h5",
        f"evaluate alike.h5 {THREAD} -o metrics.h5",
    ),
    "out of distribution, regressor, gaps": (
        *regressor(f"{SMALL} --missing mask", "gaps.h5"),
        f"sample regressor.h5 fresh.h5 {FEW} -o alike.h5",
        f"sample regressor.h5 shifted.h5 {FEW} -o unlike.h5",
    ),
    "out of distribution, classifier": (
        *classifier("suite"),
        f"sample regressor.h5 shifted.h5 {THREAD} -o unlike.h5",
    ),
    "out of distribution, logarithm": (
        *flow("--flow maf", "positive.h5"),
        f"sample flow.h5 fresh.h5 --skip-failed {FEW} -o unlike.h5",
    ),
    "many draws": (*regressor(SMALL), f"sample regressor.h5 vectors.h5 --rows 0:3 --draws 30000 {THREAD} -o drawn.h5"),
    "draws on disk": (
        *regressor(SMALL),
        f"sample regressor.h5 vectors.h5 --rows 0:2 --draws 2200000 {THREAD} -o drawn.h5",
    ),
    "evaluate": measured(),
    "evaluate, P=1": (*flow("--flow maf", "single.h5"), f"evaluate posterior.h5 {THREAD} -o metrics.h5"),
    "evaluate, P=4": (*flow("--flow maf", "mixed.h5"), f"evaluate posterior.h5 {THREAD} --seed 2 -o metrics.h5"),
    "evaluate, unbounded": (*flow("--flow maf", "unbounded.h5"), f"evaluate posterior.h5 {THREAD} -o metrics.h5"),
    "evaluate, sets": (
        *flow("--flow maf --combine set --embedding-hidden 8", "looks.h5"),
        f"evaluate posterior.h5 {THREAD} -o metrics.h5",
    ),
    "evaluate, clusters": (*flow("--flow nsf", "looks.h5"), f"evaluate posterior.h5 {THREAD} -o metrics.h5"),
    "evaluate a model": (*flow("--flow maf"), f"evaluate flow.h5 vectors.h5 {FEW} -o metrics.h5"),
    "evaluate points": (*regressor(f"{SMALL} --loss mse"), f"evaluate posterior.h5 {THREAD} -o metrics.h5"),
    "evaluate widths": (*regressor(SMALL), f"evaluate posterior.h5 {THREAD} -o metrics.h5"),
    "evaluate one universe": (
        *flow("--flow maf", tested="fixed.h5"),
        f"evaluate posterior.h5 {THREAD} -o metrics.h5",
    ),
    "evaluate, gates": measured("--gate --fail-if 'r2[Omega_m]<0.5'"),
    "evaluate, --local": measured("--local 17 --local 3"),
    "evaluate a part, rows": (
        *flow("--flow maf"),
        f"evaluate flow.h5 vectors.h5 --split validation {FEW} -o validation.h5",
        f"evaluate flow.h5 fresh.h5 --rows 0:30 --recalibrate temperature {FEW} -o rows.h5",
    ),
    "against a posterior": measured(
        "--against other.h5",
        (
            f"train-flow vectors.h5 {QUICK} {SMALL} --support soft --flow nsf -o second.h5",
            f"sample second.h5 fresh.h5 {FEW} -o other.h5",
        ),
    ),
    "against a model": (
        *flow("--flow maf", tested="fresh.h5"),
        f"train-regressor vectors.h5 {QUICK} {SMALL} -o regressor.h5",
        f"evaluate posterior.h5 fresh.h5 --against regressor.h5 {FEW} -o metrics.h5",
    ),
    "against the truth": (
        "simulate linear-gaussian -n 160 --truth --draws 100 -o sims.h5",
        f"train-flow sims.h5 {QUICK} {SMALL} --flow maf --support probit -o flow.h5",
        f"sample flow.h5 sims.h5 --draws 100 {THREAD} -o posterior.h5",
        f"evaluate posterior.h5 --against sims.truth.h5 {THREAD} -o metrics.h5",
    ),
    "reweight": (
        *flow("--flow maf --epochs 6"),
        "reweight posterior.h5 --prior Omega_m=normal:0.31:0.08 --skip-failed -o normal.h5",
        "reweight posterior.h5 --prior Omega_m=uniform:0.2:0.45 --prior sigma_8=log-uniform:0.65:0.95 --draws 20 "
        "--seed 1 --skip-failed -o two.h5",
        "reweight posterior.h5 --derive S_8=sigma_8*(Omega_m/0.3)**0.5 -o derived.h5",
        "reweight posterior.h5 --prior Omega_m=normal:0.31:0.1 --derive S_8=sigma_8*(Omega_m/0.3)**0.5 --skip-failed "
        "-o both.h5",
        f"evaluate derived.h5 {THREAD} -o metrics.h5",
        f"evaluate normal.h5 {THREAD} -o of_normal.h5",
    ),
}

OF_STUDIES: dict[str, Lines] = {
    "cross": (f"cross a.h5 b.h5 c.h5 {QUICK} {SMALL} --flow maf --support probit --draws 40 -o cross.h5",),
    "cross, --init": (
        f"train-flow vectors.h5 {QUICK} {SMALL} --flow maf --support probit -o ancestor.h5",
        f"cross a.h5 b.h5 --epochs 2 {THREAD} --init ancestor.h5 --draws 40 -o cross.h5",
    ),
    "learning-curve": (
        f"learning-curve vectors.h5 {QUICK} {SMALL} --flow maf --sizes 30,60,90 --predict 400 -o curve.h5",
    ),
    "learning-curve, by its defaults": (f"learning-curve vectors.h5 --epochs 2 {THREAD} -o curve.h5",),
    "cross, sets": (
        f"cross looks_a.h5 looks_b.h5 {QUICK} {SMALL} --flow nsf --support soft --combine set --draws 40 "
        "--embedding-hidden 8 -o cross.h5",
    ),
    "run on maps": (f"run maps.h5 --epochs 2 --embedding-hidden 4 {FEW} -o results",),
    "run": (f"run vectors.h5 {QUICK} {SMALL} --flow maf --recalibrate temperature --draws 40 -o results",),
    "split": ("split looks.h5 -o split.h5",),
    "split, fractions and seed": ("split vectors.h5 --fractions 0.5 0.3 0.2 --split-seed 7 -o split.h5",),
    "split, by a list": ("split vectors.h5 --split-file tests.txt -o split.h5",),
    "split of many files": ("split [abc].h5 -o split.h5",),
    "repack": ("repack looks.h5 -o packed.h5",),
    **{f"simulate {name}": simulated(name, options) for name, options in PROBLEMS.items()},
    **{
        f"audit {name}": (f"inspect {name}.h5 --audit",)
        for name in ("vectors", "flawed", "mixed", "maps", "looks", "positive", "fixed", "several")
    },
    "audit gaps": ("inspect gaps.h5 --audit --missing mask",),
    "inspect": ("inspect vectors.h5",),
    "manifest": ("inspect [ab].h5 --manifest sims.json", "split sims.json -o split.h5"),
}

CASES: dict[str, Lines] = OF_FLOWS | OF_REGRESSORS | OF_DENSITIES | OF_POSTERIORS | OF_STUDIES
