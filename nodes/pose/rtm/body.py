"""From the family's layouts to BlazePose's 33 points, which all other nodes know."""

from __future__ import annotations

import numpy as np

from nodes.layouts import BLAZEPOSE_33, Conversion

# Where a point is put that a layout lacks. Its score is 0 there.
_PLACES = {"pinky": "wrist", "index": "wrist", "thumb": "wrist", "heel": "ankle", "foot_index": "ankle"}
_PLACES |= {"eye_inner": "eye", "eye_outer": "eye"}


class AsBlazePose:
    def __init__(self, layout: tuple[str, ...]):
        self._unknown = Conversion.between(layout, BLAZEPOSE_33).weights.sum(1) == 0
        places = (_place(name) if unknown else name for name, unknown in zip(BLAZEPOSE_33, self._unknown, strict=True))
        self._conversion = Conversion.between(layout, tuple(places))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(K, 4) x, y, z, score → (33, 4). What is not known lies at the nearest point that is, with a score of 0."""
        made = self._conversion(points)
        made[self._unknown, 3] = 0
        return made


def _place(name: str) -> str:
    if name.startswith("mouth"):
        return "nose"
    side, part = name.split("_", 1)
    return f"{side}_{_PLACES[part]}"
