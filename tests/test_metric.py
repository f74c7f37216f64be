"""pose.metric: bodies cut out of paper, whose every point is known, before walls, holes, hands and one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import frame, make
from metric_kit import LENS, keypoints, paper_doll, standing, turned

from engine.config import registry
from engine.errors import BadInput
from engine.frame import Lens
from nodes.layouts import BLAZEPOSE_33, COCO_17
from nodes.pose.depth_reader import DepthReader, Reading, in_depth_pixels
from nodes.pose.floor import plane as floors
from nodes.pose.limbs import LAYOUTS, Limbs
from nodes.pose.metric import GUESSED, PATIENCE_NS, Metric

NUMBER = {name: index for index, name in enumerate(BLAZEPOSE_33)}
WRIST = [NUMBER[name] for name in ("left_wrist", "left_pinky", "left_index", "left_thumb")]
HAND = {name: (-0.25, -0.05, -0.3) for name in ("left_wrist", "left_pinky", "left_index", "left_thumb")}
OWN_Z = pytest.mark.parametrize("own_z", [True, False], ids=["z guessed", "z unknown"])
read = DepthReader(BLAZEPOSE_33)


def errors(found: Reading, bodies: list[np.ndarray]) -> np.ndarray:
    """(P, 33) metres from the truth."""
    points = np.concatenate([found.rays * found.z[..., None], found.z[..., None]], -1)
    return np.linalg.norm(points - np.array(bodies), axis=-1)


# --- reading depth ---


@OWN_Z
@pytest.mark.parametrize("distance", [1.0, 1.5, 3.0, 6.0])
def test_every_point_of_somebody_who_stands_there(distance: float, own_z: bool) -> None:
    body = standing(0.1, distance)
    found = read(keypoints([body], own_z=own_z), paper_doll([body], distance + 1), LENS)
    shown = np.abs(keypoints([body])[0, :, 1] - 239.5) < 230
    assert found.measured[0, shown].all()
    assert errors(found, [body])[0, shown].max() < 0.005
    assert found.body == pytest.approx(distance, abs=0.01)


@OWN_Z
def test_noise_and_holes_of_a_real_camera(own_z: bool) -> None:
    body, random = standing(z=2.2), np.random.default_rng(3)
    depth = paper_doll([body], 3.5) + random.normal(0, 12, (480, 640))
    depth[random.random(depth.shape) < 0.3] = 0
    depth[200:206] = depth[:, 318:323] = 0
    found = read(keypoints([body], own_z=own_z), depth.astype(np.uint16), LENS)
    assert found.measured.mean() > 0.95
    assert errors(found, [body]).max() < 0.03


@OWN_Z
def test_a_point_beside_the_arm_is_not_on_the_wall(own_z: bool) -> None:
    body = standing(z=2.2)
    seen = keypoints([body], own_z=own_z)
    seen[0, WRIST, 0] += 60
    found = read(seen, paper_doll([body], 2.8), LENS)
    assert not found.measured[0, WRIST].any() and found.measured.sum() == 33 - len(WRIST)
    assert np.abs(found.z[0] - 2.2).max() < 0.15


@OWN_Z
def test_between_limb_and_wall_the_limb_counts(own_z: bool) -> None:
    body, random = standing(z=2.2), np.random.default_rng(1)
    seen = keypoints([body], own_z=own_z)
    seen[0, :, :2] += random.uniform(-6, 6, (33, 2))
    found = read(seen, paper_doll([body], 2.4), LENS)
    assert np.abs(found.z - 2.2).max() < 0.06


@OWN_Z
def test_a_hand_before_the_hip_is_no_hip(own_z: bool) -> None:
    body = standing(z=2.2, left_elbow=(0, 0, -0.15), **HAND)
    depth = paper_doll([body], 3.5)
    x, y = keypoints([body])[0, NUMBER["left_hip"], :2].round().astype(int)
    assert depth[y, x] == pytest.approx(1900, abs=20)  # the hand is what the camera sees there
    found = read(keypoints([body], own_z=own_z), depth, LENS)
    assert found.z[0, NUMBER["left_hip"]] == pytest.approx(2.2, abs=0.06)
    assert np.abs(found.z[0, WRIST] - 1.9).max() < 0.02 and found.measured[0, WRIST].all()


def test_a_hand_that_half_covers_the_hip_from_close_by() -> None:
    body = standing(z=2.2)
    depth, seen = paper_doll([body], 3.5), keypoints([body])
    x, y = seen[0, NUMBER["left_hip"], :2].round().astype(int)
    depth[y - 12 : y + 12, x - 12 : x] = 2120
    assert read(seen, depth, LENS).z[0, NUMBER["left_hip"]] == pytest.approx(2.2, abs=0.01)
    x, y = seen[0, NUMBER["left_elbow"], :2].round().astype(int)
    depth[y - 12 : y + 12, x - 12 : x] = 2120  # a limb may be what is in front
    assert read(seen, depth, LENS).z[0, NUMBER["left_elbow"]] == pytest.approx(2.12, abs=0.01)


def test_an_arm_behind_the_back_is_not_measured_on_the_belly() -> None:
    arm = {name: (-0.3, -0.1, 0.25) for name in ("left_wrist", "left_pinky", "left_index", "left_thumb")}
    body = standing(z=2.2, left_elbow=(-0.08, 0, 0.12), **arm)
    seen = keypoints([body])
    seen[0, [*WRIST, NUMBER["left_elbow"]], 3] = 0.3
    found = read(seen, paper_doll([body], 3.5), LENS)
    assert not found.measured[0, WRIST].any() and found.measured.sum() >= 28
    assert np.abs(found.z[0, WRIST] - 2.45).max() < 0.3


def test_a_hand_without_depth_stays_on_its_arm() -> None:
    body = standing(z=2.2)
    depth, seen = paper_doll([body], 3.5), keypoints([body])
    hand = seen[0, WRIST, :2].mean(0).round().astype(int)
    depth[hand[1] - 40 : hand[1] + 40, hand[0] - 40 : hand[0] + 40] = 0
    for absurd in (-1e4, 1e4):
        seen[0, WRIST, 2] = absurd
        found = read(seen, depth, LENS)
        assert not found.measured[0, WRIST].any() and found.measured.sum() == 33 - len(WRIST)
        assert errors(found, [body])[0, WRIST].max() < 0.6


def test_stray_pixels_are_not_believed() -> None:
    body = standing(z=2.2)
    depth, seen = paper_doll([body], 3.5), keypoints([body])
    columns, rows = seen[0, :, :2].round().astype(int).T
    spoilt = depth.copy()
    spoilt[rows, columns] -= 100  # one in front of each point
    assert np.abs(read(seen, spoilt, LENS).z - 2.2).max() < 0.03
    wrist = NUMBER["left_wrist"]
    spoilt[rows[wrist] - 20 : rows[wrist] + 20, columns[wrist] - 20 : columns[wrist] + 20] = 0
    spoilt[rows[wrist], columns[wrist]] = 2200  # the only one
    assert not read(seen, spoilt, LENS).measured[0, wrist]


def test_one_point_gone_far_astray_does_not_make_a_giant() -> None:
    body = standing(z=2.2)
    seen = keypoints([body])
    seen[0, NUMBER["left_wrist"], :2] += (220, -150)
    found = read(seen, paper_doll([body], 3.5), LENS)
    assert found.body == pytest.approx(2.2, abs=0.01) and found.measured.mean() > 0.8


@OWN_Z
def test_an_arm_across_the_chest_does_not_move_the_body(own_z: bool) -> None:
    body = standing(
        z=2.0, left_elbow=(-0.1, 0, -0.2), left_wrist=(-0.4, -0.3, -0.28), left_index=(-0.5, -0.45, -0.28),
        left_pinky=(-0.5, -0.45, -0.28), left_thumb=(-0.5, -0.45, -0.28),
    )  # fmt: skip
    found = read(keypoints([body], own_z=own_z), paper_doll([body], 3.5), LENS)
    torso = [NUMBER[name] for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")]
    assert np.abs(found.z[0, torso] - 2.0).max() < 0.03
    assert found.z[0, NUMBER["left_wrist"]] == pytest.approx(1.72, abs=0.04)


@OWN_Z
def test_two_people_one_behind_the_other(own_z: bool) -> None:
    bodies = [standing(-0.35, 1.4), standing(0, 2.2)]
    found = read(keypoints(bodies, own_z=own_z), paper_doll(bodies, 3.5), LENS)
    assert found.body == pytest.approx([1.4, 2.2], abs=0.03)
    behind = [NUMBER[name] for name in ("right_shoulder", "right_wrist", "right_index")]
    assert not found.measured[1, behind].any()  # the camera sees the other one there
    assert errors(found, bodies)[1].max() < 0.05


def test_somebody_almost_hidden_is_not_put_where_the_other_one_is() -> None:
    bodies = [standing(-0.1, 1.4), standing(0, 2.2)]
    seen, depth = keypoints(bodies), paper_doll(bodies, 3.5)
    x, y = seen[1, :, :2].round().astype(int).T
    hidden = depth[np.clip(y, 0, 479), x] < 1800
    assert hidden.sum() > 20
    seen[1, hidden, 3] = 0.1  # as an estimator says
    found = read(seen, depth, LENS)
    assert found.body[1] == pytest.approx(2.2, abs=0.05)
    assert np.abs(found.z[1] - 2.2).max() < 0.1


@pytest.mark.parametrize("exaggerated", [1.0, 2.5, -1.0])
def test_what_is_measured_does_not_hang_on_the_estimators_own_z(exaggerated: float) -> None:
    """A camera that looks down by 30° sees the head nearer than the feet; BlazePose tells twice of that."""
    body = (standing(z=0.0) - (0, 0.2, 0)) @ turned(30) @ np.diag((1.0, -1.0, -1.0)) + (0, 0, 2.4)
    seen = keypoints([body])
    seen[..., 2] *= exaggerated
    found = read(seen, paper_doll([body], 4.0), LENS)
    assert np.ptp(body[:, 2]) > 0.7
    assert found.measured.mean() > 0.95 and errors(found, [body]).max() < 0.06


def test_a_body_far_too_large_or_small_for_its_distance_is_none() -> None:
    body = standing(z=2.2)
    for distance in (400, 800, 5500):  # a curtain before it; glass, and what is behind it
        found = read(keypoints([body]), np.full((480, 640), distance, np.uint16), LENS)
        assert found.body == 0 and not found.measured.any() and not found.z.any()


def test_what_leaves_the_picture_is_guessed_near_the_rest() -> None:
    body = standing(z=1.2)
    found = read(keypoints([body]), paper_doll([body], 3.5), LENS)
    legs = [NUMBER[name] for name in ("left_knee", "right_ankle", "left_foot_index")]
    assert not found.measured[0, legs[1:]].any()
    assert np.abs(found.z[0, legs] - 1.2).max() < 0.02


def test_an_empty_depth_picture_and_nobody() -> None:
    empty = np.zeros((480, 640), np.uint16)
    found = read(keypoints([standing()]), empty, LENS)
    assert not found.measured.any() and not found.z.any() and not found.body.any()
    found = read(np.zeros((0, 33, 4), np.float32), empty, LENS)
    assert found.z.shape == (0, 33) and found.rays.shape == (0, 33, 2)


def test_points_that_cannot_be_do_not_spread() -> None:
    body = standing(z=2.0)
    seen = keypoints([body])
    seen[0, NUMBER["left_index"]] = (np.nan, 1e30, -np.inf, 0.9)
    seen[0, NUMBER["right_thumb"], :2] = (1e20, -1e20)
    with np.errstate(all="raise"):
        found = read(seen, paper_doll([body], 3.5), LENS)
    others = [i for name, i in NUMBER.items() if name not in ("left_index", "right_thumb")]
    assert errors(found, [body])[0, others].max() < 0.005


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (1280, 960), (160, 480), (1, 1)])
def test_a_depth_picture_of_any_size(size: tuple[int, int]) -> None:
    body, (width, height) = standing(0.2, 2.2), size
    lens = LENS._replace(
        fx=LENS.fx * width / 640, fy=LENS.fy * height / 480,
        cx=(LENS.cx + 0.5) * width / 640 - 0.5, cy=(LENS.cy + 0.5) * height / 480 - 0.5,
    )  # fmt: skip
    depth = paper_doll([body], 3.5)[np.arange(height) * 480 // height][:, np.arange(width) * 640 // width]
    found = read(in_depth_pixels(keypoints([body]), (640, 480), depth.shape), depth, lens)
    if width > 1:
        assert found.measured.mean() > 0.9 and errors(found, [body]).max() < 0.03


def test_pixels_of_a_smaller_picture() -> None:
    points = np.array([[(0, 0, 8, 0.5), (639, 479, -8, 1)]], np.float32)
    smaller = in_depth_pixels(points, (640, 480), (120, 320))
    np.testing.assert_allclose(smaller[0], [(-0.25, -0.375, 4, 0.5), (319.25, 119.375, -4, 1)])
    np.testing.assert_array_equal(in_depth_pixels(points, (0, 0), (120, 320)), points)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=map(str, LAYOUTS))
def test_a_tree_grows_from_the_torso_outwards(layout: tuple[str, ...]) -> None:
    limbs = Limbs.of(layout)
    assert sorted(limbs.order) == list(range(len(layout)))
    assert (limbs.parents[1:] < np.arange(1, len(layout) + 1)).all()
    assert sum(level.stop - level.start for level in limbs.levels) == len(layout)
    assert limbs.reach[1:].max() < 0.7  # every name is known


def test_seventeen_points_are_read_like_thirty_three() -> None:
    body = standing(z=2.0)
    picked = [NUMBER[name] for name in COCO_17]
    found = DepthReader(COCO_17)(keypoints([body], own_z=False)[:, picked], paper_doll([body], 3.5), LENS)
    assert found.measured.all()
    np.testing.assert_allclose(found.z[0], 2.0, atol=0.005)


# --- the node ---


def depth_frame(depth: np.ndarray, seq: int = 1, lens: Lens | None = LENS, **meta: Any) -> Any:
    return frame(depth[..., None], seq, pixel_format="DEPTH", lens=lens, capture_ns=seq * 33_333_333, **meta)


def pose_frame(seen: np.ndarray, seq: int = 1) -> Any:
    ids, time_ns = range(7, 7 + len(seen)), seq * 33_333_333
    return frame(seen, seq, pixel_format="KEYPOINTS", canvas=(640, 480), ids=tuple(ids), capture_ns=time_ns)


def test_a_config_finds_it() -> None:
    assert registry.find("pose.metric") is Metric


def test_metres_in_the_cameras_space() -> None:
    body, node = standing(0.3, 2.2), make(Metric)
    node.step(keypoints=pose_frame(keypoints([body])), depth=depth_frame(paper_doll([body], 3.5)))
    (made,) = node.frames
    assert (made.shape, made.dtype, made.pixel_format) == ((1, 33, 4), np.float32, "WORLD")
    assert (made.ids, made.lens, made.canvas, len(made.sources)) == ((7,), LENS, (640, 480), 2)
    np.testing.assert_allclose(made.array[0, :, :3], body, atol=0.005)
    np.testing.assert_allclose(made.array[0, :, 3], 0.95, atol=1e-6)
    assert not node.complaints


def test_a_guess_says_that_it_is_one() -> None:
    body, node = standing(z=2.2), make(Metric)
    seen = keypoints([body])
    seen[0, WRIST, 0] += 60
    node.step(keypoints=pose_frame(seen), depth=depth_frame(paper_doll([body], 2.8)))
    scores = node.frames[0].array[0, :, 3]
    np.testing.assert_allclose(scores[WRIST], 0.95 * GUESSED, atol=1e-6)
    assert (np.delete(scores, WRIST) > 0.9).all()


def test_without_depth_nobody_is_anywhere_until_it_comes() -> None:
    body, node = standing(z=2.2), make(Metric)
    seen, depth = keypoints([body]), paper_doll([body], 3.5)
    for seq in range(1, 40):
        node.step(keypoints=pose_frame(seen, seq), depth=None)
        assert not node.frames[-1].array.any() and node.frames[-1].ids == (7,)
        assert bool(node.complaints) == ((seq - 1) * 33_333_333 >= PATIENCE_NS)
    assert len(node.complaints) == 1 and "no depth picture" in node.complaints[0]
    node.step(keypoints=pose_frame(seen, 40), depth=depth_frame(depth, 40))
    assert not node.complaints and node.frames[-1].array[0, :, 3].min() > 0.9
    node.step(keypoints=pose_frame(seen, 41), depth=None)
    assert not node.complaints


@pytest.mark.parametrize("lens", [None, LENS._replace(metres=0.0)])
def test_a_depth_without_a_lens_is_said(lens: Lens | None) -> None:
    body, node = standing(z=2.2), make(Metric)
    node.step(keypoints=pose_frame(keypoints([body])), depth=depth_frame(paper_doll([body]), lens=lens))
    assert not node.frames[0].array.any() and "through which lens" in node.complaints[0]


def test_points_of_no_body_are_refused() -> None:
    node = make(Metric)
    with pytest.raises(BadInput, match="was given 5"):
        node.step(keypoints=pose_frame(np.ones((1, 5, 4), np.float32)), depth=depth_frame(paper_doll([])))


def test_each_person_keeps_their_own_calm_depth() -> None:
    bodies, random = [standing(-0.5, 2.0), standing(0.5, 3.0)], np.random.default_rng(2)
    seen, clean, node = keypoints(bodies), paper_doll(bodies, 4), make(Metric, calm=0.8)
    for seq in range(1, 30):
        noisy = (clean + random.normal(0, 1) * 15).astype(np.uint16)
        order = slice(None, None, 1 if seq % 2 else -1)  # whoever stands first in the frame
        node.step(
            keypoints=frame(seen[order], seq, pixel_format="KEYPOINTS", canvas=(640, 480), ids=(1, 2)[order],
                            capture_ns=seq * 33_333_333),
            depth=depth_frame(noisy, seq),
        )  # fmt: skip
    nearest = np.array([f.array[f.ids.index(1), 0, 2] for f in node.frames[10:]])
    assert nearest.std() < 0.008 and nearest.mean() == pytest.approx(2.0, abs=0.02)


def make_floor(path: Path, lens: Lens = LENS, pitch: float = 15.0, height: float = 1.4) -> Path:
    rotation = turned(pitch)
    floors.Floor(
        format=floors.FORMAT, plane=(*rotation[1].tolist(), height), rotation=floors.rotation_of(rotation[1]),
        lens=lens, size=(640, 480), when="2026-01-01T00:00:00+00:00", share=0.4, rms_mm=3.0,
    ).write(path)  # fmt: skip
    return path


def test_floor_space(tmp_path: Path) -> None:
    body = standing(0.2, 2.5)
    node = make(Metric, floor=str(make_floor(tmp_path / "floor.json")))
    node.step(keypoints=pose_frame(keypoints([body])), depth=depth_frame(paper_doll([body], 4)))
    truth = body @ turned(15).T + (0, 1.4, 0)
    np.testing.assert_allclose(node.frames[0].array[0, :, :3], truth, atol=0.006)
    assert not node.complaints
    node.step(keypoints=pose_frame(keypoints([body]), 2), depth=depth_frame(np.zeros((480, 640), np.uint16), 2))
    assert not node.frames[1].array.any()  # somebody who is nowhere is not at the camera's height


def test_a_floor_seen_through_another_lens_is_said(tmp_path: Path) -> None:
    body = standing(z=2.5)
    node = make(Metric, floor=str(make_floor(tmp_path / "floor.json", LENS._replace(fx=600.0, fy=600.0))))
    node.step(keypoints=pose_frame(keypoints([body])), depth=depth_frame(paper_doll([body], 4)))
    assert "another lens" in node.complaints[0] and node.frames[0].array[0, :, 3].min() > 0.9


def test_a_missing_floor_is_named_before_the_show(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no floor file"):
        make(Metric, floor=str(tmp_path / "floor.json"))
