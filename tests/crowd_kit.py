"""A crowd on a stage, and an estimator that sees it as one made of networks does: bodies in front hide others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nodes.pose.found import Found

SIZE = 300.0  # pixels, the square around a body
HIDES = 0.15  # sizes; whoever is nearer to one in front is not seen
DRAGS = 0.3  # sizes; bodies that are nearer overlap
CANVAS = (1280, 720)

Path = Callable[[float], tuple[float, float] | None]


@dataclass
class Walker:
    """path: where the hips are at a time (s), in sizes; None: not there. size: times SIZE; the larger is in front."""

    path: Path
    size: float = 1.0


def line(start: tuple[float, float], velocity: tuple[float, float], since: float = 0, until: float = np.inf) -> Path:
    def path(time: float) -> tuple[float, float] | None:
        here = since <= time <= until
        return (start[0] + velocity[0] * time, start[1] + velocity[1] * time) if here else None

    return path


class Estimator:
    """Follows bodies like nodes/pose/tracker.py: a square jumps onto whoever is in front, of two squares on one body
    the younger goes, and the detector finds whoever is free after `delay` pictures. Of two bodies that overlap, each
    drags the other's points towards it. handles: whether it follows at all; else each picture brings new numbers."""

    points = 33

    def __init__(self, seed: int = 0, jitter: float = 0.004, delay: int = 3, handles: bool = True):
        self._random = np.random.default_rng(seed)
        self._jitter, self._delay, self._handles = jitter, delay, handles
        self._tracks: dict[int, np.ndarray] = {}  # handle to place, the oldest first
        self._next, self._waiting = 1, 0

    def look(self, walkers: Sequence[Walker], time: float) -> tuple[list[Found], list[int]]:
        """What is found, and the number of the walker that each really is."""
        places = {n: np.array(at) for n, one in enumerate(walkers) if (at := one.path(time)) is not None}
        order = sorted(places, key=lambda n: walkers[n].size, reverse=True)
        free: list[int] = []  # not hidden
        for n in order:
            if all(np.hypot(*(places[n] - places[other])) > HIDES for other in free):
                free.append(n)
        tracks: dict[int, np.ndarray] = {}
        seen: dict[int, int] = {}
        for handle, place in self._tracks.items():
            n = min(free, key=lambda n: float(np.hypot(*(places[n] - place))), default=-1)
            if n >= 0 and np.hypot(*(places[n] - place)) < 0.5 and n not in seen.values():
                tracks[handle], seen[handle] = places[n], n
        missed = [n for n in free if n not in seen.values()]
        self._waiting = self._waiting + 1 if missed and tracks else 0
        if missed and (not tracks or self._waiting >= self._delay):
            for n in missed:
                tracks[self._next], seen[self._next] = places[n], n
                self._next += 1
        self._tracks = tracks
        if not self._handles:
            seen = {self._next + i: n for i, n in enumerate(self._random.permutation(list(seen.values())).tolist())}
            self._next += len(seen)
        found = [self._found(handle, self._dragged(n, places), walkers[n].size) for handle, n in seen.items()]
        return found, list(seen.values())

    def _dragged(self, n: int, places: dict[int, np.ndarray]) -> np.ndarray:
        near = [at for other, at in places.items() if other != n and 0 < np.hypot(*(at - places[n])) < DRAGS]
        return places[n] + sum((self._random.uniform(0, 0.5) * (at - places[n]) for at in near), np.zeros(2))

    def _found(self, handle: int, place: np.ndarray, size: float) -> Found:
        size *= SIZE * (1 + self._random.normal(0, 0.01))
        centre = (place + self._random.normal(0, self._jitter, 2)) * SIZE
        xyz = np.zeros((33, 3))
        xyz[:, :2] = centre
        return Found(handle, xyz, np.full(33, 0.9), centre, size)


def together(walkers: Sequence[Walker], n: int, time: float, near: float = 0.3) -> bool:
    """Whether another body is in this one's way."""
    place = walkers[n].path(time)
    others = [one.path(time) for other, one in enumerate(walkers) if other != n]
    return place is not None and any(
        other is not None and np.hypot(place[0] - other[0], place[1] - other[1]) < near for other in others
    )
