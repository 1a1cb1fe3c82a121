"""What is shipped: a wheel that holds the tool and nothing else, and works where torch is not."""

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def closure(name):
    """Distributions that `name` needs without extras, itself not counted."""
    found, todo = {}, [name]
    while todo:
        for requirement in distribution(todo.pop()).requires or []:
            if "extra ==" in requirement or "platform_system" in requirement:
                continue
            if re.search(r"sys_platform *== *.(win32|darwin)", requirement):
                continue
            needed = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
            if needed.lower() in found or re.search(r"python_version *< ", requirement):
                continue
            found[needed.lower()] = distribution(needed)
            todo.append(needed)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Sdist and wheel as a release would hold them."""
    target = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", target, ROOT],
        check=True,
        capture_output=True,
    )
    return target


@pytest.fixture(scope="module")
def clean(built, tmp_path_factory):
    """A fresh environment with the wheel and its dependencies; no network, no torch.

    Dependencies are linked from the environment of the tests: downloading them would test the
    package index and not the wheel.
    """
    home = tmp_path_factory.mktemp("clean venv")
    venv.create(home, with_pip=True)
    site = next((home / "lib").glob("python*/site-packages"))
    for needed in closure("exp-tickets").values():
        tops = {
            file.parts[0] for file in needed.files if file.parts[0] not in {"..", "__pycache__"}
        }
        for top in tops:
            if not (site / top).exists():
                (site / top).symlink_to(needed.locate_file(top))
    wheel = next(built.glob("*.whl"))
    subprocess.run(
        [home / "bin/python", "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", wheel],
        check=True,
    )
    return home / "bin"


def test_the_wheel_holds_the_tool_and_its_templates_only(built):
    """Nothing of models, experiments or tests is installed; templates and type marker are."""
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"orchestrator"}
    assert "orchestrator/py.typed" in names
    assert "orchestrator/templates/scaffold/tickets/T-0001.md" in names
    assert "orchestrator/criteria/lines/grammar.lark" in names
    assert "orchestrator/cli/live/status.tcss" in names
    assert "orchestrator/criteria/predicates/predicate.lark" in names
    assert not [name for name in names if ".exp/" in name or name.endswith(".pyc")]


def test_the_sdist_holds_what_the_tests_need(built):
    """An unpacked archive can be tested: sources, tests, documents, no state."""
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = archive.getnames()
    tops = {name.split("/")[1] for name in names if "/" in name}
    expected = {"orchestrator", "templates", "models", "experiments", "tickets", "tests", "docs"}
    assert expected | {"Makefile", "LICENSE", "README.md", "benchmarks", "scripts"} <= tops
    assert not tops & {".venv", ".exp", ".demo"}


def test_the_wheel_runs_a_ticket_where_torch_is_not(clean, tmp_path):
    """In a clean environment `exp init` and `exp ticket start` run the example to its verdicts."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    environment["PATH"] = f"{clean}:{environment['PATH']}"
    options = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}

    no_torch = subprocess.run([clean / "python", "-c", "import torch"], **options, check=False)
    assert "No module named 'torch'" in no_torch.stderr
    subprocess.run(["git", "init", "--quiet"], **options, check=True)
    subprocess.run(["git", "config", "user.name", "Ada"], **options, check=True)
    subprocess.run(["git", "config", "user.email", "ada@example.org"], **options, check=True)
    assert subprocess.run([clean / "exp", "init"], **options, check=False).returncode == 0
    lint = subprocess.run([clean / "exp", "ticket", "lint"], **options, check=False)
    assert lint.returncode == 0, lint.stdout
    started = [clean / "exp", "ticket", "start", "T-0001", "--follow"]
    done = subprocess.run(started, **options, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "tickets/T-0001.md").read_text()
    boxes = re.findall(r"- \[(.)\] (.+)", text.split("## Verification Plan")[0])
    assert [text for mark, text in boxes if mark == " "] == ["A person has looked at the curve"]
    assert len(boxes) == 6
    again = subprocess.run([clean / "exp", "init"], **options, check=False)
    assert "kept" in again.stderr
    assert (tmp_path / "tickets/T-0001.md").read_text() == text
