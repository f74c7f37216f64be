"""A recording, played as a camera would give it, or picture by picture to whoever can take them."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import Any

from engine.clock import now_ns
from engine.errors import BadInput
from nodes.camera.librealsense import sdk
from nodes.camera.librealsense.clock import DeviceClock
from nodes.camera.librealsense.connection import Connection, Pair
from nodes.camera.librealsense.modes import picture_stream
from nodes.camera.librealsense.picture import FORMATS
from nodes.camera.librealsense.recording import check_recording, unplayable

WAIT_S = 0.1
GAP_S = 3.0  # without a picture, that are worth a word
TRIES, FRAMESETS = 10, 10  # a busy machine, and a player that does not always obey, are asked again


def open_recording(
    rs: Any, path: Path, depth: bool, infrared: bool, real_time: bool, loop: bool, as_filmed: bool
) -> RecordingConnection:
    """See RecordingConnection. Raises BadInput where the file is none that can be played, or lacks what is wanted."""
    for tried in range(1, TRIES + 1):
        connection = RecordingConnection(rs, path, depth, infrared, loop, as_filmed)
        try:
            if real_time or connection.rewind() or (tried > TRIES / 2 and connection.rewound):
                return connection
        except BaseException:
            connection.stop()
            raise
        connection.stop()
    raise BadInput(f"{path} holds less than two pictures, or this machine is too busy. Try again.")


class RecordingConnection(Connection):
    """Plays in real time: pictures come at the times at which they were recorded. After `rewind` each comes once, and
    those after it wait until it was taken.

    as_filmed: capture times by the time stamps alone, however quickly it is read.

    total: about how many pictures there are.
    """

    lasting = True

    def __init__(self, rs: Any, path: Path, depth: bool, infrared: bool, loop: bool, as_filmed: bool):
        check_recording(path)
        context = sdk.new_context()
        pipeline, config = rs.pipeline(context), rs.config()
        try:
            rs.config.enable_device_from_file(config, str(path), repeat_playback=loop)
            player = config.resolve(rs.pipeline_wrapper(pipeline)).get_device().as_playback()
            _check_streams(rs, player, path, depth, infrared)
            config.enable_stream(*picture_stream(rs, infrared))
            if depth:
                config.enable_stream(rs.stream.depth)
            profile = pipeline.start(config)
        except RuntimeError as error:
            raise unplayable(path, error) from None
        super().__init__(rs, pipeline, profile, str(path), depth, infrared)
        self._context, self._player = context, profile.get_device().as_playback()
        self._clock = None if as_filmed else DeviceClock(wall=False)
        self._began_ns, self._first_ms = now_ns(), None
        self._early: deque[Any] = deque()  # framesets that came while rewinding
        self._over = False
        self.total = round(self._player.get_duration().total_seconds() * 1000 / self._period_ms) + 1

    def rewind(self) -> bool:
        """Begin anew, now that everything runs, and give every pair from here on. False: it has not worked.

        The player plays on while one sensor is started after the other, and what comes meanwhile is lost. It cannot be
        rewound while it waits for a reader, so until then it plays in real time, and one picture replaces another:
        it has worked if that took no longer than it should, and no picture lacks its depths.
        """
        while not self._pairing.moves:
            if not self._more():
                self._early.clear()
                return False
        began_ns = now_ns()
        self._player.seek(timedelta(0))
        self._player.set_real_time(False)
        self._pairing.restart()
        self._early.clear()
        if now_ns() - began_ns > 1.5 * self._period_ms * 1e6:  # the player seeks when its next picture is due
            return False
        for _ in range(FRAMESETS):
            if not self._more() or len(self._early) == 2:
                break
        return bool(self._early) and not self._pairing.dropped

    @property
    def rewound(self) -> bool:
        """Though perhaps a pair is missing at the beginning, as one may be in the file."""
        return bool(self._early)

    def _more(self) -> bool:
        """Take one frameset while rewinding. False: there is none."""
        for _ in range(round(GAP_S / WAIT_S)):
            stopped = self._player.current_status() == self._rs.playback_status.stopped
            came, frames = self._pipeline.try_wait_for_frames(round(1000 * WAIT_S))
            if came:
                if pair := self._pairing.add(frames):
                    self._early.append(pair)
                return True
            if stopped:
                break
        return False

    def next(self, wait_s: float) -> Pair | None:
        return self._dated(self._early.popleft(), now_ns()) if self._early else super().next(wait_s)

    def stop(self) -> None:
        self._early.clear()
        super().stop()

    def silent(self, seconds: float) -> str:
        return f"{self.name} has a gap: nothing has come for {GAP_S:g} s. Waiting for more." if seconds > GAP_S else ""

    def _silence(self) -> None:
        # Once may be before what the player has read last has come through.
        stopped = self._player.current_status() == self._rs.playback_status.stopped
        self.ended, self._over = self._over and stopped, stopped

    def _date(self, picture: Any, arrived_ns: int) -> int:
        stamp_ms = picture.get_timestamp()
        if self._clock:
            return self._clock.capture_ns(stamp_ms, False, arrived_ns)
        if self._first_ms is None:
            self._first_ms = stamp_ms
        return self._began_ns + round((stamp_ms - self._first_ms) * 1e6)


def _check_streams(rs: Any, player: Any, path: Path, depth: bool, infrared: bool) -> None:
    profiles = [profile for sensor in player.query_sensors() for profile in sensor.get_stream_profiles()]
    kind, index = picture_stream(rs, infrared)
    pictures = [one for one in profiles if one.stream_type() == kind and index in (0, one.stream_index())]
    held = ", ".join(sorted({profile.stream_name() for profile in profiles})) or "nothing"
    if not pictures:
        what = "pictures of the left infrared camera" if infrared else "colour pictures"
        raise BadInput(f"{path} holds no {what}, but {held}. Set `infrared: {str(not infrared).lower()}`.")
    if pictures[0].format().name not in FORMATS:
        raise BadInput(f"{path} holds pictures in the format {pictures[0].format().name}, which is not supported.")
    if depth and not any(one.stream_type() == rs.stream.depth for one in profiles):
        raise BadInput(f"{path} holds no depths, but {held}. Set `depth: false`.")
