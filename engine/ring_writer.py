"""The writing side of a ring. The numbers in the comments (W0…) are the steps of docs/PROTOCOL.md."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from engine import atomics, layout, meta
from engine.books import Books
from engine.clock import now_ns, wall_ns
from engine.errors import FrameTooLarge, WriterFenced
from engine.frame import Frame
from engine.ring import META_END, WORD, Geometry, newest_ordinal
from engine.shm import Segment
from engine.wake import Ringer


class Slot:
    """A frame being written in place. Leaving the `with` block publishes it; an exception abandons it."""

    __slots__ = ("_about", "_writer", "array", "flags", "seq")

    def __init__(self, writer: RingWriter, seq: int, array: np.ndarray, flags: int, about: dict[str, Any]):
        self._writer, self.seq, self.array, self.flags, self._about = writer, seq, array, flags, about

    def __enter__(self) -> Slot:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        array, self.array = self.array, np.empty(0)  # from here on the slot is the readers'
        if kind is None:
            self._writer._commit(self.seq, array.dtype, array.shape, int(self.flags), self._about)


class RingWriter:
    """The only writer of a ring.

    epoch: the number under which the supervisor granted the ring to this process; a newer grant fences it off.
    stream: the stream's row in the directory, for the lineage.
    """

    def __init__(self, segment: Segment, epoch: int, stream: int = 0):
        self.segment, self.epoch, self.stream = segment, epoch, stream
        self.geometry = Geometry(segment)
        self._words, self._ringer = segment.words, Ringer()
        self._fence_off()
        self._words[WORD["epoch"]] = epoch
        self._words[WORD["ended"]] = 0
        self._resume()

    def _resume(self) -> None:
        """W0: go on after the highest number that any predecessor ever touched, published or not."""
        words, geometry = self._words, self.geometry
        self.head: int = words[WORD["head"]]
        self._last = self.head
        for index in range(geometry.slots):
            at = geometry.slot(index) >> 3
            touched = (words[at] + 1) >> 1
            if touched > self.head:
                words[at] = 2 * touched - 1  # whole or not, it was never published: nobody may read it
                self._last = max(self._last, touched)
        self.ordinal = newest_ordinal(self.segment)
        self._successor = self.head > geometry.base_seq

    def _fence_off(self) -> None:
        if self._words[WORD["granted_epoch"]] != self.epoch:
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
        flags: int = 0,
        param_version: int = 0,
    ) -> Slot:
        """Open the next slot for writing in place; use it in a `with` block and fill all of `slot.array`.

        The frame inherits the capture time of its oldest `source`; without one it is captured now, or at
        `capture_ns`. Raises `FrameTooLarge` (nothing was begun), `WriterFenced`.
        """
        self._fence_off()  # W1
        kind = np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        if size > self.geometry.capacity:
            raise FrameTooLarge(
                f"A frame of {size} bytes does not fit ring {self.segment.name}, "
                f"whose slots hold {self.geometry.capacity}.",
                size,
            )
        sources = (source,) if isinstance(source, Frame) else tuple(source)[: layout.MAX_SOURCES]
        oldest = min(sources, key=lambda s: s.capture_ns, default=None)
        if capture_ns is None:
            capture_ns, capture_wall_ns = (oldest.capture_ns, oldest.capture_wall_ns) if oldest else (now_ns(), None)
        about = {
            "capture_ns": capture_ns,
            "capture_wall_ns": wall_ns() if capture_wall_ns is None else capture_wall_ns,
            "param_version": param_version,
            "pixel_format": layout.PIXEL_FORMATS[pixel_format],
            "row_order": layout.ROW_ORDERS[row_order],
            "canvas": canvas,
            "ids": tuple(ids)[: layout.MAX_PEOPLE],
            "sources": tuple(s.source for s in sources),
        }
        seq = self._next()
        at = self.geometry.slot(seq)
        start = at + layout.SLOT_META_BYTES
        array = self.segment.data[start : start + size].view(kind).reshape(shape)
        self._words[at >> 3] = 2 * seq - 1  # W2: from here on the slot's old frame is gone
        atomics.fence()
        return Slot(self, seq, array, flags, about)

    def _commit(self, seq: int, dtype: np.dtype, shape: tuple[int, ...], flags: int, about: dict[str, Any]) -> None:
        self._fence_off()
        if self._successor:
            flags, self._successor = flags | layout.FLAGS["FIRST_AFTER_RESTART"], False
        size = math.prod(shape) * dtype.itemsize
        packed = meta.pack(
            meta.Meta(
                seq=seq,
                epoch=self.epoch,
                ordinal=self.ordinal + 1,
                publish_ns=now_ns(),
                flags=flags,
                payload_bytes=size,
                dtype=layout.DTYPE_CODES[dtype],
                shape=shape,
                **about,
            )  # fmt: skip
        )
        at = self.geometry.slot(seq)
        self.segment.buffer[at + layout.META_OFFSET : at + META_END] = packed  # W3, protected by the mark
        atomics.fence()
        self._words[at >> 3] = 2 * seq  # W4: the frame is whole
        atomics.fence()
        self._words[WORD["head"]] = seq  # W5: the frame is published
        self.head = self._last = seq
        self.ordinal += 1
        self.ring()  # W6

    def ring(self) -> None:
        """Wake whoever waits for this ring."""
        geometry, words = self.geometry, self._words
        self._ringer.ring([words[geometry.line(reader)] for reader in range(geometry.readers)])

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
        self._words[WORD["ended"]] = 1
        self.ring()

    def close(self) -> None:
        self._ringer.close()
        self.segment.close()
