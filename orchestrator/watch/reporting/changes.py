"""What is another since then: files of the code, and settings of the run."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.domain.run import RunRecord
from orchestrator.errors import ExpError
from orchestrator.git import Repository, Version, differences
from orchestrator.report.changes import Changes, FileChange, SettingChange, Since
from orchestrator.report.words import flat
from orchestrator.watch.live import newest_attempt
from orchestrator.watch.reporting.subject import Subject

_OURS = re.compile(r"(?:^|/)reports/T-\d{4,}/")


def changes_since(subject: Subject, since: Since | None) -> Changes:
    """Files and settings that differ from then; a repository that cannot tell tells nothing."""
    if since is None:
        return Changes()
    before = next((ran for ran in subject.others if ran.id == since.run), None)
    settings: tuple[SettingChange, ...] = ()
    if before is not None:
        request = newest_attempt(before.folder, before.record).attempt.request
        then = before.record.params | (request.settings if request is not None else {})
        settings = tuple(
            _settings(_told(before.record, then), _told(subject.record, subject.settings))
        )
    return Changes(since=since, files=_files(subject, since), settings=settings)


def _told(record: RunRecord, params: Mapping[str, Any]) -> dict[str, str]:
    """All that was set, written out; the seed and the resources beside the parameters."""
    resources = {name: value for name, value in record.resources.items() if value}
    told = dict(flat({"resources": resources})) if resources else {}
    if record.seed is not None:
        told["seed"] = str(record.seed)
    return told | dict(flat(dict(params)))


def _settings(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[SettingChange]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield SettingChange(name=name, before=before.get(name), after=after.get(name))


def _files(subject: Subject, since: Since) -> tuple[FileChange, ...]:
    """Files of the code that the two ran; tickets and reports, which the tool writes, left out."""
    state = subject.record.git
    if since.commit is None or state is None or state.commit is None:
        return ()
    before = next((ran for ran in subject.others if ran.id == since.label), None)
    then = Version(commit=since.commit, patch=before.folder.patch if before else None)
    now = Version(commit=state.commit, patch=subject.folder.patch)
    try:
        repository = Repository.find(subject.workspace.root)
        found = differences(repository, then, now) if repository is not None else None
    except ExpError:
        return ()  # a report is not lost to a repository that is broken
    if repository is None or found is None:
        return ()
    root, tickets = repository.root.resolve(), subject.workspace.tickets.resolve()
    own = f"{tickets.relative_to(root).as_posix()}/" if tickets.is_relative_to(root) else "\0"
    return tuple(
        FileChange(path=each.path, how=each.how, added=each.added, deleted=each.deleted)
        for each in found
        if not each.path.startswith(own) and not _OURS.search(each.path)
    )
