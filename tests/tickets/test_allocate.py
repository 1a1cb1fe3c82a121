"""New tickets: every number is given out once, over processes, branches and removed files."""

import subprocess
import sys

import pytest

from orchestrator.errors import ExpError, InvalidFileError, NotFoundError, RefusedError, UsageError
from orchestrator.tickets import Draft, IdSource, find, load_all, new_ticket

ALLOCATE = """
import sys
from pathlib import Path
from orchestrator.tickets import Draft, IdSource, new_ticket
ids = IdSource(lock=Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for folder in sys.argv[2:]:
    for n in range(4):
        print(new_ticket(Path(folder), Draft(title=f"ticket {n}"), ids).name, flush=True)
"""


@pytest.fixture
def ids(folder):
    return IdSource(lock=folder / ".exp-ticket-ids.lock")


def existing(folder, name, text="# x\n\n**Status**: READY\n"):
    (folder / name).write_text(text, encoding="utf-8")


def test_processes_at_once_get_different_ids(folder, tmp_path):
    """Four processes in two worktrees that share a lock give each number once."""
    other = tmp_path / "worktree" / "tickets"
    other.mkdir(parents=True)
    command = [sys.executable, "-c", ALLOCATE, str(tmp_path / "common" / "ids.lock")]
    workers = [
        subprocess.Popen(
            [*command, str(folder), str(other)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()
    names = [name for worker in workers for name in worker.communicate(timeout=120)[0].split()]
    assert sorted(names) == [f"T-{number:04d}.md" for number in range(1, 33)]
    assert len(load_all(folder)) + len(load_all(other)) == 32


def test_first_ticket_makes_the_folder(tmp_path):
    """In a workspace without a tickets folder the first ticket is T-0001."""
    folder = tmp_path / "tickets"
    path = new_ticket(folder, Draft(title="x"), IdSource(lock=tmp_path / "ids.lock"))
    assert path == folder / "T-0001.md"


def test_number_follows_all_that_are_known(folder, ids):
    """The next number is above this folder's, other branches' and every one given before."""
    existing(folder, "T-0007-slug.md")
    assert new_ticket(folder, Draft(title="a"), ids).name == "T-0008.md"
    far = IdSource(lock=ids.lock, elsewhere=lambda: {3, 41})
    assert new_ticket(folder, Draft(title="b"), far).name == "T-0042.md"
    (folder / "T-0042.md").unlink()
    assert new_ticket(folder, Draft(title="c"), ids).name == "T-0043.md"


@pytest.mark.parametrize("text", ["", "x", "-1", "\xff"])
def test_broken_mark_fails_closed(folder, ids, text):
    """An unreadable highest number gives no number at all, and says which file to mend."""
    ids.mark.write_text(text, encoding="latin-1")
    with pytest.raises(InvalidFileError) as caught:
        new_ticket(folder, Draft(title="x"), ids)
    assert str(ids.mark) in caught.value.hint
    assert load_all(folder) == []


def test_failing_look_at_branches_fails_closed(folder, ids):
    """If the branches cannot be asked, no ticket is made."""

    def unknown():
        raise ExpError("git is gone")

    with pytest.raises(ExpError, match="git is gone"):
        new_ticket(folder, Draft(title="x"), IdSource(lock=ids.lock, elsewhere=unknown))
    assert load_all(folder) == []


def test_last_number_is_refused(folder, ids):
    """Behind the largest id that can be typed there is no other."""
    existing(folder, "T-999999999.md")
    with pytest.raises(RefusedError):
        new_ticket(folder, Draft(title="x"), ids)


def test_what_was_asked_for_is_written(folder, ids):
    """Title, experiment and criteria of the draft stand in the new file."""
    draft = Draft(
        title="  Train *on* 5%\nof {{ data }} <b> ",
        experiment="experiments/a b.toml",
        criteria=("pass@1 > 5%", "no NaN"),
        context="Because.",
    )
    document = find(folder, new_ticket(folder, draft, ids).stem)
    ticket = document.ticket
    assert ticket.title == "Train *on* 5% of {{ data }} <b>"
    assert ticket.experiment == "experiments/a b.toml"
    assert [box.text for box in ticket.checkboxes] == ["pass@1 > 5%", "no NaN"]
    assert (ticket.status, ticket.phase) == ("READY", "")
    assert "Because." in document.text


def test_without_criteria_no_box_is_made(folder, ids):
    """A new ticket holds no box that nobody wrote: it would gate the ticket."""
    ticket = find(folder, new_ticket(folder, Draft(title="x"), ids).stem).ticket
    assert ticket.checkboxes == ()


@pytest.mark.parametrize(
    ("status", "expected"), [("DONE", "READY"), ("ONGOING", "BLOCKED"), ("FAILED", "BLOCKED")]
)
def test_dependency_decides_the_status(folder, ids, status, expected):
    """A ticket after one that is not DONE begins BLOCKED."""
    existing(folder, "T-0001.md", f"# x\n\n**Status**: {status}\n")
    path = new_ticket(folder, Draft(title="y", after=("1", "T-0001")), ids)
    ticket = find(folder, path.stem).ticket
    assert ticket.status == expected
    assert ticket.after == ("T-0001",)


def test_unknown_dependency_is_refused(folder, ids):
    """A ticket that comes after none of the workspace's tickets is not made."""
    with pytest.raises(NotFoundError, match="T-0009"):
        new_ticket(folder, Draft(title="x", after=("9",)), ids)
    assert load_all(folder) == []


def test_circle_through_a_dangling_edge_is_refused(folder, ids):
    """A ticket that others wait for already cannot come after them; the path is shown."""
    existing(folder, "T-0001.md", "# x\n\n**Status**: BLOCKED\n**After**: T-0002\n")
    with pytest.raises(RefusedError, match="T-0001 after T-0002 after T-0001"):
        new_ticket(folder, Draft(title="y", after=("1",)), ids)
    assert len(load_all(folder)) == 1


@pytest.mark.parametrize("title", ["", " \n\t", "\x07"])
def test_title_is_needed(folder, ids, title):
    """A ticket without a title is refused and takes no number."""
    with pytest.raises(UsageError):
        new_ticket(folder, Draft(title=title), ids)
    assert not ids.mark.exists()


def test_workspace_template_wins(folder, ids):
    """A workspace's own template makes the ticket, and what it adds stays."""
    templates = folder.parent / "templates"
    templates.mkdir()
    (templates / "ticket.md.j2").write_text(
        "# {{ id }}: {{ title }}\n\n**Status**: {{ status }}\n**Team**: blue\n", encoding="utf-8"
    )
    document = find(folder, new_ticket(folder, Draft(title="x"), ids, templates).stem)
    assert document.value("Team") == "blue"


@pytest.mark.parametrize(
    "template",
    [
        "{{ nothing }}",
        "{% if %}",
        "{{ title.__class__.__mro__ }}",
        "# {{ id }}: {{ title }}\n",
        "# {{ id }}: other\n\n**Status**: {{ status }}\n",
        "# T-0999: {{ title }}\n\n**Status**: {{ status }}\n",
        "{{ 1 // 0 }}",
    ],
)
def test_broken_template_is_refused(folder, ids, template):
    """A template that fails, reaches into Python or loses a value makes no ticket."""
    templates = folder.parent / "templates"
    templates.mkdir()
    (templates / "ticket.md.j2").write_text(template, encoding="utf-8")
    with pytest.raises(InvalidFileError, match=r"ticket\.md\.j2"):
        new_ticket(folder, Draft(title="x"), ids, templates)
    assert load_all(folder) == []
