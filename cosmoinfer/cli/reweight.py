"""``cosmoinfer reweight``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmoinfer.cli.options import Output, SayOptions
from cosmoinfer.cli.sample import SkipFailed
from cosmoinfer.cli.terminal import Terminal

if TYPE_CHECKING:
    from cosmoinfer.posterior import Posterior

PosteriorPath = Annotated[Path, typer.Argument(help="Posterior file, with draws.", show_default=False)]
Priors = Annotated[
    list[str] | None,
    typer.Option("--prior", help="'Omega_m=normal:0.31:0.01' (mean, std), '=uniform:0.2:0.4', '=log-uniform:...'."),
]
Derive = Annotated[
    list[str] | None, typer.Option(help="A parameter more: 'S_8=sigma_8*(Omega_m/0.3)**0.5'; repeatable.")
]
Draws = Annotated[
    int | None, typer.Option(help=r"Draws to keep of each row \[all that there are].", show_default=False)
]
Seed = Annotated[int, typer.Option(help="Seed of which draws are kept [0].", show_default=False)]


def reweight(
    file: PosteriorPath,
    say: SayOptions,
    output: Output = None,
    prior: Priors = None,
    derive: Derive = None,
    draws: Draws = None,
    seed: Seed = 0,
    skip_failed: SkipFailed = False,
) -> None:
    """Put a posterior under another prior, by weighting its draws, and add parameters that others determine.

    Example: cosmoinfer reweight nsf.posterior.h5 --prior Omega_m=normal:0.31:0.01 --derive 'S_8=sigma_8*Omega_m**0.5'
    """
    from cosmoinfer import posterior, reweighting, storage
    from cosmoinfer.cli import inputs
    from cosmoinfer.errors import UserError

    terminal = Terminal(say.json, say.quiet)
    if not prior and not derive:
        raise UserError("nothing to do: --prior gives the posterior another prior, --derive adds a parameter")
    if draws is not None and not prior:
        raise UserError("--draws: goes with --prior, without which every draw is kept")
    output = output or file.with_name(f"{file.stem}.{'reweighted' if prior else 'derived'}.h5")
    drawn = posterior.read(file)
    settings = {"prior": prior or [], "derive": derive or [], "draws": draws, "skip_failed": skip_failed, "seed": seed}
    meta = inputs.record("reweight", settings, {"posterior": storage.digest(file)})
    if inputs.stands(output, "posterior", meta, terminal, say.force, file):
        made = posterior.read(output)
    else:
        made = reweighting.derive(drawn, derive or [])
        if prior:
            changes = [reweighting.PriorChange.parse(text) for text in prior]
            parameters = reweighting.with_priors(made.parameters, changes)
            for change in changes:
                terminal.say(change.describe(parameters))
            made = reweighting.reweight(made, parameters, draws, seed, skip_failed)
        posterior.write(output, made, meta, say.force)
    left_out = sorted(set(drawn.index.tolist()) - set(made.index.tolist()))
    _tell(terminal, output, made, left_out)


def _tell(terminal: Terminal, output: Path, made: "Posterior", left_out: list[int]) -> None:
    from cosmoinfer.errors import listed

    assert made.samples is not None
    if left_out:
        terminal.say(f"left out, too few draws lie under the new prior: row {listed(left_out)}")
    told = f"{output}: {len(made)} rows, {made.samples.shape[1]} draws of {', '.join(made.parameters.names)}"
    document = {"output": str(output), "rows": len(made), "draws": made.samples.shape[1], "left_out": left_out}
    if made.ess is not None and made.reweighted:
        told += f"; {_tell_effective(terminal, made)}"
        document["ess"] = made.ess.tolist()
        if made.truth is not None:
            terminal.say("simulations from the old prior are no fair test of these posteriors: their truths follow it")
    terminal.result(told)
    terminal.document(document)


def _tell_effective(terminal: Terminal, made: "Posterior") -> str:
    """The effective number of draws in words; a warning where it is small."""
    import numpy as np

    from cosmoinfer.errors import listed
    from cosmoinfer.importance_sampling import MIN_EFFECTIVE_DRAWS

    assert made.ess is not None
    few = made.ess < MIN_EFFECTIVE_DRAWS
    worst = int(np.argmin(made.ess))
    if few.any():
        terminal.warn(
            f"{int(few.sum())} of {len(made)} posteriors are worth less than {MIN_EFFECTIVE_DRAWS} draws "
            f"(row {listed(made.index[few])}): the new prior is narrow, or lies where few draws are; sample more "
            "(sample --draws), or train with that prior"
        )
    return f"worth {np.median(made.ess):.0f} draws each, the worst (row {made.index[worst]}) {made.ess[worst]:.0f}"
