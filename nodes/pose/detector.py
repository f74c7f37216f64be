"""Find people in a picture's region: BlazePose's detector.

Source: MediaPipe, modules/pose_detection (pose_detection_cpu.pbtxt): a 224 × 224 single-shot detector with 2254
anchors. Each box comes with four points; the first two, hips and edge of the body's circle, are all that is used.
"""

from __future__ import annotations

import numpy as np

from nodes.pose.light import Light
from nodes.pose.model import Model, sigmoid
from nodes.pose.picture import Picture
from nodes.pose.roi import Roi

INPUT = 224
_GRIDS = ((28, 2), (14, 2), (7, 6))  # (cells per side, anchors per cell): strides 8, 16 and three times 32
_BOXES, _LOGITS = (1, 2254, 12), (1, 2254, 1)
_MERGE_IOU = 0.3


def make_anchors() -> np.ndarray:
    """(2254, 2) float32: centre x, y of each anchor, 0..1. Their sizes are all 1 (fixed_anchor_size)."""
    centres = []
    for cells, per_cell in _GRIDS:
        y, x = (np.mgrid[0:cells, 0:cells] + 0.5) / cells
        centres.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), per_cell, axis=0))
    return np.concatenate(centres).astype(np.float32)


def iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """How much `box`, (4,), overlaps each of `boxes`, (N, 4), all x0, y0, x1, y1: intersection over union, (N,)."""
    overlap = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(np.clip(overlap, 0, None), axis=1)
    areas = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)
    area = np.prod(np.clip(box[2:] - box[:2], 0, None))
    return shared / (area + areas - shared + 1e-9)


def weighted_nms(boxes: np.ndarray, points: np.ndarray, scores: np.ndarray) -> list[np.ndarray]:
    """Merge the boxes that mean the same person; best first.

    boxes (N, 4) x0, y0, x1, y1; points (N, K, 2); scores (N,). Each result is the (K, 2) mean of the merged boxes'
    points, weighted by score: steadier than the best box alone.
    Source: MediaPipe, NonMaxSuppressionCalculator, WEIGHTED.
    """
    order = np.argsort(-scores)
    merged: list[np.ndarray] = []
    while len(order):
        best = order[0]
        same = iou(boxes[best], boxes[order]) > _MERGE_IOU
        same[0] = True
        group = order[same]
        merged.append(np.average(points[group], axis=0, weights=scores[group]))
        order = order[~same]
    return merged


class Detector:
    def __init__(self, model: Model):
        self._model = model
        self._anchors = make_anchors()
        self._input = np.empty((1, INPUT, INPUT, 3), np.float32)
        self._light = Light()

    def __call__(self, picture: Picture, most: int, min_score: float) -> list[Roi]:
        """At most `most` people whose centre is in the picture's region, the surest first, each at least as sure as
        `min_score` (0..1)."""
        scale, left, top = self._letterbox(picture)
        raw, logits = self._model(self._input, _BOXES, _LOGITS)
        scores = sigmoid(logits[:, 0])
        sure = np.flatnonzero(scores >= min_score)
        raw, anchors = raw[sure] / INPUT, self._anchors[sure]
        centres, sizes = raw[:, :2] + anchors, raw[:, 2:4]
        boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
        points = raw[:, 4:].reshape(-1, 4, 2) + anchors[:, None]
        corner = picture.part[:2]
        people = weighted_nms(boxes, points, scores[sure])
        rois = [Roi.around(*((person[:2] * INPUT - (left, top)) / scale + corner)) for person in people]
        return [roi for roi in rois if picture.holds(roi.x, roi.y)][:most]

    def _letterbox(self, picture: Picture) -> tuple[float, int, int]:
        """Fit the region into the network's input, black around, values -1..1; the scale and the left and top edge."""
        across, down = picture.part[2:]
        scale = INPUT / max(across, down)
        width, height = max(1, round(across * scale)), max(1, round(down * scale))
        left, top = (INPUT - width) // 2, (INPUT - height) // 2
        self._input.fill(-1)
        inside = self._input[0, top : top + height, left : left + width]
        np.multiply(picture.resized(width, height, self._light), np.float32(2 / 255), out=inside)
        inside -= 1
        return scale, left, top
