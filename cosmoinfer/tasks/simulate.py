"""Simulate problems whose exact posterior is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import catalog as catalogs
from cosmoinfer import posterior as posteriors
from cosmoinfer import split as splits
from cosmoinfer import storage
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError, list_choices
from cosmoinfer.memory import check_memory
from cosmoinfer.posterior import Diagnostics, Draws, Posterior
from cosmoinfer.settings import check_keywords, convert, setting
from cosmoinfer.simulators import SIMULATORS, Simulator
from cosmoinfer.storage import Attributes, FileContents
from cosmoinfer.tasks.provenance import is_up_to_date, task_provenance
from cosmoinfer.tasks.reading import choose_split
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.settings import SPLIT, OutputSettings, SplitSettings, names_of_fields, select_keywords


@dataclass(frozen=True)
class SimulationSettings:
    """What is simulated of a problem.

    rows: how many. rows_per_simulation: how many share their parameters, with other noise. seed: of everything random
    but the split. draws: of each exact posterior.
    """

    rows: int = setting(2000, minimum=1)
    rows_per_simulation: int = setting(1, minimum=1)
    seed: int = 0
    draws: int = setting(2000, minimum=1)

    def __post_init__(self) -> None:
        if self.rows % self.rows_per_simulation:
            raise UserError(
                f"expected a multiple of {self.rows_per_simulation}, the rows of a simulation, found {self.rows}",
                setting="rows",
            )


@dataclass(frozen=True)
class SimulatedCatalog:
    """rows: how many. truth: file of the exact posterior, if it was asked for, of so many test rows (``tested``)."""

    output: Path
    problem: str
    simulator: Simulator
    rows: int
    truth: Path | None = None
    tested: int = 0

    def describe(self) -> str:
        """In one line, with what Fisher information says of the errors."""
        line = f"{self.output}: {self.rows} rows of {self.problem}" + _describe_fisher_errors(self.simulator)
        if self.truth is None:
            return line
        return f"{line}; {self.truth}: the exact posterior of {self.tested} test rows"


def simulate(
    problem: str,
    *,
    rows: int = SimulationSettings.rows,
    rows_per_simulation: int = SimulationSettings.rows_per_simulation,
    seed: int = SimulationSettings.seed,
    settings: Mapping[str, float] | None = None,
    output: Path | str | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
    **unknown: object,
) -> Catalog:
    """Simulate a catalog of a problem whose exact posterior is known (``exact_posterior``).

    rows: how many, of which ``rows_per_simulation`` share their parameters. settings: of the problem, as
    ``{"pixels": 64}``. output: the file to write, if any.

    Raises UserError, a ValueError, which names the setting that is not usable.
    """
    check_keywords("simulate", unknown, ("rows", "rows_per_simulation", "seed", "settings", "output", "force"))
    to = OutputSettings.from_arguments(output, force, reporter)
    counts = {"rows": rows, "rows_per_simulation": rows_per_simulation, "seed": seed}
    simulator = problem_with_settings(problem, settings)
    record = simulate_record(simulator, problem, select_keywords(SimulationSettings, counts))
    if to.output is not None and not is_up_to_date(to.output, "catalog", record.meta, to.reporter, to.force):
        storage.write(to.output, record, to.force)
    data, parameters = record.arrays["data"], simulator.parameters.attributes()
    described = {name: parameters[name] for name in ("low", "high", "prior", "prior_mean", "prior_std", "labels")}
    return catalogs.from_arrays(
        record.arrays["parameters"],
        data,
        parameters["names"],
        simulation=record.arrays["simulation"],
        kind=str(record.attributes["data"]["kind"]),
        missing="mask" if np.isnan(data).any() else "",
        **described,
    )


def exact_posterior(
    problem: str,
    catalog: Catalog,
    *,
    draws: int = SimulationSettings.draws,
    rows: Sequence[int] | None = None,
    seed: int = 0,
    settings: Mapping[str, float] | None = None,
) -> Posterior:
    """The exact posterior of rows of a catalog that ``simulate`` made with the same settings, by default of all.

    draws: of each row. rows: (n,) positions in the catalog.

    Raises UserError, a ValueError, if the problem or a setting is not known.
    """
    checked = select_keywords(SimulationSettings, {"draws": draws, "seed": seed})
    simulator = problem_with_settings(problem, settings)
    positions = np.arange(len(catalog)) if rows is None else np.asarray(convert(rows, tuple[int, ...]))
    return draw_exact_posterior(simulator, catalog, positions, checked.draws, checked.seed)


def problem_with_settings(problem: str, settings: Mapping[str, float] | None) -> Simulator:
    """Raises UserError if the problem or a setting is not known."""
    return with_settings(problem, [f"{name}={value}" for name, value in (settings or {}).items()])


def write_simulations(
    problem: str, keywords: Mapping[str, Any], output: Path | None, force: bool, reporter: Reporter
) -> SimulatedCatalog:
    """The same for the command line; with ``truth`` the exact posterior of its test rows.

    keywords: settings by the name of their option. Raises UserError if a setting or the problem is not known.
    """
    check_keywords("simulate", keywords, (*names_of_fields(SimulationSettings), *SPLIT, "set", "truth"))
    settings = select_keywords(SimulationSettings, keywords)
    split_settings = select_keywords(SplitSettings, keywords)
    output, truth = output or Path(f"{problem}.h5"), bool(keywords.get("truth"))
    simulator = with_settings(problem, keywords.get("set") or ())
    record = simulate_record(simulator, problem, settings)
    if truth:
        _check_truth(record.arrays["simulation"], split_settings)
    elif keywords.get("draws") is not None or split_settings != SplitSettings():
        raise UserError(
            "`draws`, `fractions`, `split_seed` and `split_file` set the exact posterior, which only `truth` writes"
        )
    if not is_up_to_date(output, "catalog", record.meta, reporter, force):
        storage.write(output, record, force)
    simulated = SimulatedCatalog(output, problem, simulator, settings.rows)
    if not truth:
        return simulated
    gaps = "mask" if np.isnan(record.arrays["data"]).any() else ""
    catalog = catalogs.read(output, catalogs.ReadOptions(missing=gaps))  # as it lies in the file, in single precision
    path = output.with_name(f"{output.stem}.truth.h5")
    posterior = _write_truth(simulator, catalog, split_settings, settings, path, reporter, force)
    return replace(simulated, truth=path, tested=len(posterior))


def with_settings(problem: str, settings: Sequence[str]) -> Simulator:
    """A problem by its name, with settings NAME=NUMBER.

    Raises UserError if it has no such setting, if a row would not fit into memory, or tell nothing of the parameters.
    """
    if problem not in SIMULATORS:
        raise UserError(f"the problem {problem!r} is not known; {list_choices(problem, SIMULATORS)}")
    types = {field.name: type(field.default) for field in fields(SIMULATORS[problem])}  # type: ignore[arg-type]
    numbers = {name: of_type for name, of_type in types.items() if of_type in (int, float)}
    values = dict(_parse_setting(problem, text, numbers) for text in settings)
    simulator: Simulator = replace(SIMULATORS[problem], **values)  # type: ignore[type-var]
    check_memory(simulator.working_numbers(1), f"a row of {problem} with {', '.join(settings)}", "set")
    if values and not simulator.is_informative():
        raise UserError(
            f"data of {problem} with these settings tell nothing of its parameters", "set", ",".join(settings)
        )
    return simulator


def _parse_setting(problem: str, text: str, types: Mapping[str, Any]) -> tuple[str, Any]:
    """A field of the problem and its value: positive, and whole where the default is whole."""
    name, _, value = text.partition("=")
    if name not in types:
        raise UserError(f"{problem} has no setting {name!r}; {list_choices(name, types)}", setting="set", value=text)
    try:
        number = types[name](value)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        whole = "whole " if types[name] is int else ""
        raise UserError(f"expected {name}= and a positive {whole}number, found {value!r}", setting="set", value=text)
    return name, number


def simulate_record(simulator: Simulator, problem: str, settings: SimulationSettings) -> FileContents:
    """The catalog as it will lie in a file: its data in single precision, its parameters in double."""
    check_memory(simulator.working_numbers(settings.rows), f"{settings.rows} rows of {problem}", "rows")
    simulations = simulator.simulate(
        settings.rows // settings.rows_per_simulation, settings.seed, settings.rows_per_simulation
    )
    recorded = {
        "problem": problem,
        "seed": settings.seed,
        "rows": settings.rows,
        "rows_per_simulation": settings.rows_per_simulation,
        "settings": simulator,
    }
    arrays = {
        "parameters": simulations.theta,
        "data": simulations.data.astype(np.float32),
        "simulation": simulations.simulation,
        **simulations.coordinates,
    }
    parameters = simulations.parameters.attributes()
    attributes: dict[str, Attributes] = {"parameters": parameters, "data": simulations.attributes}
    return FileContents("catalog", task_provenance("simulate", recorded, {}), arrays, attributes)


def _check_truth(simulation: np.ndarray, settings: SplitSettings) -> None:
    """Before a catalog is written whose exact posterior then is not."""
    if settings.split_file is None:
        fractions = settings.fractions or splits.DEFAULT_FRACTIONS
        splits.by_hash(simulation.astype(str), fractions, settings.split_seed).require_complete()


def _write_truth(
    simulator: Simulator,
    catalog: Catalog,
    split_settings: SplitSettings,
    settings: SimulationSettings,
    path: Path,
    reporter: Reporter,
    force: bool,
) -> Posterior:
    """The exact posterior of the test rows, written unless it is up to date."""
    split = choose_split(catalog, split_settings)
    rows = split.select_rows(catalog.simulation, "test")
    inputs = {"catalog": catalog.fingerprint, "split": splits.fingerprint(split)}
    meta = task_provenance("simulate", {"draws": settings.draws, "seed": settings.seed}, inputs)
    if is_up_to_date(path, "posterior", meta, reporter, force):
        return posteriors.read(path)
    posterior = draw_exact_posterior(simulator, catalog, rows, settings.draws, settings.seed)
    posteriors.write(path, posterior, meta, force)
    return posterior


def draw_exact_posterior(simulator: Simulator, catalog: Catalog, rows: np.ndarray, draws: int, seed: int) -> Posterior:
    """Of these rows (n,), by position, of a catalog that the simulator made."""
    parameters, theta = catalog.require_parameters()
    row_shape = simulator.simulate(1, 0).data.shape[1:]  # a catalog gives maps of one field a channel axis
    data = catalog.observables[0].read(rows).reshape(len(rows), *row_shape)
    check_memory(3 * len(rows) * draws * (len(parameters) + 1), f"{draws} draws of {len(rows)} rows", "draws")
    with np.errstate(all="ignore"):
        try:
            samples = simulator.sample(data, draws, seed)
            at_draws = [
                simulator.log_posterior(draws_of_row, row) for draws_of_row, row in zip(samples, data, strict=True)
            ]
            log_prob, at_truth = np.stack(at_draws), simulator.log_posterior(theta[rows], data)
        except np.linalg.LinAlgError as error:
            raise UserError(
                "the exact posterior of these settings is narrower than its grid resolves", "set"
            ) from error
    if not all(np.isfinite(values).all() for values in (samples, log_prob, at_truth)):
        raise UserError("the exact posterior of these settings has no finite density at its draws or truths", "set")
    return Posterior(
        parameters,
        catalog.index[rows],
        catalog.simulation[rows],
        np.full(len(rows), 2, np.uint8),
        theta[rows],
        at_truth,
        Draws(samples, log_prob),
        diagnostics=Diagnostics(fisher=simulator.fisher(theta[rows])),
        exact=True,
    )


def _describe_fisher_errors(simulator: Simulator) -> str:
    """What Fisher information says of the errors at the middle of the prior."""
    parameters, information = simulator.parameters, simulator.fisher_at_middle()
    if information is None:
        return ""
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    line = ", ".join(f"{name} {error:.3g}" for name, error in zip(parameters.names, errors, strict=True))
    return f" (by Fisher information, errors of a row at the middle of the prior: {line})"
