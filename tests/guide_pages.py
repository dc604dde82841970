"""Pages of the guide that are made from the code: ``python -m tests.guide_pages`` writes them, a test compares them."""

import ast
from pathlib import Path

from tests import guide_files

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cosmoinfer"
GUIDE = PACKAGE / "guide"
ARCHITECTURE = """# Architecture

Where things are: one line a file. Arrows go down: a room imports only from the rooms below it.

```
cli          one file a command: its options, one call of a task, and what is printed
tasks        what the commands and the Python functions do: typed settings in, models and posteriors out
plots        figures from posteriors, evaluations and studies;  report: one page of all that is known
studies      about many posteriors
likelihoods  models bound to observations, as functions of the parameters
metrics      about one posterior;  audit: a catalog -> findings;  models: what is trained, and its file
sampling     draws;  ood: out-of-distribution scores;  leakage: which rows a model has learned from
preprocessing, training
flows, networks, losses;  importers: files of other formats -> a catalog
catalog, split, posterior, supports, simulators
exporters    draws -> files and objects of other tools
parameters, priors, storage
ground       errors, seeds, memory, device, formatting, ...
```

`tests/test_structure.py` holds the floors, and that each library is imported by one room: h5py by `storage`, nflows by
`flows/transform.py`, matplotlib by `plots`, getdist by `plots` and `exporters`, jinja2 by `report`, Optuna by
`studies`, typer and rich by `cli`. A room starts as a file; past about 300 lines it becomes a folder of its own name.
To add a flow, a network, a loss, a metric, a figure, a prior, a format of export or an audit check, see `cosmoinfer
guide extending`. Data, no code: `guide` is the manual, `workflow` what `cosmoinfer workflow init` writes.
"""


def architecture() -> str:
    """The page of all files, by folder, each with the first line of its docstring."""
    lines = [ARCHITECTURE.rstrip()]
    folders: dict[Path, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        folders.setdefault(path.parent, []).append(path)
    for folder, paths in sorted(folders.items()):
        lines += ["", f"## {folder.relative_to(ROOT)}", "", "| file | what it holds |", "|---|---|"]
        for path in paths:
            summary = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
            lines.append(f"| `{path.name}` | {summary.replace('|', chr(92) + '|').replace('``', '`')} |")
    return "\n".join(lines) + "\n"


PAGES = {"architecture": architecture, "files": guide_files.page}

if __name__ == "__main__":
    for topic, page in PAGES.items():
        (GUIDE / f"{topic}.md").write_text(page())
