"""The part of a picture in which people count."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from harness import frame
from pydantic import ValidationError
from sight_kit import changed, clip, node, run

from nodes.pose.blazepose import BlazePose
from nodes.pose.detector import Detector
from nodes.pose.picture import Picture
from nodes.pose.region import WHOLE, Region


@pytest.mark.parametrize(
    "bad",
    [
        [0, 0, 0, 1],
        [0, 0, 1, 0],
        [1, 0, 0.6, 1],
        [0, 1, 1, 1],
        [0, -0.1, 1, 1],
        [0, 0, 1],
        [0, 0, 2, 1],
        "all",
        [0, 0, 1, "x"],
    ],
)
def test_what_is_no_region_is_refused(bad: Any) -> None:
    with pytest.raises(ValidationError):
        BlazePose.Config(region=bad)


def test_a_region_may_reach_to_the_edges_and_beyond() -> None:
    assert BlazePose.Config().region == (0, 0, 1, 1)
    assert BlazePose.Config(region=[0.7, 0.1, 0.3, 0.9]).region == (0.7, 0.1, 0.3, 0.9)
    moved = BlazePose.Config(region=[0.6, 0, 1, 1]).region  # as by the first of four sliders
    assert Region(*moved).pixels(1000, 500) == (600, 0, 400, 500)
    assert Region(*moved).holds(0.9, 0.5) and not Region(*moved).holds(0.5, 0.5)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3, 2), (1280, 720)])
def test_a_region_has_at_least_a_pixel_and_lies_inside(size: tuple[int, int]) -> None:
    width, height = size
    assert WHOLE.pixels(*size) == (0, 0, width, height)
    for x in np.linspace(0, 0.999, 7):
        left, top, across, down = Region(x, x, 1e-4, 1 - x).pixels(*size)
        assert 0 <= left < left + across <= width and 0 <= top < top + down <= height


def test_the_whole_picture_is_no_limit_but_a_part_is() -> None:
    assert WHOLE.holds(-0.2, 1.3)
    assert Region(0, 0, 0.5, 1).holds(0.4, 0.9) and not Region(0, 0, 0.5, 1).holds(0.6, 0.9)
    assert not Region(0, 0, 0.5, 1).holds(-0.1, 0.5)


def test_only_people_in_the_region_count_and_it_moves_live() -> None:
    picture = clip(1)[0]
    both, width = np.hstack([picture, picture[:, ::-1]]), picture.shape[1]
    estimator = node(people=1, region=(0, 0, 0.5, 1))

    def hips() -> list[bool]:
        (found,) = run(estimator, [both])
        return [bool(person[23:25, 0].mean() > width) for person in found.array]

    assert hips() == [False]
    changed(estimator, region=(0.5, 0, 0.5, 1))
    assert hips() + hips() == [True], "the one is dropped, and leaves room for the other"
    changed(estimator, people=1, region=(0.3, 0, 0.05, 0.05))
    assert hips() + hips() == []


def test_who_is_seen_at_the_edge_but_stands_outside_takes_nobodys_place() -> None:
    raw, logits = np.zeros((2254, 12), np.float32), np.full((2254, 1), -9, np.float32)
    raw[:, 2:4], logits[[400, 900]] = 20, [[5], [2]]  # two anchors that are far apart
    raw[400, [4, 6]] = -224  # the surer one's hips: far to the left
    detect = Detector(lambda *_: [raw, logits])  # type: ignore[arg-type, return-value]
    picture = frame(np.zeros((100, 200, 3), np.uint8), pixel_format="BGR")
    (surest,), (inside,) = (detect(Picture(picture, region), 1, 0.5) for region in (WHOLE, Region(0.1, 0, 0.9, 1)))
    assert surest.x < 20 < inside.x


def test_far_people_are_found_in_a_region_and_where_they_are() -> None:
    room = np.full((720, 1280, 3), 90, np.uint8)
    small = cv2.resize(clip(1)[0], (169, 200), interpolation=cv2.INTER_AREA)
    room[300:500, 900:1069] = small
    assert run(node(), [room])[0].shape[0] == 0
    (found,) = run(node(region=(0.66, 0.35, 0.25, 0.4)), [room])
    (near,) = run(node(), [clip(1)[0]])
    expected = near.array[0, :, :2] * 200 / 640 + (900, 300)
    assert np.median(np.hypot(*(found.array[0, :, :2] - expected).T)) < 3
