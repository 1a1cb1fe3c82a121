"""The tables. Rows never leave the store; their keys follow from the files, not from time.

Two databases built from the same files are equal row for row, whatever the order and the size of
the bites in which the files were read. A NaN is NULL in `point.value`, `stream.value` and
`series.value`, where no other NULL exists; in `verdict` it is the text 'NaN'. Infinities are
SQLite's own.
"""

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

# SQLAlchemy's name for WITHOUT ROWID: rows lie in the order of their key.
_CLUSTERED = {"sqlite_with_rowid": False}
_NOT_FINITE = "value IS NULL OR abs(value) > 1.7976931348623157e308"


class Table(SQLModel, registry=registry()):
    """Base with a registry of its own: no other package's tables are created here."""


class Migration(Table, table=True):
    """Steps that brought the schema here."""

    version: int = Field(primary_key=True)
    name: str


class Ticket(Table, table=True):
    """A parsed ticket file, valid while its size and its time of change are these."""

    path: str = Field(primary_key=True)
    id: str = Field(index=True)
    title: str
    status: str
    phase: str
    experiment: str | None
    after: str
    before: str
    checkboxes: str
    blob: str
    mtime_ns: int
    size: int


class Run(Table, table=True):
    """A run: record and state."""

    id: str = Field(primary_key=True)
    ticket: str | None = Field(index=True)
    title: str | None
    experiment: str | None
    created: float
    host: str
    executor: str
    status: str = Field(index=True)
    outcome: str | None
    why: str
    phase: str | None
    step: int | None
    planned_steps: int | None
    attempts: int
    started: float | None
    ended: float | None
    commit: str | None
    params: str


class Attempt(Table, table=True):
    """One launch of a run's commands."""

    __table_args__ = (ForeignKeyConstraint(["run"], ["run.id"], ondelete="CASCADE"), _CLUSTERED)

    run: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    started: float | None
    ended: float | None
    host: str | None
    pid: int | None
    code: int | None
    signal: int | None
    max_rss: int | None
    oom_kill: int | None
    error: str | None
    stop_by: str | None
    stop_why: str | None


class Source(Table, table=True):
    """A file of measurements and how far it was read.

    `tail` is a hash of the last bytes before `offset`, to notice a file that was replaced.
    `segment` counts how often the file's steps went back, `step` is the last one it named.
    `memory` is JSON: what the decoder of a format knows of what came before `offset`,
    None while that is nothing.
    """

    __table_args__ = (UniqueConstraint("run", "path"),)

    id: int = Field(primary_key=True)
    run: str
    path: str
    attempt: int
    offset: int
    line: int
    broken: int
    broken_lines: str
    tail: int
    segment: int
    step: int | None
    memory: str | None


class Stream(Table, table=True):
    """One metric in one file: its last point, and what tells where the next one belongs.

    `low_line` and `high_line` are where the extremes stand first; None also if an older version
    read them.
    """

    __table_args__ = (
        UniqueConstraint("source", "name"),
        ForeignKeyConstraint(["source"], ["source.id"], ondelete="CASCADE"),
        Index("stream_of_series", "run", "name"),
    )

    id: int = Field(primary_key=True)
    source: int
    run: str
    name: str
    count: int
    nonfinite: int
    low: float | None
    high: float | None
    max_step: int
    segment: int
    step: int
    time: float
    line: int
    value: float | None
    low_line: int | None
    high_line: int | None


class Series(Table, table=True):
    """One metric of a run over all its files; follows from `stream`, kept for quick reading."""

    __table_args__ = (_CLUSTERED,)

    run: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    count: int
    nonfinite: int
    low: float | None
    high: float | None
    max_step: int
    step: int
    time: float
    value: float | None


class Point(Table, table=True):
    """One value. Within a stream the order of lines is the order of (segment, step).

    No foreign key: checking it would cost a look-up for each of ten million rows.
    """

    __table_args__ = (
        Index("point_not_finite", "stream", "line", sqlite_where=text(_NOT_FINITE)),
        _CLUSTERED,
    )

    stream: int = Field(primary_key=True)
    line: int = Field(primary_key=True)
    segment: int
    step: int
    time: float
    value: float | None


class Event(Table, table=True):
    """One typed fact."""

    __table_args__ = (
        ForeignKeyConstraint(["source"], ["source.id"], ondelete="CASCADE"),
        _CLUSTERED,
    )

    source: int = Field(primary_key=True)
    line: int = Field(primary_key=True)
    name: str
    segment: int
    step: int
    time: float
    data: str


class Checkpoint(Table, table=True):
    """A checkpoint of a run, by its path."""

    __table_args__ = (ForeignKeyConstraint(["run"], ["run.id"], ondelete="CASCADE"), _CLUSTERED)

    run: str = Field(primary_key=True)
    path: str = Field(primary_key=True)
    attempt: int
    step: int
    bytes: int
    files: int
    time: float
    valid: bool


class Verdict(Table, table=True):
    """The verdict on one criterion, by its place in the ticket."""

    __table_args__ = (ForeignKeyConstraint(["run"], ["run.id"], ondelete="CASCADE"), _CLUSTERED)

    run: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    key: str
    text: str
    section: str
    required: bool
    state: str
    final: bool
    why: str
    value: float | None
    margin: float | None
    unit: str | None
    evidence: str | None
    polarity: str
    projection: str | None
    companions: str
