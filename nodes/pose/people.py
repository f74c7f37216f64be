"""From what an estimator finds, picture by picture, to people: each under an id, with filtered points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nodes.pose.filters import Filter, Kind, points_filter
from nodes.pose.found import Found


@dataclass(frozen=True)
class Person:
    """id: never used for anyone else. points: (K, 4) float32: x, y, z in pixels of the picture, score 0..1."""

    id: int
    points: np.ndarray


class People:
    def __init__(self) -> None:
        self._filters: dict[int, Filter] = {}
        self._kind: Kind = "one_euro"
        self._calm = 0.5

    def tune(self, kind: Kind, calm: float) -> None:
        """The settings that may change between pictures; see the node's PoseConfig."""
        if kind != self._kind:
            self._filters = {}
        self._kind, self._calm = kind, calm

    def step(self, found: Sequence[Found], time_ns: int) -> list[Person]:
        """The people in this picture, those known longest first."""
        self._filters = {one.handle: self._filters.get(one.handle) or points_filter(self._kind) for one in found}
        people = []
        for one in found:
            xyz = self._filters[one.handle](one.xyz, time_ns, one.size, self._calm)
            people.append(Person(one.handle, np.column_stack([xyz, one.score]).astype(np.float32)))
        return people
