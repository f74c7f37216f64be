"""What the pose benchmark shows to the networks: clips, people in odd light, and rooms without people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.steps import ROOT, frame, make
from engine.frame import Frame

FPS = 60
RANDOM = np.random.default_rng(0)

# Parts of the clips in which nobody ever is: left, top, width and height, 0..1.
EMPTY = {
    "one1": [(0, 0.72, 1, 0.28), (0.62, 0, 0.38, 0.16)],
    "one2": [(0, 0.66, 1, 0.34), (0, 0, 1, 0.17)],
    "one3": [(0.72, 0.3, 0.28, 0.7), (0, 0.1, 0.24, 0.9)],
    "one4": [(0.55, 0.7, 0.45, 0.3), (0.6, 0, 0.4, 0.22)],
    "two1": [(0.62, 0, 0.38, 0.16)],
    "two2": [(0.35, 0.66, 0.65, 0.34)],
    "two3": [(0.72, 0.3, 0.28, 0.7), (0, 0.68, 1, 0.32)],
    "two4": [(0.55, 0.7, 0.45, 0.3)],
}


def video(path: Path) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    while (read := capture.read())[0]:
        yield read[1]


class Estimator:
    """A node that is given picture after picture, FPS a second."""

    def __init__(self, **settings: Any):
        self._node, self._seq = make("pose.blazepose", hold=0, fade=0, **settings), 0

    def __call__(self, picture: np.ndarray) -> Frame:
        self._seq += 1
        given = frame(picture, self._seq, pixel_format="BGR" if picture.ndim == 3 else "GRAY")
        given.capture_ns = self._seq * 10**9 // FPS
        self._node.step(given)
        return self._node.out.newest

    @property
    def mask(self) -> Frame:
        return self._node.outs["mask"].newest

    def forget(self) -> None:
        """What comes next is as if it were the first picture: one of another size makes it forget."""
        self(np.zeros((8, 8), np.uint8))


def dimmed(picture: np.ndarray, gain: float, noise: float = 1.0) -> np.ndarray:
    """As a dark room gives it: fewer levels, and the noise of the sensor."""
    dark = picture * gain + (RANDOM.normal(0, noise, picture.shape) if noise else 0)
    return np.clip(np.rint(dark), 0, 255).astype(np.uint8)


LOOKS = {
    "as it is": lambda picture: picture,
    "grey, as infrared": lambda picture: cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY),
    "upside down": lambda picture: cv2.rotate(picture, cv2.ROTATE_180),
    "a quarter turned": lambda picture: cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE),
    "light 0.3": lambda picture: dimmed(picture, 0.3),
    "light 0.15": lambda picture: dimmed(picture, 0.15),
    "light 0.08, no noise": lambda picture: dimmed(picture, 0.08, noise=0),
    "light 0.08": lambda picture: dimmed(picture, 0.08),
    "light 0.04": lambda picture: dimmed(picture, 0.04),
    "light 0.08, grey": lambda picture: dimmed(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), 0.08),
}


def emptied(clip: Path) -> np.ndarray:
    """The room of a clip without its visitor: of each pixel the mean of when the mask was not near it."""
    estimate, times = Estimator(mask=True), np.zeros(0)
    for picture in video(clip):
        estimate(picture)
        free = cv2.dilate(estimate.mask.array, np.ones((41, 41), np.uint8)) < 20
        if not times.size:
            times, total = np.zeros(free.shape, np.float32), np.zeros(picture.shape, np.float32)
        times += free
        total += picture * free[:, :, None]
    room = (total / np.maximum(times, 1)[:, :, None]).astype(np.uint8)
    return cv2.inpaint(room, (times < 1).astype(np.uint8), 5, cv2.INPAINT_TELEA)


def nobody(files: dict[str, Path]) -> dict[str, list[np.ndarray]]:
    """Pictures in which nobody is: rooms, parts of rooms much enlarged, and what no camera shows."""
    views = [_part(cv2.imread(str(files["room3.png"])), (0, 0, 0.74, 1))]
    for name in ("one3.mp4", "one4.mp4"):  # the rooms in which nobody else stands
        room = emptied(files[name])
        views += [room, room[:, ::-1].copy()]
        views += [_part(room, (0, top, 1, 0.32)) for top in (0, 0.17, 0.34, 0.51, 0.68)]  # as wide as 16:9
    stage = cv2.imread(str(ROOT / "assets" / "performer_plate.png"))
    parts = [
        _part(picture, part)
        for name, parts in EMPTY.items()
        for picture in list(video(files[f"{name}.mp4"]))[::20]
        for part in parts
    ]
    random = np.random.default_rng(0)
    noise = [random.normal(spread, spread, (480, 640, 3)) for spread in (0, 1, 2, 3, 5, 8, 60)]
    stripes = (np.indices((480, 640)).sum(0) % 64 * 4)[:, :, None].repeat(3, 2)
    return {
        "rooms": [*views, stage],
        "parts of them, enlarged": parts,
        "noise, stripes": [np.clip(np.rint(picture), 0, 255).astype(np.uint8) for picture in [*noise, stripes]],
    }


def _part(picture: np.ndarray, part: tuple[float, float, float, float]) -> np.ndarray:
    down, across = picture.shape[:2]
    left, top = round(part[0] * across), round(part[1] * down)
    return picture[top : top + round(part[3] * down), left : left + round(part[2] * across)].copy()
