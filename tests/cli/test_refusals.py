"""Bad input: the message names what, where and the next command; the exit code says the class."""

import os
import subprocess

import pytest
from conftest import EXP as EXP_COMMAND


def refused(done, code, *said):
    """The command failed with this code, said these things on stderr, and left no run."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    for words in said:
        assert words in done.stderr
    assert "→" in done.stderr, "no next command was named"
    assert "Traceback" not in done.stderr


def no_runs(lab):
    runs = lab.root / ".exp/runs"
    return not runs.exists() or not list(runs.iterdir())


def test_unknown_ticket(lab):
    """A ticket that does not exist is named, with the ones that are near."""
    lab.ticket(17)
    refused(lab.exp("ticket", "start", "T-0018"), 3, "T-0018")
    refused(lab.exp("ticket", "show", "T-0018"), 3, "T-0018")
    refused(lab.exp("report", "T-0018"), 3, "T-0018")
    assert no_runs(lab)


def test_what_is_no_ticket_id(lab):
    """A malformed id is a usage error."""
    refused(lab.exp("ticket", "start", "../../etc/passwd"), 2, "no ticket id", "T-0017")


def test_ticket_without_experiment(lab):
    """A ticket that names no experiment says which line to add."""
    lab.ticket(experiment=None)
    refused(lab.exp("ticket", "start", "1"), 5, "T-0001 names no experiment", "**Experiment**")
    assert no_runs(lab)


def test_missing_spec(lab):
    """A spec that is not there is named."""
    lab.ticket()
    refused(lab.exp("ticket", "start", "1"), 3, "no experiment experiments/e/a.toml")
    assert no_runs(lab)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("[train\n", "line 1"),
        ('[train]\ncommand = "python train.py"', "a command is a list of arguments"),
        ('[train]\ncommand = ["true"]\nstepz = 3', "train.stepz: unknown key"),
        ('[train]\ncommand = ["true"]\n[resources]\ngpus = -1.5', "resources.gpus = -1.5"),
    ],
)
def test_malformed_spec(lab, spec, said):
    """A malformed spec names file, and line or key and value."""
    lab.ticket()
    lab.write("experiments/e/a.toml", spec)
    refused(lab.exp("ticket", "start", "1"), 4, "experiments/e/a.toml", said)
    assert no_runs(lab)
    assert "**Status**: READY" in lab.text()


def test_command_not_found(lab):
    """A program that is not installed is found before anything starts."""
    lab.ticket()
    lab.write("experiments/e/a.toml", '[train]\ncommand = ["no-such-trainer"]')
    refused(lab.exp("ticket", "start", "1"), 3, "train.command", "no-such-trainer")
    assert no_runs(lab)


def test_dependency_not_done(lab):
    """A ticket waits for those before it; --force starts it nevertheless."""
    lab.ticket()
    lab.ticket(2, after="T-0001")
    lab.experiment()
    refused(lab.exp("ticket", "start", "2"), 5, "comes after T-0001, which is READY", "--force")
    assert no_runs(lab)
    assert lab.exp("ticket", "start", "2", "--force", "--follow").returncode == 0


def test_done_ticket(lab):
    """A DONE ticket is not run again by mistake."""
    lab.ticket(status="DONE")
    lab.experiment()
    refused(lab.exp("ticket", "start", "1"), 5, "T-0001 is DONE", "--force")


def test_ticket_that_is_not_utf8(lab):
    """A ticket in another encoding is named with its line; nothing of it changes."""
    path = lab.ticket()
    content = path.read_bytes().replace(b"Words of a person", b"Caf\xe9")
    path.write_bytes(content)
    lab.experiment()
    refused(lab.exp("ticket", "start", "1"), 4, "T-0001.md", "UTF-8")
    assert lab.exp("ticket", "lint").returncode == 1
    assert lab.exp("ticket", "show", "1").returncode == 0
    assert lab.exp("ticket", "show", "1", "--json").returncode == 0
    assert path.read_bytes() == content


def test_duplicate_ids_fail_closed(lab):
    """Two files of one id are both named, and neither is started."""
    lab.ticket()
    lab.write("tickets/T-0001-copy.md", lab.text())
    lab.experiment()
    refused(lab.exp("ticket", "start", "1"), 6, "T-0001.md", "T-0001-copy.md")


def test_dirty_tree_is_snapshotted_and_left_alone(lab):
    """Local changes are kept with the run, and are not in the commit of the report."""
    lab.ticket()
    lab.experiment()
    lab.write("notes.txt", "one\n")
    lab.write("staged.txt", "one\n")
    lab.commit()
    lab.write("notes.txt", "two\n")
    lab.write("staged.txt", "two\n")
    lab.git("add", "staged.txt")
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    patch = (lab.run() / "snapshot.patch").read_text()
    assert "+two" in patch
    assert lab.git("status", "--porcelain").splitlines() == ["M notes.txt", "M  staged.txt"] or (
        lab.git("status", "--porcelain") == "M notes.txt\nM  staged.txt"
    )
    assert "notes.txt" not in lab.git("show", "--stat", "HEAD")
    assert "staged.txt" not in lab.git("show", "--stat", "HEAD")


def test_detached_head_runs_but_does_not_commit(lab):
    """On a detached HEAD the report is written, not committed, and both are said."""
    lab.ticket()
    lab.experiment()
    lab.commit()
    head = lab.git("rev-parse", "HEAD")
    lab.git("checkout", "--quiet", "--detach")
    done = lab.exp("ticket", "start", "1", "--follow")
    assert done.returncode == 0, done.stderr
    assert "not committed" in done.stderr
    assert "detached" in done.stderr
    assert lab.git("rev-parse", "HEAD") == head
    assert (lab.root / "experiments/e/reports/T-0001/report.md").exists()


def test_rebase_in_progress(lab):
    """In the middle of a rebase nothing starts: the ticket's edit would end up inside it."""
    lab.ticket()
    lab.experiment()
    lab.commit("base")
    lab.write("file", "main\n")
    lab.commit("main")
    lab.git("checkout", "--quiet", "-b", "topic", "HEAD~1")
    lab.write("file", "topic\n")
    lab.commit("topic")
    subprocess.run(["git", "rebase", "main"], cwd=lab.root, capture_output=True, check=False)
    refused(lab.exp("ticket", "start", "1"), 5, "rebase", "--no-git")
    assert no_runs(lab)
    assert lab.exp("ticket", "start", "1", "--no-git", "--follow").returncode == 0


