"""All rings of an engine, as their owner sees them: made before any node starts, grown when asked, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from engine import layout, ring
from engine.books import Books
from engine.clock import now_ns
from engine.config import Config, StreamSpec
from engine.directory import Directory
from engine.frame import Frame
from engine.ring import WORD, Geometry, newest, newest_ordinal, newest_whole
from engine.ring_reader import Policy, RingReader
from engine.session import Session
from engine.shm import Segment

LINGER_NS = 2_000_000_000  # how long a retired ring stays mapped here, for readers that are just attaching


@dataclass
class Stream:
    """One stream and the ring that carries it now.

    geometry, header: as they were when the ring was made. The memory itself is a place where any node may err.
    """

    spec: StreamSpec
    row: int
    ring: Segment
    geometry: Geometry = field(init=False)
    header: bytes = field(init=False)
    generation: int = 1
    epoch: int = 0
    retired: list[tuple[int, Segment]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.carry_on(self.ring)

    def carry_on(self, new: Segment) -> None:
        self.ring, self.geometry, self.header = new, Geometry(new), bytes(new.buffer[: layout.RING["state"]])

    def books(self, line: int) -> Books:
        return Books(self.ring.words, self.geometry.line(line))


class Rings:
    """Raises `ShmFull` before anything is left behind."""

    def __init__(self, config: Config, session: Session, directory: Directory):
        self._session, self._directory = session, directory
        self._policies = {(node.name, port): edge.policy for node in config.nodes for port, edge in node.inputs.items()}
        self.streams: list[Stream] = []
        for row, spec in enumerate(config.streams):
            self.streams.append(Stream(spec, row, self._create(spec, row, 1)))
            directory.set_stream(row, self.streams[row].ring, 1)

    def _create(self, spec: StreamSpec, row: int, generation: int, **former: int) -> Segment:
        name = self._session.note(self._session.ring_name(row, generation))
        return ring.create(
            name, self._session.id, slots=spec.slots, readers=len(spec.readers), lossless=spec.lossless,
            generation=generation, **{"capacity": spec.capacity, **former},
        )  # fmt: skip

    def grant(self, stream: Stream, epoch: int) -> None:
        """From now on only the writer with this epoch may write."""
        stream.epoch = epoch
        if stream.ring.buffer[: len(stream.header)] != stream.header:  # a node has written where it must not
            stream.ring.buffer[: len(stream.header)] = stream.header
            stream.ring.words[WORD["head"]] = newest_whole(stream.ring, stream.geometry)
            stream.ring.words[WORD["state"]] = layout.STATES["READY"]
        stream.ring.words[WORD["granted_epoch"]] = epoch

    def grow(self, row: int, needed: int) -> None:
        """Give a stream a ring with slots of at least `needed` bytes, and some more, so that it is not soon again.

        Raises `ShmFull`, `EngineError`; then the old ring stays.
        """
        stream = self.streams[row]
        old = stream.ring
        if needed <= stream.geometry.capacity:
            return
        generation = stream.generation + 1
        new = self._create(
            stream.spec, row, generation, capacity=max(needed, stream.geometry.capacity * 3 // 2),
            base_seq=newest(old, stream.geometry), base_ordinal=newest_ordinal(old, stream.geometry),
        )  # fmt: skip
        lines = slice(layout.READER_LINES, layout.READER_LINES + len(stream.spec.readers) * layout.READER_LINE_BYTES)
        new.data[lines] = old.data[lines]
        new.words[WORD["granted_epoch"]] = stream.epoch
        stream.generation = generation
        stream.carry_on(new)
        self._directory.set_stream(row, new, generation)
        old.words[WORD["state"]] = layout.STATES["RETIRED"]
        stream.retired.append((now_ns(), old))

    def tidy(self) -> None:
        """Let go of rings that were retired a while ago."""
        for stream in self.streams:
            while stream.retired and now_ns() - stream.retired[0][0] > LINGER_NS:
                self._remove(stream.retired.pop(0)[1])

    def silence(self, node: str) -> None:
        """Nobody is woken on behalf of a dead reader."""
        for stream in self.streams:
            for line, (reader, _) in enumerate(stream.spec.readers):
                if reader == node:
                    stream.ring.words[stream.geometry.line(line) + (layout.READER["port"] >> 3)] = 0

    def figures(self) -> dict[str, dict]:
        """What --stats prints under "streams", counted by the writers and readers themselves."""
        figures = {}
        for stream in self.streams:
            readers = {}
            twice = Counter(node for node, _ in stream.spec.readers)
            for line, (node, port) in enumerate(stream.spec.readers):
                books = stream.books(line)
                latest = self._policies[node, port] in (Policy.LATEST, Policy.PAIRED)
                name = node if twice[node] == 1 else f"{node}.{port}"
                readers[name] = {
                    "received": books.received,
                    "skipped": books.missed if latest else 0,
                    "overrun": 0 if latest else books.missed,
                    "lost": books.lost,
                    "torn_retries": books.torn_retries,
                }
            figures[stream.spec.name] = {"published": newest_ordinal(stream.ring, stream.geometry), "readers": readers}
        return figures

    def missed(self, node: str) -> int:
        """How many frames a node did not get because it was not there in time, all its inputs together."""
        return sum(
            stream.books(line).missed
            for stream in self.streams
            for line, (reader, _) in enumerate(stream.spec.readers)
            if reader == node
        )

    def newest(self, name: str) -> Frame | None:
        """The newest frame of a stream, or None."""
        for stream in self.streams:
            if stream.spec.name == name:
                return RingReader(stream.ring, Policy.LATEST).read()
        return None

    def _remove(self, segment: Segment) -> None:
        name = segment.name
        segment.unlink()
        segment.close()
        self._session.forget(name)

    def close(self) -> None:
        for stream in self.streams:
            for _, segment in stream.retired:
                self._remove(segment)
            stream.ring.words[WORD["state"]] = layout.STATES["RETIRED"]
            self._remove(stream.ring)
