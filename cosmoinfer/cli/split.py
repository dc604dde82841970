"""``cosmoinfer split``."""

from cosmoinfer.cli.options import CatalogPath, Output, OutputOptions, ReadOptions, SplitOptions, keywords
from cosmoinfer.cli.terminal import Terminal


def split(
    catalog: CatalogPath,
    output_options: OutputOptions,
    split_options: SplitOptions,
    read_options: ReadOptions,
    output: Output = None,
) -> None:
    """Say which simulations train, validate and test: by simulation, by hash, the same wherever it is derived.

    Example: cosmoinfer split sample_data/power_spectra.h5 --split-seed 1
    """
    from cosmoinfer.tasks.split import write_split

    terminal = Terminal(output_options.json, output_options.quiet)
    written = write_split(
        catalog, keywords(split_options, read_options), output, output_options.force, terminal.reporter()
    )
    terminal.result(written.describe())
    train, validation, test = written.split.sizes
    terminal.document({"output": str(written.output), "train": train, "validation": validation, "test": test})
