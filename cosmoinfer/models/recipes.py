"""What to train, in full: architecture, support, ensemble and training, from what the user said and what he did not.

A default is chosen by the number of training rows and the shape of the data; see ``flow_defaults``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS
from cosmoinfer.flows.maf import MAF
from cosmoinfer.flows.nsf import NSF
from cosmoinfer.losses import LOSSES
from cosmoinfer.networks import NETWORKS
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.embedding import EMBEDDINGS
from cosmoinfer.networks.mlp import MLP
from cosmoinfer.scaling import SUPPORTS, TRANSFORMS
from cosmoinfer.training import Training

Recipe = TypeVar("Recipe")
Given = dict[str, Any]  # options by field name; None where the user said nothing


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


@dataclass(frozen=True)
class RegressorRecipe:
    """networks: one (name, settings) a summary; features: where several summaries meet."""

    networks: tuple[tuple[str, Any], ...]
    features: int
    loss: str
    transform: str
    ensemble: int
    training: Training


def flow_recipe(given: Given, rows: int, shapes: Sequence[tuple[int, ...]]) -> FlowRecipe:
    """The defaults for so many training rows of these shapes, overridden by what was given."""
    asked = _known("--flow", given.get("flow") or ("auto" if _vectors(shapes) else "nsf"), (*FLOWS, "auto"))
    stacks, lacking = [], []
    for stack in flow_defaults(rows, shapes):
        if asked in ("auto", stack.flow):
            try:
                stacks.append(_overridden(stack, given, shapes))
            except UserError as error:  # of a mixture, only those that have what was asked for
                lacking.append(error)
    if not stacks:
        raise lacking[-1]
    support = "auto" if _vectors(shapes) else "soft"
    return FlowRecipe(
        tuple(stacks),
        _known("--support", given.get("support") or support, (*SUPPORTS, "auto")),
        _known("--transform", given.get("transform") or "auto", TRANSFORMS),
        _members(_said(given.get("ensemble"), _ensemble(shapes))),
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
    training = _training(rows, shapes)
    return [
        StackRecipe("maf", maf, plain, 16, mlp, cnn, training),
        StackRecipe("nsf", nsf, embedding, 16, mlp, cnn, training),
    ]


def _training(rows: int, shapes: Sequence[tuple[int, ...]]) -> Training:
    """So many steps, fewer for a CNN; batches of 100 rows, of 256 from 3,000 rows on."""
    batch, steps = (100, 2100) if rows < 3000 else (256, 5000)
    if not _vectors(shapes):
        steps = 280 if rows < 3000 else 2000  # 700 maps: best near the 250th step; in a longer schedule far worse
    return Training(epochs=min(300, max(20, round(steps * batch / rows))), batch_size=batch)


def _overridden(stack: StackRecipe, given: Given, shapes: Sequence[tuple[int, ...]]) -> StackRecipe:
    name = given.get("embedding") or "auto"
    _known("--embedding", name, EMBEDDINGS)
    embedding = stack.embedding if name == "auto" else (name,) * len(shapes)
    embedded = {key.removeprefix("embedding_"): value for key, value in given.items() if key.startswith("embedding_")}
    features = _said(embedded.pop("features", None), stack.features)
    if features < 1:
        raise UserError(f"--embedding-features: expected at least 1, found {features}")
    if any(value is not None for value in embedded.values()) and set(embedding) == {"none"}:
        raise UserError("--embedding-...: there is no embedding to set; --embedding mlp or cnn makes one")
    return replace(
        stack,
        settings=override(stack.settings, {key: given.get(key) for key in _OF_RECIPES}, f"--flow {stack.flow}"),
        embedding=embedding,
        features=features,
        mlp=override(stack.mlp, embedded, "the mlp embedding"),
        cnn=override(stack.cnn, embedded, "the cnn embedding"),
        training=override(stack.training, {key: given.get(key) for key in _OF_TRAINING}, "training"),
    )


def _vectors(shapes: Sequence[tuple[int, ...]]) -> bool:
    return all(len(shape) == 1 for shape in shapes)


def _ensemble(shapes: Sequence[tuple[int, ...]]) -> int:
    return 5 if _vectors(shapes) else 2


def regressor_recipe(given: Given, rows: int, shapes: Sequence[tuple[int, ...]]) -> RegressorRecipe:
    """The defaults for so many training rows of these shapes, overridden by what was given."""
    asked = given.get("network") or "auto"
    _known("--network", asked, (*NETWORKS, "auto"))
    training = _training(rows, shapes)
    networks = []
    for shape in shapes:
        name = asked if asked != "auto" else ("mlp" if len(shape) == 1 else "cnn")
        settings = MLP(dropout=0.2, activation="relu") if name == "mlp" else NETWORKS[name]()
        options = {key: given.get(key) for key in _OF_RECIPES}
        networks.append((name, override(settings, options, f"--network {name}")))
    return RegressorRecipe(
        tuple(networks),
        32,
        _known("--loss", given.get("loss") or "moment", LOSSES),
        _known("--transform", given.get("transform") or "auto", TRANSFORMS),
        _members(_said(given.get("ensemble"), _ensemble(shapes))),
        override(training, {key: given.get(key) for key in _OF_TRAINING}, "training"),
    )


_OF_RECIPES = ("layers", "hidden", "blocks", "bins", "kernel", "dropout", "activation")
_OF_TRAINING = tuple(field.name for field in fields(Training))
_OPTIONS = (*_OF_RECIPES, *_OF_TRAINING)


def override(recipe: Recipe, given: Given, what: str) -> Recipe:
    """The recipe with what was given; a setting that it lacks is an error that lists those it has."""
    said = {key: value for key, value in given.items() if value is not None}
    has = [field.name for field in fields(recipe) if field.name in _OPTIONS]  # type: ignore[arg-type]
    for key in said:
        if key not in has:
            own = ", ".join(_flag(name) for name in has) or "none to set"
            raise UserError(f"{what} has no {_flag(key)}; it has {own}")
    if "activation" in said:
        _known("--activation", said["activation"], ACTIVATIONS)
    for key in ("layers", "hidden", "blocks", "bins", "kernel"):
        if key in said and said[key] < 1:
            raise UserError(f"{_flag(key)}: expected at least 1, found {said[key]}")
    if not 0 <= said.get("dropout", 0) < 1:
        raise UserError(f"--dropout: expected a share in [0, 1), found {said['dropout']:g}")
    return replace(recipe, **said)  # type: ignore[type-var]


def _said(value: Any, default: Any) -> Any:
    return default if value is None else value


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _known(flag: str, name: str, table: Any) -> str:
    if name not in table:
        raise UserError(f"{flag}: {name!r} is not known; there are {', '.join(table)}")
    return name


def _members(ensemble: int) -> int:
    if ensemble < 1:
        raise UserError(f"--ensemble: expected at least 1 member, found {ensemble}")
    return ensemble
