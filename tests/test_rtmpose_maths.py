"""The maths around the RTMPose family: distributions, crops, boxes, and what detectors answer."""

from __future__ import annotations

import numpy as np
import pytest
from harness import frame

from nodes.pose.picture import Picture
from nodes.pose.region import Region
from nodes.pose.rtm.boxes import Letterbox, apart, around, crop_matrix, detections, is_raw
from nodes.pose.rtm.simcc import decode, peaks


def bumps(*centres: float, bins: int = 100, height: float = 0.9, sigma: float = 5.0) -> np.ndarray:
    """(K, bins) float32: what the networks are trained to answer, a Gaussian around each centre."""
    places = np.arange(bins) - np.array(centres)[:, None]
    return (height * np.exp(-(places**2) / (2 * sigma**2))).astype(np.float32)


# --- SimCC ---


def test_peaks_lie_between_the_bins() -> None:
    centres = np.array([10.0, 20.25, 49.5, 50.73])
    where, height = peaks(bumps(*centres))
    np.testing.assert_allclose(where, centres, atol=0.01)
    np.testing.assert_allclose(height, 0.9, atol=0.01)


def test_a_constant_added_to_all_bins_moves_no_peak() -> None:
    np.testing.assert_allclose(peaks(bumps(30.4) - 5)[0], [30.4], atol=0.01)


def test_peaks_at_the_edge_and_flat_rows_stay_on_a_bin() -> None:
    flat = np.zeros((1, 100), np.float32)
    assert peaks(np.concatenate([bumps(-1.4), bumps(100.7), flat]))[0].tolist() == [0, 99, 0]


def test_a_plateau_is_met_in_its_middle() -> None:
    values = np.array([[0, 1, 1, 0]], np.float32)
    assert peaks(values)[0] == pytest.approx([1.5])


def test_a_point_is_as_sure_as_its_less_sure_direction_and_bins_are_halves() -> None:
    xy, score = decode(bumps(40, 60), bumps(20, 30, height=0.5), split=2)
    np.testing.assert_allclose(xy, [[20, 10], [30, 15]], atol=0.01)
    np.testing.assert_allclose(score, 0.5, atol=0.01)


