"""From what an estimator finds, picture by picture, to people: each under an id, with filtered points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nodes.pose.found import Found
from nodes.pose.one_euro import OneEuro


@dataclass(frozen=True)
class Person:
    """id: never used for anyone else. points: (K, 4) float32: x, y, z in pixels of the picture, score 0..1."""

    id: int
    points: np.ndarray


class People:
    def __init__(self) -> None:
        self._filters: dict[int, OneEuro] = {}
        self.tune()

    def tune(self, smooth: float = 1.0) -> None:
        """The settings that may change between pictures; see the node's PoseConfig."""
        self._smooth = smooth

    def step(self, found: Sequence[Found], time_ns: int) -> list[Person]:
        """The people in this picture, those known longest first."""
        # The filter's values: MediaPipe, pose_landmark_filtering.pbtxt.
        self._filters = {
            one.handle: self._filters.get(one.handle) or OneEuro(min_cutoff=0.05, beta=80) for one in found
        }
        people = []
        for one in found:
            xyz = self._filters[one.handle](one.xyz, time_ns, one.size, self._smooth)
            people.append(Person(one.handle, np.column_stack([xyz, one.score]).astype(np.float32)))
        return people
