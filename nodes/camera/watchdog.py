"""Notices a camera that goes on giving pictures, but always the same one, or black ones, or of another size."""

from __future__ import annotations

import zlib

import numpy as np

GRID = 8  # every 8th pixel of every 8th row: a sensor's noise changes some of them from picture to picture
BLACK = 24  # no sample brighter than this, of 255 …
HOT = 1000  # … but for one in so many: a dark sensor has bright spots
STILL_NS = 2_000_000_000  # a picture that stands still may move again only when it is opened anew …
LONGEST_DARK_NS = 60_000_000_000  # … but a dark room is seen to be lit in any case

Size = tuple[int, int]  # width, height


class Watchdog:
    """trouble: a sentence while the picture stands still or is black, until one comes that is neither; or while it
    comes in another size than the first one did.

    An unplugged camera under some drivers, and a hung one, give their last picture for ever.
    """

    def __init__(self, name: str, frozen_after_s: float):
        self.size: Size | None = None  # of the first picture
        self._name, self._after_ns = name, round(frozen_after_s * 1e9)
        self._patience_ns = self._after_ns
        self._sum: int | None = None
        self._since_ns = 0
        self._lifeless: str | None = None
        self._resized: str | None = None

    @property
    def trouble(self) -> str | None:
        return self._lifeless or self._resized

    def see(self, picture: np.ndarray, size: Size, now_ns: int) -> bool:
        """Look at a picture, (H, W, 3) uint8, that came in this size. True when it is time to open the source again: a
        dark one less often each time."""
        self._measure(size)
        sample = np.ascontiguousarray(picture[::GRID, ::GRID])
        black, last = is_black(sample), self._sum
        self._sum = zlib.crc32(sample.data)
        if last is None or not (black or self._sum == last):
            self._since_ns, self._patience_ns, self._lifeless = now_ns, self._after_ns, None
            return False
        if not self._after_ns or now_ns - self._since_ns < self._patience_ns:
            return False
        self._lifeless = (
            f"{self._name} gives black pictures. Is its lens covered, or the light off?"
            if black
            else f"{self._name} gives the same picture again and again. Restart it, or unplug it and plug it in again."
        )
        self._since_ns = now_ns
        self._patience_ns = min(2 * self._patience_ns, LONGEST_DARK_NS) if black else min(self._after_ns, STILL_NS)
        return True

    def _measure(self, size: Size) -> None:
        self.size = self.size or size
        self._resized = None
        if size != self.size:
            self._resized = (
                f"{self._name} gives pictures of {size[0]} x {size[1]}, no longer of {self.size[0]} x {self.size[1]}; "
                "they are scaled. Set it back, or restart the engine to take the new size."
            )


def is_black(sample: np.ndarray) -> bool:
    return int(np.count_nonzero(sample > BLACK)) * HOT <= sample.size
