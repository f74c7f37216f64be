"""Shared memory in which anyone may have written anything: every reader and writer reads on, refuses, or begins anew.

None raises what is not one of our sentences, none waits for ever, and none reads outside the segment: NumPy and
memoryview check every place, and a process that did would end these tests with a signal.
"""

from __future__ import annotations

from contextlib import closing, suppress
from typing import Any

import numpy as np
import pytest
from fake_engine import FakeEngine, RingReader, new_name
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from supervisor_kit import Show, make_fixture, show_fixture  # noqa: F401

from engine import bus, layout, ring
from engine.directory import Directory
from engine.errors import EngineError
from engine.ring_reader import Policy
from engine.ring_reader import RingReader as NodeReader
from engine.ring_writer import RingWriter
from engine.stats import figures
from engine.stream import StreamReader

quick = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
LARGEST = 2**64 - 1
EDGES = [0, 1, 2, 3, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, LARGEST - 1, LARGEST]
word = st.integers(0, LARGEST) | st.sampled_from(EDGES)
STATES = ["LIVE", "HELD", "PLACEHOLDER", "WAITING", "STALE", "STOPPED", "MISMATCH"]
HEADER = sorted({*layout.COMMON.values(), *layout.RING.values()})
LINE = range(layout.READER_LINES, layout.READER_LINES + layout.READER_LINE_BYTES, 8)
SLOT = range(0, layout.META_OFFSET + layout.META.size, 8)


def words_at(places: Any) -> Any:
    """Some of the places (byte offsets), each with any value."""
    return st.dictionaries(st.sampled_from(list(places)), word, min_size=1, max_size=6)


def scribble(segment: Any, start: int, found: dict[int, int]) -> None:
    for at, value in found.items():
        segment.words[(start + at) >> 3] = value


# --- readers ---


@quick
@given(header=words_at(HEADER), slot=words_at(SLOT))
def test_a_node_reads_on_or_refuses_whatever_stands_in_a_ring(header: dict[int, int], slot: dict[int, int]) -> None:
    with closing(FakeEngine(new_name())) as engine, closing(Directory.attach(engine.name)) as directory:
        readers = [StreamReader(directory, 1, policy) for policy in (Policy.LATEST, Policy.EVERY)]
        engine.publish(1)
        engine.publish(2)
        at = engine.slot()
        for start, found in ((at, slot), (0, header)):
            scribble(engine.ring, start, found)
            for reader in (*readers, *_attached(directory)):
                for _ in range(6):
                    with suppress(EngineError):
                        frame = reader.read()
                        assert frame is None or frame.array.nbytes <= engine.ring.size
                    assert reader.ended in (True, False) and reader.ring.pending in (True, False)
        for reader in readers:
            reader.close()


def _attached(directory: Directory) -> list[StreamReader]:
    try:
        return [StreamReader(directory, 1, Policy.LATEST)]
    except EngineError:
        return []


@quick
@given(
    header=words_at(HEADER), slot=words_at(SLOT), row=words_at([*layout.DIRECTORY.values(), *layout.COMMON.values()])
)
def test_the_bridge_shows_or_says_whatever_stands_in_memory(
    header: dict[int, int], slot: dict[int, int], row: dict[int, int]
) -> None:
    name = new_name()
    with closing(FakeEngine(name)) as engine, closing(RingReader(name)) as reader:
        engine.publish(1)
        reader.poll()
        engine.publish(2)
        at = engine.slot()
        directory = engine.directory.segment
        for segment, start, found in ((engine.ring, at, slot), (engine.ring, 0, header), (directory, 0, row)):
            scribble(segment, start, found)
            with closing(RingReader(name)) as fresh:
                for one in (reader, fresh):
                    one.poll()
                    one.poll()
                    assert one.state in STATES and (one.state == "LIVE" or one.message.endswith((".", ".py")))
                    assert set(one.streams().values()) <= {"", *layout.PIXEL_FORMATS}


rows = st.binary(max_size=layout.STREAM_ROW_BYTES)


@quick
@given(rows, st.integers(0, layout.STREAM_ROW_BYTES - 1))
@example(b"../../etc/passwd\0", layout.STREAM["segment"])
@example(b"/dev/null\0", layout.STREAM["segment"])
@example(b"\xff" * 64, layout.STREAM["segment"])
@example(b"a" * 64, layout.STREAM["segment"])
@example(b"\0" * 64, layout.STREAM["segment"])
def test_any_row_of_the_directory_is_followed_or_refused(data: bytes, at: int) -> None:
    name = new_name()
    with closing(FakeEngine(name)) as engine, closing(RingReader(name)) as bridge:
        engine.publish(1)
        start = layout.STREAM_ROWS + layout.STREAM_ROW_BYTES + at
        data = data[: layout.STREAM_ROW_BYTES - at]
        engine.directory.segment.buffer[start : start + len(data)] = data
        bridge.poll()
        assert bridge.state in STATES
        with closing(Directory.attach(name)) as directory, suppress(EngineError):
            StreamReader(directory, 1, Policy.LATEST).close()


