"""Keypoint layouts by name, and conversions between them.

A layout is a tuple of point names. "left" and "right" are the person's own. Points that a source
layout lacks are means of points that it has (`MEANS`), or stay unknown: their score is 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

BLAZEPOSE_33 = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
    "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip
COCO_17 = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
OPENPOSE_18 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
    "right_ear", "left_ear",
)  # fmt: skip
BODY_25 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye",
    "left_eye", "right_ear", "left_ear", "left_big_toe", "left_small_toe", "left_heel", "right_big_toe",
    "right_small_toe", "right_heel",
)  # fmt: skip

_FEET = ("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel")
HALPE_26 = (
    *COCO_17, "head", "neck", "mid_hip", "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe",
    "left_heel", "right_heel",
)  # fmt: skip


def _face_68() -> tuple[str, ...]:
    """The 68 points of iBUG 300-W, from the person's right to the left, with names of our own: it has numbers only."""

    def run(name: str, numbers: Iterable[int]) -> list[str]:
        return [f"{name}_{number}" for number in numbers]

    up, down = range(1, 9), range(8, 0, -1)
    return (
        *run("right_jaw", up), "chin", *run("left_jaw", down),
        *run("right_brow", up[:5]), *run("left_brow", down[3:]),
        *run("nose_bridge", up[:4]), *run("right_nostril", up[:2]), "nose_base", *run("left_nostril", down[6:]),
        *run("right_lid", up[:6]), *(f"left_lid_{number}" for number in (4, 3, 2, 1, 6, 5)),
        "right_mouth_corner", *run("right_lip", up[:2]), "upper_lip", *run("left_lip", down[6:]), "left_mouth_corner",
        *run("left_lip", (4, 3)), "lower_lip", *run("right_lip", (3, 4)),
        *run("right_inner_lip", up[:2]), "upper_inner_lip", *run("left_inner_lip", down[6:]),
        "left_inner_lip_3", "lower_inner_lip", "right_inner_lip_3",
    )  # fmt: skip


_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
COCO_WHOLEBODY_133 = (
    *COCO_17, *_FEET, *_face_68(),
    *(f"{side}_{part}" for side in ("left", "right")
      for part in ("hand_root", *(f"{finger}_{joint}" for finger in _FINGERS for joint in range(1, 5)))),
)  # fmt: skip

MEANS = {
    "neck": ("left_shoulder", "right_shoulder"),
    "mid_hip": ("left_hip", "right_hip"),
    **{
        f"{side}_{name}": (f"{side}_{part}",)
        for side in ("left", "right")
        for name, part in {
            "big_toe": "foot_index", "foot_index": "big_toe",
            "pinky": "pinky_finger_1", "index": "forefinger_1", "thumb": "thumb_2",  # BlazePose's are knuckles
            "eye_outer": "lid_1", "eye_inner": "lid_4",
        }.items()
    },
    "mouth_left": ("left_mouth_corner",),
    "mouth_right": ("right_mouth_corner",),
}  # fmt: skip


@dataclass(frozen=True)
class Conversion:
    """From one layout to another.

    weights: (target points, source points) float32; each known row sums to 1, an unknown row is zero.
    """

    weights: np.ndarray

    @classmethod
    def between(cls, source: tuple[str, ...], target: tuple[str, ...]) -> Conversion:
        weights = np.zeros((len(target), len(source)), np.float32)
        for row, name in enumerate(target):
            parts = (name,) if name in source else MEANS.get(name, ())
            if parts and all(part in source for part in parts):
                weights[row, [source.index(part) for part in parts]] = 1 / len(parts)
        return cls(weights)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(source points, 4) x, y, z, score → (target points, 4).

        A mean is as sure as its least sure part. What is not finite affects only the points made from it.
        """
        result = np.zeros((len(self.weights), 4), points.dtype)
        for row, weights in enumerate(self.weights):
            used = np.flatnonzero(weights)
            if len(used):
                result[row] = weights[used] @ points[used]
                result[row, 3] = points[used, 3].min()
        return result


def mirrored(layout: tuple[str, ...]) -> list[int]:
    """For each point, the index of its counterpart on the other side of the body."""
    swap = {"left": "right", "right": "left"}
    return [layout.index("_".join(swap.get(word, word) for word in name.split("_"))) for name in layout]
