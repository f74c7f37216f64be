"""The order of stores and loads, seen at the fences: x86-64 keeps it anyway, ARM64 only there (docs/PROTOCOL.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from engine import atomics, layout, ring
from engine.books import HALF, TURN, WORDS, Books
from engine.ring import META_END
from engine.ring_reader import Policy, RingReader
from engine.ring_writer import RingWriter
from engine.shm import Segment

NAME = f"utsu_o{os.getpid() % 100000}"


@pytest.fixture
def owner() -> Iterator[Segment]:
    segment = ring.create(NAME, 7, capacity=64, slots=4, readers=1)
    segment.words[ring.WORD["granted_epoch"]] = 1
    yield segment
    segment.close()
    segment.unlink()


def put(writer: RingWriter) -> None:
    with writer.begin((8, 8)) as slot:
        slot.array[:] = writer.head + 1


def test_the_writer_fences_between_the_odd_mark_the_whole_frame_and_the_head(
    owner: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = RingWriter(Segment.attach(NAME), 1)
    for _ in range(4):
        put(writer)
    at = writer.geometry.slot(5)
    seen: list[tuple[int, int, int, int]] = []

    def look() -> None:
        seq = owner.words[(at + layout.META_OFFSET) >> 3]  # the first word of the metadata
        head = owner.words[ring.WORD["head"]]
        seen.append((owner.words[at >> 3], int(owner.data[at + layout.SLOT_META_BYTES]), seq, head))

    look()
    monkeypatch.setattr(atomics, "fence", look)
    put(writer)
    monkeypatch.undo()
    look()
    assert seen == [(2, 1, 1, 4), (9, 1, 1, 4), (10, 5, 5, 4), (10, 5, 5, 5)]
    writer.close()


@pytest.mark.parametrize("policy", [Policy.LATEST, Policy.EVERY])
def test_what_is_overwritten_at_any_fence_of_a_read_is_not_returned(
    owner: Segment, monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    writer = RingWriter(Segment.attach(NAME), 1)
    put(writer)
    points = 0

    def count() -> None:
        nonlocal points
        points += 1

    reading = RingReader(owner, policy)
    monkeypatch.setattr(atomics, "fence", count)
    assert reading.read()
    assert points == 3  # between R1 and R2, between R3 and R4, and one of the counts
    for point in (0, 1):
        monkeypatch.undo()
        reading = RingReader(owner, policy)
        fences = iter(range(point + 1))

        def overwrite(fences: Iterator[int] = fences, point: int = point) -> None:
            if next(fences, None) == point:
                for _ in range(4):
                    put(writer)

        monkeypatch.setattr(atomics, "fence", overwrite)
        frame = reading.read()
        assert frame is not None and (frame.array == frame.seq).all()
    writer.close()


def test_nonsense_in_a_slot_that_is_being_overwritten_is_no_reason_to_complain(
    owner: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R4 comes before any complaint about what R3 read."""
    writer = RingWriter(Segment.attach(NAME), 1)
    put(writer)
    at = writer.geometry.slot(1)

    def begin_frame_5() -> None:
        owner.words[at >> 3] = 9
        owner.data[at + layout.META_OFFSET : at + META_END] = 0xFF

    monkeypatch.setattr(atomics, "fence", begin_frame_5)
    assert RingReader(owner, Policy.LATEST).read() is None
    writer.close()


def test_intact_fences_between_the_use_of_a_frame_and_the_look_at_its_mark(
    owner: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = RingWriter(Segment.attach(NAME), 1)
    put(writer)
    reading = RingReader(owner, Policy.LATEST)
    frame = reading.peek()
    assert frame is not None

    def overwrite() -> None:
        owner.words[writer.geometry.slot(1) >> 3] = 9

    monkeypatch.setattr(atomics, "fence", overwrite)
    assert not reading.intact(frame)
    writer.close()


def test_counts_are_whole_when_their_turn_comes_and_the_old_ones_untouched_until_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = memoryview(bytearray(layout.READER_LINE_BYTES)).cast("Q")
    books = Books(words)
    books.accept(1, 1)
    seen: list[tuple[int, list[int], list[int]]] = []

    def look() -> None:
        turn = words[TURN]
        halves = [list(words[HALF + half * WORDS : HALF + (half + 1) * WORDS]) for half in (turn & 1, ~turn & 1)]
        seen.append((turn, halves[0], halves[1]))

    monkeypatch.setattr(atomics, "fence", look)
    books.torn_retries = 3
    books.accept(7, 5)
    assert seen == [(1, [1, 1, 1, 0], [7, 5, 2, 3])]  # turn, the valid half, the half that comes next
    assert words[TURN] == 2
    books.accept(8, 6)
    assert seen[1] == (2, [7, 5, 2, 3], [8, 6, 3, 3]) and words[TURN] == 3


def test_counts_that_change_while_they_are_looked_at_are_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    words = memoryview(bytearray(layout.READER_LINE_BYTES)).cast("Q")
    reading = Books(words)
    fences: list[int] = []

    def read_on() -> None:
        fences.append(0)
        if len(fences) == 1:
            reading.accept(5, 4)
            words[HALF] = 6  # and the next counts are being written into the half that was valid before

    monkeypatch.setattr(atomics, "fence", read_on)
    seen = Books(words)
    assert (seen.last_seq, seen.last_ordinal, seen.received) == (5, 4, 1)


def test_counts_go_on_in_a_new_line() -> None:
    old = Books.private()
    old.torn_retries = 4
    old.accept(9, 7)
    words = memoryview(bytearray(layout.READER_LINE_BYTES)).cast("Q")
    Books(words).carry(old)
    new = Books(words)
    assert (new.last_seq, new.last_ordinal, new.received, new.torn_retries) == (9, 7, 1, 4)
    assert (new.missed, new.lost) == (6, 2)


def test_the_end_is_seen_after_the_last_frame_and_magic_after_the_header(
    owner: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = RingWriter(Segment.attach(NAME), 1)
    put(writer)
    reading = RingReader(owner, Policy.LATEST)
    seen: list[int] = []
    monkeypatch.setattr(atomics, "fence", lambda: seen.append(owner.words[ring.WORD["ended"]]))
    writer.end()
    assert seen == [0]
    assert reading.read() and reading.ended
    monkeypatch.setattr(atomics, "fence", lambda: owner.words.__setitem__(ring.WORD["head"], 2))
    assert not reading.ended  # this head was not yet seen when `ended` was
    magic = layout.COMMON["magic"] >> 3
    monkeypatch.setattr(atomics, "fence", lambda: seen.append(owner.words[magic]))
    seen.clear()
    owner.words[magic] = 0
    owner.publish()
    assert seen == [0] and owner.words[magic] == layout.MAGIC
    monkeypatch.setattr(atomics, "fence", lambda: owner.words.__setitem__(layout.COMMON["abi"] >> 3, layout.ABI))
    owner.words[layout.COMMON["abi"] >> 3] = 0  # not yet seen when magic was
    Segment.attach(NAME).close()
    writer.close()
