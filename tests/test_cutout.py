"""filter.cutout: people cut out of a picture by their depth, with the holes and edges that depth cameras leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from harness import frame, make
from metric_kit import FLOOR, LENS, keypoints, paper_doll, room, standing, turned

from engine.config import registry
from engine.errors import BadInput
from nodes.filter.cutout import HELD_NS, PATIENCE_NS, Cutout
from nodes.pose.floor import plane as floors

TICK = 33_333_333
BODIES = [standing(-0.55, 1.8), standing(0.4, 2.6)]


def scene(depth: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 BGR: near is red, far is green, with some texture."""
    random = np.random.default_rng(0)
    picture = np.full((*depth.shape, 3), (90, 120, 60), np.uint8)
    picture[(depth > 0) & (depth < 3000)] = (200, 180, 60)
    picture[(depth > 0) & (depth < 2200)] = (40, 60, 220)
    return picture + random.integers(0, 12, picture.shape, np.uint8)


def frames(picture: np.ndarray, depth: np.ndarray, seen: np.ndarray, seq: int = 1, **image: Any) -> dict[str, Any]:
    size = (picture.shape[1], picture.shape[0])
    return {
        "image": frame(picture, seq, **{"pixel_format": "BGR", "capture_ns": seq * TICK, **image}),
        "depth": frame(depth[..., None], seq, pixel_format="DEPTH", lens=LENS, capture_ns=seq * TICK),
        "keypoints": frame(seen, seq, pixel_format="KEYPOINTS", canvas=size, capture_ns=seq * TICK),
    }


def cut(depth: np.ndarray, bodies: list[np.ndarray], **settings: Any) -> np.ndarray:
    node = make(Cutout, **settings)
    node.step(**frames(scene(depth), depth, keypoints(bodies)))
    (made,) = node.frames
    assert (made.shape, made.pixel_format) == ((*depth.shape, 4), "RGBA")
    return made.array


def worn(depth: np.ndarray, seed: int = 1) -> np.ndarray:
    """As a stereo camera sees it: noise, specks without depth, and none along the edges of what is near."""
    random = np.random.default_rng(seed)
    spoilt = depth + random.normal(0, 8, depth.shape)
    near = cv2.dilate((depth < 3000).astype(np.uint8), np.ones((3, 3))) - cv2.erode(
        (depth < 3000).astype(np.uint8), np.ones((3, 3))
    )
    spoilt[(near > 0) | (random.random(depth.shape) < 0.1)] = 0
    return spoilt.clip(0, 65535).astype(np.uint16)


def overlap(opacity: np.ndarray, truth: np.ndarray) -> float:
    seen = opacity > 127
    return float((seen & truth).sum() / (seen | truth).sum())


def test_a_config_finds_it() -> None:
    assert registry.find("filter.cutout") is Cutout


@pytest.mark.parametrize("wall", [2.95, 4.0])
def test_the_people_and_nothing_else(wall: float) -> None:
    clean = paper_doll(BODIES, wall)
    truth = clean < 2800
    opacity = cut(worn(clean), BODIES)[..., 3]
    assert overlap(opacity, truth) > 0.85
    inner = cv2.erode(truth.astype(np.uint8), np.ones((9, 9))) > 0
    outer = cv2.dilate(truth.astype(np.uint8), np.ones((31, 31))) == 0
    assert (opacity[inner] > 200).mean() > 0.99 and not opacity[outer].any()


def test_pictures_are_premultiplied() -> None:
    clean = paper_doll(BODIES, 4.0)
    made, picture = cut(clean, BODIES), scene(clean)
    opaque = made[..., 3] == 255
    assert opaque.mean() > 0.05
    np.testing.assert_array_equal(made[opaque][:, :3], picture[opaque][:, ::-1])
    assert (made[..., :3] <= np.maximum(made[..., 3:], 1)).all()
    assert not made[made[..., 3] == 0].any()


def test_hair_without_depth_and_a_gap_under_the_arm() -> None:
    body = standing(z=1.8)
    clean = paper_doll([body], 3.5)
    x, y = keypoints([body])[0, 0, :2].astype(int)
    spoilt = clean.copy()
    spoilt[y - 40 : y + 5, x - 25 : x + 25][clean[y - 40 : y + 5, x - 25 : x + 25] < 3000] = 0
    opacity = cut(spoilt, [body])[..., 3]
    assert opacity[y - 12 : y, x - 6 : x + 6].min() > 200
    gap = (clean > 3000)[:, : x - 30] & (cv2.dilate((clean < 3000).astype(np.uint8), np.ones((9, 9))) == 0)[:, : x - 30]
    assert not (opacity[:, : x - 30][gap] > 127).any()