# --- the next writer ---


@quick
@given(header=words_at([*layout.RING.values()][8:]), marks=st.lists(word, max_size=4), slot=words_at(SLOT))
def test_a_new_writer_makes_a_ring_whole_again_whatever_was_written_there(
    header: dict[int, int], marks: list[int], slot: dict[int, int]
) -> None:
    with closing(FakeEngine(new_name())) as engine:
        reader = NodeReader(engine.ring, Policy.LATEST)
        engine.publish(1)
        assert reader.read() is not None
        scribble(engine.ring, engine.slot(), slot)
        for index, mark in enumerate(marks):
            engine.ring.words[engine.writer.geometry.slot(index) >> 3] = mark
        scribble(engine.ring, 0, header)
        engine.ring.words[ring.WORD["state"]] = layout.STATES["READY"]
        engine.ring.words[ring.WORD["granted_epoch"]] = 7
        successor = RingWriter(engine.ring, 7)
        for value in range(6):
            with successor.begin((2, 2, 4)) as written:
                written.array[...] = value
        late = NodeReader(engine.ring, Policy.LATEST).read()
        assert late is not None and (late.array == 5).all() and late.ordinal <= late.seq


@quick
@given(words_at(LINE), st.sampled_from([Policy.LATEST, Policy.EVERY]))
def test_a_reader_that_finds_nonsense_in_its_line_begins_anew(found: dict[int, int], policy: Policy) -> None:
    name = f"utsu_{new_name()}"
    segment = ring.create(name, 1, capacity=64, readers=1)
    try:
        segment.words[ring.WORD["granted_epoch"]] = 1
        writer = RingWriter(segment, 1)
        for _ in range(3):
            writer.begin((2, 2)).__exit__(None, None, None)
        scribble(segment, 0, found)
        reader = NodeReader(segment, policy, 0, port=0)
        for _ in range(5):
            writer.begin((2, 2)).__exit__(None, None, None)
            for _ in range(4):
                reader.read()
        assert reader.books.last_seq == 8 and 0 <= reader.books.missed <= 8 and 0 <= reader.books.lost <= 8
    finally:
        segment.close()
        segment.unlink()


# --- the supervisor ---


@quick
@given(
    node=words_at(range(0x40, layout.NODE["text"], 8)),
    step=st.lists(word, max_size=20),
    line=words_at(LINE),
    text=st.binary(max_size=80),
)
@example(node={}, step=[LARGEST] * 20, line={}, text=b"")
def test_a_supervisor_lives_with_what_its_nodes_write(
    show: Show, node: dict[int, int], step: list[int], line: dict[int, int], text: bytes
) -> None:
    segment = show.engine.directory.segment
    start = layout.NODE_ROWS + layout.NODE_ROW_BYTES
    kept = bytes(segment.buffer[start : start + layout.NODE_ROW_BYTES])
    try:
        scribble(segment, start, node)
        segment.buffer[start + layout.NODE["text"] : start + layout.NODE["text"] + len(text)] = text
        for index, value in enumerate(step):
            for where in ("step_ns", "latency_ns"):
                segment.words[((start + layout.NODE[where]) >> 3) + index] = value
        scribble(show.engine.rings.streams[0].ring, 0, line)
        assert show.tick(1.1)
        found = figures(show.engine.lives, show.engine.last_lives(), show.engine.rings)
        assert bus.decode(bus.encode(bus.Stats(figures=found)))
        Directory(segment).health()
    finally:
        segment.buffer[start : start + layout.NODE_ROW_BYTES] = kept


@pytest.mark.parametrize("seed", range(3))
def test_noise_all_over_a_running_engines_memory_ends_nobody(show: Show, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for segment in (show.engine.directory.segment, *(stream.ring for stream in show.engine.rings.streams)):
        segment.data[layout.COMMON["segment_bytes"] + 8 :] = rng.integers(
            0, 256, segment.size - layout.COMMON["segment_bytes"] - 8, np.uint8
        )
    for _ in range(30):
        assert show.tick(0.7)
    assert show.ask(bus.Stats())
