"""`blazepose33/1`: all 33 points and their connections; left warm, right cool, the middle white.

Connections: POSE_CONNECTIONS of MediaPipe Pose.
"""

from __future__ import annotations

import cv2
import numpy as np

from nodes.layouts import BLAZEPOSE_33

CONNECTIONS = (
    (0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 6), (6, 8), (9, 10), (11, 12), (11, 13), (13, 15), (15, 17),
    (15, 19), (15, 21), (17, 19), (12, 14), (14, 16), (16, 18), (16, 20), (16, 22), (18, 20), (11, 23), (12, 24),
    (23, 24), (23, 25), (24, 26), (25, 27), (26, 28), (27, 29), (28, 30), (29, 31), (30, 32), (27, 31), (28, 32),
)  # fmt: skip
LEFT, RIGHT, MIDDLE = (255, 138, 0, 255), (0, 217, 231, 255), (255, 255, 255, 255)
COLOURS = tuple(LEFT if "left" in name else RIGHT if "right" in name else MIDDLE for name in BLAZEPOSE_33)
SHIFT = 4  # cv2 takes coordinates in 1/16 pixel


def draw(canvas: np.ndarray, person: np.ndarray, threshold: float) -> None:
    """Draw one person, (33, 4) float64 in pixels of `canvas`, (H, W, 4) uint8, in place."""
    places = np.rint(person[:, :2] * (1 << SHIFT)).astype(np.int32).tolist()
    known = person[:, 3] >= threshold
    unit = max(canvas.shape[:2]) / 512
    width, radius = max(1, round(2 * unit)), round(3 * unit * (1 << SHIFT))
    for a, b in CONNECTIONS:
        if known[a] and known[b]:
            colour = COLOURS[a] if COLOURS[a] == COLOURS[b] else MIDDLE
            cv2.line(canvas, places[a], places[b], colour, width, cv2.LINE_AA, SHIFT)
    for place, colour, is_known in zip(places, COLOURS, known, strict=True):
        if is_known:
            cv2.circle(canvas, place, radius, colour, -1, cv2.LINE_AA, SHIFT)
