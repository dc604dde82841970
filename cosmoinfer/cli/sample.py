"""``cosmoinfer sample``."""

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmoinfer.cli.options import Output, ReadingOptions, RunOptions, SayOptions
from cosmoinfer.cli.terminal import Terminal

ODD_SET = 0.01  # chance, below which a set of observations is unlike the validation rows
APART = 1e-3  # chance, below which single posteriors of one universe do not agree

if TYPE_CHECKING:
    import numpy as np

    from cosmoinfer.catalog import Catalog
    from cosmoinfer.models import ClassifierModel, FlowModel, RegressorModel
    from cosmoinfer.posterior import Posterior
    from cosmoinfer.sampling.request import Drawing

ModelPath = Annotated[Path, typer.Argument(help="Model file: a flow, regressor or classifier.", show_default=False)]
Observed = Annotated[Path, typer.Argument(help="Catalog, or observations without parameters.", show_default=False)]
Part = Annotated[str | None, typer.Option("--split", help=r"train, validation, test or all \[the model's test rows].")]
Rows = Annotated[str | None, typer.Option(help="Row numbers of the catalog: 0:10 or 3,5,20:25.")]
Draws = Annotated[int, typer.Option(help="Draws of each row.")]
SkipFailed = Annotated[
    bool, typer.Option("--skip-failed", help="Leave out rows that cannot be sampled, and list them.")
]
Combine = Annotated[
    str | None, typer.Option(help="product: one posterior a simulation, of its rows as independent observations.")
]
Recalibrate = Annotated[
    str | None, typer.Option(help="temperature: wider or narrower, as the model's validation rows asked for.")
]


def sample(
    model: ModelPath,
    catalog: Observed,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    output: Output = None,
    part: Part = None,
    rows: Rows = None,
    draws: Draws = 1000,
    skip_failed: SkipFailed = False,
    combine: Combine = None,
    recalibrate: Recalibrate = None,
) -> None:
    """Draw from the posterior of each row: the model's own test rows, or the whole of another catalog.

    Of a classifier: the probabilities of its classes.

    Example: cosmoinfer sample nsf.h5 sample_data/power_spectra.h5 --rows 0:10
    """
    terminal = Terminal(say.json, say.quiet)
    output = output or model.with_name(f"{model.stem}.posterior.h5")
    how = How(reading, run, part, rows, draws, skip_failed, combine, recalibrate)
    drawn = write(terminal, model, catalog, how, output, say.force)
    terminal.document({"output": str(output), "rows": len(drawn), **_document(drawn)})


