import math
import random
import struct
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake.decoding import decoded

from orchestrator.store.formats import TENSORBOARD, Cursor, Rules
from orchestrator.store.formats.tfevents import LARGEST, masked_crc

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.glob("*.tfevents.bin"))
(SMALL,) = struct.unpack("<f", struct.pack("<f", 1e-30))
VALUES = [(1, 0.5), (2, -0.25), (7, math.nan), (8, math.inf), (9, SMALL)]


def series(data):
    """tag → [(step, value)], with the lines of broken records under None."""
    found = {}
    for line, step, metrics in decoded(TENSORBOARD, data):
        for tag, value in (metrics or {None: line}).items():
            found.setdefault(tag, []).append((step, value))
    return found


def records(data):
    """Where each record begins, and where the last one ends."""
    places = [0]
    while places[-1] < len(data):
        (length,) = struct.unpack_from("<Q", data, places[-1])
        places.append(places[-1] + 12 + length + 4)
    return places


def record(body):
    """A record as TFRecord frames it."""
    header = struct.pack("<Q", len(body))
    return b"".join(
        (header, struct.pack("<I", masked_crc(header)), body, struct.pack("<I", masked_crc(body)))
    )


@pytest.mark.parametrize("name", ["torch", "torch_new_style", "tensorboardX"])
def test_what_a_writer_wrote_is_read(name):
    """Tags, steps and values of torch's writer, old and new, and of tensorboardX."""
    found = series((DATA / f"{name}.tfevents.bin").read_bytes())
    assert repr(found["train/loss"]) == repr(VALUES)
    if name == "torch_new_style":
        assert found["exact"] == [(1, 0.1)]
    else:
        assert found["eval/acc"] == [(10, 0.75)]
    assert set(found) <= {"train/loss", "eval/acc", "exact"}


def test_scalars_are_read_from_tensors_of_each_kind():
    """Values as packed fields or as memory; vectors, words and other plugins are passed over."""
    assert series((DATA / "tensors.tfevents.bin").read_bytes()) == {
        "float": [(3, 0.5)],
        "double": [(3, 0.1)],
        "half": [(3, 0.25)],
        "bfloat16": [(3, 1.5)],
        "int": [(3, -7.0)],
        "long": [(3, float(1 << 40))],
        "float_content": [(3, 0.125)],
        "double_content": [(3, 0.3)],
        "half_content": [(3, 2.5)],
        "m0": [(-4, 0.0)],
        "m1": [(-4, 1.0)],
        "m2": [(-4, 2.0)],
    }


def test_times_are_those_of_the_records():
    """A point is as old as its writer says."""
    data = (DATA / "tensors.tfevents.bin").read_bytes()
    times = {found.time for found in TENSORBOARD.decode(Cursor(), data, Rules())}
    assert times == {1.7e9}


def test_the_checksum_is_castagnoli_masked():
    """The check value of CRC-32C, masked as TFRecord does."""
    value = 0xE3069283
    assert masked_crc(b"123456789") == (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def test_damaged_data_costs_one_record():
    """A flipped bit in a record's data breaks that record; the next one is read."""
    data = bytearray((DATA / "torch.tfevents.bin").read_bytes())
    places = records(data)
    data[places[2] + 20] ^= 1
    found = series(bytes(data))
    assert found.pop(None) == [(0, 3)]
    assert [step for step, _ in found["train/loss"]] == [1, 7, 8, 9]
    assert found["eval/acc"] == [(10, 0.75)]


def test_a_damaged_header_ends_the_reading():
    """Where a length is damaged nobody knows where the next record begins: counted, and the end."""
    data = bytearray((DATA / "torch.tfevents.bin").read_bytes())
    data[records(data)[3]] ^= 1
    found = series(bytes(data))
    assert found.pop(None) == [(0, 4)]
    assert [step for step, _ in found["train/loss"]] == [1, 2]
    assert "eval/acc" not in found


def test_media_too_large_for_a_scalar_are_passed_over():
    """An image of megabytes is not looked into, and is no damage."""
    scalar = (DATA / "tensors.tfevents.bin").read_bytes()
    assert series(record(b"x" * (LARGEST + 1)) + scalar) == series(scalar)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_any_number_of_records_at_once_gives_the_same(path):
    """A decoder knows nothing of a bite."""
    data = path.read_bytes()
    assert repr(decoded(TENSORBOARD, data, cuts=records(data)[:-1])) == repr(
        decoded(TENSORBOARD, data)
    )


@given(st.binary(max_size=200))
def test_any_record_is_read_or_broken(body):
    """Bytes that are no message raise nothing, whatever they look like."""
    assert len(decoded(TENSORBOARD, record(body))) <= 1


@pytest.mark.parametrize("seed", range(20))
def test_any_damage_within_records_is_survived(seed):
    """Damaged messages with valid checksums are read or counted, never raised."""
    dice = random.Random(seed)
    data = dice.choice(FILES).read_bytes()
    places = records(data)
    whole = b""
    for begin, end in pairwise(places):
        body = bytearray(data[begin + 12 : end - 4])
        for _ in range(dice.randrange(4)):
            body[dice.randrange(len(body))] = dice.randrange(256)
        whole += record(bytes(body[: dice.choice((len(body), dice.randrange(len(body) + 1)))]))
    decoded(TENSORBOARD, whole)
