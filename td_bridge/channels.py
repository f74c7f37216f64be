"""What a reader knows as channels, name → number, for TouchDesigner's Script CHOPs. Standard library and NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np

BLAZEPOSE = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index", "left_thumb",
    "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel",
    "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip


STATES = ("WAITING", "LIVE", "HELD", "PLACEHOLDER", "STALE", "STOPPED", "MISMATCH", "ERROR")


def of_info(reader: Any, set_version: int, progress: float) -> dict[str, float]:
    """How it goes. The channels are always the same ones.

    state: the place in STATES, -1 without a reader. param_version: of the picture that is shown; once it has reached
    set_version, the last change made here is in it (where the picture's own node was changed).
    """
    names = (
        "fps",
        "age_ms",
        "latency_ms",
        "skipped",
        "torn_retries",
        "restarts",
        "param_version",
        "seq",
        "width",
        "height",
    )
    state = STATES.index(reader.state) if reader is not None and reader.state in STATES else -1
    return {
        "state": float(state), **{name: float(getattr(reader, name, 0)) for name in names},
        "set_version": float(set_version), "progress": float(progress),
    }  # fmt: skip


def of_pose(reader: Any, people: int) -> dict[str, float]:
    """Channels of up to `people` people, whether they are there or not, so that exports never lose their channel.

    reader: a RingReader of keypoints or of points in space, or None. x and y run from 0 to 1 over the camera's picture,
    y upwards as in TouchDesigner; z in the same unit as x, smaller is nearer; score 0 to 1. Points in space are in
    metres, as the stream has them. A person keeps `id` while followed.
    """
    array = getattr(reader, "array", None)
    if reader is None or array is None or array.ndim != 3 or array.shape[2] != 4:
        array, reader = np.empty((0, len(BLAZEPOSE), 4), np.float32), None  # none yet, or pictures
    width, height = (side or 1 for side in reader.canvas) if reader else (1, 1)
    in_space = reader is not None and reader.pixel_format == "WORLD"
    names = BLAZEPOSE if array.shape[1] == len(BLAZEPOSE) else [f"point{index}" for index in range(array.shape[1])]
    # whoever was there when the engine went is there no more
    everybody = array.tolist() if reader and reader.state == "LIVE" else []
    channels = {"people": float(len(everybody)), "param_version": float(reader.param_version if reader else 0)}
    for person in range(people):
        is_there = person < len(everybody)
        points = everybody[person] if is_there else [(0.0, 0.0, 0.0, 0.0)] * len(names)
        channels[f"p{person + 1}_present"] = float(is_there)
        channels[f"p{person + 1}_id"] = float(reader.ids[person]) if is_there and person < len(reader.ids) else -1.0
        for name, (x, y, z, score) in zip(names, points, strict=True):
            if is_there and not in_space:
                x, y, z = x / width, 1 - y / height, z / width
            at = f"p{person + 1}_{name}"
            channels |= {f"{at}_x": x, f"{at}_y": y, f"{at}_z": z, f"{at}_score": score}
    return channels
