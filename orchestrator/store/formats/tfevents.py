"""TensorBoard event files: TFRecords of protobuf `Event`s, read for their scalars.

A record is its length (8 bytes), a masked CRC-32C of these, the data, and one of the data.
Field numbers are those of tensorflow/core/util/event.proto and framework/summary.proto and
tensor.proto; what is no scalar (text, images, histograms, graphs) is passed over.
"""

import struct
from collections.abc import Iterator

from orchestrator.store.formats.found import Cursor, Found, Rules, broken
from orchestrator.store.formats.values import as_time

HEADER = 12  # bytes before the data of a record
FOOTER = 4
LARGEST = 1 << 18  # bytes; a larger record holds media and is passed over unread
_MASK = 0xA282EAD8
_ALL = 0xFFFFFFFF

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOAT, _DOUBLE, _INT32, _INT64, _HALF, _BFLOAT16 = 1, 2, 3, 9, 19, 14
_CONTENT = {_FLOAT: "<f", _DOUBLE: "<d", _INT32: "<i", _INT64: "<q", _HALF: "<e"}
# Fields of TensorProto that hold values: floats by their packing, and integers.
_FLOATS = {5: "<f", 6: "<d"}
_VARINTS = {7, 10, 13}  # int_val, int64_val, half_val
_FIRST = (1, _BYTES)
_SIZES = {_FIXED64: 8, _FIXED32: 4}


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC = _table()


def masked_crc(data: bytes) -> int:
    """CRC-32C (Castagnoli) of `data`, rotated and shifted as TFRecord stores it."""
    value, table = _ALL, _CRC
    for byte in data:
        value = table[(value ^ byte) & 255] ^ (value >> 8)
    value ^= _ALL
    return (((value >> 15) | (value << 17)) + _MASK) & _ALL


def record_length(header: bytes) -> int | None:
    """Bytes of data behind a whole header; None if the header itself is damaged."""
    length, crc = struct.unpack_from("<QI", header)
    return int(length) if masked_crc(header[:8]) == crc else None


def decode(cursor: Cursor, data: bytes | None, _rules: Rules) -> Iterator[Found]:
    """Scalars of whole records; None stands for one record too large to hold any.

    A damaged header hides where the next record begins: the file is read no further.
    """
    if data is None:
        cursor.line += 1
        return
    at = 0
    while at + HEADER <= len(data) and not cursor.memory.get("stopped"):
        cursor.line += 1
        length = record_length(data[at : at + HEADER])
        if length is None:
            cursor.memory["stopped"] = True
            yield broken(cursor.line)
            return
        body = data[at + HEADER : at + HEADER + length]
        (crc,) = struct.unpack_from("<I", data, at + HEADER + length)
        at += HEADER + length + FOOTER
        if length > LARGEST:
            continue
        found = _event(cursor.line, body) if masked_crc(body) == crc else broken(cursor.line)
        if found.metrics is None or found.metrics:
            yield found


def _event(line: int, body: bytes) -> Found:
    time, step, metrics = None, 0, dict[str, float]()
    try:
        for number, kind, value, part in _fields(body):
            if (number, kind) == (1, _FIXED64):
                time = as_time(struct.unpack("<d", part)[0])
            elif (number, kind) == (2, _VARINT):
                step = _signed(value)
            elif (number, kind) == (5, _BYTES):
                metrics |= _summary(part)
    except (ValueError, struct.error, IndexError):
        return broken(line)
    return Found(line, step, time, metrics)


def _summary(body: bytes) -> dict[str, float]:
    values = (_value(part) for number, kind, _, part in _fields(body) if (number, kind) == _FIRST)
    return {tag: value for tag, value in values if tag and value is not None}


def _value(body: bytes) -> tuple[str, float | None]:
    """Tag and number of one value of a summary; None for what is no scalar."""
    tag, value, plugin = "", None, "scalars"
    for number, kind, _, part in _fields(body):
        if (number, kind) == _FIRST:
            tag = part.decode(errors="replace")
        elif (number, kind) == (2, _FIXED32):
            value = float(struct.unpack("<f", part)[0])
        elif (number, kind) == (8, _BYTES):
            value = _tensor(part)
        elif (number, kind) == (9, _BYTES):
            plugin = _plugin(part) or plugin
    return tag, value if plugin == "scalars" else None


def _plugin(body: bytes) -> str:
    """The plugin that metadata name; older writers give none for scalars."""
    for number, kind, _, part in _fields(body):
        if (number, kind) == _FIRST:
            inner = (name for field, wire, _, name in _fields(part) if (field, wire) == _FIRST)
            return next(inner, b"").decode(errors="replace")
    return ""


def _tensor(body: bytes) -> float | None:
    """The value of a tensor of exactly one number; None for any other."""
    dtype, values = 0, list[float]()
    for number, kind, value, part in _fields(body):
        if (number, kind) == (1, _VARINT):
            dtype = value
        elif (number, kind) == (4, _BYTES):
            values += _content(dtype, part)
        elif number in _FLOATS and kind in {_BYTES, _FIXED32, _FIXED64}:
            values += [float(one) for (one,) in struct.iter_unpack(_FLOATS[number], part)]
        elif number in _VARINTS and kind in {_BYTES, _VARINT}:
            packed = [value] if kind == _VARINT else _varints(part)
            values += [_integer(dtype, one) for one in packed]
    return values[0] if len(values) == 1 else None


def _content(dtype: int, part: bytes) -> list[float]:
    """Values as they lie in memory; every writer names the type before them."""
    if dtype == _BFLOAT16:
        return [_bfloat16(one) for (one,) in struct.iter_unpack("<H", part)]
    if dtype not in _CONTENT:
        return []
    return [float(one) for (one,) in struct.iter_unpack(_CONTENT[dtype], part)]


def _integer(dtype: int, value: int) -> float:
    """A number in a field of integers: floats of 16 bits lie there as their bits."""
    if dtype == _BFLOAT16:
        return _bfloat16(value & 0xFFFF)
    if dtype == _HALF:
        return float(struct.unpack("<e", struct.pack("<H", value & 0xFFFF))[0])
    return float(_signed(value))


def _bfloat16(bits: int) -> float:
    return float(struct.unpack("<f", struct.pack("<I", bits << 16))[0])


def _varints(part: bytes) -> list[int]:
    values, at = [], 0
    while at < len(part):
        value, at = _varint(part, at)
        values.append(value)
    return values


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _fields(body: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(field number, wire type, integer, bytes) of a message, one of the last two being empty.

    Raises ValueError or IndexError where the message is cut off or none.
    """
    at = 0
    while at < len(body):
        key, at = _varint(body, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(body, at)
            yield number, kind, value, b""
            continue
        size = _SIZES.get(kind)
        if kind == _BYTES:
            size, at = _varint(body, at)
        if size is None or at + size > len(body):
            raise ValueError("no message, or cut off")
        yield number, kind, 0, body[at : at + size]
        at += size


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift <= 63:
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & ((1 << 64) - 1), at
        shift += 7
    raise ValueError("a number of more than 64 bits")
