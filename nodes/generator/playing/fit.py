"""Where a visitor stands on the performer's stage, and how large: as the performer did (Chan et al. 2019)."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal, NamedTuple

import numpy as np

from nodes.generator.playing.body import lowest, size
from nodes.generator.playing.repertoire import HIPS, Repertoire

Fit = Literal["stage", "follow", "exact"]

WINDOW_NS = 2_000_000_000  # how far back an estimate looks: farther than a jump lasts
SAMPLE_NS = 25_000_000  # how often it looks, at most
# The quantile of what was seen in that time, and how slowly an estimate settles there, seconds. Nobody stands below the
# floor, so that it gives way sooner.
SIZE, FLOOR = (0.8, 0.5), (0.9, 0.25)
LONGEST_STEP_S = 0.1  # what counts of the time between two frames, so that nothing leaps after a gap
FORGOTTEN_NS = 10_000_000_000  # nobody comes back as the same track after that
SMALLEST, LARGEST = 0.08, 8.0  # heights in picture sizes; what is outside is a mistake
REACH = 8.0  # in picture sizes from the centre; a point farther off is a mistake, not a point
NARROWEST = 1e-3  # room to either side on the stage, so that one who never moved can be played


class Sample(NamedTuple):
    time_ns: int
    value: float
    sure: bool


class Slow:
    """An estimate that a moment cannot change."""

    def __init__(self, quantile: float, settle_s: float):
        self.value, self._quantile, self._settle_s = 0.0, quantile, settle_s
        self._time_ns: int | None = None
        self._seen: deque[Sample] = deque()

    def follow(self, time_ns: int, value: float, sure: bool) -> float:
        """The estimate at `time_ns`. What is not sure counts only while nothing is."""
        first = self._time_ns is None
        passed = 0 if self._time_ns is None else time_ns - self._time_ns
        if passed < 0:  # the clip began again; so do we, from where we are
            self._seen.clear()
        self._time_ns = time_ns
        while self._seen and time_ns - self._seen[0].time_ns > WINDOW_NS:
            self._seen.popleft()
        if not self._seen or time_ns - self._seen[-1].time_ns >= SAMPLE_NS:
            self._seen.append(Sample(time_ns, value, sure))
        values = sorted(s.value for s in self._seen if s.sure) or sorted(s.value for s in self._seen)
        target = values[round(self._quantile * (len(values) - 1))]
        step = min(max(passed, 0) / 1e9, LONGEST_STEP_S)
        self.value = target if first else self.value + (target - self.value) * (1 - math.exp(-step / self._settle_s))
        return self.value


class Stature:
    """How tall one visitor is and where their floor is, in picture sizes."""

    def __init__(self) -> None:
        self.time_ns = 0
        self._size, self._floor = Slow(*SIZE), Slow(*FLOOR)

    def follow(self, points: np.ndarray, time_ns: int) -> tuple[float, float]:
        self.time_ns = time_ns
        tall, sure = size(points)
        tall = self._size.follow(time_ns, min(max(tall, SMALLEST), LARGEST), sure)
        return tall, self._floor.follow(time_ns, *lowest(points, tall))


class Fitter:
    """Fits visitors to the stage of one performer. One object may serve several tracks."""

    def __init__(self, repertoire: Repertoire):
        self._stage = repertoire
        self._known: dict[int, Stature] = {}

    def fit(self, person: np.ndarray, track: int, canvas: tuple[int, int], mode: Fit, time_ns: int) -> np.ndarray:
        """(33, 4) float32: x, y and z in picture sizes of the square stage, score 0..1, all finite.

        person: (33, 4) in pixels of a camera's picture of `canvas` size, width and height, each >= 1. Points that are
        not finite, too far off or of a score below 0 come back in the body's middle with score 0.
        mode: "exact" contains the camera's picture in the stage. "follow" gives the visitor the performer's height and
        floor, and the same place across the stage as across the camera's picture. "stage" keeps them, besides, softly
        within the places that the performer's hips took.
        """
        points = contained(person, canvas)
        if mode == "exact":
            return points.astype(np.float32)
        tall, floor = self._stature(track, time_ns).follow(points, time_ns)
        scale, hips = self._stage.height / tall, float(points[list(HIPS), 0].mean())
        place = self._place((hips - 0.5) * scale) if mode == "stage" else 0.5 + (hips - 0.5) * max(canvas) / canvas[0]
        points[:, :3] = (points[:, :3] - (hips, floor, 0)) * scale + (place, self._stage.floor, 0)
        return points.astype(np.float32)

    def forget(self, track: int) -> None:
        """Measure this track anew; one that is not known is none to forget."""
        self._known.pop(track, None)

    def _place(self, offset: float) -> float:
        """Steps near the centre are as wide as the body makes them; towards the ends of the stage they grow short."""
        stage = self._stage
        room = max(stage.right - stage.centre if offset > 0 else stage.centre - stage.left, NARROWEST)
        return stage.centre + room * math.tanh(offset / room)

    def _stature(self, track: int, time_ns: int) -> Stature:
        if track not in self._known:
            for other in [t for t, known in self._known.items() if time_ns - known.time_ns > FORGOTTEN_NS]:
                del self._known[other]
            self._known[track] = Stature()
        return self._known[track]


def contained(person: np.ndarray, canvas: tuple[int, int]) -> np.ndarray:
    """(33, 4) float64 in sizes of a square that the whole camera picture just fits into, in its centre; all finite."""
    points = np.array(person, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        points[:, :2] -= np.divide(canvas, 2)
        points[:, :3] /= max(canvas)
    usable = (np.abs(points[:, :2]) <= REACH).all(1) & (points[:, 3] >= 0)
    points[~usable] = 0
    points[~usable, :2] = points[usable, :2].mean(0) if usable.any() else 0
    points[~(np.abs(points[:, 2]) <= REACH), 2] = 0
    points[:, :2] += 0.5
    np.minimum(points[:, 3], 1, out=points[:, 3])
    return points
