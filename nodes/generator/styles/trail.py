"""Light that people leave behind, and that fades."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from nodes.generator.styles.capsules import Patch, grid_for

HALF_LIFE_NS = 180e6
SCALE = 2  # samples of the shapes per pixel of the trail: it is soft anyway
BLUR = 1.3  # pixels of the trail


class Trail:
    """The trail of one picture. It fades with the time between frames, not with their number."""

    def __init__(self, size: tuple[int, int]):
        width, height = size
        grid = grid_for(size)
        rows, columns = -(-height // grid), -(-width // grid)
        self._stamp = np.zeros((rows, columns, 4), np.uint8)
        self._light = np.zeros((-(-rows // SCALE), -(-columns // SCALE), 4), np.float32)  # premultiplied, 0..255
        self._time_ns: int | None = None

    def fade(self, time_ns: int) -> None:
        """Let the light fade up to `time_ns`. Time that goes back counts as none."""
        if self._time_ns is not None:
            self._light *= 0.5 ** (max(0, time_ns - self._time_ns) / HALF_LIFE_NS)
        self._time_ns = time_ns

    def lay_on(self, canvas: np.ndarray, strength: float, background: Sequence[float]) -> None:
        """Fill `canvas`, (H, W, 4) uint8, with the light over `background`, premultiplied RGBA 0..255."""
        glow = cv2.GaussianBlur(self._light, (0, 0), BLUR) * np.float32(strength)
        glow = glow + np.array(background, np.float32) * (1 - glow[..., 3:] / 255)
        height, width = canvas.shape[:2]
        cv2.resize(np.rint(glow).astype(np.uint8), (width, height), dst=canvas)

    def add(self, shapes: Iterable[Patch]) -> None:
        """Remember what is drawn now."""
        self._stamp[:] = 0
        for shape in shapes:
            shape.over_small(self._stamp)
        rows, columns = self._light.shape[:2]
        np.maximum(self._light, cv2.resize(self._stamp, (columns, rows), interpolation=cv2.INTER_AREA), out=self._light)