@dataclass(frozen=True)
class How:
    """How rows are chosen and drawn: the options of the same names."""

    reading: ReadingOptions
    run: RunOptions
    part: str | None = None
    rows: str | None = None
    draws: int = 1000
    skip_failed: bool = False
    combine: str | None = None
    recalibrate: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Those that the draws depend on; what was not asked for leaves no trace."""
        asked = {"combine": self.combine, "recalibrate": self.recalibrate}
        always = {"draws": self.draws, "skip_failed": self.skip_failed, "seed": self.run.seed}
        return always | {name: value for name, value in asked.items() if value}


def write(terminal: Terminal, model: Path, catalog: Path, how: How, output: Path, force: bool) -> "Posterior":
    """The posterior of a catalog under a model, written unless it stands there already."""
    from cosmoinfer import posterior
    from cosmoinfer.cli import inputs

    task = Task.prepare(model, catalog, how)
    if inputs.stands(output, "posterior", task.meta, terminal, force):
        return posterior.read(output, leave_large=True)
    inputs.tell_seen(task.parts, how.part, terminal)
    drawn = task.draw(terminal, output.parent)
    posterior.write(output, drawn, task.meta, force)
    terminal.result(f"{output}: {len(drawn)} rows, {_told(drawn)}")
    return drawn


def _told(drawn: "Posterior") -> str:
    """What there is of each row."""
    if drawn.probabilities is not None:
        return f"probabilities of {len(drawn.classes)} classes"
    return "a point and no draws each" if drawn.samples is None else f"{drawn.samples.shape[1]} draws each"


@dataclass(frozen=True)
class Task:
    """What is to be drawn, and the /meta that says so."""

    model: "FlowModel | RegressorModel | ClassifierModel"
    sims: "Catalog"
    chosen: "np.ndarray"
    how: How
    meta: dict[str, Any]

    @classmethod
    def prepare(cls, model: Path, catalog: Path, how: How) -> "Task":
        """Read the model and the catalog, and pick the rows."""
        from cosmoinfer import models, storage
        from cosmoinfer.cli import inputs
        from cosmoinfer.device import device_settings, prepare_device
        from cosmoinfer.errors import UserError

        if how.draws < 1:
            raise UserError(f"--draws: expected at least 1, found {how.draws}")
        device = prepare_device(how.run.device, how.run.threads)
        trained = models.read(model, device)
        if isinstance(trained, models.DensityModel):
            raise UserError(f"{model}: is a density of the data; generate draws from it, score judges rows by it")
        if how.combine is not None:
            _check_combine(how.combine, model, trained)
        if how.recalibrate is not None:
            trained = _recalibrated(how.recalibrate, model, trained)
        sims = inputs.read_for(trained.frame, catalog, how.reading)
        chosen = inputs.chosen_rows(trained.frame, sims, how.part, how.rows)
        if isinstance(trained, models.FlowModel):
            chosen = trained.heads(sims, chosen)
        settings = {"rows": sims.index[chosen].tolist(), **how.settings, **device_settings(device)}
        fingerprints = {"catalog": sims.fingerprint, "view": sims.view, "model": storage.digest(model)}
        meta = inputs.record("sample", settings, fingerprints)
        return cls(trained, sims, chosen, how, meta)

    @functools.cached_property
    def parts(self) -> "np.ndarray":
        """Of each row: which part of the training's split it was in, (n,)."""
        return self.model.frame.parts(self.sims, self.chosen)

    @property
    def curves(self) -> dict[str, Any]:
        """The learning curves of the model, and what they measure, by field of ``plots.Material``."""
        from cosmoinfer import models

        loss = getattr(self.model, "loss", None)
        return {"histories": models.histories(self.model)} | ({"loss": f"loss: {loss}"} if loss else {})

    def draw(self, terminal: Terminal, folder: Path, written: bool = True) -> "Posterior":
        """With progress; rows that could not be sampled are listed. folder, written: as of ``Drawing``."""
        from cosmoinfer.errors import listed
        from cosmoinfer.sampling.request import Drawing

        how, progress = self.how, terminal.rows(f"sampling {'simulation' if self.how.combine else 'row'}")
        drawing = Drawing(
            self.sims,
            self.chosen,
            how.draws,
            seed=how.run.seed,
            skip_failed=how.skip_failed,
            listen=progress,
            folder=folder,
            written=written,
        )
        if how.combine:
            return self._product(terminal, drawing)
        if (fitted := getattr(self.model, "recalibration", None)) is not None and self.model.temperature != 1:
            terminal.say(fitted.told)
        drawn = self.model.posterior(drawing)
        failed = sorted(set(self.sims.index[self.chosen].tolist()) - set(drawn.index.tolist()))
        if failed:
            terminal.say(f"left out, could not be sampled: row {listed(failed)}")
        _tell_odd(terminal, self, drawn)
        return drawn

    def _product(self, terminal: Terminal, drawing: "Drawing") -> "Posterior":
        """One posterior a simulation; simulations that could not be sampled are listed."""
        from cosmoinfer.errors import listed
        from cosmoinfer.models.flow import FlowModel, product_posterior

        assert isinstance(self.model, FlowModel)
        drawn = product_posterior(self.model, drawing)
        failed = sorted(set(self.sims.simulation[self.chosen].tolist()) - set(drawn.simulation.tolist()))
        if failed:
            terminal.say(f"left out, could not be sampled: simulation {listed(failed)}")
        _tell_combined(terminal, drawn)
        _tell_odd(terminal, self, drawn)
        return drawn


def _document(drawn: "Posterior") -> dict[str, Any]:
    """What a script wants to know of a posterior: draws a row, how many observations are odd, and the temperature."""
    draws = None if drawn.samples is None else drawn.samples.shape[1]
    told: dict[str, Any] = {"draws": draws, "temperature": drawn.temperature}
    if drawn.ess is not None and drawn.consistency_p_value is not None:
        told |= {
            "ess": {"lowest": float(drawn.ess.min())},
            "consistency_p_value": {"lowest": float(drawn.consistency_p_value.min())},
        }
    if drawn.ood_percentile is None:
        return told | {"ood": None}
    above = {f"above_{level}": int((drawn.ood_percentile > level).sum()) for level in (95, 99)}
    return told | {"ood": {**above, "set_p": drawn.ood_set_p_value}}