def test_clothes_without_depth() -> None:
    body = standing(z=1.8)
    clean = paper_doll([body], 3.5)
    x, y = keypoints([body])[0, [11, 12, 23, 24], :2].mean(0).astype(int)
    spoilt = clean.copy()
    spoilt[y - 40 : y + 40, x - 30 : x + 30] = 0
    assert (clean[y - 44 : y + 44, x - 34 : x + 34] == 1800).all()
    opacity = cut(spoilt, [body])[..., 3]
    assert opacity[y - 40 : y + 40, x - 30 : x + 30].min() > 200


def test_what_stands_beside_a_person_is_left_out() -> None:
    body = standing(z=2.0)
    clean = paper_doll([body], 4.0)
    pillar = clean.copy()
    pillar[:, 60:120] = 2000  # as far away as the body, away from it
    hand = keypoints([body])[0, 19, :2].round().astype(int)
    pillar[hand[1] - 15 : hand[1] + 5, hand[0] + 16 : hand[0] + 34] = 2000  # within reach of a hand, not in it
    opacity = cut(pillar, [body])[..., 3]
    assert not opacity[:, 60:120].any()
    assert (opacity[hand[1] - 15 : hand[1] + 5, hand[0] + 16 : hand[0] + 34] > 127).mean() < 0.1
    assert overlap(opacity, clean < 3000) > 0.8


def test_somebody_in_front_who_is_nobody_is_left_out() -> None:
    body = standing(z=2.6)
    depth = paper_doll([body, standing(-0.5, 1.4)], 4.0)
    opacity = cut(depth, [body])[..., 3]
    assert (opacity[depth < 1500] > 127).mean() < 0.12  # its edge, one pixel of the small picture
    assert (opacity[(depth > 2500) & (depth < 2700)] > 127).mean() > 0.9


def floor_file(path: Path, pitch: float, height: float) -> str:
    rotation = turned(pitch)
    floors.Floor(
        format=floors.FORMAT, plane=(*rotation[1].tolist(), height), rotation=floors.rotation_of(rotation[1]),
        lens=LENS, size=(640, 480), when="2026-01-01T00:00:00+00:00", share=0.4, rms_mm=3.0,
    ).write(path)  # fmt: skip
    return str(path)


def test_the_floor_is_not_cut_out_with_the_feet(tmp_path: Path) -> None:
    pitch, height = 15.0, 1.3
    ankle = standing(z=2.6) @ turned(pitch).T + (0, height, 0)
    body = standing(z=2.6) + (0, (ankle[:, 1].min() - 0.04) / np.cos(np.radians(pitch)), 0)  # down onto the floor
    doll, ground = paper_doll([body], 0.0), room([FLOOR], pitch, height=height)
    depth = np.where(doll > 0, doll, ground)
    truth, feet = doll > 0, int(keypoints([body])[0, 27, 1]) - 10
    assert 0 < feet < 440
    without = cut(depth, [body])[..., 3]
    opacity = cut(depth, [body], floor=floor_file(tmp_path / "floor.json", pitch, height))[..., 3]
    floor_cut, less = ((one[feet:][~truth[feet:]] > 127).sum() for one in (without, opacity))
    assert floor_cut > 3 * less
    assert (opacity[truth] > 127).mean() > 0.85


def test_nobody_is_nothing() -> None:
    depth = paper_doll([], 3.0)
    assert not cut(depth, []).any()
    assert not cut(np.zeros_like(depth), BODIES).any()


def test_a_missing_frame_is_bridged_and_a_missing_camera_is_said() -> None:
    depth, node = paper_doll(BODIES, 4.0), make(Cutout)
    given = frames(scene(depth), depth, keypoints(BODIES))
    node.step(**given)
    missing = 1
    while missing * TICK < 2 * PATIENCE_NS:
        missing += 1
        node.step(image=frame(given["image"].array, missing, pixel_format="BGR", capture_ns=missing * TICK),
                  depth=given["depth"] if missing % 2 else None, keypoints=None)  # fmt: skip
        waited = (missing - 1) * TICK
        assert node.frames[-1].array.any() == (waited <= HELD_NS)
        assert bool(node.complaints) == (waited > PATIENCE_NS)
    assert len(node.complaints) == 1 and "keypoints belong to the pictures" in node.complaints[0]
    node.step(**frames(scene(depth), depth, keypoints(BODIES), missing + 1))
    assert not node.complaints and node.frames[-1].array.any()


