"""Takes as MP4: the pictures of one stream, each at the time it was captured."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from engine.frame import Frame
from nodes.output.movie import FRAGMENTS, Movie
from nodes.output.pixels import even_sided, pixels

MICROSECOND = Fraction(1, 1_000_000)  # the unit of the time stamps: a capture time, cut off to it, stays as it is
KEY_EVERY_US = 1_000_000  # what is lost when the process is killed: the pictures since the last key frame
NEVER = 1 << 20  # pictures; key frames are set by time, because the rate varies
PRESET, THREADS = "veryfast", 2  # the show keeps the other cores
NOMINAL_FPS = 60.0  # a hint for x264 only


class MovieFormat:
    """Leaves out a picture that is no newer than the one before (one that is held, say): players show the last one for
    as long."""

    suffix = ".mp4"

    def __init__(self, crf: int):
        self._crf = crf
        self.left_out = 0
        self.newest_us = -1  # capture time of the newest picture that was recorded

    def wants(self, name: str, frame: Frame) -> bool:
        pixels(frame)
        newer = frame.capture_ns // 1000 > self.newest_us
        self.left_out += not newer
        return newer

    def open(self, path: Path, frame: Frame) -> MovieTake:
        return MovieTake(self, path, frame, self._crf)

    def pause(self) -> None:
        pass


class MovieTake:
    def __init__(self, format: MovieFormat, path: Path, image: Frame, crf: int):
        self.format, self.path, self.size = format, path, _size(image)
        self.start_us = image.capture_ns // 1000
        self.stamp, self.frames, self.key_stamp = 0, 0, -KEY_EVERY_US
        start = datetime.fromtimestamp(image.capture_wall_ns / 1e9, UTC)
        about = {"creation_time": start.isoformat(timespec="seconds"), "comment": f"first picture: {start.isoformat()}"}
        x264 = {"crf": str(crf), "preset": PRESET}
        self.movie = Movie(
            path, self.size, NOMINAL_FPS, FRAGMENTS,
            time_base=MICROSECOND, key_every=NEVER, threads=THREADS, x264=x264, about=about,
        )  # fmt: skip

    @property
    def bytes(self) -> int:
        return self.movie.bytes

    @property
    def seconds(self) -> float:
        return self.stamp / 1e6

    def is_over(self, frame: Frame, seconds: float) -> bool:
        return self.size != _size(frame) or frame.capture_ns // 1000 - self.start_us >= seconds * 1e6

    def write(self, name: str, frame: Frame) -> None:
        self.stamp = frame.capture_ns // 1000 - self.start_us
        key = self.stamp - self.key_stamp >= KEY_EVERY_US
        if key:
            self.key_stamp = self.stamp
        self.movie.write(even_sided(pixels(frame)), frame.pixel_format in ("BGR", "BGRA"), self.stamp, key)
        self.frames += 1
        self.format.newest_us = frame.capture_ns // 1000

    def finish(self) -> None:
        self.movie.finish()

    def abandon(self) -> bool:
        with suppress(OSError):
            self.movie.close()
        with suppress(OSError):  # one that cannot even be read may hold something
            if not self.movie.holds_pictures():
                self.path.unlink()
                return False
        return True


def _size(frame: Frame) -> tuple[int, int]:
    """(width, height) of its video: even."""
    height, width = pixels(frame).shape[:2]
    return width + width % 2, height + height % 2
