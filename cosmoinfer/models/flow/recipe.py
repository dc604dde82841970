"""What flows to train: architectures, support, ensemble and training, by the rows and the shape of the data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS
from cosmoinfer.flows.maf import MAF
from cosmoinfer.flows.nsf import NSF
from cosmoinfer.models.defaults import are_vectors, default_members, default_training
from cosmoinfer.models.options import OF_RECIPES, OF_TRAINING, Given, known, members, override, said
from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.embedding import EMBEDDINGS
from cosmoinfer.networks.mlp import MLP
from cosmoinfer.scaling import SUPPORTS, TRANSFORMS
from cosmoinfer.training import Training


@dataclass(frozen=True)
class StackRecipe:
    """One architecture: the flow's own settings, and an embedding a summary, to ``features`` numbers each."""

    flow: str
    settings: Any
    embedding: tuple[str, ...]
    features: int
    mlp: MLP
    cnn: CNN
    training: Training


@dataclass(frozen=True)
class FlowRecipe:
    """stacks: the architectures that are mixed, ``ensemble`` members of each."""

    stacks: tuple[StackRecipe, ...]
    support: str
    transform: str
    ensemble: int


def flow_recipe(given: Given, rows: int, shapes: Sequence[tuple[int, ...]]) -> FlowRecipe:
    """The defaults for so many training rows of these shapes, overridden by what was given."""
    asked = known("--flow", given.get("flow") or ("auto" if are_vectors(shapes) else "nsf"), (*FLOWS, "auto"))
    stacks, lacking = [], []
    for stack in flow_defaults(rows, shapes):
        if asked in ("auto", stack.flow):
            try:
                stacks.append(_overridden(stack, given, shapes))
            except UserError as error:  # of a mixture, only those that have what was asked for
                lacking.append(error)
    if not stacks:
        raise lacking[-1]
    support = "auto" if are_vectors(shapes) else "soft"
    return FlowRecipe(
        tuple(stacks),
        known("--support", given.get("support") or support, (*SUPPORTS, "auto")),
        known("--transform", given.get("transform") or "auto", TRANSFORMS),
        members(said(given.get("ensemble"), default_members(shapes))),
    )


def flow_defaults(rows: int, shapes: Sequence[tuple[int, ...]]) -> list[StackRecipe]:
    """What is trained for so many training rows when nothing is said: the flows that are mixed.

    Vectors: a MAF on the data and an NSF; from 1,000 rows on the NSF sees the data through a small MLP. What has axes
    goes through a CNN, which is what costs: both flows would learn the same one twice.

    Compared on validation rows, five members mixed, batches of 100, mean log_prob. CAMELS histories of IllustrisTNG
    (split seeds 0, 1, 2; about 700 rows) and of SIMBA:

        maf, width 50, no dropout, 150 epochs, truncate       3.27  2.04    (soft 3.17  2.83; probit 2.6)
        the same, dropout 0.1 and 300 epochs                  3.46  3.42
        maf, width 128, dropout 0.2, 300 epochs               3.53  3.63    (relu for silu: 0.06 worse)
        nsf, width 128, dropout 0.2, 300 epochs               3.29  3.80
        nsf behind an MLP of 16 numbers, dropout 0.2          3.00  3.54
        data whitened by PCA (20 components) in place of x    2.07  1.55

    Power spectra, nats short of the exact posterior, at 1,400 rows (200 epochs) and 16,000 (60 epochs of 256):

        maf, width 50, dropout 0.1                            0.25  -
        maf, width 128, dropout 0.2 (relu)                    0.34  -
        maf, width 50, no dropout                             -     0.116
        nsf, width 50                                         -     0.058
        nsf, width 50, behind an MLP of 16 numbers            0.19  0.041   (with dropout 0.1: 0.32  -)

    So dropout helps where the data are noisy and hurts where they are precise; the mixture, weighed by the validation
    rows, takes what each catalog wants.
    """
    embedding = tuple("mlp" if len(shape) == 1 else "cnn" for shape in shapes)
    plain = tuple("none" if len(shape) == 1 else "cnn" for shape in shapes)
    mlp, cnn = MLP(hidden=128, layers=2), CNN(hidden=8 if rows < 3000 else 16)
    if rows < 1000:
        maf, nsf, embedding = MAF(hidden=128, dropout=0.2), NSF(hidden=128, dropout=0.2), plain
    elif rows < 3000:
        maf, nsf = MAF(hidden=64, dropout=0.1), NSF(hidden=50)
    else:
        maf, nsf = MAF(hidden=64), NSF(hidden=50)
    training = default_training(rows, shapes)
    return [
        StackRecipe("maf", maf, plain, 16, mlp, cnn, training),
        StackRecipe("nsf", nsf, embedding, 16, mlp, cnn, training),
    ]


def _overridden(stack: StackRecipe, given: Given, shapes: Sequence[tuple[int, ...]]) -> StackRecipe:
    name = given.get("embedding") or "auto"
    known("--embedding", name, EMBEDDINGS)
    embedding = stack.embedding if name == "auto" else (name,) * len(shapes)
    embedded = {key.removeprefix("embedding_"): value for key, value in given.items() if key.startswith("embedding_")}
    features = said(embedded.pop("features", None), stack.features)
    if features < 1:
        raise UserError(f"--embedding-features: expected at least 1, found {features}")
    if any(value is not None for value in embedded.values()) and set(embedding) == {"none"}:
        raise UserError("--embedding-...: there is no embedding to set; --embedding mlp or cnn makes one")
    return replace(
        stack,
        settings=override(stack.settings, {key: given.get(key) for key in OF_RECIPES}, f"--flow {stack.flow}"),
        embedding=embedding,
        features=features,
        mlp=override(stack.mlp, embedded, "the mlp embedding"),
        cnn=override(stack.cnn, embedded, "the cnn embedding"),
        training=override(stack.training, {key: given.get(key) for key in OF_TRAINING}, "training"),
    )
