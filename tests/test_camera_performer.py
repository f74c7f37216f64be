"""camera.performer: a dance that never ends, and points that are where they are said to be."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from harness import frame, make
from pydantic import ValidationError

from engine.config import load
from engine.errors import BadInput
from nodes.camera.painter import body, stage
from nodes.camera.painter.angles import ANGLES, rotations
from nodes.camera.painter.body import Body
from nodes.camera.painter.choreography import BEAT_S, Choreography
from nodes.camera.painter.painter import Painter
from nodes.camera.painter.show import Show, truth
from nodes.camera.performer import Performer
from nodes.layouts import BLAZEPOSE_33

INDEX = {name: index for index, name in enumerate(BLAZEPOSE_33)}
SMALL = (128, 128)
GREEN = (0, 255, 0)  # no colour of the body's, however dark a shadow on it


@pytest.fixture(scope="module")
def painter() -> Painter:
    painter = Painter(256, 256)
    painter.plate = painter.plate.copy()
    painter.plate[:] = GREEN
    return painter


def drawn(painter: Painter, **angles: float) -> tuple[np.ndarray, np.ndarray]:
    """A pose, resting but for `angles`, before green."""
    pose = np.array([angles.get(name, 0.0) for name in ANGLES])
    picture = np.empty((256, 256, 3), np.uint8)
    return picture, painter.draw(picture, rotations(pose), pose[0])


def dancing(painter: Painter, moment: float, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    picture, pose = np.empty((256, 256, 3), np.uint8), Choreography(seed).at(moment)
    return picture, painter.draw(picture, rotations(pose), pose[0])


def pixel(picture: np.ndarray, place: np.ndarray) -> np.ndarray:
    x, y = place[:2].round().astype(int).clip(0, 255)
    return picture[y, x].astype(int)


# --- files ---


def test_the_assets_are_small_and_hold_no_code() -> None:
    assert body.ASSET.stat().st_size + stage.PLATE.stat().st_size < 1_000_000
    with np.load(body.ASSET, allow_pickle=False) as stored:
        assert not any(stored[name].dtype.hasobject for name in stored.files)


@pytest.mark.parametrize("damage", ["missing", "truncated", "not numpy"])
def test_a_damaged_body_is_named_in_a_sentence(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "performer_body.npz"
    if damage != "missing":
        broken.write_bytes(body.ASSET.read_bytes()[:90_000] if damage == "truncated" else b"not a body")
    monkeypatch.setattr(body, "ASSET", broken)
    with pytest.raises(BadInput, match="performer cannot be loaded.*Fetch the folder assets"):
        make(Performer)


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_a_damaged_plate_is_named_in_a_sentence(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "PLATE", tmp_path / "plate.png")
    if content is not None:
        stage.PLATE.write_bytes(content)
    with pytest.raises(BadInput, match=r"performer cannot be loaded: .*plate\.png.*Fetch the folder assets"):
        make(Performer)


# --- the dance ---


def test_a_seed_and_a_number_give_one_picture() -> None:
    def shown(seed: int, numbers: list[int]) -> dict[int, tuple[bytes, bytes]]:
        show, picture = Show(*SMALL, seed=seed), np.empty((*SMALL, 3), np.uint8)
        return {number: (show.draw(picture, number).tobytes(), picture.tobytes()) for number in numbers}

    forth = shown(4, [7, 50, 900])
    assert forth == shown(4, [900, 7, 50])
    assert len(set(forth.values())) == 3
    assert forth[50] != shown(5, [50])[50]


def test_the_dance_never_repeats_itself() -> None:
    dance = Choreography(1)
    poses = np.array([dance.at(beat * BEAT_S) for beat in range(1000)])
    assert len(np.unique(poses.round(3), axis=0)) == 1000
    month = 30 * 24 * 3600
    later = np.array([dance.at(month + beat * BEAT_S) for beat in range(100)])
    assert np.isfinite(later).all() and (later.std(0) > 0.3 * poses.std(0)).all()


def test_the_dance_needs_no_memory() -> None:
    dance = Choreography(1)
    dance.at(0.0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(2000):
        dance.at(number / 3)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000


def test_the_dance_does_not_jump() -> None:
    dance = Choreography(2)
    poses = np.array([dance.at(number / 30) for number in range(1500)])
    assert 5 < np.abs(np.diff(poses, axis=0)).max() < 35  # degrees in a thirtieth of a second
    for beat in range(1, 50):
        assert np.allclose(dance.at(beat * BEAT_S - 1e-5), dance.at(beat * BEAT_S + 1e-5), atol=0.01)


# --- the picture and its truth ---


def test_the_points_lie_on_the_body(painter: Painter) -> None:
    on, beside = [], []
    for moment in np.arange(0, 20, 1.3):
        picture, points = dancing(painter, moment)
        is_body = cv2.dilate((picture[..., [0, 2]].max(2) > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
        on += [pixel(is_body, point) for point in points]
        beside += [pixel(is_body, point + (30, 0, 0, 0)) for point in points]
    assert np.mean(on) > 0.99
    assert np.mean(beside) < 0.4


def test_nothing_but_body_and_shadow_changes_the_stage(painter: Painter) -> None:
    picture, points = dancing(painter, 4.0)
    left, right = int(points[:, 0].min()) - 25, int(points[:, 0].max()) + 25
    others = np.concatenate([picture[:, : max(left, 0)], picture[:, right:]], 1)
    assert (others[..., [0, 2]] == 0).all()
    assert (picture[:20] == GREEN).all()
    feet = int(points[INDEX["left_heel"], 1])
    assert (picture[feet - 12 : feet + 4, :, 1] < 160).mean() > 0.05, "the feet cast a shadow"


def test_left_is_the_persons_left(painter: Painter) -> None:
    picture, points = drawn(painter, left_lift=45, right_lift=45)
    assert points[INDEX["left_wrist"], 0] > points[INDEX["right_wrist"], 0]
    along = np.linspace(0.1, 0.9, 9)[:, None]

    def colours(a: str, b: str) -> np.ndarray:
        places = points[INDEX[a]] + along * (points[INDEX[b]] - points[INDEX[a]])
        return np.array([pixel(picture, place) for place in places])

    blue, _, red = colours("left_elbow", "left_wrist").T
    assert (red < 1.5 * blue).all() and np.ptp(red) > 60, "the left sleeve is striped"
    blue, _, red = colours("right_elbow", "right_wrist").T
    assert (red > 2 * blue).all(), "the right sleeve is orange"
    rows = slice(int(points[INDEX["left_hip"], 1]) + 20, int(points[INDEX["left_ankle"], 1]) - 10)
    yellow = (picture[rows, :, 1] > 70) & (picture[rows, :, 2] > 80) & (picture[rows, :, 0] < 80)
    assert yellow.any() and np.flatnonzero(yellow.any(0)).max() < points[INDEX["right_knee"], 0]


def test_front_and_back_can_be_told_apart(painter: Painter) -> None:
    def chest(turn: float, across: float, up: float) -> np.ndarray:
        picture, points = drawn(painter, turn=turn)
        shoulders, hips = (
            points[[INDEX[f"{side}_{name}"] for side in ("left", "right")]] for name in ("shoulder", "hip")
        )
        to_left = (shoulders[0] - shoulders[1]) / 3.1  # decimetres
        return pixel(picture, shoulders.mean(0) + (hips - shoulders).mean(0) * (4.56 - up) / 4.5 + across * to_left)

    assert chest(0, 0, 3.6).max() < 60 and chest(0, 0.75, 3.6).min() > 100, "in front: a dark disc within a white one"
    assert chest(180, -0.4, 3.9).max() < 60 and chest(180, 0.6, 3.9).min() > 100, "behind: a slash"


def test_depth_is_measured_from_the_hips_towards_the_camera(painter: Painter) -> None:
    _, points = drawn(painter, left_forward=80)
    z = points[:, 2]
    assert abs(z[INDEX["left_hip"]] + z[INDEX["right_hip"]]) < 0.1
    assert z[INDEX["left_wrist"]] < z[INDEX["right_wrist"]] - 20
    _, turned = drawn(painter, turn=60)
    assert turned[INDEX["left_shoulder"], 2] > turned[INDEX["right_shoulder"], 2] + 15


def test_both_elbows_bend_the_way_that_elbows_do(painter: Painter) -> None:
    bent = {f"{side}_{name}": 90.0 for side in ("left", "right") for name in ("elbow", "elbow_turn")}
    _, points = drawn(painter, **bent)
    for side in ("left", "right"):
        assert points[INDEX[f"{side}_wrist"], 2] < points[INDEX[f"{side}_elbow"], 2] - 15, "forward"


def test_the_performer_stands_on_the_floor(painter: Painter) -> None:
    for moment in np.arange(0, 10, 0.9):
        vertices, _ = Body().posed(rotations(Choreography(3).at(moment)), 0.0)
        assert vertices[:, 1].min() == pytest.approx(stage.FLOOR, abs=1e-4)


def test_a_wide_picture_shows_more_to_the_sides() -> None:
    square, points = truth(40, size=(128, 128))
    wide, wide_points = truth(40, size=(228, 128))
    assert np.allclose(wide_points[:, :2], points[:, :2] + (50, 0), atol=1e-3)
    assert (wide[:, 50:178] == square).mean() > 0.98
    narrow, narrow_points = truth(40, size=(96, 128))
    assert np.allclose(narrow_points[:, :2], points[:, :2] - (16, 0), atol=1e-3)
    assert narrow.shape == (128, 96, 3)


def test_blazepose_finds_the_performer() -> None:
    from engine.models import model_path
    from nodes.pose.blazepose import BlazePose

    try:
        for name in ("pose_detection", "pose_landmark_full"):
            model_path(f"{name}.tflite")
    except BadInput as missing:
        pytest.skip(str(missing))
    pose, errors = make(BlazePose, filter="none"), []
    for seq in range(10):
        picture, points = truth(seq * 9)
        pose.step(image=frame(picture, seq + 1, capture_ns=seq * 300_000_000, pixel_format="BGR"))
        found = pose.frames[-1].array
        assert len(found) == 1, f"picture {seq * 9}"
        errors.append(np.hypot(*(found[0] - points)[:, :2].T))
    assert np.median(errors) < 7
    assert np.percentile(errors, 95) < 25


# --- the node ---


def outputs(node: Any) -> tuple[list[Any], list[Any]]:
    return node.outs["image"].frames, node.outs["keypoints"].frames


def test_pictures_come_with_their_points() -> None:
    node = make(Performer, size=SMALL, seed=9, frames=3, offline=True)
    while not node.ended:
        node.step()
    images, keypoints = outputs(node)
    assert len(images) == len(keypoints) == 3
    for number, (image, points) in enumerate(zip(images, keypoints, strict=True)):
        picture, exact = truth(number, seed=9, size=SMALL)
        assert np.array_equal(image.array, picture) and np.array_equal(points.array, exact[None])
        assert (image.pixel_format, points.pixel_format) == ("BGR", "KEYPOINTS")
        assert (points.shape, points.array.dtype) == ((1, 33, 4), np.float32)
        assert (points.canvas, points.ids) == (SMALL, (1,))
        assert image.capture_ns == points.capture_ns


def test_the_stage_is_empty_first() -> None:
    node = make(Performer, size=SMALL, absent=0.1, frames=5, offline=True)
    while not node.ended:
        node.step()
    images, keypoints = outputs(node)
    assert [len(points.array) for points in keypoints] == [0, 0, 0, 1, 1]
    assert [points.ids for points in keypoints] == [(), (), (), (1,), (1,)]
    assert all(np.array_equal(image.array, stage.empty_stage(*SMALL)) for image in images[:3])
    assert np.array_equal(images[3].array, truth(0, size=SMALL)[0])


def test_a_late_node_leaves_pictures_out_to_keep_time() -> None:
    node = make(Performer, size=(32, 32), fps=20)
    node.step()
    node.pacer.next_ns -= 10 * node.pacer.period_ns
    node.step()
    assert len(node.frames) == 2 and node.number >= 11


def test_a_step_does_not_wait_for_a_picture_that_is_far_off() -> None:
    node = make(Performer, size=(32, 32), fps=0.01)
    for _ in range(3):
        node.step()
    assert len(node.frames) == 1


def test_offline_without_an_end_is_refused() -> None:
    with pytest.raises(BadInput, match="frames"):
        make(Performer, offline=True)


@pytest.mark.parametrize("settings", [{"size": (31, 64)}, {"fps": 0}, {"seed": -1}, {"absent": -1}, {"frames": 0}])
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(Performer, **settings)


@pytest.mark.parametrize(("port", "reader"), [("image", "filter.mirror"), ("keypoints", "generator.figure")])
def test_a_config_reads_either_output(port: str, reader: str, tmp_path: Path) -> None:
    path = tmp_path / "show.yaml"
    nodes = f"  camera: {{type: camera.performer}}\n  reader: {{type: {reader}, input: camera.{port}}}\n"
    path.write_text(f"engine: {{name: x}}\nnodes:\n{nodes}", encoding="utf-8")
    (edge,) = load(path).nodes[1].inputs.values()
    assert edge.stream == {"image": "camera"}.get(port, f"camera.{port}")
