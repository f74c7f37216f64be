"""What a performer was trained on, measured from poses."""

from __future__ import annotations

import numpy as np
import pytest
from performer_kit import people
from pydantic import ValidationError

from nodes.generator.playing import repertoire
from nodes.generator.playing.repertoire import JOINTS, Arc, Repertoire, angle, arc_of, lean, measure


def person() -> np.ndarray:
    """(33, 4): upright, the arms and legs straight down, in picture sizes."""
    points = np.zeros((33, 4), np.float32)
    points[:, 3] = 1
    middle = {(7, 8): 0.1, (11, 12): 0.2, (13, 14): 0.35, (15, 16): 0.5, (23, 24): 0.5, (25, 26): 0.7, (27, 28): 0.9,
              (29, 30): 0.92}  # fmt: skip
    for (left, right), y in middle.items():
        points[[left, right], :2] = (0.55, y), (0.45, y)
    return points


def holds(arc: Arc, degrees: float) -> bool:
    return (degrees - arc.start + 1e-6) % 360 <= arc.extent + 2e-6


def shortest(angles: np.ndarray, kept: int) -> float:
    """The shortest arc from any of the angles on that holds `kept` of them, one after another."""
    extents = []
    for start in angles:
        after = np.sort((angles - start) % 360)
        extents.append(after[kept - 1])
    return min(extents)


@pytest.mark.parametrize("count", [1, 2, 3, 50, 400])
@pytest.mark.parametrize("spread", [5, 90, 400])
def test_an_arc_is_the_shortest_that_holds_most(count: int, spread: float) -> None:
    angles = np.random.default_rng(count).normal(175, spread, count)
    kept = max(1, round(count * 0.995))
    arc = arc_of(angles)
    assert arc.extent == pytest.approx(shortest(angles, kept), abs=1e-6)
    assert sum(holds(arc, value) for value in angles) >= kept


def test_an_arc_goes_around_the_back() -> None:
    arc = arc_of(np.array([-170.0, 170.0, 180.0]), left_out=0)
    assert (arc.start, arc.extent) == pytest.approx((170, 20))


def test_the_most_isolated_angles_are_left_out() -> None:
    angles = np.concatenate([np.linspace(10, 20, 199), [150]])
    assert arc_of(angles).extent == pytest.approx(10)
    assert arc_of(angles, left_out=0).extent == pytest.approx(140)


def test_what_was_never_seen_may_be_anything() -> None:
    assert arc_of(np.zeros(0)).extent == 360


@pytest.mark.parametrize(("extent", "more", "expected"), [(10, 5, 20), (300, 40, 360), (360, 10, 360)])
def test_a_widened_arc_still_holds_the_old_one(extent: float, more: float, expected: float) -> None:
    arc = Arc(start=5, extent=extent)
    wider = arc.widened(more)
    assert wider.extent == expected
    assert all(holds(wider, degrees) for degrees in np.linspace(5, 5 + extent, 20))


def test_straight_limbs_turn_by_nothing() -> None:
    found = {name: float(angle(person(), *vectors)) for name, vectors in JOINTS.items()}
    assert [found[name] for name in found if "elbow" in name or "knee" in name] == pytest.approx([0, 0, 0, 0], abs=1e-4)
    assert abs(found["left_hip"]) == pytest.approx(180, abs=1e-3)


def test_a_bent_elbow_has_a_sign() -> None:
    points = person()
    points[15, :2] = points[13, :2] + (0.15, 0)  # the left forearm points to the right of the picture
    assert angle(points, *JOINTS["left_elbow"]) == pytest.approx(-90)
    points[15, :2] = points[13, :2] - (0.15, 0)
    assert angle(points, *JOINTS["left_elbow"]) == pytest.approx(90)


def test_leaning_right_is_positive() -> None:
    points = person()
    assert lean(points) == pytest.approx(0, abs=1e-4)
    points[[11, 12], 0] += 0.3
    assert lean(points) == pytest.approx(45, abs=1e-3)


def test_height_and_floor() -> None:
    assert repertoire.height(person()) == pytest.approx(0.7)
    assert repertoire.lowest(person()) == pytest.approx(0.92)


def test_one_pose_is_enough() -> None:
    found = measure(person()[None])
    assert (found.height, found.floor, found.centre) == pytest.approx((0.7, 0.92, 0.5))
    assert found.left == found.right == found.centre
    assert all(arc.extent == 0 for arc in found.joints.values())


def test_training_that_turned_its_poses_allows_more_lean() -> None:
    points = people(50)
    still, turned = measure(points), measure(points, turned=30)
    assert turned.lean.extent == pytest.approx(still.lean.extent + 60)
    assert turned.joints == still.joints  # joints turn with the body


def test_training_that_shifted_its_poses_allows_more_room() -> None:
    points = people(50)
    plain, shifted = measure(points), measure(points, shifted=0.06)
    assert (shifted.left, shifted.right) == pytest.approx((plain.left - 0.06, plain.right + 0.06))
    assert shifted.centre == plain.centre


def test_hidden_joints_say_nothing() -> None:
    points = people(20)
    points[:, 15, 3] = 0
    points[:, 15, :2] = 77
    found = measure(points)
    assert found.joints["left_elbow"].extent == 360
    assert found.joints["right_elbow"].extent < 360


def test_it_survives_a_file() -> None:
    found = measure(people(30))
    assert Repertoire.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("wrong", [np.nan, -3.0, 100.0])
def test_a_body_beyond_all_measure_is_refused(wrong: float) -> None:
    points = person()[None].copy()
    points[:, [23, 24], 0] = wrong
    with pytest.raises(ValidationError):
        measure(points)
