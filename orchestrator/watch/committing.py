"""Where commits of the tool go, as [git] of exp.toml says."""

from dataclasses import replace

from orchestrator.config import GitConfig, load_config
from orchestrator.errors import RefusedError
from orchestrator.git import Repository
from orchestrator.workspace import Workspace


def repository_for_commits(workspace: Workspace) -> Repository | None:
    """The repository around the workspace, its commits going where they should; None without.

    Raises:
        RefusedError: exp.toml says that nothing is ever committed.
        InvalidFileError: exp.toml cannot be read.
    """
    git = load_config(workspace.root).git
    if git.commit == "never":
        raise RefusedError(
            'nothing committed: exp.toml says [git] commit = "never"',
            hint='git commit it by hand, or set commit = "manual" in exp.toml',
        )
    repository = Repository.find(workspace.root)
    return None if repository is None else _aimed(repository, git)


def start_refusal(repository: Repository) -> str | None:
    """Why no run can be started now: the ticket's edit would end up inside a rebase or merge.

    `repository` is one whose commits go to the branch that is checked out.
    """
    refusal = repository.commit_refusal()
    return None if refusal is None or repository.is_detached() else refusal


def commit_warning(workspace: Workspace, repository: Repository) -> str | None:
    """Why a report could not be committed as exp.toml wants it, if it wants that at all.

    Raises:
        InvalidFileError: exp.toml cannot be read.
    """
    git = load_config(workspace.root).git
    return _aimed(repository, git).commit_refusal() if git.commit == "milestones" else None


def _aimed(repository: Repository, git: GitConfig) -> Repository:
    return repository if git.branch == "current" else replace(repository, branch=git.branch)
