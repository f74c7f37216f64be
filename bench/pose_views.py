"""Several calibrated cameras that look at the same people: projection, triangulation, and how well poses fit them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np


@dataclass(frozen=True)
class View:
    """One camera. Points in space are in metres; its rotation and translation take them from the room to the camera."""

    matrix: np.ndarray  # (3, 3), pixels
    distortion: np.ndarray  # (4,), k1, k2, p1, p2
    rotation: np.ndarray  # (3, 3)
    translation: np.ndarray  # (3,)

    def project(self, points: np.ndarray) -> np.ndarray:
        """(…, 3) metres to (…, 2) pixels."""
        turn = cv2.Rodrigues(self.rotation)[0]
        pixels, _ = cv2.projectPoints(points.reshape(-1, 1, 3), turn, self.translation, self.matrix, self.distortion)
        return pixels.reshape(*points.shape[:-1], 2)

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """(…, 2) pixels to (…, 2): x/z and y/z of what is seen there, without the lens's distortion."""
        flat = np.ascontiguousarray(pixels, np.float64).reshape(-1, 1, 2)
        return cv2.undistortPoints(flat, self.matrix, self.distortion).reshape(pixels.shape)


def read_views(path: Path) -> list[View]:
    """The cameras of a Qualisys calibration (.qca.txt): in 1/64 pixels and in millimetres."""
    views = []
    for camera in ET.parse(path).getroot().iter("camera"):
        place = {key: float(value) for key, value in camera.find("transform").attrib.items()}  # type: ignore[union-attr]
        inner = {key: float(value) / 64 for key, value in camera.find("intrinsic").attrib.items()}  # type: ignore[union-attr]
        rows = np.array([[place[f"r{row}{column}"] for column in (1, 2, 3)] for row in (1, 2, 3)])
        rotation = np.diag([1.0, -1.0, -1.0]) @ rows  # theirs looks along -z with y up
        matrix = np.diag([inner["focalLengthU"], inner["focalLengthV"], 1.0])
        matrix[:2, 2] = inner["centerPointU"], inner["centerPointV"]
        bends = "radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2"
        centre = np.array([place[axis] for axis in "xyz"]) / 1000
        views.append(View(matrix, np.array([inner[bend] for bend in bends]), rotation, -rotation @ centre))
    return views


def triangulate(views: Sequence[View], pixels: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """pixels (V, …, 2), weights (V, …), all 1 by default: (…, 3) metres, the direct linear transform.

    Source: Hartley and Zisserman, "Multiple View Geometry", 12.2.
    """
    weights = np.ones(pixels.shape[:-1]) if weights is None else weights
    rows = []
    for view, seen, weight in zip(views, pixels, weights, strict=True):
        camera = np.column_stack([view.rotation, view.translation])
        ray = view.rays(seen)
        rows += [weight[..., None] * (ray[..., axis, None] * camera[2] - camera[axis]) for axis in (0, 1)]
    solution = np.linalg.svd(np.stack(rows, axis=-2))[2][..., -1, :]
    return solution[..., :3] / solution[..., 3:]


def reprojections(views: Sequence[View], points: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """How far, in pixels, each of `pixels` (V, …, 2) lies from where its camera sees `points` (…, 3): (V, …)."""
    return np.linalg.norm(np.stack([view.project(points) for view in views]) - pixels, axis=-1)
