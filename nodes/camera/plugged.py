"""A camera that is plugged in: looked up anew at each opening, asked for what is wanted, its locks put back."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine.errors import BadInput
from engine.models import COMMAND
from nodes.camera.capture import cv2, shown
from nodes.camera.controls import Locks, apply
from nodes.camera.devices import identity
from nodes.camera.devices.sysfs import users

BACKENDS = {
    "v4l2": cv2.CAP_V4L2,
    "dshow": cv2.CAP_DSHOW,
    "msmf": cv2.CAP_MSMF,
    "avfoundation": cv2.CAP_AVFOUNDATION,
    "any": cv2.CAP_ANY,
}
# Windows and macOS were never tried. DirectShow opens faster than Media Foundation by all accounts.
OF_THE_SYSTEM = {"linux": "v4l2", "win32": "dshow", "darwin": "avfoundation"}
MJPG = cv2.VideoWriter.fourcc(*"MJPG")
FORMAT, WIDTH, HEIGHT, RATE = (
    cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS,
)  # fmt: skip
# Many cameras reach their larger sizes at full rate as MJPG only, so V4L2 is told so first. DirectShow forgets the
# format with every other setting, so there it comes last (cap_dshow.cpp). Media Foundation chooses by itself
# (cap_msmf.cpp), and each setting may cost it seconds (https://github.com/opencv/opencv/issues/26495).
ORDER = {"V4L2": (FORMAT, WIDTH, HEIGHT, RATE), "DSHOW": (RATE, WIDTH, HEIGHT, FORMAT)}
ELSEWHERE = (WIDTH, HEIGHT, RATE)
ANOTHER = f"or choose another `source`: {COMMAND} devices"


def backend_of(name: str = "auto") -> int:
    """OpenCV's number for it; "auto" is what the system is best spoken to with."""
    return BACKENDS[OF_THE_SYSTEM.get(sys.platform, "any") if name == "auto" else name]


class DeviceSettings(NamedTuple):
    """What to ask of a camera. It may give something else."""

    backend: str = "auto"
    size: tuple[int, int] | None = None
    fps: float | None = None


class Plugged:
    """source: a camera's number, "camera:…" (see devices/identity.py), or on Linux a path. locks: may be replaced at
    any time, and the camera follows with its next picture; None leaves all as it is."""

    def __init__(self, source: int | str, settings: DeviceSettings, locks: Locks | None = None):
        self.source, self.settings, self.locks = source, settings, locks
        self.name = shown(source)
        self._remarks: list[str] = []
        self._told: set[str] = set()

    def open(self) -> Opened:
        """Raises BadInput where it is not there, is not just one, or cannot be had."""
        source, backend = self.source, backend_of(self.settings.backend)
        if isinstance(source, str) and source.startswith(identity.PREFIX):
            backend = backend if backend != cv2.CAP_ANY else backend_of()  # the numbers of a list are one backend's
            source = identity.find(source, identity.cameras(backend)).number
        path = Path(f"/dev/video{source}" if isinstance(source, int) else source)
        if sys.platform == "linux":
            _check_device_file(path, self.name)
        capture = cv2.VideoCapture(source, backend)
        if not capture.isOpened():
            holders = users(str(path.resolve())) if sys.platform == "linux" else []
            why = (
                f"{', '.join(holders)} is using it. Close that program"
                if holders
                else "it is not there, or another program is using it, or this program has not been allowed to use "
                "cameras. Plug it in, close the other program"
            )
            raise BadInput(f"Cannot open {self.name}: {why}, {ANOTHER}")
        self.remark(*_ask(capture, self.settings, self.name))
        return Opened(capture, self)

    def remark(self, *sentences: str) -> None:
        self._remarks = [*self._remarks, *sentences]

    def news(self) -> list[str]:
        """What the camera gives other than it was asked for, each sentence once. For the thread that may log."""
        remarks, self._remarks = self._remarks, []
        new = [remark for remark in dict.fromkeys(remarks) if remark not in self._told]
        self._told.update(new)
        return new


class Opened:
    """An open camera, as `Live` uses a cv2.VideoCapture."""

    def __init__(self, capture: cv2.VideoCapture, plugged: Plugged):
        self._capture, self._plugged = capture, plugged
        self._held: Locks | None = None  # nothing was set yet
        # DirectShow's grab() does not wait for a picture, its retrieve() does (cap_dshow.cpp).
        self._at_once = capture.getBackendName() == "DSHOW"
        self._picture: np.ndarray | None = None

    def grab(self) -> bool:
        if self._at_once:
            done, self._picture = self._capture.read(self._picture)
        else:
            done = self._capture.grab()
        locks = self._plugged.locks
        if done and locks is not None and locks != self._held:
            # Only now that pictures flow: some cameras forget what they were told before.
            self._plugged.remark(*apply(self._capture, locks, self._held, self._plugged.name))
            self._held = locks
        return done

    def retrieve(self, array: np.ndarray | None = None) -> tuple[bool, np.ndarray | None]:
        if not self._at_once:
            return self._capture.retrieve(array)
        picture = self._picture
        if picture is None or array is None or array.shape != picture.shape:
            return picture is not None, picture
        np.copyto(array, picture)
        return True, array

    def release(self) -> None:
        self._capture.release()


def _ask(capture: cv2.VideoCapture, settings: DeviceSettings, name: str) -> list[str]:
    """Set what differs from what it has, and say what it has not taken up."""
    size = settings.size
    wanted: dict[int, float] = {FORMAT: MJPG, **(dict(zip((WIDTH, HEIGHT), size, strict=True)) if size else {})}
    if settings.fps:
        wanted[RATE] = settings.fps
    resized = any(round(capture.get(side)) != wanted[side] for side in (WIDTH, HEIGHT) if side in wanted)
    for what in ORDER.get(capture.getBackendName(), ELSEWHERE):
        # Width and height take effect together, so both are set or none.
        if what in wanted and (resized if what in (WIDTH, HEIGHT) else capture.get(what) != wanted[what]):
            capture.set(what, wanted[what])
    remarks = []
    given = round(capture.get(WIDTH)), round(capture.get(HEIGHT))
    if size and min(given) > 0 and given != size:
        remarks.append(f"{name} gives {given[0]} x {given[1]}, not {size[0]} x {size[1]}; its pictures are scaled.")
    fps = capture.get(RATE)
    if settings.fps and fps > 0 and abs(fps - settings.fps) > 0.5:
        remarks.append(f"{name} says that it gives {fps:.4g} pictures per second, not {settings.fps:g}.")
    return remarks


def _check_device_file(path: Path, name: str) -> None:
    """Linux tells more than OpenCV does about a camera that cannot be opened."""
    if not path.exists():
        found = sorted(int(entry.name[5:]) for entry in Path("/dev").glob("video*") if entry.name[5:].isdigit())
        others = f"There are: {', '.join(map(str, found))}." if found else "This machine has none that can be seen."
        raise BadInput(f"There is no {name} ({path}). {others} Plug it in, {ANOTHER}")
    if not os.access(path, os.R_OK | os.W_OK):
        raise BadInput(
            f"This user may not use {name} ({path}). Run: sudo usermod -aG video $USER, then log out and in again."
        )
