"""``cosmoinfer repack``."""

from cosmoinfer.cli.options import CatalogPath, Output, ReadingOptions, SayOptions
from cosmoinfer.cli.terminal import Terminal

HELD = 1  # byte of data in memory: all of it stays in its files


def repack(catalog: CatalogPath, reading: ReadingOptions, say: SayOptions, output: Output = None) -> None:
    """Write a catalog anew as trainings like to read it: one file, our layout, whole rows of about a megabyte a chunk.

    Rows, ids and numbers stay as they are, and so does the fingerprint: models know the copy for the same catalog.

    Example: cosmoinfer repack sample_data/maps.h5 -o maps.packed.h5
    """
    from cosmoinfer.catalog import Reading, assemble, fingerprint, repack
    from cosmoinfer.cli import inputs
    from cosmoinfer.errors import UserError, listed

    terminal = Terminal(say.json, say.quiet)
    output = output or inputs.named_after(catalog, "packed")
    how = Reading(**reading.given())
    if how.infer or how.features or how.drop_nonfinite:
        raise UserError("repack: copies whole rows; --infer, --features and --drop-nonfinite go with a training")
    sims = assemble(catalog, how, HELD)
    meta = inputs.record("repack", {"reading": how}, {"catalog": fingerprint(sims)})
    if inputs.stands(output, "catalog", meta, terminal, say.force, *(one.path for one in sims.files)):
        return
    left_out = repack.repack(sims, how, output, meta, say.force)
    shapes = ", ".join(f"{one.kind} {one.shape}" for one in sims.summaries)
    terminal.say(f"{output}: {len(sims)} rows of {shapes}")
    if left_out:
        terminal.say(f"{output}: without {listed(left_out)}, which are large and no part of this catalog")
