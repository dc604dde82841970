"""``cosmoinfer generate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmoinfer.cli.options import Output, RunOptions, SayOptions
from cosmoinfer.cli.terminal import Terminal

if TYPE_CHECKING:
    from cosmoinfer.models.density import DensityModel

DensityPath = Annotated[Path, typer.Argument(help="Density model of train-density.", show_default=False)]
At = Annotated[str | None, typer.Option(help="Parameters: 'Omega_m=0.3,sigma_8=0.8', for a p(x | theta).")]
Count = Annotated[int, typer.Option(help="Rows to draw.")]


def generate(
    model: DensityPath, run: RunOptions, say: SayOptions, output: Output = None, at: At = None, draws: Count = 64
) -> None:
    """Draw new vectors or maps from a density model; what is written is a catalog.

    Example: cosmoinfer generate maps.density.h5 --at Omega_m=0.3,sigma_8=0.8 --draws 64 -o new_maps.h5
    """
    from cosmoinfer import catalog, storage
    from cosmoinfer.cli import inputs
    from cosmoinfer.device import device_settings, prepare_device
    from cosmoinfer.errors import UserError

    if draws < 1:
        raise UserError(f"--draws: expected at least 1, found {draws}")
    terminal = Terminal(say.json, say.quiet)
    output = output or model.with_name(f"{model.stem}.generated.h5")
    device = prepare_device(run.device, run.threads)
    density = inputs.density(model, device)
    theta = None if density.condition is None else _parameters(density, at)
    if density.condition is None and at is not None:
        raise UserError(f"--at: {model} is p(x), without parameters")
    settings = {"at": None if theta is None else list(theta), "draws": draws, "seed": run.seed}
    meta = inputs.record("generate", settings | device_settings(device), {"model": storage.digest(model)})
    if not inputs.stands(output, "catalog", meta, terminal, say.force):
        data = density.generate(theta, draws, run.seed)
        known = None if theta is None else density.frame.parameters
        catalog.write(output, data, density.frame.inputs[0], known, theta, meta, say.force)
    terminal.result(f"{output}: {draws} rows")
    terminal.document({"output": str(output), "rows": draws})


def _parameters(density: "DensityModel", text: str | None) -> "list[float]":
    """``Omega_m=0.3,sigma_8=0.8`` in the model's order, inside its box."""
    import numpy as np

    from cosmoinfer.errors import UserError

    parameters = density.frame.parameters
    example = ",".join(f"{name}=..." for name in parameters.names)
    try:
        pairs = [part.split("=") for part in (text or "").split(",")]
        found = {name.strip(): float(value) for name, value in pairs}
    except ValueError as error:
        raise UserError(f"--at: expected {example}, found {text or 'nothing'}") from error
    if set(found) != set(parameters.names):
        raise UserError(f"--at: expected {example}, found {text}")
    theta = np.array([found[name] for name in parameters.names])
    if not parameters.inside(theta):
        box = ", ".join(
            f"{n} {low:g}..{high:g}"
            for n, low, high in zip(parameters.names, parameters.low, parameters.high, strict=True)
        )
        raise UserError(f"--at {text}: lies outside the box that the model was trained in ({box})")
    return [float(value) for value in theta]
