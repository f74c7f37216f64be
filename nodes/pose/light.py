"""Dark rooms: brighten what the networks see, never the picture that others get."""

from __future__ import annotations

import math

import cv2
import numpy as np

# A piece whose white is at least BRIGHT stays as it is, one below DARK is brightened in full, and between the two the
# one goes over into the other. White is the 99th percentile of all values.
BRIGHT, DARK = 128.0, 64.0
_TARGET, _MOST, _GAMMA = 230.0, 10.0, 0.8
_STEP = 4  # every 4th row and column tell enough
_FALL_S = 0.3  # white rises at once, so that nothing is ever blown out, and falls in about this time: no flicker


class Light:
    """Brightens pieces of one picture after the other that show the same thing: one person, or the whole room."""

    def __init__(self) -> None:
        self._white = 0.0
        self._time_ns: int | None = None

    def __call__(self, piece: np.ndarray, time_ns: int) -> np.ndarray:
        """`piece`, (H, W, C) uint8, brightened if it is dark, and else the very same array.

        time_ns: when it was taken. If that goes back, what was seen before is forgotten.
        """
        white = _white(piece)
        last, self._time_ns = self._time_ns, time_ns
        if last is not None and time_ns > last and white < self._white:
            white += (self._white - white) * math.exp((last - time_ns) / 1e9 / _FALL_S)
        self._white = white
        return piece if white >= BRIGHT else cv2.LUT(piece, table(white))


def table(white: float) -> np.ndarray:
    """(256,) uint8: what each value becomes in a picture whose white is at `white`, below BRIGHT."""
    part = min(1.0, (BRIGHT - white) / (BRIGHT - DARK))
    gain = min(_MOST, _TARGET / max(white, 1.0)) ** part
    gamma = _GAMMA**part
    values = np.minimum(np.arange(256, dtype=np.float32) * (gain / 255), 1)
    return np.rint(255 * values**gamma).astype(np.uint8)


def _white(piece: np.ndarray) -> float:
    some = piece[::_STEP, ::_STEP].ravel()
    rank = (some.size - 1) * 99 // 100
    return float(np.partition(some, rank)[rank])
