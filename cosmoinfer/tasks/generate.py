"""Draw new data from a density of the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import catalog, storage
from cosmoinfer.device import device_settings
from cosmoinfer.errors import UserError
from cosmoinfer.memory import check_memory
from cosmoinfer.models.density import DensityModel
from cosmoinfer.quoting import join_items, split, unquote, write
from cosmoinfer.settings import Limits, check_keywords, check_value
from cosmoinfer.tasks.model_sources import read_model_of_kind
from cosmoinfer.tasks.provenance import is_up_to_date, output_beside, task_provenance, with_node_settings
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.run_settings import RUN, RunSettings
from cosmoinfer.tasks.settings import select_keywords

DRAWS = 64  # by default


@dataclass(frozen=True)
class GeneratedRows:
    """How many rows a file holds."""

    output: Path
    rows: int

    def describe(self) -> str:
        """In one line."""
        return f"{self.output}: {self.rows} rows"


def write_generated(
    model: Path,
    keywords: Mapping[str, Any],
    output: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> GeneratedRows:
    """Draw data from a density, and write them as a catalog unless it is up to date.

    keywords: settings by the name of their option. Raises UserError if a setting or the model is not usable.
    """
    check_keywords("generate", keywords, (*RUN, "at", "draws"))
    at, draws = keywords.get("at"), keywords.get("draws")
    draws = DRAWS if draws is None else draws
    check_value("draws", draws, int, Limits(minimum=1))
    output = output or output_beside(model, ".generated.h5")
    run = select_keywords(RunSettings, with_node_settings(keywords, force, output))
    device = run.prepare_device()
    density: DensityModel = read_model_of_kind(model, "density", device)
    theta = None if density.condition is None else _parameter_values(density, at)
    if density.condition is None and at is not None:
        raise UserError(f"{model} is p(x), without parameters", setting="at")
    settings = {"at": theta, "draws": draws, "seed": run.seed, **device_settings(device)}
    meta = task_provenance("generate", settings, {"model": storage.file_digest(model)})
    if not is_up_to_date(output, "catalog", meta, reporter, force):
        numbers = prod(density.preprocessing.inputs[0].shape)
        check_memory(3 * draws * (numbers + len(theta or ())), f"{draws} draws of {numbers} numbers", "draws")
        data = density.generate(theta, draws, run.seed)
        parameters = None if theta is None else density.preprocessing.parameters
        catalog.write(output, data, density.preprocessing.inputs[0], parameters, theta, meta, force)
    return GeneratedRows(output, draws)


def _parameter_values(density: DensityModel, at: str | Mapping[str, float] | None) -> list[float]:
    """``Omega_m=0.3,sigma_8=0.8`` or a mapping, in the model's order. Raises UserError if outside of box or region."""
    parameters = density.preprocessing.parameters
    example = ",".join(f"{write(name)}=..." for name in parameters.names)
    text = join_items(at, "=")
    try:
        pairs = [split(word, "=") for word in split(text, ",")]
        values = {unquote(name): float(value) for name, value in pairs}
    except ValueError as error:
        raise UserError(f"expected {example}, found {text or 'nothing'}", setting="at") from error
    if set(values) != set(parameters.names):
        raise UserError(f"expected {example}, found {text}", setting="at")
    theta = np.array([values[name] for name in parameters.names])
    if not parameters.inside(theta):
        limits = zip(parameters.names, parameters.low, parameters.high, strict=True)
        box = ", ".join(f"{name} {low:g}..{high:g}" for name, low, high in limits)
        where = "".join(f", {condition}" for condition in parameters.where)
        region = " or region" if where else ""
        raise UserError(f"lies outside the box{region} that the model was trained in ({box}{where})", "at", text)
    return [float(value) for value in theta]
