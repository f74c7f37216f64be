"""Streams through their generations: no frame and no count is lost, and no ring is left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine import layout, ring, rings, shm, stream
from engine.config.graph import Edge, StreamSpec
from engine.directory import Directory
from engine.errors import SegmentError, SegmentMissing, ShmFull
from engine.ring import WORD
from engine.ring_reader import Policy
from engine.rings import Rings
from engine.session import Session
from engine.shm import Segment
from engine.stream import StreamReader, StreamWriter

NAME = f"r{os.getpid() % 100000}"


class Kit:
    """What the supervisor has: node "a" writes stream "a"; "b" reads it through two ports, "c" through one."""

    def __init__(self, lossless: bool):
        self.session = Session(NAME)
        readers = (("b", "x"), ("b", "y"), ("c", "x"))
        spec = StreamSpec("a", "a", "out", capacity=64, slots=4, lossless=lossless, readers=readers)
        policies = {"b": {"x": Policy.EVERY, "y": Policy.LATEST}, "c": {"x": Policy.LATEST}}
        nodes = [SimpleNamespace(name=node, inputs={port: Edge("a", policy) for port, policy in inputs.items()})
                 for node, inputs in policies.items()]  # fmt: skip
        self.session.note(f"utsu_{NAME}_dir")
        self.directory = Directory.create(NAME, self.session.id, ["a", "b", "c"], [("a", 0)])
        self.rings = Rings(SimpleNamespace(nodes=nodes, streams=[spec]), self.session, self.directory)  # type: ignore[arg-type]
        self.stream = self.rings.streams[0]
        self.rings.grant(self.stream, 1)
        self.directory.segment.publish()

    def writer(self, epoch: int = 1, grow: Callable[..., None] | None = None, **more: Any) -> StreamWriter:
        return StreamWriter(self.directory, 0, epoch, grow or self.rings.grow, **more)

    def reader(self, policy: Policy = Policy.EVERY, line: int | None = 0) -> StreamReader:
        return StreamReader(self.directory, 0, policy, line)

    def close(self) -> None:
        self.rings.close()
        self.directory.close()
        self.session.close()


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Kit]]:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path))
    kits: list[Kit] = []

    def make(lossless: bool = False) -> Kit:
        kits.append(Kit(lossless))
        return kits[-1]

    yield make
    for kit in kits:
        kit.close()


@pytest.fixture
def kit(make: Callable[..., Kit]) -> Kit:
    return make()


def put(writer: StreamWriter, value: int, size: int = 64) -> None:
    with writer.begin((size,)) as slot:
        slot.array[:] = value


def values(reader: StreamReader) -> list[int]:
    found = []
    while (frame := reader.read()) is not None:
        assert (frame.array == frame.array[0]).all()
        found.append(int(frame.array[0]))
    return found


def names() -> list[str]:
    return json.loads((Path(os.environ["UTSUSHI_HOME"]) / f"{NAME}.json").read_text())["segments"]


# --- growing ---


def test_every_frame_and_every_count_crosses_into_the_larger_ring(kit: Kit) -> None:
    writer, reader = kit.writer(), kit.reader()
    put(writer, 1)
    assert values(reader) == [1]
    put(writer, 2)
    put(writer, 3, size=5000)
    assert [reader.read().seq for _ in range(2)] == [2, 3]  # type: ignore[union-attr]
    put(writer, 4, size=9000)
    assert values(reader) == [4] and reader.generation == writer.generation == 3
    books = reader.ring.books
    assert (books.received, books.missed, books.lost, writer.published) == (4, 0, 0, 4)
    assert kit.rings.figures()["a"]["readers"]["b.x"]["received"] == 4


def test_a_frame_published_just_before_the_change_is_not_passed_over(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, reader = kit.writer(), kit.reader()
    old, look = reader.ring, reader.ring.read

    def look_then_fall_behind() -> Any:
        frame = look()
        monkeypatch.setattr(old, "read", look)
        put(writer, 1)
        put(writer, 2, size=5000)
        return frame

    monkeypatch.setattr(old, "read", look_then_fall_behind)
    assert values(reader) == [1, 2]
    assert reader.ring.books.missed == 0


def test_a_writer_that_had_given_up_waiting_follows_into_the_larger_ring(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor that was stopped for a while makes the ring when nobody waits for it any more."""
    monkeypatch.setattr(stream, "GROW_TIMEOUT_NS", 0)
    writer, reader = kit.writer(grow=lambda *_: None), kit.reader()
    put(writer, 1)
    with pytest.raises(SegmentError):
        put(writer, 2, size=5000)
    look = rings.newest_ordinal

    def look_and_fall_behind(*ring: Any) -> int:
        ordinal = look(*ring)
        put(writer, 3)  # after the larger ring was told where this one ends
        return ordinal

    monkeypatch.setattr(rings, "newest_ordinal", look_and_fall_behind)
    kit.rings.grow(0, 5000)
    monkeypatch.setattr(rings, "newest_ordinal", look)
    put(writer, 4)
    assert values(reader) == [1, 3, 4] and reader.generation == writer.generation == 2
    books = reader.ring.books
    assert (books.last_seq, books.received, books.missed, books.lost) == (3, 3, 0, 0)


def test_a_reader_that_starts_again_after_the_change_goes_on_in_its_line(kit: Kit) -> None:
    writer, reader = kit.writer(), kit.reader()
    put(writer, 1)
    assert values(reader) == [1]
    put(writer, 2, size=5000)
    again = kit.reader()
    assert values(again) == [2] and again.ring.books.received == 2


