"""One running pipeline of the SDK. Each call in here may block, or fail with RuntimeError."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.clock import now_ns
from engine.errors import BadInput
from nodes.camera.librealsense.modes import picture_stream
from nodes.camera.librealsense.pairs import Pairing
from nodes.camera.librealsense.picture import picture_of


class StartFailed(BadInput):
    """The camera is there, but does not start."""


class Pair(NamedTuple):
    """A picture with its depths, if they are wanted, as a frameset of the SDK. capture_ns: of both."""

    frames: Any
    capture_ns: int


class Connection:
    """What a camera and a recording have in common.

    name: for people. remark: a sentence on what is not as it should be although pictures come, else "".
    ended: nothing more will come. lasting: a silence is no reason to start it anew.
    """

    ended = False
    lasting = False
    remark = ""

    def __init__(self, rs: Any, pipeline: Any, profile: Any, name: str, depth: bool, infrared: bool):
        self.name = name
        self._rs, self._pipeline, self._profile, self._infrared = rs, pipeline, profile, infrared
        self._period_ms = 1000 / profile.get_stream(*picture_stream(rs, infrared)).fps()
        self._pairing = Pairing(rs, self._period_ms, depth, infrared)

    @property
    def mismatched(self) -> int:
        """Pictures that were dropped because no depths were taken at the same time."""
        return self._pairing.dropped

    def next(self, wait_s: float) -> Pair | None:
        """The next pair; None if there is none yet after `wait_s`, or sooner."""
        came, frames = self._pipeline.try_wait_for_frames(round(1000 * wait_s))
        arrived_ns = now_ns()
        if not came:
            self._silence()
            return None
        pair = self._pairing.add(frames)
        return self._dated(pair, arrived_ns) if pair else None

    def _dated(self, frames: Any, arrived_ns: int) -> Pair:
        return Pair(frames, self._date(picture_of(frames, self._infrared), arrived_ns))

    def stop(self) -> None:
        """May hang after the camera was unplugged."""
        self._pipeline.stop()
        self._pairing.close()
        self._pipeline = self._profile = None  # with them goes the recorder, which completes its file

    def silent(self, seconds: float) -> str:
        """What is to be said after so many seconds without a pair; "": nothing yet."""
        raise NotImplementedError

    def _silence(self) -> None:
        """Nothing has come for once."""

    def _date(self, picture: Any, arrived_ns: int) -> int:
        """When the picture was captured."""
        raise NotImplementedError
