"""MJPEG from a camera that goes wrong when it is told to: over HTTP, or into a pipe as if it were a device.

python tests/http_camera.py PORT | PATH [SETTINGS]

As a program it can be stopped and killed, too. Port 0 is any free one. Prints the address or the path when it is there;
settings are JSON, {"mode": "frozen"}, and each line that comes in changes some. Its pictures say when they were made.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from stamped import BITS, BLOCK, clock_ms, stamped

FPS = 50


def numbered(number: int, width: int = 320, height: int = 240) -> np.ndarray:
    """(H, W, 3) uint8 with 16 bits of `number` in its top rows."""
    return np.frombuffer(bytearray(stamped(number, width, height)), np.uint8).reshape(height, width, 3)


def number_in(picture: np.ndarray) -> int:
    middles = picture[BLOCK // 2, BLOCK // 2 : BITS * BLOCK : BLOCK, 1]
    return sum(1 << bit for bit, value in enumerate(middles) if value > 128)


class Pictures:
    """A camera's pictures as MJPEG, which go wrong when they are told to.

    mode: "moving" (a new number each time), "frozen", "hung" (frozen, and for whoever saw that it stays so), "black" or
    "silent". number: the newest one sent, as `numbers` gives it; 1, 2, 3, … where that is left out.
    """

    def __init__(self, numbers: Callable[[], int] | None = None):
        self.mode, self.number, self.fps, self.size = "moving", 0, FPS, (320, 240)
        self.on = True
        self._numbers = numbers or (lambda: self.number + 1)

    def send(self, write: Callable[[bytes], object]) -> None:
        """Until `on` is over, or `write` raises."""
        number, hung, due = self.number, False, time.monotonic()
        while self.on:
            hung = hung or self.mode == "hung"
            if self.mode == "moving" and not hung:
                number = self.number = self._numbers()
            if self.mode != "silent":
                picture = numbered(number, *self.size) * (self.mode != "black")
                jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
                head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                write(head + jpeg + b"\r\n")
            due = max(due + 1 / self.fps, time.monotonic() - 0.1)  # late pictures are made up for, if not many
            time.sleep(max(0, due - time.monotonic()))


class Camera(Pictures):
    """The same over HTTP; goes and comes back. visits: how many have asked for something."""

    def __init__(self, port: int = 0, numbers: Callable[[], int] | None = None):
        super().__init__(numbers)
        self.visits, self.recording = 0, b""
        camera = self

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
        self.send(request.wfile.write)

    def stop(self) -> None:
        self.on = False
        self._server.shutdown()
        self._server.server_close()


def feed(path: Path, pictures: Pictures) -> None:
    """Whoever opens the device gets the pictures that are made from then on."""
    while True:
        with suppress(BrokenPipeError), path.open("wb", buffering=0) as pipe:
            pictures.send(pipe.write)


def main(where: str, settings: str = "{}") -> None:
    pictures: Pictures = Camera(int(where), clock_ms) if where.isdigit() else Pictures(clock_ms)
    change(pictures, {"fps": 25, **json.loads(settings)})
    if isinstance(pictures, Camera):
        where = pictures.address
    else:
        Path(where).unlink(missing_ok=True)
        os.mkfifo(where)
        threading.Thread(target=feed, args=(Path(where), pictures), daemon=True).start()
    print(where, flush=True)
    for line in sys.stdin:
        change(pictures, json.loads(line))


def change(pictures: Pictures, settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        setattr(pictures, name, value)


if __name__ == "__main__":
    main(*sys.argv[1:])
