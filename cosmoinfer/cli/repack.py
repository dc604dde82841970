"""``cosmoinfer repack``."""

from cosmoinfer.cli.options import CatalogPath, Output, OutputOptions, ReadOptions, TargetOptions, keywords
from cosmoinfer.cli.terminal import Terminal
from cosmoinfer.errors import join_first


def repack(
    catalog: CatalogPath,
    read_options: ReadOptions,
    target_options: TargetOptions,
    output_options: OutputOptions,
    output: Output = None,
) -> None:
    """Write a catalog anew as trainings like to read it: one file, our layout, row after row.

    Rows, ids and numbers stay as they are, and so does the fingerprint: models know the copy for the same catalog.

    Example: cosmoinfer repack sample_data/maps.h5 -o maps.packed.h5
    """
    from cosmoinfer.tasks.repack import write_repacked

    terminal = Terminal(output_options.json, output_options.quiet)
    repacked = write_repacked(
        catalog, keywords(read_options, target_options), output, output_options.force, terminal.reporter()
    )
    if repacked.complete:
        return
    terminal.info(repacked.describe())
    if repacked.left_out:
        reason = "which are large, of no fixed size or cannot be read, and no part of this catalog"
        terminal.info(f"{repacked.output}: without {join_first(repacked.left_out)}, {reason}")
