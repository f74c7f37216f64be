"""The outputs that pose.blazepose has on request: where bodies are in the picture, and their points in metres."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sight_kit import TICK, clip, node, run

from engine.node import Image, World
from nodes.pose.blazepose import BlazePose
from nodes.pose.mask import Mask
from nodes.pose.roi import Roi


@pytest.mark.parametrize(
    "roi",
    [
        Roi(200, 150, 120, 0), Roi(200, 150, 120, 0.7), Roi(10, 290, 150, 2), Roi(399, 0, 900, -1),
        Roi(-300, 150, 100, 0), Roi(200, 900, 100, 0.3), Roi(200, 150, 0.5, 0),
    ],
)  # fmt: skip
def test_a_mask_is_put_where_its_square_is(roi: Roi) -> None:
    alpha = np.pad(np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8), 8)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 2)
    picture = np.zeros((300, 400, 1), np.uint8)
    Mask(alpha, roi.matrix(64)).onto(picture)
    whole = cv2.warpAffine(alpha, roi.matrix(64), (400, 300), flags=cv2.INTER_LINEAR)
    assert np.abs(picture[:, :, 0].astype(int) - whole).max() <= 3, "but for what rounding of the place makes"
    assert (picture.any() == whole.any()) and np.abs(picture[:, :, 0].astype(int) - whole).mean() < 1


def test_masks_add_up_and_take_nothing_away() -> None:
    picture = np.zeros((300, 400, 1), np.uint8)
    full, half = (np.full((64, 64), value, np.uint8) for value in (255, 100))
    Mask(full, Roi(100, 150, 100, 0).matrix(64)).onto(picture)
    Mask(half, Roi(140, 150, 100, 0).matrix(64)).onto(picture)
    assert picture[150, [80, 110, 145, 170, 250], 0].tolist() == [255, 255, 255, 100, 0]


def test_the_ports_are_there_when_asked_for() -> None:
    def ports(**settings: bool) -> list[str]:
        return list(BlazePose.outputs_of(BlazePose.Config(**settings)))

    assert ports() == ["keypoints"]
    assert ports(mask=True) == ["keypoints", "mask"]
    assert ports(mask=True, world=True) == ["keypoints", "world", "mask"]
    outputs = BlazePose.outputs_of(BlazePose.Config(mask=True, world=True))
    assert outputs["world"] == World(points=33) and outputs["mask"] == Image(channels=1)


def test_the_mask_covers_the_body_and_little_else() -> None:
    estimator = node(mask=True, people=2)
    both = [np.hstack([picture, picture[:, ::-1]]) for picture in clip(3)]
    (keypoints, *_), masks = run(estimator, both), estimator.outs["mask"].frames
    picture = masks[0]
    assert (picture.shape, picture.dtype, picture.pixel_format) == ((*both[0].shape[:2], 1), np.uint8, "GRAY")
    assert [mask.capture_ns for mask in masks] == [TICK, 2 * TICK, 3 * TICK]
    assert picture.sources == keypoints.sources
    mask = picture.array[:, :, 0]
    limbs = keypoints.array[:, [11, 12, 13, 14, 23, 24, 25, 26, 27, 28], :2].round().astype(int).reshape(-1, 2)
    assert len(limbs) == 20 and (mask[limbs[:, 1], limbs[:, 0]] > 200).mean() > 0.9
    assert 0.05 < (mask > 127).mean() < 0.2
    x, y, width, height = cv2.boundingRect((mask > 127).astype(np.uint8))
    points = keypoints.array[:, :, :2].reshape(-1, 2)
    margin = 0.15 * both[0].shape[0]
    assert (points.min(0) - margin < (x, y)).all() and (points.max(0) + margin > (x + width, y + height)).all()


def test_nobody_is_an_empty_mask_and_no_points() -> None:
    estimator = node(mask=True, world=True)
    run(estimator, [np.zeros((120, 160, 3), np.uint8)])
    (mask,), (world,) = (estimator.outs[port].frames for port in ("mask", "world"))
    assert mask.shape == (120, 160, 1) and not mask.array.any()
    assert world.shape == (0, 33, 4) and world.ids == ()


def test_points_in_metres_are_a_body_around_its_hips() -> None:
    estimator = node(world=True)
    keypoints, worlds = run(estimator, clip(3)), estimator.outs["world"].frames
    for pixels, world in zip(keypoints, worlds, strict=True):
        assert (world.pixel_format, world.dtype) == ("WORLD", np.float32)
        assert (world.ids, world.capture_ns, world.sources) == (pixels.ids, pixels.capture_ns, pixels.sources)
        np.testing.assert_array_equal(world.array[:, :, 3], pixels.array[:, :, 3])
        body = world.array[0, :, :3]
        assert np.abs(body[[23, 24]].mean(0)).max() < 0.05, "the hips are the origin"
        for upper, lower in ((23, 25), (25, 27), (24, 26), (26, 28)):
            assert 0.25 < np.linalg.norm(body[upper] - body[lower]) < 0.6, "a thigh or a shin"


def test_metres_turn_with_the_picture() -> None:
    def body(picture: np.ndarray) -> np.ndarray:
        estimator = node(world=True)
        run(estimator, [picture])
        return estimator.outs["world"].frames[0].array[0, :, :3]

    upright = body(clip(1)[0])
    assert upright[0, 1] < -0.3 and upright[[27, 28], 1].min() > 0.3, "y grows downward"
    quarter = body(cv2.rotate(clip(1)[0], cv2.ROTATE_90_CLOCKWISE))
    turned = np.column_stack([-upright[:, 1], upright[:, 0], upright[:, 2]])
    assert np.median(np.linalg.norm(quarter - turned, axis=1)) < 0.12
