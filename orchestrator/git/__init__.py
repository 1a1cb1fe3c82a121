"""The repository around a workspace: snapshots, ids over all branches, commits of our paths."""

from orchestrator.git.history import Commit, recent_commits
from orchestrator.git.identity import author_of
from orchestrator.git.repository import Repository, blob_id

__all__ = ["Commit", "Repository", "author_of", "blob_id", "recent_commits"]
