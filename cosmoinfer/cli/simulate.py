"""``cosmoinfer simulate``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmoinfer.cli.options import Output, SayOptions, SplitOptions
from cosmoinfer.cli.terminal import Terminal

if TYPE_CHECKING:
    import numpy as np

    from cosmoinfer.catalog import Catalog
    from cosmoinfer.posterior import Posterior
    from cosmoinfer.simulators import Simulator
    from cosmoinfer.storage import Record

DRAWS = 2000  # of each exact posterior

Problem = Annotated[str, typer.Argument(help="A problem whose exact posterior is known.", show_default=False)]
Count = Annotated[int, typer.Option("-n", "--rows", help="Rows to simulate.")]
Each = Annotated[int, typer.Option(help="Of which so many share a simulation: parameters, no noise.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting of the problem: pixels=64; repeatable; any other word lists them."),
]
Truth = Annotated[bool, typer.Option("--truth", help="Write the exact posterior of the test rows too.")]
Draws = Annotated[
    int | None, typer.Option(help=rf"Exact draws of each test row, with --truth \[{DRAWS}].", show_default=False)
]
Seed = Annotated[int, typer.Option(help="Seed of everything random but the split.")]


def simulate(
    problem: Problem,
    splitting: SplitOptions,
    say: SayOptions,
    rows: Count = 2000,
    output: Output = None,
    rows_per_simulation: Each = 1,
    settings: Settings = None,
    truth: Truth = False,
    draws: Draws = None,
    seed: Seed = 0,
) -> None:
    """Simulate a problem whose exact posterior is known; what is written is a catalog, and with --truth a posterior.

    Problems: linear-gaussian, linear-gaussian-box, two-moons, narrow-ridge, supernovae, power-spectrum,
    masked-spectrum, gaussian-profiles, gaussian-maps, gaussian-grids, lognormal-maps, lognormal-pairs.

    Example: cosmoinfer simulate two-moons -n 10000 -o moons.h5 --truth
    """
    import numpy as np

    from cosmoinfer import catalog, storage
    from cosmoinfer.cli import inputs
    from cosmoinfer.errors import UserError

    terminal = Terminal(say.json, say.quiet)
    output = output or Path(f"{problem}.h5")
    simulator = with_settings(problem, settings or ())
    record = simulated(simulator, problem, rows, rows_per_simulation, seed)
    exact = DRAWS if draws is None else draws
    if truth:
        _check_truth(record.arrays["simulation"], splitting, exact)
    elif draws is not None or splitting != SplitOptions():
        raise UserError("--draws, --fractions, --split-seed, --split-file: say what --truth writes; give it too")
    if not inputs.stands(output, "catalog", record.meta, terminal, say.force):
        storage.write(output, record, say.force)
    told = f"{output}: {rows} rows of {problem}" + _limits(simulator)
    document: dict[str, Any] = {"output": str(output), "rows": rows}
    if truth:
        gaps = "mask" if np.isnan(record.arrays["data"]).any() else ""
        sims = catalog.read(output, catalog.Reading(missing=gaps))  # as it lies in the file, in single precision
        path = output.with_name(f"{output.stem}.truth.h5")
        found = _write_truth(simulator, sims, splitting, exact, seed, path, terminal, say.force)
        told += f"; {path}: the exact posterior of {len(found)} test rows"
        document |= {"truth": str(path), "test": len(found)}
    terminal.result(told)
    terminal.document(document)


def with_settings(problem: str, settings: Sequence[str]) -> "Simulator":
    """The problem by its name, with what was set of it: NAME=NUMBER each."""
    from dataclasses import fields, replace

    from cosmoinfer.errors import UserError
    from cosmoinfer.simulators import SIMULATORS

    if problem not in SIMULATORS:
        raise UserError(f"{problem!r} is no problem that is known; there are {', '.join(SIMULATORS)}")
    kinds = {one.name: type(one.default) for one in fields(SIMULATORS[problem])}  # type: ignore[arg-type]
    known = {name: kind for name, kind in kinds.items() if kind in (int, float)}
    return replace(SIMULATORS[problem], **dict(_setting(problem, text, known) for text in settings))  # type: ignore[type-var]


def _setting(problem: str, text: str, known: dict[str, Any]) -> tuple[str, Any]:
    """A field of the problem and its value: positive, and whole where the default is whole."""
    from cosmoinfer.errors import UserError

    name, _, value = text.partition("=")
    if name not in known:
        raise UserError(f"--set {text}: {problem} has no setting {name!r}; there are {', '.join(known)}")
    try:
        number = known[name](value)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        whole = "whole " if known[name] is int else ""
        raise UserError(f"--set {text}: expected {name}= and a positive {whole}number, found {value!r}")
    return name, number


def simulated(simulator: "Simulator", problem: str, rows: int, each: int, seed: int) -> "Record":
    """The catalog as it will lie in a file: its data in single precision, its parameters in double."""
    import numpy as np

    from cosmoinfer.cli import inputs
    from cosmoinfer.errors import UserError
    from cosmoinfer.storage import Record

    if each < 1:
        raise UserError(f"--rows-per-simulation: expected at least 1, found {each}")
    if rows < 1:
        raise UserError(f"--rows: expected at least 1, found {rows}")
    if rows % each:
        raise UserError(f"--rows: expected a multiple of {each}, the rows of a simulation, found {rows}")
    made = simulator.simulate(rows // each, seed, each)
    settings = {
        "problem": problem,
        "seed": seed,
        "rows": rows,
        "rows_per_simulation": each,
        "settings": simulator,
    }
    arrays = {
        "parameters": made.theta,
        "data": made.data.astype(np.float32),
        "simulation": made.simulation,
        **made.coordinates,
    }
    attributes = {"parameters": made.parameters.attributes(), "data": made.attributes}
    return Record("catalog", inputs.record("simulate", settings, {}), arrays, attributes)


def _check_truth(simulation: "np.ndarray", splitting: SplitOptions, draws: int) -> None:
    """Before a catalog is written whose exact posterior then is not."""
    from cosmoinfer import split as splits
    from cosmoinfer.errors import UserError

    if draws < 1:
        raise UserError(f"--draws: expected at least 1, found {draws}")
    if splitting.split_file is None:
        fractions = splitting.fractions or splits.FRACTIONS
        splits.by_hash(simulation.astype(str), fractions, splitting.split_seed).complete()


def _write_truth(
    simulator: "Simulator",
    sims: "Catalog",
    splitting: SplitOptions,
    draws: int,
    seed: int,
    path: Path,
    terminal: Terminal,
    force: bool,
) -> "Posterior":
    """The exact posterior of the test rows, written unless it stands there already."""
    from cosmoinfer import posterior
    from cosmoinfer import split as splits
    from cosmoinfer.cli import inputs

    split = inputs.choose_split(sims, splitting)
    rows = split.rows(sims.simulation, "test")
    fingerprints = {"catalog": sims.fingerprint, "split": splits.fingerprint(split)}
    meta = inputs.record("simulate", {"draws": draws, "seed": seed}, fingerprints)
    if inputs.stands(path, "posterior", meta, terminal, force):
        return posterior.read(path)
    found = exact_posterior(simulator, sims, rows, draws, seed)
    posterior.write(path, found, meta, force)
    return found


def exact_posterior(simulator: "Simulator", sims: "Catalog", rows: "np.ndarray", draws: int, seed: int) -> "Posterior":
    """Of these rows of a catalog that the simulator made."""
    import numpy as np

    from cosmoinfer.posterior import Posterior

    parameters, theta = sims.training()
    data = sims.summaries[0].read(rows).reshape(len(rows), *_row(simulator, sims))
    samples = simulator.sample(data, draws, seed)
    pairs = zip(samples, data, strict=True)
    return Posterior(
        parameters,
        sims.index[rows],
        sims.simulation[rows],
        np.full(len(rows), 2, np.uint8),
        theta[rows],
        samples,
        np.stack([simulator.log_posterior(drawn, one) for drawn, one in pairs]),
        simulator.log_posterior(theta[rows], data),
        fisher=simulator.fisher(theta[rows]),
    )


def _row(simulator: "Simulator", sims: "Catalog") -> tuple[int, ...]:
    """The shape of a row as the simulator makes it: a catalog gives maps of one field a channel axis."""
    return simulator.simulate(1, 0).data.shape[1:]


def _limits(simulator: "Simulator") -> str:
    """What Fisher information says of the errors at the middle of the prior."""
    import numpy as np

    parameters = simulator.parameters
    information = simulator.fisher(parameters.quantile(np.full((1, len(parameters)), 0.5)))
    if information is None:
        return ""
    errors = np.sqrt(np.diag(np.linalg.inv(information[0])))
    told = ", ".join(f"{name} {error:.3g}" for name, error in zip(parameters.names, errors, strict=True))
    return f" (by Fisher information, errors of a row at the middle of the prior: {told})"
