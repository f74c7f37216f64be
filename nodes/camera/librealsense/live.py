"""A RealSense camera that is attached: found first, started in a mode that works, recorded if that is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import BadInput
from nodes.camera.librealsense import sdk
from nodes.camera.librealsense.clock import DeviceClock
from nodes.camera.librealsense.connection import Connection, Pair, StartFailed
from nodes.camera.librealsense.modes import Wanted, picture_stream, request
from nodes.camera.librealsense.options import set_options
from nodes.camera.librealsense.recording import Take

LOOK_AFTER_S = 0.5  # of silence: is it still there?


class CameraSettings(NamedTuple):
    """serial: "" for any. silent_after: seconds without a pair until it is started anew. record: where to, or None.
    Options: see options.py."""

    serial: str
    wanted: Wanted
    silent_after: float
    record: Path | None = None
    picture_options: Mapping[str, float] = {}
    depth_options: Mapping[str, float] = {}


class CameraConnection(Connection):
    """A camera that was started. remark: of USB 2, of another mode than wanted, of a full disk."""

    def __init__(self, rs: Any, context: Any, settings: CameraSettings):
        """Raises BadInput, with a sentence, where the camera is missing or refuses what is wanted."""
        device, wanted = sdk.find(context, settings.serial), settings.wanted
        name = sdk.name_of(device)
        pipeline, config, compromise = request(rs, context, device, wanted)
        self._take = Take(settings.record) if settings.record else None
        if self._take:
            config.enable_record_to_file(str(self._take.path))
        try:
            profile = pipeline.start(config)
        except RuntimeError as error:
            if self._take:
                self._take.close()
            raise StartFailed(
                f"{name} cannot be started ({error}). Close what else uses it, or unplug it and plug it in again."
            ) from None
        super().__init__(rs, pipeline, profile, name, wanted.depth, wanted.infrared)
        self._context, self._serial = context, sdk.info(device, "serial_number")
        self._patience_s = settings.silent_after
        self._clock = DeviceClock(wall=True)
        self._on_wall = (rs.timestamp_domain.global_time, rs.timestamp_domain.system_time)
        usb = sdk.usb_remark(device)
        self.remark = f"{usb or name + ' has not got the mode that is wanted.'} {compromise}" if compromise else usb
        try:
            kind, _ = picture_stream(rs, wanted.infrared)
            set_options(rs, profile.get_device(), kind, settings.picture_options, name, "picture_options")
            set_options(rs, profile.get_device(), rs.stream.depth, settings.depth_options, name, "depth_options")
        except BaseException:
            self.stop()
            raise

    def next(self, wait_s: float) -> Pair | None:
        pair = super().next(wait_s)
        if self._take and pair:
            self._take.worth = True
            if self._take.out_of_room():
                self._profile.get_device().as_recorder().pause()
                self.remark = f"{self._take.path} is no longer recorded: less than 2 GB are free. Delete something."
        return pair

    def stop(self) -> None:
        super().stop()
        if self._take:
            self._take.close()

    def silent(self, seconds: float) -> str:
        if seconds < LOOK_AFTER_S:
            return ""
        try:
            sdk.find(self._context, self._serial)
        except BadInput:
            return f"{self.name} was unplugged, or has lost its power. Plug it in again."
        if seconds < self._patience_s:
            return ""
        if self._pairing.since:
            return f"{self.name} gives pictures, but no depths that were taken at the same time. It is started anew."
        return (
            f"{self.name} is connected but gives no pictures. Use a USB 3 port and the cable it came with, and close "
            "what else uses it. It is started anew."
        )

    def _date(self, picture: Any, arrived_ns: int) -> int:
        on_wall = picture.get_frame_timestamp_domain() in self._on_wall
        return self._clock.capture_ns(picture.get_timestamp(), on_wall, arrived_ns)


def reset(context: Any, serial: str) -> str:
    """Restart the camera itself, as if it were unplugged for a moment; a sentence about that. Raises BadInput where it
    is gone, RuntimeError where it cannot."""
    device = sdk.find(context, serial)
    device.hardware_reset()
    return f"{sdk.name_of(device)} has given nothing several times in a row. It is being reset."
