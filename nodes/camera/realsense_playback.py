"""A recording, played as a camera would give it, or picture by picture to whoever can take them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from engine.clock import now_ns
from engine.errors import BadInput
from nodes.camera import realsense_sdk as sdk
from nodes.camera.realsense_clock import DeviceClock
from nodes.camera.realsense_connection import Connection
from nodes.camera.realsense_modes import picture_stream
from nodes.camera.realsense_picture import FORMATS
from nodes.camera.realsense_recording import check_recording, unplayable

GAP_S = 3.0  # without a picture, that are worth a word


class RecordingConnection(Connection):
    """real_time: pictures come at the times at which they were recorded. Else each comes once, and those after it wait
    until it was taken. as_filmed: capture times by the time stamps alone, however quickly it is read.

    total: about how many pictures there are.
    """

    lasting = True

    def __init__(
        self, rs: Any, path: Path, depth: bool, infrared: bool, real_time: bool, loop: bool, as_filmed: bool = False
    ):
        """Raises BadInput where the file is none that can be played, or lacks what is wanted."""
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
        if not real_time:
            try:
                self._rewind()
            except BaseException:
                self.stop()
                raise
        self._over = False
        self.total = round(self._player.get_duration().total_seconds() * 1000 / self._period_ms) + 1

    def _rewind(self) -> None:
        """Begin anew, now that everything runs: the player plays on while one sensor is started after the other, and
        what comes meanwhile is lost."""
        while not self._pairing.moves:
            came, frames = self._pipeline.try_wait_for_frames(round(1000 * GAP_S))
            if not came:
                raise BadInput(f"{self.name} holds less than two pictures. Choose another `recording`.")
            self._pairing.add(frames)
        self._player.seek(timedelta(0))
        self._player.set_real_time(False)
        self._pairing.restart()

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
