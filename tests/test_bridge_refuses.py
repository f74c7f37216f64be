"""td_bridge's reader against memory that lies, is half made, or belongs to another version."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
import ring_frames
from fake_engine import FakeEngine, RingReader, ring_mapping, rows
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine import layout
from engine.shm import Segment, unlink

LARGEST = 2**64 - 1
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="the segment lives by other rules on Windows")


# --- what cannot be read ---


def test_an_unknown_stream_names_those_that_exist(engine: FakeEngine) -> None:
    with closing(RingReader(engine.name, "figure")) as reader:
        assert reader.poll() is None and reader.state == "MISMATCH"
        assert "'figure'" in reader.message and "camera, output" in reader.message


def test_a_stream_without_a_ring_yet_is_waited_for(engine: FakeEngine) -> None:
    with closing(RingReader(engine.name, "camera")) as reader:
        assert reader.poll() is None and reader.state == "WAITING"


def test_a_row_that_is_being_written_is_waited_for(
    engine: FakeEngine, reader: RingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.publish(1)
    words, word = engine.directory.segment.words, (layout.STREAM_ROWS + layout.STREAM_ROW_BYTES) >> 3
    words[word] += 1
    assert reader.poll() is None and reader.state == "WAITING"
    words[word] += 1
    with monkeypatch.context() as busy:
        busy.setattr(ring_mapping, "fence", lambda: words.__setitem__(word, words[word] + 2))
        assert reader.poll() is None and reader.state == "WAITING"  # it changed while it was read
    assert rows(reader.poll()) == [2, 1]


def test_an_engine_of_another_user_is_a_sentence(
    engine: FakeEngine, reader: RingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise PermissionError(13, "not yours")

    monkeypatch.setattr(ring_mapping, "_map", refuse)
    assert reader.poll() is None and reader.state == "MISMATCH" and "same user" in reader.message


@pytest.mark.parametrize("name", ["", "Utsushi", "a/b", "../etc", "a" * 17, "ä", "a\0"])
def test_an_impossible_engine_name_is_a_sentence(name: str) -> None:
    reader = RingReader(name)
    assert reader.poll() is None and reader.state == "MISMATCH" and "name" in reader.message


@pytest.mark.parametrize("word", ["magic", "abi", "digest", "byte_order"])
def test_another_version_is_refused_with_what_to_do(engine: FakeEngine, reader: RingReader, word: str) -> None:
    engine.publish()
    engine.directory.segment.words[layout.COMMON[word] >> 3] ^= 1 << 40
    assert reader.poll() is None
    assert reader.state == "MISMATCH" and "another version" in reader.message and "td_bridge" in reader.message


@pytest.mark.parametrize("word", ["magic", "abi", "digest", "byte_order"])
def test_a_ring_of_another_version_is_refused(engine: FakeEngine, reader: RingReader, word: str) -> None:
    engine.publish()
    engine.ring.words[layout.COMMON[word] >> 3] ^= 1 << 40
    assert reader.poll() is None and reader.state == "MISMATCH"


def test_segments_that_are_not_ready_are_waited_for(
    engine: FakeEngine, reader: RingReader, clock: SimpleNamespace
) -> None:
    engine.publish(1)
    for words, word in (
        (engine.directory.segment.words, layout.COMMON["magic"]),
        (engine.directory.segment.words, layout.DIRECTORY["state"]),
        (engine.ring.words, layout.COMMON["magic"]),
    ):
        kept, words[word >> 3] = words[word >> 3], 0
        assert reader.poll() is None and reader.state == "WAITING"
        words[word >> 3] = kept
        clock.skip(2.1)
        engine.directory["beat_ns"] += 2_100_000_000
    assert rows(reader.poll()) == [2, 1]


@posix_only
@pytest.mark.parametrize("size", [0, 8, 4095])
def test_a_segment_that_has_no_size_yet_is_waited_for(name: str, reader: RingReader, size: int) -> None:
    import _posixshmem

    segment = f"utsu_{name}_dir"
    file = _posixshmem.shm_open("/" + segment, os.O_CREAT | os.O_RDWR, mode=0o600)
    try:
        os.ftruncate(file, size)
        assert reader.poll() is None and reader.state == "WAITING"
    finally:
        os.close(file)
        unlink(segment)


def test_a_segment_shorter_than_it_says_is_refused(name: str, reader: RingReader) -> None:
    short = Segment.create(f"utsu_{name}_dir", layout.PAGE, 1)
    short.publish()
    try:
        assert reader.poll() is None and reader.state == "MISMATCH"
        short.words[layout.COMMON["segment_bytes"] >> 3] = 1 << 40
        reader.close()
        assert reader.poll() is None and reader.state == "MISMATCH"
    finally:
        short.close()
        short.unlink()


@pytest.mark.parametrize(
    "about",
    [
        {"dtype": "float32"},
        {"dtype": "uint16"},
        {"channels": 3},
        {"pixel_format": "BGR"},
        {"channels": 2, "pixel_format": "NONE"},
        {"channels": 1, "pixel_format": "GRAY", "dtype": "float64"},
        {"pixel_format": "KEYPOINTS"},
        {"channels": 3, "pixel_format": "KEYPOINTS", "dtype": "float32"},
        {"height": 0},
    ],
)
def test_a_stream_of_something_else_is_a_sentence_and_keeps_the_picture(
    engine: FakeEngine, reader: RingReader, about: dict[str, Any]
) -> None:
    engine.publish(1)
    kept = reader.poll()
    engine.publish(**about)
    assert reader.poll() is None
    assert reader.state == "MISMATCH" and "'output'" in reader.message and reader.array is kept
    engine.publish(2)
    assert rows(reader.poll()) == [3, 2]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("seq", [7]),
        ("row_order", [2]),
        ("payload_bytes", [0]),
        ("payload_bytes", [2**63]),
        ("ndim", [2]),
        ("shape", [2, 3, 3]),
        ("shape", [3, 3, 4]),
        ("shape", [2**32 - 1, 2**32 - 1, 4]),
    ],
)
def test_a_frame_that_lies_about_itself_is_refused(
    engine: FakeEngine, reader: RingReader, field: str, values: list[int]
) -> None:
    engine.publish(1)
    engine.lie(field, *values)
    assert reader.poll() is None and reader.array is None
    assert reader.state == "MISMATCH" and "'output'" in reader.message


def test_a_frame_larger_than_its_slot_is_refused(engine: FakeEngine, reader: RingReader) -> None:
    engine.publish(1)
    engine.lie("shape", 1025, 1, 4)  # one row more than the 4096 bytes of a slot
    engine.lie("payload_bytes", 4100)
    assert reader.poll() is None and reader.state == "MISMATCH"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(8, layout.META_OFFSET + layout.META.size), data=st.binary(min_size=1, max_size=64))
def test_hostile_metadata_never_crashes(engine: FakeEngine, reader: RingReader, at: int, data: bytes) -> None:
    engine.publish(1)
    slot = slice(engine.slot() + at, engine.slot() + at + len(data))
    before = bytes(engine.ring.buffer[slot])
    engine.ring.buffer[slot] = data
    picture = reader.poll()
    assert reader.state != "ERROR"
    assert picture is None or picture.size in (24, 32)
    engine.ring.buffer[slot] = before


@pytest.mark.parametrize(
    ("word", "value"), [("slot_count", 0), ("slot_count", LARGEST), ("slot_capacity", 4097), ("session", 2)]
)
def test_an_impossible_ring_is_refused(engine: FakeEngine, reader: RingReader, word: str, value: int) -> None:
    engine.publish(1)
    engine.ring.words[{**layout.COMMON, **layout.RING}[word] >> 3] = value
    assert reader.poll() is None and reader.state == "MISMATCH" and "makes no sense" in reader.message


def test_an_impossible_number_of_streams_is_no_danger(engine: FakeEngine) -> None:
    engine.directory["stream_count"] = LARGEST
    with closing(RingReader(engine.name, "figure")) as reader:
        assert reader.poll() is None and reader.state == "MISMATCH"


WORDS = sorted({*layout.COMMON.values(), *layout.RING.values(), *layout.DIRECTORY.values()})
VALUES = st.one_of(st.integers(0, LARGEST), st.sampled_from([0, 1, 2, 3, 7, 4096, 8192, 2**32, 2**63, LARGEST]))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.booleans(), st.sampled_from(WORDS), VALUES), min_size=1, max_size=4))
def test_hostile_headers_never_crash(engine: FakeEngine, changes: list[tuple[bool, int, int]]) -> None:
    engine.beat()
    reader = RingReader(engine.name)
    engine.publish(1)
    kept = []
    for in_ring, word, value in changes:
        words = engine.ring.words if in_ring else engine.directory.segment.words
        kept.append((words, word, words[word >> 3]))
        words[word >> 3] = value
    picture = reader.poll()
    assert reader.state != "ERROR" and (picture is None or rows(picture) == [2, 1])
    for words, word, value in reversed(kept):
        words[word >> 3] = value
    reader.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 511), data=st.binary(min_size=1, max_size=128))
@example(at=256 + 0x60, data=b"../../etc/passwd\0")
@example(at=256 + 0x60, data=b"utsu_none\0")
@example(at=256, data=b"\1")
def test_hostile_rows_never_crash(engine: FakeEngine, at: int, data: bytes) -> None:
    engine.beat()
    reader = RingReader(engine.name)
    engine.publish(1)
    start = layout.STREAM_ROWS
    before = bytes(engine.directory.segment.buffer[start : start + 1024])
    engine.directory.segment.buffer[start + at : start + at + len(data)] = data
    reader.poll()
    assert reader.state in ("LIVE", "WAITING", "MISMATCH")
    engine.directory.segment.buffer[start : start + 1024] = before
    reader.close()


def test_a_fault_of_the_bridge_itself_does_not_stop_the_cook(
    engine: FakeEngine, reader: RingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.publish(1)
    with monkeypatch.context() as broken:
        broken.setattr(ring_frames, "form_of", lambda packed: 1 / 0)
        assert reader.poll() is None and reader.state == "ERROR" and "ZeroDivisionError" in reader.message
    assert rows(reader.poll()) == [2, 1]
