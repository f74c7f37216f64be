"""Notices a camera that goes on giving pictures, but always the same one, or black ones."""

from __future__ import annotations

import zlib

import numpy as np

GRID = 8  # every 8th pixel of every 8th row: a sensor's noise changes some of them from picture to picture
BLACK = 24  # no sample brighter than this, of 255
LONGEST_PATIENCE_NS = 60_000_000_000


class Watchdog:
    """trouble: a sentence while the picture stands still or is black, until one comes that is neither.

    An unplugged camera under some drivers, and a hung one, give their last picture for ever.
    """

    def __init__(self, name: str, frozen_after_s: float):
        self.trouble: str | None = None
        self._name, self._after_ns = name, round(frozen_after_s * 1e9)
        self._patience_ns = self._after_ns
        self._sum: int | None = None
        self._since_ns = 0

    def see(self, picture: np.ndarray, now_ns: int) -> bool:
        """Look at a picture, (H, W, 3) uint8. True when it is time to open the source again; less often each time."""
        sample = np.ascontiguousarray(picture[::GRID, ::GRID])
        black, last = sample.max() <= BLACK, self._sum
        self._sum = zlib.crc32(sample.data)
        if last is None or not (black or self._sum == last):
            self._since_ns, self._patience_ns, self.trouble = now_ns, self._after_ns, None
            return False
        if not self._after_ns or now_ns - self._since_ns < self._patience_ns:
            return False
        self.trouble = (
            f"{self._name} gives black pictures. Is its lens covered, or the light off?"
            if black
            else f"{self._name} gives the same picture again and again. Unplug it and plug it in again."
        )
        self._since_ns, self._patience_ns = now_ns, min(2 * self._patience_ns, LONGEST_PATIENCE_NS)
        return True