def test_a_depth_without_a_lens_is_said() -> None:
    depth, node = paper_doll(BODIES, 4.0), make(Cutout)
    for seq in (1, 40):
        given = frames(scene(depth), depth, keypoints(BODIES), seq)
        given["depth"].lens = None
        node.step(**given)
    assert "through which lens" in node.complaints[0] and not node.frames[-1].array.any()


def test_feather_softens_while_it_runs() -> None:
    depth, node = paper_doll(BODIES, 4.0), make(Cutout, feather=0)
    soft = []
    for feather in (0, 2, 12):
        node.config = node.config.model_copy(update={"feather": feather})
        node.configured()
        node.step(**frames(scene(depth), depth, keypoints(BODIES)))
        opacity = node.frames[-1].array[..., 3]
        soft.append(((opacity > 20) & (opacity < 235)).sum())
    assert soft[0] < soft[1] < soft[2]


@pytest.mark.parametrize("pixel_format", ["BGR", "RGB", "GRAY", "BGRA", "RGBA"])
def test_every_kind_of_picture(pixel_format: str) -> None:
    depth, node = paper_doll(BODIES, 4.0), make(Cutout, feather=50)
    picture, back = scene(depth), {"RGB": cv2.COLOR_BGR2RGB, "GRAY": cv2.COLOR_BGR2GRAY, "BGRA": cv2.COLOR_BGR2BGRA,
                                   "RGBA": cv2.COLOR_BGR2RGBA}  # fmt: skip
    given = cv2.cvtColor(picture, back[pixel_format]) if pixel_format in back else picture
    given = given[..., None] if given.ndim == 2 else given
    given[..., 3:] = 7  # what a camera gives for opacity means nothing
    before = given.copy()
    node.step(**frames(given, depth, keypoints(BODIES), pixel_format=pixel_format))
    made = node.frames[0].array
    opaque = made[..., 3] == 255
    expected = picture[..., ::-1]
    if pixel_format == "GRAY":
        expected = cv2.cvtColor(given[..., 0], cv2.COLOR_GRAY2RGB)
    np.testing.assert_array_equal(made[opaque][:, :3], expected[opaque])
    np.testing.assert_array_equal(given, before)  # the frame is the reader's, and may be read again


@pytest.mark.parametrize("size", [(1280, 960), (320, 240), (160, 480), (1, 1)])
def test_a_picture_larger_or_smaller_than_its_depth(size: tuple[int, int]) -> None:
    depth, node = paper_doll(BODIES, 4.0), make(Cutout)
    seen = keypoints(BODIES) * np.array((size[0] / 640, size[1] / 480, size[0] / 640, 1), np.float32)
    node.step(**frames(cv2.resize(scene(depth), size), depth, seen))
    made = node.frames[0].array
    assert made.shape == (size[1], size[0], 4)
    if min(size) > 100:
        assert overlap(cv2.resize(made[..., 3], (640, 480)), depth < 3000) > 0.8


def test_points_that_cannot_be_do_not_stop_it() -> None:
    depth, node, seen = paper_doll(BODIES, 4.0), make(Cutout), keypoints(BODIES)
    seen[0, 13] = (np.nan, np.inf, 0, 0.9)
    seen[1, 15, :2] = (1e30, -1e30)
    node.step(**frames(scene(depth), depth, seen))
    assert overlap(node.frames[0].array[..., 3], depth < 3000) > 0.75


def test_what_is_no_picture_or_no_body_is_refused() -> None:
    depth, node = paper_doll(BODIES, 4.0), make(Cutout)
    with pytest.raises(BadInput, match="needs a uint8 picture"):
        node.step(**frames(depth[..., None], depth, keypoints(BODIES), pixel_format="DEPTH"))
    with pytest.raises(BadInput, match="was given 5"):
        node.step(**frames(scene(depth), depth, np.ones((1, 5, 4), np.float32)))
