"""Plain data into a dataclass whose annotations it fits as it is, without a validator.

Records that we wrote ourselves fit. Whatever does not is left to the validator, which knows what
may be converted and explains the rest; it costs 100 ms to load, and a status page 400 in all.
"""

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from enum import EnumType
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_SCALARS = (str, int, float, bool, NoneType)


class MisfitError(Exception):
    """The data is not plainly of that kind."""


def fit(kind: Any, data: Any) -> Any:
    """The value of `kind` that plain data stands for.

    A list becomes a tuple, a text an enum's member, a whole number a float, where so annotated.

    Raises:
        MisfitError: anything else than that is needed, or the data is wrong.
    """
    return _fitter(kind)(data)


@cache
def _fitter(kind: Any) -> Callable[[Any], Any]:
    """What turns plain data into `kind`."""
    if is_dataclass(kind):
        return _dataclass(kind)
    if kind in _SCALARS:
        return _scalar(kind)
    if kind is Any:
        return lambda data: data
    if isinstance(kind, EnumType):
        return _member(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _literal(inner)
    if origin in {Union, UnionType}:
        return _union(inner)
    if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        return _sequence(_fitter(inner[0]))
    if origin is dict and inner[0] is str:
        return _mapping(_fitter(inner[1]))
    return _nothing


def _nothing(_data: Any) -> Any:
    raise MisfitError


def _scalar(kind: type) -> Callable[[Any], Any]:
    def read(data: Any) -> Any:
        if type(data) is kind:
            return data
        if kind is float and type(data) is int:
            return float(data)
        raise MisfitError

    return read


def _member(kind: Any) -> Callable[[Any], Any]:
    members = {member.value: member for member in kind}

    def read(data: Any) -> Any:
        if type(data) is not str or data not in members:
            raise MisfitError
        return members[data]

    return read


def _literal(allowed: tuple[Any, ...]) -> Callable[[Any], Any]:
    def read(data: Any) -> Any:
        if type(data) is not str or data not in allowed:
            raise MisfitError
        return data

    return read


def _union(kinds: tuple[Any, ...]) -> Callable[[Any], Any]:
    """Something or None, or one of several scalars by its exact type."""
    others = [kind for kind in kinds if kind is not NoneType]
    if len(others) == 1:
        present = _fitter(others[0])
        return lambda data: None if data is None else present(data)

    def read(data: Any) -> Any:
        if type(data) in kinds and type(data) in _SCALARS:
            return data
        raise MisfitError

    return read


def _sequence(item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(data: Any) -> Any:
        if not isinstance(data, list | tuple):
            raise MisfitError
        return tuple(map(item, data))

    return read


def _mapping(value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(data: Any) -> Any:
        if type(data) is not dict or any(type(key) is not str for key in data):
            raise MisfitError
        return {key: value(held) for key, held in data.items()}

    return read


def _dataclass(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    readers = {field.name: _fitter(hints[field.name]) for field in fields(kind)}
    needed = {
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    }
    strict = getattr(kind, "__pydantic_config__", {}).get("extra") == "forbid"

    def read(data: Any) -> Any:
        if type(data) is not dict or not needed <= data.keys():
            raise MisfitError
        if strict and not data.keys() <= readers.keys():
            raise MisfitError
        held = {name: readers[name](value) for name, value in data.items() if name in readers}
        try:
            return kind(**held)
        except ValueError as error:  # what a class itself demands
            raise MisfitError from error

    return read
