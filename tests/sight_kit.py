"""For tests of what the pose networks see: the demo's visitor, and a real pose node."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from harness import frame, make

from engine.errors import BadInput
from engine.models import model_path
from nodes.pose.blazepose import BlazePose

CLIP = Path(__file__).parents[1] / "assets" / "visitor.mp4"
TICK = 33_333_333


@cache
def clip(count: int) -> tuple[np.ndarray, ...]:
    capture = cv2.VideoCapture(str(CLIP))
    return tuple(capture.read()[1] for _ in range(count))


def node(**settings: Any) -> Any:
    """A pose.blazepose with the real networks. Skips the test where these have not been fetched."""
    try:
        for name in ("pose_detection", "pose_landmark_full"):
            model_path(f"{name}.tflite")
    except BadInput as missing:
        pytest.skip(str(missing))
    return make(BlazePose, **{"hold": 0, "fade": 0, "remember": 0, **settings})


def run(node: Any, pictures: Sequence[np.ndarray], pixel_format: str = "BGR") -> list[Any]:
    """The frames that the node made of pictures taken at 30 frames per second."""
    before = len(node.frames)
    for picture in pictures:
        seq = len(node.frames) + 1
        node.step(image=frame(picture, seq, capture_ns=seq * TICK, pixel_format=pixel_format))
    return node.frames[before:]


def seen(pictures: Sequence[np.ndarray], pixel_format: str = "BGR", **settings: Any) -> int:
    """In how many of these pictures, each for itself, somebody is found."""
    nobody = np.zeros((8, 8, 3) if pixel_format == "BGR" else (8, 8), np.uint8)  # another size: all are forgotten
    found, estimator = 0, node(**settings)
    for picture in pictures:
        found += run(estimator, [nobody, picture], pixel_format)[1].shape[0]
    return found


def changed(node: Any, **settings: Any) -> None:
    """Change live settings, as the worker does."""
    node.config = node.config.model_copy(update=settings)
    node.configured()
