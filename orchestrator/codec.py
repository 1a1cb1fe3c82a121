"""Plain data ↔ the frozen dataclasses of the domain, checked.

pydantic is asked only about data that does not plainly fit: it converts what may be converted and
explains the rest. Who reads only what we wrote ourselves does not pay for loading it.
"""

from dataclasses import asdict
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from orchestrator.errors import InvalidFileError
from orchestrator.fitting import MisfitError, fit
from orchestrator.fsio import read_json, to_json

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


def encode(value: Any) -> bytes:
    """Encode a domain dataclass as JSON; equal values give equal bytes."""
    return to_json(asdict(value))


def read_record(kind: type[T], path: Path) -> T:
    """Read a JSON file as `kind`.

    Raises:
        InvalidFileError: torn, no JSON, or not of that shape; names file, key and value.
        FileNotFoundError: there is none.
    """
    return decode(kind, read_json(path), source=str(path))


def read_record_if_present(kind: type[T], path: Path) -> T | None:
    """Read a JSON file as `kind`, or None if it is absent.

    An unchanged file is not read again: the watcher asks twice a second.

    Raises:
        InvalidFileError: as `read_record`.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
    record: T = _remembered(cast("Hashable", kind), path, stamp)
    return record


@lru_cache(maxsize=4096)
def _remembered(kind: Any, path: Path, _stamp: tuple[int, int, int]) -> Any:
    return read_record(kind, path)


def decode(kind: type[T], data: Any, *, source: str) -> T:
    """Check plain data against `kind`.

    Raises:
        InvalidFileError: names source, key, value and what was expected.
    """
    try:
        fitted: T = fit(kind, data)
    except MisfitError:
        return _validated(kind, data, source)
    return fitted


def _validated(kind: type[T], data: Any, source: str) -> T:
    from pydantic import ValidationError  # noqa: PLC0415 - 100 ms, for what does not plainly fit

    try:
        checked: T = _adapter(cast("Hashable", kind)).validate_python(data)
    except ValidationError as error:
        raise InvalidFileError(_explain(error, source), hint=f"edit {source}") from error
    return checked


@cache
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter  # noqa: PLC0415 - see above

    return TypeAdapter(kind)


def _explain(error: "ValidationError", source: str) -> str:
    """One line a wrong key: `file: key = value: what is wrong`."""
    lines = []
    for problem in error.errors():
        key = (
            ".".join(str(part) for part in problem["loc"] if not _is_branch(part)) or "(top level)"
        )
        if problem["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
            lines.append(f"{source}: {key}: unknown key")
        elif problem["type"] in {"missing", "missing_argument"}:
            lines.append(f"{source}: {key}: missing")
        else:
            said = problem["msg"].replace("valid tuple", "list")  # TOML and JSON have no tuples
            lines.append(f"{source}: {key} = {problem['input']!r}: {said}")
    return "\n".join(dict.fromkeys(lines))


def _is_branch(part: int | str) -> bool:
    """Pydantic names the branch of a union it tried; people did not write that key."""
    return isinstance(part, str) and (part.endswith(("]", ")")) or part in {"int", "float", "str"})
