"""``cosmoinfer split``."""

from pathlib import Path
from typing import TYPE_CHECKING

from cosmoinfer.cli.options import CatalogPath, Output, ReadingOptions, SayOptions, SplitOptions
from cosmoinfer.cli.terminal import Terminal

if TYPE_CHECKING:
    from cosmoinfer.catalog import Catalog
    from cosmoinfer.split import Split


def split(
    catalog: CatalogPath, say: SayOptions, splitting: SplitOptions, reading: ReadingOptions, output: Output = None
) -> None:
    """Say which simulations train, validate and test: by simulation, by hash, the same wherever it is derived.

    Example: cosmoinfer split sample_data/power_spectra.h5 --split-seed 1
    """
    from cosmoinfer.cli import inputs

    terminal = Terminal(say.json, say.quiet)
    sims, _ = inputs.read_catalog(catalog, reading)
    write(terminal, sims, splitting, output or inputs.named_after(catalog, "split"), say.force)


def write(terminal: Terminal, sims: "Catalog", splitting: SplitOptions, output: Path, force: bool) -> "Split":
    """The split of a catalog, written unless it stands there already."""
    from cosmoinfer import split as splits
    from cosmoinfer.cli import inputs

    found = inputs.choose_split(sims, splitting)
    settings = {"fractions": splitting.fractions or splits.FRACTIONS, "split_seed": splitting.split_seed}
    fingerprints = {"catalog": sims.fingerprint, "view": sims.view, "split": splits.fingerprint(found)}
    meta = inputs.record("split", settings, fingerprints)
    if not inputs.stands(output, "split", meta, terminal, force, splitting.split_file):
        splits.write(output, found, meta, force)
    train, validation, test = found.sizes
    terminal.result(f"{output}: {train} simulations train, {validation} validate, {test} test")
    terminal.document({"output": str(output), "train": train, "validation": validation, "test": test})
    return found
