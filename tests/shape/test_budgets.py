"""Tail budgets: the largest file, the longest function, the widest class."""

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("orchestrator", "models", "experiments")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef

FILE_LINES, FUNCTION_LINES, PUBLIC_METHODS, PARAMETERS = 400, 60, 12, 6

# name → reason; a real exception is listed here or it is none.
EXCEPTIONS: dict[str, str] = {}


def functions_of(path: Path) -> list[Function]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function)]


def lines_of(node: Function) -> int:
    """Lines of code of a function, its docstring not counted."""
    first = node.body[0]
    doc = 0
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        doc = first.end_lineno - first.lineno + 1
    return node.end_lineno - node.lineno + 1 - doc


def is_command(node: Function) -> bool:
    """A Typer command's parameters are its options: the command line's shape, not the code's."""
    return any(".command(" in ast.unparse(decorator) for decorator in node.decorator_list)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_small(path):
    """A file has at most 400 lines, a function 60 lines and 6 parameters."""
    name = str(path.relative_to(ROOT))
    assert name in EXCEPTIONS or len(path.read_text().splitlines()) <= FILE_LINES
    for node in functions_of(path):
        where = f"{name}:{node.name}"
        if where in EXCEPTIONS:
            continue
        assert lines_of(node) <= FUNCTION_LINES, where
        arguments = node.args
        count = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)
        named = [argument.arg for argument in arguments.posonlyargs + arguments.args]
        count -= named[:1] in (["self"], ["cls"])
        assert is_command(node) or count <= PARAMETERS, where


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_classes_have_few_verbs(path):
    """A class has at most 12 public methods; properties are data, not verbs."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ClassDef):
            continue
        verbs = [
            item.name
            for item in node.body
            if isinstance(item, Function)
            and not item.name.startswith("_")
            and not any("property" in ast.unparse(mark) for mark in item.decorator_list)
        ]
        assert f"{path.name}:{node.name}" in EXCEPTIONS or len(verbs) <= PUBLIC_METHODS, verbs


def test_the_median_function_is_short():
    """Half of all functions have at most ten lines."""
    assert statistics.median(lines_of(node) for path in FILES for node in functions_of(path)) <= 10


def test_exceptions_are_still_needed():
    """Every listed exception names something that exists."""
    known = {str(path.relative_to(ROOT)) for path in FILES}
    known |= {f"{path.relative_to(ROOT)}:{n.name}" for path in FILES for n in functions_of(path)}
    assert set(EXCEPTIONS) <= known
