"""What an import costs: the SDK and the help page load next to nothing."""

import subprocess
import sys

LOADED = """
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted({{name.split(".")[0] for name in set(sys.modules) - before}})))
"""


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter loads for a statement."""
    import json

    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(statement=statement)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_track_loads_only_the_standard_library():
    """`from orchestrator import track` loads no third-party module."""
    third_party = loaded_by("from orchestrator import track") - set(sys.stdlib_module_names)
    assert third_party == {"orchestrator"}


def test_help_loads_neither_sqlmodel_nor_torch():
    """`exp --help` loads none of the heavy libraries."""
    statement = (
        "import sys; sys.argv = ['exp', '--help']\n"
        "from orchestrator.cli import main\n"
        "try: main()\nexcept SystemExit: pass"
    )
    heavy = {"sqlmodel", "sqlalchemy", "torch", "pydantic", "jinja2", "git", "lark", "matplotlib"}
    heavy |= {"textual", "plotext"}
    assert loaded_by(statement) & heavy == set()


def test_status_loads_neither_sqlmodel_nor_torch(tmp_path):
    """`exp status` reads the index without the libraries that write it, or fill a screen."""
    (tmp_path / "tickets").mkdir()
    statement = (
        f"import os, sys; os.chdir({str(tmp_path)!r}); sys.argv = ['exp', 'status']\n"
        "from orchestrator.cli import main\n"
        "try: main()\nexcept SystemExit: pass"
    )
    heavy = {"sqlmodel", "sqlalchemy", "torch", "jinja2", "git", "matplotlib"}
    heavy |= {"textual", "plotext", "lark"}
    assert loaded_by(statement) & heavy == set()


def test_reading_criteria_loads_neither_index_nor_records(tmp_path):
    """`exp criteria read` starts fast: no database, no template, no git."""
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"line": "loss < 2"}\n')
    statement = (
        f"import sys; sys.argv = ['exp', 'criteria', 'read', {str(lines)!r}]\n"
        "from orchestrator.cli import main\n"
        "try: main()\nexcept SystemExit: pass"
    )
    heavy = {"sqlmodel", "sqlalchemy", "torch", "jinja2", "git", "matplotlib", "sqlite3"}
    assert loaded_by(statement) & heavy == set()
