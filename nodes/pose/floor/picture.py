"""A picture of what was taken for the floor, so that a person can see whether it is."""

from __future__ import annotations

import cv2
import numpy as np

from engine.frame import Frame, Lens
from nodes.lens import project
from nodes.pose.floor.plane import Floor

_GREEN = np.array((60, 200, 60))
_TO_BGR = {"RGB": cv2.COLOR_RGB2BGR, "GRAY": cv2.COLOR_GRAY2BGR, "BGRA": cv2.COLOR_BGRA2BGR, "RGBA": cv2.COLOR_RGBA2BGR}
_METRES = 8  # how far the grid on the floor goes


def draw(floor: Floor, lies: np.ndarray, depth: np.ndarray, lens: Lens, picture: Frame | None, text: str) -> np.ndarray:
    """(H, W, 3) uint8 BGR: the camera's picture, or its depths, the floor in green, and a grid of one metre on it.

    lies: where it is, as `finder.find` says. depth: (H, W) uint16.
    """
    height, width = depth.shape
    canvas = _shaded(depth, lens) if picture is None else _bgr(picture, (width, height))
    green = cv2.resize(lies.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    canvas[green] = (0.55 * canvas[green] + 0.45 * _GREEN).astype(np.uint8)
    for line in _grid(floor):
        pixels = project(lens, line)
        cv2.polylines(canvas, [np.round(pixels).astype(np.int32)], False, (255, 255, 255), 1, cv2.LINE_AA)
    bar = max(20, height // 22)
    canvas[height - bar :] //= 4
    place, scale = (bar // 2, height - bar // 3), bar / 46
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 1, cv2.LINE_AA)
    return canvas


def _bgr(picture: Frame, size: tuple[int, int]) -> np.ndarray:
    pixels = picture.array if picture.row_order == "TOP_DOWN" else picture.array[::-1]
    pixels = pixels if picture.pixel_format == "BGR" else cv2.cvtColor(pixels, _TO_BGR[picture.pixel_format])
    return cv2.resize(pixels, size) if pixels.shape[1::-1] != size else pixels.copy()


def _shaded(depth: np.ndarray, lens: Lens) -> np.ndarray:
    """Near is bright, 6 m and the unknown are black."""
    bright = np.clip(255 * (1 - depth * lens.metres / 6), 0, 255) * (depth > 0)
    return cv2.cvtColor(bright.astype(np.uint8), cv2.COLOR_GRAY2BGR)


def _grid(floor: Floor) -> list[np.ndarray]:
    """Lines on the floor, one metre apart, each (n, 3) metres in camera space, as far as they lie before the camera."""
    steps = np.arange(-_METRES, _METRES + 1.0)
    fine = np.linspace(-_METRES, _METRES, 161)
    lines = []
    for step in steps:
        across = np.stack([fine, np.zeros_like(fine), np.full_like(fine, step)], -1)
        for points in (across, across[:, ::-1]):
            seen = (points - (0, floor.height, 0)) @ np.array(floor.rotation)
            seen = seen[seen[:, 2] > 0.3]
            if len(seen) > 1:
                lines.append(seen)
    return lines
