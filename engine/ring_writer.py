"""The writing side of a ring. The numbers in the comments (W0…) are the steps of docs/PROTOCOL.md."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from engine import atomics, layout, meta
from engine.books import Books
from engine.clock import now_ns, wall_ns
from engine.errors import FrameTooLarge, WriterFenced
from engine.frame import Frame, Lens
from engine.ring import META_END, WORD, Geometry, Views, newest, newest_ordinal
from engine.shm import Segment
from engine.wake import Ringer

HEAD, GRANTED = WORD["head"], WORD["granted_epoch"]
NOTHING = np.empty(0, np.uint8)


class Slot:
    """A frame being written in place. Leaving the `with` block publishes it; an exception abandons it."""

    __slots__ = ("_begun", "_writer", "array", "flags")

    def __init__(self, writer: RingWriter, array: np.ndarray, flags: int, begun: tuple):
        self._writer, self.array, self.flags, self._begun = writer, array, flags, begun

    def __enter__(self) -> Slot:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self.array = NOTHING  # from here on the slot is the readers'
        self._writer._open = False
        if kind is None:
            self._writer._commit(int(self.flags), *self._begun)


class RingWriter:
    """The only writer of a ring.

    epoch: the number under which the supervisor granted the ring to this process; a newer grant fences it off.
    stream: the stream's row in the directory, for the lineage.
    """

    def __init__(self, segment: Segment, epoch: int, stream: int = 0):
        self.segment, self.epoch, self.stream = segment, epoch, stream
        self.geometry = Geometry(segment)
        self._words, self._ringer = segment.words, Ringer()
        self._lines = [self.geometry.line(reader) for reader in range(self.geometry.readers)]
        self._open = False  # is a frame being written?
        self._views = Views(segment, writeable=True)
        self._fence_off()
        self._words[WORD["epoch"]] = epoch
        self._words[WORD["ended"]] = 0
        self._resume()

    def _resume(self) -> None:
        """W0: go on after the highest number that any predecessor ever touched, published or not."""
        words, geometry = self._words, self.geometry
        self.head: int = newest(self.segment, geometry)
        if words[HEAD] != self.head:  # damaged
            words[HEAD] = self.head
        self._last = self.head
        for index in range(geometry.slots):
            at = geometry.slot(index) >> 3
            touched = (words[at] + 1) >> 1
            if touched >= layout.MOST:  # damaged, and no number could follow it
                words[at] = 0
            elif touched > self.head:
                words[at] = 2 * touched - 1  # whole or not, it was never published: nobody may read it
                self._last = max(self._last, touched)
        self.ordinal = newest_ordinal(self.segment, geometry)
        self._successor = self.head > geometry.base_seq

    def carry(self, old: RingWriter) -> None:
        """Go on from the numbers of the same writer in the ring's former generation."""
        self._last, self.ordinal = max(self._last, old._last), max(self.ordinal, old.ordinal)

    @property
    def retired(self) -> bool:
        """Has a new generation taken this ring's place?"""
        return self._words[WORD["state"]] != layout.STATES["READY"]

    def _fence_off(self) -> None:
        if self._words[GRANTED] != self.epoch:
            raise WriterFenced(f"A newer process writes ring {self.segment.name}; this one stops.")

    def _next(self) -> int:
        seq = self._last + 1
        # After several deaths in a row the next slot could be that of the newest whole frame: leave that one alone.
        return seq + 1 if seq % self.geometry.slots == self.head % self.geometry.slots else seq

    def begin(
        self,
        shape: Sequence[int],
        dtype: Any = np.uint8,
        *,
        source: Frame | Iterable[Frame] = (),
        capture_ns: int | None = None,
        capture_wall_ns: int | None = None,
        pixel_format: str = "NONE",
        row_order: str = "TOP_DOWN",
        canvas: tuple[int, int] = (0, 0),
        ids: Sequence[int] = (),
        lens: Lens | None = None,
        flags: int = 0,
        param_version: int = 0,
    ) -> Slot:
        """Open the next slot for writing in place; use it in a `with` block and fill all of `slot.array`.

        The frame inherits the capture time of its oldest `source`; without one it is captured now, or at
        `capture_ns`. Raises `FrameTooLarge` (nothing was begun), `WriterFenced`, `RuntimeError` inside another
        frame's block, and `ValueError`, `KeyError` or `TypeError` for a form that there is not.
        """
        if self._words[GRANTED] != self.epoch:  # W1
            self._fence_off()
        if self._open:
            raise RuntimeError("A frame of this output is still being written; leave its `with` block first.")
        form = meta.form_of(tuple(shape), dtype, pixel_format, row_order, tuple(canvas), lens)
        if form.size > self.geometry.capacity:
            raise FrameTooLarge(
                f"A frame of {form.size} bytes does not fit ring {self.segment.name}, "
                f"whose slots hold {self.geometry.capacity}.",
                form.size,
            )
        lineage = meta.NO_LINEAGE
        if source or len(ids):
            sources = (source,) if isinstance(source, Frame) else tuple(source)[: layout.MAX_SOURCES]
            lineage = meta.pack_lineage(tuple(ids)[: layout.MAX_PEOPLE], tuple(s.source for s in sources))
            if capture_ns is None and sources:
                oldest = min(sources, key=lambda s: s.capture_ns)
                capture_ns, capture_wall_ns = oldest.capture_ns, oldest.capture_wall_ns
        if capture_ns is None:
            capture_ns = now_ns()
        if capture_wall_ns is None:
            capture_wall_ns = wall_ns()
        seq = self._next()
        at = self.geometry.slot(seq)
        array = self._views.of(at, form)
        self._open = True
        self._words[at >> 3] = 2 * seq - 1  # W2: from here on the slot's old frame is gone
        atomics.fence()
        return Slot(self, array, flags, (seq, at, form.packed, capture_ns, capture_wall_ns, param_version, lineage))

    def _commit(
        self, flags: int, seq: int, at: int, form: bytes, capture_ns: int, wall_ns: int, version: int, lineage: bytes
    ) -> None:
        words = self._words
        if words[GRANTED] != self.epoch:
            self._fence_off()
        if self._successor:
            flags, self._successor = flags | layout.FLAGS["FIRST_AFTER_RESTART"], False
        ordinal = self.ordinal + 1
        head = meta.HEAD.pack(seq, self.epoch, ordinal, capture_ns, wall_ns, now_ns(), version, flags)
        self.segment.buffer[at + layout.META_OFFSET : at + META_END] = head + form + lineage  # W3
        words[at >> 3] = 2 * seq  # W4: the frame is whole
        atomics.fence()
        words[HEAD] = seq  # W5: the frame is published
        self.head = self._last = seq
        self.ordinal = ordinal
        self.ring()  # W6

    def ring(self) -> None:
        """Wake whoever waits for this ring."""
        self._ringer.ring([self._words[line] for line in self._lines])

    def wait_for_readers(self, timeout_s: float, all_read: bool = False) -> bool:
        """Lossless rings only: wait until everyone has read the frame that the next one would overwrite.

        all_read: until everyone has read every frame. Returns whether it came to that within `timeout_s`.
        """
        words, geometry = self._words, self.geometry
        needed = self.head if all_read else self._next() - geometry.slots
        deadline = now_ns() + round(timeout_s * 1e9)
        while any(Books(words, geometry.line(reader)).last_seq < needed for reader in range(geometry.readers)):
            if now_ns() > deadline:
                return False
            time.sleep(0.0005)
        return True

    def end(self) -> None:
        """There will be no further frame."""
        atomics.fence()
        self._words[WORD["ended"]] = 1
        self.ring()

    def close(self) -> None:
        self._ringer.close()
        self._views.drop()
        self.segment.close()
