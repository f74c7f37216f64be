"""For tests of cameras: numbered pictures and videos, a network camera on loopback, and fixtures that clean up."""

from __future__ import annotations

import faulthandler
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
from harness import make

from nodes.camera.opencv import OpenCV

FPS = 50
BLOCK = 16  # a number's bits are blocks of that many pixels, which survive lossy coding


def numbered(number: int, width: int = 320, height: int = 240) -> np.ndarray:
    """(H, W, 3) uint8 with 16 bits of `number` in its top rows."""
    picture = np.full((height, width, 3), 90, np.uint8)
    for bit in range(16):
        picture[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 230 if number >> bit & 1 else 20
    return picture


def number_in(picture: np.ndarray) -> int:
    middles = picture[BLOCK // 2, BLOCK // 2 : 16 * BLOCK : BLOCK, 1]
    return sum(1 << bit for bit, value in enumerate(middles) if value > 128)


class Camera:
    """MJPEG over HTTP, which can freeze, fall silent, go and come back.

    mode: "moving" (a new number each time), "frozen", "black" or "silent". number: the newest one sent.
    """

    def __init__(self, port: int = 0):
        self.mode, self.number, self.visits, self.recording = "moving", 0, 0, b""
        camera, self._on = self, True

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                camera.visits += 1
                with suppress(OSError):  # the reader has gone
                    camera.serve(self)
                self.close_connection = True

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_port
        self.address = f"http://127.0.0.1:{self.port}/video"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        if request.path == "/nothing":
            request.send_error(404)
            return
        request.send_response(200)
        if request.path == "/recording.mp4":
            request.send_header("Content-Length", str(len(self.recording)))
            request.end_headers()
            request.wfile.write(self.recording)
            return
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        while self._on:
            if self.mode != "silent":
                self.number += self.mode == "moving"
                picture = numbered(self.number) * (self.mode != "black")
                jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
                head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                request.wfile.write(head + jpeg + b"\r\n")
            time.sleep(1 / FPS)

    def stop(self) -> None:
        self._on = False
        self._server.shutdown()
        self._server.server_close()


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
