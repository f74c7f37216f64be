"""output.recorder: record the pictures as they came, each at the time it was captured. See docs/OUTPUT.md."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field, StringConstraints

from engine.clock import now_ns
from engine.errors import BadInput
from engine.frame import Frame
from engine.node import Every, Node, NodeConfig, live
from nodes.camera.backoff import Backoff
from nodes.output.pixels import even_sided, pixels
from nodes.output.sink import package

if TYPE_CHECKING:
    from nodes.output.movie import Movie

MICROSECOND = Fraction(1, 1_000_000)  # the unit of the time stamps: a capture time, cut off to it, stays as it is
KEY_EVERY_US = 1_000_000  # what is lost when the process is killed: the pictures since the last key frame
NEVER = 1 << 20  # pictures; key frames are set by time, because the rate varies
PRESET, THREADS = "veryfast", 2  # the show keeps the other cores
NOMINAL_FPS = 60.0  # a hint for x264 only
LOOK_NS = 1_000_000_000  # how often the disk is looked at
ENOUGH = 1.1  # of the room to keep free: recording begins again when there is that much
GB = 1e9


class Recorder(Node):
    """Write MP4 files that keep each picture's capture time (variable rate) and survive a crash.

    A picture that is no newer than the one before (one that is held, say) is left out: players show the last one for
    as long. Nothing that goes wrong here ends the node: it is degraded with a sentence, and begins a new file when it
    can.
    """

    class Config(NodeConfig):
        folder: Annotated[str, StringConstraints(min_length=1)] = Field(
            "recordings", description="where the videos go; it is made if it is not there"
        )
        name: Annotated[str, StringConstraints(pattern=r"^[\w-]{1,60}$")] = Field(
            "utsushi", description="what their names begin with: name_2026-11-26_14-03-05.mp4, by this machine's clock"
        )
        recording: bool = live(True, "whether pictures are recorded now; each time it is switched on begins a file")
        seconds: float = live(600.0, "begin another file after that long", unit="s", gt=0, le=3600)
        megabytes: float = live(4000.0, "begin another file when one is that large", unit="MB", gt=0)
        free_gb: float = live(5.0, "record only while that much is free on the disk", unit="GB", ge=0.1)
        crf: int = Field(18, ge=0, le=51, description="x264's quality: 0 is lossless, 18 looks it, 51 is worst")
        stop_timeout: float = Field(5.0, gt=0, description="seconds completing the file may take when asked to stop")

    inputs = {"image": Every}

    def setup(self) -> None:
        package("av", "av")
        if self.offline:
            raise BadInput(
                "output.recorder keeps the times of live pictures, and an offline run has none. Use output.video."
            )
        self.folder = Path(self.config.folder)
        self.take: Take | None = None
        self.newest_us = -1  # capture time of the newest picture that was recorded
        self.left_out = 0
        self.look_ns = self.retry_ns = 0
        self.full = self.complained = False
        self.backoff = Backoff()

    def configured(self) -> None:
        if not self.config.recording:
            self.finish()
            self.content()

    def step(self, image: Frame) -> None:
        now = now_ns()
        if not self.config.recording or now < self.retry_ns:
            return
        try:
            array = even_sided(pixels(image))
        except ValueError as error:
            self.complain(str(error))
            return
        if image.capture_ns // 1000 <= self.newest_us:
            self.left_out += 1
            self.metric("left_out", self.left_out)
            return
        try:
            if now >= self.look_ns and not self.room(now):
                return
            if self.take is not None and self.take.is_over(image, array, self.config):
                self.finish()
            if self.take is None:
                self.take = Take(self.folder, self.config.name, image, array, self.config.crf)
                self.log.info("Recording %s", self.take.path)
            self.take.write(image, array)
        except OSError as error:
            self.interrupt(now, error)
            return
        self.newest_us = image.capture_ns // 1000
        self.backoff.reset()
        self.content()

    def room(self, now: int) -> bool:
        """Look at the disk, and stop recording well before it is full. Raises OSError."""
        self.look_ns = now + LOOK_NS
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free / GB
        wanted = self.config.free_gb
        self.metric("free_gb", round(free, 1))
        if self.take is not None:
            self.metric("file", self.take.path.name)
            self.metric("megabytes", round(self.take.movie.bytes / 1e6, 1))
        self.full = free < wanted * (ENOUGH if self.full else 1)
        if self.full:
            self.finish()
            self.retry_ns = self.look_ns
            self.complain(
                f"Recording has stopped: only {wanted:g} GB may be left free on the disk of {self.folder.absolute()}, "
                f"and it has come to that. Move recordings away; it goes on by itself at {wanted * ENOUGH:g} GB."
            )
        return not self.full

    def interrupt(self, now: int, error: OSError) -> None:
        """Writing has failed: leave what there is, and begin a new file a little later."""
        take, self.take = self.take, None
        if take is not None:
            take.abandon()
        self.retry_ns = now + self.backoff.next_ns()
        self.complain(
            f"Cannot record into {self.folder.absolute()}: {error.strerror or error}. Check the disk and the folder's "
            "permissions; what was recorded stays, and a new file is begun as soon as that works."
        )

    def complain(self, why: str) -> None:
        self.complained = True
        self.degraded(why)

    def content(self) -> None:
        if self.complained:
            self.complained = False
            self.recovered()

    def finish(self) -> None:
        """Complete the file."""
        take, self.take = self.take, None
        if take is None:
            return
        try:
            take.movie.finish()
            self.log.info("Recorded %s: %d pictures, %.1f s.", take.path, take.pictures, take.stamp / 1e6)
        except OSError as error:
            kept = take.abandon()
            loss = "The last second of %s may be missing: %s." if kept else "Nothing could be written into %s: %s."
            self.log.warning(loss, take.path, error.strerror or error)

    def close(self) -> None:
        if hasattr(self, "take"):  # else setup has failed
            self.finish()


class Take:
    """One file, from its first picture on. Opening and writing raise OSError."""

    def __init__(self, folder: Path, name: str, image: Frame, array: np.ndarray, crf: int):
        self.size = array.shape[1], array.shape[0]
        self.start_us = image.capture_ns // 1000
        self.stamp, self.pictures, self.key_stamp = 0, 0, -KEY_EVERY_US
        self.path = new_file(folder, name, image.capture_wall_ns)
        try:
            self.movie = self._open(image.capture_wall_ns, crf)
        except OSError:
            self.path.unlink(missing_ok=True)
            raise

    def _open(self, wall_ns: int, crf: int) -> Movie:
        from nodes.output.movie import FRAGMENTS, Movie

        start = datetime.fromtimestamp(wall_ns / 1e9, UTC)
        about = {"creation_time": start.isoformat(timespec="seconds"), "comment": f"first picture: {start.isoformat()}"}
        x264 = {"crf": str(crf), "preset": PRESET}
        return Movie(
            self.path, self.size, NOMINAL_FPS, FRAGMENTS,
            time_base=MICROSECOND, key_every=NEVER, threads=THREADS, x264=x264, about=about,
        )  # fmt: skip

    def is_over(self, image: Frame, array: np.ndarray, limits: Recorder.Config) -> bool:
        """Whether this picture belongs into another file."""
        return (
            self.size != (array.shape[1], array.shape[0])
            or image.capture_ns // 1000 - self.start_us >= limits.seconds * 1e6
            or self.movie.bytes >= limits.megabytes * 1e6
        )

    def write(self, image: Frame, array: np.ndarray) -> None:
        self.stamp = image.capture_ns // 1000 - self.start_us
        key = self.stamp - self.key_stamp >= KEY_EVERY_US
        if key:
            self.key_stamp = self.stamp
        self.movie.write(array, image.pixel_format in ("BGR", "BGRA"), self.stamp, key)
        self.pictures += 1

    def abandon(self) -> bool:
        """Let go of the file, and keep it if a picture can be seen in it."""
        with suppress(OSError):
            self.movie.close()
        with suppress(OSError):  # one that cannot even be read may hold something
            if not self.movie.holds_pictures():
                self.path.unlink()
                return False
        return True


def new_file(folder: Path, name: str, wall_ns: int) -> Path:
    """Make an empty file that was not there, named by the wall time; a number sets apart those of one second."""
    stem = f"{name}_{time.strftime('%Y-%m-%d_%H-%M-%S', time.localtime(wall_ns / 1e9))}"
    number = 1
    while True:
        path = folder / f"{stem}{f'_{number}' if number > 1 else ''}.mp4"
        try:
            path.open("xb").close()
        except FileExistsError:
            number += 1
        else:
            return path
