"""``cosmoinfer reweight``."""

from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.options import Output, OutputOptions
from cosmoinfer.cli.posteriors import Corner, draw_corner, show_observations
from cosmoinfer.cli.terminal import Terminal

PosteriorPath = Annotated[Path, typer.Argument(help="Posterior file, with draws.", show_default=False)]
Priors = Annotated[
    list[str] | None,
    typer.Option(
        "--prior",
        metavar="<name=prior>",
        help="New prior: 'Omega_m=normal:0.31:0.01' (mean, std), uniform:0.2:0.4, ...; a chain; a~b=0.5; repeatable.",
    ),
]
Covariance = Annotated[
    Path | None,
    typer.Option(
        "--prior-covariance",
        metavar="<file>",
        help="Covariance of a --prior 'a,b=normal:0.31:0.81' that has the means alone: '# a b', the matrix below.",
        show_default=False,
    ),
]
Where = Annotated[
    list[str] | None, typer.Option(metavar="<condition>", help="Cut the prior to a region: 'w0+wa<0'; repeatable.")
]
Derive = Annotated[
    list[str] | None,
    typer.Option(metavar="<name=formula>", help="Derived parameter: 'S_8=sigma_8*(Omega_m/0.3)**0.5'; repeatable."),
]
Keep = Annotated[
    str | None,
    typer.Option(
        metavar="<names>", help="Parameters to keep, Omega_m,S_8; the others are marginalised. [default: all]"
    ),
]
Draws = Annotated[int | None, typer.Option(help="Draws to keep of each row. [default: all]", show_default=False)]
Seed = Annotated[int, typer.Option(help="Seed of which draws are kept. [default: 0]", show_default=False)]
SkipFailed = Annotated[
    bool, typer.Option("--skip-failed", help="Leave out rows with too few draws under the new prior, and list them.")
]


def reweight(
    file: PosteriorPath,
    output_options: OutputOptions,
    output: Output = None,
    prior: Priors = None,
    prior_covariance: Covariance = None,
    where: Where = None,
    derive: Derive = None,
    keep: Keep = None,
    draws: Draws = None,
    seed: Seed = 0,
    skip_failed: SkipFailed = False,
    corner: Corner = None,
) -> None:
    """Put a posterior under another prior, by weighting its draws, add derived parameters, marginalise others.

    Example: cosmoinfer reweight nsf.posterior.h5 --prior h=normal:0.7:0.1 --derive 'S_8=sigma_8*(Omega_m/0.3)**0.5'
    """
    from cosmoinfer.tasks.figures import check_figure
    from cosmoinfer.tasks.reweight import write_reweighted

    terminal = Terminal(output_options.json, output_options.quiet)
    if corner is not None:
        check_figure(corner, "corner")
    changes = {"prior": prior, "prior_covariance": prior_covariance, "where": where, "derive": derive, "keep": keep}
    settings = {**changes, "draws": draws, "seed": seed, "skip_failed": skip_failed}
    reweighted = write_reweighted(file, settings, output, output_options.force, terminal.reporter())
    terminal.result(reweighted.describe())
    show_observations(reweighted.observations, terminal)
    document: dict[str, object] = {"output": str(reweighted.output), "rows": len(reweighted.posterior)}
    document |= {"observations": [summary.to_json() for summary in reweighted.observations]}
    document |= {"draws": reweighted.draws, "left_out": list(reweighted.left_out)}
    document |= draw_corner([file, reweighted.output], corner, output_options.force, terminal)
    terminal.document(document | ({} if reweighted.ess is None else {"ess": reweighted.ess.tolist()}))
