"""``cosmoinfer train-regressor``."""

from typing import TYPE_CHECKING

from cosmoinfer.cli.options import (
    CatalogPath,
    ConvolutionOptions,
    InputOptions,
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

if TYPE_CHECKING:
    from cosmoinfer.catalog import Catalog
    from cosmoinfer.models.preprocessing import Frame
    from cosmoinfer.models.regressor import ClassifierModel, RegressorModel
    from cosmoinfer.models.regressor.recipe import RegressorRecipe
    from cosmoinfer.training.context import Bench


def train_regressor(
    catalog: CatalogPath,
    regressor: RegressorOptions,
    network: NetworkOptions,
    convolution: ConvolutionOptions,
    intake: InputOptions,
    training: TrainingOptions,
    splitting: SplitOptions,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    output: Output = None,
) -> None:
    """Train a network that predicts the parameters, with a width for each if the loss knows one.

    With --target NAME it tells the classes of /classes/NAME apart, and gives a calibrated probability for each.

    Example: cosmoinfer train-regressor sample_data/power_spectra.h5 --network mlp --loss moment
    """
    from cosmoinfer import models, storage
    from cosmoinfer.cli import inputs
    from cosmoinfer.device import prepare_device
    from cosmoinfer.errors import UserError
    from cosmoinfer.models.regressor import regressor_recipe
    from cosmoinfer.training.context import Bench

    terminal = Terminal(say.json, say.quiet)
    output = output or inputs.named_after(catalog, "regressor")
    sims, how = inputs.read_catalog(catalog, reading)
    if reading.target and not sims.classes:
        raise UserError(f"{catalog}: has no /classes/{reading.target} to learn")
    split = inputs.choose_split(sims, splitting)
    device = prepare_device(run.device, run.threads)
    rows = len(split.rows(sims.simulation, "train"))
    options = given(regressor, network, convolution, intake, training)
    recipe = regressor_recipe(options, rows, [one.shape for one in sims.summaries], len(sims.classes))
    others = {} if intake.noise is None else {"noise": storage.digest(intake.noise)}
    meta = inputs.record_training("train-regressor", recipe, how, run.seed, device, sims, split, others)
    if inputs.stands(output, "model", meta, terminal, say.force):
        terminal.document({"output": str(output), "complete": True})
        return
    bench = Bench(device, run.seed, terminal.say, terminal.epochs())
    frame = inputs.fit_inputs(sims, how, split, recipe, bench, inputs.noise(intake.noise, sims, run.seed), terminal)
    model = _fit(sims, frame, recipe, bench, terminal)
    models.write(output, model, meta, say.force)
    validation = float(model.stacks[0].history.best_validation.mean())
    score = judge(recipe)
    terminal.result(f"{output}: {told(recipe)}; validation {score} of a member {validation:.4f}")
    terminal.document({"output": str(output), "validation": validation, "score": score, "rows": rows})


def _fit(
    sims: "Catalog", frame: "Frame", recipe: "RegressorRecipe", bench: "Bench", terminal: Terminal
) -> "RegressorModel | ClassifierModel":
    """With a warning where the network found nothing in the data."""
    from cosmoinfer.models.regressor import collapsed, fit_classifier, fit_regressor

    bench.say(f"training {told(recipe)}, loss {recipe.loss}; the validation rows judge by {judge(recipe)}")
    if sims.classes:
        return fit_classifier(sims, frame, recipe, bench)
    model = fit_regressor(sims, frame, recipe, bench)
    lost = collapsed(model, sims)
    if len(lost) == len(frame.parameters):
        terminal.warn(
            "the network returns the mean of the prior for every parameter: before any other setting, look at the "
            f"catalog (cosmoinfer inspect {sims.path}): do the rows of parameters and data belong together?"
        )
    elif lost:
        terminal.warn(f"the network returns the mean of the prior for {', '.join(lost)}")
    return model


def told(recipe: "RegressorRecipe") -> str:
    """What is trained, in words."""
    return f"{recipe.ensemble} x {', '.join(name for name, _ in recipe.networks)}"


def judge(recipe: "RegressorRecipe") -> str:
    """What judges the validation rows."""
    from cosmoinfer.losses import LOSSES

    return LOSSES[recipe.loss].score_name or recipe.loss if recipe.loss in LOSSES else recipe.loss
