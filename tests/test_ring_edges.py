"""The ring at its edges: odd frames, restarts in a row, new generations, waiting and being woken."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import psutil
import pytest
from ring_kit import NAME, put, read, successor

from engine import layout, ring
from engine.errors import NotReady, WriterFenced
from engine.ring_reader import Policy, RingReader
from engine.ring_writer import RingWriter
from engine.shm import Segment
from engine.wake import Doorbell, Ringer

# --- what a writer says about a frame ---


def test_a_published_slot_is_out_of_its_writers_hands(owner: Segment, writer: RingWriter) -> None:
    with writer.begin((8, 8)) as slot:
        slot.array[:] = 1
    assert slot.array.size == 0


def test_a_frame_is_as_old_as_its_oldest_source(owner: Segment, writer: RingWriter) -> None:
    sources = []
    for captured in (3000, 1000, 2000):
        put(writer, capture_ns=captured, capture_wall_ns=captured + 5)
        sources.append(read(owner))
    put(writer, source=sources)
    frame = read(owner)
    assert (frame.capture_ns, frame.capture_wall_ns) == (1000, 1005)
    assert frame.sources == tuple(source.source for source in sources)


def test_more_sources_and_people_than_there_is_room_for_are_left_out(owner: Segment, writer: RingWriter) -> None:
    put(writer)
    put(writer, source=[read(owner)] * 9, ids=range(40))
    frame = read(owner)
    assert len(frame.sources) == layout.MAX_SOURCES and frame.ids == tuple(range(layout.MAX_PEOPLE))


def test_a_frame_read_stays_as_it_was_until_the_next_read(owner: Segment, writer: RingWriter) -> None:
    put(writer, 1)
    frame = RingReader(owner, Policy.LATEST, stream=3).read()
    for value in range(2, 9):
        put(writer, value)
    assert frame is not None and (frame.array == 1).all() and frame.source == (3, 1, 1)


# --- restarts ---


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_writer_that_was_not_granted_the_ring_touches_nothing(owner: Segment, writer: RingWriter, epoch: int) -> None:
    put(writer)
    writer.end()
    before = bytes(owner.buffer)
    with pytest.raises(WriterFenced):
        RingWriter(owner, epoch)
    assert bytes(owner.buffer) == before


def test_ordinals_count_frames_and_not_numbers_through_any_number_of_deaths(owner: Segment, writer: RingWriter) -> None:
    put(writer)
    for epoch in (2, 3, 4):
        writer.begin((8, 8))  # dies here
        writer = successor(owner, epoch)
        put(writer)
        assert read(owner).flags.name == "FIRST_AFTER_RESTART"
        put(writer)
        assert not read(owner).flags
    frame = read(owner)
    assert (frame.ordinal, frame.seq) == (7, 10)


def test_a_number_that_died_is_lost_and_not_torn(owner: Segment, writer: RingWriter) -> None:
    every = RingReader(owner, Policy.EVERY)
    put(writer)
    writer.begin((8, 8))  # dies here
    heir = successor(owner, 2)
    put(heir)
    assert [frame.seq for frame in (every.read(), every.read()) if frame] == [1, 3]
    assert (every.books.lost, every.books.torn_retries) == (1, 0)
    heir.close()


def test_an_end_is_over_when_a_new_writer_comes(owner: Segment, writer: RingWriter) -> None:
    reading = RingReader(owner, Policy.EVERY)
    put(writer)
    writer.end()
    assert not reading.ended  # there is a frame to read
    assert reading.read() and reading.ended
    successor(owner, 2).close()
    assert not reading.ended


# --- generations ---


def test_a_new_generation_goes_on_where_the_old_one_ended() -> None:
    segment = ring.create(NAME + "g", 7, capacity=64, readers=1, generation=2, base_seq=9, base_ordinal=5)
    try:
        segment.words[ring.WORD["granted_epoch"]] = 3
        reading = RingReader(segment, Policy.EVERY)
        assert reading.read() is None and ring.newest_ordinal(segment, reading.geometry) == 5
        writer = RingWriter(segment, 3)
        put(writer)
        frame = read(segment)
        assert (frame.seq, frame.ordinal) == (10, 6)
        assert not frame.flags  # the writer is the same
        assert segment.words[ring.WORD["generation"]] == 2
    finally:
        segment.close()
        segment.unlink()


def test_a_retired_ring_says_so(owner: Segment, writer: RingWriter) -> None:
    reading = RingReader(owner, Policy.LATEST)
    assert not reading.retired
    owner.words[ring.WORD["state"]] = layout.STATES["RETIRED"]
    assert reading.retired


def test_a_ring_can_be_attached_only_when_its_header_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    name, publish, tried = NAME + "p", Segment.publish, []

    def attach_then_publish(segment: Segment) -> None:
        with pytest.raises(NotReady):
            Segment.attach(name)
        tried.append(RingReader(segment, Policy.LATEST))
        assert not tried[0].retired and tried[0].geometry.lossless
        publish(segment)

    monkeypatch.setattr(Segment, "publish", attach_then_publish)
    segment = ring.create(name, 7, capacity=64, lossless=True)
    segment.unlink()
    assert tried


# --- lossless, and being woken ---


def test_a_lossless_writer_waits_for_the_frame_that_it_would_overwrite(owner: Segment, writer: RingWriter) -> None:
    readers = [RingReader(Segment.attach(NAME), Policy.LOSSLESS, line) for line in (0, 1)]
    for _ in range(4):
        assert writer.wait_for_readers(0)
        put(writer)
    assert not writer.wait_for_readers(0)
    assert readers[0].read() and not writer.wait_for_readers(0)
    assert readers[1].read() and writer.wait_for_readers(0)
    assert not writer.wait_for_readers(0, all_read=True)
    for reading in readers:
        while reading.pending:
            assert reading.read()
    assert writer.wait_for_readers(0, all_read=True)


def test_a_frame_and_the_end_ring_at_whoever_reads(owner: Segment, writer: RingWriter) -> None:
    bell = Doorbell()
    bell._socket.settimeout(10)
    RingReader(owner, Policy.LATEST, 1, bell.port)
    put(writer)
    assert bell._socket.recv(10) == b"!"
    writer.end()
    assert bell._socket.recv(10) == b"!"
    bell.close()


def test_ports_that_cannot_be_and_readers_that_have_gone_are_no_reason_to_fail(
    owner: Segment, writer: RingWriter
) -> None:
    bell = Doorbell()
    bell.close()
    for port in (bell.port, 1 << 40):
        owner.words[writer.geometry.line(0) + (layout.READER["port"] >> 3)] = port
        put(writer)
        put(writer)
    assert read(owner).seq == 4


def test_waiting_for_no_time_returns_at_once_and_a_wait_ends_by_itself() -> None:
    bell = Doorbell()
    bell.wait(0)
    bell.wait(-1)
    bell.wait(0.001)
    bell.close()


def test_one_who_cannot_be_woken_does_not_keep_the_others_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[int] = []

    def send(_: bytes, address: tuple[bytes, int]) -> None:
        rung.append(address[1])
        raise BlockingIOError

    ringer = Ringer()
    ringer.close()
    monkeypatch.setattr(ringer, "_socket", SimpleNamespace(sendto=send))
    ringer.ring([0, 7001, 65536, 7002])
    assert rung == [7001, 7002]


@pytest.mark.skipif(sys.platform == "win32", reason="counts file descriptors")
def test_closed_a_writer_and_a_reader_let_go_of_the_ring_at_once(owner: Segment) -> None:
    before = psutil.Process().num_fds()
    writer, reading = RingWriter(Segment.attach(NAME), 1), RingReader(Segment.attach(NAME), Policy.EVERY)
    put(writer)
    put(writer)
    assert reading.read() and reading.peek()
    writer.close()
    reading.close()
    assert psutil.Process().num_fds() == before
