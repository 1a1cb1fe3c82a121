import pytest

from orchestrator.git import Repository


def test_ids_in_every_ref_and_worktree(tree, tmp_path):
    """Ids of other branches, tags, remotes, detached worktrees and unsaved files all count."""
    tree.git("switch", "-q", "-c", "side")
    tree.save("tickets/T-0002-with-slug.md", "x")
    tree.git("tag", "kept")
    tree.save("tickets/archive/T-0003.md", "x")
    tree.git("update-ref", "refs/remotes/origin/far", "HEAD")
    tree.git("switch", "-q", "main")
    tree.git("branch", "-q", "-D", "side")
    tree.git("worktree", "add", "-q", "--detach", str(tmp_path / "other tree"))
    (tmp_path / "other tree" / "tickets" / "T-0004.md").write_text("x")
    tree.write("tickets/T-0005.md", "not committed")
    assert tree.repository.ticket_ids_everywhere("tickets") == {1, 2, 3, 4, 5}
    side = Repository.find(tmp_path / "other tree")
    assert side is not None
    assert side.ticket_ids_everywhere("tickets") == {1, 2, 3, 4, 5}


def test_detached_commit_of_another_worktree(tree, tmp_path):
    """A ticket that only a detached worktree has committed counts, though no ref names it."""
    tree.git("worktree", "add", "-q", "--detach", str(tmp_path / "loose"))
    loose = type(tree)(tmp_path / "loose")
    loose.save("tickets/T-0042.md", "x")
    (loose.root / "tickets" / "T-0042.md").unlink()
    assert tree.repository.ticket_ids_everywhere("tickets") == {1, 42}


def test_only_names_of_tickets_count(tree):
    """Other files, and ids in other folders, are no tickets of this folder."""
    tree.write("elsewhere/T-0050.md", "x")
    tree.write("tickets/README.md", "T-0060")
    tree.write("tickets/XT-0070.md", "x")
    tree.write("tickets/T-80.md", "x")
    tree.write("tickets/T-12345.md", "x")
    assert tree.repository.ticket_ids_everywhere("tickets") == {1, 12345}


@pytest.mark.parametrize("folder", ["deep/er/tickets", "späce d/tickets"])
def test_tickets_in_a_subfolder_of_the_repository(tree, folder):
    """A workspace may lie anywhere in its repository."""
    tree.save(f"{folder}/T-0007.md", "x")
    tree.git("rm", "-q", f"{folder}/T-0007.md")
    tree.git("commit", "-q", "-m", "gone from the tip")
    tree.git("tag", "old", "HEAD~1")
    assert tree.repository.ticket_ids_everywhere(folder) == {7}


def test_the_whole_repository_as_folder(tree):
    """`.` looks through all folders of the repository."""
    tree.save("x/y/T-0009.md", "x")
    assert tree.repository.ticket_ids_everywhere(".") == {1, 9}


def test_no_tickets_anywhere(empty):
    """Before the first commit and without a folder there are no ids."""
    assert empty.repository.ticket_ids_everywhere("tickets") == set()


def test_refs_to_other_things_are_passed_over(tree):
    """A tag on a file, a note and a ref to a lost commit do not stop the search."""
    tree.git("tag", "a-blob", tree.git("rev-parse", "HEAD:train.py"))
    tree.git("notes", "add", "-m", "a note")
    (tree.root / ".git" / "refs" / "tags" / "lost").write_text("1" * 40 + "\n")
    assert tree.repository.ticket_ids_everywhere("tickets") == {1}


def test_many_refs_cost_few_commands(tree, tmp_path, monkeypatch):
    """Two thousand refs take no more git commands than two."""
    commits = [tree.save(f"tickets/T-{number:04d}.md", "x") for number in range(2, 12)]
    few = _commands(tree, tmp_path / "few", monkeypatch)
    lines = [f"create refs/heads/b/{n} {commits[n % 10]}" for n in range(2000)]
    tree.git("update-ref", "--stdin", stdin="\n".join(lines) + "\n")
    assert _commands(tree, tmp_path / "many", monkeypatch) == few
    assert tree.repository.ticket_ids_everywhere("tickets") == set(range(1, 12))


def _commands(tree, trace, monkeypatch):
    """How many git commands one search runs, by git's own trace."""
    repository = tree.repository
    with monkeypatch.context() as patch:
        patch.setenv("GIT_TRACE", str(trace))
        repository.ticket_ids_everywhere("tickets")
    return trace.read_text().count("built-in: git")
