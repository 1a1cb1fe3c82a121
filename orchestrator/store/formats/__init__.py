"""Kinds of files that hold measurements, each with a decoder: new bytes in, values out.

Decoders know neither files nor the database. They never raise, whatever the bytes; what they must
remember between two bites is the cursor's memory, so that any bites give the same values.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.store.formats import log, tables, tfevents
from orchestrator.store.formats.found import Cursor, Found, Rules

Decoder = Callable[[Cursor, bytes | None, Rules], Iterator[Found]]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file; `prefix` stands before the names of the series that are read out of it."""

    name: str
    prefix: str
    decode: Decoder


TENSORBOARD = Format("tensorboard", "tensorboard/", tfevents.decode)
JSONL = Format("jsonl", "jsonl/", tables.decode_jsonl)
CSV = Format("csv", "csv/", tables.decode_csv)
LOG = Format("log", "log/", log.decode)
NO_RULES = Rules()
_SUFFIXES = {".jsonl": JSONL, ".ndjson": JSONL, ".csv": CSV, ".tsv": CSV, ".log": LOG, ".out": LOG}


def format_of(name: str) -> Format | None:
    """The format of a file by its name; None for files that are not read."""
    file = name.rpartition("/")[2]
    if ".tfevents." in file:
        return TENSORBOARD
    stem, dot, suffix = file.rpartition(".")
    return _SUFFIXES.get(dot + suffix.lower()) if stem else None


__all__ = [
    "CSV",
    "JSONL",
    "LOG",
    "NO_RULES",
    "TENSORBOARD",
    "Cursor",
    "Format",
    "Found",
    "Rules",
    "format_of",
]
