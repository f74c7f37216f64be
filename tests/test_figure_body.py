"""The body style: its shapes, its fading, its trail."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from harness import make
from people import LEFT_WRIST, SIZE, draw, keypoints, standing

from nodes.generator.figure import Figure
from nodes.generator.styles.capsules import SHADES, TONES, patch
from nodes.layouts import BLAZEPOSE_33


def test_the_body_is_one_filled_shape() -> None:
    alpha = draw(standing()[None], size=(540, 960), trail=0.0)[..., 3]
    count, _, stats, _ = cv2.connectedComponentsWithStats((alpha > 128).astype(np.uint8))
    assert count == 2  # the background and the body: head, hands and feet are joined to it
    holes, _ = cv2.findContours((alpha > 128).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    assert len(holes) == 1
    assert ((alpha > 8) & (alpha < 247)).sum() > 500  # the edge is anti-aliased


@pytest.mark.parametrize("ends", [((40, 40, 6), (90, 60, 20)), ((90, 60, 20), (84, 40, 6)), ((50, 50, 9), (50, 50, 9))])
def test_the_distance_to_a_capsule_is_that_to_the_ball_which_sweeps_it(ends: tuple[tuple[int, ...], ...]) -> None:
    a, b = np.array(ends, float)
    ramp = np.zeros((TONES, SHADES), np.uint32)
    shape = patch(np.array([[[*a, 0, 1], [*b, 0, 1]]], np.float32), ramp, 4.0, (256, 256))
    rows, columns = np.indices(shape.distance.shape)
    x, y = shape.x + columns * shape.grid + (shape.grid - 1) / 2, shape.y + rows * shape.grid + (shape.grid - 1) / 2
    balls = [a + t * (b - a) for t in np.linspace(0, 1, 2000)]
    expected = np.min([np.hypot(x - bx, y - by) - radius for bx, by, radius in balls], axis=0)
    assert np.abs(shape.distance - expected).max() < 0.03


def test_capsules_far_apart_for_their_softness_stay_finite() -> None:
    ends = np.array([[[20, 20, 5, 0, 1], [30, 20, 5, 0, 1]], [[230, 230, 5, 1, 1], [240, 230, 5, 1, 1]]], np.float32)
    with np.errstate(all="raise", under="ignore"):
        shape = patch(ends, np.zeros((TONES, SHADES), np.uint32), 0.3, (256, 256))
    assert shape.distance[130 - shape.y, 130 - shape.x] > 1
    assert shape.distance[20 - shape.y, 25 - shape.x] == pytest.approx(-4.5, abs=0.6)


def test_a_person_whose_trunk_is_not_known_is_left_out() -> None:
    people = standing()[None].copy()
    people[0, BLAZEPOSE_33.index("left_hip"), 0] = np.nan
    assert not draw(people).any()


def test_a_limb_fades_with_its_score() -> None:
    row, column = standing()[LEFT_WRIST, 1::-1].astype(int)

    def opacity(score: float) -> int:
        people = standing()[None].copy()
        people[0, 13:23:2, 3] = score  # the left arm below the shoulder
        return int(draw(people, size=(540, 960), trail=0.0)[row, column, 3])

    fading = [opacity(score) for score in (0.9, 0.6, 0.5, 0.4, 0.1)]
    assert fading[0] == 255 and fading[-1] == 0
    assert fading == sorted(fading, reverse=True) and len(set(fading)) == 5


def test_the_near_arm_is_drawn_over_the_trunk_and_the_far_one_under_it() -> None:
    def belly(z: float) -> list[int]:
        people = standing()[None].copy()
        people[0, 13:23:2, :2] = (270, 400)  # the left hand on the belly
        people[0, 13, :2] = (400, 380)
        people[0, 13:23:2, 2] = z
        return draw(people, size=(540, 960), trail=0.0)[400, 275].tolist()

    bare = draw(standing()[None], size=(540, 960), trail=0.0)[400, 275].tolist()
    assert belly(300) == bare != belly(-300)


def test_people_are_told_apart_by_track_id() -> None:
    node = make(Figure, size=(SIZE, SIZE), trail=0.0)
    for track in (1, 2, 1):
        node.step(keypoints=keypoints(standing()[None], ids=(track,)))
    first, second, again = (picture.array for picture in node.frames)
    assert np.array_equal(first, again) and (first != second).any()


def trail_after(steps: list[int], **settings: Any) -> np.ndarray:
    """One frame with a person, then empty frames at these milliseconds; the last picture, as int."""
    node = make(Figure, size=(SIZE, SIZE), **settings)
    node.step(keypoints=keypoints(standing()[None], capture_ns=0))
    for time_ms in steps:
        node.step(keypoints=keypoints(np.zeros((0, 33, 4), np.float32), capture_ns=time_ms * 1_000_000))
    return node.frames[-1].array.astype(int)


def test_the_trail_fades_to_nothing() -> None:
    left = [trail_after([time]).sum() for time in (33, 200, 600)]
    assert left[0] > left[1] > left[2] > 0
    assert trail_after([3000]).sum() == 0
    assert trail_after([33], trail=0.0).sum() == 0
    assert trail_after([33], trail=0.2).sum() < trail_after([33], trail=0.9).sum()


def test_the_trail_depends_on_time_not_on_the_number_of_frames() -> None:
    few, many = trail_after([100, 300]), trail_after(list(range(10, 301, 10)))
    assert few.sum() > 0 and np.abs(few - many).max() <= 1


def test_the_trail_survives_a_clock_that_goes_back() -> None:
    assert np.array_equal(trail_after([100, 50]), trail_after([100]))
