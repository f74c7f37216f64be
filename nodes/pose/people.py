"""From what an estimator finds, picture by picture, to people: each under an id, with filtered points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nodes.pose.filters import WORLD_SIZE, Filter, Kind, points_filter, world_filter
from nodes.pose.found import Found


@dataclass(frozen=True)
class Person:
    """id: never used for anyone else. points: (K, 4) float32: x, y, z in pixels of the picture, score 0..1. world: the
    same in metres, or None where the estimator gives none."""

    id: int
    points: np.ndarray
    world: np.ndarray | None = None


class People:
    def __init__(self) -> None:
        self._filters: dict[int, tuple[Filter, Filter]] = {}
        self._kind: Kind = "one_euro"
        self._calm = 0.5

    def tune(self, kind: Kind, calm: float) -> None:
        """The settings that may change between pictures; see the node's PoseConfig."""
        if kind != self._kind:
            self._filters = {}
        self._kind, self._calm = kind, calm

    def step(self, found: Sequence[Found], time_ns: int) -> list[Person]:
        """The people in this picture, those known longest first."""
        self._filters = {
            one.handle: self._filters.get(one.handle) or (points_filter(self._kind), world_filter(self._kind))
            for one in found
        }
        people = []
        for one in found:
            points, world = self._filters[one.handle]
            xyz, metres = points(one.xyz, time_ns, one.size, self._calm), None
            if one.world is not None:
                metres = _scored(world(one.world, time_ns, WORLD_SIZE, self._calm), one.score)
            people.append(Person(one.handle, _scored(xyz, one.score), metres))
        return people


def _scored(places: np.ndarray, score: np.ndarray) -> np.ndarray:
    return np.column_stack([places, score]).astype(np.float32)
