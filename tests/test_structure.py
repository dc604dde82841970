"""The package: arrows go down, a library has one door, nothing that is read is executed, help answers at once.

A rule about many files is one test, which lists all offenders.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cosmoinfer"

FLOORS = (  # from the top; what stands on one floor does not know its neighbours
    {"__main__", "__init__"},  # the console script, and the lazy face
    {"cli"},
    {"tasks"},
    {"plots", "report"},
    {"studies"},
    {"likelihoods"},
    {"metrics", "models", "audit", "reweighting"},
    {"sampling", "ood", "leakage"},
    {"preprocessing"},
    {"training"},
    {"flows", "losses"},
    {"networks", "importers"},
    {"catalog", "split", "posterior", "supports", "simulators"},
    {"exporters"},
    {"parameters", "storage"},
    {"priors"},
    {"truncated_normal", "ridge_regression", "unbounded_density"},
    {
        "seeding",
        "stopping",
        "device",
        "memory",
        "blocks",
        "formatting",
        "expressions",
        "importance_sampling",
        "clustered_error",
        "r2",
        "latex",
    },
    {"settings", "control_groups"},
    {"errors", "numerals", "quoting"},
    {"printable"},
)
DOORS = {
    "h5py": {"storage"},
    "nflows": {"flows"},
    "matplotlib": {"plots"},
    "getdist": {"plots", "exporters"},
    "typer": {"cli"},
    "rich": {"cli"},
    "optuna": {"studies"},
    "jinja2": {"report"},
}
NO_TORCH = {"catalog", "split", "posterior", "supports", "simulators", "parameters", "storage", "audit", "ood"}
NO_TORCH |= {"seeding", "errors", "metrics", "studies", "plots", "report", "reweighting", "expressions", "quoting"}
NO_TORCH |= {"importers", "priors", "truncated_normal", "ridge_regression", "unbounded_density"}
NO_TORCH |= {"importance_sampling", "memory", "blocks", "formatting", "clustered_error", "r2", "printable"}
NO_TORCH |= {"exporters", "latex"}
HARMFUL = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "runpy"}
MAX_FILE_LINES = 300
MAX_ROOM_FRACTION = 0.15  # of the lines of the package
MAX_UNTYPED_DICTS = 20  # dict[str, Any], which belongs at the edge to JSON and HDF5 only
LATE_IMPORTS = {  # rooms and modules that import inside functions
    "__main__",  # the command line, once signals are heard
    "__init__",  # the face is lazy
    "cli",  # a command imports its task when it runs
    "flows.transform",  # the flows of nflows import matplotlib.pyplot, which only to_nflows should pay for
    "importers.torch_tensors",  # torch, which only files of tensors pay for
    "exporters.getdist",  # GetDist is slow to import, with matplotlib, which no posterior but one that goes there needs
    "networks.baselines",  # scikit-learn, which only trees pay for
    "studies.trials",  # Optuna need not be installed, which only tune pays for
    "storage.filters",  # compression filters that need not be installed, which only files with such pay for
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
SLOW = ("torch", "nflows", "numpy", "scipy", "h5py", "matplotlib", "getdist", "sklearn", "optuna", "jinja2")


def name_of(path: Path) -> str:
    """``models.file`` of cosmoinfer/models/file.py, ``models`` of cosmoinfer/models/__init__.py."""
    names = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" and len(names) > 1 else names)


PATHS = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = {module: ast.parse(path.read_text()) for module, path in PATHS.items()}
SOURCES = sorted(path for folder in ("cosmoinfer", "sample_data", "tests") for path in (ROOT / folder).rglob("*.py"))


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
    targets = set()
    for name in imported(MODULES[module]):
        head, _, inside = name.partition(".")
        while head == "cosmoinfer" and inside:
            if inside in MODULES:
                targets.add(inside)
                break
            inside = inside.rpartition(".")[0]
    return targets


def libraries(tree: ast.AST) -> set[str]:
    return {name.split(".")[0] for name in imported(tree)}


def test_every_module_has_a_floor():
    placed = [module for floor in FLOORS for module in floor]
    assert len(placed) == len(set(placed))
    assert {room(module) for module in MODULES} <= set(placed)


def room(module: str) -> str:
    """The folder or module at the top of the package: ``models`` of ``models.flow.fit``."""
    return module.split(".")[0]


def test_arrows_go_down():
    """Only the face, which hands out names from every floor, may import anything."""
    upwards = [
        f"{module} imports {target}"
        for module in MODULES
        if module != "__init__"
        for target in sorted(arrows(module))
        if room(target) != room(module) and floor(target) <= floor(module)
    ]
    assert not upwards, "\n" + "\n".join(upwards)


def test_no_module_imports_itself_in_a_circle():
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for target in sorted(arrows(module)):
                walk(target, (*path, module))
            done.add(module)

    for module in MODULES:
        walk(module, ())
    assert done == set(MODULES)


LATE = {  # what may be imported inside a function: a command's own task, the rest because it is slow
    "__main__": ("cosmoinfer.cli",),
    "cli": ("cosmoinfer.tasks", "rich", "logging"),
    "exporters.getdist": ("getdist",),
    "flows.transform": ("nflows",),
    "importers.torch_tensors": ("torch",),
    "networks.baselines": ("sklearn",),
    "storage.filters": ("hdf5plugin",),
    "studies.trials": ("optuna",),
}


def test_imports_stand_at_the_top():
    late = []
    for module, tree in MODULES.items():
        allowed = LATE.get(module, LATE.get(module.split(".")[0], ()))
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            late += [f"{module}: {name}" for name in imported(function) if not name.startswith(allowed or ("-",))]
    assert not late, late


def test_messages_below_the_command_line_name_settings_not_options():
    options = re.compile(r"(?<![\w-])--[a-z]")
    named = []
    for module, tree in MODULES.items():
        if module.split(".")[0] not in ("cli", "errors"):
            documents = {
                ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, DOCUMENTED)
            }
            strings = (
                node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            )
            named += [
                f"{module}:{string.lineno}"
                for string in strings
                if options.search(string.value) and string.value not in documents
            ]
    assert not named, named


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_one_door(library):
    users = {room(module) for module, tree in MODULES.items() if library in libraries(tree)}
    assert users == DOORS[library]


def test_one_module_knows_nflows():
    """What it needs of nflows, every layer takes from there."""
    assert [module for module, tree in MODULES.items() if "nflows" in libraries(tree)] == ["flows.transform"]


def test_after_sampling_nothing_needs_torch():
    using = {module for module, tree in MODULES.items() if libraries(tree) & {"torch", "nflows"}}
    assert not {room(module) for module in using - {"importers.torch_tensors"}} & NO_TORCH


def executing_calls(tree: ast.AST) -> Iterator[str]:
    """Calls that may execute what they are handed, with their lines."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        keywords = {keyword.arg: getattr(keyword.value, "value", None) for keyword in call.keywords}
        called = ast.unparse(call.func)
        if (
            called in ("eval", "exec", "compile", "__import__", "os.system")
            or keywords.get("shell") is True
            or (called == "torch.load" and keywords.get("weights_only") is not True)
            or (called in ("np.load", "numpy.load") and keywords.get("allow_pickle", False) is not False)
        ):
            yield f"{call.lineno}: {ast.unparse(call)}"


