"""``cosmoinfer learning-curve``."""

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
    from rich.table import Table

    from cosmoinfer.catalog import Catalog
    from cosmoinfer.split import Split
    from cosmoinfer.studies.learning_curve import LearningCurve

Sizes = Annotated[
    str | None, typer.Option(help=r"Training simulations: 500,1000,2000,4000 \[all, and up to four halvings].")
]
Predict = Annotated[str | None, typer.Option(help="Predict the log_prob with so many, too: 16000, or 8000,16000.")]
Figures = Annotated[Path | None, typer.Option(help="Draw the curve, into this folder.", show_default=False)]


def learning_curve(
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
    sizes: Sizes = None,
    predict: Predict = None,
    figures: Figures = None,
) -> None:
    """Say whether more simulations would help: train on nested subsets, extend the held-out log_prob by a power law.

    Every size has the recipe and the support of the largest, and its share of the validation simulations. The models
    stay in a folder of the output's name: run again, it goes on where it stopped.

    Example: cosmoinfer learning-curve sample_data/power_spectra.h5 --predict 16000
    """
    from cosmoinfer import split as splits
    from cosmoinfer import storage
    from cosmoinfer.cli import inputs, train_flow
    from cosmoinfer.device import prepare_device
    from cosmoinfer.studies import learning_curve as curves

    terminal, step = Terminal(say.json, say.quiet), Terminal(say.json, say.quiet, within=True)
    output = output or inputs.named_after(catalog, "curve")
    elsewhere = inputs.counts("--predict", predict) if predict else ()
    sims, how = inputs.read_catalog(catalog, reading)
    train_flow.check(sims)
    parts = inputs.choose_split(sims, splitting)
    all_of_them = parts.sizes[0]
    wanted = curves.check_sizes(
        inputs.counts("--sizes", sizes) if sizes else curves.default_sizes(all_of_them), all_of_them
    )
    folder = inputs.folder_of(output)
    subsets = {size: splits.nested(parts, size) for size in wanted}
    options, others = given(flow, network, intake, training), train_flow.Others(intake.noise)
    models = {size: folder / f"{size}.flow.h5" for size in wanted}
    device = prepare_device(run.device, run.threads)
    for size, subset in reversed(subsets.items()):
        step.say(f"{size} training simulations, {subset.sizes[1]} validation")
        train_flow.fit(step, sims, how, subset, options, run, models[size], say.force, others, subsets[wanted[-1]])
        options["support"] = options["support"] or inputs.model(models[size], "flow", device).support.name
    settings = {"sizes": wanted, "predict": elsewhere, "seed": run.seed}
    meta = inputs.record("learning-curve", settings, {str(size): storage.digest(path) for size, path in models.items()})
    if inputs.stands(output, "learning-curve", meta, terminal, say.force):
        document = curves.read(output)
    else:
        curve = _score(sims, subsets, models, run, terminal)
        document = curves.measure(curve, elsewhere, run.seed)
        curves.write(output, curve, document, meta, say.force)
    if figures is not None:
        from cosmoinfer import plots

        inputs.picture(lambda: plots.plot_learning_curve(document), figures / "learning_curve.png", terminal)
    _tell(terminal, document)


def _score(
    sims: "Catalog", subsets: "dict[int, Split]", models: dict[int, Path], run: RunOptions, terminal: Terminal
) -> "LearningCurve":
    """log_prob of the same test rows under the flow of every size."""
    import numpy as np

    from cosmoinfer.cli import inputs
    from cosmoinfer.device import prepare_device
    from cosmoinfer.models.flow.fit import COMPARING_DRAWS
    from cosmoinfer.studies.learning_curve import LearningCurve

    device = prepare_device(run.device, run.threads)
    _, theta = sims.training()
    test = next(iter(subsets.values())).rows(sims.simulation, "test")
    found = []
    for path in models.values():
        terminal.say(f"{path}: scoring {len(test)} test rows")
        flow = inputs.model(path, "flow", device)
        test = flow.heads(sims, test)
        found.append(flow.log_prob(sims, test, theta[test], COMPARING_DRAWS, run.seed))
    validation = np.array([subset.sizes[1] for subset in subsets.values()])
    return LearningCurve(np.array([*models]), validation, np.stack(found), sims.simulation[test], sims.index[test])


def _tell(terminal: Terminal, document: dict[str, Any]) -> None:
    terminal.table(_table(document))
    for line in document["words"]:
        terminal.result(line)
    terminal.document(document)


def _table(document: dict[str, Any]) -> "Table":
    """A row a size."""
    from rich.table import Table

    from cosmoinfer.cli.tables import cell

    table = Table(title=f"{document['rows']} test rows of {document['simulations']} simulations; 68.3 % intervals")
    for name in ("training simulations", "validation", "log_prob", "gain over the size before"):
        table.add_column(name, justify="right")
    for size, validation, score, gain in zip(
        *(document[key] for key in ("sizes", "validation", "log_prob", "gain")), strict=True
    ):
        table.add_row(str(size), str(validation), cell(score), cell(gain))
    return table
