"""The engine's directory: a small segment with a fixed name, where everything else is found.

It holds a row per stream (which segment is its ring now) and a row per node (how it is doing). TouchDesigner
and any other foreign reader start here. Every row says in engine/layout.py who writes it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from engine import atomics, layout
from engine.clock import now_ns
from engine.errors import LayoutMismatch, NotReady, SegmentError
from engine.histogram import Histogram
from engine.shm import Segment

FRESH_NS, WATCH_S = 2_000_000_000, 0.5  # a beat younger than this may be followed by another within that time
PHASE_NAMES = {code: name for name, code in layout.PHASES.items()}


def segment_name(engine: str) -> str:
    """The directory's name; `engine` has at most 16 characters, because macOS allows 30 in all."""
    return f"utsu_{engine}_dir"


class StreamRow(NamedTuple):
    """Where a stream is now."""

    name: str
    node: int
    generation: int
    segment: str


class NodeHealth(NamedTuple):
    """How one node is doing, in words for a person."""

    name: str
    phase: str
    text: str
    restarts: int
    beat_age_s: float


class NodeRow:
    """One node's row: numbers by name (see `layout.NODE`), its sentence, its histograms."""

    def __init__(self, segment: Segment, index: int):
        self._buffer, self._words = segment.buffer, segment.words
        self._at = layout.NODE_ROWS + index * layout.NODE_ROW_BYTES
        self.step_ns = Histogram(self._words, (self._at + layout.NODE["step_ns"]) >> 3)
        self.latency_ns = Histogram(self._words, (self._at + layout.NODE["latency_ns"]) >> 3)

    def __getitem__(self, word: str) -> int:
        return self._words[(self._at + layout.NODE[word]) >> 3]

    def __setitem__(self, word: str, value: int) -> None:
        self._words[(self._at + layout.NODE[word]) >> 3] = value

    @property
    def name(self) -> str:
        return _get_text(self._buffer, self._at + layout.NODE["name"], layout.NAME_BYTES)

    @property
    def phase(self) -> str:
        return PHASE_NAMES.get(self["phase"], "NONE")

    @phase.setter
    def phase(self, name: str) -> None:
        self["phase"] = layout.PHASES[name]

    @property
    def text(self) -> str:
        """The node's own sentence about what is wrong; empty when nothing is."""
        at = self._at + layout.NODE["text"]
        for _ in range(100):
            before = self["text_mark"]
            atomics.fence()
            text = _get_text(self._buffer, at, min(self["text_bytes"], layout.TEXT_BYTES))
            atomics.fence()
            if before % 2 == 0 and self["text_mark"] == before:
                return text
        return ""

    @text.setter
    def text(self, sentence: str) -> None:
        data = sentence.encode()[: layout.TEXT_BYTES]
        at, mark = self._at + layout.NODE["text"], self["text_mark"] | 1
        self["text_mark"] = mark
        atomics.fence()
        self._buffer[at : at + len(data)] = data
        self["text_bytes"] = len(data)
        atomics.fence()
        self["text_mark"] = mark + 1

    def health(self) -> NodeHealth:
        age = (now_ns() - self["beat_ns"]) / 1e9 if self["beat_ns"] else 0.0
        return NodeHealth(self.name, self.phase, self.text, self["restarts"], max(age, 0.0))


class Directory:
    """The directory segment, from either side."""

    def __init__(self, segment: Segment):
        self.segment = segment
        self._words = segment.words

    @classmethod
    def create(cls, engine: str, session: int, nodes: Sequence[str], streams: Sequence[tuple[str, int]]) -> Directory:
        """Made by the supervisor; `streams` are (name, row of the node that writes it). Not yet published."""
        self = cls(Segment.create(segment_name(engine), layout.DIRECTORY_BYTES, session))
        self["node_count"], self["stream_count"] = len(nodes), len(streams)
        for index, name in enumerate(nodes):
            _set_text(self.segment.buffer, layout.NODE_ROWS + index * layout.NODE_ROW_BYTES, name)
        for index, (name, node) in enumerate(streams):
            at = layout.STREAM_ROWS + index * layout.STREAM_ROW_BYTES
            _set_text(self.segment.buffer, at + layout.STREAM["name"], name)
            self._words[(at + layout.STREAM["node"]) >> 3] = node
        return self

    @classmethod
    def attach(cls, engine: str) -> Directory:
        """Raises `SegmentMissing` when no engine of this name runs, `NotReady`, `LayoutMismatch`."""
        segment = Segment.attach(segment_name(engine))
        if segment.size < layout.DIRECTORY_BYTES:
            segment.close()
            raise LayoutMismatch(f"The directory of engine {engine!r} is too small. Restart the engine.")
        return cls(segment)

    def __getitem__(self, word: str) -> int:
        return self._words[layout.DIRECTORY[word] >> 3]

    def __setitem__(self, word: str, value: int) -> None:
        self._words[layout.DIRECTORY[word] >> 3] = value

    def node(self, index: int) -> NodeRow:
        return NodeRow(self.segment, index)

    def health(self) -> list[NodeHealth]:
        return [self.node(index).health() for index in range(min(self["node_count"], layout.MAX_NODES))]

    def stream(self, index: int) -> StreamRow:
        """Raises `NotReady` when the row is being changed for longer than it takes."""
        at = layout.STREAM_ROWS + index * layout.STREAM_ROW_BYTES
        mark = (at + layout.STREAM["mark"]) >> 3
        for _ in range(1000):
            before = self._words[mark]
            atomics.fence()
            row = StreamRow(
                _get_text(self.segment.buffer, at + layout.STREAM["name"], layout.NAME_BYTES),
                self._words[(at + layout.STREAM["node"]) >> 3],
                self._words[(at + layout.STREAM["generation"]) >> 3],
                _get_text(self.segment.buffer, at + layout.STREAM["segment"], layout.NAME_BYTES),
            )
            atomics.fence()
            if before % 2 == 0 and self._words[mark] == before:
                return row
        raise NotReady(f"Row {index} of the directory is being changed. Try again.")

    def set_stream(self, index: int, ring: Segment, generation: int) -> None:
        """Point a stream at a new ring."""
        at = layout.STREAM_ROWS + index * layout.STREAM_ROW_BYTES
        mark = (at + layout.STREAM["mark"]) >> 3
        self._words[mark] |= 1
        atomics.fence()
        self._words[(at + layout.STREAM["generation"]) >> 3] = generation
        self._words[(at + layout.STREAM["segment_bytes"]) >> 3] = ring.size
        _set_text(self.segment.buffer, at + layout.STREAM["segment"], ring.name)
        atomics.fence()
        self._words[mark] += 1

    def close(self) -> None:
        self.segment.close()


def directory_beats(engine: str) -> bool:
    """Does a supervisor keep this directory alive? A dead one's does not beat on; that takes a moment to see."""
    try:
        directory = Directory.attach(engine)
    except SegmentError:
        return False
    before = directory["beat_ns"]
    if directory["state"] == layout.STATES["READY"] and now_ns() - before < FRESH_NS:
        time.sleep(WATCH_S)
    beats = directory["beat_ns"] != before
    directory.close()
    return beats


def _get_text(buffer: memoryview, at: int, size: int) -> str:
    return bytes(buffer[at : at + size]).split(b"\0", 1)[0].decode(errors="replace")


def _set_text(buffer: memoryview, at: int, text: str) -> None:
    data = text.encode()[: layout.NAME_BYTES - 1]
    buffer[at : at + layout.NAME_BYTES] = data.ljust(layout.NAME_BYTES, b"\0")
