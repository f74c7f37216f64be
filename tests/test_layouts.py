"""Layouts and conversions between them."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.layouts import (
    BLAZEPOSE_33,
    BODY_25,
    COCO_17,
    COCO_WHOLEBODY_133,
    HALPE_26,
    OPENPOSE_18,
    Conversion,
    mirrored,
)

LAYOUTS = {
    33: BLAZEPOSE_33, 17: COCO_17, 18: OPENPOSE_18, 25: BODY_25, 26: HALPE_26, 133: COCO_WHOLEBODY_133
}  # fmt: skip


def some_points(count: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 1, (count, 4)).astype(np.float32)


@pytest.mark.parametrize("count", LAYOUTS)
def test_layouts_have_their_size_and_unique_names(count: int) -> None:
    assert len(LAYOUTS[count]) == count == len(set(LAYOUTS[count]))


def test_blazepose_to_coco_picks_the_published_points() -> None:
    points = some_points(33)
    expected = points[[0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]]
    assert np.array_equal(Conversion.between(BLAZEPOSE_33, COCO_17)(points), expected)


@pytest.mark.parametrize("target", [OPENPOSE_18, BODY_25])
def test_points_of_the_same_name_stay_and_the_neck_is_between_the_shoulders(target: tuple[str, ...]) -> None:
    points = some_points(33)
    got = dict(zip(target, Conversion.between(BLAZEPOSE_33, target)(points), strict=True))
    have = dict(zip(BLAZEPOSE_33, points, strict=True))
    for name in set(target) & set(BLAZEPOSE_33):
        assert np.array_equal(got[name], have[name]), name
    left, right = have["left_shoulder"], have["right_shoulder"]
    assert got["neck"][:3] == pytest.approx((left[:3] + right[:3]) / 2)
    assert got["neck"][3] == min(left[3], right[3])


def test_whole_bodies_mirror_as_published() -> None:
    """MMPose, configs/_base_/datasets/coco_wholebody.py and halpe26.py: which point is which one's mirror image."""
    other = mirrored(COCO_WHOLEBODY_133)
    feet = {17: 20, 18: 21, 19: 22}
    face = {
        **{i: 62 - i for i in range(23, 31)}, **{i: 89 - i for i in range(40, 45)}, **{i: 112 - i for i in (54, 55)},
        59: 68, 60: 67, 61: 66, 62: 65, 63: 70, 64: 69, 71: 77, 72: 76, 73: 75, 78: 82, 79: 81, 83: 87, 84: 86, 88: 90,
    }  # fmt: skip
    hands = {i: i + 21 for i in range(91, 112)}
    for left, right in {**feet, **face, **hands}.items():
        assert (other[left], other[right]) == (right, left)
    middle = [i for i in range(17, 133) if other[i] == i]
    assert middle == [31, 50, 51, 52, 53, 56, 74, 80, 85, 89]
    assert [mirrored(HALPE_26)[i] for i in range(17, 26)] == [17, 18, 19, 21, 20, 23, 22, 25, 24]


def test_blazepose_of_a_whole_body_takes_hands_feet_and_face() -> None:
    points = some_points(133)
    expected = [
        0, 65, 1, 68, 62, 2, 59, 3, 4, 77, 71, 5, 6, 7, 8, 9, 10, 108, 129, 96, 117, 93, 114, 11, 12, 13, 14, 15, 16,
        19, 22, 17, 20,
    ]  # fmt: skip
    assert np.array_equal(Conversion.between(COCO_WHOLEBODY_133, BLAZEPOSE_33)(points), points[expected])


@pytest.mark.parametrize(("source", "known"), [(COCO_17, 17), (HALPE_26, 21), (COCO_WHOLEBODY_133, 33)])
def test_blazepose_points_that_another_layout_lacks_stay_unknown(source: tuple[str, ...], known: int) -> None:
    got = Conversion.between(source, BLAZEPOSE_33)(np.ones((len(source), 4), np.float32))
    assert (got[:, 3] > 0).sum() == known


def test_a_point_that_the_source_lacks_has_score_zero() -> None:
    points = np.ones((33, 4), np.float32)
    got = dict(zip(BODY_25, Conversion.between(BLAZEPOSE_33, BODY_25)(points), strict=True))
    unknown = {name for name, point in got.items() if point[3] == 0}
    assert unknown == {"left_small_toe", "right_small_toe"}


def test_a_bad_point_spoils_only_what_is_made_from_it() -> None:
    points = some_points(33)
    points[BLAZEPOSE_33.index("left_shoulder")] = np.nan
    got = Conversion.between(BLAZEPOSE_33, OPENPOSE_18)(points)
    spoilt = {name for name, point in zip(OPENPOSE_18, got, strict=True) if not np.isfinite(point).all()}
    assert spoilt == {"neck", "left_shoulder"}


@pytest.mark.parametrize("layout", LAYOUTS.values())
def test_mirrored_twice_is_the_same_and_only_sides_move(layout: tuple[str, ...]) -> None:
    other = mirrored(layout)
    assert [other[i] for i in other] == list(range(len(layout)))
    for name, index in zip(layout, other, strict=True):
        assert (layout[index] != name) == ("left" in name or "right" in name)
