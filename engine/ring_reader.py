"""The reading side of a ring. The numbers in the comments (R1…) are the steps of docs/PROTOCOL.md."""

from __future__ import annotations

from enum import Enum

import numpy as np

from engine import atomics, layout, meta
from engine.books import Books
from engine.errors import LayoutMismatch
from engine.frame import Flags, Frame
from engine.ring import META_END, WORD, Geometry, Views
from engine.shm import Segment

FORM = slice(meta.HEAD.size, meta.HEAD.size + meta.FORM.size)
LINEAGE = slice(FORM.stop, None)
NO_FLAGS = Flags(0)
ATTEMPTS = 4
HEAD = WORD["head"]


class Policy(Enum):
    """What a reader may skip."""

    LATEST = "latest"  # the newest frame; older ones are skipped and counted
    EVERY = "every"  # each frame in order; those overwritten before they were read are counted
    LOSSLESS = "lossless"  # each frame; the writer waits. Offline graphs only
    PAIRED = "paired"  # the frame captured when that of the first input was; others are skipped and counted


class RingReader:
    """A reader of one ring.

    line: its line in the header (assigned by the supervisor), or None for one that is not counted there.
    port: where it wants to be woken; 0 for not at all.
    """

    def __init__(self, segment: Segment, policy: Policy, line: int | None = None, port: int = 0, stream: int = 0):
        self.segment, self.policy, self.stream = segment, policy, stream
        self.geometry = Geometry(segment)
        self._words = segment.words
        self._own = np.empty(0, np.uint8)
        self._views = Views(segment, writeable=False)
        if line is None:
            self.books = Books.private()
        else:
            base = self.geometry.line(line)
            self.books = Books(self._words, base)
            if self.books.last_seq > self._words[HEAD]:  # no reader is ahead of its writer: it would wait for ever
                self.books.begin()
            self._words[base + (layout.READER["port"] >> 3)] = port

    @property
    def pending(self) -> bool:
        """Is there a frame that was not read yet?"""
        return self._words[HEAD] > self.books.last_seq

    @property
    def retired(self) -> bool:
        """Has a new generation taken this ring's place?"""
        return self._words[WORD["state"]] != layout.STATES["READY"]

    @property
    def ended(self) -> bool:
        """Has the writer said that nothing more will come, and was everything read?"""
        if not self._words[WORD["ended"]]:
            return False
        atomics.fence()  # a head seen before the end may not be the last one
        return not self.pending

    def read(self) -> Frame | None:
        """The next frame by this reader's policy, copied out; None when there is none (yet).

        Latest: the newest frame. Every: the frame after the last one read, or the oldest that is still there.
        `frame.array` is valid until the next read. Raises `LayoutMismatch` for a frame that makes no sense.
        """
        return self._accept(self._find(copy=True))

    def peek(self) -> Frame | None:
        """Like `read`, without the copy: `array` is a view of the slot. Ask `intact` after using it."""
        return self._accept(self._find(copy=False))

    def around(self, capture_ns: int) -> list[tuple[int, int]]:
        """(capture_ns, seq) of the frames that are here, newest first, until one was captured by `capture_ns`.

        Two at least, where there are as many."""
        found: list[tuple[int, int]] = []
        head = self._words[HEAD]
        for seq in range(head, max(head - self.geometry.slots, self.geometry.base_seq), -1):
            if (frame := self._take(seq, copy=False)) is not None:
                found.append((frame.capture_ns, seq))
                if frame.capture_ns <= capture_ns and len(found) > 1:
                    break
        return found

    def fetch(self, seq: int) -> Frame | None:
        """Frame `seq`, as `read` would give it; None when it is not here (any more)."""
        frame = self._take(seq, copy=True)
        return self._accept(frame) if seq > self.books.last_seq else frame

    def intact(self, frame: Frame) -> bool:
        """Was a peeked frame left alone until now? If not, what was made of it must be thrown away."""
        atomics.fence()
        return self._words[self.geometry.slot(frame.seq) >> 3] == 2 * frame.seq

    def _accept(self, frame: Frame | None) -> Frame | None:
        if frame is not None:
            self.books.accept(frame.seq, frame.ordinal)
        return frame

    def _find(self, copy: bool) -> Frame | None:
        if self.policy is Policy.LATEST:
            return self._newest(copy)
        head = self._words[HEAD]  # R1
        seq = self.books.last_seq + 1
        while seq <= head:
            seq = max(seq, head - self.geometry.slots + 1)  # older ones are overwritten
            frame = self._take(seq, copy)
            if frame is not None:
                return frame
            if self._words[self.geometry.slot(seq) >> 3] > 2 * seq:
                self.books.torn_retries += 1  # overwritten under our eyes
            seq += 1  # it is gone, or died with its writer: the ordinals will tell which
            head = self._words[HEAD]
        return None

    def _newest(self, copy: bool) -> Frame | None:
        for _ in range(ATTEMPTS):
            head = self._words[HEAD]  # R1
            if head <= self.books.last_seq:
                return None
            frame = self._take(head, copy)
            if frame is not None:
                return frame
            self.books.torn_retries += 1
        return None

    def _take(self, seq: int, copy: bool) -> Frame | None:
        """Frame `seq`, or None when its slot does not hold it (any more)."""
        at = self.geometry.slot(seq)
        atomics.fence()  # what is read from here on is at least as new as the head of R1
        if self._words[at >> 3] != 2 * seq:  # R2
            return None
        packed = bytes(self.segment.buffer[at + layout.META_OFFSET : at + META_END])  # R3
        form = meta.form_from(packed[FORM])
        array = None
        if form is not None and form.size <= self.geometry.capacity:
            array = self._views.of(at, form)
            if copy:
                array = self._copied(array)
        atomics.fence()
        if self._words[at >> 3] != 2 * seq:  # R4: whatever was read since R1 is void
            return None
        number, epoch, ordinal, capture_ns, wall_ns, publish_ns, version, flags = meta.HEAD.unpack_from(packed)
        if form is None or array is None or number != seq:
            raise LayoutMismatch(f"Frame {seq} of ring {self.segment.name} describes itself wrongly.")
        ids, sources = meta.unpack_lineage(packed[LINEAGE])
        return Frame(
            array, seq, epoch, ordinal, capture_ns, wall_ns, publish_ns, version, Flags(flags) if flags else NO_FLAGS,
            form.pixel_format, form.row_order, form.canvas, ids, sources, self.stream, form.lens,
        )  # fmt: skip

    def _copied(self, view: np.ndarray) -> np.ndarray:
        """A copy in this reader's own buffer, which is made once."""
        if self._own.size < view.nbytes:
            self._own = np.empty(self.geometry.capacity, np.uint8)
        own = self._own[: view.nbytes].view(view.dtype).reshape(view.shape)
        np.copyto(own, view)
        return own

    def close(self) -> None:
        self._views.drop()
        self.segment.close()
