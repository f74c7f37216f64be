"""A part of a reel, as a reel of its own."""

from __future__ import annotations

import math

import numpy as np

from engine.errors import BadInput
from nodes.camera.reels import Reel


class Excerpt:
    """The pictures of `reel` from `start_s` on, for `seconds` or to the end. Times go by the reel's rate.

    Raises BadInput where the reel is over before the excerpt begins.
    """

    def __init__(self, reel: Reel, start_s: float, seconds: float | None):
        self._reel, self._start_s, self._seconds = reel, start_s, seconds
        self.name = reel.name
        if not self._skip():
            raise BadInput(f"{self.name} is over before {start_s:g} s. Check `start`.")

    @property
    def position(self) -> int:
        return self._reel.position - self._before

    def advance(self) -> bool:
        return self.position < self._most and self._reel.advance()

    def broken(self) -> str | None:
        return None if self.position >= self._most else self._reel.broken()

    def restart(self) -> bool:
        return self._reel.restart() and self._skip()

    def _skip(self) -> bool:
        reel = self._reel
        self.size, self.fps = reel.size, reel.fps
        self._before = round(self._start_s * reel.fps)
        self._most = math.inf if self._seconds is None else max(1, round(self._seconds * reel.fps))
        left = max(0, reel.count - self._before)
        self.count = int(min(left, self._most)) if reel.count else 0
        return all(self._reel.advance() for _ in range(self._before))

    def read_into(self, array: np.ndarray) -> bool:
        return self._reel.read_into(array)

    def close(self) -> None:
        self._reel.close()
