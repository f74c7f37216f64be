"""A machine whose cameras a test can plug in, pull out, swap and hold: stands in for OpenCV and the system."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import cv2
import cv2_enumerate_cameras
import pytest
from camera_kit import numbered
from cv2_enumerate_cameras import CameraInfo

from nodes.camera import capture

NAMES = {cv2.CAP_V4L2: "V4L2", cv2.CAP_DSHOW: "DSHOW", cv2.CAP_MSMF: "MSMF", cv2.CAP_AVFOUNDATION: "AVFOUNDATION"}
SIZE = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)


@dataclass(eq=False)
class Webcam:
    """One camera. refused: properties that it does not let be set. limits: the least and the most that one takes.

    held: what was set, which it keeps until it loses its power.
    """

    name: str = "HD Pro Webcam C920"
    vid: int | None = 0x046D
    pid: int | None = 0x082D
    path: str = r"\\?\usb#vid_046d&pid_082d&mi_00#7&1f0e9c3f&0&0000#{65e8773d}\global"
    shade: int = 60
    sizes: tuple[tuple[int, int], ...] = ((320, 240), (640, 480))
    fastest: float = 60
    refused: set[int] = field(default_factory=set)
    limits: dict[int, tuple[float, float]] = field(default_factory=dict)
    busy: bool = False
    held: dict[int, float] = field(default_factory=dict)


class FakeCapture:
    """Stands in for cv2.VideoCapture of a Webcam: its picture carries a number, and it hangs while `hanging` is set."""

    made: list[FakeCapture] = []
    machine: list[Webcam] = []

    def __init__(self, source, backend):
        self.opened_with, self.asked, self.number, self.released = (source, backend), [], 0, False
        self.hanging, self.freed, self.error = False, threading.Event(), None
        there = isinstance(source, int) and source < len(self.machine)
        self.webcam = self.machine[source] if there else None
        self.size = [320, 240]
        self.values = {cv2.CAP_PROP_FOURCC: 0, cv2.CAP_PROP_FPS: min(30, self.webcam.fastest) if there else 0}
        FakeCapture.made.append(self)

    @property
    def plugged(self):
        return any(webcam is self.webcam for webcam in self.machine)

    def isOpened(self):
        return self.plugged and not self.webcam.busy

    def getBackendName(self):
        return NAMES[self.opened_with[1]]

    def get(self, what):
        if what in SIZE:
            return self.size[SIZE.index(what)]
        return self.values.get(what, self.webcam.held.get(what, -1))

    def set(self, what, value):
        self.asked.append(what)
        if what in self.webcam.refused:
            return False
        if what in SIZE:
            wanted = list(self.size)
            wanted[SIZE.index(what)] = value
            # As a driver does: the nearest that it has, once it knows both.
            nearest = min(self.webcam.sizes, key=lambda size: abs(size[0] - wanted[0]))
            self.size = [nearest[0], nearest[1]] if what == SIZE[1] else wanted
        elif what in self.values:
            self.values[what] = min(value, self.webcam.fastest) if what == cv2.CAP_PROP_FPS else value
        else:
            low, high = self.webcam.limits.get(what, (value, value))
            self.webcam.held[what] = min(max(value, low), high)
        return True

    def grab(self):
        if self.error:
            raise self.error
        if self.hanging:
            self.freed.wait()
            return False
        if not self.plugged:
            return False
        if self.getBackendName() != "DSHOW":
            self.wait()
        return True

    def wait(self):
        """For the next picture: DirectShow does that when one is retrieved."""
        time.sleep(0.005)
        self.number += 1

    def retrieve(self, target=None):
        if self.getBackendName() == "DSHOW":
            self.wait()
        picture = numbered(self.number, *self.size)
        picture[-16:] = self.webcam.shade
        if target is None or target.shape != picture.shape:
            return True, picture
        target[:] = picture
        return True, target

    def read(self, target=None):
        return self.retrieve(target) if self.grab() else (False, target)

    def release(self):
        self.released = True


@pytest.fixture(name="machine")
def machine_fixture(monkeypatch):
    """What is plugged in, in the order of the numbers: as on Windows, by DirectShow."""
    FakeCapture.made, FakeCapture.machine = [], [Webcam()]
    monkeypatch.setattr(capture.cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr(
        cv2_enumerate_cameras,
        "enumerate_cameras",
        lambda backend: [
            CameraInfo(number, one.name, one.path, one.vid, one.pid, backend)
            for number, one in enumerate(FakeCapture.machine)
        ],
    )
    return FakeCapture.machine


@pytest.fixture(name="device")
def device_fixture(machine):
    """The newest capture of it."""
    return lambda: FakeCapture.made[-1]
