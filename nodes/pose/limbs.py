"""What holds a body together: which point hangs on which, and how far from it that can be."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nodes.layouts import BLAZEPOSE_33, COCO_17, COCO_WHOLEBODY_133, HALPE_26

LAYOUTS = {len(layout): layout for layout in (BLAZEPOSE_33, COCO_17, HALPE_26, COCO_WHOLEBODY_133)}  # of pose nodes
ROOT = "chest"  # the middle of shoulders and hips: the tree's root, which no layout has
TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")

# Of an adult 1.75 m tall, in metres. For every name there is a left and a right.
_REACH = {  # point: (the point that it hangs on, how far from it at most)
    "nose": (ROOT, 0.62),
    "shoulder": (ROOT, 0.37),
    "hip": (ROOT, 0.32),
    "mid_hip": (ROOT, 0.32),
    "neck": (ROOT, 0.36),
    "head": ("nose", 0.25),
    "eye_inner": ("nose", 0.10),
    "eye": ("nose", 0.11),
    "eye_outer": ("nose", 0.13),
    "ear": ("nose", 0.18),
    "mouth": ("nose", 0.12),
    "elbow": ("shoulder", 0.38),
    "wrist": ("elbow", 0.34),
    "pinky": ("wrist", 0.20),
    "index": ("wrist", 0.22),
    "knee": ("hip", 0.55),
    "ankle": ("knee", 0.52),
    "heel": ("ankle", 0.16),
    "foot_index": ("ankle", 0.28),
    "big_toe": ("ankle", 0.28),
    "small_toe": ("ankle", 0.26),
    "hand_root": ("wrist", 0.08),
    **dict.fromkeys(("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger"), ("wrist", 0.26)),
    **dict.fromkeys(("jaw", "chin", "brow", "nose_bridge", "nostril", "nose_base", "lid"), ("nose", 0.18)),
    **dict.fromkeys(("mouth_corner", "lip", "upper_lip", "lower_lip"), ("nose", 0.14)),
    **dict.fromkeys(("inner_lip", "upper_inner_lip", "lower_inner_lip"), ("nose", 0.14)),
}
_ELSEWHERE = (ROOT, 1.3)  # a point of a name that is not known
_LENGTHS = {  # between two points, on average
    ("left_shoulder", "left_hip"): 0.50,
    ("right_shoulder", "right_hip"): 0.50,
    ("left_shoulder", "right_shoulder"): 0.36,
    **{
        (f"{side}_{start}", f"{side}_{end}"): metres
        for side in ("left", "right")
        for start, end, metres in (
            ("shoulder", "elbow", 0.29), ("elbow", "wrist", 0.26), ("hip", "knee", 0.43), ("knee", "ankle", 0.42),
        )
    },
}  # fmt: skip


@dataclass(frozen=True)
class Limbs:
    """A layout's tree of K points, in which each comes after the one that it hangs on. Number 0 is the root.

    order: (K,) the layout's index of numbers 1 to K. parents: (K + 1,) numbers; the root's is its own.
    reach: (K + 1,) metres. levels: the numbers of equally many bones to the root, as slices, from the torso outwards.
    torso: indexes of `TORSO`. ends, lengths: (n, 2) indexes and (n,) metres of the bones that tell a body's size.
    """

    order: np.ndarray
    parents: np.ndarray
    reach: np.ndarray
    levels: tuple[slice, ...]
    torso: np.ndarray
    ends: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, layout: tuple[str, ...]) -> Limbs:
        """The tree of a layout that has shoulders and hips."""
        depths = np.array([_depth(name, layout) for name in layout])
        order = np.argsort(depths, kind="stable")
        hangs = [_hangs(layout[index], layout) for index in order]
        numbers = {ROOT: 0, **{layout[index]: number for number, index in enumerate(order, 1)}}
        ends = 1 + np.searchsorted(depths[order], np.arange(depths.max() + 2))
        bones = {pair: metres for pair, metres in _LENGTHS.items() if set(pair) <= set(layout)}
        return cls(
            order,
            np.array([0] + [numbers[parent] for parent, _ in hangs]),
            np.array([0.0] + [reach for _, reach in hangs]),
            tuple(slice(start, end) for start, end in pairwise(ends.tolist())),
            np.array([layout.index(name) for name in TORSO]),
            np.array([[layout.index(name) for name in pair] for pair in bones]),
            np.array(list(bones.values())),
        )


def _hangs(name: str, layout: tuple[str, ...]) -> tuple[str, float]:
    """On what a point hangs in this layout, and its reach. Sides are written left_eye or mouth_left, numbers last."""
    words = name.rstrip("_0123456789").split("_")
    side = next((word for word in words if word in ("left", "right")), "")
    parent, reach = _REACH.get("_".join(word for word in words if word != side), _ELSEWHERE)
    parent = parent if parent in layout else f"{side}_{parent}"
    return (parent, reach) if parent in layout else (ROOT, reach if parent == f"{side}_{ROOT}" else _ELSEWHERE[1])


def _depth(name: str, layout: tuple[str, ...]) -> int:
    """How many bones lie between a point and the root, less one."""
    parent, _ = _hangs(name, layout)
    return 0 if parent == ROOT else 1 + _depth(parent, layout)
