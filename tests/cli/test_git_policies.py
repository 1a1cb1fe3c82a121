"""[git] of exp.toml: when the tool commits, and on which branch; with real runs."""

import os
import signal

import pytest
from chaos.test_chaos_commit import HOOK, watchers
from conftest import PATIENT, QUICK, wait_for

from orchestrator.config import load_config
from orchestrator.errors import InvalidFileError
from orchestrator.git import Repository
from orchestrator.watch.committing import commit_warning, start_refusal
from orchestrator.workspace import Workspace

DECLARED = '[metrics."train/loss"]\n'
SUBJECTS = ("log", "--format=%s", "--grep=^Run: R-000001$")


def configure(lab, text):
    lab.write("exp.toml", f"[git]\n{text}\n")


def test_a_milestone_is_committed_once_although_the_watcher_is_killed(lab, tmp_path):
    """Killed in its commit of a live run, the next watcher goes on; the end tells the rest."""
    mark = tmp_path / "mark"
    configure(lab, "every = 0")
    lab.ticket(criteria="- [ ] `train/loss` is reported\n- [ ] train/loss < 0.5")
    lab.experiment(PATIENT, DECLARED)
    lab.commit()
    lab.write(".git/hooks/post-commit", HOOK.format(mark=mark)).chmod(0o755)
    lab.write("staged.txt", "of a person\n")
    lab.git("add", "staged.txt")
    lab.exp("ticket", "start", "1")
    wait_for(mark.exists, what="the hook")
    for pid in watchers(lab):
        os.kill(pid, signal.SIGKILL)
    mark.with_name("mark.go").touch()
    assert lab.exp("status").returncode == 0
    noted = lab.run() / "milestones.json"
    wait_for(lambda: '"trying": null' in noted.read_text(), what="the next watcher")
    assert "- [x] `train/loss` is reported" in lab.git("show", "HEAD:tickets/T-0001.md")
    assert "**Running.**" in lab.git("show", "HEAD:experiments/e/reports/T-0001/report.md")
    lab.write("go", "")
    published = lab.published()
    end, milestone = lab.git(*SUBJECTS).splitlines()
    assert milestone == "T-0001: `train/loss` is reported, met at step 1"
    assert end.startswith("T-0001: train/loss 0.")
    assert published["commit"] == lab.git("rev-parse", "HEAD")
    assert lab.git("status", "--porcelain").splitlines() == ["A  staged.txt", "?? go"]


def test_manual_waits_for_a_person_and_never_means_it(lab):
    """Files are written in any case; --commit commits with `manual`, and is refused by `never`."""
    configure(lab, 'commit = "manual"\nevery = 0')
    lab.ticket()
    lab.experiment(QUICK)
    lab.commit()
    assert lab.exp("ticket", "start", "1", "--follow").returncode == 0
    assert lab.published()["commit"] is None
    assert lab.git("log", "--format=%s") == "work"
    assert "- [x] train/loss < 0.5" in lab.text()
    configure(lab, 'commit = "never"')
    refused = lab.exp("report", "1", "--commit")
    assert refused.returncode == 5
    assert 'exp.toml says [git] commit = "never"' in refused.stderr
    configure(lab, 'commit = "manual"')
    assert lab.exp("report", "1", "--commit").returncode == 0
    assert "experiments/e/reports/T-0001/report.md" in lab.git("show", "--name-only", "HEAD")
    assert lab.git("status", "--porcelain") == "M exp.toml"


def test_a_branch_of_its_own(lab):
    """With HEAD detached the end lands on the branch, and HEAD and index stay as they were."""
    configure(lab, 'branch = "results"')
    lab.ticket()
    lab.experiment(QUICK)
    lab.commit()
    lab.git("checkout", "--quiet", "--detach")
    lab.write("staged.txt", "of a person\n")
    lab.git("add", "staged.txt")
    head, index = lab.git("rev-parse", "HEAD"), (lab.root / ".git/index").read_bytes()
    done = lab.exp("ticket", "start", "1", "--follow")
    assert done.returncode == 0
    assert "not committed" not in done.stderr
    assert lab.published()["commit"] == lab.git("rev-parse", "results")
    assert lab.git("rev-parse", "HEAD") == head
    assert (lab.root / ".git/index").read_bytes() == index
    assert "- [x] train/loss < 0.5" in lab.git("show", "results:tickets/T-0001.md")
    assert lab.git(*SUBJECTS, "results") == "T-0001: train/loss 0.1 < 0.5 met at step 10"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "HEAD is detached"),
        ('branch = "results"', None),
        ('branch = "a..b"', "no name of a branch"),
        ('commit = "manual"', None),
        ('commit = "never"\nbranch = "a..b"', None),
    ],
)
def test_a_start_warns_of_what_would_keep_its_end_from_git(lab, text, says):
    """Said is what stands in the way of the commits that exp.toml asks for, and nothing else."""
    lab.write("a", "")
    lab.commit()
    lab.git("checkout", "--quiet", "--detach")
    configure(lab, text)
    repository = Repository.find(lab.root)
    assert start_refusal(repository) is None
    warning = commit_warning(Workspace(lab.root), repository)
    assert warning is None if says is None else says in warning
    (lab.root / ".git/MERGE_HEAD").write_text(lab.git("rev-parse", "HEAD"))
    assert "merge is in progress" in start_refusal(repository)


@pytest.mark.parametrize("text", ["every = -1", "every = nan", 'commit = "always"', "branch = 3"])
def test_what_git_cannot_mean(lab, text):
    """A value that makes no sense is named with its key."""
    configure(lab, text)
    with pytest.raises(InvalidFileError, match=f"git.{text.split()[0]}"):
        load_config(lab.root)
