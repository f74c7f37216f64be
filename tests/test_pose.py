"""pose.blazepose: its config, and the real networks on real footage where both are there."""

from __future__ import annotations

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

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "assets" / "visitor.mp4"
REFERENCE = ROOT / "tests" / "data" / "pose_reference.npz"
TICK = 33_333_333


@pytest.mark.parametrize(
    "bad",
    [
        {"people": 0},
        {"people": 9},
        {"quality": "best"},
        {"min_tracking": 1.5},
        {"cal": 1},
        {"calm": 1.1},
        {"filter": "kalmann"},
    ],
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


def test_the_clip_gives_the_proof_of_concepts_points(
    node: Callable[..., Any], clip: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodes.pose.landmarker._MIDDLE", 0)  # half a pixel of the crop that it, as MediaPipe, is off
    reference = np.load(REFERENCE)
    for kind, key in (("one_euro", "smooth"), ("none", "raw")):
        expected = reference[key]
        frames = run(node(filter=kind), clip[: len(expected)])
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
    from nodes.pose.model import LiteRT

    broken = tmp_path / "pose.tflite"
    broken.write_bytes(b"not a network")
    with pytest.raises(BadInput, match=r"pose\.tflite cannot be loaded .* Delete it"):
        LiteRT(broken, threads=1)
