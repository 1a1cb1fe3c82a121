"""Ticket files: found by id, loaded all, and edited beside other writers without a loss."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from orchestrator.errors import ConflictError, EnvironmentFailure, NotFoundError, UsageError
from orchestrator.tickets import (
    edit_file,
    find,
    load_all,
    load_documents,
    locate,
    parse,
    refresh,
    ticket_files,
)

# Each line of a program is one statement; `argv` is the ticket file and the box to tick.
TICK = """
import sys
from pathlib import Path
from orchestrator.tickets import edit_file
path, keys = Path(sys.argv[1]), sys.argv[2:]
print("ready", flush=True)
sys.stdin.readline()
for key in keys:
    edit_file(path, lambda document: document.set_boxes({key: True}))
"""
REWRITE = """
import sys
from itertools import count
from pathlib import Path
from orchestrator.tickets import edit_file
path = Path(sys.argv[1])
print("ready", flush=True)
for n in count():
    text = f"{n} " * 20_000
    edit_file(path, lambda d: d.set_block("Evidence", "e", text).set_field("Status", str(n)))
    print(n, flush=True)
"""


def program(source, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", source, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ticket(folder, name, text="# x\n\n**Status**: READY\n"):
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def age(*paths):
    """Make files look older than the moment in which a time stamp cannot be trusted."""
    for path in paths:
        os.utime(path, ns=(10**18, 10**18))


def test_only_ticket_names_count(folder):
    """Tickets are `T-NNNN.md` and `T-NNNN-slug.md` in the folder itself, ordered by number."""
    for name in ("T-0010.md", "T-0002-a slug, ünd.md", "T-10000.md", "T-0003-x.y.md"):
        ticket(folder, name)
    for name in ("T-02.md", "T-0004.txt", "T-0005.md~", "xT-0006.md", "README.md", "t-0007.md"):
        ticket(folder, name)
    (folder / "T-0008.md").mkdir()
    (folder / "done").mkdir()
    ticket(folder / "done", "T-0009.md")
    names = [path.name for path in ticket_files(folder)]
    assert names == ["T-0002-a slug, ünd.md", "T-0003-x.y.md", "T-0010.md", "T-10000.md"]
    assert [one.id for one in load_all(folder)] == ["T-0002", "T-0003", "T-0010", "T-10000"]


def test_no_folder_is_no_ticket(tmp_path):
    """A workspace without a tickets folder has no tickets."""
    assert ticket_files(tmp_path / "tickets") == []


def test_link_out_of_the_workspace_is_no_ticket(folder, tmp_path):
    """A symbolic link counts inside the workspace only."""
    outside = ticket(tmp_path, "secret.md")
    inside = ticket(folder.parent, "note.md")
    (folder / "T-0001.md").symlink_to(outside)
    (folder / "T-0002.md").symlink_to(inside)
    (folder / "T-0003.md").symlink_to(folder / "nowhere.md")
    assert [path.name for path in ticket_files(folder)] == ["T-0002.md"]


@pytest.mark.parametrize("text", ["T-0017", "t-17", "17", " T-17 "])
def test_people_name_tickets_shortly(folder, text):
    """A ticket is found by all that people type for its id; its path is the workspace's."""
    ticket(folder, "T-0017-long-name.md")
    document = find(folder, text)
    assert document.ticket.id == "T-0017"
    assert document.path == "tickets/T-0017-long-name.md"


def test_unknown_ticket_names_the_nearest(folder):
    """Asking for a ticket that is not there suggests those that are near."""
    ticket(folder, "T-0017.md")
    ticket(folder, "T-0903.md")
    with pytest.raises(NotFoundError, match="T-0018") as caught:
        find(folder, "18")
    assert "T-0017" in caught.value.hint
    with pytest.raises(UsageError):
        find(folder, "../T-0017")


def test_empty_folder_suggests_a_command(folder):
    """Without any ticket the hint is a command."""
    with pytest.raises(NotFoundError) as caught:
        find(folder, "1")
    assert caught.value.hint == "exp ticket list"


def test_duplicate_id_names_both_files(folder):
    """Two files with one id fail closed, whatever way their number is written."""
    ticket(folder, "T-0017.md")
    ticket(folder, "T-00017-copy.md")
    with pytest.raises(ConflictError) as caught:
        locate(folder, "17")
    assert "T-0017.md" in str(caught.value)
    assert "T-00017-copy.md" in str(caught.value)
    assert [one.id for one in load_all(folder)] == ["T-0017", "T-0017"]


def test_unchanged_files_are_not_read_again(folder):
    """A file with the same size and time keeps its ticket without a look at its bytes."""
    first, second = ticket(folder, "T-0001.md"), ticket(folder, "T-0002.md")
    age(first, second)
    known = {one.ticket.path: one for one in refresh(folder, {})}
    second.write_text("# other\n\n**Status**: DONE!\n", encoding="utf-8")
    marked = {
        path: replace(one, ticket=replace(one.ticket, title="from memory"))
        for path, one in known.items()
    }
    assert [one.title for one in load_all(folder, marked)] == ["from memory", "other"]


def test_fresh_files_are_read_again(folder):
    """A file saved a moment ago is not trusted: another save may leave the same time stamp."""
    path = ticket(folder, "T-0001.md")
    stamp = time.time_ns() + 10**9
    os.utime(path, ns=(stamp, stamp))
    (one,) = refresh(folder, {})
    path.write_text("# y\n\n**Status**: READY\n", encoding="utf-8")
    os.utime(path, ns=(stamp, stamp))
    assert [found.title for found in load_all(folder, {one.ticket.path: one})] == ["y"]


