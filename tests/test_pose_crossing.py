"""Two people cross in a picture, and the real networks look at it: the person of the clip, cut out and put in twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from harness import frame, make

from engine.errors import BadInput
from nodes.pose.blazepose import BlazePose

CLIP = Path(__file__).parents[1] / "assets" / "visitor.mp4"
TICK = 33_333_333
PICTURES, MEETING = 84, 46
WIDTH, HEIGHT, SCALE = 640, 320, 0.5


@pytest.fixture(scope="module")
def bodies() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each picture of the clip: the picture, where the body is, (H, W) 0..1, and the middle of the hips."""
    capture, cut = cv2.VideoCapture(str(CLIP)), []
    try:
        node = make(BlazePose, mask=True, filter="none")
    except BadInput as missing:
        pytest.skip(str(missing))
    for number in range(PICTURES):
        read, picture = capture.read()
        if not read:
            pytest.skip(f"{CLIP} is not there")
        node.step(image=frame(picture, number + 1, capture_ns=(number + 1) * TICK, pixel_format="BGR"))
        body = node.outs["mask"].frames.pop().array[:, :, 0] / np.float32(255)
        cut.append((picture, body, node.frames[-1].array[0, 23:25, :2].mean(0)))
    return cut


def put(canvas: np.ndarray, body: tuple[np.ndarray, np.ndarray, np.ndarray], x: float, mirrored: bool) -> None:
    """Put a body into the picture, with its hips at x."""
    picture, mask, (hip_x, hip_y) = body
    across = -SCALE if mirrored else SCALE
    matrix = np.array([[across, 0, x - across * hip_x], [0, SCALE, HEIGHT / 2 - SCALE * hip_y]])
    cover = cv2.warpAffine(mask, matrix, (WIDTH, HEIGHT))[:, :, None]
    canvas[:] = canvas * (1 - cover) + cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT)) * cover


@pytest.mark.parametrize("front", ["left", "right"])
def test_two_who_cross_come_out_under_the_ids_they_went_in_with(bodies: list[Any], front: str) -> None:
    node = make(BlazePose, people=2, hold=0, leader="longest")
    room = np.full((HEIGHT, WIDTH, 3), (120, 125, 110), np.uint8)
    before: dict[str, set[int]] = {"left": set(), "right": set()}
    after: dict[str, set[int]] = {"left": set(), "right": set()}
    for number in range(PICTURES):
        away = 5 * (number - MEETING)
        places = {"left": WIDTH / 2 + away, "right": WIDTH / 2 - away}
        picture = room.copy()
        for name in sorted(places, key=lambda name: name == front):
            other = bodies[number] if name == "left" else bodies[(number + 40) % PICTURES]
            put(picture, other, places[name], mirrored=name == "right")
        node.step(image=frame(picture, number + 1, capture_ns=(number + 1) * TICK, pixel_format="BGR"))
        if abs(away) > 45:
            for id_, points in zip(node.frames[-1].ids, node.frames[-1].array, strict=True):
                hips = points[23:25, 0].mean()
                nearest = min(places, key=lambda name: abs(places[name] - hips))
                (before if away < 0 else after)[nearest].add(id_)
    assert before == after and sorted(map(len, before.values())) == [1, 1]
    assert [name for name, _ in node.events].count("entered") == 2
