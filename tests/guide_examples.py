"""The examples of the guide's page on extending, put into their tables.

``python -m pytest -p tests.guide_examples tests/flows -k single`` runs the tests of a family on its example.
"""

import importlib.util
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from cosmoinfer.audit import CHECKS
from cosmoinfer.flows import FLOWS
from cosmoinfer.losses import LOSSES
from cosmoinfer.metrics import METRICS
from cosmoinfer.networks import NETWORKS
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.plots.registry import PLOTS
from cosmoinfer.priors import PRIORS
from cosmoinfer.supports import SUPPORTS

PAGE = Path(__file__).parent.parent / "cosmoinfer" / "guide" / "extending.md"
BLOCKS = re.findall(r"<!-- extend -->\n```python\n(.*?)```", PAGE.read_text(), re.S)
TABLES: dict[str, dict[str, Any]] = {
    "flow": FLOWS,
    "network": NETWORKS,
    "loss": LOSSES,
    "activation": ACTIVATIONS,
    "prior": PRIORS,
    "support": SUPPORTS,
    "metric": METRICS,
    "figure": PLOTS,
    "check": CHECKS,
}


def add_examples(folder: Path) -> dict[str, str]:
    """The name that each example puts into its table."""
    before = {kind: set(table) for kind, table in TABLES.items()}
    for number, code in enumerate(BLOCKS):
        run_example(folder / f"guide_example_{number}.py", code)
    names = {}
    for kind, table in TABLES.items():
        (names[kind],) = set(table) - before[kind]
    return names


def run_example(path: Path, code: str, **names: Any) -> dict[str, Any]:
    """Run it as a module in a file, with these names; the names that it then has."""
    path.write_text(code)
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module  # where a dataclass looks for its own module
    vars(module).update(names)
    specification.loader.exec_module(module)
    return vars(module)


def pytest_configure() -> None:
    """As a plugin: before the tests that take every name of a table are collected."""
    with tempfile.TemporaryDirectory() as folder:
        add_examples(Path(folder))
