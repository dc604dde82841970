"""``cosmoinfer score``."""

from cosmoinfer.cli.generate import DensityPath
from cosmoinfer.cli.options import Output, ReadingOptions, RunOptions, SayOptions
from cosmoinfer.cli.sample import Observed, Part, Rows
from cosmoinfer.cli.terminal import Terminal


def score(
    model: DensityPath,
    catalog: Observed,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    output: Output = None,
    part: Part = None,
    rows: Rows = None,
) -> None:
    """How odd each row is under a density model: its log density, and how far that is from typical, on either side.

    Example: cosmoinfer score spectra.density.h5 sample_data/power_spectra.h5 -o scores.h5
    """
    from cosmoinfer import storage
    from cosmoinfer.cli import inputs
    from cosmoinfer.device import device_settings, prepare_device
    from cosmoinfer.models.density import scores

    terminal = Terminal(say.json, say.quiet)
    output = output or model.with_name(f"{model.stem}.scores.h5")
    device = prepare_device(run.device, run.threads)
    density = inputs.density(model, device)
    sims = inputs.read_for(density.frame, catalog, reading)
    chosen = inputs.chosen_rows(density.frame, sims, part, rows)
    inputs.tell_seen(density.frame.parts(sims, chosen), part, terminal)
    settings = {"rows": sims.index[chosen].tolist(), **device_settings(device)}
    fingerprints = {"catalog": sims.fingerprint, "view": sims.view, "model": storage.digest(model)}
    meta = inputs.record("score", settings, fingerprints)
    if inputs.stands(output, "scores", meta, terminal, say.force):
        found = scores.read(output)
    else:
        found = scores.of_rows(density, sims, chosen, terminal.rows("scoring row"))
        scores.write(output, found, meta, say.force)
    judges = len(density.typicality.residuals)
    if 2 / (1 + judges) > scores.ODD:
        terminal.say(f"only {judges} validation rows to compare with: no row can be told to be as odd as 1 in 100")
    odd = int((found.p_value < scores.ODD).sum())
    terminal.result(
        f"{output}: {len(found)} rows; {odd} odder than {100 * (1 - scores.ODD):g} % of the validation rows"
    )
    terminal.document({"output": str(output), "rows": len(found), "odd": odd})
