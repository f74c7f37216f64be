"""A recording to read: which streams are in it, and their frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from mcap.records import Message

from engine.errors import BadInput
from engine.frame import Frame
from engine.node import Port
from nodes.recording.index import read_index
from nodes.recording.mcap_file import Damaged, Records
from nodes.recording.message import unpack
from nodes.recording.streams import place, port, usable, wall_ns

MESSAGE_LEAST = 31  # bytes
FIRST, LAST = -(1 << 62), 1 << 62  # no time is outside
CHUNKS_KEPT = 2  # unpacked: streams that share a chunk read it soon after one another


@dataclass(frozen=True)
class Stream:
    """One stream of a recording. frames: how many there are."""

    name: str
    number: int
    port: Port
    frames: int


class Recording:
    """path: a file that `output.recorder` has written, whole or cut off. Raises BadInput for any other.

    streams: by name. start_ns, end_ns: the first and last capture, by the wall's clock. wall_ns: from the frames' clock
    to that one. whole: was the file completed?
    chunks: also find out where the frames are; without that, only these facts are there.
    """

    def __init__(self, path: Path, chunks: bool = True):
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror or error}.") from None
        try:
            self._records = Records(self._file)
            self._index = read_index(self._records, chunks)
            self.streams = {one.name: one for one in self._streams()}
        except (Damaged, OSError) as error:
            self._file.close()
            raise BadInput(f"{path} cannot be used as a recording: {error}.") from None
        self.start_ns, self.end_ns, self.whole = self._index.start_ns, self._index.end_ns, self._index.whole
        self.wall_ns = max(wall_ns(channel.metadata) for channel in self._index.channels.values())
        self._chunk = lru_cache(CHUNKS_KEPT)(self._records.chunk)

    def _streams(self) -> Iterator[Stream]:
        for number, channel in sorted(self._index.channels.items(), key=lambda one: (place(one[1].metadata), one[0])):
            if not usable(channel.topic):
                raise Damaged(f"a stream cannot be called {channel.topic[:40]!r}")
            count = min(self._index.counts[number], self._records.size // MESSAGE_LEAST)
            yield Stream(channel.topic, number, port(channel.metadata), count)
        if not self._index.channels:
            raise Damaged("there is no whole frame in it")

    def frames(
        self, name: str, damaged: Callable[[str], None] | None = None, since_ns: int = FIRST, until_ns: int = LAST
    ) -> Iterator[Frame]:
        """The frames of one stream in order, their arrays read-only.

        damaged: told a sentence for each part that cannot be read, and the frames go on after it; without it such a
        part raises BadInput. since_ns, until_ns: only frames captured since the one and before the other.
        """
        wanted = self.streams[name].number
        part = since_ns > FIRST or until_ns < LAST
        for position, channels in self._index.chunks:
            if wanted not in channels:
                continue
            with self._sentence():
                try:
                    if part and not self._reaches(position, wanted, since_ns, until_ns):
                        continue
                    for record in self._chunk(position):
                        if isinstance(record, Message) and record.channel_id == wanted:
                            frame = self._frame(record)
                            if since_ns <= frame.capture_ns < until_ns:
                                yield frame
                except Damaged as error:
                    if damaged is None:
                        raise
                    damaged(f"{self.path} is damaged: {error}.")

    def _reaches(self, position: int, channel: int, since_ns: int, until_ns: int) -> bool:
        """By its index: has the chunk a frame of that time? So that what comes before a part is not unpacked."""
        times = self._records.captures(position, channel) - self.wall_ns
        return bool(((times >= since_ns) & (times < until_ns)).any())

    def captures(self, name: str) -> np.ndarray:
        """When each frame of a stream was captured, in ns by the wall's clock: int64. Raises BadInput."""
        return np.concatenate([times for _, times in self._line(name)] or [np.empty(0, np.int64)])

    def frame(self, name: str, number: int) -> Frame:
        """One frame of a stream, counted from 0. Raises BadInput."""
        for position, times in self._line(name):
            if number < len(times):
                wanted = self.streams[name].number
                with self._sentence():
                    own = [one for one in self._chunk(position) if getattr(one, "channel_id", None) == wanted]
                    if number >= len(own):
                        raise Damaged(f"the chunk at {position} holds fewer frames than its index says")
                    return self._frame(own[number])
            number -= len(times)
        raise BadInput(f"{self.path} has no such frame of {name}.")

    def _line(self, name: str) -> Iterator[tuple[int, np.ndarray]]:
        """(where the chunk begins, when its frames were captured) of each chunk that has frames of this stream."""
        wanted = self.streams[name].number
        with self._sentence():
            for position, channels in self._index.chunks:
                if wanted in channels:
                    yield position, self._records.captures(position, wanted)

    @contextmanager
    def _sentence(self) -> Iterator[None]:
        try:
            yield
        except Damaged as error:
            raise BadInput(f"{self.path} is damaged: {error}.") from None
        except OSError as error:
            raise BadInput(f"{self.path} cannot be read: {error.strerror or error}.") from None

    def _frame(self, message: Any) -> Frame:
        try:
            return unpack(message.data)
        except ValueError as error:
            raise Damaged(f"frame {message.sequence} makes no sense: {error}") from None

    def close(self) -> None:
        self._chunk.cache_clear()
        self._file.close()
