"""People to draw: keypoints made for tests, and the figure node that draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from harness import frame, make

from nodes.generator.figure import Figure
from nodes.layouts import BLAZEPOSE_33

CANVAS = (540, 960)  # width and height of the camera's picture
SIZE = 256  # of the drawn picture
LEFT_WRIST, RIGHT_WRIST = BLAZEPOSE_33.index("left_wrist"), BLAZEPOSE_33.index("right_wrist")


def standing() -> np.ndarray:
    """A person who faces the camera with the arms spread, (33, 4), in a picture of CANVAS size."""
    middle = {
        "nose": (0, 160), "eye": (20, 145), "eye_inner": (10, 145), "eye_outer": (28, 145), "ear": (38, 155),
        "mouth": (14, 182), "shoulder": (80, 260), "elbow": (140, 340), "wrist": (190, 420), "pinky": (205, 445),
        "index": (200, 450), "thumb": (190, 440), "hip": (50, 480), "knee": (60, 640), "ankle": (65, 790),
        "heel": (62, 810), "foot_index": (75, 830),
    }  # fmt: skip
    points = np.zeros((33, 4), np.float32)
    for row, name in enumerate(BLAZEPOSE_33):
        side = 1 if "left" in name else -1
        part = name.replace("left_", "").replace("right_", "").replace("_left", "").replace("_right", "")
        x, y = middle[part]
        points[row] = (270 + side * x, y, 0, 0.95)
    return points


def poses(count: int) -> np.ndarray:
    """Random people, some points beyond the border, some hardly seen."""
    random = np.random.default_rng(7)
    people = np.repeat(standing()[None], count, 0)
    people[:, :, :3] += random.normal(0, 60, (count, 33, 3))
    people[:, :, :2] += random.uniform(-250, 250, (count, 1, 2))
    people[:, :, 3] = random.uniform(0.1, 1, (count, 33))
    return people.astype(np.float32)


def keypoints(people: np.ndarray, **meta: Any) -> Any:
    return frame(people, **{"canvas": CANVAS, "ids": tuple(range(1, len(people) + 1)), "capture_ns": 10**9, **meta})


def draw(people: np.ndarray, **settings: Any) -> np.ndarray:
    """The picture of the first frame, (H, W, 4)."""
    node = make(Figure, **{"size": (SIZE, SIZE), **settings})
    node.step(keypoints=keypoints(people))
    return node.frames[-1].array
