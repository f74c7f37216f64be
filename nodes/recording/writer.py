"""Frames of any streams into one MCAP file (mcap.dev), which can be read up to its last chunk however it ends.

# .mcap: a header with our profile, then chunks, each followed by an index of it; a summary at the very end
file = FramesFile(path, ["image"])
file.write("image", frame)
file.finish()
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mcap.writer import CompressionType, Writer

from engine.clock import now_ns
from engine.frame import Frame
from nodes.recording.mcap_file import PROFILE
from nodes.recording.message import OTHER, PICTURE, encoding, pack, schema
from nodes.recording.streams import facts

FLUSH_BYTES, FLUSH_NS = 1 << 16, 500_000_000  # a chunk holds about that much; it is what a kill can cost
NUMBER = 1 << 32  # an MCAP message counts in 32 bits
LATEST_TIME = (1 << 64) - 1


class FramesFile:
    """path: is written over. order: the streams' names, as a replay is to have them. compress: with LZ4, which takes
    most of what is flat and nothing of a camera's noise.

    bytes: in the file, so far. frames: how many. Every method raises OSError.
    """

    def __init__(self, path: Path, order: Sequence[str], compress: bool = True):
        self._file = path.open("wb")
        kind = CompressionType.LZ4 if compress else CompressionType.NONE
        self._writer = Writer(self._file, chunk_size=FLUSH_BYTES, compression=kind)
        self._order = list(order)
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._wall_ns = 0  # from our clock to the wall's, as it was when the file began
        self._pending, self._flushed_ns = 0, now_ns()
        self.bytes = self.frames = 0
        self._writer.start(profile=PROFILE)

    def write(self, name: str, frame: Frame) -> None:
        """Add a frame to the stream `name`."""
        if not self._channels:
            self._wall_ns = frame.capture_wall_ns - frame.capture_ns
        channel = self._channels.get(name) or self._begin(name, frame)
        packed = pack(name, frame)
        captured, published = (
            min(max(0, time + self._wall_ns), LATEST_TIME) for time in (frame.capture_ns, frame.publish_ns)
        )
        self._writer.add_message(channel, captured, packed, published, frame.seq % NUMBER)
        self.frames += 1
        self._pending += len(packed)
        if self._pending > FLUSH_BYTES or now_ns() - self._flushed_ns > FLUSH_NS:
            self._flush()

    def _begin(self, name: str, frame: Frame) -> int:
        kind = PICTURE if encoding(frame) else OTHER
        if kind not in self._schemas:
            self._schemas[kind] = self._writer.register_schema(kind, "protobuf", schema(kind))
        about = facts(frame, self._order.index(name), self._wall_ns)
        self._channels[name] = self._writer.register_channel(name, "protobuf", self._schemas[kind], about)
        return self._channels[name]

    def _flush(self) -> None:
        self._writer.flush()
        self.bytes = self._file.tell()
        self._pending, self._flushed_ns = 0, now_ns()

    def finish(self) -> None:
        """Complete the file: viewers find what is where by what is written now."""
        self._writer.finish()
        self._file.close()

    def abandon(self) -> None:
        """Let go of the file as it is."""
        with suppress(OSError):  # what was buffered cannot be written, which is why
            self._file.close()
