"""The RealSense cameras of this machine, for `run_engine.py devices`."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from engine.errors import BadInput
from nodes.camera.devices.device import Device, Format
from nodes.camera.librealsense import sdk
from nodes.camera.librealsense.live import CameraConnection, CameraSettings
from nodes.camera.librealsense.modes import Wanted, modes
from nodes.camera.librealsense.picture import FORMATS, picture_into, picture_of

SNAPSHOT = Wanted((640, 480), 30, depth=False, infrared=False)
PATIENCE_S, WARM_UP = 5.0, 10  # seconds for a picture; pictures until the exposure has settled


def found() -> list[Device]:
    """Each camera that is attached; none where there is no pyrealsense2. Opens nothing."""
    try:
        rs, context = sdk.load(), sdk.new_context()
    except BadInput:
        return []
    return [_device(rs, context, device) for device in sdk.devices(context)]


def _device(rs: Any, context: Any, device: Any) -> Device:
    serial = sdk.info(device, "serial_number")
    return Device(
        kind="realsense",
        name=sdk.info(device, "name"),
        identity=serial,
        snapshot=partial(_snapshot, rs, context, serial),
        formats=(*_formats(rs, device, rs.stream.color), *_formats(rs, device, rs.stream.depth)),
        serial=serial,
        usb=sdk.info(device, "usb_type_descriptor"),
        path=sdk.info(device, "physical_port"),
        remark=sdk.usb_remark(device),
    )


def _formats(rs: Any, device: Any, kind: Any) -> list[Format]:
    """Largest first; of the many formats of a picture only the one that would be taken."""
    order = [*FORMATS, "z16"]
    best: dict[tuple[int, int, int], str] = {}
    for mode in modes(rs, device, kind):
        if mode.format in order:
            known = best.get(mode[:3], mode.format)
            best[mode[:3]] = min(known, mode.format, key=order.index)
    return [Format(*mode, best[mode].upper()) for mode in sorted(best, reverse=True)]


def _snapshot(rs: Any, context: Any, serial: str) -> np.ndarray:
    """One colour picture, (H, W, 3) uint8 BGR. Raises BadInput."""
    deadline = time.monotonic() + PATIENCE_S
    connection, seen = None, 0
    try:
        connection = CameraConnection(rs, context, CameraSettings(serial, SNAPSHOT, PATIENCE_S))
        while time.monotonic() < deadline:
            pair = connection.next(0.1)
            seen += pair is not None
            if pair and seen >= WARM_UP:
                frame = picture_of(pair.frames, False)
                picture = np.empty((frame.get_height(), frame.get_width(), 3), np.uint8)
                picture_into(frame, picture)
                return picture
        raise BadInput(f"{connection.name} gives no pictures. Use a USB 3 port and the cable it came with.")
    except RuntimeError as error:  # the SDK's
        raise BadInput(
            f"The RealSense camera {serial} gives no picture ({error}). Unplug it and plug it in again."
        ) from None
    finally:
        if connection:
            connection.stop()
