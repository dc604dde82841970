"""``cosmoinfer repack``."""

from cosmoinfer.cli.options import CatalogPath, Output, ReadingOptions, SayOptions
from cosmoinfer.cli.terminal import Terminal


def repack(catalog: CatalogPath, reading: ReadingOptions, say: SayOptions, output: Output = None) -> None:
    """Write a catalog anew as trainings like to read it: one file, our layout, whole rows of about a megabyte a chunk.

    Rows, ids and numbers stay as they are, and so does the fingerprint: models know the copy for the same catalog.

    Example: cosmoinfer repack sample_data/maps.h5 -o maps.packed.h5
    """
    from cosmoinfer.catalog import Reading, packing
    from cosmoinfer.cli import inputs
    from cosmoinfer.errors import UserError

    terminal = Terminal(say.json, say.quiet)
    output = output or inputs.named_after(catalog, "packed")
    how = Reading(**reading.given())
    if how.infer or how.features or how.drop_nonfinite:
        raise UserError("repack: copies whole rows; --infer, --features and --drop-nonfinite go with a training")
    meta = inputs.record("repack", {"reading": how}, {})
    found = packing.repack(catalog, how, output, meta, say.force)
    shapes = ", ".join(f"{one.kind} {one.shape}" for one in found.summaries)
    terminal.say(f"{output}: {len(found)} rows of {shapes}")
