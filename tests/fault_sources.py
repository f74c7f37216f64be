"""Cameras in processes of their own, and a film, which can be broken and mended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import cv2
from http_camera import numbered
from stamped import age_ms

HERE = Path(__file__).resolve().parent
SYSTEM_PYTHON = "/usr/bin/python3"


def without_rtsp() -> str:
    """Why there can be no RTSP server here; empty where there can."""
    wanted = "gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if (
        shutil.which(SYSTEM_PYTHON) is None
        or subprocess.run([SYSTEM_PYTHON, "-c", f"import gi; {wanted}"], capture_output=True, timeout=60).returncode
    ):
        return "GStreamer's RTSP server is missing: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0"
    return ""


class Shown(NamedTuple):
    """One picture of an output. stamp: what it holds; None on the card."""

    publish_ns: int
    capture_ns: int
    live: bool
    stamp: int | None


class Source:
    """A camera in a process of its own. address: where it is, from the first start on."""

    def __init__(self, python: str, program: str, where: str, address: str = "{}"):
        self._python, self._program, self._where, self._address = python, str(HERE / program), where, address
        self.address = ""
        self._process: Any = None

    def start(self, **settings: Any) -> None:
        """Return when pictures can be had."""
        more = [json.dumps(settings)] if settings else []
        self._process = subprocess.Popen(
            [self._python, self._program, self._where, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        said = self._process.stdout.readline().strip()
        assert said, f"{self._program} did not start"
        self.address = self._address.format(said)
        if self._where == "0":  # from now on the same one
            self._where = said.rpartition(":")[2].partition("/")[0]

    def tell(self, **values: Any) -> None:
        self._process.stdin.write(json.dumps(values) + "\n")
        self._process.stdin.flush()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.communicate()
        self._process = None
        if not self._where.isdigit():
            Path(self._where).unlink(missing_ok=True)  # as the system removes a device that was unplugged

    def restart(self, **settings: Any) -> None:
        self.kill()
        self.start(**settings)

    def age_ms(self, shown: Shown) -> float:
        """How old the picture was when the output showed it."""
        return age_ms(shown.stamp or 0, shown.publish_ns)

    def made_after(self, shown: Shown, since_ns: int) -> bool:
        return shown.stamp is not None and age_ms(shown.stamp, since_ns) < 0


def http_camera() -> Source:
    return Source(sys.executable, "http_camera.py", "0")


def pipe_camera(path: Path) -> Source:
    return Source(sys.executable, "http_camera.py", str(path))


def rtsp_camera() -> Source:
    return Source(SYSTEM_PYTHON, "rtsp_server.py", "0", "rtsp://127.0.0.1:{}/video")


class Reel(Source):
    """A video file of the numbers from 1 on; from 1001 on when it was mended. Its pictures do not say when they were
    made, so they are as old as the engine says."""

    FPS = 25

    def __init__(self, path: Path):
        self.path, self.address = path, str(path)

    def start(self, **_: Any) -> None:
        self._write(0, 2 * self.FPS)

    def truncate(self) -> None:
        """As a copy that broke off leaves it: its head says how long it is, and half of the pictures are missing."""
        self._write(0, 2 * self.FPS, kept=0.5)

    def mend(self) -> None:
        self._write(1000, 2 * self.FPS)

    def kill(self) -> None:
        pass

    def _write(self, start: int, count: int, kept: float = 1.0) -> None:
        new = self.path.with_name(f"new-{self.path.name}")
        writer = cv2.VideoWriter(str(new), cv2.VideoWriter.fourcc(*"MJPG"), self.FPS, (320, 240))
        for number in range(start + 1, start + count + 1):
            writer.write(numbered(number))
        writer.release()
        os.truncate(new, round(new.stat().st_size * kept))
        new.replace(self.path)

    def age_ms(self, shown: Shown) -> float:
        return (shown.publish_ns - shown.capture_ns) / 1e6

    def made_after(self, shown: Shown, since_ns: int) -> bool:
        return shown.stamp is not None and shown.stamp > 1000


def device_path() -> Path:
    """Where a device may appear: the engine takes what is under /dev for one."""
    return Path("/dev/shm") / f"utsushi-camera-{os.getpid()}"
