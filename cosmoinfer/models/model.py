"""A model: a trained ensemble of networks, and what is done alike with all of them.

A network holds M members of one architecture side by side, a stack.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.models.architecture import architecture_of, describe_stack
from cosmoinfer.networks.embedding import use_mixed_precision
from cosmoinfer.networks.layers import Dropout, expand_members
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.printable import html, one_line
from cosmoinfer.storage import JSONObject
from cosmoinfer.training.loaders import DataLoader
from cosmoinfer.training.loop import Hooks, Loss, train
from cosmoinfer.training.settings import TrainingContext, TrainingSettings
from cosmoinfer.training.state import History
from cosmoinfer.training.streams import MemberStreams, generators

Network = TypeVar("Network", bound=nn.Module)
AnyStack = TypeVar("AnyStack", bound="Stack[Any]")


@dataclass(frozen=True)
class Stack(Generic[Network]):
    """config: JSON from which ``network`` can be built anew; members: M."""

    config: JSONObject
    members: int
    network: Network = field(metadata={"path": "weights"})
    history: History

    @property
    def device(self) -> torch.device:
        return next(chain(self.network.parameters(), self.network.buffers())).device

    @property
    def architecture(self) -> str:
        """Its name in a report."""
        return architecture_of(self.config)

    def describe(self) -> str:
        """How many members of which architecture."""
        return describe_stack(self.members, self.architecture)

    @property
    def epochs(self) -> int:
        """Of all members, counted one by one."""
        return self.history.train.size

    @property
    def weights_per_member(self) -> int:
        """How many numbers a member has learned."""
        return sum(weights.numel() for weights in self.network.parameters()) // self.members

    def first(self, members: int) -> dict[str, torch.Tensor]:
        """The weights of the first members."""
        return {name: value[:members] for name, value in self.network.state_dict().items()}

    def select(self: "AnyStack", members: slice) -> "AnyStack":
        """Some of the members alone, with copies of their weights, on the same device."""
        weights = {name: value[members] for name, value in self.network.state_dict().items()}
        count = len(range(self.members)[members])
        network: Network = type(self.network).from_config(self.config, generators(0, "rebuild", count))
        network.load_state_dict(weights, strict=True)
        network = network.to(self.device).eval()
        return replace(self, members=count, network=network, history=self.history.select(members))

    @staticmethod
    def build_network(network: Any, built: Mapping[str, Any]) -> nn.Module:
        """A network of this class, from the fields that are read already; its weights are filled in afterwards.

        Raises UserError where it has not as many members as were trained.
        """
        trained = built["history"].train.shape[-1]
        if built["members"] != trained:
            raise UserError(f"members: expected {trained}, as of the history, found {built['members']}")
        module: nn.Module = network.from_config(built["config"], generators(0, "rebuild", built["members"]))
        return module


def fit_stack(
    config: JSONObject,
    members: int,
    network: Network,
    loss: Loss,
    loaders: Sequence[DataLoader],
    settings: TrainingSettings,
    context: TrainingContext,
    hooks: Hooks,
    score: Loss | None = None,
    key: JSONObject | None = None,
) -> Stack[Network]:
    """Train the members of a network side by side, each on its own order of the rows.

    config: from which the network was built. loaders: of the training and the validation rows. score: what judges the
    validation rows, if not the loss. key: what else tells this training from others of the same output, for its
    checkpoint. Raises DivergedError when a loss is no longer finite.
    """
    if settings.mixed_precision:
        use_mixed_precision(network, context.device)
    sizes = [len(rows) for rows in loaders]
    keeper = context.keeper(
        {"network": config, "members": members, "settings": asdict(settings), "rows": sizes, **(key or {})}
    )
    train_rows, validation_rows = loaders
    history = train(
        network,
        loss,
        train_rows,
        validation_rows,
        settings,
        MemberStreams.of_members(context.seed, "order", members),
        context.on_epoch,
        score,
        hooks=replace(hooks, streams=(*hooks.streams, *_dropout_streams(network, context.seed))),
        keeper=keeper,
    )
    if (epochs := len(history.train)) < settings.epochs:
        reason = f"no lower validation loss, patience {settings.patience}"
        context.info(f"stopped after {epochs} of {settings.epochs} epochs ({reason})")
    return Stack(config, members, network, history)


def _dropout_streams(network: nn.Module, seed: int) -> tuple[MemberStreams, ...]:
    """Of the masks that its layers draw, if any: all from the same generators."""
    for layer in network.modules():
        if isinstance(layer, Dropout) and layer.rate > 0:
            return (MemberStreams(seed, "dropout", range(len(layer.generators)), layer.generators),)
    return ()


@torch.no_grad()
def member_outputs(stacks: Sequence[Stack[Network]], data: Sequence[np.ndarray]) -> np.ndarray:
    """Of every member of every stack, for the same rows: (M, n, O) float64."""
    by_stack = []
    for stack in stacks:
        raw = stack.network(
            *(expand_members(torch.from_numpy(array).to(stack.device), stack.members) for array in data)
        )
        by_stack.append(raw.double().cpu().numpy())
    return np.concatenate(by_stack)


class Model(Protocol):
    """A trained ensemble with all that is needed to use it.

    kind: by which a file names it.
    preprocessing: from rows of a catalog to what its networks see.
    training_record: which rows it has learned from.
    stacks: its networks, one stack an architecture.
    weights: (M,) of all members in the mixture.
    provenance: what it was made from, and how: the /meta of its file.
    """

    kind: ClassVar[str]

    @property
    def preprocessing(self) -> Preprocessing: ...

    @property
    def training_record(self) -> TrainingRecord: ...

    @property
    def stacks(self) -> tuple[Stack[Any], ...]: ...

    @property
    def weights(self) -> np.ndarray: ...

    @property
    def provenance(self) -> JSONObject: ...


def model_repr(model: Model) -> str:
    """``__repr__`` of a model: a line on what it infers, and one each on data, members and training."""
    title, lines = describe_model(model)
    return "\n".join(map(one_line, [title, *(f"  {label}: {text}" for label, text in lines)]))


def model_html(model: Model) -> str:
    """``_repr_html_`` of a model, for notebooks: the same as a table."""
    title, lines = describe_model(model)
    rows = "".join(f"<tr><th>{html(label)}</th><td>{html(text)}</td></tr>" for label, text in lines)
    return f"<table><caption>{html(title)}</caption>{rows}</table>"


def describe_model(model: Model) -> tuple[str, list[tuple[str, str]]]:
    """What it infers, and labelled lines on the data that it takes, its members and its training."""
    preprocessing, (train, validation, test) = model.preprocessing, model.training_record.split.sizes
    names = ", ".join(preprocessing.classes or preprocessing.parameters.names)
    shapes = [f"{observable.name} {observable.kind} {observable.shape}" for observable in preprocessing.inputs]
    lines = [("data", "; ".join(shapes)), ("members", "; ".join(stack.describe() for stack in model.stacks))]
    lines.append(("simulations", f"{train} train, {validation} validation, {test} test"))
    if (temperature := getattr(model, "temperature", 1.0)) != 1:
        lines.append(("temperature", f"{temperature:.3g}"))
    titles = {
        "flow": f"p({names} | data)",
        "regressor": names,
        "classifier": names,
        "density": f"p(data | {names})" if names else "p(data)",
    }
    return f"{type(model).__name__} of {titles[model.kind]}", lines
