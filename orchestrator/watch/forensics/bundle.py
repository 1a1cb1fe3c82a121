"""A bundle is made beside its place and moved there whole: it is there, or it is made again."""

import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.clock import format_duration, format_utc
from orchestrator.domain.attempt import Failure
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import BY_US, AttemptState, RunRecord, StopRequest
from orchestrator.fsio import to_json
from orchestrator.watch.censor import Censor
from orchestrator.watch.forensics.ranks import (
    RankError,
    RankRecord,
    elastic_files,
    errors_of,
    ranks_json,
    records_of,
)
from orchestrator.watch.forensics.scene import MARGIN, PIECE, Scene, end_of_file
from orchestrator.watch.forensics.stacks import stacks_text
from orchestrator.watch.forensics.surroundings import (
    environment_json,
    git_json,
    gpus_json,
    kernel_log,
)
from orchestrator.workspace import RunFolder

log = logging.getLogger(__name__)
_LARGEST = 1 << 20  # bytes of one file of a bundle
_ASKED_FOR = {Cause.REQUEUE, Cause.STOPPED}
_IDLE = "idle budget"
_RANKS = 8  # in the summary
_SHOWN = 240  # characters of a line of it
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x1f\x7f]")


def is_worth_keeping(failure: Failure, stop: StopRequest | None) -> bool:
    """Whether an attempt ended otherwise than somebody wanted; a run that hung did, too."""
    hung = stop is not None and stop.by == BY_US and stop.why.startswith(_IDLE)
    return failure.cause not in _ASKED_FOR or hung


def preserve(folder: RunFolder, record: RunRecord, attempt: AttemptState, failure: Failure) -> None:
    """Write forensics/attempt-N/ of an attempt that has ended, once.

    Nothing here may stop what follows an end: what cannot be gathered is named in summary.md, and
    a bundle that cannot be written is left out. Takes seconds at most.
    """
    target = folder.forensics(attempt.number)
    if target.exists() or not is_worth_keeping(failure, attempt.stop):
        return
    draft = target.with_name(f".{target.name}.tmp")
    try:
        scene = Scene(
            folder=folder.attempt(attempt.number),
            record=record,
            attempt=attempt,
            failure=failure,
            censor=Censor.of(record, attempt.request),
        )
        shutil.rmtree(draft, ignore_errors=True)  # of a watcher that was killed
        draft.mkdir(parents=True)
        _gather(scene, draft)
        draft.rename(target)
    except Exception:
        log.warning("no forensics of attempt %d of %s", attempt.number, folder.id, exc_info=True)
        shutil.rmtree(draft, ignore_errors=True)


@dataclass(slots=True)
class _Bundle:
    """The draft of a bundle, and what could not be gathered for it."""

    scene: Scene
    folder: Path
    files: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def add(self, name: str, make: Callable[[], Any], limit: int = _LARGEST) -> None:
        """Write one part: the last characters of a text, other data as JSON, nothing for None."""
        try:
            made = make()
            if made is None:
                return
            self._write(name, made, limit)
            self.files.append(name)
        except Exception as error:  # one part must not cost the others
            log.warning("forensics: %s could not be gathered", name, exc_info=True)
            said = " ".join(str(error).split()) or type(error).__name__
            self.missing.append(f"{name}: {self.scene.censor.text(said)}")

    def _write(self, name: str, made: Any, limit: int) -> None:
        censor, path = self.scene.censor, self.folder / name
        if isinstance(made, str):
            data = censor.text(made)[-limit:].encode(errors="replace")
        else:
            data = to_json(censor.data(made))
            if len(data) > _LARGEST:
                raise ValueError(f"it would have {len(data):,} bytes")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


def _gather(scene: Scene, folder: Path) -> None:
    bundle = _Bundle(scene, folder)
    records: list[RankRecord] = []
    errors: list[RankError] = []

    def ranks() -> dict[str, Any]:
        records.extend(records_of(scene))
        errors.extend(errors_of(scene, records))
        return ranks_json(scene, records, errors)

    bundle.add("ranks.json", ranks)
    for rank, path in elastic_files(scene):
        name = f"{path.parent.parent.name}-rank-{rank}" if rank is not None else "root-cause"
        bundle.add(f"elastic/{name}.json", partial(_error_file, path))
    bundle.add("stacks.txt", lambda: stacks_text(scene))
    bundle.add("gpus.json", lambda: gpus_json(scene))
    bundle.add("kernel.log", lambda: kernel_log(scene))
    bundle.add("environment.json", lambda: environment_json(scene))
    bundle.add("git.json", lambda: git_json(scene))
    bundle.add("log-tail.txt", lambda: end_of_file(scene.folder.log, PIECE + MARGIN), PIECE)
    bundle.add("summary.md", lambda: "\n".join(_summary(bundle, records, errors)))


def _error_file(path: Path) -> Any:
    """A worker's error as data; as text where it is no JSON, None while it is empty."""
    text = end_of_file(path)
    try:
        return json.loads(text)
    except ValueError:
        return text or None


def _summary(bundle: _Bundle, records: list[RankRecord], errors: list[RankError]) -> Iterator[str]:
    """summary.md, in lines: one screen."""
    scene = bundle.scene
    failure, ended = scene.failure, scene.attempt.exit
    yield f"# {scene.record.id}, attempt {scene.folder.number}: {failure.cause}"
    yield ""
    yield f"- Evidence: {_line(failure.evidence)}"
    yield f"- Then: {_line(failure.why)}"
    if ended is not None:
        how = f"exit code {ended.code}" if ended.signal is None else f"signal {ended.signal}"
        took = format_duration(ended.seconds)
        yield f"- Ended: {format_utc(ended.ended)} after {took}, {how}"
    step = "none" if failure.step is None else f"{failure.step:,}"
    saved = "none" if failure.checkpoint is None else f"step {failure.checkpoint:,}"
    yield f"- Last step: {step}; newest checkpoint: {saved}"
    if errors:
        rank = "unknown" if errors[0].rank is None else errors[0].rank
        yield f"- First failing rank: {rank}: {_line(errors[0].error)} ({errors[0].source})"
    for record in records[:_RANKS]:
        values = ", ".join(f"{name} {value[1]}" for name, value in record.metrics.items())
        yield f"- Rank {record.rank}: step {record.step}, {_line(values) or 'no metric'}"
    if len(records) > _RANKS:
        yield f"- and {len(records) - _RANKS} more ranks: ranks.json"
    yield f"- Files: {', '.join(bundle.files)}"
    yield from (f"- Not gathered: {said}" for said in bundle.missing)
    yield ""


def _line(text: str) -> str:
    words = " ".join(_CONTROL.sub(" ", text).split())
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"
