"""Boxes around people, (4,) x0, y0, x1, y1 in pixels: found by networks, and cut out for others."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from nodes.pose.light import Light
from nodes.pose.picture import Picture

PADDING = 1.25  # a box is cut out so much larger: what all networks of the family were trained with
_GROWTH = 1.25  # the points of a body are so much nearer to each other than its outline
_OVERLAP = 0.45  # two boxes that share more than this hold the same person
_GREY = 114  # what is beside the picture, for networks that look at the whole of it
_STRIDES = (8, 16, 32)  # of YOLOX's grids


def crop_matrix(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """2×3 float32: from a crop of `size`, width and height, to the picture. It holds the box with its padding, upright
    and not distorted. Source: MMPose, GetBBoxCenterScale and TopdownAffine."""
    width, height = size
    scale = PADDING * max((box[2] - box[0]) / width, (box[3] - box[1]) / height, 1e-3)
    left, top = (box[:2] + box[2:]) / 2 - scale * np.array([width, height]) / 2
    return np.array([[scale, 0, left], [0, scale, top]], np.float32)


def around(points: np.ndarray) -> np.ndarray:
    """The box of a body of which these points, (N, 2), were seen."""
    low, high = points.min(0), points.max(0)
    centre, half = (low + high) / 2, (high - low) / 2 * _GROWTH
    return np.concatenate([centre - half, centre + half])


class Letterbox:
    """Fits the whole region into a network's input: at the left and top, what is beside it grey."""

    def __init__(self, size: tuple[int, int]):
        self._canvas = np.empty((size[1], size[0], 3), np.uint8)
        self._light = Light()
        self._scale, self._corner = np.ones(2), np.zeros(2)

    def __call__(self, picture: Picture) -> np.ndarray:
        """(height, width, 3) uint8 RGB; the next call writes into it again."""
        height, width = self._canvas.shape[:2]
        left, top, across, down = picture.part
        scale = min(width / across, height / down)
        shown = max(1, int(across * scale)), max(1, int(down * scale))
        self._scale, self._corner = np.divide(shown, (across, down)), np.array([left, top])
        self._canvas.fill(_GREY)
        self._canvas[: shown[1], : shown[0]] = picture.resized(*shown, self._light)
        return self._canvas

    def back(self, points: np.ndarray) -> np.ndarray:
        """(…, 2) x, y in pixels of the input → of the picture that was fitted last."""
        return (points + 0.5) / self._scale - 0.5 + self._corner


def is_raw(shape: Sequence[int], size: tuple[int, int]) -> bool:
    """Whether an answer of this shape is YOLOX's as it leaves the network: a row for each cell of its grids."""
    return len(shape) == 2 and shape[1] > 5 and shape[0] == len(_cells(size))


def detections(answers: Sequence[np.ndarray], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The people whom a detector's answers mean: boxes (N, 4) in pixels of its input, of `size`, and scores (N,).

    answers: (N, 5) x0, y0, x1, y1, score, and where there is a second, what each is, (N,), 0 a person: RTMDet, and
    YOLOX with what MMDeploy adds. Or (cells, 5 + classes), YOLOX without: Ge et al., "YOLOX", 2021.
    """
    found = answers[0]
    if found.shape[1] == 5:
        if len(answers) > 1:
            found = found[answers[1] == 0]
        return found[:, :4], found[:, 4]
    cells = _cells(size)
    centres = (found[:, :2] + cells[:, :2]) * cells[:, 2:]
    half = np.exp(np.minimum(found[:, 2:4], 20)) * cells[:, 2:] / 2
    people = found[:, 5:].argmax(1) == 0
    return np.concatenate([centres - half, centres + half], 1)[people], (found[:, 4] * found[:, 5])[people]


def _cells(size: tuple[int, int]) -> np.ndarray:
    """(cells, 3): column, row and stride of each."""
    grids = []
    for stride in _STRIDES:
        row, column = np.mgrid[0 : size[1] // stride, 0 : size[0] // stride]
        grids.append(np.stack([column, row, np.full_like(row, stride)], -1).reshape(-1, 3))
    return np.concatenate(grids)


def apart(boxes: np.ndarray, scores: np.ndarray, min_score: float) -> list[int]:
    """Which of `boxes`, (N, 4), to keep, the surest first: one for each person, none less sure than `min_score`."""
    corners_and_sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).astype(np.float64)
    finite = np.where(np.isfinite(corners_and_sizes).all(1), scores, -1.0)
    kept = cv2.dnn.NMSBoxes(np.nan_to_num(corners_and_sizes).tolist(), finite.tolist(), min_score, _OVERLAP)
    return [int(index) for index in kept]
