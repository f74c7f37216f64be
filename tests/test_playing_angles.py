"""Joints that are drawn back to the trained arcs, and the meter that says how far they were out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from people import standing

from nodes.camera.painter.show import truth
from nodes.generator.network.pose_field import LIMBS
from nodes.generator.playing import repertoire
from nodes.generator.playing.angles import FAR_SIDE, HANGING, KNEE_DEGREES, beyond, clamp, drawn
from nodes.generator.playing.repertoire import HIPS, JOINTS, SHOULDERS, TRUNK, Arc, Repertoire, middle

ROOM = 15.0  # degrees to either side of how someone stands
BONES = [(a, b) for a, b, _ in LIMBS if a != b and (a, b) not in ((11, 23), (12, 24))]
TURNS = st.dictionaries(st.sampled_from(sorted(HANGING)), st.floats(-180, 180), min_size=1)


def person() -> np.ndarray:
    points = standing()
    points[:, :3] /= 960
    return points


def dancing(number: int) -> np.ndarray:
    """The performer, picture by picture."""
    points = truth(number)[1].copy()
    points[:, :3] /= 512
    return points


def angle(points: np.ndarray, name: str) -> float:
    return float(repertoire.lean(points) if name == "lean" else repertoire.angle(points, *JOINTS[name]))


def narrow(points: np.ndarray) -> Repertoire:
    arcs = {name: Arc(start=angle(points, name) - ROOM, extent=2 * ROOM) for name in HANGING}
    return Repertoire(height=0.57, floor=0.89, centre=0.5, left=0.4, right=0.6, lean=arcs.pop("lean"), joints=arcs)


STAGE = narrow(person())


def turned(points: np.ndarray, name: str, degrees: float) -> np.ndarray:
    """The limb and all that hangs on it, the way it would be done by hand."""
    out = points.astype(np.float64)
    pivot = middle(out, (TRUNK if name == "lean" else JOINTS[name][1])[0])
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rows = list(HANGING[name])
    out[rows, :2] = pivot + (out[rows, :2] - pivot) @ np.array([[cos, sin], [-sin, cos]])
    return out.astype(np.float32)


def test_every_joint_that_was_measured_is_known() -> None:
    assert set(HANGING) == {*JOINTS, "lean"}


def test_within_the_range_nothing_changes() -> None:
    for name in HANGING:
        pose = turned(person(), name, ROOM - 1)
        clamped, meter = clamp(pose, narrow(person()) if name != "lean" else _free_hips(), 1.0)
        np.testing.assert_array_equal(clamped, pose)
        assert meter == 0


def _free_hips() -> Repertoire:
    """Who leans over standing feet turns the hips, too."""
    joints = {name: arc for name, arc in STAGE.joints.items() if "hip" not in name}
    return STAGE.model_copy(update={"joints": joints})


def test_a_performer_is_within_its_own_range() -> None:
    poses = np.array([dancing(number) for number in range(0, 400, 20)])
    stage = repertoire.measure(poses)
    for pose in poses:
        clamped, meter = clamp(pose, stage, 1.0)
        assert meter < 0.25 and np.abs(clamped - pose)[:, :2].max() < 0.02  # all but the most isolated of its angles


@pytest.mark.parametrize("name", sorted(HANGING))
def test_a_joint_beyond_its_arc_is_drawn_back_with_all_that_hangs_on_it(name: str) -> None:
    alone = STAGE.model_copy(update={"joints": {name: STAGE.joints[name]} if name != "lean" else {}})
    for degrees in (ROOM + 5, ROOM + 30, ROOM + 90, -ROOM - 5, -ROOM - 90):
        pose = turned(person(), name, degrees)
        clamped, meter = clamp(pose, alone, 1.0)
        over = abs(degrees) - ROOM
        assert meter == pytest.approx(min(over / 60, 1), abs=1e-3)
        expected = np.sign(degrees) * (ROOM + KNEE_DEGREES * np.tanh(over / KNEE_DEGREES))
        np.testing.assert_allclose(clamped, turned(person(), name, expected), atol=1e-5)


def test_strictness_goes_from_nothing_to_all() -> None:
    pose = turned(person(), "left_elbow", 70)
    out = [angle(clamp(pose, STAGE, strictness)[0], "left_elbow") for strictness in (0, 0.25, 0.5, 1, 7)]
    np.testing.assert_array_equal(clamp(pose, STAGE, 0)[0], pose)
    assert clamp(pose, STAGE, 0)[1] == clamp(pose, STAGE, 1)[1] > 0.9
    assert out[0] > out[1] > out[2] > out[3] == out[4]
    assert out[2] == pytest.approx((out[0] + out[3]) / 2, abs=0.01)


@given(TURNS, st.floats(0, 1))
def test_limbs_keep_their_lengths(turns: dict[str, float], strictness: float) -> None:
    pose = person()
    for name, degrees in turns.items():
        pose = turned(pose, name, degrees)
    clamped, meter = clamp(pose, STAGE, strictness)
    for a, b in BONES:
        before, after = (np.linalg.norm(points[a, :2] - points[b, :2]) for points in (pose, clamped))
        assert after == pytest.approx(before, abs=1e-5)
    np.testing.assert_array_equal(clamped[:, 2:], pose[:, 2:])
    np.testing.assert_array_equal(clamped[list(HIPS)], pose[list(HIPS)])
    assert 0 <= meter <= 1


@pytest.mark.parametrize("name", sorted(HANGING))
def test_a_full_turn_has_no_jump(name: str) -> None:
    for base in (person(), dancing(100)):
        stage, step = narrow(base), 0.25
        poses = [turned(base, name, degrees) for degrees in np.arange(0, 360 + step, step)]
        results = [clamp(pose, stage, 1.0) for pose in poses]
        steps_in = np.abs(np.diff([pose[:, :2] for pose in poses], axis=0)).max()
        steps_out = np.abs(np.diff([pose[:, :2] for pose, _ in results], axis=0)).max()
        assert steps_out < 10 * steps_in  # a lean draws back the trunk, and then the hips beneath it
        assert np.abs(np.diff([meter for _, meter in results])).max() < 2 * step / 60


def test_a_limb_that_shrinks_to_a_point_has_no_jump() -> None:
    """An arm that swings through the line of sight: its angle flips, its hand must not."""
    pose = turned(person(), "left_shoulder", -60)
    hand, elbow, shoulder = [13, 15, 17, 19, 21], 13, 11
    arm = pose[elbow, :2] - pose[shoulder, :2]
    outs = []
    for part in np.linspace(1, -1, 401):
        swung = pose.copy()
        swung[hand, :2] += arm * (part - 1)
        outs.append(clamp(swung, STAGE, 1.0)[0][:, :2])
    assert np.abs(np.diff(outs, axis=0)).max() < 12 * np.abs(arm).max() * 2 / 400


def test_a_joint_that_is_not_sure_is_left_alone_and_becomes_sure_gradually() -> None:
    pose = turned(person(), "right_knee", 60)
    alone = STAGE.model_copy(update={"joints": {"right_knee": STAGE.joints["right_knee"]}})
    steps = []
    for score in np.linspace(0, 1, 101):
        pose[28, 3] = score
        clamped, meter = clamp(pose, alone, 1.0)
        if score < 0.2:
            np.testing.assert_array_equal(clamped, pose)
            assert meter == 0
        steps.append(clamped[28, :2])
    assert np.abs(np.diff(steps, axis=0)).max() < 0.01 < np.ptp(steps, axis=0).max()


@given(TURNS)
def test_the_meter_tells_whether_anything_was_out(turns: dict[str, float]) -> None:
    pose = person()
    for name, degrees in turns.items():
        pose = turned(pose, name, degrees)
    out = max(abs(beyond(angle(pose, n), STAGE.lean if n == "lean" else STAGE.joints[n])) for n in HANGING)
    assert clamp(pose, STAGE, 1.0)[1] == pytest.approx(min(out / 60, 1), abs=0.01)


@given(st.floats(-360, 360), st.floats(0, 360), st.floats(-720, 720))
def test_the_arc_itself(start: float, extent: float, at: float) -> None:
    arc = Arc(start=start, extent=extent)
    out, back = beyond(at, arc), drawn(at, arc)
    if (at - start) % 360 <= extent:
        assert out == 0
    assert abs(out) <= (360 - extent) / 2 + 1e-9
    assert 0 <= back * np.sign(out) <= abs(out)  # never farther than the arc's end, never away from it
    if abs(out) < FAR_SIDE * (360 - extent) / 2:
        assert abs(out - back) <= KNEE_DEGREES
    assert abs(drawn(at + 1e-3, arc) - back) < 0.01


@given(arrays(np.float32, (33, 4), elements=st.floats(-(2.0**100), 2.0**100, width=32)), st.floats(0, 1))
def test_wild_points_never_raise(points: np.ndarray, strictness: float) -> None:
    clamped, meter = clamp(points, STAGE, strictness)
    assert clamped.shape == (33, 4) and clamped.dtype == points.dtype and 0 <= meter <= 1


def test_points_that_lie_upon_each_other_are_left_alone() -> None:
    points = np.full((33, 4), 0.5, np.float32)
    clamped, meter = clamp(points, STAGE, 1.0)
    np.testing.assert_array_equal(clamped, points)
    assert meter == 0


def test_the_neck_hangs_on_the_trunk_that_was_drawn_back() -> None:
    pose = turned(person(), "lean", 80)
    clamped, _ = clamp(pose, STAGE, 1.0)
    assert angle(clamped, "neck") == pytest.approx(angle(pose, "neck"), abs=0.1)
    assert abs(angle(clamped, "lean")) < ROOM + KNEE_DEGREES + 1 < abs(angle(pose, "lean"))
    assert middle(clamped, SHOULDERS)[1] < middle(pose, SHOULDERS)[1]  # upright again
