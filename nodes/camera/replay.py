"""camera.replay: what `output.recorder` has kept as frames, with its times. See docs/RECORDING.md."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from engine.clock import now_ns, wall_ns
from engine.frame import Frame
from engine.layout import MOST
from engine.node import Node, NodeConfig, Port
from nodes.recording.needed import needed

if TYPE_CHECKING:
    from nodes.recording.series import Series

WAIT_S = 0.1
STALL_NS = 500_000_000  # later than that, playback goes on from where it is
PERIOD_S = 1 / 30  # from the last frame to the first one again
MOMENTS = 64  # remembered
ROOM_S = 0.001  # between two looks at what the readers have read


class Replay(Node):
    """Publish the frames of every stream of a recording, under the names that the recorder's inputs had.

    Live, each comes when it was published, on one clock for all streams, and its time of capture is as long before that
    as it was; frames of one moment stay frames of one moment. Offline every frame comes once, at the very times of the
    recording, in the order of their capture.
    """

    class Config(NodeConfig):
        path: str = Field(
            min_length=1, description="a file of frames, a folder of such files, or a pattern such as show_*.mcap"
        )
        loop: bool = Field(False, description="play it again and again; an offline run plays it once")
        start: float = Field(0.0, ge=0, le=1e6, description="seconds of the recording to leave out at its beginning")
        seconds: float | None = Field(
            None, gt=0, le=1e6, description="how many seconds of it to play; left out: to its end"
        )
        speed: float = Field(1.0, gt=0, le=100, description="2 is twice as fast; an offline run is as fast as it can")

    @classmethod
    def outputs_of(cls, config: Config) -> dict[str, Port]:
        return cls._series(config).ports

    @staticmethod
    def _series(config: Config) -> Series:
        needed()
        from nodes.recording.series import Series

        return Series(Path(config.path), config.start, config.seconds)

    def setup(self) -> None:
        self.series = self._series(self.config)
        for error in self.series.unusable:
            if self.offline:
                raise error
            self.log.warning("%s It is left out.", error)
        for path in self.series.cut_off:
            self.log.warning("%s was never completed; it is played as far as it goes.", path)
        if self.offline and not self.config.start and not self.config.seconds:
            self.expect(self.series.frames[next(iter(self.outs))])
        self.damaged = 0
        self.begin()

    def begin(self) -> None:
        damaged = None if self.offline else self.leave_out
        self.streams = {name: self.series.read(name, damaged) for name in self.outs}
        self.heads: dict[str, Frame] = {}  # the next frame of each stream
        self.first_ns = self.began_ns = 0  # when the first frame was published then, and when it is now
        self.moments: dict[int, int] = {}  # of capture: in the recording, and now

    def leave_out(self, why: str) -> None:
        self.damaged += 1
        self.metric("damaged", self.damaged)
        if self.damaged == 1:
            self.degraded(f"{why} That part is left out, and what else cannot be read.")

    def step(self) -> None:
        for name in [name for name in self.streams if name not in self.heads]:
            frame = next(self.streams[name], None)
            if frame is None:
                del self.streams[name]
                if self.offline:  # who waits for a frame of this moment need not wait for this stream
                    self.outs[name].end()
            else:
                self.heads[name] = frame
        if stream := self.turn():
            self.publish(stream, self.heads.pop(stream))
        elif not self.heads and self.config.loop and not self.offline:
            time.sleep(PERIOD_S)
            self.begin()
        elif not self.heads:
            self.end()

    def turn(self) -> str | None:
        """The stream whose frame is to be published now; None if there is none, after a little waiting for it."""
        waiting = [name for name in self.outs if name in self.heads]
        if not self.offline:
            name = min(waiting, key=lambda one: self.heads[one].publish_ns, default=None)
            return name if name and self.due(self.heads[name]) else None
        # Never wait for the reader of one stream while another's waits for us: it may be the same one.
        for stream in sorted(waiting, key=lambda one: self.heads[one].capture_ns):
            if self.outs[stream].has_room:
                return stream
        time.sleep(ROOM_S)
        return None

    def due(self, frame: Frame) -> bool:
        """Whether it is time for this frame; waits for that a little."""
        if not self.began_ns:
            self.first_ns, self.began_ns = frame.publish_ns, now_ns()
        late_ns = now_ns() - self.now(frame.publish_ns)
        if late_ns < 0:
            time.sleep(min(-late_ns / 1e9, WAIT_S))
            return -late_ns <= WAIT_S * 1e9
        if late_ns > STALL_NS:
            self.began_ns += late_ns
        return True

    def now(self, then_ns: int) -> int:
        """A time of the recording, by the clock of now."""
        moment_ns = self.began_ns + round((then_ns - self.first_ns) / self.config.speed)
        return min(max(moment_ns, 0), MOST)  # a file may say anything

    def captured(self, frame: Frame) -> int:
        """Now; the same for all frames of one moment, also where playback stalled among them."""
        if frame.capture_ns not in self.moments:
            self.moments[frame.capture_ns] = self.now(frame.capture_ns)
            if len(self.moments) > MOMENTS:
                del self.moments[next(iter(self.moments))]
        return self.moments[frame.capture_ns]

    def publish(self, name: str, frame: Frame) -> None:
        times: dict[str, Any] = {"capture_ns": frame.capture_ns, "capture_wall_ns": frame.capture_wall_ns}
        if not self.offline:
            captured = self.captured(frame)
            times = {"capture_ns": captured, "capture_wall_ns": wall_ns() - (now_ns() - captured)}
        with self.outs[name].begin(
            frame.shape, frame.dtype, **times, pixel_format=frame.pixel_format, row_order=frame.row_order,
            canvas=frame.canvas, ids=frame.ids, lens=frame.lens, flags=int(frame.flags),
        ) as slot:  # fmt: skip
            np.copyto(slot.array, frame.array)
