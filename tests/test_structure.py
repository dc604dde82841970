"""The house: arrows go down, a library has one door, nothing that is read is executed, help answers at once."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cosmoinfer"

FLOORS = (  # from the top; what stands on one floor does not know its neighbours
    {"__main__", "__init__"},  # the console script, and the lazy face
    {"cli"},
    {"tasks"},
    {"plots"},
    {"studies"},
    {"metrics", "models", "audit", "reweighting"},
    {"sampling", "ood", "leakage"},
    {"preprocessing"},
    {"training"},
    {"flows", "losses"},
    {"networks"},
    {"catalog", "split", "posterior", "supports", "simulators"},
    {"parameters", "storage", "multiscale_power"},
    {"priors"},
    {"truncated_normal", "ridge_regression"},
    {"seeding", "device", "memory", "formatting", "expressions", "importance_sampling", "clustered_error", "chunking"},
    {"errors"},
)
DOORS = {
    "h5py": {"storage"},
    "nflows": {"flows"},
    "matplotlib": {"plots"},
    "getdist": {"plots"},
    "typer": {"cli"},
    "rich": {"cli"},
}
NO_TORCH = {"catalog", "split", "posterior", "supports", "simulators", "parameters", "storage", "audit", "ood"}
NO_TORCH |= {"multiscale_power", "seeding", "errors", "metrics", "studies", "plots", "reweighting", "expressions"}
NO_TORCH |= {"priors", "truncated_normal", "ridge_regression"}
NO_TORCH |= {"importance_sampling", "memory", "formatting", "clustered_error", "chunking"}
HARMFUL = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "runpy"}
SLOW = ("torch", "nflows", "numpy", "scipy", "h5py", "matplotlib", "getdist", "sklearn")


def name_of(path: Path) -> str:
    """``models.preprocessing`` of cosmoinfer/models/frame.py, ``models`` of its __init__."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name_of(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
SOURCES = [*PACKAGE.rglob("*.py"), *(ROOT / "sample_data").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
every_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))


def floor(module: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if module.split(".")[0] in floor)


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of what is imported anywhere in a file, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where an arrow points"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows(module: str) -> set[str]:
    """The modules of ours that a module imports."""
    found = set()
    for name in imported(MODULES[module]):
        head, _, inside = name.partition(".")
        while head == "cosmoinfer" and inside:
            if inside in MODULES:
                found.add(inside)
                break
            inside = inside.rpartition(".")[0]
    return found


def libraries(tree: ast.AST) -> set[str]:
    return {name.split(".")[0] for name in imported(tree)}


def test_every_module_has_a_floor():
    placed = [module for floor in FLOORS for module in floor]
    assert len(placed) == len(set(placed))
    assert {module.split(".")[0] for module in MODULES} <= set(placed)


@pytest.mark.parametrize("module", MODULES)
def test_arrows_go_down(module):
    if module == "__init__":
        pytest.skip("the face hands out names from every floor")
    own = module.split(".")[0]
    up = {other for other in arrows(module) if other.split(".")[0] != own and floor(other) <= floor(module)}
    assert not up, f"{module} imports upwards or sideways: {up}"


def test_no_module_imports_itself_in_a_circle():
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for other in sorted(arrows(module)):
                walk(other, (*path, module))
            done.add(module)

    for module in MODULES:
        walk(module, ())
    assert done == set(MODULES)


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_one_door(library):
    users = {module.split(".")[0] for module, tree in MODULES.items() if library in libraries(tree)}
    assert users == DOORS[library]


def test_one_module_knows_nflows():
    """What it needs of nflows, every layer takes from there."""
    assert [module for module, tree in MODULES.items() if "nflows" in libraries(tree)] == ["flows.transform"]


def test_after_sampling_nothing_needs_torch():
    users = {module.split(".")[0] for module, tree in MODULES.items() if libraries(tree) & {"torch", "nflows"}}
    assert not users & NO_TORCH


@every_source
def test_nothing_that_is_read_is_executed(path):
    tree = ast.parse(path.read_text())
    allowed = {"runpy"} if path.name == "test_simulators.py" else set()  # runs our own sample_data/make.py
    assert not libraries(tree) & (HARMFUL - allowed)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        words = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
        called = ast.unparse(call.func)
        assert called not in ("eval", "exec", "compile", "__import__", "os.system"), f"line {call.lineno}"
        assert words.get("shell") is not True, f"line {call.lineno}"
        if called == "torch.load":
            assert words.get("weights_only") is True, f"line {call.lineno}"
        if called in ("np.load", "numpy.load"):
            assert words.get("allow_pickle", False) is False, f"line {call.lineno}"


HELP = """
import contextlib, io, sys
from cosmoinfer.cli import COMMANDS, app
for line in ([], *([command] for command in COMMANDS)):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            app([*line, "--help"])
        except SystemExit as end:
            assert end.code == 0, line
    assert "Usage" in said.getvalue(), line
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_help_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    loaded = done.stdout.split()
    assert {"typer", "cosmoinfer"} <= set(loaded)
    assert not set(loaded) & set(SLOW)
