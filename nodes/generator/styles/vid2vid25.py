"""`vid2vid25/1`: the body map that networks of the vid2vid family were trained on, on opaque black.

What is kept of it: the 25 points of OpenPose's BODY_25, 24 limbs in OpenPose's colours at 60 %, strokes 6 pixels
wide with a disc of twice that at both ends, at any size of the picture. What is not: where limbs meet, the later one
covers the earlier, while the published brush mixes them; and it also draws fingers and faces, of which BlazePose
knows too little.
"""

from __future__ import annotations

import cv2
import numpy as np

from nodes.layouts import BLAZEPOSE_33, BODY_25, Conversion

LIMBS = (
    (17, 15), (15, 0), (0, 16), (16, 18), (0, 1), (1, 8), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (8, 9),
    (9, 10), (10, 11), (11, 24), (11, 22), (22, 23), (8, 12), (12, 13), (13, 14), (14, 21), (14, 19), (19, 20),
)  # fmt: skip
COLOURS = (
    (153, 0, 153), (153, 0, 102), (102, 0, 153), (51, 0, 153), (153, 0, 51), (153, 0, 0), (153, 51, 0), (153, 102, 0),
    (153, 153, 0), (102, 153, 0), (51, 153, 0), (0, 153, 0), (0, 153, 51), (0, 153, 102), (0, 153, 153), (0, 153, 153),
    (0, 153, 153), (0, 153, 153), (0, 102, 153), (0, 51, 153), (0, 0, 153), (0, 0, 153), (0, 0, 153), (0, 0, 153),
)  # fmt: skip
STROKES = tuple((*colour, 255) for colour in COLOURS)
BRUSH = 3  # half width of a limb in pixels
BACKGROUND = (0, 0, 0, 255)
SHIFT = 4  # cv2 takes coordinates in 1/16 pixel

_from_blazepose = Conversion.between(BLAZEPOSE_33, BODY_25)
_EXISTS = _from_blazepose.weights.any(1)  # BlazePose has no small toes


def draw(canvas: np.ndarray, person: np.ndarray, threshold: float) -> None:
    """Draw one person, (33, 4) float64 in pixels of `canvas`, (H, W, 4) uint8, in place."""
    points = _from_blazepose(person)
    known = _EXISTS & (points[:, 3] >= threshold)
    places = np.rint(points[:, :2] * (1 << SHIFT)).astype(np.int32).tolist()
    for (a, b), colour in zip(LIMBS, STROKES, strict=True):
        if known[a] and known[b]:
            cv2.line(canvas, places[a], places[b], colour, 2 * BRUSH, shift=SHIFT)
            for place in (places[a], places[b]):
                cv2.circle(canvas, place, (2 * BRUSH - 1) << SHIFT, colour, -1, shift=SHIFT)
