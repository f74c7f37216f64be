"""Durations counted in shared memory: one store per sample, nothing lost when the counting process is killed.

Bins grow by 2**(1/64), so a percentile is right to 0.6 %; the maximum is exact.
"""

from __future__ import annotations

import math

import numpy as np

from engine import layout

COUNT, MAX, BINS = (layout.HISTOGRAM[word] >> 3 for word in ("count", "max", "bins"))


def bin_of(ns: int) -> int:
    """The bin of a duration; those outside 1 µs … 67 s go into the first or last."""
    if ns <= 1000:
        return 0
    return min(int(layout.BINS_PER_OCTAVE * math.log2(ns / 1000)), layout.HISTOGRAM_BINS - 1)


def middle_of(index: int) -> float:
    """The duration, in nanoseconds, that a bin stands for."""
    return 1000 * 2 ** ((index + 0.5) / layout.BINS_PER_OCTAVE)


class Histogram:
    """Counts from word `base` of `words` on. One writer, any readers."""

    def __init__(self, words: memoryview, base: int):
        self._words, self._base = words, base

    def add(self, ns: int) -> None:
        words, base = self._words, self._base
        words[base + BINS + bin_of(ns)] += 1
        words[base + COUNT] += 1
        if ns > words[base + MAX]:
            words[base + MAX] = ns

    @property
    def count(self) -> int:
        return self._words[self._base + COUNT]

    def counts(self) -> np.ndarray:
        """How many samples fell into each bin, uint64, as of now."""
        start = self._base + BINS
        return np.array(self._words[start : start + layout.HISTOGRAM_BINS], np.uint64)

    @property
    def max_ms(self) -> float:
        return self._words[self._base + MAX] / 1e6


def percentile_ms(counts: np.ndarray, percent: float) -> float:
    """The smallest duration, in milliseconds, that `percent` of the samples do not exceed; 0 without samples."""
    total = int(counts.sum())
    if total == 0:
        return 0.0
    rank = math.ceil(total * percent / 100)
    return middle_of(int(np.searchsorted(np.cumsum(counts), rank))) / 1e6
