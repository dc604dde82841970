"""``cosmoinfer train-regressor``."""

from pathlib import Path

from cosmoinfer.cli.options import (
    CatalogPath,
    NetworkOptions,
    Output,
    ReadingOptions,
    RegressorOptions,
    RunOptions,
    SayOptions,
    SplitOptions,
    TrainingOptions,
    given,
)
from cosmoinfer.cli.terminal import Terminal


def train_regressor(
    catalog: CatalogPath,
    regressor: RegressorOptions,
    network: NetworkOptions,
    training: TrainingOptions,
    splitting: SplitOptions,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    output: Output = None,
) -> None:
    """Train a network that predicts the parameters, with a width for each if the loss knows one.

    Example: cosmoinfer train-regressor sample_data/power_spectra.h5 --network mlp --loss moment
    """
    from cosmoinfer import hardware, models
    from cosmoinfer import split as splits
    from cosmoinfer.cli import inputs
    from cosmoinfer.losses import LOSSES
    from cosmoinfer.models.bench import Bench
    from cosmoinfer.models.frame import choices, fit_frame
    from cosmoinfer.models.regressor import fit_regressor, regressor_recipe

    terminal = Terminal(say.json, say.quiet)
    output = output or Path(f"{catalog.stem}.regressor.h5")
    sims, how = inputs.read_catalog(catalog, reading)
    split = inputs.choose_split(sims, splitting)
    device = hardware.prepare(run.device, run.threads)
    rows = len(split.rows(sims.simulation, "train"))
    recipe = regressor_recipe(given(regressor, network, training), rows, [one.shape for one in sims.summaries])
    settings = {"recipe": recipe, "reading": how, "seed": run.seed, **hardware.settings(device)}
    fingerprints = {"catalog": sims.fingerprint, "view": sims.view, "split": splits.fingerprint(split)}
    meta = inputs.record("train-regressor", settings, fingerprints)
    if inputs.stands(output, "model", meta, terminal, say.force):
        terminal.document({"output": str(output), "complete": True})
        return
    frame = fit_frame(sims, split, how, recipe.transform)
    for line in choices(frame, sims):
        terminal.say(line)
    names = ", ".join(name for name, _ in recipe.networks)
    score = LOSSES[recipe.loss].score_name or recipe.loss
    terminal.say(f"training {recipe.ensemble} x {names}, loss {recipe.loss}; the validation rows judge by {score}")
    model = fit_regressor(sims, frame, recipe, Bench(device, run.seed, terminal.say, terminal.epochs()))
    models.write(output, model, meta, say.force)
    validation = float(model.stacks[0].history.best_validation.mean())
    terminal.result(f"{output}: {recipe.ensemble} x {names}; validation {score} of a member {validation:.4f}")
    terminal.document({"output": str(output), "validation": validation, "score": score, "rows": rows})