def test_removed_file_is_forgotten(folder):
    """A ticket that was removed is not remembered from before."""
    path = ticket(folder, "T-0001.md")
    age(path)
    known = {one.ticket.path: one for one in refresh(folder, {})}
    path.unlink()
    assert refresh(folder, known) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_named(folder):
    """A file without read permission is an error of the machine that names it."""
    ticket(folder, "T-0001.md").chmod(0)
    with pytest.raises(EnvironmentFailure, match="T-0001"):
        load_documents(folder)


def test_edit_says_whether_bytes_changed(folder):
    """An edit that changes nothing writes nothing, one that does keeps the file's mode."""
    path = ticket(folder, "T-0001.md")
    path.chmod(0o640)
    before = path.stat()
    assert not edit_file(path, lambda document: document.set_field("Status", "READY"))
    assert path.stat() == before
    assert edit_file(path, lambda document: document.set_field("Status", "DONE"))
    assert path.read_text(encoding="utf-8") == "# x\n\n**Status**: DONE\n"
    assert path.stat().st_mode == before.st_mode
    assert [name.name for name in folder.iterdir()] == ["T-0001.md"]


def test_edit_of_a_file_saved_meanwhile_is_made_anew(folder):
    """What an editor saved while we edited is kept, and our edit is in it."""
    path = ticket(folder, "T-0001.md")
    saves = iter(["# x\n\n**Status**: READY\nmine\n", "# x\n\n**Status**: READY\nmine, twice\n"])

    def edit(document):
        for text in saves:
            path.write_text(text, encoding="utf-8")
            break
        return document.set_field("Status", "DONE")

    assert edit_file(path, edit)
    assert path.read_text(encoding="utf-8") == "# x\n\n**Status**: DONE\nmine, twice\n"


def test_edit_gives_up_on_a_file_that_never_rests(folder):
    """A file that changes at every try is left as the other program wrote it."""
    path = ticket(folder, "T-0001.md")
    count = iter(range(1000))

    def edit(document):
        path.write_text(f"# x\n\n**Status**: {next(count)}\n", encoding="utf-8")
        return document.set_field("Status", "DONE")

    with pytest.raises(ConflictError):
        edit_file(path, edit)
    assert path.read_text(encoding="utf-8").endswith(f"{next(count) - 1}\n")


def test_edit_of_a_removed_file(folder):
    """A file removed before or during the edit stays removed, and that is said."""
    with pytest.raises(NotFoundError):
        edit_file(folder / "T-0001.md", lambda document: document)
    path = ticket(folder, "T-0002.md")

    def edit(document):
        path.unlink(missing_ok=True)
        return document.set_field("Status", "DONE")

    with pytest.raises(NotFoundError):
        edit_file(path, edit)
    assert not path.exists()


def test_failing_edit_leaves_the_file(folder):
    """An edit that raises leaves the bytes alone and frees the lock."""
    path = ticket(folder, "T-0001.md")
    before = path.read_bytes()
    with pytest.raises(NotFoundError):
        edit_file(path, lambda document: document.set_boxes({"no such line": True}))
    assert path.read_bytes() == before
    assert edit_file(path, lambda document: document.set_field("Status", "DONE"))


def test_edit_through_a_link_keeps_the_link(folder):
    """A ticket that is a symbolic link stays one; its target is edited."""
    real = ticket(folder.parent, "note.md")
    (folder / "T-0001.md").symlink_to(real)
    assert edit_file(folder / "T-0001.md", lambda document: document.set_field("Status", "DONE"))
    assert (folder / "T-0001.md").is_symlink()
    assert "DONE" in real.read_text(encoding="utf-8")


def test_processes_at_once_lose_no_edit(folder):
    """Three processes that tick different boxes of one file at once all leave their ticks."""
    keys = [f"box {number}" for number in range(60)]
    path = ticket(folder, "T-0001.md", "".join(f"- [ ] {key}\n" for key in keys))
    workers = [program(TICK, path, *keys[start::3]) for start in range(3)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=120)
        assert worker.returncode == 0
    assert path.read_text(encoding="utf-8") == "".join(f"- [x] {key}\n" for key in keys)


def test_killed_writer_leaves_a_whole_file(folder):
    """SIGKILL at any moment of an edit leaves the file before it or after it, never a part."""
    path = ticket(folder, "T-0001.md", "# x\n\n**Status**: -1\n\n## Evidence\n\nend\n")
    for round_ in range(8):
        worker = program(REWRITE, path)
        assert worker.stdout.readline() == "ready\n"
        for _ in range(round_ + 1):
            worker.stdout.readline()
        worker.send_signal(signal.SIGKILL)
        worker.communicate(timeout=60)
        text = path.read_text(encoding="utf-8")
        document = parse(text.encode(), "tickets/T-0001.md")
        number = document.value("Status")
        assert document.block("e").split() == [number] * 20_000
        assert text.startswith("# x\n")
        assert "\n\nend\n" in text
    assert edit_file(path, lambda found: found.remove_block("e").set_field("Status", "-1"))
    assert path.read_text(encoding="utf-8") == "# x\n\n**Status**: -1\n\n## Evidence\n\nend\n"
