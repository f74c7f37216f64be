"""Find the floor in depth pictures: the lowest large plane that is about level."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import cv2
import numpy as np

from engine.errors import BadInput
from engine.frame import Lens
from nodes.lens import deproject
from nodes.pose.floor.plane import FORMAT, Floor, rotation_of, tilt_of

CELLS = 320  # of the picture's longer side are looked at
PITCH, ROLL = (-15.0, 65.0), 30.0  # degrees: how a camera may hang; a wall before one that looks up is 75 or more
HEIGHT_M = (0.2, 6.0)
FARTHEST_M = 8.0  # beyond it depths are too vague
NEAR_M, NEAR_SHARE = 0.015, 0.01  # of the plane is a point this near, and this share of its distance nearer
LOW_M, LOW_SHARE = 0.08, 0.03  # a floor has at most such a share of all points this far below it
LEAST_SHARE = 0.05  # of all points must lie on it
TRIALS = 600
_MEAN, _APART, _EDGE = 7, 6, 5  # cells
_SPREAD = 4.0  # times the median distance: beyond that it is something that stands on the floor
FEWEST = 200  # points that look level, to begin with


def steady(depths: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Several (H, W) uint16 depths of one size → the places looked at, (h, w, 2) pixels, and there the median of those
    that were measured, (h, w) float, 0 where fewer than half were."""
    height, width = depths[0].shape
    step = max(1, max(height, width) // CELLS)
    rows, columns = np.arange(step // 2, height, step), np.arange(step // 2, width, step)
    stack = np.stack([depth[rows][:, columns] for depth in depths])
    stack.sort(0)
    count = (stack > 0).sum(0)
    middle = np.take_along_axis(stack, (len(stack) - 1 - count // 2)[None], 0)[0]
    places = np.stack(np.meshgrid(columns, rows), -1).astype(float)
    return places, np.where(2 * count >= len(stack), middle, 0).astype(float)


def find(depths: Sequence[np.ndarray], lens: Lens) -> tuple[Floor, np.ndarray]:
    """The floor in several depth pictures of one size, (H, W) uint16, and where it is: (h, w) bool, see `steady`.

    1. Places whose surroundings face up, as far as a camera may be tilted, are candidates.
    2. Three of them make a plane (RANSAC: Fischler and Bolles, 1981); of those with next to nothing below them, the
       one that most points of the whole picture lie on is the floor. So a table is none while the floor shows.
    3. Least squares over those of the candidates that lie on it, again and again, with less and less of what is near.
    Raises BadInput, a sentence, where there is no such plane.
    """
    places, depth = steady(depths)
    grid = deproject(lens, places, depth * lens.metres)
    known = (depth > 0) & (grid[..., 2] < FARTHEST_M)
    if known.sum() < FEWEST:
        raise BadInput(
            f"The depth pictures are almost empty: {known.mean():.0%} of them was measured. "
            "Take the cover off the camera, and keep sunlight and mirrors out of its view."
        )
    points, up = grid[known], _faces_up(grid, known)[known]
    plane = _best(points, points[up]) if up.sum() >= FEWEST else None
    on, within = np.zeros_like(up), 1.0
    for _ in range(4):
        if plane is not None:
            on = up & (_off(points, plane) < within)
            plane = _fit(points[on]) if on.sum() >= FEWEST else None
            within = min(1.0, _SPREAD * float(np.median(_off(points, plane)[on]))) if plane is not None else 1.0
    on = _off(points, plane) < 1 if plane is not None else np.zeros_like(up)
    share = float(on.mean())
    if plane is None or share < LEAST_SHARE or not _hangs(plane):
        raise BadInput(
            "No floor was found: no large, level surface below the camera. Tilt the camera down until the floor shows "
            "in the lower part of its picture, clear some of it, and do this again. A shiny or black floor may give no "
            "depth: lay a mat or a sheet of paper on it."
        )
    off = points[on] @ plane[:3] + plane[3]
    lies = np.zeros(depth.shape, bool)
    lies[known] = on
    height, width = depths[0].shape
    return Floor(
        format=FORMAT,
        plane=tuple(plane.tolist()),
        rotation=rotation_of(plane[:3]),
        lens=lens,
        size=(width, height),
        when=datetime.now().astimezone().isoformat(timespec="seconds"),
        share=round(share, 4),
        rms_mm=round(float(np.sqrt((off**2).mean())) * 1000, 2),
    ), lies


def _faces_up(grid: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Where the surface faces the way a floor may, (h, w): its normal from points some cells away on all sides, each
    the mean of its own surroundings, because a single depth is too vague for a direction."""
    weight = cv2.blur(known.astype(np.float64), (_MEAN, _MEAN))
    smooth = cv2.blur(np.where(known[..., None], grid, 0.0), (_MEAN, _MEAN)) / np.maximum(weight, 1e-9)[..., None]
    right, left = np.roll(smooth, -_APART, 1), np.roll(smooth, _APART, 1)
    below, above = np.roll(smooth, -_APART, 0), np.roll(smooth, _APART, 0)
    normal = np.cross(right - left, above - below)  # y goes down: towards the camera
    whole = known & (weight > 0.5)
    for shift, axis in ((-_APART, 1), (_APART, 1), (-_APART, 0), (_APART, 0)):
        whole &= np.roll(weight, shift, axis) > 0.5
    whole[:_APART] = whole[-_APART:] = whole[:, :_APART] = whole[:, -_APART:] = False
    length = np.linalg.norm(normal, axis=-1)
    faces = whole & (length > 0) & _level(normal / np.maximum(length, 1e-12)[..., None])
    return cv2.erode(faces.astype(np.uint8), np.ones((_EDGE, _EDGE), np.uint8)) > 0  # where a wall begins it is bent


def _level(normal: np.ndarray) -> np.ndarray:
    """Can a floor have this unit normal, (…, 3), in a camera that hangs as it may?"""
    pitch, roll = tilt_of(normal)
    return (pitch >= PITCH[0]) & (pitch <= PITCH[1]) & (np.abs(roll) <= ROLL)


def _hangs(planes: np.ndarray) -> np.ndarray:
    """(…, 4) planes: about level, and below the camera?"""
    return _level(planes[..., :3]) & (planes[..., 3] >= HEIGHT_M[0]) & (planes[..., 3] <= HEIGHT_M[1])


def _off(points: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """How far points are from a plane, as a share of how near they must be."""
    return np.abs(points @ plane[:3] + plane[3]) / (NEAR_M + NEAR_SHARE * points[:, 2])


def _best(points: np.ndarray, candidates: np.ndarray) -> np.ndarray | None:
    """The plane, (4,), through three candidates with the most points on it; None where none can be a floor."""
    random = np.random.default_rng(1)
    one, two, three = candidates[random.integers(0, len(candidates), (3, TRIALS))]
    normals = np.cross(two - one, three - one)
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals[lengths > 1e-6] / lengths[lengths > 1e-6, None]
    normals *= -np.sign(normals[:, 1:2])  # up
    planes = np.column_stack([normals, -(normals * one[lengths > 1e-6]).sum(1)])
    planes = planes[_hangs(planes)]
    some = points[random.permutation(len(points))[:6000]].astype(np.float32)
    above = some @ planes[:, :3].T.astype(np.float32) + planes[:, 3].astype(np.float32)
    votes = (np.abs(above) < (NEAR_M + NEAR_SHARE * some[:, 2])[:, None]).sum(0)
    votes = votes * ((above < -LOW_M).mean(0) <= LOW_SHARE)
    return planes[votes.argmax()] if len(planes) and votes.max() > 0 else None


def _fit(points: np.ndarray) -> np.ndarray:
    """The plane, (4,), with the least squares of distances; its normal points up."""
    middle = points.mean(0)
    spread = np.cov((points - middle).T)
    normal = np.linalg.eigh(spread)[1][:, 0]
    normal = -normal if normal[1] > 0 else normal
    return np.append(normal, -normal @ middle)
