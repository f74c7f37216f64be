"""Who is in the picture: what differs from the empty stage, and what deserves care.

All pictures are (S, S, 3) uint8 in the order that OpenCV reads (BGR).
"""

from __future__ import annotations

import cv2
import numpy as np

# Levels of 255 by which a pixel differs from the plate: below 12 it is the stage, or a faint shadow; from 24 a person
# or a shadow; from 45 on surely a person.
FAINT, PRESENT, CERTAIN = 12, 24, 45
BODY = 0.4  # share of present pixels around one, from which it belongs to the body
CARE = ((0, 0.055), (15, 0.04), (16, 0.04), (19, 0.04), (20, 0.04))  # face and hands: point, radius in picture sizes
SCORE = 0.3  # a point less sure than this gets no care


def difference(frame: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """(S, S) uint8: the largest difference of any channel."""
    return cv2.absdiff(frame, plate).max(2)


def body(differs: np.ndarray) -> np.ndarray:
    """(S, S) bool: the body with its surroundings, where a picture of a person is judged."""
    return _present(differs) > BODY


def _present(differs: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur((differs > PRESENT).astype(np.float32), (0, 0), 3)


def masks(frame: np.ndarray, plate: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, ...]:
    """What the losses need to know of one picture, four (S, S) float32: weight, matte, certain, clear.

    weight: 1 for the stage, 3 for the person, 5 for face and hands. matte: 0..1, where there is a colour to learn.
    certain: 0 or 1, where the person must be opaque.
    clear: 1 where a pixel is the stage's, less where it may be a faint shadow.
    points: (33, 4), x and y in picture sizes.
    """
    differs, size = difference(frame, plate), len(frame)
    weight = 1 + 2 * _present(differs)
    for point, radius in CARE:
        x, y, _, score = points[point]
        if score > SCORE:
            cv2.circle(weight, (int(x * size), int(y * size)), int(radius * size), 5.0, -1)
    matte = cv2.GaussianBlur((differs > PRESENT).astype(np.float32), (0, 0), 2)
    certain = (differs > CERTAIN).astype(np.float32)
    clear = np.clip(1 - differs.astype(np.float32) / FAINT, 0, 1)
    return cv2.GaussianBlur(weight, (0, 0), 2), matte, certain, clear
