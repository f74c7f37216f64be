"""Takes as frames: every frame of any streams, bit for bit. See docs/RECORDING.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import BadInput
from engine.frame import Frame
from nodes.recording.mcap_file import RECORD_MOST
from nodes.recording.reader import Recording
from nodes.recording.writer import FramesFile

ROOM = 4096  # of a record, beside the payload


class FramesFormat:
    """left_out: frames that were overwritten before this node came to read them, by their streams' own counts."""

    suffix = ".mcap"

    def __init__(self, order: Sequence[str], compress: bool):
        self._order, self._compress = order, compress
        self._ordinals: dict[str, int] = {}
        self.left_out = 0

    def wants(self, name: str, frame: Frame) -> bool:
        before = self._ordinals.get(name, frame.ordinal - 1)
        self._ordinals[name] = frame.ordinal
        self.left_out += max(0, frame.ordinal - before - 1)
        if frame.array.nbytes > RECORD_MOST - ROOM:
            raise ValueError(f"A frame of {frame.array.nbytes} bytes is too large to record; {name} has one.")
        return True

    def open(self, path: Path, frame: Frame) -> FramesTake:
        return FramesTake(path, frame, FramesFile(path, self._order, self._compress))

    def pause(self) -> None:
        self._ordinals = {}


class FramesTake:
    def __init__(self, path: Path, frame: Frame, file: FramesFile):
        self.path, self.file = path, file
        self.start_ns = self.newest_ns = frame.publish_ns

    @property
    def bytes(self) -> int:
        return self.file.bytes

    @property
    def frames(self) -> int:
        return self.file.frames

    @property
    def seconds(self) -> float:
        return (self.newest_ns - self.start_ns) / 1e9

    def is_over(self, frame: Frame, seconds: float) -> bool:
        return frame.publish_ns - self.start_ns >= seconds * 1e9

    def write(self, name: str, frame: Frame) -> None:
        self.file.write(name, frame)
        self.newest_ns = frame.publish_ns

    def finish(self) -> None:
        self.file.finish()

    def abandon(self) -> bool:
        self.file.abandon()
        try:
            Recording(self.path).close()
        except BadInput:  # there is not one frame in it
            self.path.unlink(missing_ok=True)
            return False
        return True
