"""The command line: one file a command. Paths in, files out; read, call, write, say."""

import functools
import sys
from collections.abc import Callable

import typer

from cosmoinfer import __version__
from cosmoinfer.cli import (
    cross_suite,
    evaluate,
    generate,
    inspect,
    learning_curve,
    repack,
    reweight,
    run,
    sample,
    score,
    simulate,
    split,
    train_density,
    train_flow,
    train_regressor,
)
from cosmoinfer.cli.options import grouped
from cosmoinfer.cli.terminal import error_line
from cosmoinfer.errors import UserError

INTERRUPTED = 130

app = typer.Typer(
    name="cosmoinfer",
    help="From a catalog of cosmological simulations to a calibrated posterior.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _mended_by_user(command: Callable[..., None]) -> Callable[..., None]:
    """An error that the user can mend is one line and its exit status; everything else crashes with its traceback."""

    @functools.wraps(command)
    def spoken(**options: object) -> None:
        try:
            command(**options)
        except UserError as error:
            print(f"cosmoinfer: {error_line(error)}", file=sys.stderr)
            raise SystemExit(error.exit_status) from error
        except KeyboardInterrupt:
            print("\ncosmoinfer: interrupted; no unfinished file is left", file=sys.stderr)
            raise SystemExit(INTERRUPTED) from None

    return spoken


COMMANDS: dict[str, Callable[..., None]] = {
    "simulate": simulate.simulate,
    "split": split.split,
    "train-regressor": train_regressor.train_regressor,
    "train-flow": train_flow.train_flow,
    "train-density": train_density.train_density,
    "sample": sample.sample,
    "evaluate": evaluate.evaluate,
    "reweight": reweight.reweight,
    "run": run.run,
    "cross": cross_suite.cross,
    "learning-curve": learning_curve.learning_curve,
    "generate": generate.generate,
    "score": score.score,
    "repack": repack.repack,
    "inspect": inspect.inspect,
}
for name, command in COMMANDS.items():
    app.command(name)(_mended_by_user(grouped(command)))


def _version(wanted: bool) -> None:
    if wanted:
        print(f"cosmoinfer {__version__}")
        raise typer.Exit()


@app.callback()
def _cosmoinfer(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="The version, and leave."),
) -> None:
    """From a catalog of cosmological simulations to a calibrated posterior."""
