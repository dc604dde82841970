"""``cosmoinfer simulate``."""

from typing import Annotated

import typer

from cosmoinfer.cli.options import Output, OutputOptions, SplitOptions, completer, keywords
from cosmoinfer.cli.terminal import Terminal

Problem = Annotated[
    str,
    typer.Argument(
        help="A problem whose exact posterior is known.",
        show_default=False,
        autocompletion=completer(("simulators:SIMULATORS",)),
    ),
]
Count = Annotated[
    int | None,
    typer.Option(
        "-n", "--rows", help="Rows to simulate. [default: {tasks.simulate:SimulationSettings.rows}]", show_default=False
    ),
]
Each = Annotated[int, typer.Option(help="Rows of each simulation: the same parameters, other noise.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="<name=number>",
        help="Setting of the problem: pixels=64; repeatable; an unknown name lists them.",
    ),
]
Truth = Annotated[bool, typer.Option("--truth", help="Write the exact posterior of the test rows too.")]
Draws = Annotated[
    int | None,
    typer.Option(
        help="Exact draws of each test row, with --truth. [default: {tasks.simulate:SimulationSettings.draws}]",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of everything random but the split.")]


def simulate(
    problem: Problem,
    split_options: SplitOptions,
    output_options: OutputOptions,
    rows: Count = None,
    output: Output = None,
    rows_per_simulation: Each = 1,
    settings: Settings = None,
    truth: Truth = False,
    draws: Draws = None,
    seed: Seed = 0,
) -> None:
    """Simulate a problem whose exact posterior is known; what is written is a catalog, and with --truth a posterior.

    Problems: {choices simulators:SIMULATORS}.

    Example: cosmoinfer simulate two-moons -n 10000 -o moons.h5 --truth
    """
    from cosmoinfer.tasks.simulate import write_simulations

    terminal = Terminal(output_options.json, output_options.quiet)
    options = keywords(split_options, rows=rows, rows_per_simulation=rows_per_simulation, truth=truth, draws=draws)
    options |= {"set": settings, "seed": seed}
    simulated = write_simulations(problem, options, output, output_options.force, terminal.reporter())
    terminal.result(simulated.describe())
    document: dict[str, object] = {"output": str(simulated.output), "rows": simulated.rows}
    if simulated.truth is not None:
        document |= {"truth": str(simulated.truth), "test": simulated.tested}
    terminal.document(document)
