"""Dependencies run one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sharpmin

ROOT = Path(sharpmin.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
ABOVE = (
    *("zoo", "data", "training", "disk", "runs", "paper", "plots", "cli", "checkpoints", "tasks", "subjects"),
    *("comparison", "monitor", "report", "ends", "kept_curves", "surveying"),
)
GEOMETRY = (
    *("objective", "weights", "batchnorm", "blocked", "batching", "losses", "network", "randomness", "determinism"),
    *("checkpointing", "held", "distributed", "arithmetic", "winograd"),
    *("measurement", "passes", "products", "measures", "landscape", "alignment", "optim"),
)


def nodes(tree):
    """Every node of a module, but for the bodies of `plot` methods: a result draws itself when it is asked to."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.FunctionDef) and child.name == "plot" and child.args.args[0].arg == "self"):
            yield from nodes(child)


def imported(module, *, walk=ast.walk):
    """The names below sharpmin that a module imports, anywhere in its text."""
    for node in walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "sharpmin":
            home = node.module.removeprefix("sharpmin").removeprefix(".")
            yield from [home] if home else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("sharpmin.") for a in node.names if a.name.startswith("sharpmin."))


def part(module):
    """The top-level part of the package that a file belongs to."""
    return module.relative_to(ROOT).parts[0].removesuffix(".py")


def tops(module, **how):
    return {name.split(".")[0] for name in imported(module, **how)}


@pytest.mark.parametrize("module", [m for m in MODULES if part(m) in GEOMETRY], ids=lambda m: str(m.relative_to(ROOT)))
def test_geometry_knows_nothing_of_data_training_and_the_paper(module):
    assert not tops(module, walk=nodes) & set(ABOVE)
    assert tops(module) & set(ABOVE) <= {"plots"}


@pytest.mark.parametrize("module", [m for m in MODULES if part(m) in ("zoo", "data")], ids=lambda m: m.stem)
def test_networks_and_data_know_nothing_of_what_uses_them(module):
    assert not tops(module) & {
        "objective",
        "measures",
        "landscape",
        "training",
        "disk",
        "runs",
        "paper",
        "plots",
        "cli",
    }


def test_only_the_entry_points_import_the_command_line():
    assert [part(m) for m in MODULES if "cli" in tops(m) and part(m) != "cli"] == ["__main__"]


def test_the_scan_sees_imports():
    assert {"paper", "landscape"} <= tops(ROOT / "plots" / "paths.py")
    assert "plots" in tops(ROOT / "landscape" / "paths.py")
    assert "plots" not in tops(ROOT / "landscape" / "paths.py", walk=nodes)


def test_help_does_not_wait_for_heavy_packages():
    code = "import sys, sharpmin.cli; print({'torch', 'matplotlib', 'scipy', 'numpy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
