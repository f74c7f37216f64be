"""A ring segment: where things are in it, and how it is made. docs/PROTOCOL.md is its specification.

`engine/ring_writer.py` and `engine/ring_reader.py` are the two sides. Control words are single u64 stores and
loads; `struct.pack_into` would zero a word before it sets it, and is banned.
"""

from __future__ import annotations

import numpy as np

from engine import layout, meta
from engine.errors import LayoutMismatch
from engine.shm import Segment

WORD = {name: offset >> 3 for name, offset in layout.RING.items()}
META_END = layout.META_OFFSET + layout.META.size
MIN_SLOTS = 3  # the newest frame, the one being written, and one that a reader may still be copying


class Geometry:
    """Where things are in one ring. Raises `LayoutMismatch` for a header that cannot be."""

    def __init__(self, segment: Segment):
        words = segment.words
        self.slots: int = words[WORD["slot_count"]]
        self.stride: int = words[WORD["slot_stride"]]
        self.capacity: int = words[WORD["slot_capacity"]]
        self.readers: int = words[WORD["reader_count"]]
        self.base_seq: int = words[WORD["base_seq"]]
        self.base_ordinal: int = words[WORD["base_ordinal"]]
        self.lossless = bool(words[WORD["lossless"]])
        fits = layout.RING_HEADER_BYTES + self.slots * self.stride <= segment.size
        aligned = self.stride == layout.SLOT_META_BYTES + self.capacity and self.stride % layout.PAGE == 0
        counted = self.base_ordinal <= self.base_seq < layout.MOST
        if self.slots < MIN_SLOTS or not (fits and aligned and counted) or self.readers > layout.MAX_READERS:
            raise LayoutMismatch(f"Ring {segment.name} has an impossible header. Restart the engine.")

    def slot(self, seq: int) -> int:
        """Byte offset of the slot that frame `seq` goes into."""
        return layout.RING_HEADER_BYTES + (seq % self.slots) * self.stride

    def line(self, reader: int) -> int:
        """Word index of a reader's line."""
        return (layout.READER_LINES + reader * layout.READER_LINE_BYTES) >> 3


class Views:
    """The payload of each slot as an array; made once per slot and form."""

    def __init__(self, segment: Segment, writeable: bool):
        self._segment, self._writeable = segment, writeable
        self._form: meta.Form | None = None
        self._arrays: dict[int, np.ndarray] = {}

    def of(self, at: int, form: meta.Form) -> np.ndarray:
        """The payload of the slot at byte offset `at`."""
        if form is not self._form:
            self._form, self._arrays = form, {}
        array = self._arrays.get(at)
        if array is None:
            start = at + layout.SLOT_META_BYTES
            array = self._segment.data[start : start + form.size].view(form.dtype).reshape(form.shape)
            array.flags.writeable = self._writeable
            self._arrays[at] = array
        return array

    def drop(self) -> None:
        """Let go of the memory, so that it can be unmapped."""
        self._arrays = {}


def create(
    name: str,
    session: int,
    *,
    capacity: int,
    slots: int = 4,
    readers: int = 0,
    lossless: bool = False,
    generation: int = 1,
    base_seq: int = 0,
    base_ordinal: int = 0,
) -> Segment:
    """Make a ring whose slots hold at least `capacity` bytes. The caller owns the segment. Raises `ShmFull`.

    base_seq, base_ordinal: where the former generation of the stream ended; this one goes on from there.
    """
    segment = Segment.create(name, layout.ring_bytes(slots, capacity), session)
    stride = layout.slot_stride(capacity)
    for word, value in (
        ("generation", generation),
        ("slot_count", slots),
        ("slot_stride", stride),
        ("slot_capacity", stride - layout.SLOT_META_BYTES),
        ("base_seq", base_seq),
        ("base_ordinal", base_ordinal),
        ("reader_count", readers),
        ("lossless", int(lossless)),
        ("head", base_seq),
        ("state", layout.STATES["READY"]),
    ):
        segment.words[WORD[word]] = value
    segment.publish()
    return segment


def newest(segment: Segment, geometry: Geometry) -> int:
    """The number of the newest published frame: `head`, or what the slots say where that was damaged."""
    head = segment.words[WORD["head"]]
    return head if geometry.base_seq <= head < layout.MOST else newest_whole(segment, geometry)


def newest_ordinal(segment: Segment, geometry: Geometry) -> int:
    """How many frames a ring's stream has published."""
    head = newest(segment, geometry)
    if head == geometry.base_seq:
        return geometry.base_ordinal
    at = geometry.slot(head) + layout.META_OFFSET
    return min(meta.HEAD.unpack(segment.buffer[at : at + meta.HEAD.size])[2], head)


def newest_whole(segment: Segment, geometry: Geometry) -> int:
    """The highest number of a whole frame, by the slots alone; for a ring whose header was damaged."""
    marks = (segment.words[geometry.slot(index) >> 3] for index in range(geometry.slots))
    whole = (mark // 2 for mark in marks if mark % 2 == 0 and mark // 2 < layout.MOST)
    return max(whole, default=0) or geometry.base_seq
