"""Documents say what is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def commands():
    """Every command that does something, in words."""
    import typer.main

    from orchestrator.cli.app import app

    def walk(command, words):
        children = getattr(command, "commands", None)
        if children is None:
            yield " ".join(words)
            return
        for name, child in children.items():
            yield from walk(child, [*words, name])

    return list(walk(typer.main.get_command(app), ["exp"]))


def test_the_reference_matches_the_commands():
    """docs/cli.md is what scripts/reference.py makes of the commands."""
    script = ROOT / "scripts" / "reference.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("words", commands())
def test_every_command_has_help(words):
    """Each command explains itself in one imperative line without a full stop."""
    import typer.main

    from orchestrator.cli.app import app

    command = typer.main.get_command(app)
    for word in words.split()[1:]:
        command = command.commands[word]
    assert command.help
    assert "\n" not in command.help
    assert command.help[0].isupper()
    assert not command.help.endswith(".")
    assert f"## `{words}`" in (ROOT / "docs" / "cli.md").read_text()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_named_in_documents_exist(path):
    """No document shows a command that the program does not have."""
    known = commands()
    text = path.read_text()
    shown = re.findall(r"(?:^    (?:\$ )?|`)(exp(?: [a-z]+)+)", text, re.MULTILINE)
    for words in shown:
        assert any(words.startswith(command) or command.startswith(words) for command in known), (
            f"{path.name} shows `{words}`"
        )


def test_commands_named_by_messages_exist():
    """No hint of the program sends anybody to a command that is not there."""
    known = commands()
    named = []
    for path in (ROOT / "orchestrator").rglob("*.py"):
        # Docstrings speak of the product as designed; only what users see must be there already.
        named += re.findall(
            r"(?:hint=f?\"|[,;] |^f?\")(exp [a-z]+(?: [a-z]+)?)", path.read_text(), re.MULTILINE
        )
    assert named
    for words in named:
        assert any(f"{words} ".startswith(f"{command} ") for command in known), words


def test_make_targets_that_are_named_exist():
    """Documents, scripts and tests name no target that the Makefile lacks."""
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text()))
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    named = set()
    for path in [*DOCUMENTS, ROOT / ".ci" / "run", *tests]:
        named |= set(re.findall(r"(?m)(?:^ *(?:\$ )?|[`\"])make ([a-z]+)", path.read_text()))
    assert {"check", "test", "demo", "chaos"} <= named
    assert named <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path):
    """A relative link names a file that exists."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_every_key_of_a_spec_is_documented():
    """docs/experiment-spec.md explains each key that a spec may hold."""
    from dataclasses import fields

    from orchestrator.domain import experiment
    from orchestrator.domain.retry import OutOfMemory

    text = (ROOT / "docs" / "experiment-spec.md").read_text()
    sections = {
        "train": experiment.TrainProgram,
        "evaluate": experiment.Program,
        "resources": experiment.Resources,
        "stop": experiment.Stop,
        "budget": experiment.Budget,
        "metrics.NAME": experiment.MetricSpec,
        "executor": experiment.ExecutorChoice,
        "retry": experiment.Retry,
        "retry.oom": OutOfMemory,
        "track": experiment.Track,
    }
    for section, kind in sections.items():
        for field in fields(kind):
            assert f"`{section}.{field.name}`" in text


def test_every_exit_code_is_documented():
    """docs/exit-codes.md lists the code of each error."""
    from orchestrator import errors

    text = (ROOT / "docs" / "exit-codes.md").read_text()
    kinds = [errors.ExpError, *errors.ExpError.__subclasses__()]
    assert len({kind.exit_code for kind in kinds}) == len(kinds)
    for kind in kinds:
        assert f"| {kind.exit_code} |" in text


def test_every_threshold_of_findings_is_documented():
    """docs/findings.md gives each key of [findings] with its default."""
    from dataclasses import fields

    from orchestrator.domain.finding import Thresholds

    text = (ROOT / "docs" / "findings.md").read_text().partition("## Thresholds")[2]
    told = dict(re.findall(r"(?m)^\| `(\w+)` \| ([\d.]+|none) \|", text))
    defaults = {f.name: f.default for f in fields(Thresholds)}
    assert told.pop("ignore") == "none"
    assert not defaults.pop("ignore")
    assert {name: float(value) for name, value in told.items()} == defaults


def test_every_finding_is_documented():
    """docs/findings.md has a row for each id that a rule may give."""
    text = (ROOT / "docs" / "findings.md").read_text()
    rules = ROOT / "orchestrator" / "diagnose" / "rules"
    ids = [
        found
        for path in rules.glob("*.py")
        for found in re.findall(r'(?m)^\s+id="([a-z-]+)"', path.read_text())
    ]
    assert len(ids) > 20
    assert [found for found in ids if f"| `{found}`" not in text] == []
