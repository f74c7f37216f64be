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
    bent = straight = seen[..., 0] + 1j * seen[..., 1]
    for _ in range(_ROUNDS):
        grown, shifted = _bend(lens, straight)
        straight = (bent - shifted) / grown
    return np.stack([straight.real, straight.imag], -1)


def _bend(lens: Lens, straight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By what x + iy is multiplied on its way through the lens (radial), and by what it is shifted (tangential)."""
    k1, k2, p1, p2, k3 = lens.coefficients
    r2 = straight.real**2 + straight.imag**2
    grown = 1 + ((k3 * r2 + k2) * r2 + k1) * r2
    if lens.distortion == "INVERSE_BROWN_CONRADY":  # its shift belongs to where the radial part has led
        straight, length = straight * grown, r2 * grown * grown
    else:
        length = r2
    # 2 p1 x y + p2 (r² + 2 x²) and 2 p2 x y + p1 (r² + 2 y²), in one
    return grown, (p2 + 1j * p1) * (r2 + length) + (p2 - 1j * p1) * straight * straight


def deproject(lens: Lens, pixels: np.ndarray, depth_m: np.ndarray) -> np.ndarray:
    """The points that are seen at `pixels`, (…, 2), at `depth_m`, (…,) metres: (…, 3) float64, metres."""
    across = rays(lens, pixels) * depth_m[..., None]
    return np.concatenate([across, depth_m[..., None]], -1)


def project(lens: Lens, points: np.ndarray) -> np.ndarray:
    """The pixels, (…, 2) float64, at which `points`, (…, 3) metres, are seen; not finite for a depth of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        across = points[..., :2] / points[..., 2:]
        if lens.distortion != "NONE" and any(lens.coefficients):
            straight = across[..., 0] + 1j * across[..., 1]
            grown, shifted = _bend(lens, straight)
            bent = straight * grown + shifted
            across = np.stack([bent.real, bent.imag], -1)
        return across * (lens.fx, lens.fy) + (lens.cx, lens.cy)
