"""Frames that belong to the same moment: what a Paired input hands out, and when it waits."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from ring_kit import put

from engine import ring
from engine.intake import Intake
from engine.ring_reader import Policy, RingReader
from engine.ring_writer import RingWriter
from engine.shm import Segment
from engine.wake import Doorbell

MS = 1_000_000
PERIOD = 33 * MS


class Pair:
    """Two rings, read as a node with the inputs {"image": Latest, "depth": Paired} does."""

    def __init__(self, offline: bool, slots: int):
        self.segments, self.writers = [], []
        readers = {}
        for port in ("image", "depth"):
            name = f"pair{os.getpid()}{port}"
            segment = ring.create(name, 1, slots=slots, capacity=4096, readers=1, lossless=offline)
            segment.words[ring.WORD["granted_epoch"]] = 1
            self.segments.append(segment)
            self.writers.append(RingWriter(Segment.attach(name), 1))
            policy = Policy.LOSSLESS if offline else Policy.LATEST if port == "image" else Policy.PAIRED
            readers[port] = RingReader(Segment.attach(name), policy, 0)
        self.image, self.depth = self.writers
        self.readers = readers
        self.bell = Doorbell()
        self.intake = Intake(readers, frozenset({"depth"}), False, self.bell, offline)  # type: ignore[arg-type]

    def next(self) -> tuple[int, int | None] | None:
        """When the two frames of the next step were captured, in ms."""
        frames = self.intake.next(0.001)
        if frames is None:
            return None
        image, depth = frames["image"], frames["depth"]
        assert image is not None
        return image.capture_ns // MS, depth and depth.capture_ns // MS

    def run(self, images: list[int], depths: list[int]) -> list[tuple[int, int | None]]:
        """Offline: the steps that come of frames captured then, in ms. The writers go on as soon as they may."""
        got: list[tuple[int, int | None]] = []
        for _ in range(5000):
            for writer, left in ((self.image, images), (self.depth, depths)):
                if left and writer.wait_for_readers(0):
                    put(writer, left[0] % 250, capture_ns=left.pop(0) * MS)
                elif not left:
                    writer.end()
            if (step := self.next()) is not None:
                got.append(step)
            elif self.intake.ended:
                return got
        pytest.fail("it does not come to an end")

    def close(self) -> None:
        self.bell.close()
        for one in [*self.writers, *self.readers.values()]:
            one.close()
        for segment in self.segments:
            segment.unlink()
            segment.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair(offline=False, slots=16)
    yield made
    made.close()


@pytest.fixture
def offline() -> Iterator[Pair]:
    made = Pair(offline=True, slots=4)
    yield made
    made.close()


def at(writer: RingWriter, *ms: int) -> None:
    for one in ms:
        put(writer, one % 250, capture_ns=one * MS)


def test_the_frame_of_the_same_moment_is_found_though_newer_ones_are_there(pair: Pair) -> None:
    at(pair.depth, 0, 33, 66, 99, 132)
    at(pair.image, 33)
    assert pair.next() == (33, 33)
    at(pair.image, 66 + 10)
    assert pair.next() == (76, 66)
    at(pair.image, 66 + 20)
    assert pair.next() == (86, 99)


def test_a_frame_that_is_still_to_come_is_waited_for(pair: Pair) -> None:
    at(pair.depth, 0, 33)
    at(pair.image, 60)
    assert pair.next() is None, "33 is farther away than half a period: 66 must come soon"
    at(pair.depth, 66)
    assert pair.next() == (60, 66)


def test_the_wait_ends_after_a_period(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    at(pair.depth, 0, 33)
    at(pair.image, 60)
    now = 10**9
    monkeypatch.setattr("engine.intake.now_ns", lambda: now)
    assert pair.next() is None
    now += PERIOD + MS
    assert pair.next() == (60, None)
    at(pair.depth, 66)
    at(pair.image, 93)
    now += PERIOD
    assert pair.next() is None, "the next one is waited for all the same"


def test_a_stream_that_stands_still_is_not_waited_for(pair: Pair) -> None:
    at(pair.image, 10)
    assert pair.next() == (10, None), "it has not even begun"
    at(pair.depth, 0, 33)
    at(pair.image, 1000)
    assert pair.next() == (1000, None)
    at(pair.depth, 1010, 1043)
    at(pair.image, 1033)
    assert pair.next() == (1033, 1043), "and it is taken again when it is back"


def test_a_slower_stream_gives_a_frame_twice_and_a_left_out_frame_is_missed(pair: Pair) -> None:
    at(pair.depth, 0, 100, 200, 400, 500)
    at(pair.image, 110)
    assert pair.next() == (110, 100)
    at(pair.image, 140)
    assert pair.next() == (140, 100)
    at(pair.image, 300)
    assert pair.next() == (300, None), "its period is 100, so nothing within 50 belongs to 300"


def test_offline_every_frame_gets_its_partner_whoever_is_ahead(offline: Pair) -> None:
    """The writers stop where a lossless ring makes them; nothing is lost and nothing sticks."""
    got = offline.run(list(range(0, 3000, 33)), list(range(5, 3000, 66)))
    assert [image for image, _ in got] == list(range(0, 3000, 33))
    expected = [min(range(5, 3000, 66), key=lambda depth: abs(depth - image)) for image, _ in got]
    assert [depth for _, depth in got] == expected


@pytest.mark.parametrize("depths", [[], [0, 33], list(range(-5000, 0, 33)), list(range(-330, 9000, 33))])
def test_offline_a_partner_that_ends_or_begins_elsewhere_holds_nobody_up(offline: Pair, depths: list[int]) -> None:
    left = [depth for depth in depths if depth >= 0] or list(depths)
    got = offline.run([66, 99, 132], left)
    assert [image for image, _ in got] == [66, 99, 132] and not left, "and its writer could come to its end"


def test_a_gathering_node_gets_what_is_new_of_any_input(pair: Pair) -> None:
    intake = Intake(pair.readers, frozenset(), True, pair.bell, offline=False)  # type: ignore[arg-type]
    assert intake.next(0.001) is None
    at(pair.depth, 5)
    assert [(port, frame and frame.capture_ns) for port, frame in (intake.next(0.001) or {}).items()] == [
        ("depth", 5 * MS)
    ]
    assert intake.next(0.001) is None, "never the same again"
    at(pair.depth, 6)
    at(pair.image, 7)
    assert set(intake.next(0.001) or {}) == {"image", "depth"}