def _tell_odd(terminal: Terminal, task: "Task", drawn: "Posterior") -> None:
    """Observations unlike the training data, where they are more than chance gives."""
    from cosmoinfer.errors import listed

    frame, index = task.model.frame, task.sims.index[task.chosen]
    if drawn.ood_percentile is None or frame.novelty is None:
        return
    sunk = frame.sunk(task.sims, task.chosen)
    if sunk.any():
        terminal.warn(
            f"{int(sunk.sum())} of {len(sunk)} observations lie below all training values in half of their numbers or "
            f"more, of which the model takes the logarithm: row {listed(index[sunk])}; was it taken before, or are the "
            "units others? Their posteriors are guesses"
        )
    odd = frame.novelty.alarm(drawn.ood_percentile, drawn.simulation)
    if odd is not None:
        terminal.warn(
            f"{len(odd.positions)} of {len(drawn)} observations are unlike the training data (percentile above "
            f"{odd.level:g}; {odd.expected:.2g} expected): row {listed(drawn.index[odd.positions])}; their posteriors "
            "are guesses"
        )
    if drawn.ood_set_p_value is not None:
        unlike = drawn.ood_set_p_value < ODD_SET
        verdict = "unlike the validation rows; another simulator, or parameters not drawn from the prior"
        told = f"the observations as a set: {verdict if unlike else 'like the validation rows'}"
        (terminal.warn if unlike else terminal.say)(f"{told} (MMD, p = {drawn.ood_set_p_value:.3f})")


def _recalibrated(recalibrate: str, path: Path, model: Any) -> Any:
    """The model at the temperature that its validation rows asked for."""
    from cosmoinfer.errors import UserError

    if recalibrate != "temperature":
        raise UserError(f"--recalibrate: {recalibrate!r} is not known; there is temperature")
    if model.kind == "classifier":
        raise UserError(f"--recalibrate: {path} is a classifier, whose probabilities have their temperature already")
    if model.recalibration is None:
        points = getattr(model, "head", "") == "point"
        why = "it gives points and no widths" if points else "train it anew to have one"
        raise UserError(f"--recalibrate: {path} knows no temperature: {why}")
    return replace(model, temperature=model.recalibration.temperature)


def _check_combine(combine: str, path: Path, model: Any) -> None:
    from cosmoinfer import models
    from cosmoinfer.errors import UserError

    if combine != "product":
        raise UserError(f"--combine: {combine!r} is not known; there is product (and, of train-flow, set)")
    if not isinstance(model, models.FlowModel):
        raise UserError(f"--combine product: {path} is a {model.kind}; expected a flow")
    if model.set_size:
        raise UserError(f"--combine product: {path} takes all rows of a simulation as one observation already")


def _tell_combined(terminal: Terminal, drawn: "Posterior") -> None:
    """What a product is worth, and whether its factors agree."""
    from cosmoinfer.errors import listed
    from cosmoinfer.importance_sampling import MIN_EFFECTIVE_DRAWS
    from cosmoinfer.models.flow.product import piled_up

    assert drawn.ess is not None and drawn.consistency_p_value is not None
    few, apart, piled = drawn.ess < MIN_EFFECTIVE_DRAWS, drawn.consistency_p_value < APART, piled_up(drawn)
    terminal.say(
        "each simulation: the product of its rows' posteriors over the prior, right if the rows are independent; the "
        "flow's errors add up over them, so evaluate it on test simulations"
    )
    if few.any():
        terminal.warn(
            f"{int(few.sum())} of {len(drawn)} products are worth less than {MIN_EFFECTIVE_DRAWS} draws (row "
            f"{listed(drawn.index[few])}): no broad agreement of the rows; train-flow --combine set learns from all of "
            "a simulation's rows at once"
        )
    if piled.any():
        terminal.warn(
            f"{int(piled.sum())} of {len(drawn)} products pile up at an end of the prior (row "
            f"{listed(drawn.index[piled])}), where a flow's errors grow fastest: train it longer, or on sets"
        )
    if apart.any():
        terminal.warn(
            f"in {int(apart.sum())} of {len(drawn)} simulations (row {listed(drawn.index[apart])}) the single "
            f"posteriors lie further apart than chance has it once in {1 / APART:.0f} times: they are too narrow or "
            "biased, or the rows are not of one universe"
        )
