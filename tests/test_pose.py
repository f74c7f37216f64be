"""pose.blazepose: the maths, the tracking with stand-in networks, and the real networks where they are there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from harness import frame, make
from pydantic import ValidationError

from engine.errors import BadInput
from nodes.pose.blazepose import BlazePose
from nodes.pose.detector import Detector, iou, make_anchors, weighted_nms
from nodes.pose.landmarker import Landmarker, Landmarks, refine
from nodes.pose.one_euro import OneEuro
from nodes.pose.picture import Picture
from nodes.pose.roi import Roi
from nodes.pose.tracker import SEARCH_EVERY, Tracker

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "assets" / "visitor.mp4"
REFERENCE = ROOT / "tests" / "data" / "pose_reference.npz"
TICK = 33_333_333


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
    merged = weighted_nms(boxes, points, scores, most=8)
    np.testing.assert_allclose(merged, [[[1, 2]], [[5, 5]]])
    assert len(weighted_nms(boxes, points, scores, most=1)) == 1
    assert weighted_nms(boxes[:0], points[:0], scores[:0], most=8) == []


def test_boxes_without_area_do_not_hang_the_merging() -> None:
    nothing = np.zeros((2, 4))
    assert len(weighted_nms(nothing, np.zeros((2, 1, 2)), np.array([0.9, 0.8]), most=8)) == 2


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
    raw[:, :3] = [128, 64, -32]
    raw[33:35, :2] = [[128, 128], [128, 0]]
    raw[:33, 3:] = [math.log(4), math.log(9)]  # logits of 0.8 and 0.9
    outputs = [raw.reshape(195), np.array([0.7], np.float32), np.full((64, 64, 39), -20, np.float32)]
    picture = Picture(frame(np.zeros((200, 300, 3), np.uint8), pixel_format="BGR"))
    found = Landmarker(lambda *_: outputs)(picture, Roi(150, 100, 128, math.pi / 2))  # type: ignore[arg-type]
    np.testing.assert_allclose(found.xyz, [[182, 100, -16]] * 33, atol=1e-4)
    np.testing.assert_allclose(found.alignment, [[150, 100], [214, 100]], atol=1e-4)
    np.testing.assert_allclose(found.score, [0.72] * 33, atol=1e-6)
    assert found.presence == pytest.approx(0.7)


# --- the filter ---


def one_euro(values: list[float], *, calm: float = 1.0, times: list[int] | None = None) -> list[float]:
    smooth = OneEuro(min_cutoff=0.05, beta=80)
    times = times or [i * TICK for i in range(len(values))]
    return [float(smooth(np.array([v]), t, 100.0, calm)[0]) for v, t in zip(values, times, strict=True)]


def test_a_point_at_rest_stays() -> None:
    assert one_euro([42.0] * 50) == [42.0] * 50


def test_a_step_is_followed_without_overshoot() -> None:
    followed = one_euro([0.0] * 10 + [200.0] * 30)
    assert max(followed) <= 200
    assert followed == sorted(followed)
    assert followed[12] > 180


def test_jitter_shrinks_and_more_calm_shrinks_it_more() -> None:
    noisy = list(np.random.default_rng(0).normal(0, 0.3, 300))
    usual, calm = np.std(one_euro(noisy)[50:]), np.std(one_euro(noisy, calm=4)[50:])
    assert calm < 0.7 * usual < 0.7 * np.std(noisy)


def test_no_calm_is_no_filter() -> None:
    values = list(np.random.default_rng(0).normal(0, 3, 20))
    assert one_euro(values, calm=0) == pytest.approx(values, abs=1e-9)


@pytest.mark.parametrize("later", [600_000_000, 0, -TICK], ids=["gap", "same time", "back in time"])
def test_the_filter_starts_afresh_when_time_jumps(later: int) -> None:
    assert one_euro([0.0, 0.0, 1.0], times=[0, TICK, TICK + later])[-1] == 1.0
    assert one_euro([0.0, 0.0, 1.0], times=[0, TICK, 2 * TICK])[-1] < 1.0


def test_the_filter_keeps_its_own_copy() -> None:
    smooth = OneEuro(min_cutoff=0.05, beta=80)
    smooth(np.zeros(1), 0, 100)[:] = 999
    assert smooth(np.zeros(1), TICK, 100) == [0]


# --- pictures ---


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


# --- tracking, with stand-ins for the networks ---

SIZE = 100.0


class Stage:
    """People at given x, each 100 px wide. Stands in for the picture and for both networks."""

    width, height = 1000, 500

    def __init__(self) -> None:
        self.people: list[float] = []
        self.hidden: list[float] = []  # from the detector
        self.searches = 0
        self.time_ns = 0

    def detect(self, picture: Stage, most: int, min_score: float) -> list[Roi]:
        self.searches += 1
        return [Roi(x, 250, SIZE, 0) for x in self.people if min_score <= 0.6 and x not in self.hidden][:most]

    def landmarks(self, picture: Stage, roi: Roi) -> Landmarks:
        x = min(self.people, key=lambda person: abs(person - roi.x), default=math.inf)
        there = abs(x - roi.x) < SIZE / 2
        alignment = np.array([[x, 250], [x, 250 - SIZE / 2.5]]) if there else np.zeros((2, 2))
        return Landmarks(np.full((33, 3), x), np.full(33, 0.8), alignment, 0.7 if there else 0.1)

    def step(self, tracker: Tracker, *people: float) -> dict[int, float]:
        """One frame with people at these x: where each id is."""
        self.people, self.time_ns = list(people), self.time_ns + TICK
        found = tracker.step(self, self.time_ns)  # type: ignore[arg-type]
        return {person.id: round(float(person.points[0, 0])) for person in found}


@pytest.fixture
def stage() -> Stage:
    return Stage()


def tracker_on(stage: Stage, people: int, **settings: float) -> Tracker:
    tracker = Tracker(stage.detect, stage.landmarks, people)  # type: ignore[arg-type]
    tracker.tune(**{"smooth": 0, **settings})
    return tracker


def test_people_keep_their_ids_while_they_move(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    for i in range(40):
        assert stage.step(tracker, 100 + 5 * i, 800 - 5 * i) == {1: 100 + 5 * i, 2: 800 - 5 * i}


def test_no_more_people_than_asked_for(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    for _ in range(SEARCH_EVERY):
        stage.step(tracker, 100)
    stage.hidden = [100]
    assert stage.step(tracker, 100, 300, 500) == {1: 100, 2: 300}


def test_people_who_stand_close_are_two(stage: Stage) -> None:
    assert stage.step(tracker_on(stage, 2), 100, 125) == {1: 100, 2: 125}


def test_ids_are_never_used_again(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    stage.step(tracker, 100, 500)
    assert stage.step(tracker, 500) == {2: 500}
    assert stage.step(tracker) == {}
    assert stage.step(tracker, 100, 500) == {3: 100, 4: 500}


def test_two_tracks_that_end_up_on_one_person_become_the_older_one(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    stage.step(tracker, 100, 130)
    assert stage.step(tracker, 118) == {1: 118}


def test_the_detector_rests_while_everyone_is_followed(stage: Stage) -> None:
    tracker = tracker_on(stage, 1)
    for _ in range(2 * SEARCH_EVERY):
        stage.step(tracker, 100)
    assert stage.searches == 1


def test_the_detector_looks_now_and_then_while_there_is_room(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    for _ in range(SEARCH_EVERY):
        assert len(stage.step(tracker, 100)) == 1
    assert stage.searches == 1
    assert stage.step(tracker, 100, 500) == {1: 100, 2: 500}
    assert stage.searches == 2


def test_the_detector_looks_at_every_frame_of_an_empty_room(stage: Stage) -> None:
    tracker = tracker_on(stage, 2)
    for _ in range(5):
        assert stage.step(tracker) == {}
    assert stage.searches == 5


def test_the_thresholds_are_heeded(stage: Stage) -> None:
    assert stage.step(tracker_on(stage, 1, min_detection=0.65), 100) == {}
    assert stage.step(tracker_on(stage, 1, min_tracking=0.75), 100) == {}
    assert stage.step(tracker_on(stage, 1, min_detection=0.55, min_tracking=0.65), 100) == {1: 100}


def test_another_picture_size_forgets_where_people_were_but_not_which_ids_were_used(stage: Stage) -> None:
    tracker = tracker_on(stage, 1)
    stage.step(tracker, 100)
    stage.width = 640
    assert stage.step(tracker, 100) == {2: 100}
    assert stage.searches == 2


def test_a_new_person_is_not_filtered_with_the_last_ones_past(stage: Stage) -> None:
    tracker = tracker_on(stage, 1, smooth=10)
    stage.step(tracker, 100)
    assert stage.step(tracker, 110)[1] < 108
    stage.step(tracker)
    assert stage.step(tracker, 130) == {2: 130}


def test_a_fast_person_is_not_lost_however_calm_the_points_are_to_be(stage: Stage) -> None:
    tracker = tracker_on(stage, 1, smooth=10)
    assert all(stage.step(tracker, 100 + 30 * i).keys() == {1} for i in range(20))


# --- the node and its config ---


@pytest.mark.parametrize(
    "bad", [{"people": 0}, {"people": 9}, {"quality": "best"}, {"min_tracking": 1.5}, {"smoot": 1}]
)
def test_a_bad_config_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BlazePose.Config(**bad)


def test_a_ring_slot_holds_all_people() -> None:
    assert BlazePose.outputs["keypoints"].capacity(BlazePose.Config(people=8)) == 8 * 33 * 4 * 4


# --- the real networks ---


@pytest.fixture
def node() -> Iterator[Callable[..., Any]]:
    """A function that makes a node; skips the test where the model files have not been fetched."""
    models = pytest.importorskip("engine.models")
    try:
        for name in ("pose_detection", "pose_landmark_full"):
            models.model_path(f"{name}.tflite")
    except BadInput as missing:
        pytest.skip(str(missing))
    yield lambda **settings: make(BlazePose, **settings)


@pytest.fixture(scope="session")
def clip() -> list[np.ndarray]:
    if not CLIP.exists():
        pytest.skip(f"{CLIP} is not there")
    capture, pictures = cv2.VideoCapture(str(CLIP)), []
    while (read := capture.read())[0]:
        pictures.append(read[1])
    return pictures


def run(node: Any, pictures: list[np.ndarray], pixel_format: str = "BGR") -> list[Any]:
    """The frames that the node made of pictures taken at 30 frames per second."""
    before = len(node.frames)
    for i, picture in enumerate(pictures):
        node.step(image=frame(picture, i + 1, capture_ns=(i + 1) * TICK, pixel_format=pixel_format))
    return node.frames[before:]


def test_the_clip_gives_the_proof_of_concepts_points(node: Callable[..., Any], clip: list[np.ndarray]) -> None:
    reference = np.load(REFERENCE)
    for smooth, key in ((1, "smooth"), (0, "raw")):
        expected = reference[key]
        frames = run(node(smooth=smooth), clip[: len(expected)])
        assert [f.ids for f in frames] == [(1,)] * len(expected)
        measured = np.concatenate([f.array for f in frames])
        distance = np.hypot(*(measured - expected)[:, :, :2].transpose(2, 0, 1))
        assert np.median(distance) < 1.0
        assert np.percentile(distance, 99) < 15
        assert np.median(np.abs(measured - expected)[:, :, 2]) < 1.0
        assert np.median(np.abs(measured - expected)[:, :, 3]) < 0.01


def test_what_the_node_says_of_its_frames(node: Callable[..., Any], clip: list[np.ndarray]) -> None:
    (published,) = run(node(), clip[:1])
    height, width = clip[0].shape[:2]
    assert (published.shape, published.dtype) == ((1, 33, 4), np.float32)
    assert (published.canvas, published.pixel_format) == ((width, height), "KEYPOINTS")
    assert published.capture_ns == TICK
    assert [source.seq for source in published.sources] == [1]
    assert (published.array[:, :, 3] >= 0).all() and (published.array[:, :, 3] <= 1).all()


def test_nobody_is_seen_where_nobody_is(node: Callable[..., Any]) -> None:
    random = np.random.default_rng(0)
    stripes = np.indices((480, 640)).sum(0)[:, :, None].repeat(3, 2)
    empty = [
        np.zeros((480, 640, 3), np.uint8),
        np.full((480, 640, 3), 255, np.uint8),
        random.integers(0, 256, (480, 640, 3), np.uint8),
        (stripes % 64 * 4).astype(np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((2, 3000, 3), np.uint8),
        np.zeros((3000, 2, 3), np.uint8),
    ]
    frames = run(node(people=3), empty)
    assert [f.shape for f in frames] == [(0, 33, 4)] * len(empty)
    assert [f.ids for f in frames] == [()] * len(empty)


def test_two_people_keep_two_ids(node: Callable[..., Any], clip: list[np.ndarray]) -> None:
    both = [np.hstack([picture, picture[:, ::-1]]) for picture in clip[:60]]
    frames = run(node(people=3), both)
    assert [f.ids for f in frames] == [(1, 2)] * 60
    sides = [f.array[:, 23:25, 0].mean(1) > clip[0].shape[1] for f in frames]
    assert all((side == sides[0]).all() and side.sum() == 1 for side in sides)


def test_pictures_of_changing_size_and_format(node: Callable[..., Any], clip: list[np.ndarray]) -> None:
    estimator, picture = node(), clip[0]
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    (full,), (small,) = run(estimator, [picture]), run(estimator, [half])
    (gray,) = run(estimator, [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)], "GRAY")
    assert small.canvas == (picture.shape[1] // 2, picture.shape[0] // 2)
    size = np.ptp(full.array[0, :, 1])
    for other in (small.array * [2, 2, 2, 1], gray.array):
        assert np.median(np.abs(other - full.array)[0, :, :2]) < 0.05 * size


def test_live_settings_reach_the_tracker(node: Callable[..., Any], clip: list[np.ndarray]) -> None:
    estimator = node()
    assert run(estimator, clip[:1])[0].shape[0] == 1
    estimator.config = estimator.config.model_copy(update={"min_tracking": 1.0, "min_detection": 1.0})
    estimator.configured()
    assert run(estimator, clip[:1])[0].shape[0] == 0


def test_a_broken_model_file_is_named_in_a_sentence(tmp_path: Path) -> None:
    from nodes.pose.model import Model

    broken = tmp_path / "pose.tflite"
    broken.write_bytes(b"not a network")
    with pytest.raises(BadInput, match=r"pose\.tflite cannot be loaded .* Delete it"):
        Model(broken, threads=1)


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