@pytest.mark.parametrize("option", [(), ("--no-git",)])
def test_without_git(lab, option):
    """Without a repository everything works except the commit."""
    subprocess.run(["rm", "-rf", lab.root / ".git"], check=True)
    lab.ticket()
    lab.experiment()
    done = lab.exp("ticket", "start", "1", "--follow", *option)
    assert done.returncode == 0, done.stderr
    assert ("no git repository here" in done.stderr) == (option == ())
    assert "- [x] train/loss < 0.5" in lab.text()


def test_no_git_leaves_the_repository_alone(lab):
    """--no-git commits nothing, though there is a repository."""
    lab.ticket()
    lab.experiment()
    lab.commit()
    head = lab.git("rev-parse", "HEAD")
    assert lab.exp("ticket", "start", "1", "--follow", "--no-git").returncode == 0
    assert lab.git("rev-parse", "HEAD") == head
    assert "- [x] train/loss < 0.5" in lab.text()


def test_read_only_workspace(lab):
    """A workspace that cannot be written is a clear error, and can still be looked at."""
    lab.ticket()
    lab.experiment()
    remount = ["mount", "--bind", lab.root, lab.root]
    if os.geteuid() == 0:
        if subprocess.run(remount, check=False).returncode:
            pytest.skip("this sandbox does not allow mounts")
        subprocess.run(["mount", "-o", "remount,bind,ro", lab.root], check=True)
    else:
        lab.root.chmod(0o555)
    try:
        refused(lab.exp("ticket", "start", "1"), 7, ".exp")
        assert lab.exp("status").returncode == 0
        assert lab.exp("ticket", "list").returncode == 0
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", lab.root], check=True)
        else:
            lab.root.chmod(0o755)


def test_no_workspace(tmp_path, lab):
    """Outside of any workspace the next command is `exp init`."""
    refused(lab.exp("status", cwd=tmp_path), 3, "no workspace", "exp init")


def test_unknown_run(lab):
    """A run that does not exist is named."""
    refused(lab.exp("run", "show", "7"), 3, "R-000007", "exp run list")
    refused(lab.exp("run", "logs", "7"), 3, "R-000007")
    refused(lab.exp("run", "stop"), 2, "name one run, or --all")


def test_output_into_a_closed_pipe_is_quiet(lab):
    """`exp … | head` ends without a traceback."""
    lab.ticket()
    lab.experiment("print('x\\n' * 200000)")
    lab.exp("ticket", "start", "1", "--follow")
    done = subprocess.run(
        f"exp='{EXP_COMMAND}'; \"$exp\" run logs 1 | head -1",
        shell=True,
        cwd=lab.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("x\n", "")


def test_escape_sequences_of_a_ticket_do_not_reach_the_terminal(lab):
    """Control characters in a title are shown, not obeyed."""
    lab.ticket(title="Evil \x1b]0;owned\x07 title")
    for words in (("ticket", "list"), ("ticket", "show", "1"), ("status",), ("ticket", "graph")):
        done = lab.exp(*words)
        assert done.returncode == 0
        assert "\x1b" not in done.stdout
        assert "\x07" not in done.stdout
