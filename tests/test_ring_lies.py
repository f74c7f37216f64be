"""Headers and metadata that lie: refused with a sentence, or read no further than they reach."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

import pytest
from fake_engine import meta_offset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ring_kit import put, read

from engine import layout, ring
from engine.errors import LayoutMismatch
from engine.ring_reader import Policy, RingReader
from engine.ring_writer import RingWriter
from engine.shm import Segment


@pytest.mark.parametrize(
    "header",
    [
        {"slot_count": 2},
        {"slot_stride": 4096 + 4, "slot_capacity": 4},  # words would not be aligned
        {"slot_stride": 4096, "slot_capacity": 0, "slot_count": 9},  # the last slot would lie beyond the end
    ],
)
def test_a_header_that_lies_consistently_is_refused(owner: Segment, header: dict[str, int]) -> None:
    for word, value in header.items():
        owner.words[ring.WORD[word]] = value
    with pytest.raises(LayoutMismatch):
        RingReader(owner, Policy.LATEST)


def lie(owner: Segment, writer: RingWriter, **fields: Any) -> None:
    """Change what the newest frame says of itself behind the reader's back."""
    for field, value in fields.items():
        code = dict(layout.META_FIELDS)[field]
        values = value if isinstance(value, tuple) else (value,)
        data = struct.pack(f"<{len(values)}{code[-1]}", *values)
        at = writer.geometry.slot(writer.head) + meta_offset(field)
        owner.buffer[at : at + len(data)] = data


@pytest.mark.parametrize(
    "fields",
    [
        {"shape": (8192, 2), "payload_bytes": 16384},  # consistent, but reaches into the next slot
        {"shape": (8, 9)},
        {"payload_bytes": 63},
        {"ndim": 7, "shape": (8, 8, 1, 1, 1, 1)},
        {"dtype": 99},
        {"seq": 2},
    ],
)
def test_metadata_is_believed_only_where_it_can_be_true(
    owner: Segment, writer: RingWriter, fields: dict[str, Any]
) -> None:
    put(writer)
    lie(owner, writer, **fields)
    with pytest.raises(LayoutMismatch):
        read(owner)


@pytest.mark.parametrize(("field", "known"), [("pixel_format", "NONE"), ("row_order", "TOP_DOWN")])
def test_an_unknown_format_is_no_reason_to_fail(owner: Segment, writer: RingWriter, field: str, known: str) -> None:
    put(writer)
    lie(owner, writer, **{field: 99})
    frame = read(owner)
    assert getattr(frame, field) == known and (frame.array == 1).all()


@pytest.mark.parametrize("many", [17, (1 << 32) - 1])
def test_no_more_people_and_sources_are_believed_than_there_is_room_for(
    owner: Segment, writer: RingWriter, many: int
) -> None:
    put(writer, ids=range(20))
    lie(owner, writer, people=many, source_count=many)
    frame = read(owner)
    assert frame.ids == tuple(range(layout.MAX_PEOPLE)) and len(frame.sources) == layout.MAX_SOURCES


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(min_size=layout.META.size, max_size=layout.META.size))
def test_any_bytes_are_a_frame_or_refused(owner: Segment, writer: RingWriter, data: bytes) -> None:
    put(writer)
    at = writer.geometry.slot(writer.head) + layout.META_OFFSET
    owner.buffer[at : at + len(data)] = struct.pack("<Q", writer.head) + data[8:]
    with suppress(LayoutMismatch):
        assert read(owner).array.nbytes <= writer.geometry.capacity


def test_pictures_of_many_kinds_may_follow_each_other(owner: Segment, writer: RingWriter) -> None:
    """Both sides remember the form of the last frames; a remembered one must never stand for another."""
    reading = RingReader(owner, Policy.EVERY)
    kinds: list[tuple[tuple[int, ...], str]] = [
        ((4, 4), "uint8"),
        ((16,), "uint8"),
        ((4,), "float32"),
        ((2, 2), "int32"),
    ]
    for number in range(24):
        shape, dtype = kinds[(number + number // 8) % 4]
        with writer.begin(shape, dtype) as slot:
            slot.array[...] = number
        frame = reading.read()
        assert frame is not None and (frame.shape, frame.dtype) == (shape, dtype) and (frame.array == number).all()
