"""Every error a user can meet, with its exit code.

    ExpError                 1   something failed; the message says what and where
    ├── UsageError           2   the command line itself is wrong
    ├── NotFoundError        3   no such ticket, run, experiment or workspace
    ├── InvalidFileError     4   a ticket, spec or record cannot be read as what it should be
    │   └── DamagedIndexError    the index itself; a watcher makes it again
    ├── RefusedError         5   a rule of the workflow forbids it (dependency, status, git state)
    ├── ConflictError        6   somebody else holds it: a live run, a lock, a duplicate id
    ├── EnvironmentFailure   7   disk, permissions, git, a missing program
    ├── RunFailedError       8   the run that was followed did not complete
    └── RehearsalFailedError 10  a step of the rehearsal stands against a start

`hint` is the next command or edit; the command line prints it on its own line.
"""


class ExpError(Exception):
    """Base of all errors that are shown to the user without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(ExpError):
    """The command line itself is wrong."""

    exit_code = 2


class NotFoundError(ExpError):
    """No such ticket, run, experiment or workspace."""

    exit_code = 3


class InvalidFileError(ExpError):
    """A file cannot be read as what it should be."""

    exit_code = 4


class DamagedIndexError(InvalidFileError):
    """The index was damaged or removed under its user; everything in it comes from files."""


class RefusedError(ExpError):
    """A rule of the workflow forbids it; the hint says how to go on."""

    exit_code = 5


class ConflictError(ExpError):
    """Somebody else holds what is asked for."""

    exit_code = 6


class EnvironmentFailure(ExpError):  # noqa: N818 - EnvironmentError is Python's own alias of OSError
    """The machine does not allow it: disk, permissions, git, a missing program."""

    exit_code = 7


class RunFailedError(ExpError):
    """The run that was followed did not complete."""

    exit_code = 8


class RehearsalFailedError(ExpError):
    """A step of the rehearsal stands against a start; 9 is that of an undecided check."""

    exit_code = 10
