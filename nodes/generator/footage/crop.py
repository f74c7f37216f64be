"""The square of the clip that becomes the stage."""

from __future__ import annotations

import numpy as np

from engine.errors import BadInput
from nodes.generator.playing.repertoire import LEAST_SCORE

MARGIN = 0.12  # of a body's larger side, around its points: the top of the head, hair, clothes, hands
NEARLY_ALL = 0.85  # a square as large as this, of the largest there is, gains nothing over the whole height
RARE = 0.2  # percent of the frames, of either side's outermost places, that may lie outside
LEAST_SIDE = 64

Crop = tuple[int, int, int]  # left, top and side, pixels


def boxes(points: np.ndarray, margin: float = MARGIN) -> np.ndarray:
    """(N, 33, 4) → (N, 4) float: left, top, right, bottom of each body, with a margin."""
    low, high = points[..., :2].min(1), points[..., :2].max(1)
    around = margin * (high - low).max(1, keepdims=True)
    return np.concatenate([low - around, high + around], 1)


def automatic(points: np.ndarray, size: tuple[int, int]) -> Crop:
    """The smallest square that always holds the person, or the whole height where there is none.

    points: (N, 33, 4) in pixels of a picture of `size`, N >= 1.
    """
    around = boxes(points).clip(0, (*size, *size))
    left, top = np.percentile(around[:, :2], RARE, axis=0)
    right, bottom = np.percentile(around[:, 2:], 100 - RARE, axis=0)
    largest = min(size) // 2 * 2
    side = int(np.ceil(max(right - left, bottom - top, LEAST_SIDE) / 2)) * 2
    side = largest if side >= NEARLY_ALL * largest else side
    place = np.clip(np.rint([(left + right - side) / 2, (top + bottom - side) / 2]), 0, np.array(size) - side)
    return int(place[0]), int(place[1]), side


def given(text: str, size: tuple[int, int]) -> Crop:
    """`left,top,side` as typed. Raises `BadInput`."""
    try:
        left, top, side = (int(word) for word in text.split(","))
    except ValueError:
        raise BadInput(f"--crop {text} is neither auto nor left,top,side in pixels, such as 420,0,1080.") from None
    if min(left, top) < 0 or side < LEAST_SIDE or side % 2 or left + side > size[0] or top + side > size[1]:
        raise BadInput(
            f"--crop {text} is no square inside the clip of {size[0]} × {size[1]} pixels, with an even side of at "
            f"least {LEAST_SIDE}."
        )
    return left, top, side


def outside(points: np.ndarray, crop: Crop) -> float:
    """Share of the frames in which a point that is surely seen lies outside the square. points: (N, 33, 4), N >= 1."""
    left, top, side = crop
    places = points[..., :2] - (left, top)
    beyond = ((places < 0) | (places > side)).any(-1) & (points[..., 3] > LEAST_SCORE)
    return float(beyond.any(1).mean())
