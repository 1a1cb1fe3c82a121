"""Which criteria of a run are alarms, without paying for the whole record."""

from collections.abc import Iterable

from orchestrator.errors import InvalidFileError
from orchestrator.fsio import read_json
from orchestrator.store.rows import VerdictRow
from orchestrator.workspace import RunFolder

_BESIDE = "verification plan"


def alarm_keys(folder: RunFolder, rows: Iterable[VerdictRow]) -> frozenset[str]:
    """Keys of the lines that must not become true.

    run.json is looked at only if a line does not gate, and not because of its section: most
    tickets have no such line, and every dashboard asks for every ticket.
    """
    if all(row.required or row.section.casefold() == _BESIDE for row in rows):
        return frozenset()
    try:
        record = read_json(folder.record_file)
        return frozenset(
            criterion["key"]
            for criterion in record["criteria"]
            if criterion["reading"].get("polarity") == "inverted"
        )
    except (FileNotFoundError, InvalidFileError, KeyError, TypeError):
        return frozenset()
