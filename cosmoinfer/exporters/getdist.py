"""The format of GetDist, which anesthetic and CosmoMC read too: a root of four text files for each observation."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer.exporters.draw_table import DrawTable, accepted_names
from cosmoinfer.exporters.exporter import Exporter, FileWriter

REFUSED = re.compile(r"[^\w.+-]+")  # in names: they end at a space, and * and ? stand for others
REFUSED_IN_LABELS = re.compile(r"[#!]")  # where a comment begins, and a backslash of old
SAMPLER = "uncorrelated"  # of independent draws, in GetDist's words
PROPERTIES = f"sampler={SAMPLER}\nburn_removed=T\n"


class GetDist(Exporter):
    """ROOT.txt (weight, -log_prob, parameters), ROOT.paramnames, ROOT.ranges, ROOT.properties.ini.

    Of several observations ROOT_row12 and so on; -log_prob is 0 where the density is not known.
    """

    suffix = ""

    def names(self, table: DrawTable) -> tuple[str, ...]:
        return accepted_names(table.names, REFUSED)

    def files(self, table: DrawTable, output: Path) -> dict[Path, FileWriter]:
        root = output.with_suffix("") if output.suffix == ".txt" else output
        names = self.names(table)
        texts = {".paramnames": _paramnames(table, names), ".ranges": _ranges(table, names)}
        texts[".properties.ini"] = PROPERTIES
        files: dict[Path, FileWriter] = {}
        for place, row in enumerate(table.index.tolist()):
            own_root = root if len(table) == 1 else root.with_name(f"{root.name}_row{row}")
            for suffix, text in texts.items():
                files[own_root.with_name(own_root.name + suffix)] = partial(_write_text, text)
            files[own_root.with_name(f"{own_root.name}.txt")] = partial(_write_chain, table, place)
        return files


def to_getdist(table: DrawTable) -> Any:
    """``getdist.MCSamples`` of the first observation, with the same names, labels and ranges as its files."""
    import getdist.chains

    getdist.chains.print_load_details = False  # it prints on stdout, which is for results
    names = GetDist().names(table)
    _, samples, log_prob = next(table.observations())
    edges = zip(table.parameters.low.tolist(), table.parameters.high.tolist(), strict=True)
    ranges = {
        name: [x if np.isfinite(x) else None for x in edge]
        for name, edge in zip(names, edges, strict=True)
        if np.isfinite(edge).any()
    }
    marked = [f"{name}*" if own in table.derived else name for name, own in zip(names, table.names, strict=True)]
    return getdist.MCSamples(
        samples=samples,
        loglikes=None if log_prob is None else -log_prob,
        names=marked,
        labels=list(_labels(table)),
        ranges=ranges,
        sampler=SAMPLER,
        settings={"ignore_rows": 0},
    )


def _labels(table: DrawTable) -> tuple[str, ...]:
    return tuple(REFUSED_IN_LABELS.sub(" ", label) for label in table.labels)


def _paramnames(table: DrawTable, names: tuple[str, ...]) -> str:
    """Name and label of each parameter; a star marks those that are derived."""
    entries = zip(table.names, names, _labels(table), strict=True)
    return "".join(f"{name}{'*' if own in table.derived else ''}\t{label}\n" for own, name, label in entries)


def _ranges(table: DrawTable, names: tuple[str, ...]) -> str:
    """The prior box, N where there is no bound."""
    edges = zip(names, table.parameters.low.tolist(), table.parameters.high.tolist(), strict=True)
    return "".join(f"{name}\t{_bound(low)}\t{_bound(high)}\n" for name, low, high in edges)


def _bound(value: float) -> str:
    return repr(value) if np.isfinite(value) else "N"


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _write_chain(table: DrawTable, place: int, path: Path) -> None:
    samples = np.asarray(table.samples[place])
    log_prob = np.zeros(len(samples)) if table.log_prob is None else np.asarray(table.log_prob[place])
    with path.open("w", encoding="ascii") as file:
        for cost, draw in zip((-log_prob).tolist(), samples.tolist(), strict=True):
            file.write(" ".join(map(repr, (1.0, cost, *draw))) + "\n")
