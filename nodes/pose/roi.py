"""The rotated square that holds one person."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# MediaPipe grows the circle around a body by this much before it cuts the square out.
_MARGIN = 1.25
# A square whose centre (the hips) is nearer to another than this part of their size holds nobody new.
# The square is about 1.5 body heights wide, so this is about a forearm's length.
_SAME = 0.15


@dataclass(frozen=True)
class Roi:
    """Centre and side in pixels; rotation in radians, 0 for an upright person, growing clockwise."""

    x: float
    y: float
    size: float
    rotation: float

    @classmethod
    def around(cls, centre: np.ndarray, edge: np.ndarray) -> Roi:
        """From the two alignment points BlazePose gives, (2,) each in pixels.

        centre: the middle of the hips. edge: a point above the head, on the circle that holds the whole body.
        Source: MediaPipe, AlignmentPointsRectsCalculator and RectTransformationCalculator.
        """
        dx, dy = float(edge[0] - centre[0]), float(edge[1] - centre[1])
        rotation = math.remainder(math.pi / 2 - math.atan2(-dy, dx), math.tau)
        return cls(float(centre[0]), float(centre[1]), 2 * _MARGIN * math.hypot(dx, dy), rotation)

    def matrix(self, pixels: int) -> np.ndarray:
        """2×3 float32: from a crop of `pixels` × `pixels` to the picture."""
        scale = self.size / pixels
        cos, sin = math.cos(self.rotation) * scale, math.sin(self.rotation) * scale
        half = pixels / 2
        return np.array([[cos, -sin, self.x - (cos - sin) * half], [sin, cos, self.y - (sin + cos) * half]], np.float32)

    def is_same_person(self, other: Roi) -> bool:
        return math.hypot(self.x - other.x, self.y - other.y) < _SAME * max(self.size, other.size)
