"""Join trained flows of one catalog into one, in the shares that its validation rows ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from cosmoinfer import models
from cosmoinfer import split as splits
from cosmoinfer.catalog import Catalog
from cosmoinfer.device import device_settings
from cosmoinfer.errors import UserError, describe_type
from cosmoinfer.models.flow import FlowModel, JoinedFlow, check_joinable, join_flows
from cosmoinfer.settings import check_keywords, setting
from cosmoinfer.storage import JSONObject
from cosmoinfer.tasks.model_sources import ModelInput, ModelSource, model_digest, open_for_model, open_model
from cosmoinfer.tasks.provenance import (
    catalog_inputs,
    default_output,
    is_up_to_date,
    task_provenance,
    with_node_settings,
)
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.run_settings import RUN, RunSettings
from cosmoinfer.tasks.settings import READ_OPTIONS, OutputSettings, select_keywords


@dataclass(frozen=True)
class EnsembleSettings:
    """top: how many flows are joined at most, the best ones on the validation rows."""

    top: int = setting(5, minimum=1)


@dataclass(frozen=True)
class Ensemble:
    """A joined flow, the file that holds it, and the names of the flows that it was made from, in its own order."""

    output: Path | None
    model: FlowModel
    names: tuple[str, ...]

    @property
    def flows(self) -> tuple[JoinedFlow, ...]:
        """What became of each flow."""
        return self.model.joined or ()

    @property
    def ranking(self) -> list[tuple[str, JoinedFlow]]:
        """Each flow with its name, by its log_prob on the validation rows, the best first."""
        return sorted(zip(self.names, self.flows, strict=True), key=lambda pair: -pair[1].log_prob)

    def describe(self) -> str:
        """In one line."""
        joined = sum(flow.share > 0 for flow in self.flows)
        stacks = "; ".join(stack.describe() for stack in self.model.stacks)
        return f"{self.output or self.model.kind}: {joined} of {len(self.names)} flows; {stacks}"

    def to_json(self) -> JSONObject:
        """What a script needs: of each flow, the best first, and of the mixture."""
        stacks = [
            {"members": stack.members, "architecture": stack.architecture, "support": stack.support.label}
            for stack in self.model.stacks
        ]
        validation = None if self.model.recalibration is None else self.model.recalibration.before
        flows = [{"model": name, **asdict(flow)} for name, flow in self.ranking]
        return {"output": str(self.output), "models": flows, "stacks": stacks, "validation": validation}


def ensemble(
    models: Sequence[ModelSource],
    catalog: Path | str | Catalog | None = None,
    *,
    output: Path | str | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> FlowModel:
    """Join trained flows of one catalog into one, in the shares that its validation rows ask for.

    models: two or more flows, paths or objects, which were trained on one split of one catalog with the same
        preprocessing, whatever their architectures and supports. catalog: its path or a ``Catalog``.
    output: the file to write, if any; a complete one of the same settings is read.
    settings: the options of ``cosmoinfer ensemble`` by name, as ``top=5``.

    Raises UserError, a ValueError, which names what is not usable.
    """
    to = OutputSettings.from_arguments(output, force, reporter)
    return _ensemble(models, catalog, settings, to.output, to.force, to.reporter).model


def write_ensemble(
    paths: Sequence[Path],
    catalog: Path,
    keywords: Mapping[str, Any],
    output: Path | None,
    force: bool,
    reporter: Reporter,
) -> Ensemble:
    """The same for the command line.

    keywords: settings by the name of their option. Raises UserError if a setting or a file is not usable.
    """
    return _ensemble(paths, catalog, keywords, output or default_output(catalog, "ensemble"), force, reporter)


def _ensemble(
    sources: Sequence[ModelSource],
    catalog_source: Path | str | Catalog | None,
    keywords: Mapping[str, Any],
    output: Path | None,
    force: bool,
    reporter: Reporter,
) -> Ensemble:
    check_keywords("ensemble", keywords, (*READ_OPTIONS, *RUN, "top"))
    keywords = with_node_settings(keywords, force, output)
    top, run = select_keywords(EnsembleSettings, keywords).top, select_keywords(RunSettings, keywords)
    device = run.prepare_device()
    opened = _open_flows(sources, device)
    flows, names = [entry.model for entry in opened], [entry.name for entry in opened]
    catalog = open_for_model(flows[0].preprocessing, catalog_source, keywords)
    for conversion in catalog.conversions:
        reporter.info(conversion)
    inputs = {**catalog_inputs(catalog), "split": splits.fingerprint(flows[0].training_record.split)}
    inputs |= {f"model_{number}": entry.digest for number, entry in enumerate(opened)}
    meta = task_provenance("ensemble", {"top": top, "seed": run.seed, **device_settings(device)}, inputs)
    files = [Path(source) for source in sources if isinstance(source, Path | str)]
    if output is not None and is_up_to_date(output, "model", meta, reporter, force, *files):
        model = models.read(output, device)
        assert isinstance(model, FlowModel)
    else:
        model = replace(join_flows(flows, names, catalog, top, run.seed), provenance=meta)
        if output is not None:
            model.save(output, force)
    joined = Ensemble(output, model, tuple(names))
    for rank, (name, flow) in enumerate(joined.ranking):
        reason = ""
        if not flow.share:
            reason = f" (`top` is {top})" if rank >= top else ", for its share would be next to nothing"
        reporter.info(f"{name}: {flow.describe()}{reason}")
    reporter.result(joined.describe())
    return joined


def _open_flows(sources: Sequence[ModelSource], device: torch.device) -> list[ModelInput]:
    """Flows that can be joined, in an order that depends on their weights alone: their names and places do not matter.

    Raises UserError if there are less than two, if one is no flow or there twice, or if they cannot be joined.
    """
    if isinstance(sources, Path | str) or not isinstance(sources, Sequence):
        raise UserError(f"expected two or more flows in a list, found {describe_type(sources)}")
    if len(sources) < 2:
        raise UserError(f"expected two or more flows, then the catalog that they were trained on, found {len(sources)}")
    opened: dict[str, ModelInput] = {}
    for number, source in enumerate(sources):
        entry = open_model(source, device)
        entry = entry if isinstance(source, Path | str) else replace(entry, name=f"models[{number}]")
        if not isinstance(entry.model, FlowModel):
            raise UserError(f"{entry.name}: expected a flow (train-flow), found a {entry.model.kind}")
        digest = model_digest(entry.model)
        if digest in opened:
            same = opened[digest].name
            raise UserError(f"{entry.name}: is {'given twice' if same == entry.name else f'the same model as {same}'}")
        opened[digest] = entry
    entries = list(opened.values())
    check_joinable([entry.model for entry in entries], [entry.name for entry in entries])
    return [opened[digest] for digest in sorted(opened)]
