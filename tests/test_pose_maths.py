"""The maths around the pose networks: anchors, squares, boxes, heat map, pictures."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from harness import frame

from engine.errors import BadInput
from nodes.pose.detector import Detector, iou, make_anchors, weighted_nms
from nodes.pose.landmarker import Landmarker, refine
from nodes.pose.picture import Picture
from nodes.pose.roi import Roi

# --- anchors, squares, boxes, heat map ---


def test_anchors_are_cell_centres_of_the_three_grids() -> None:
    anchors = make_anchors()
    assert anchors.shape == (2254, 2)
    np.testing.assert_allclose(anchors[[0, 1, 2]], [[0.5 / 28, 0.5 / 28]] * 2 + [[1.5 / 28, 0.5 / 28]], rtol=1e-6)
    np.testing.assert_allclose(anchors[28 * 28 * 2], [0.5 / 14, 0.5 / 14], rtol=1e-6)
    np.testing.assert_allclose(anchors[-6:], [[6.5 / 7, 6.5 / 7]] * 6, rtol=1e-6)


def test_an_upright_person_has_an_upright_square() -> None:
    roi = Roi.around(np.array([100, 200]), np.array([100, 120]))
    assert (roi.x, roi.y, roi.size) == (100, 200, 200)
    assert roi.rotation == pytest.approx(0)


@pytest.mark.parametrize("degrees", [0, 30, 90, 179, 200, 359])
def test_a_square_maps_its_person_upright_into_the_crop_and_back(degrees: float) -> None:
    angle = math.radians(degrees)
    centre = np.array([310.0, 140.0])
    edge = centre + 80 * np.array([math.sin(angle), -math.cos(angle)])
    matrix = Roi.around(centre, edge).matrix(256)
    in_crop = np.stack([centre, edge]) @ cv2.invertAffineTransform(matrix)[:, :2].T
    in_crop += cv2.invertAffineTransform(matrix)[:, 2]
    np.testing.assert_allclose(in_crop, [[128, 128], [128, 128 - 128 / 1.25]], atol=1e-2)
    np.testing.assert_allclose(in_crop @ matrix[:, :2].T + matrix[:, 2], [centre, edge], atol=1e-2)


def test_overlap_of_boxes() -> None:
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [1, 1, 1, 1]], float)
    np.testing.assert_allclose(iou(boxes[0], boxes), [1, 1 / 3, 0, 0], atol=1e-6)


def test_boxes_of_one_person_merge_by_weight_and_others_stay_apart() -> None:
    boxes = np.array([[5, 5, 6, 6], [0, 0, 1, 1], [0.1, 0, 1.1, 1]])
    points = np.array([[[5, 5]], [[0, 0]], [[4, 8]]], float)
    scores = np.array([0.6, 0.9, 0.3])
    merged = weighted_nms(boxes, points, scores)
    np.testing.assert_allclose(merged, [[[1, 2]], [[5, 5]]])
    assert weighted_nms(boxes[:0], points[:0], scores[:0]) == []


def test_boxes_without_area_do_not_hang_the_merging() -> None:
    nothing = np.zeros((2, 4))
    assert len(weighted_nms(nothing, np.zeros((2, 1, 2)), np.array([0.9, 0.8]))) == 2


def refine_slowly(points: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """MediaPipe's RefineLandmarksFromHeatmapCalculator, written out point by point."""
    height, width, count = heat.shape
    refined = points.copy()
    for i in range(count):
        column, row = int(points[i, 0] * width), int(points[i, 1] * height)
        if not (0 <= column < width and 0 <= row < height):
            continue
        total = highest = x = y = 0.0
        for r in range(max(0, row - 3), min(height, row + 4)):
            for c in range(max(0, column - 3), min(width, column + 4)):
                weight = 1 / (1 + math.exp(-heat[r, c, i]))
                total, highest = total + weight, max(highest, weight)
                x, y = x + weight * c, y + weight * r
        if highest >= 0.5:
            refined[i] = x / width / total, y / height / total
    return refined


def test_refinement_does_as_published_inside_at_the_border_and_outside() -> None:
    random = np.random.default_rng(0)
    points = random.uniform(-0.2, 1.2, (39, 2))
    heat = random.normal(-3, 2, (64, 64, 39))
    refined = refine(points, heat)
    np.testing.assert_allclose(refined, refine_slowly(points, heat), atol=1e-9)
    assert 5 < (refined != points).any(1).sum() < 39


def test_refinement_moves_a_point_onto_the_hot_spot_and_leaves_cold_ones() -> None:
    heat = np.full((64, 64, 2), -20.0)
    heat[30, 34, 0] = 20
    points = np.array([[0.51, 0.51], [0.51, 0.51]])
    np.testing.assert_allclose(refine(points, heat), [[34 / 64, 30 / 64], [0.51, 0.51]], atol=1e-6)