def test_nothing_that_is_read_is_executed():
    harmful = []
    for path in SOURCES:
        tree, name = ast.parse(path.read_text()), path.relative_to(ROOT)
        allowed = {"runpy"} if path.name == "test_simulators.py" else set()  # runs our own sample_data/make.py
        harmful += [f"{name} imports {library}" for library in sorted(libraries(tree) & (HARMFUL - allowed))]
        harmful += [f"{name}:{call}" for call in executing_calls(tree)]
    assert not harmful, "\n" + "\n".join(harmful)


@pytest.mark.parametrize(
    "code",
    [
        "eval(text)",
        "os.system(line)",
        "subprocess.run(line, shell=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_a_call_that_may_execute_a_file_is_recognised(code):
    assert list(executing_calls(ast.parse(code))) == [f"1: {code}"]
    assert not list(executing_calls(ast.parse("torch.load(path, weights_only=True); np.load(path); model.eval()")))


def narrows_types(condition: ast.expr) -> bool:
    """Whether all that a condition says is that values are not None, or of a type."""
    if isinstance(condition, ast.BoolOp):
        return isinstance(condition.op, ast.And) and all(map(narrows_types, condition.values))
    if isinstance(condition, ast.Compare):
        return ast.unparse(condition).endswith(" is not None") and len(condition.ops) == 1
    return isinstance(condition, ast.Call) and ast.unparse(condition.func) == "isinstance"


def test_asserts_narrow_types_only():
    """What ``python -O`` leaves out may tell mypy something, and must check nothing."""
    checks = []
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assert) and not narrows_types(node.test):
                checks.append(f"{module}:{node.lineno}: {ast.unparse(node)}")
    assert not checks, "\n" + "\n".join(checks)


def test_imports_are_at_the_top():
    inside = [
        f"{module}:{node.lineno}: {ast.unparse(node)}"
        for module, tree in MODULES.items()
        if not LATE_IMPORTS & {module, room(module)}
        for function in ast.walk(tree)
        if isinstance(function, FUNCTIONS)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not inside, "\n" + "\n".join(inside)


def test_untyped_dictionaries_are_few():
    counts = Counter(
        module
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and ast.unparse(node) == "dict[str, Any]"
    )
    assert counts.total() <= MAX_UNTYPED_DICTS, counts.most_common()


def test_files_and_rooms_are_small():
    lines = {module: len(path.read_text().splitlines()) for module, path in PATHS.items()}
    assert not {module: count for module, count in lines.items() if count > MAX_FILE_LINES}
    rooms: Counter[str] = Counter()
    for module, count in lines.items():
        rooms[room(module)] += count
    fractions = {name: count / rooms.total() for name, count in rooms.items()}
    assert not {name: fraction for name, fraction in fractions.items() if fraction > MAX_ROOM_FRACTION}


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


def test_tasks_without_a_network_do_not_wait_for_torch():
    tasks = ("importing", "repack", "split", "export", "reweight", "guide", "workflow")
    code = f"import sys; from cosmoinfer.tasks import {', '.join(tasks)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


TRAINING = """
import sys, torch
import cosmoinfer.tasks.train_flow
from cosmoinfer.training.optimizer import make_optimizer
from cosmoinfer.training.settings import OPTIMIZERS, TrainingSettings
weights = torch.zeros(2, 3)
for name in OPTIMIZERS:
    make_optimizer(weights, TrainingSettings(optimizer=name)).step(weights, torch.ones(2, 3), 0.1)
print(*sorted(sys.modules))
"""


def test_a_training_imports_neither_the_compiler_of_torch_nor_statistics():
    """They take two seconds, which only priors that tie parameters, products and trees should pay for."""
    done = subprocess.run([sys.executable, "-c", TRAINING], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    assert not set(done.stdout.split()) & {"torch._dynamo", "sympy", "scipy.stats", "sklearn"}
