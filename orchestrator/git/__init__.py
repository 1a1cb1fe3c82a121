"""The repository around a workspace: snapshots, ids over all branches, commits of our paths."""

from orchestrator.git.differences import Difference, Version, differences
from orchestrator.git.history import Commit, recent_commits
from orchestrator.git.identity import author_of
from orchestrator.git.moments import commit_at, commit_named
from orchestrator.git.repository import Repository, blob_id

__all__ = [
    "Commit",
    "Difference",
    "Repository",
    "Version",
    "author_of",
    "blob_id",
    "commit_at",
    "commit_named",
    "differences",
    "recent_commits",
]
