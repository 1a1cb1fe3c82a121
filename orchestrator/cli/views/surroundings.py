"""Queue and commits in a line each."""

import time
from collections.abc import Iterable

from rich.text import Text

from orchestrator.actions.queue import WaitingRun
from orchestrator.cli.views.pulse import brief
from orchestrator.cli.views.words import plain
from orchestrator.git import Commit


def queue_lines(rows: Iterable[WaitingRun]) -> Text:
    """Place, run, ticket, what it waits for."""
    return Text("\n").join(
        Text.assemble(
            f"{row.position}. ", (row.run, "bold"), f" {row.ticket or ''} ", plain(row.why)
        )
        for row in rows
    )


def commit_lines(rows: Iterable[Commit]) -> Text:
    """Id, age, subject."""
    return Text("\n").join(
        Text.assemble(
            (row.id, "cyan"),
            (f" {brief(time.time() - row.time):>6} ", "dim"),
            plain(row.subject),
        )
        for row in rows
    )
