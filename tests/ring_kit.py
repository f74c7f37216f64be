"""A ring of the test's own; its fixtures are in conftest.py."""

from __future__ import annotations

import os

from engine import ring
from engine.frame import Frame
from engine.ring_reader import Policy, RingReader
from engine.ring_writer import RingWriter
from engine.shm import Segment

NAME = f"utsu_t{os.getpid() % 100000}"
SLOTS, CAPACITY = 4, 4096


def reader(policy: Policy = Policy.LATEST, line: int | None = 0) -> RingReader:
    return RingReader(Segment.attach(NAME), policy, line)


def put(writer: RingWriter, value: int = 1, **about: object) -> None:
    with writer.begin((8, 8), **about) as slot:  # type: ignore[arg-type]
        slot.array[:] = value


def read(owner: Segment) -> Frame:
    """The newest frame, as a reader sees it that was never there before."""
    frame = RingReader(owner, Policy.LATEST).read()
    assert frame is not None
    return frame


def successor(owner: Segment, epoch: int = 2) -> RingWriter:
    """The writer of a process that was started after the former one had died."""
    owner.words[ring.WORD["granted_epoch"]] = epoch
    return RingWriter(Segment.attach(NAME), epoch)
