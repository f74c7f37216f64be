"""For tests of cameras: numbered pictures and videos, a network camera on loopback, and fixtures that clean up."""

from __future__ import annotations

import faulthandler
import threading
import time

import cv2
import pytest
from harness import make
from http_camera import Camera, number_in, numbered

from nodes.camera.opencv import OpenCV


@pytest.fixture(name="nothing_hangs")
def nothing_hangs_fixture():
    """A test that hangs says where, and ends."""
    faulthandler.dump_traceback_later(40, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(name="camera")
def camera_fixture():
    """Makes nodes; closes them, and sees that no thread of theirs is left."""
    nodes = []

    def start(source, **settings):
        nodes.append(make(OpenCV, source=source if isinstance(source, int) else str(source), **settings))
        return nodes[-1]

    yield start
    for node in nodes:
        node.close()
    deadline = time.monotonic() + 5
    while (left := grab_threads()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left == []


@pytest.fixture(name="server")
def server_fixture():
    camera = Camera()
    yield camera
    camera.stop()


def grab_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("grab ")]


def video(path, count=12, fps=25, size=(320, 240)):
    """A video of the numbers 1 to `count`."""
    if path.suffix == ".ts":
        return transport_stream(path, count, fps, size)
    coder = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*coder), fps, size)
    for number in range(1, count + 1):
        writer.write(numbered(number, *size))
    writer.release()
    return path


def transport_stream(path, count, fps, size):
    """H.264 in MPEG-TS: OpenCV goes back to its start, but then gives nothing."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(1, count + 1):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number, *size), "bgr24")))
        container.mux(stream.encode(None))
    return path


def numbers(node):
    return [number_in(frame.array) for frame in node.frames]


def step_until(node, done, seconds=15):
    """Step until `done()`; a person would have lost patience by then."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"waited in vain; complaints: {node.complaints}"
        node.step()


def step_for_frames(node, count):
    while len(node.frames) < count:
        node.step()