def test_a_writer_that_starts_again_after_the_change_is_granted_the_new_ring(kit: Kit) -> None:
    put(kit.writer(), 1, size=5000)
    kit.rings.grant(kit.stream, 2)
    put(kit.writer(2), 2, size=5000)
    assert values(kit.reader()) == [1, 2]


def test_a_ring_that_is_large_enough_stays(kit: Kit) -> None:
    kit.rings.grow(0, 64)
    assert kit.directory.stream(0).generation == 1 and not kit.stream.retired


def test_no_larger_ring_is_a_sentence_and_the_old_one_stays(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, reader = kit.writer(grow=lambda *_: None), kit.reader()
    monkeypatch.setattr(stream, "GROW_TIMEOUT_NS", 0)
    with pytest.raises(SegmentError, match="frame of 5000 bytes does not fit"):
        writer.begin((5000,))
    monkeypatch.setattr(shm, "free_bytes", lambda: 0)
    with pytest.raises(ShmFull):
        kit.rings.grow(0, 5000)
    put(writer, 1)
    assert values(reader) == [1] and kit.stream.generation == 1


def test_waiting_for_a_larger_ring_is_not_hanging(kit: Kit) -> None:
    asked: list[tuple[int, int]] = []
    writer = kit.writer(grow=lambda *what: asked.append(what), idle=lambda: kit.rings.grow(*asked[0]))
    put(writer, 1, size=5000)
    assert asked == [(0, 5000)] and values(kit.reader()) == [1]


def test_a_lossless_writer_moves_on_when_everything_was_read(make: Callable[..., Kit]) -> None:
    kit = make(lossless=True)
    readers = [kit.reader(Policy.LOSSLESS, line) for line in range(3)]
    got: list[list[int]] = [[], [], []]

    def idle() -> None:
        for found, reader in zip(got, readers, strict=True):
            found += values(reader)

    def grow(row: int, needed: int) -> None:
        assert got == [[1, 2, 3, 4, 5]] * 3
        kit.rings.grow(row, needed)

    writer = kit.writer(grow=grow, idle=idle)
    for value in range(1, 6):
        put(writer, value)
    put(writer, 6, size=5000)
    idle()
    assert got == [[1, 2, 3, 4, 5, 6]] * 3


# --- the owner's side ---


def test_a_retired_ring_stays_for_those_who_are_just_attaching_and_then_goes(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = kit.stream.ring.name
    kit.rings.grow(0, 5000)
    kit.rings.tidy()
    Segment.attach(old).close()
    assert old in names()
    later = rings.now_ns() + 3_000_000_000
    monkeypatch.setattr(rings, "now_ns", lambda: later)
    kit.rings.tidy()
    with pytest.raises(SegmentMissing):
        Segment.attach(old)
    assert old not in names() and kit.directory.stream(0).segment in names()


def test_closing_removes_every_ring_and_tells_whoever_reads(make: Callable[..., Kit]) -> None:
    kit = make()
    reader = kit.reader()
    kit.rings.grow(0, 5000)
    assert reader.read() is None and reader.generation == 2
    made = [name for name in names() if not name.endswith("_dir")]
    kit.rings.close()
    for name in made:
        with pytest.raises(SegmentMissing):
            Segment.attach(name)
    assert len(made) == 2 and reader.ring.retired and not reader.ended
    kit.rings.streams.clear()


def test_a_ring_is_in_the_manifest_before_it_is_made(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    make_ring, made = ring.create, []

    def create(name: str, *arguments: Any, **more: Any) -> Segment:
        assert name in names()
        made.append(name)
        return make_ring(name, *arguments, **more)

    monkeypatch.setattr(ring, "create", create)
    kit.rings.grow(0, 5000)
    assert made == [kit.directory.stream(0).segment]


def test_nobody_is_woken_on_behalf_of_a_dead_node(kit: Kit) -> None:
    ports = [kit.rings.streams[0].ring.words[kit_line(line)] for line in range(3)]
    assert ports == [0, 0, 0]
    for line in range(3):
        StreamReader(kit.directory, 0, Policy.LATEST, line, port=7000 + line)
    kit.rings.silence("b")
    assert [kit.stream.ring.words[kit_line(line)] for line in range(3)] == [0, 0, 7002]


def kit_line(line: int) -> int:
    return (layout.READER_LINES + line * layout.READER_LINE_BYTES + layout.READER["port"]) >> 3


def test_figures_name_every_port_and_every_cause(kit: Kit) -> None:
    writer = kit.writer()
    readers = [kit.reader(Policy.EVERY, 0), kit.reader(Policy.LATEST, 1), kit.reader(Policy.LATEST, 2)]
    for value in range(1, 7):
        put(writer, value)
    for reader in readers:
        values(reader)
    nothing = {"skipped": 0, "overrun": 0, "lost": 0, "torn_retries": 0}
    assert kit.rings.figures() == {
        "a": {
            "published": 6,
            "readers": {
                "b.x": {"received": 4, **nothing, "overrun": 2},
                "b.y": {"received": 1, **nothing, "skipped": 5},
                "c": {"received": 1, **nothing, "skipped": 5},
            },
        }
    }
    assert kit.rings.missed("b") == 7 and kit.rings.missed("c") == 5
    newest = kit.rings.newest("a")
    assert newest is not None and newest.seq == 6 and kit.rings.newest("z") is None


def test_the_end_of_a_stream_is_seen_when_everything_was_read(kit: Kit) -> None:
    writer, reader = kit.writer(), kit.reader()
    put(writer, 1)
    writer.end()
    assert not reader.ended
    assert values(reader) == [1] and reader.ended
    assert kit.stream.ring.words[WORD["ended"]] == 1
