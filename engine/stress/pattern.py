"""A picture whose number stands in every 8 bytes of it, mixed with the place where they stand.

    word i of picture n  =  n * SPREAD + i * STEP   (mod 2**64)

A picture is whole when taking i * STEP away leaves one value everywhere. Any two pictures differ in every word, so
a mixture of two is seen wherever the seam is; words that changed places are seen, too.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from engine.errors import BadInput

SPREAD = 0x9E3779B97F4A7C15  # odd, so that multiplying by it can be undone
STEP = 0xC2B2AE3D27D4EB4F
MASK = 2**64 - 1
UNDO = pow(SPREAD, -1, 2**64)


def require_size(width: int, height: int) -> None:
    """Raises `BadInput` for a size whose pictures are not made of 8-byte words."""
    if width < 2 or height < 1 or width % 2 or width > 16384 or height > 16384:
        raise BadInput(
            f"Test pictures of {width}x{height} cannot be made: the width has to be even, and both at most 16384."
        )


def draw(array: np.ndarray, number: int) -> None:
    """Fill `array`, (H, W, 4) uint8, contiguous, with picture `number` (0 to 2**64 - 1). W is even."""
    words = array.reshape(-1).view("<u8")
    np.add(_places(len(words)), np.uint64(number * SPREAD & MASK), out=words)


def number_of(array: np.ndarray) -> int | None:
    """The number that `draw` was given, or None when `array` is not exactly what it drew. Reads every byte."""
    if array.dtype != np.uint8 or not array.size or array.size % 8:
        return None
    words = np.ascontiguousarray(array).reshape(-1).view("<u8")
    values = words - _places(len(words))
    first = values[0]
    return int(first) * UNDO & MASK if (values == first).all() else None


@lru_cache(maxsize=8)
def _places(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint64) * np.uint64(STEP)
