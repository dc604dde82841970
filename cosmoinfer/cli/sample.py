"""``cosmoinfer sample``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmoinfer.cli.options import Output, ReadingOptions, RunOptions, SayOptions
from cosmoinfer.cli.terminal import Terminal

if TYPE_CHECKING:
    import numpy as np

    from cosmoinfer.catalog import Catalog
    from cosmoinfer.models import ClassifierModel, FlowModel, RegressorModel
    from cosmoinfer.posterior import Posterior

ModelPath = Annotated[Path, typer.Argument(help="Model file: a flow, regressor or classifier.", show_default=False)]
Observed = Annotated[Path, typer.Argument(help="Catalog, or observations without parameters.", show_default=False)]
Part = Annotated[str | None, typer.Option("--split", help="train, validation, test or all [the model's test rows].")]
Rows = Annotated[str | None, typer.Option(help="Row numbers of the catalog: 0:10 or 3,5,20:25.")]
Draws = Annotated[int, typer.Option(help="Draws of each row.")]
SkipFailed = Annotated[
    bool, typer.Option("--skip-failed", help="Leave out rows that cannot be sampled, and list them.")
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
) -> None:
    """Draw from the posterior of each row: the model's own test rows, or the whole of another catalog.

    Of a classifier: the probabilities of its classes.

    Example: cosmoinfer sample nsf.h5 sample_data/power_spectra.h5 --rows 0:10
    """
    terminal = Terminal(say.json, say.quiet)
    output = output or model.with_name(f"{model.stem}.posterior.h5")
    drawn = write(terminal, model, catalog, reading, run, output, say.force, part, rows, draws, skip_failed)
    terminal.document({"output": str(output), "rows": len(drawn), "draws": draws})


def write(
    terminal: Terminal,
    model: Path,
    catalog: Path,
    reading: ReadingOptions,
    run: RunOptions,
    output: Path,
    force: bool,
    part: str | None = None,
    rows: str | None = None,
    draws: int = 1000,
    skip_failed: bool = False,
) -> "Posterior":
    """The posterior of a catalog under a model, written unless it stands there already."""
    from cosmoinfer import posterior
    from cosmoinfer.cli import inputs

    task = Task.prepare(model, catalog, reading, run, part, rows, draws, skip_failed)
    if inputs.stands(output, "posterior", task.meta, terminal, force):
        return posterior.read(output)
    inputs.tell_seen(task.model.frame, task.sims, task.chosen, part, terminal)
    drawn = task.draw(terminal)
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
    draws: int
    seed: int
    skip_failed: bool
    meta: dict[str, Any]

    @classmethod
    def prepare(
        cls,
        model: Path,
        catalog: Path,
        reading: ReadingOptions,
        run: RunOptions,
        part: str | None,
        rows: str | None,
        draws: int,
        skip_failed: bool,
    ) -> "Task":
        """Read the model and the catalog, and pick the rows."""
        from cosmoinfer import hardware, models, storage
        from cosmoinfer.cli import inputs
        from cosmoinfer.errors import UserError

        if draws < 1:
            raise UserError(f"--draws: expected at least 1, found {draws}")
        device = hardware.prepare(run.device, run.threads)
        trained = models.read(model, device)
        if isinstance(trained, models.DensityModel):
            raise UserError(f"{model}: is a density of the data; generate draws from it, score judges rows by it")
        sims = inputs.read_for(trained.frame, catalog, reading)
        chosen = inputs.chosen_rows(trained.frame, sims, part, rows)
        settings = {
            "rows": sims.index[chosen].tolist(),
            "draws": draws,
            "skip_failed": skip_failed,
            "seed": run.seed,
            **hardware.settings(device),
        }
        fingerprints = {"catalog": sims.fingerprint, "view": sims.view, "model": storage.digest(model)}
        meta = inputs.record("sample", settings, fingerprints)
        return cls(trained, sims, chosen, draws, run.seed, skip_failed, meta)

    @property
    def curves(self) -> dict[str, Any]:
        """The learning curves of the model, and what they measure, by field of ``plots.Material``."""
        from cosmoinfer import models

        loss = getattr(self.model, "loss", None)
        return {"histories": models.histories(self.model)} | ({"loss": f"loss: {loss}"} if loss else {})

    def draw(self, terminal: Terminal) -> "Posterior":
        """With progress; rows that could not be sampled are listed."""
        from cosmoinfer.errors import listed

        progress = terminal.rows("sampling row")
        drawn = self.model.posterior(self.sims, self.chosen, self.draws, self.seed, progress, self.skip_failed)
        failed = sorted(set(self.sims.index[self.chosen].tolist()) - set(drawn.index.tolist()))
        if failed:
            terminal.say(f"left out, could not be sampled: row {listed(failed)}")
        return drawn
