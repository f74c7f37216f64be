"""What calms the points of a body: the 1€ filter, and a Kalman filter for those who dance.

A filter takes arrays measured one after the other, each element for itself, and gives new arrays of that shape. Speeds
and noise are counted in body sizes, so that near and far people are filtered alike. A filter starts afresh when time
goes back, and after more than 0.5 s without a measurement.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol

import numpy as np

Kind = Literal["one_euro", "kalman", "none"]

LONGEST_GAP_NS = 500_000_000
WORLD_SIZE = 2.5  # metres: what `size` is to pixels, the side of a square around a person, for points in metres
_SPEED_CUTOFF_HZ = 1.0


class Filter(Protocol):
    def __call__(self, value: np.ndarray, time_ns: int, size: float, calm: float = 0.5) -> np.ndarray:
        """The filtered `value`, a new array.

        time_ns: when it was measured. size: of the body, in the unit of `value`. calm: 0 (quick) to 1 (calm).
        """


def points_filter(kind: Kind) -> Filter:
    """For (K, 3) points in pixels. The 1€ filter's values: MediaPipe, pose_landmark_filtering.pbtxt."""
    return _filter(kind, OneEuro(min_cutoff=0.05, beta=80))


def world_filter(kind: Kind) -> Filter:
    """For (K, 3) points in metres. MediaPipe's beta is 40 for speeds in metres per second."""
    return _filter(kind, OneEuro(min_cutoff=0.1, beta=40 * WORLD_SIZE))


def slowness(calm: float) -> float:
    """What a filter's bandwidth is divided by: 0.1 for calm 0, 1 for calm 0.5, 10 for calm 1."""
    return 100 ** (calm - 0.5)


class OneEuro:
    """Calm where the body rests, quick where it moves.

    The cutoff frequency of an element is `min_cutoff` (Hz) at rest and grows by `beta` per unit of its speed. Each
    result lies between the last one and the new value: the filter never overshoots.

    Source: Casiez, Roussel and Vogel, "1€ Filter", CHI 2012; divided by the size as in MediaPipe's
    LandmarksSmoothingCalculator.
    """

    def __init__(self, min_cutoff: float, beta: float):
        self._min_cutoff, self._beta = min_cutoff, beta
        self._time_ns: int | None = None
        self._measured = self._filtered = self._speed = np.zeros(0)

    def __call__(self, value: np.ndarray, time_ns: int, size: float, calm: float = 0.5) -> np.ndarray:
        seconds, self._time_ns = _passed(self._time_ns, time_ns), time_ns
        if not seconds:
            self._speed = np.zeros_like(value)
            self._filtered = value
        else:
            speed = (value - self._measured) / max(size, 1) / seconds
            self._speed = self._speed + _weight(_SPEED_CUTOFF_HZ, seconds) * (speed - self._speed)
            cutoff = (self._min_cutoff + self._beta * np.abs(self._speed)) / slowness(calm)
            self._filtered = self._filtered + _weight(cutoff, seconds) * (value - self._filtered)
        self._measured = value
        return self._filtered.copy()


class Kalman:
    """Follows a steady movement without lag: each element is expected to keep its velocity.

    Less late than the 1€ filter while the body moves, noisier at rest, and it overshoots where a movement stops dead.

    drive: spectral density of the acceleration, in sizes²/s³: how readily a velocity is taken to change. noise:
    standard deviation of a measurement in sizes; an array that broadcasts to the value's shape, such as (3,) for
    x, y, z. All elements with the same noise share one covariance, so a step costs a few operations per array.

    Source: the constant-velocity model with white-noise acceleration of Bar-Shalom, Li and Kirubarajan, "Estimation
    with Applications to Tracking and Navigation", 2001, section 6.2.2.
    """

    def __init__(self, drive: float, noise: Any):
        self._drive, self._variance = drive, np.square(np.asarray(noise, float))
        self._time_ns: int | None = None
        self._place = self._velocity = np.zeros(0)
        self._p = self._pv = self._v = self._variance  # covariance of place and place, place and velocity, velocities

    def __call__(self, value: np.ndarray, time_ns: int, size: float, calm: float = 0.5) -> np.ndarray:
        seconds, self._time_ns = _passed(self._time_ns, time_ns), time_ns
        if not seconds:
            self._place, self._velocity = value, np.zeros_like(value)
            self._p, self._pv, self._v = self._variance, 0 * self._variance, 0 * self._variance + 1
            return value.copy()
        drive = self._drive / slowness(calm) ** 2
        p = self._p + 2 * seconds * self._pv + seconds**2 * self._v + drive * seconds**3 / 3
        pv = self._pv + seconds * self._v + drive * seconds**2 / 2
        v = self._v + drive * seconds
        expected = self._place + seconds * self._velocity
        missed = value - expected
        gain, gain_v = p / (p + self._variance), pv / (p + self._variance)
        self._place, self._velocity = expected + gain * missed, self._velocity + gain_v * missed
        self._p, self._pv, self._v = (1 - gain) * p, (1 - gain) * pv, v - gain_v * pv
        return self._place.copy()


class Unfiltered:
    """The points as measured."""

    def __call__(self, value: np.ndarray, time_ns: int, size: float, calm: float = 0.5) -> np.ndarray:
        return value.copy()


def _filter(kind: Kind, one_euro: OneEuro) -> Filter:
    if kind == "one_euro":
        return one_euro
    # The noise of the full network on a person who moves; depth is guessed from one picture, which is much noisier.
    return Kalman(drive=0.3, noise=(0.004, 0.004, 0.04)) if kind == "kalman" else Unfiltered()


def _passed(last_ns: int | None, time_ns: int) -> float | None:
    """Seconds since the last measurement; None where the filter starts afresh."""
    if last_ns is None or not 0 < time_ns - last_ns <= LONGEST_GAP_NS:
        return None
    return (time_ns - last_ns) / 1e9


def _weight(cutoff_hz: Any, seconds: float) -> Any:
    """Weight of the new value, 0..1, in a first-order low-pass."""
    ratio = 2 * math.pi * cutoff_hz * seconds
    return ratio / (ratio + 1)
