"""Trained flows joined into one mixture: which of them can be, and the shares that the validation rows ask for.

A flow keeps the weights of its own members; only its share in the mixture is fitted. Each is a density of its own that
its training mixed for the same rows, and a number for each is all that a small validation set has to determine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from cosmoinfer import split as splits
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.models.flow.candidate import JoinedFlow
from cosmoinfer.models.flow.members import FlowTrainingData
from cosmoinfer.models.flow.model import FlowModel
from cosmoinfer.models.flow.network import FlowStack
from cosmoinfer.models.flow.shares import choose_mixture, expected_weights, score_flows
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.differences import equal_contents, preprocessing_differences


def check_joinable(flows: Sequence[FlowModel], names: Sequence[str]) -> None:
    """Raises UserError, which names the first flow that cannot be joined with those before it, and what differs.

    names: of the flows, in messages.
    """
    for flow, name in zip(flows, names, strict=True):
        if flow.temperature != 1:
            raise UserError(f"{name}: expected a flow at temperature 1, found temperature {flow.temperature:.3g}")
        difference = next(_differences(flows[0], flow, names[0]), None)
        if difference is not None:
            raise UserError(f"{name}: cannot be joined with {names[0]}: {difference}")


def join_flows(flows: Sequence[FlowModel], names: Sequence[str], catalog: Catalog, top: int, seed: int) -> FlowModel:
    """The mixture of the best flows, by their log_prob on the validation rows, ``top`` of them at most.

    flows: that can be joined (``check_joinable``); their order keys the draws that renormalise them. names: of the
    flows, in messages. catalog: that they were trained on.

    Raises UserError, which names the flow, where one has learned from other rows, or its log_prob is not finite, and
    for another catalog.
    """
    data = _training_data(flows, names, catalog)
    scores = score_flows(flows, catalog, data.validation_rows, seed)
    log_probs = scores.mean(scores.normalised)
    for name, log_prob in zip(names, log_probs, strict=True):
        if not np.isfinite(log_prob):
            raise UserError(f"{name}: expected a finite log_prob of the validation rows, found {log_prob}")
    best = np.sort(np.argsort(-log_probs, kind="stable")[:top])
    selected = scores.select(best.tolist())
    kept, weights, shares = choose_mixture(selected, expected_weights(selected))
    mixed = [flows[number] for number in best[kept]]
    share_of_flow = dict.fromkeys(range(len(flows)), 0.0) | dict(zip(best[kept].tolist(), shares.tolist(), strict=True))
    results = zip(flows, log_probs.tolist(), scores.errors(scores.normalised), share_of_flow.values(), strict=True)
    joined = tuple(
        JoinedFlow("; ".join(stack.describe() for stack in flow.stacks), log_prob, error, share)
        for flow, log_prob, error, share in results
    )
    parameters = data.preprocessing.parameters
    stacks = [_with_parameters(stack, parameters) for flow in mixed for stack in flow.stacks]
    by_member = np.concatenate([weight * flow.weights for weight, flow in zip(weights, mixed, strict=True)])
    model = data.model(stacks, by_member / by_member.sum())
    return replace(model, joined=joined).with_recalibration(catalog, seed)


def _differences(first: FlowModel, flow: FlowModel, name: str) -> Iterator[str]:
    """What keeps a flow from being joined with the first one, and the settings that decide it. name: of the first."""
    record, first_record = flow.training_record, first.training_record
    if record.fingerprint != first_record.fingerprint:
        yield "it was trained on another catalog"
    if splits.fingerprint(record.split) != splits.fingerprint(first_record.split):
        yield "it was trained on another split (`split_seed`, `fractions`, `split_file`)"
    yield from preprocessing_differences(first.preprocessing, flow.preprocessing)
    if flow.set_size != first.set_size:
        sizes = (f"sets of {size} rows" if size else "single rows" for size in (flow.set_size, first.set_size))
        yield "it takes {}, not {} (`observation`)".format(*sizes)
    if not equal_contents(flow.summary, first.summary):
        yield f"its summary network is not that of {name} (`summary`)"


def _training_data(flows: Sequence[FlowModel], names: Sequence[str], catalog: Catalog) -> FlowTrainingData:
    """What the flows were trained on, with the rows of all models that they were made from.

    A summary network or an ancestor is that of the joined flow if it is that of all.
    """
    first = flows[0]
    if not first.training_record.is_training_catalog(catalog):
        raise UserError(f"{catalog.path}: is not the catalog that {names[0]} was trained on")
    if first.set_size:
        catalog.require_in_memory("`observation=simulation`")
    record = TrainingRecord.from_catalog(catalog, first.training_record.split)
    for flow, name in zip(flows, names, strict=True):
        rows = np.arange(len(record.training_hashes))
        if len(flow.training_record.training_hashes) < len(rows) or not equal_contents(
            flow.training_record.training_hashes.select(rows), record.training_hashes
        ):
            raise UserError(
                f"{name}: has learned from other rows than the training rows of {catalog.path} (`infer`, `scale_cut`, "
                "`missing` and `drop_nonfinite` must be as they were)"
            )
    ancestors = _distinct([flow.initialised_from for flow in flows])
    for source in (first.summary, *ancestors):
        if source is not None:
            record = record.including(source.training_record)
    ancestor = ancestors[0] if len(ancestors) == 1 else None
    return FlowTrainingData(catalog, first.preprocessing, record, first.summary, ancestor, first.set_size)


def _distinct(ancestors: Sequence[FlowModel | None]) -> list[FlowModel | None]:
    """Each once."""
    distinct: list[FlowModel | None] = []
    for ancestor in ancestors:
        if not any(equal_contents(ancestor, earlier) for earlier in distinct):
            distinct.append(ancestor)
    return distinct


def _with_parameters(stack: FlowStack, parameters: Parameters) -> FlowStack:
    """The stack with the parameters of the joined flow, which a file holds once."""
    return replace(stack, support=replace(stack.support, parameters=parameters))