def test_landmarks_are_in_pixels_of_the_picture_and_scored_by_visibility_and_presence() -> None:
    raw = np.zeros((39, 5), np.float32)
    raw[:, :3] = [128.5, 64.5, -32]  # counted from the edge of the first pixel, whose middle is at 0.5
    raw[33:35, :2] = [[128.5, 128.5], [128.5, 0.5]]
    raw[:33, 3:] = [math.log(4), math.log(9)]  # logits of 0.8 and 0.9
    outputs = [raw.reshape(195), np.array([0.7], np.float32), np.full((64, 64, 39), -20, np.float32)]
    picture = Picture(frame(np.zeros((200, 300, 3), np.uint8), pixel_format="BGR"))
    found = Landmarker(lambda *_: outputs)(picture, Roi(150, 100, 128, math.pi / 2))  # type: ignore[arg-type]
    np.testing.assert_allclose(found.xyz, [[182, 100, -16]] * 33, atol=1e-4)
    np.testing.assert_allclose(found.alignment, [[150, 100], [214, 100]], atol=1e-4)
    np.testing.assert_allclose(found.score, [0.72] * 33, atol=1e-6)
    assert found.presence == pytest.approx(0.7)


# --- pictures ---


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("which", range(5))
def test_what_answers_no_numbers_finds_nobody(which: int) -> None:
    answers = [np.ones(shape, np.float32) for shape in ((195,), (1,), (64, 64, 39), (117,), (256, 256, 1))]
    network: Any = lambda *_: [answer.copy() for answer in answers]  # noqa: E731
    landmarker, picture = (
        Landmarker(network, world=True, mask=True),
        Picture(frame(np.zeros((200, 300), np.uint8), pixel_format="GRAY")),
    )
    assert landmarker(picture, Roi(150, 100, 128, 0)).presence == 1
    answers[which][:] = np.nan
    found = landmarker(picture, Roi(150, 100, 128, 0))
    assert found.presence == (1 if which == 2 else -1), "without the heat map the points stay where they are"


def test_every_pixel_format_gives_the_same_rgb_pieces() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    matrix = Roi(40, 30, 50, 0.3).matrix(32)
    expected = Picture(frame(rgb, pixel_format="RGB"))
    for name in ("BGR", "RGBA", "BGRA"):
        picture = Picture(frame(cv2.cvtColor(rgb, getattr(cv2, f"COLOR_RGB2{name}")), pixel_format=name))
        np.testing.assert_array_equal(picture.crop(matrix, 32), expected.crop(matrix, 32))
        np.testing.assert_array_equal(picture.resized(20, 15), expected.resized(20, 15))
    for shape in ((60, 80), (60, 80, 1)):
        gray = Picture(frame(rgb[:, :, :1].reshape(shape).copy(), pixel_format="GRAY"))
        assert gray.crop(matrix, 32).shape == (32, 32, 3)
        assert gray.resized(20, 15).shape == (15, 20, 3)


@pytest.mark.parametrize(
    ("shape", "dtype", "pixel_format"),
    [
        ((4, 4, 3), np.uint16, "BGR"),
        ((4, 4, 4), np.uint8, "BGR"),
        ((4, 4), np.uint8, "BGR"),
        ((2, 33, 4), np.float32, "KEYPOINTS"),
        ((0, 4, 3), np.uint8, "BGR"),
        ((4,), np.uint8, "GRAY"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_sentence(shape: tuple[int, ...], dtype: Any, pixel_format: str) -> None:
    with pytest.raises(BadInput, match="needs a uint8 picture"):
        Picture(frame(np.zeros(shape, dtype), pixel_format=pixel_format))


# --- the detector's input ---


def test_the_detector_fits_any_picture_into_its_input() -> None:
    seen: list[np.ndarray] = []

    def model(picture: np.ndarray, *_: Any) -> list[np.ndarray]:
        seen.append(picture.copy())
        return [np.zeros((2254, 12), np.float32), np.full((2254, 1), -9.0, np.float32)]

    detect = Detector(model)  # type: ignore[arg-type]
    for width, height in ((400, 100), (100, 400), (1, 1)):
        white = Picture(frame(np.full((height, width, 3), 255, np.uint8), pixel_format="BGR"))
        assert detect(white, 1, 0.5) == []
        inside = seen[-1][0, :, :, 0] > 0.99
        assert (seen[-1][0][~inside] == -1).all()
        assert inside.sum() == pytest.approx(224 * 224 * min(width, height) / max(width, height), rel=0.02)
        np.testing.assert_allclose(np.argwhere(inside).mean(0), [111.5, 111.5], atol=0.6)
