"""A stream by name: the ring that carries it now, followed through its generations.

A ring's slots have a fixed size. When a frame does not fit, the writer asks the supervisor for a larger
ring; readers finish with the old one and move on. Numbers and counts go on across the change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine import atomics
from engine.clock import now_ns
from engine.directory import Directory
from engine.errors import FrameTooLarge, SegmentError
from engine.frame import Frame
from engine.ring_reader import Policy, RingReader
from engine.ring_writer import RingWriter, Slot
from engine.shm import Segment

GROW_TIMEOUT_NS = 5_000_000_000


class StreamWriter:
    """What a node publishes with.

    grow: called with (stream row, bytes); asks the supervisor for a ring with larger slots.
    idle: called again and again while waiting for anything, so that the node's heartbeat goes on.
    about: called per frame for what the worker adds to it (the parameter version).
    """

    def __init__(
        self,
        directory: Directory,
        row: int,
        epoch: int,
        grow: Callable[[int, int], None],
        idle: Callable[[], None] = lambda: None,
        about: Callable[[], dict[str, Any]] = dict,
    ):
        self._directory, self._row, self._epoch = directory, row, epoch
        self._grow, self._idle, self._about = grow, idle, about
        self.begun_ns = 0  # when the newest frame was begun
        self._attach()

    def _attach(self) -> None:
        found = self._directory.stream(self._row)
        self.generation = found.generation
        self.ring = RingWriter(Segment.attach(found.segment), self._epoch, self._row)

    def begin(self, shape: Any, dtype: Any = "uint8", **about: Any) -> Slot:
        """`RingWriter.begin`, for frames of any size; on a lossless stream it waits for the slowest reader."""
        if self.ring.retired:  # by a supervisor that was late: nobody reads there any more
            self._follow()
        if self.ring.geometry.lossless:
            self._wait_for_readers(all_read=False)
        self.begun_ns = now_ns()
        try:
            return self.ring.begin(shape, dtype, **self._about(), **about)
        except FrameTooLarge as error:
            self._enlarge(error.needed)
            return self.ring.begin(shape, dtype, **self._about(), **about)

    @property
    def has_room(self) -> bool:
        """Would `begin` open a slot at once? On a lossless stream it may have to wait for a reader."""
        return not self.ring.geometry.lossless or self.ring.wait_for_readers(0)

    def _wait_for_readers(self, all_read: bool) -> None:
        while not self.ring.wait_for_readers(0.05, all_read):
            self._idle()

    def _enlarge(self, needed: int) -> None:
        if self.ring.geometry.lossless:
            self._wait_for_readers(all_read=True)
        self._grow(self._row, needed)
        deadline = now_ns() + GROW_TIMEOUT_NS
        while self._directory.stream(self._row).generation == self.generation:
            if now_ns() > deadline:
                raise SegmentError(
                    f"A frame of {needed} bytes does not fit its ring and the supervisor gave no larger one; "
                    "is shared memory full?"
                )
            self._idle()
        self._follow()

    def _follow(self) -> None:
        """Go on in the ring that has taken this one's place."""
        old = self.ring
        self._attach()
        self.ring.carry(old)
        old.close()

    @property
    def published(self) -> int:
        return self.ring.ordinal

    @property
    def memory(self) -> np.ndarray:
        """The whole mapping that the next frame is written into, unless that one is too large for it."""
        return self.ring.segment.data

    def end(self) -> None:
        self.ring.end()

    def close(self) -> None:
        self.ring.close()


class StreamReader:
    """What a node reads with; see `RingReader` for what the arguments mean."""

    def __init__(self, directory: Directory, row: int, policy: Policy, line: int | None = None, port: int = 0):
        self._directory, self._row = directory, row
        self._policy, self._line, self._port = policy, line, port
        self._attach()

    def _attach(self) -> None:
        found = self._directory.stream(self._row)
        self.name, self.generation = found.name, found.generation
        self.ring = RingReader(Segment.attach(found.segment), self._policy, self._line, self._port, self._row)

    def read(self) -> Frame | None:
        """The next frame by this reader's policy, or None; `frame.array` is valid until the next read."""
        frame = self.ring.read()
        if frame is not None or not self.ring.retired:
            return frame
        atomics.fence()
        frame = self.ring.read()  # what came between that look and the change
        if frame is None and self._follow():
            frame = self.ring.read()
        return frame

    def around(self, capture_ns: int) -> list[tuple[int, int]]:
        """`RingReader.around`, in the ring of now: what a retired one still holds is given up."""
        if self.ring.retired:
            self._follow()
        return self.ring.around(capture_ns)

    def fetch(self, seq: int) -> Frame | None:
        """`RingReader.fetch`."""
        return self.ring.fetch(seq)

    def _follow(self) -> bool:
        """Go on in the ring that has taken this one's place, if it is there yet."""
        if self._directory.stream(self._row).generation == self.generation:
            return False
        old = self.ring
        self._attach()
        self.ring.books.carry(old.books)
        old.close()
        return True

    @property
    def ended(self) -> bool:
        return not self.ring.retired and self.ring.ended

    def close(self) -> None:
        self.ring.close()
