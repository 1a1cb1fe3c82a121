"""[rehearse] of a spec: what is read, and what is said of a rehearsal that could show nothing."""

from dataclasses import fields
from pathlib import Path

import pytest

from orchestrator.domain.rehearse import Rehearse
from orchestrator.errors import InvalidFileError
from orchestrator.spec import load_experiment
from orchestrator.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def read(tmp_path):
    """Read a spec with these lines in its [rehearse]."""

    def read(text):
        (tmp_path / "a.toml").write_text(f'[train]\ncommand = ["true"]\n[rehearse]\n{text}\n')
        return load_experiment(Workspace(tmp_path), "a.toml").rehearse

    return read


def test_a_whole_table_is_read(read):
    """Durations are seconds, counts and shares arrive as they were written."""
    text = 'when = "always"\nabove = "10min"\nestimate = "8h"\nbudget = 90\nsteps = 12\nevery = 6'
    told = Rehearse(
        when="always", above=600.0, estimate=28800.0, budget=90.0, steps=12, every=6, cost=2.5
    )
    assert read(f"{text}\ncost = 2.5") == told


def test_without_keys_the_defaults_hold(read):
    """A table is not needed."""
    assert read("") == Rehearse()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps = 1", "rehearse.steps = 1: less than 2"),
        ("every = 0", "rehearse.every = 0: less than 1"),
        ("examples = 0", "rehearse.examples = 0: less than 1"),
        ("keep = 0", "rehearse.keep = 0: less than 1"),
        ("tolerance = -0.1", "rehearse.tolerance = -0.1: less than 0"),
        ("tolerance = nan", "rehearse.tolerance = nan: less than 0"),
        ("steps = 6\nevery = 4", "rehearse.steps = 6: less than two times rehearse.every = 4"),
        ("budget = 0", "rehearse.budget = 0: it would be used up at once"),
        ('above = "soon"', "rehearse.above = 'soon': no duration"),
        ('when = "sometimes"', "rehearse.when = 'sometimes'"),
        ("evry = 4", "rehearse.evry: unknown key"),
    ],
)
def test_what_could_show_nothing_is_refused(read, text, words):
    """File, key, value and what is wrong."""
    with pytest.raises(InvalidFileError) as refused:
        read(text)
    assert words in str(refused.value)


def test_every_key_is_documented():
    """docs/experiment-spec.md has a row for each."""
    text = (ROOT / "docs" / "experiment-spec.md").read_text()
    assert [f.name for f in fields(Rehearse) if f"`rehearse.{f.name}`" not in text] == []
