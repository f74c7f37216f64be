"""The poses of a clip, frame by frame, as measured: a network learns to forgive noise, but not a filter's lag."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from engine.frame import Frame
from engine.models import model_path
from nodes.pose.blazepose import BlazePose
from nodes.pose.detector import Detector
from nodes.pose.landmarker import Landmarker
from nodes.pose.model import LiteRT
from nodes.pose.picture import Picture
from nodes.pose.tracker import Tracker

POINTS = 33


def find_poses(
    pictures: Iterable[np.ndarray],
    *,
    quality: str = "full",
    threads: int = 1,
    seen: Callable[[int], None] = lambda _: None,
) -> tuple[np.ndarray, np.ndarray]:
    """points (N, 33, 4) float32 in pixels of the picture, zeros where nobody was found, and found (N,) bool.

    pictures: (H, W, 3) uint8 BGR. seen: called with each picture's number when it is done.
    """
    tracker = Tracker(
        Detector(LiteRT(model_path("pose_detection.tflite"), threads)),
        Landmarker(LiteRT(model_path(f"pose_landmark_{quality}.tflite"), threads)),
        people=1,
    )
    tracker.tune(BlazePose.Config.model_validate({"filter": "none"}))
    points, found = [], []
    for number, picture in enumerate(pictures):
        frame = Frame(picture, number, 1, number, 0, 0, 0, pixel_format="BGR")
        people = tracker.step(Picture(frame), number * 10**9 // 30)
        points.append(np.column_stack([people[0].xyz, people[0].score]) if people else np.zeros((POINTS, 4)))
        found.append(bool(people))
        seen(number)
    return np.array(points, np.float32).reshape(-1, POINTS, 4), np.array(found, bool)
