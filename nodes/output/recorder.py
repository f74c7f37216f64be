"""output.recorder: keep a show as it was, as video or as frames. See docs/OUTPUT.md and docs/RECORDING.md."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from engine.clock import now_ns
from engine.errors import BadInput, EngineError
from engine.frame import Frame
from engine.node import Every, Node, NodeConfig, live
from nodes.camera.backoff import Backoff
from nodes.output.recorder_take import Format, Take, new_file
from nodes.output.sink import package
from nodes.recording.needed import needed

LOOK_NS = 1_000_000_000  # how often the disk is looked at
ENOUGH = 1.1  # of the room to keep free: recording begins again when there is that much
GB = 1e9
SAID_NS = 5_000_000_000  # how long it is said that a frame was left out


class Recorder(Node):
    """Write files that keep each frame's capture time and survive a crash: MP4, or every frame bit for bit.

    Nothing that goes wrong here ends the node or holds up the show: it is degraded with a sentence, and begins a new
    file when it can. Offline a frame that cannot be recorded ends the run.
    """

    class Config(NodeConfig):
        format: Literal["mp4", "frames"] = Field(
            "mp4", description="mp4: one stream of pictures as video; frames: any streams without loss, to be replayed"
        )
        folder: Annotated[str, StringConstraints(min_length=1)] = Field(
            "recordings", description="where the files go; it is made if it is not there"
        )
        name: Annotated[str, StringConstraints(pattern=r"^[\w-]{1,60}$")] = Field(
            "utsushi", description="what their names begin with: name_2026-11-26_14-03-05.mp4, by this machine's clock"
        )
        recording: bool = live(True, "whether it is recorded now; each time it is switched on begins a file")
        seconds: float = live(600.0, "begin another file after that long", unit="s", gt=0, le=3600)
        megabytes: float = live(4000.0, "begin another file when one is that large", unit="MB", gt=0)
        free_gb: float = live(5.0, "record only while that much is free on the disk", unit="GB", ge=0.1)
        crf: int = Field(18, ge=0, le=51, description="mp4: x264's quality: 0 is lossless, 18 looks it, 51 is worst")
        compress: bool = Field(
            True, description="frames: pack them with LZ4; nothing is lost, and a camera's noise hardly gets smaller"
        )
        stop_timeout: float = Field(5.0, gt=0, description="seconds completing the file may take when asked to stop")

    inputs = {"image": Every}
    gathers = True

    def setup(self) -> None:
        self.format = self._format()
        self.folder = Path(self.config.folder)
        self.take: Take | None = None
        self.look_ns = self.retry_ns = 0
        self.lost = 0  # frames left out for lack of time
        self.said_ns = 0  # until when the last complaint stands, whatever else is recorded meanwhile
        self.full = False
        self.backoff = Backoff()

    def _format(self) -> Format:
        if self.config.format == "frames":
            needed()
            from nodes.output.recorder_frames import FramesFormat

            return FramesFormat(self.reads, self.config.compress)
        package("av", "av")
        if len(self.reads) > 1:
            raise BadInput(
                f"An MP4 holds the pictures of one stream, and {self.name} reads {', '.join(self.reads)}. Record them "
                "with format: frames, or each with an output.recorder of its own."
            )
        from nodes.output.recorder_movie import MovieFormat

        if self.offline:
            raise BadInput(
                "output.recorder keeps the times of live pictures, and an offline run has none. Use output.video, or "
                "format: frames."
            )
        return MovieFormat(self.config.crf)

    def configured(self) -> None:
        if not self.config.recording:
            self.finish()
            self.troubled(None)

    def step(self, **frames: Frame) -> None:
        now = now_ns()
        if not self.config.recording or now < self.retry_ns:
            self.format.pause()
            return
        for name, frame in sorted(frames.items(), key=lambda one: one[1].publish_ns):
            try:
                if not self.record(now, name, frame):
                    return
            except ValueError as error:
                self.complain(str(error))
                self.said_ns = now + SAID_NS if len(self.reads) > 1 else 0
            except OSError as error:
                self.interrupt(now, error)
                return

    def record(self, now: int, name: str, frame: Frame) -> bool:
        """Whether the next frame may be recorded too. Raises OSError, and ValueError for what cannot be recorded."""
        wanted = self.format.wants(name, frame)
        if not wanted or self.format.left_out:
            self.metric("left_out", self.format.left_out)
        if not wanted:
            return True
        if now >= self.look_ns and not self.room(now):
            return False
        if self.take is not None and self.is_over(self.take, frame):
            self.finish()
        if self.take is None:
            self.take = self.begin(frame)
            self.log.info("Recording %s", self.take.path)
        self.take.write(name, frame)
        self.backoff.reset()
        self.keep_up(now)
        return True

    def is_over(self, take: Take, frame: Frame) -> bool:
        return take.is_over(frame, self.config.seconds) or take.bytes >= self.config.megabytes * 1e6

    def begin(self, frame: Frame) -> Take:
        path = new_file(self.folder, self.config.name, self.format.suffix, frame.capture_wall_ns)
        try:
            return self.format.open(path, frame)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def keep_up(self, now: int) -> None:
        """Say for a while that frames were lost, else that all is well."""
        if self.config.format == "frames" and self.format.left_out > self.lost:
            self.lost, self.said_ns = self.format.left_out, now + SAID_NS
            self.complain(
                f"{self.lost} frames were left out of the recording, because this machine's disk or processor is too "
                "slow for them. Record fewer or smaller streams, or into a folder on a faster disk."
            )
        elif now >= self.said_ns:
            self.troubled(None)

    def room(self, now: int) -> bool:
        """Look at the disk, and stop recording well before it is full. Raises OSError."""
        self.look_ns = now + LOOK_NS
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free / GB
        wanted = self.config.free_gb
        self.metric("free_gb", round(free, 1))
        if self.take is not None:
            self.metric("file", self.take.path.name)
            self.metric("megabytes", round(self.take.bytes / 1e6, 1))
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
        if self.offline:
            raise EngineError(why)
        self.troubled(why)

    def finish(self) -> None:
        """Complete the file."""
        take, self.take = self.take, None
        if take is None:
            return
        try:
            take.finish()
            self.log.info("Recorded %s: %d frames, %.1f s.", take.path, take.frames, take.seconds)
        except OSError as error:
            kept = take.abandon()
            loss = "The last second of %s may be missing: %s." if kept else "Nothing could be written into %s: %s."
            self.log.warning(loss, take.path, error.strerror or error)

    def close(self) -> None:
        if hasattr(self, "take"):  # else setup has failed
            self.finish()
