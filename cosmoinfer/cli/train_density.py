"""``cosmoinfer train-density``."""

from dataclasses import replace

from cosmoinfer.cli.options import (
    CatalogPath,
    DensityOptions,
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


def train_density(
    catalog: CatalogPath,
    density: DensityOptions,
    network: NetworkOptions,
    training: TrainingOptions,
    splitting: SplitOptions,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    output: Output = None,
) -> None:
    """Train a normalizing flow for the data themselves, p(x | theta), or p(x) with --unconditional: vectors or maps.

    Example: cosmoinfer train-density sample_data/power_spectra.h5 --flow maf -o spectra.density.h5
    """
    from cosmoinfer import models
    from cosmoinfer.cli import inputs
    from cosmoinfer.device import prepare_device
    from cosmoinfer.errors import UserError
    from cosmoinfer.models.density import density_recipe, fit_density
    from cosmoinfer.models.fit_preprocessing import fit_frame
    from cosmoinfer.models.flow import cost
    from cosmoinfer.training.context import Bench

    terminal = Terminal(say.json, say.quiet)
    output = output or inputs.named_after(catalog, "density")
    sims, how = inputs.read_catalog(catalog, reading)
    if sims.classes:
        raise UserError(f"--target {how.target}: a density is of the data; train-regressor tells classes apart")
    if density.unconditional:
        sims = replace(sims, parameters=None, theta=None)
    split = inputs.choose_split(sims, splitting)
    device = prepare_device(run.device, run.threads)
    rows = len(split.rows(sims.simulation, "train"))
    conditional = sims.theta is not None
    kinds = tuple(one.kind for one in sims.summaries)
    recipe = density_recipe(given(density, network, training), rows, kinds, conditional)
    if kinds == ("vector",):
        for line in cost(recipe.flow, recipe.settings, sims.summaries[0].shape[0], say.force):
            terminal.say(line)
    meta = inputs.record_training("train-density", recipe, how, run.seed, device, sims, split, {})
    if inputs.stands(output, "model", meta, terminal, say.force):
        terminal.document({"output": str(output), "complete": True})
        return
    bench = Bench(device, run.seed, terminal.say, terminal.epochs())
    frame = fit_frame(sims, split, how, recipe.transform)
    inputs.tell_data(frame, sims, split, terminal)
    what = f"p(x | {', '.join(frame.parameters.names)})" if conditional else "p(x)"
    terminal.say(f"training {recipe.ensemble} x {recipe.flow} for {what}")
    model = fit_density(sims, frame, recipe, bench)
    models.write(output, model, meta, say.force)
    judges = split.rows(sims.simulation, "validation")
    best = float(model.log_prob(sims, judges, terminal.rows("validation row")).mean())
    terminal.result(f"{output}: {recipe.ensemble} x {recipe.flow}, {what}; validation log density of a row {best:.4f}")
    terminal.document({"output": str(output), "validation": best, "rows": rows})
