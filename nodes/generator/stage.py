"""Where people stand on the stage: from points in the camera's picture to pixels of the canvas."""

from __future__ import annotations

from typing import Literal

import numpy as np

from engine.frame import Frame
from engine.layout import MAX_PEOPLE
from nodes.layouts import BLAZEPOSE_33, mirrored

Fit = Literal["contain", "cover"]
REACH = 8  # in canvas sizes: a point farther off is a mistake, not a point
UNUSABLE = -1.0  # the score of such a point; no threshold lets it pass

_OTHER_SIDE = mirrored(BLAZEPOSE_33)


def on_stage(keypoints: Frame, size: tuple[int, int], fit: Fit, mirror: bool) -> np.ndarray:
    """(P, 33, 4) float64: x, y in pixels of the canvas, z in the same unit, score 0..1 or UNUSABLE. All are finite.

    keypoints: (P, 33, 4), x, y in pixels of a picture of `keypoints.canvas` size.
    fit: "contain" shows the whole camera picture, "cover" fills the canvas; both keep its centre in the centre.
    mirror: as if the camera had seen its picture in a mirror, so left and right change names too.
    Raises ValueError where the frame holds something else.
    """
    array, (width, height) = keypoints.array, keypoints.canvas
    if array.ndim != 3 or array.shape[1:] != (len(BLAZEPOSE_33), 4) or array.dtype.kind != "f":
        raise ValueError(
            f"keypoints of shape (people, 33, 4) are needed here, not {array.dtype} {array.shape}: "
            "connect the input to a pose node, such as pose.blazepose"
        )
    if width < 1 or height < 1:
        raise ValueError(
            f"the keypoints do not say which picture they refer to (canvas is {width} x {height}): "
            "the node that publishes them must set canvas"
        )
    people = array[:MAX_PEOPLE].astype(np.float64)
    if mirror:
        people = people[:, _OTHER_SIDE]
        people[:, :, 0] = width - people[:, :, 0]
    scale = (min if fit == "contain" else max)(size[0] / width, size[1] / height)
    people[:, :, :3] *= scale
    people[:, :, :2] += (np.array(size) - scale * np.array([width, height])) / 2
    return _usable(people, REACH * max(size))


def ids_of(keypoints: Frame, people: np.ndarray) -> tuple[int, ...]:
    """One track id per person; people whom the frame gives none get numbers of their own."""
    return (*keypoints.ids, *range(len(keypoints.ids), len(people)))[: len(people)]


def _usable(people: np.ndarray, limit: float) -> np.ndarray:
    """Give what is not finite or out of reach the score UNUSABLE, in place; a bad z alone counts as 0."""
    depth = people[:, :, 2]
    depth[~(np.abs(depth) <= limit)] = 0
    people[:, :, 3].clip(0, 1, out=people[:, :, 3])
    bad = ~(np.abs(people[:, :, :2]) <= limit).all(2) | np.isnan(people[:, :, 3])
    people[bad] = (0, 0, 0, UNUSABLE)
    return people
