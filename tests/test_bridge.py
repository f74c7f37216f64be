"""td_bridge's reader against the engine's own writer: pictures, and an engine that comes and goes."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_engine import BRIDGE, FakeEngine, RingReader, ring_mapping, ring_reader, rows

from engine import layout
from engine.shm import unlink

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="the segment lives by other rules on Windows")


# --- pictures ---


def test_a_picture_comes_once_bottom_row_first_whatever_the_engines_order(
    engine: FakeEngine, reader: RingReader
) -> None:
    engine.publish(10, height=3, row_order="BOTTOM_UP")
    assert rows(reader.poll()) == [12, 11, 10]
    assert reader.poll() is None
    engine.publish(20, height=3, row_order="TOP_DOWN")
    picture = reader.poll()
    assert rows(picture) == [22, 21, 20]
    assert picture is reader.array and picture.flags.c_contiguous and picture.dtype == np.uint8
    assert (reader.state, reader.message, reader.seq, reader.width, reader.height) == ("LIVE", "", 2, 3, 3)


def test_flags_become_states(engine: FakeEngine, reader: RingReader) -> None:
    for flags, state in ((1, "HELD"), (2, "PLACEHOLDER"), (3, "PLACEHOLDER"), (4, "LIVE"), (0, "LIVE")):
        engine.publish(flags=flags)
        assert reader.poll() is not None
        assert reader.state == state and bool(reader.message) == (state != "LIVE")


def test_skipped_pictures_are_counted_and_numbers_lost_with_a_writer_are_not(
    engine: FakeEngine, reader: RingReader
) -> None:
    engine.publish()
    reader.poll()
    for _ in range(5):
        engine.publish()
    reader.poll()
    assert (reader.seq, reader.skipped, reader.restarts) == (6, 4, 0)
    engine.writer.begin((2, 3, 4))  # never finished: the writer dies here
    engine.restart_writer()
    engine.publish(50)
    assert rows(reader.poll()) == [51, 50]
    assert reader.seq > 7 and (reader.skipped, reader.restarts) == (4, 1)


def test_ages_and_rate_are_measured(engine: FakeEngine, reader: RingReader, clock: SimpleNamespace) -> None:
    reader.poll()
    for _ in range(3):
        engine.publish(capture_ns=time.perf_counter_ns() - 40_000_000, capture_wall_ns=1)
        reader.poll()
    assert 40 <= reader.latency_ms < 1000 and 0 <= reader.age_ms < 1000
    clock.skip(1.5)
    reader.poll()
    assert 0 < reader.fps <= 2 and reader.age_ms >= 1500


def test_a_picture_survives_one_more_poll(engine: FakeEngine, reader: RingReader) -> None:
    engine.publish(1)
    first = reader.poll()
    engine.publish(2)
    reader.poll()
    assert rows(first) == [2, 1]


def test_a_number_that_goes_back_is_not_shown(engine: FakeEngine, reader: RingReader) -> None:
    engine.publish(1)
    engine.publish(2)
    reader.poll()
    engine.ring.words[layout.RING["head"] >> 3] = 1
    assert reader.poll() is None and reader.seq == 2


# --- torn, lapped, half written ---


def at_fence(monkeypatch: pytest.MonkeyPatch, number: int, action: Any) -> None:
    """Do something while a frame is being copied: at the reader's first or second fence of each attempt."""
    calls = itertools.count(1)
    monkeypatch.setattr(ring_reader, "fence", lambda: action() if next(calls) == number else None)


