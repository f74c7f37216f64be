"""A RealSense camera that is not there: librealsense's own software device, and recordings made with it.

    make_recording(path, frames=30)    # a disc at 1.5 m before a wall at 3 m; `Disc().centre(k)` is the truth
    make_recording(path, scene=lambda k: (bgr, depth))

Units: metres and pixels in the colour camera's space (x right, y down, z away); the middle of a pixel is at whole
numbers. Skips the test where pyrealsense2 cannot be imported.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.frame import Lens
from nodes.camera.librealsense import sdk

rs = pytest.importorskip("pyrealsense2", reason="there is no pyrealsense2 here: pip install pyrealsense2")

SIZE, SMALL, FPS = (640, 480), (320, 240), 30
METRES = 0.001  # per depth unit
T0_MS = 1e6  # time stamp of frame 0
SERIAL = "000000000001"


def lens_of(size: tuple[int, int] = SIZE, metres: float = 0.0) -> Lens:
    """Of both pictures: about as wide as a D435's."""
    width, height = size
    return Lens(0.6 * width, 0.6 * width, width / 2 - 0.5, height / 2 - 0.5, metres=metres)


@dataclass(frozen=True)
class Disc:
    """A disc that faces the camera and swings from left to right, before a wall. baseline: how many metres the colour
    camera sits to the left of the depth camera (0: both see the same)."""

    radius: float = 0.3
    distance: float = 1.5
    wall: float = 3.0
    swing: float = 0.4
    size: tuple[int, int] = SIZE
    baseline: float = 0.0
    metres: float = METRES

    def centre(self, k: int) -> np.ndarray:
        """(3,) metres: the disc's centre in picture k, seen by the colour camera."""
        return np.array([self.swing * np.sin(k / 15), 0.1, self.distance])

    def pixel(self, k: int) -> np.ndarray:
        """(2,) pixels: the same point in the colour picture."""
        lens, (x, y, z) = lens_of(self.size), self.centre(k)
        return np.array([x / z * lens.fx + lens.cx, y / z * lens.fy + lens.cy])

    def seen(self, k: int, offset: float = 0.0) -> np.ndarray:
        """(H, W) bool: where the disc is, for a camera `offset` metres to the right of the colour camera."""
        lens, (x, y, z) = lens_of(self.size), self.centre(k)
        rows, columns = np.mgrid[: self.size[1], : self.size[0]]
        u, v = (columns - lens.cx) / lens.fx * z + offset, (rows - lens.cy) / lens.fy * z
        return (u - x) ** 2 + (v - y) ** 2 < self.radius**2

    def __call__(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 3) uint8 BGR, a texture that moves with k, the disc orange; (H, W) uint16, depth units."""
        depth = np.where(self.seen(k, self.baseline), self.distance, self.wall) / self.metres
        rows, columns = np.mgrid[: self.size[1], : self.size[0]]
        picture = np.stack([columns + k, rows * 3, (columns * rows) // 7 + 5 * k], axis=-1).astype(np.uint8)
        picture[self.seen(k)] = (60, 160, 255)
        return picture, np.round(depth).astype(np.uint16)


class SoftCamera:
    """A software device with a depth and a colour camera, and an infrared one if `infrared`.

    scene: k -> (H, W, 3) uint8 BGR and (H, W) uint16. The infrared picture is `grey(bgr)`.
    """

    def __init__(
        self,
        scene: Callable[[int], tuple[np.ndarray, np.ndarray]] | None = None,
        size: tuple[int, int] = SIZE,
        fps: int = FPS,
        baseline: float = 0.0,
        metres: float = METRES,
        infrared: bool = False,
        **infos: str,
    ):
        self.scene = scene or Disc(size=size, baseline=baseline, metres=metres)
        self.size, self.fps, self.metres = size, fps, metres
        self.device = rs.software_device()
        for info, value in {
            "name": "Synthetic D435",
            "serial_number": SERIAL,
            "usb_type_descriptor": "3.2",
            **infos,
        }.items():
            self.device.register_info(getattr(rs.camera_info, info), value)
        self._stereo, self._colour = self.device.add_sensor("Stereo Module"), self.device.add_sensor("RGB Camera")
        self._stereo.add_read_only_option(rs.option.depth_units, metres)
        self._streams = {
            "depth": self._stream(self._stereo, rs.stream.depth, 0, 2, rs.format.z16),
            "colour": self._stream(self._colour, rs.stream.color, 0, 3, rs.format.rgb8),
        }
        if infrared:
            self._streams["infrared"] = self._stream(self._stereo, rs.stream.infrared, 1, 1, rs.format.y8)
        self._relate("depth", "colour", baseline)
        if infrared:
            self._relate("infrared", "depth", 0.0)
            self._relate("infrared", "colour", baseline)
        self.device.create_matcher(rs.matchers.dlr_c)  # pairs by time stamp
        self._kept: list[Any] = []  # the SDK does not copy pixels before they are written

    def _stream(self, sensor: Any, kind: Any, index: int, bytes_each: int, layout: Any) -> tuple[Any, Any, int]:
        width, height = self.size
        lens = lens_of(self.size)
        optics = rs.intrinsics()
        optics.width, optics.height, optics.fx, optics.fy = width, height, lens.fx, lens.fy
        optics.ppx, optics.ppy, optics.model, optics.coeffs = lens.cx, lens.cy, rs.distortion.brown_conrady, [0.0] * 5
        stream = rs.video_stream()
        stream.type, stream.index, stream.uid = kind, index, len(getattr(self, "_streams", {})) + int(kind) * 2
        stream.width, stream.height, stream.fps, stream.bpp, stream.fmt = width, height, self.fps, bytes_each, layout
        stream.intrinsics = optics
        return sensor, sensor.add_video_stream(stream, True), bytes_each

    def _relate(self, one: str, other: str, baseline: float) -> None:
        place = rs.extrinsics()
        place.rotation, place.translation = [1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0], [baseline, 0.0, 0.0]
        self._streams[one][1].register_extrinsics_to(self._streams[other][1], place)

    def show(self, k: int, late_ms: float = 0.0, without: tuple[str, ...] = (), stamp_ms: float | None = None) -> None:
        """Give the frames number k. late_ms: by how much the depth is late. without: streams that lose theirs.
        stamp_ms: left out: T0_MS + k * 1000 / fps."""
        stamp_ms = T0_MS + k * 1000 / self.fps if stamp_ms is None else stamp_ms
        bgr, depth = self.scene(k)
        pictures = {"depth": depth, "colour": bgr[..., ::-1], "infrared": grey(bgr)}
        for name, (sensor, profile, bytes_each) in self._streams.items():
            if name in without:
                continue
            frame, pixels = rs.software_video_frame(), np.ascontiguousarray(pictures[name])
            frame.pixels, frame.bpp, frame.stride = pixels, bytes_each, self.size[0] * bytes_each
            frame.timestamp = stamp_ms + (late_ms if name == "depth" else 0)
            frame.domain, frame.frame_number = rs.timestamp_domain.hardware_clock, k + 1
            frame.profile = profile.as_video_stream_profile()
            if name == "depth":
                frame.depth_units = self.metres
            self._kept = [*self._kept[-200:], (frame, pixels)]
            sensor.on_video_frame(frame)


class Socket:
    """Where a camera can be plugged in and out: a context of the SDK. Ask for the fixture `socket`.

    plugged: set it to False, and the SDK's list has no camera. faulty: streams that give nothing.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.context = rs.context()
        self.plugged, self.faulty, self.resets = True, (), 0
        self.camera: SoftCamera | None = None
        self._kept: list[Any] = []  # the context has weak references only
        self._on = True
        self.context.set_devices_changed_callback(lambda event: self._kept.append(event.get_new_devices()))
        monkeypatch.setattr(sdk, "new_context", lambda: self.context)
        monkeypatch.setattr(sdk, "devices", lambda context: list(context.query_devices()) if self.plugged else [])
        threading.Thread(target=self._film, daemon=True).start()

    def plug(self, camera: SoftCamera) -> SoftCamera:
        """From now on the camera films, at its rate, with the time of now as its stamps."""
        camera.device.add_to(self.context)
        while not len(self.context.query_devices()):
            time.sleep(0.001)
        self.camera = camera
        return camera

    def _film(self) -> None:
        k = 0
        while self._on:
            if self.camera is not None and self.plugged:
                self.camera.show(k, without=self.faulty, stamp_ms=time.perf_counter_ns() / 1e6)
                k += 1
            time.sleep(1 / 30)

    def close(self) -> None:
        self._on = False


