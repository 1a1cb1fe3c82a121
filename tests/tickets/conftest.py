"""Ticket files to read: our own, and every Markdown file that lies beside the repository."""

from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"


@pytest.fixture
def sudoku() -> bytes:
    """A ticket in the structure of the real ones, with all that people put into them."""
    return (DATA / "T-0042-sudoku.md").read_bytes()


@pytest.fixture
def backlog() -> bytes:
    """A ticket with YAML front matter."""
    return (DATA / "T-0043.md").read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tickets folder in a workspace whose path needs care."""
    made = tmp_path / "a work space's [1]" / "tickets"
    made.mkdir(parents=True)
    return made
