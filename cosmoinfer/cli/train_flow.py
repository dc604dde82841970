"""``cosmoinfer train-flow``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmoinfer.cli.options import (
    CatalogPath,
    FlowOptions,
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


def train_flow(
    catalog: CatalogPath,
    flow: FlowOptions,
    network: NetworkOptions,
    training: TrainingOptions,
    splitting: SplitOptions,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    output: Output = None,
    summary: Summary = None,
) -> None:
    """Train normalizing flows for p(theta | x), mixed as the validation rows say.

    Example: cosmoinfer train-flow sample_data/power_spectra.h5 --flow nsf -o nsf.h5
    """
    from cosmoinfer.cli import inputs

    terminal = Terminal(say.json, say.quiet)
    sims, how = inputs.read_catalog(catalog, reading)
    split = inputs.choose_split(sims, splitting)
    options = given(flow, network, training)
    fit(terminal, sims, how, split, options, run, output or Path(f"{catalog.stem}.flow.h5"), say.force, summary)


def fit(
    terminal: Terminal,
    sims: "Catalog",
    how: "Reading",
    split: "Split",
    options: dict[str, Any],
    run: RunOptions,
    output: Path,
    force: bool,
    summary: Path | None = None,
) -> None:
    """Train on a catalog that has been read and split, and write the model unless it stands there already."""
    from cosmoinfer import hardware, models, storage
    from cosmoinfer import split as splits
    from cosmoinfer.cli import inputs
    from cosmoinfer.errors import UserError
    from cosmoinfer.models.bench import Bench
    from cosmoinfer.models.flow import fit_flow, flow_recipe
    from cosmoinfer.models.frame import choices, fit_frame

    device = hardware.prepare(run.device, run.threads)
    regressor = None if summary is None else models.read(summary, device)
    if isinstance(regressor, models.FlowModel):
        raise UserError(f"--summary {summary}: expected a regressor, found a flow")
    rows = len(split.rows(sims.simulation, "train"))
    shapes = [one.shape for one in sims.summaries] if regressor is None else [regressor.summary_shape]
    recipe = flow_recipe(options, rows, shapes)
    fingerprints = {"catalog": sims.fingerprint, "view": sims.view, "split": splits.fingerprint(split)}
    if summary is not None:
        fingerprints["summary"] = storage.digest(summary)
    settings = {"recipe": recipe, "reading": how, "seed": run.seed, **hardware.settings(device)}
    meta = inputs.record("train-flow", settings, fingerprints)
    if inputs.stands(output, "model", meta, terminal, force, summary):
        terminal.document({"output": str(output), "complete": True})
        return
    frame = fit_frame(sims, split, how, recipe.transform)
    for line in choices(frame, sims):
        terminal.say(line)
    bench = Bench(device, run.seed, terminal.say, terminal.epochs())
    model = fit_flow(sims, frame, recipe, bench, regressor)
    models.write(output, model, meta, force)
    members = ", ".join(f"{stack.members} x {stack.config['flow']}" for stack in model.stacks)
    terminal.result(f"{output}: {members}, support {model.support.name}, {rows} training rows")
    terminal.document({"output": str(output), "support": model.support.name, "members": members, "rows": rows})
