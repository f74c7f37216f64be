"""`openpose18/1`: the pose map that ControlNet's "openpose" models were trained on.

Source: draw_bodypose of lllyasviel/ControlNet in the later form of controlnet_aux and DWPose: 17 limbs
as ellipses of half-width 4 at 60 % of their colour, then 18 discs of radius 4 in full colour, over
opaque black. Pixel for pixel the same; a test holds it against a literal transcription.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from nodes.layouts import BLAZEPOSE_33, OPENPOSE_18, Conversion

LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255),
    (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
DISCS = tuple((*colour, 255) for colour in COLOURS)
STICKS = tuple((*(int(value * 0.6) for value in colour), 255) for colour in COLOURS)
RADIUS = 4
BACKGROUND = (0, 0, 0, 255)

_from_blazepose = Conversion.between(BLAZEPOSE_33, OPENPOSE_18)


def draw(canvas: np.ndarray, person: np.ndarray, threshold: float, stick_width: int) -> None:
    """Draw one person, (33, 4) float64 in pixels of `canvas`, (H, W, 4) uint8, in place."""
    points = _from_blazepose(person)
    known = points[:, 3] >= threshold
    places = points[:, :2].tolist()
    for (a, b), colour in zip(LIMBS, STICKS, strict=False):
        if known[a] and known[b]:
            cv2.fillConvexPoly(canvas, _ellipse(places[a], places[b], stick_width), colour)
    for (x, y), colour, is_known in zip(places, DISCS, known, strict=True):
        if is_known:
            cv2.circle(canvas, (int(x), int(y)), RADIUS, colour, thickness=-1)


def _ellipse(a: list[float], b: list[float], half_width: int) -> np.ndarray:
    """The outline of the ellipse between two points. Each int() is part of the published rule."""
    dx, dy = a[0] - b[0], a[1] - b[1]
    middle = (int((a[0] + b[0]) / 2), int((a[1] + b[1]) / 2))
    axes = (int(math.hypot(dx, dy) / 2), half_width)
    angle = int(math.degrees(math.atan2(dy, dx)))
    return np.asarray(cv2.ellipse2Poly(middle, axes, angle, 0, 360, 1))
