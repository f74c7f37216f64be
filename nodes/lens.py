"""From pixels and depths to points in space and back, for the lenses that RealSense cameras tell of.

Camera space: x right, y down, z away from the camera, in metres; z is the depth. Pixel centres are at whole numbers.

Source: librealsense, src/rs.cpp, rs2_deproject_pixel_to_point and rs2_project_point_to_pixel (Apache-2.0): the same
steps, for many points at once and in double precision.
"""

from __future__ import annotations

import numpy as np

from engine.frame import Lens

_ROUNDS = 10  # librealsense's number, found by trial


def rays(lens: Lens, pixels: np.ndarray) -> np.ndarray:
    """Where the line of sight of each pixel is at a depth of 1. (…, 2) x, y → (…, 2) float64 x, y."""
    seen = (pixels - np.array((lens.cx, lens.cy))) / (lens.fx, lens.fy)
    if lens.distortion == "NONE" or not any(lens.coefficients):
        return seen
    k1, k2, p1, p2, k3 = lens.coefficients
    x0, y0 = x, y = seen[..., 0], seen[..., 1]
    for _ in range(_ROUNDS):
        r2 = x * x + y * y
        grown = 1 + ((k3 * r2 + k2) * r2 + k1) * r2
        if lens.distortion == "INVERSE_BROWN_CONRADY":
            x, y = x * grown, y * grown
        xy = 2 * x * y
        x, y = (x0 - p1 * xy - p2 * (r2 + 2 * x * x)) / grown, (y0 - p2 * xy - p1 * (r2 + 2 * y * y)) / grown
    return np.stack([x, y], -1)


def deproject(lens: Lens, pixels: np.ndarray, depth_m: np.ndarray) -> np.ndarray:
    """The points that are seen at `pixels`, (…, 2), at `depth_m`, (…,) metres: (…, 3) float64, metres."""
    across = rays(lens, pixels) * depth_m[..., None]
    return np.concatenate([across, depth_m[..., None]], -1)


def project(lens: Lens, points: np.ndarray) -> np.ndarray:
    """The pixels, (…, 2) float64, at which `points`, (…, 3) metres, are seen; not finite for a depth of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
        if lens.distortion != "NONE":
            k1, k2, p1, p2, k3 = lens.coefficients
            r2 = x * x + y * y
            grown = 1 + ((k3 * r2 + k2) * r2 + k1) * r2
            straight_x, straight_y = x * grown, y * grown
            if lens.distortion == "INVERSE_BROWN_CONRADY":
                x, y = straight_x, straight_y
            x, y = (
                straight_x + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                straight_y + 2 * p2 * x * y + p1 * (r2 + 2 * y * y),
            )
    return np.stack([x * lens.fx + lens.cx, y * lens.fy + lens.cy], -1)