def test_a_frame_that_changes_while_it_is_copied_is_thrown_away(
    engine: FakeEngine, reader: RingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.publish(1)
    reader.poll()
    engine.publish(10)

    def scribble() -> None:
        for value in (20, 30, 40, 50):  # as many as there are slots, so the one being copied is written again
            engine.publish(value)

    at_fence(monkeypatch, 2, scribble)
    picture = reader.poll()
    assert rows(picture) == [51, 50] and reader.torn_retries == 1
    assert reader.skipped == 4


def test_a_writer_that_is_always_faster_leaves_the_last_picture_alone(
    engine: FakeEngine, reader: RingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.publish(1)
    kept = reader.poll()
    engine.publish(10)

    def scribble() -> None:
        for value in (20, 30, 40, 50):
            engine.publish(value)

    calls = itertools.count(1)
    monkeypatch.setattr(ring_reader, "fence", lambda: scribble() if next(calls) % 2 == 0 else None)
    assert reader.poll() is None
    assert reader.array is kept and rows(kept) == [2, 1] and reader.state == "LIVE"
    assert reader.torn_retries == ring_reader.ATTEMPTS


def test_metadata_that_changes_while_it_is_read_is_no_complaint(
    engine: FakeEngine, reader: RingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.publish(1)
    at = engine.slot()

    def scribble() -> None:
        engine.ring.words[at >> 3] += 1
        engine.ring.data[at + 8 : at + 200] = 255

    reader.poll()
    engine.publish(10)
    at = engine.slot()
    ring, looks = reader._ring, itertools.count(1)
    assert ring is not None
    marks = ring.word

    def look(offset: int) -> int:
        mark = marks(offset)
        if next(looks) == 1:  # R2 has found the frame whole
            scribble()
        return mark

    monkeypatch.setattr(ring, "word", look)
    assert reader.poll() is None
    assert reader.torn_retries == 1 and reader.state == "LIVE"


def test_a_half_written_frame_is_not_read(engine: FakeEngine, reader: RingReader) -> None:
    engine.publish(1)
    engine.ring.words[engine.slot() >> 3] -= 1  # odd: being written
    assert reader.poll() is None and reader.array is None
    engine.ring.words[engine.slot() >> 3] += 1
    assert rows(reader.poll()) == [2, 1]


def test_no_picture_is_ever_mixed_while_a_process_writes_at_full_speed(name: str, reader: RingReader) -> None:
    code = f"""
import itertools, sys
sys.path[:0] = [{str(BRIDGE.parent)!r}, {str(BRIDGE.parent / "tests")!r}]
from fake_engine import FakeEngine
engine = FakeEngine({name!r}, capacity=256 * 256 * 4)
print("ready", flush=True)
for number in itertools.count():
    engine.beat()
    with engine.writer.begin((256, 256, 4), "uint8", pixel_format="RGBA") as slot:
        slot.array[...] = number % 251
"""
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None and writer.stdout.readline().strip() == b"ready"
        seen, last, deadline = 0, 0, time.monotonic() + 30
        while seen < 300 and time.monotonic() < deadline:
            picture = reader.poll()
            if picture is not None:
                assert picture.min() == picture.max() and reader.seq > last
                seen, last = seen + 1, reader.seq
        assert seen == 300
        writer.kill()
        writer.wait()
        reader.poll()  # what a killed writer leaves behind is read or not, but never mixed
        assert reader.array is not None and reader.array.min() == reader.array.max()
    finally:
        writer.kill()
        writer.wait()
        reader.close()
        for segment in (f"utsu_{name}_dir", f"utsu_{name}_1"):
            unlink(segment)


# --- the engine comes and goes ---


def test_no_engine_is_a_sentence_that_says_how_to_start_one(reader: RingReader, name: str) -> None:
    assert reader.poll() is None
    assert reader.state == "WAITING" and name in reader.message and "run_engine.py" in reader.message


def test_a_waiting_reader_looks_again_with_back_off(reader: RingReader, name: str, clock: SimpleNamespace) -> None:
    reader.poll()
    with closing(FakeEngine(name)) as engine:
        engine.publish(1)
        assert reader.poll() is None and reader.state == "WAITING"
        clock.skip(0.26)
        assert reader.poll() is not None


def test_looking_costs_one_attempt_every_two_seconds_in_the_end(
    reader: RingReader, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    kept = ring_mapping._map
    monkeypatch.setattr(ring_mapping, "_map", lambda name: (looks.append(name), kept(name))[1])
    for _ in range(1000):
        reader.poll()
        clock.skip(0.01)
    assert len(looks) in (8, 9)  # at 0, 0.25, 0.75, 1.75 s, then every 2 s


def test_a_stopped_engine_is_left_and_its_successor_found(
    name: str, reader: RingReader, clock: SimpleNamespace
) -> None:
    with closing(FakeEngine(name, session=1)) as first:
        first.publish(1)
        kept = reader.poll()
        first.stop()
        assert reader.poll() is None and reader.state == "STOPPED" and "run_engine.py" in reader.message
        assert reader.array is kept
    with closing(FakeEngine(name, session=2, capacity=8192)) as second:
        second.publish(7)
        clock.skip(0.6)
        assert rows(reader.poll()) == [8, 7]
        assert (reader.state, reader.seq, reader.restarts, reader.skipped) == ("LIVE", 1, 1, 0)


@posix_only
def test_an_engine_that_was_killed_is_seen_and_its_successor_found(
    name: str, reader: RingReader, clock: SimpleNamespace
) -> None:
    with closing(FakeEngine(name, session=1)) as first:
        first.publish(1)
        kept = reader.poll()
        clock.skip(2.1)
        assert reader.poll() is None
        assert reader.state == "STALE" and "no sign of life" in reader.message and reader.array is kept
        with closing(FakeEngine(name, session=2)) as second:  # takes the name; the old mapping stays as it was
            second.publish(5)
            clock.skip(2)
            assert rows(reader.poll()) == [6, 5] and reader.restarts == 1


def test_an_engine_that_was_only_frozen_goes_on(engine: FakeEngine, reader: RingReader, clock: SimpleNamespace) -> None:
    engine.publish(1)
    reader.poll()
    clock.skip(2.1)
    reader.poll()
    assert reader.state == "STALE"
    clock.skipped = 0
    engine.beat()
    engine.publish(2)
    assert rows(reader.poll()) == [3, 2]
    assert (reader.state, reader.restarts, reader.skipped) == ("LIVE", 0, 0)


def test_pictures_are_read_on_while_only_the_heartbeat_is_missing(engine: FakeEngine, reader: RingReader) -> None:
    engine.directory["beat_ns"] = 1
    engine.publish(1)
    assert reader.poll() is not None and reader.state == "LIVE"
    engine.publish(2)
    assert reader.poll() is not None


def test_a_silent_stream_of_a_living_engine_is_named(
    engine: FakeEngine, reader: RingReader, clock: SimpleNamespace
) -> None:
    assert reader.poll() is None and reader.state == "WAITING" and "no picture yet" in reader.message
    engine.publish()
    reader.poll()
    clock.skip(3)
    engine.directory["beat_ns"] += 3_000_000_000
    assert reader.poll() is None and reader.state == "STALE" and "silent" in reader.message


def test_an_old_segment_taken_over_in_place_is_a_new_engine(engine: FakeEngine, reader: RingReader) -> None:
    engine.publish(1)
    reader.poll()
    word = layout.COMMON["session"] >> 3
    engine.ring.words[word] = engine.directory.segment.words[word] = 99
    assert rows(reader.poll()) == [2, 1]
    assert reader.restarts == 1 and reader.skipped == 0


def test_another_size_comes_as_another_ring_and_the_numbers_go_on(engine: FakeEngine, reader: RingReader) -> None:
    engine.publish(1, height=2, width=3)
    reader.poll()
    engine.grow(65536)
    assert reader.poll() is None and reader.state == "LIVE"
    engine.publish(9, height=40, width=50)
    picture = reader.poll()
    assert picture is not None and picture.shape == (40, 50, 4)
    assert (reader.seq, reader.skipped, reader.width, reader.height) == (2, 0, 50, 40)


def test_a_row_that_is_being_changed_keeps_the_old_ring(engine: FakeEngine, reader: RingReader) -> None:
    engine.publish(1)
    reader.poll()
    word = (layout.STREAM_ROWS + layout.STREAM_ROW_BYTES + layout.STREAM["mark"]) >> 3
    engine.directory.segment.words[word] += 1
    engine.publish(2)
    assert rows(reader.poll()) == [3, 2]


def test_a_retired_ring_is_not_read(engine: FakeEngine, reader: RingReader) -> None:
    reader.poll()
    engine.publish(1)
    engine.ring.words[layout.RING["state"] >> 3] = layout.STATES["RETIRED"]
    assert reader.poll() is None
