"""Draw the performer: the painter's algorithm, from the farthest quad to the nearest. NumPy and OpenCV, no GPU."""

from __future__ import annotations

import cv2
import numpy as np

from nodes.camera.painter.body import Body
from nodes.camera.painter.stage import Camera, Shadow, empty_stage, light

SHIFT = 4  # binary places of a corner's position


class Painter:
    """Pictures of the performer of width × height pixels."""

    def __init__(self, width: int, height: int):
        self.body, self.camera, self.plate = Body(), Camera(width, height), empty_stage(width, height)
        self.shadow = Shadow(self.camera, width, height)

    def draw(self, picture: np.ndarray, rotations: dict[str, np.ndarray], x: float) -> np.ndarray:
        """Fill `picture`, (H, W, 3) uint8 BGR, with the posed body before the stage; see `Body.posed`.

        Returns the exact points, (33, 4) float32, as pose.blazepose estimates them: x, y in pixels; z in the same
        unit, 0 at the hips, negative towards the camera; score 1, whether a point is hidden or not.
        """
        vertices, points = self.body.posed(rotations, x)
        np.copyto(picture, self.plate)
        self.shadow.fall(picture, points)
        self._paint(picture, vertices)
        return self._keypoints(points)

    def _paint(self, picture: np.ndarray, vertices: np.ndarray) -> None:
        quads, seen = self.body.quads, self.camera.seen(vertices)
        corners = seen[:, :2][quads]
        (ax, ay), (bx, by) = (corners[:, 2] - corners[:, 0]).T, (corners[:, 3] - corners[:, 1]).T
        facing = ay * bx - ax * by  # twice the area: positive where the front is seen
        shown = np.flatnonzero((facing > 0) | self.body.thin)
        shown = shown[np.argsort(-seen[:, 2][quads[shown]].sum(1))]  # from far to near

        places = vertices[quads[shown]]
        normals = np.cross(places[:, 2] - places[:, 0], places[:, 3] - places[:, 1])
        normals *= (np.sign(facing[shown]) / (np.linalg.norm(normals, axis=1) + 1e-9))[:, None]
        colours = (self.body.colours[shown] * light(normals)).clip(0, 255).tolist()
        outlines = (corners[shown] * (1 << SHIFT)).astype(np.int32)
        for outline, colour in zip(outlines, colours, strict=True):
            cv2.fillConvexPoly(picture, outline, colour, cv2.LINE_8, SHIFT)

    def _keypoints(self, points: np.ndarray) -> np.ndarray:
        seen = self.camera.seen(points)
        hips = float(seen[23:25, 2].mean())
        seen[:, 2] = (seen[:, 2] - hips) * self.camera.pixels_per_unit(hips)
        return np.concatenate([seen, np.ones((len(seen), 1), np.float32)], 1)
