"""The command line: one file a command. Paths in, files out; read, call, write, say."""

import functools
import os
import sys
from collections.abc import Callable

import typer

from cosmoinfer import __version__
from cosmoinfer.cli import (
    cross_suite,
    ensemble,
    evaluate,
    export,
    generate,
    guide,
    importing,
    inspect,
    learning_curve,
    likelihood,
    merge,
    plot,
    repack,
    report,
    reweight,
    run,
    sample,
    score,
    simulate,
    split,
    train_density,
    train_flow,
    train_regressor,
    tune,
    workflow,
)
from cosmoinfer.cli.help import HelpByPanel, print_help
from cosmoinfer.cli.options import grouped, short_names
from cosmoinfer.cli.streams import check_stdout, guard_streams, stdout_error
from cosmoinfer.cli.terminal import OPEN_BAR, error_lines
from cosmoinfer.errors import SameOutput, UserError
from cosmoinfer.stopping import EXIT_STATUS, INTERRUPTED, Stopped

NAME = "cosmoinfer"
ONLY_PRINT = {"inspect", "guide"}  # commands whose results are saved nowhere
DESCRIPTION = "Calibrated posteriors of cosmological parameters, from a catalog of simulations."

app = typer.Typer(
    name=NAME,
    help=DESCRIPTION,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """A UserError is one line and its exit status; every other exception is raised with its traceback."""

    @functools.wraps(command)
    def wrapped(**options: object) -> None:
        try:
            with OPEN_BAR:
                try:
                    command(**options)
                except SameOutput:  # which another process has made meanwhile: complete already
                    command(**options)
            _check_output(command.__name__, as_json=bool(options.get("json")))
        except UserError as error:
            for line in error_lines(error, short_names(command)):
                print(f"cosmoinfer: {line}", file=sys.stderr)
            raise SystemExit(error.exit_status) from error
        except Stopped as stopped:
            print(f"cosmoinfer: {stopped.message}", file=sys.stderr)
            raise SystemExit(EXIT_STATUS) from None
        except KeyboardInterrupt:
            print(
                "\ncosmoinfer: interrupted; no unfinished file is left; a training can be resumed",
                file=sys.stderr,
            )
            raise SystemExit(INTERRUPTED) from None

    return wrapped


def _check_output(name: str, as_json: bool) -> None:
    """Raises OutputLost if stdout did not take results that are saved nowhere; of saved ones it warns."""
    if name in ONLY_PRINT or as_json:
        check_stdout()
    elif (error := stdout_error()) and not isinstance(error, BrokenPipeError):
        print(f"warning: stdout: {error.strerror}; all results are saved, not all were printed", file=sys.stderr)


COMMANDS: dict[str, Callable[..., None]] = {
    "simulate": simulate.simulate,
    "split": split.split,
    "train-regressor": train_regressor.train_regressor,
    "train-flow": train_flow.train_flow,
    "train-density": train_density.train_density,
    "ensemble": ensemble.ensemble,
    "tune": tune.tune,
    "sample": sample.sample,
    "merge": merge.merge,
    "evaluate": evaluate.evaluate,
    "reweight": reweight.reweight,
    "plot": plot.plot,
    "export": export.export,
    "run": run.run,
    "report": report.report,
    "cross-suite": cross_suite.cross_suite,
    "learning-curve": learning_curve.learning_curve,
    "likelihood": likelihood.likelihood,
    "generate": generate.generate,
    "score": score.score,
    "import": importing.import_catalog,
    "repack": repack.repack,
    "workflow": workflow.workflow,
    "inspect": inspect.inspect,
    "guide": guide.guide,
}
WITH_OPTIONS = {
    name: grouped(command) for name, command in COMMANDS.items()
}  # option groups spread, as Typer sees them
for name, command in WITH_OPTIONS.items():
    app.command(name, cls=HelpByPanel)(one_line_errors(command))


def _version(requested: bool) -> None:
    if requested:
        print(f"cosmoinfer {__version__}")
        check_stdout()
        raise typer.Exit()


@app.callback()
def _cosmoinfer(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Calibrated posteriors of cosmological parameters, from a catalog of simulations."""


def main() -> None:
    """Run what the command line asks for, or print its help, with streams that never fail.

    Raises SystemExit with the exit status.
    """
    guard_streams()
    one_line_errors(_answer)()


def _answer() -> None:
    if print_help(DESCRIPTION, WITH_OPTIONS, sys.argv[1:]):
        check_stdout()
        return
    _tame_matplotlib()
    app(prog_name=NAME)


def _tame_matplotlib() -> None:
    """Let it be imported whatever the environment: in this process it draws our figures only, into files."""
    import logging  # late, for the sake of a help

    os.environ["MPLBACKEND"] = "agg"  # it cannot be imported with a backend that is absent
    own_log = logging.getLogger("matplotlib")  # says twice where its cache is if a home is read-only
    own_log.addFilter(lambda record: record.levelno >= logging.ERROR)  # not of its modules: fonts that it looks for
