"""The cameras that OpenCV can open. Only a test picture opens them, so a camera at work is not disturbed."""

from __future__ import annotations

import os
import sys
import time
from functools import partial

import numpy as np

from engine.errors import BadInput
from nodes.camera.capture import cv2
from nodes.camera.devices.device import Device, Format
from nodes.camera.devices.identity import PREFIX, Camera, cameras, identity
from nodes.camera.devices.sysfs import users
from nodes.camera.devices.v4l2 import formats
from nodes.camera.plugged import DeviceSettings, Plugged, backend_of

SETTLING_S = 1.0  # a camera's exposure needs a moment


def found() -> list[Device]:
    """Every camera, in the system's order. Raises BadInput when the system does not tell."""
    everyone = cameras(backend_of())
    return [_device(camera, everyone) for camera in everyone]


def _device(camera: Camera, everyone: list[Camera]) -> Device:
    source = identity(camera, everyone)
    on_linux = sys.platform == "linux"
    offers: tuple[Format, ...] = formats(camera.path) if on_linux else ()
    return Device(
        "camera", camera.name or "a camera without a name", source, partial(_snapshot, source), offers,
        camera.usb.serial, camera.usb.version, camera.usb.speed, camera.path, _remark(camera, source, on_linux),
    )  # fmt: skip


def _remark(camera: Camera, source: str, on_linux: bool) -> str:
    if "realsense" in camera.name.casefold():
        return "Use camera.realsense for it, which gives depth, too."
    if on_linux and not os.access(camera.path, os.R_OK | os.W_OK):
        return "This user may not use it. Run: sudo usermod -aG video $USER, then log out and in again."
    if holders := users(camera.path) if on_linux else []:
        return f"In use by {', '.join(holders)}."
    return "" if source.startswith(PREFIX) else "Nothing tells it from another one: its number may change."


def _snapshot(source: str) -> np.ndarray:
    plugged = Plugged(source if source.startswith(PREFIX) else int(source), DeviceSettings())
    capture = plugged.open()
    try:
        until = time.monotonic() + SETTLING_S
        while capture.grab():
            if time.monotonic() >= until:
                done, picture = capture.retrieve()
                if done and picture is not None:
                    return picture
                break
    except cv2.error as error:
        raise BadInput(f"OpenCV gave up on {plugged.name}: {error.err or error}. Plug it in again.") from error
    finally:
        capture.release()
    raise BadInput(f"No pictures come from {plugged.name}. Close the other program that uses it, or plug it in again.")
