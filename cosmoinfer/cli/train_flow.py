"""``cosmoinfer train-flow``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmoinfer.cli.options import (
    CatalogPath,
    FlowOptions,
    InputOptions,
    NetworkOptions,
    Output,
    ReadingOptions,
    RunOptions,
    SayOptions,
    SplitOptions,
    TrainingOptions,
    given,
)
from cosmoinfer.cli.terminal import Terminal

if TYPE_CHECKING:
    from cosmoinfer.catalog import Catalog, Reading
    from cosmoinfer.split import Split

Summary = Annotated[Path | None, typer.Option(help="Trained regressor whose output is the condition.")]
Init = Annotated[Path | None, typer.Option(help="Trained flow, of another suite say, from whose weights to start.")]


def train_flow(
    catalog: CatalogPath,
    flow: FlowOptions,
    network: NetworkOptions,
    intake: InputOptions,
    training: TrainingOptions,
    splitting: SplitOptions,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    output: Output = None,
    summary: Summary = None,
    init: Init = None,
) -> None:
    """Train normalizing flows for p(theta | x), mixed as the validation rows say.

    Example: cosmoinfer train-flow sample_data/power_spectra.h5 --flow nsf -o nsf.h5
    """
    from cosmoinfer.cli import inputs

    terminal = Terminal(say.json, say.quiet)
    sims, how = inputs.read_catalog(catalog, reading)
    split = inputs.choose_split(sims, splitting)
    options = given(flow, network, intake, training)
    output = output or inputs.named_after(catalog, "flow")
    fit(terminal, sims, how, split, options, run, output, say.force, Others(intake.noise, summary, init))


@dataclass(frozen=True)
class Others:
    """Files beside the catalog from which a flow is made."""

    noise: Path | None = None
    summary: Path | None = None
    init: Path | None = None

    def digests(self) -> dict[str, str]:
        """By option; only those that were given."""
        from cosmoinfer import storage

        named = {"noise": self.noise, "summary": self.summary, "init": self.init}
        return {name: storage.digest(path) for name, path in named.items() if path is not None}


def check(sims: "Catalog") -> None:
    """A flow infers parameters, no class."""
    from cosmoinfer.errors import UserError

    if sims.classes:
        raise UserError(
            f"--target {sims.training()[0].names[0]}: a flow infers parameters; train-regressor tells classes apart"
        )


def fit(
    terminal: Terminal,
    sims: "Catalog",
    how: "Reading",
    split: "Split",
    options: dict[str, Any],
    run: RunOptions,
    output: Path,
    force: bool,
    others: Others,
    defaults_of: "Split | None" = None,
) -> None:
    """Train on a catalog that has been read and split, and write the model unless it stands there already.

    defaults_of: the split for whose number of training rows the recipe is; this one, where nobody says.
    """
    from cosmoinfer import models
    from cosmoinfer.cli import inputs
    from cosmoinfer.device import prepare_device
    from cosmoinfer.errors import UserError
    from cosmoinfer.models.fit_preprocessing import as_compressed_by
    from cosmoinfer.models.flow import continued_recipe, cost, fit_flow, flow_recipe
    from cosmoinfer.training.context import Bench

    device = prepare_device(run.device, run.threads)
    regressor = None if others.summary is None else inputs.model(others.summary, "regressor", device, "--summary")
    ancestor = None if others.init is None else inputs.model(others.init, "flow", device, "--init")
    check(sims)
    if regressor is not None and others.noise is not None:
        raise UserError("--noise: the regressor that --summary names brings its own noise, or none")
    if regressor is not None and options.get("compress"):
        raise UserError("--compress: the regressor that --summary names is all that the flow sees")
    noise = inputs.noise(others.noise, sims, run.seed)
    for other in (regressor, ancestor):
        noise = other.frame.noise if noise is None and other is not None else noise
    combined = options.get("combine") or (ancestor is not None and ancestor.set_size)
    rows, as_of = (
        one.sizes[0] if combined else len(one.rows(sims.simulation, "train")) for one in (split, defaults_of or split)
    )
    shapes = [one.shape for one in sims.summaries] if regressor is None else [regressor.summary_shape]
    if ancestor is None:
        recipe = flow_recipe(options, as_of, shapes)
    else:
        stacks = ancestor.stacks
        recipe = continued_recipe([one.config for one in stacks], stacks[0].members, options, as_of, shapes)
    for stack in recipe.stacks:
        for line in cost(stack.flow, stack.settings, len(sims.training()[0]), force):
            terminal.say(line)
    meta = inputs.record_training("train-flow", recipe, how, run.seed, device, sims, split, others.digests())
    if inputs.stands(output, "model", meta, terminal, force, others.summary, others.init):
        terminal.document({"output": str(output), "complete": True})
        return
    bench = Bench(device, run.seed, terminal.say, terminal.epochs())
    frame = inputs.fit_inputs(sims, how, split, recipe, bench, noise, terminal)
    if ancestor is not None:
        frame = as_compressed_by(ancestor.frame, frame, sims)
    model = fit_flow(sims, frame, recipe, bench, regressor, ancestor)
    models.write(output, model, meta, force)
    members = ", ".join(f"{stack.members} x {stack.config['flow']}" for stack in model.stacks)
    learned = f"{rows} training {'sets of rows' if combined else 'rows'}"
    terminal.result(f"{output}: {members}, support {model.support.name}, {learned}")
    terminal.document({"output": str(output), "support": model.support.name, "members": members, "rows": rows})
