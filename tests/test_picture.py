"""Pieces of pictures that lose nothing when they become small, and points that come back to where they were."""

from __future__ import annotations

import numpy as np
import pytest
from harness import frame
from sight_kit import clip, node

from nodes.layouts import BLAZEPOSE_33, mirrored
from nodes.pose.picture import Picture
from nodes.pose.roi import Roi

WIDTH, HEIGHT = 963, 541  # odd: no power of two divides them


def crops(pixels: np.ndarray, roi: Roi, size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    picture = Picture(frame(pixels, pixel_format="RGB"))
    return tuple(picture.crop(roi.matrix(size), size, fine=fine).astype(int) for fine in (False, True))  # type: ignore[return-value]


@pytest.mark.parametrize("roi", [Roi(450, 260, size, angle) for size in (150, 300, 340) for angle in (0, 0.4, 2)])
def test_a_fine_piece_shows_the_same_place(roi: Roi) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    smooth = np.stack([127 + 100 * np.sin(x / 60), 127 + 100 * np.cos(y / 50), 127 + 100 * np.sin((x + y) / 70)], -1)
    quick, fine = crops(smooth.astype(np.uint8), roi)
    assert np.abs(quick - fine).max() <= 2


def test_a_fine_piece_averages_what_a_quick_one_leaves_out() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    quick, fine = crops(noise, Roi(450, 260, 300, 0.3))
    assert fine.std() < 0.4 * quick.std()
    assert abs(fine.mean() - quick.mean()) < 3


@pytest.mark.parametrize(
    "roi", [Roi(450, 260, 100, 0.3), Roi(450, 260, 64, 0), Roi(-900, 0, 600, 0), Roi(450, 2000, 600, 1)]
)
def test_what_does_not_become_smaller_or_is_not_there_stays_as_it_is(roi: Roi) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    quick, fine = crops(noise, roi)
    np.testing.assert_array_equal(quick, fine)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (3, 2)])
def test_pictures_of_hardly_a_pixel(size: tuple[int, int]) -> None:
    pixels = np.full((size[1], size[0], 3), 200, np.uint8)
    for side in (1, 200, 3000):
        _, fine = crops(pixels, Roi(size[0] / 2, size[1] / 2, side, 0.2))
        assert fine.shape == (64, 64, 3)


def test_a_mirrored_picture_gives_mirrored_points() -> None:
    estimator, sides, off = node()._estimator, mirrored(BLAZEPOSE_33), []
    for pixels in clip(100)[::4]:
        width = pixels.shape[1]
        one = Picture(frame(pixels, pixel_format="BGR"))
        other = Picture(frame(np.ascontiguousarray(pixels[:, ::-1]), pixel_format="BGR"))
        (roi,) = estimator._detector(one, 1, 0.5)
        there = estimator._landmarker(one, roi).xyz[:, 0]
        mirror = Roi(width - 1 - roi.x, roi.y, roi.size, -roi.rotation)
        back = width - 1 - estimator._landmarker(other, mirror).xyz[sides, 0]
        off.append((there - back) / 2 / (roi.size / 256))
    assert abs(np.median(off)) < 0.18, "pixels of the crop; 0.24 if the points are counted from the first one's middle"
