"""Find the points of one person in a square of the picture: BlazePose's landmark network.

Source: MediaPipe, modules/pose_landmark (pose_landmark_by_roi_cpu.pbtxt and
tensors_to_pose_landmarks_and_segmentation.pbtxt); Bazarevsky et al., "BlazePose: On-device Real-time Body Pose
tracking", 2020.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nodes.pose.light import Light
from nodes.pose.mask import Mask
from nodes.pose.model import Model, sigmoid
from nodes.pose.picture import Picture
from nodes.pose.roi import Roi

INPUT = 256
POINTS = 33  # the body; the network's next two points say where the person's square is, the last four are unused
_ALL = 39
_LANDMARKS, _PRESENCE, _HEAT = (1, 195), (1, 1), (1, 64, 64, 39)
_WORLD, _BODY = (1, 117), (1, 256, 256, 1)
_WINDOW = np.arange(-3, 4)  # a 7 × 7 neighbourhood of the heat map
_MIN_HEAT = 0.5
# The network counts from the edge of the crop's first pixel, OpenCV from its middle. MediaPipe does not heed that, as a
# mirrored picture shows: its points are not mirrored ones, but lie a part of a pixel of the crop to the right.
_MIDDLE = 0.5


@dataclass(frozen=True)
class Landmarks:
    """One person. xyz: (33, 3) pixels of the picture, z towards the viewer is negative and 0 is the hips' depth;
    score: (33,) 0..1; alignment: (2, 2) pixels, the points for the next `Roi.around`; presence: 0..1, and -1 where the
    network answers what are no numbers; world: (33, 3) metres from the middle of the hips, x to the right, y down, z
    away from the camera, a guess that knows no lens; mask: where the body is. These two only if they were asked for."""

    xyz: np.ndarray
    score: np.ndarray
    alignment: np.ndarray
    presence: float
    world: np.ndarray | None = None
    mask: Mask | None = None


def refine(points: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Move each point to the centre of gravity of the heat map around it, where that is hot.

    points: (N, 2) in 0..1 of the crop. heat: (H, W, N) logits. A new (N, 2). Points outside the map, or without a
    value of at least 0.5 near them, stay. Source: MediaPipe, RefineLandmarksFromHeatmapCalculator, kernel_size 7.
    """
    height, width, count = heat.shape
    column, row = (points * (width, height)).astype(int).T
    columns, rows = column[:, None] + _WINDOW, row[:, None] + _WINDOW
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    near = heat[
        np.clip(rows, 0, height - 1)[:, :, None],
        np.clip(columns, 0, width - 1)[:, None, :],
        np.arange(count)[:, None, None],
    ]
    weight = sigmoid(near) * inside
    total = weight.sum((1, 2))
    on_map = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    hot = on_map & (weight.max((1, 2)) >= _MIN_HEAT)
    x = (weight.sum(1) * columns).sum(1) / width
    y = (weight.sum(2) * rows).sum(1) / height
    refined = points.copy()
    refined[hot] = (np.stack([x, y], 1)[hot].T / total[hot]).T
    return refined


class Landmarker:
    """fine: give the network all that the picture has. The heavy one is the better for it, the others are not."""

    def __init__(self, model: Model, world: bool = False, mask: bool = False, fine: bool = False):
        self._model, self._world, self._mask, self._fine = model, world, mask, fine
        self._outputs = [_LANDMARKS, _PRESENCE, _HEAT] + [_WORLD] * world + [_BODY] * mask
        self._input = np.empty((1, INPUT, INPUT, 3), np.float32)

    def __call__(self, picture: Picture, roi: Roi, light: Light | None = None) -> Landmarks:
        """The person in `roi`; `presence` says whether there is one. light: this person's."""
        matrix = roi.matrix(INPUT)
        np.multiply(picture.crop(matrix, INPUT, light, self._fine), np.float32(1 / 255), out=self._input[0])
        raw, presence, heat, *more = self._model(self._input, *self._outputs)
        landmarks = raw.reshape(_ALL, 5).astype(np.float64)  # x, y, z in pixels of the crop; visibility, presence
        in_crop = refine(landmarks[:, :2] / INPUT, heat) * INPUT - _MIDDLE
        xy = in_crop @ matrix[:, :2].T + matrix[:, 2]
        z = landmarks[:, 2] * (roi.size / INPUT)
        visible, present = sigmoid(landmarks[:POINTS, 3:]).T
        finite = all(np.isfinite(answer).all() for answer in (raw, presence, *more))  # a card may answer no numbers
        return Landmarks(
            xyz=np.column_stack([xy, z])[:POINTS],
            score=visible * present,
            alignment=xy[POINTS : POINTS + 2],
            presence=float(presence[0]) if finite else -1.0,
            world=_turned(more[0], roi) if self._world else None,
            mask=Mask(_alpha(more[-1]), matrix) if self._mask else None,
        )


def _turned(world: np.ndarray, roi: Roi) -> np.ndarray:
    """The network sees an upright body: turn its metres back. Source: MediaPipe, WorldLandmarkProjectionCalculator."""
    points = world.reshape(_ALL, 3)[:POINTS].astype(np.float64)
    cos, sin = math.cos(roi.rotation), math.sin(roi.rotation)
    points[:, :2] = points[:, :2] @ [[cos, sin], [-sin, cos]]
    return points


def _alpha(logits: np.ndarray) -> np.ndarray:
    return np.rint(255 * sigmoid(logits[:, :, 0])).astype(np.uint8)
