"""``cosmoinfer split``."""

from cosmoinfer.cli.options import CatalogPath, Output, ReadingOptions, SayOptions, SplitOptions, keywords
from cosmoinfer.cli.terminal import Terminal


def split(
    catalog: CatalogPath, say: SayOptions, splitting: SplitOptions, reading: ReadingOptions, output: Output = None
) -> None:
    """Say which simulations train, validate and test: by simulation, by hash, the same wherever it is derived.

    Example: cosmoinfer split sample_data/power_spectra.h5 --split-seed 1
    """
    from cosmoinfer.tasks.split import write_split

    terminal = Terminal(say.json, say.quiet)
    written = write_split(catalog, keywords(splitting, reading), output, say.force, terminal.reporter())
    terminal.result(written.describe())
    train, validation, test = written.split.sizes
    terminal.document({"output": str(written.output), "train": train, "validation": validation, "test": test})