@pytest.fixture(name="socket")
def socket_fixture(monkeypatch: pytest.MonkeyPatch):
    socket = Socket(monkeypatch)
    yield socket
    socket.close()


@pytest.fixture(name="made", scope="session")
def made_fixture(tmp_path_factory: pytest.TempPathFactory):
    """A recording of the disc: 20 pictures with depths and infrared, all from one place."""
    return make_recording(tmp_path_factory.mktemp("realsense") / "disc.db3", 20, size=SMALL, infrared=True)


def quick(k: int, size: tuple[int, int] = SMALL) -> tuple[np.ndarray, np.ndarray]:
    """A scene that costs nothing: grey, and as far as its number says."""
    width, height = size
    return np.full((height, width, 3), k % 200, np.uint8), np.full((height, width), 1000 + k, np.uint16)


def grey(bgr: np.ndarray) -> np.ndarray:
    """(H, W) uint8: what the infrared camera sees."""
    return np.ascontiguousarray(bgr[..., 1])


def make_recording(
    path: Path | str,
    frames: int = 30,
    fps: int = FPS,
    size: tuple[int, int] = SIZE,
    scene: Callable[[int], tuple[np.ndarray, np.ndarray]] | None = None,
    *,
    baseline: float = 0.0,
    metres: float = METRES,
    infrared: bool = False,
    late_ms: dict[int, float] | None = None,
    lost: dict[int, tuple[str, ...]] | None = None,
) -> Path:
    """Write a RealSense recording, .db3, in real time (`frames` / `fps` seconds); says where.

    scene: see SoftCamera; left out: `Disc(size=size, baseline=baseline, metres=metres)`. late_ms: by how much the
    depth of a frame is late. lost: the streams ("depth", "colour", "infrared") that lack a frame.
    Frame k has the number k + 1 and the hardware time stamp T0_MS + k * 1000 / fps.
    """
    path = Path(path)
    path.unlink(missing_ok=True)
    camera = SoftCamera(scene, size, fps, baseline, metres, infrared)
    recorder = rs.recorder(str(path), camera.device)
    sensors, queue = recorder.query_sensors(), rs.frame_queue(64)
    for sensor in sensors:
        sensor.open(sensor.get_stream_profiles())
        sensor.start(queue)
    due = time.perf_counter()
    for k in range(frames):
        camera.show(k, (late_ms or {}).get(k, 0.0), (lost or {}).get(k, ()))
        due += 1 / fps
        time.sleep(max(0.0, due - time.perf_counter()))  # a player keeps the times at which frames came
    time.sleep(0.3)  # the writer runs behind
    for sensor in sensors:
        sensor.stop()
        sensor.close()
    del recorder, sensor, sensors  # which completes the file
    return path
