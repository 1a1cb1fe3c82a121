"""Templates: the workspace's own win, the shipped ones are always there, the sandbox holds."""

import subprocess
import sys

import pytest
from jinja2 import TemplateNotFound, UndefinedError
from jinja2.sandbox import SecurityError

from orchestrator.templates import sandbox, shipped_templates, template_folders


def test_shipped_templates_are_there():
    """The checkout's or the wheel's templates hold the ticket's."""
    assert (shipped_templates() / "ticket.md.j2").is_file()
    assert template_folders(None) == [shipped_templates()]


def test_workspace_wins(tmp_path):
    """A template of the workspace is taken before the shipped one, which serves all others."""
    (tmp_path / "own.j2").write_text("mine {{ x }}\n", encoding="utf-8")
    assert template_folders(tmp_path) == [tmp_path, shipped_templates()]
    environment = sandbox(tmp_path)
    assert environment.get_template("own.j2").render(x="<&>") == "mine <&>\n"
    assert environment.get_template("ticket.md.j2")


def test_own_repository_is_not_listed_twice():
    """In the tool's own checkout the workspace's templates are the shipped ones."""
    assert template_folders(shipped_templates()) == [shipped_templates()]


@pytest.mark.parametrize("name", ["../pyproject.toml", "/etc/passwd", "none.j2"])
def test_names_stay_inside(tmp_path, name):
    """A template's name cannot lead out of the folders."""
    with pytest.raises(TemplateNotFound):
        sandbox(tmp_path).get_template(name)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("{{ ''.__class__.__mro__ }}", SecurityError),
        ("{{ f.__globals__ }}", SecurityError),
        ("{{ missing }}", UndefinedError),
    ],
)
def test_sandbox(source, error):
    """A template reaches no internals of Python, and a name without a value is an error."""
    with pytest.raises(error):
        sandbox(None).from_string(source).render(f=test_sandbox)


def test_import_is_light():
    """Looking for templates or reading tickets loads no Jinja2."""
    code = (
        "import sys, orchestrator.templates, orchestrator.tickets; print('jinja2' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
