"""``cosmoinfer repack``."""

from cosmoinfer.cli.options import CatalogPath, Output, ReadingOptions, SayOptions, keywords
from cosmoinfer.cli.terminal import Terminal
from cosmoinfer.errors import listed


def repack(catalog: CatalogPath, reading: ReadingOptions, say: SayOptions, output: Output = None) -> None:
    """Write a catalog anew as trainings like to read it: one file, our layout, whole rows of about a megabyte a chunk.

    Rows, ids and numbers stay as they are, and so does the fingerprint: models know the copy for the same catalog.

    Example: cosmoinfer repack sample_data/maps.h5 -o maps.packed.h5
    """
    from cosmoinfer.tasks.repack import write_repacked

    terminal = Terminal(say.json, say.quiet)
    repacked = write_repacked(catalog, keywords(reading), output, say.force, terminal.reporter())
    if repacked.complete:
        return
    terminal.say(repacked.describe())
    if repacked.left_out:
        left_out = listed(repacked.left_out)
        terminal.say(f"{repacked.output}: without {left_out}, which are large and no part of this catalog")
