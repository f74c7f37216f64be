"""The 1€ filter: calm where the body rests, quick where it moves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_LONGEST_GAP_NS = 500_000_000
_SPEED_CUTOFF_HZ = 1.0


def _weight(cutoff_hz: Any, seconds: float, calm: float = 1.0) -> Any:
    """Weight of the new value, 0..1, in a first-order low-pass at `cutoff_hz / calm`."""
    ratio = 2 * math.pi * cutoff_hz * seconds
    return ratio / (ratio + calm)


class OneEuro:
    """Filters an array, each element for itself.

    The cutoff frequency of an element is `min_cutoff` (Hz) at rest and grows by `beta` per unit of its speed. Speeds
    are divided by a body size, so that near and far people are filtered alike. Each result lies between the last
    one and the new value: the filter never overshoots.

    Source: Casiez, Roussel and Vogel, "1€ Filter", CHI 2012; the size and the values as in MediaPipe's
    LandmarksSmoothingCalculator.
    """

    def __init__(self, min_cutoff: float, beta: float):
        self._min_cutoff, self._beta = min_cutoff, beta
        self._time_ns: int | None = None
        self._measured = self._filtered = self._speed = np.zeros(0)

    def __call__(self, value: np.ndarray, time_ns: int, size: float, calm: float = 1.0) -> np.ndarray:
        """The filtered `value`, a new array.

        time_ns: when it was measured. If that goes back, or more than 0.5 s went by, the filter starts afresh.
        size: of the body, in the unit of `value`. calm: divides the cutoff; 0 does not filter at all.
        """
        last, self._time_ns = self._time_ns, time_ns
        if last is None or not 0 < time_ns - last <= _LONGEST_GAP_NS:
            self._speed = np.zeros_like(value)
            self._filtered = value
        else:
            seconds = (time_ns - last) / 1e9
            speed = (value - self._measured) / max(size, 1) / seconds
            self._speed = self._speed + _weight(_SPEED_CUTOFF_HZ, seconds) * (speed - self._speed)
            cutoff = self._min_cutoff + self._beta * np.abs(self._speed)
            self._filtered = self._filtered + _weight(cutoff, seconds, calm) * (value - self._filtered)
        self._measured = value
        return self._filtered.copy()
