"""The maths of lenses, beside librealsense's own."""

from __future__ import annotations

import numpy as np
import pytest

from engine.frame import Lens
from nodes.lens import deproject, project

COEFFICIENTS = (0.12, -0.21, 0.0011, -0.0007, 0.05)
MODELS = ("NONE", "BROWN_CONRADY", "INVERSE_BROWN_CONRADY")


def lens(distortion: str, coefficients: tuple = COEFFICIENTS) -> Lens:
    return Lens(612.5, 611.75, 322.25, 241.5, distortion, coefficients)  # type: ignore[arg-type]


def some(count: int = 500) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    return random.uniform((0, 0), (639, 479), (count, 2)), random.uniform(0.3, 8, count)


@pytest.mark.parametrize("distortion", MODELS)
@pytest.mark.parametrize("coefficients", [COEFFICIENTS, (0.0,) * 5])
def test_points_and_pixels_are_librealsenses(distortion: str, coefficients: tuple) -> None:
    rs = pytest.importorskip("pyrealsense2", reason="pyrealsense2 is not installed")
    ours, theirs = lens(distortion, coefficients), rs.intrinsics()
    theirs.width, theirs.height, theirs.coeffs = 640, 480, list(coefficients)
    theirs.fx, theirs.fy, theirs.ppx, theirs.ppy = ours[:4]
    theirs.model = getattr(rs.distortion, distortion.lower())
    pixels, depths = some()
    pixels, depths = pixels.astype(np.float32), depths.astype(np.float32)
    points = [
        rs.rs2_deproject_pixel_to_point(theirs, p, d) for p, d in zip(pixels.tolist(), depths.tolist(), strict=True)
    ]
    found = deproject(ours, pixels, depths)
    np.testing.assert_allclose(found / depths[:, None], np.array(points) / depths[:, None], atol=1e-6)
    seen = [rs.rs2_project_point_to_pixel(theirs, p) for p in found.tolist()]
    np.testing.assert_allclose(project(ours, found), seen, atol=2e-4)


@pytest.mark.parametrize("distortion", MODELS)
def test_a_point_is_seen_where_it_came_from(distortion: str) -> None:
    pixels, depths = some()
    eye = lens(distortion, (0.05, -0.08, 0.0011, -0.0007, 0.01))
    np.testing.assert_allclose(project(eye, deproject(eye, pixels, depths)), pixels, atol=0.05)


def test_any_number_of_leading_axes() -> None:
    pixels, depths = some(12)
    flat = deproject(lens("BROWN_CONRADY"), pixels, depths)
    folded = deproject(lens("BROWN_CONRADY"), pixels.reshape(2, 6, 2), depths.reshape(2, 6))
    np.testing.assert_array_equal(folded.reshape(-1, 3), flat)
    assert deproject(lens("BROWN_CONRADY"), np.zeros((0, 2)), np.zeros(0)).shape == (0, 3)


def test_what_is_at_the_camera_is_seen_nowhere() -> None:
    assert not np.isfinite(project(lens("NONE"), np.array([[0.1, 0.1, 0.0]]))).any()