def test_scores_stay_within_0_and_1() -> None:
    _, score = decode(np.concatenate([bumps(40, height=7), bumps(40) - 3]), bumps(20, 20, height=8), split=2)
    assert score.tolist() == [1, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_answers_that_are_no_numbers_give_points_that_are(bad: float) -> None:
    across, down = bumps(40, 60, 80), bumps(20, 30, 40)
    across[0, 50], down[1], across[2, 3:6] = bad, bad, bad
    xy, score = decode(across, down, split=2)
    assert np.isfinite(xy).all() and np.isfinite(score).all()


# --- crops ---


@pytest.mark.parametrize("box", [(100, 50, 160, 250), (0, 0, 300, 40), (-50, -20, 10, 90), (5, 5, 5, 5)])
@pytest.mark.parametrize("size", [(192, 256), (288, 384)])
def test_a_crop_holds_its_box_with_a_quarter_around_it_undistorted(
    box: tuple[float, ...], size: tuple[int, int]
) -> None:
    matrix = crop_matrix(np.array(box, float), size)
    assert matrix[0, 0] == matrix[1, 1] and matrix[0, 1] == matrix[1, 0] == 0
    low, high = matrix[:, 2], matrix[:, :2] @ size + matrix[:, 2]
    np.testing.assert_allclose((low + high) / 2, [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], atol=1e-3)
    sides, needed = high - low, 1.25 * np.array([box[2] - box[0], box[3] - box[1]])
    assert (sides >= needed - 1e-3).all()
    assert np.isclose(sides, needed).any() or box[0] == box[2]


def test_the_next_box_is_a_quarter_larger_than_the_points() -> None:
    assert around(np.array([[10, 20], [50, 30], [30, 100]])).tolist() == [5, 10, 55, 110]


# --- the whole picture ---


def looked_at(width: int, height: int, region: Region) -> Picture:
    column = np.arange(width) * np.ones((height, 1))
    row = np.arange(height)[:, None] * np.ones((1, width))
    pixels = np.stack([column, row, np.full((height, width), 9)], -1).astype(np.uint8)
    return Picture(frame(pixels, pixel_format="RGB"), region, level=False)


@pytest.mark.parametrize("region", [Region(), Region(0.5, 0.25, 0.5, 0.5)])
@pytest.mark.parametrize(("width", "height"), [(200, 100), (100, 200), (240, 240), (50, 30)])
def test_what_is_fitted_into_the_input_goes_back_to_where_it_was(width: int, height: int, region: Region) -> None:
    letterbox = Letterbox((96, 64))
    picture = looked_at(width, height, region)
    canvas = letterbox(picture)
    shown = canvas[:, :, 2] == 9
    assert (canvas[~shown] == 114).all()
    rows, columns = np.nonzero(shown)
    inside = (rows > 1) & (rows < rows.max() - 1) & (columns > 1) & (columns < columns.max() - 1)
    rows, columns = rows[inside], columns[inside]
    off = letterbox.back(np.stack([columns, rows], -1)) - canvas[rows, columns, :2]
    assert np.abs(off).max() < 0.8  # it was filled with whole numbers
    assert np.abs(off.mean(0)).max() < 0.2
    assert shown.any(1).sum() == 64 or shown.any(0).sum() == 96


def test_one_letterbox_serves_pictures_of_any_size() -> None:
    letterbox = Letterbox((64, 64))
    letterbox(looked_at(100, 100, Region()))
    assert (letterbox(looked_at(100, 50, Region()))[32:] == 114).all()


# --- what detectors answer ---


def test_boxes_of_other_things_than_people_are_left_out() -> None:
    found = np.array([[0, 0, 9, 9, 0.9], [5, 5, 7, 7, 0.8], [1, 2, 3, 4, 0.1]], np.float32)
    boxes, scores = detections([found, np.array([0, 56, 0])], (64, 64))
    assert boxes.tolist() == [[0, 0, 9, 9], [1, 2, 3, 4]]
    assert scores == pytest.approx([0.9, 0.1])
    assert len(detections([found], (64, 64))[0]) == 3


def test_yolox_s_cells_are_decoded() -> None:
    cells = 8 * 8 + 4 * 4 + 2 * 2
    raw = np.zeros((cells, 5 + 3), np.float32)
    raw[:, 6] = 1  # a bicycle
    person = 8 * 8 + 4 * 1 + 2  # row 1, column 2 of the middle grid, whose cells are 16 pixels
    raw[person] = [0.25, 0.5, np.log(2), np.log(3), 0.8, 0.9, 0.1, 0]
    assert is_raw(raw.shape, (64, 64)) and not is_raw(raw.shape, (96, 64)) and not is_raw((9, 5), (64, 64))
    boxes, scores = detections([raw], (64, 64))
    centre, half = np.array([2.25, 1.5]) * 16, np.array([2, 3]) * 16 / 2
    np.testing.assert_allclose(boxes, [[*(centre - half), *(centre + half)]], rtol=1e-5)
    np.testing.assert_allclose(scores, [0.72], rtol=1e-5)


def test_boxes_of_one_person_become_one_and_unsure_ones_none() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10], [80, 0, 90, 10]], float)
    assert apart(boxes, np.array([0.6, 0.9, 0.7, 0.2]), 0.5) == [1, 2]
    assert apart(boxes[:0], np.zeros(0), 0.5) == []


def test_answers_that_are_no_numbers_are_no_people() -> None:
    boxes = np.array([[0, 0, np.nan, 10], [0, 0, np.inf, 10], [50, 0, 60, 10]], float)
    assert apart(boxes, np.array([0.9, 0.9, 0.7]), 0.5) == [2]
    assert apart(boxes[2:], np.array([np.nan]), 0.5) == []
