"""A numbered test picture that both a person and a program can read.

A person sees colour bars, the number in large digits, and a line that wanders to the right. A program asks
`number_of`, which looks at every byte. Each row of the picture is a line of little-endian 64-bit words:

    number | ... picture ... | check     check = row * STEP + the sum of all that stands before it

(and, where a row is no multiple of 8 bytes, up to 7 more bytes, which count into the sum too). The number is the
same in all rows, so rows of two pictures do not pass for one; `check` depends on the number, so neither do two
halves of a row; and on the row, so rows cannot change places. Needs only NumPy.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

STEP = 0x9E3779B97F4A7C15  # any odd number with many bits
BARS_BGR = ((192, 192, 192), (0, 192, 192), (192, 192, 0), (0, 192, 0), (192, 0, 192), (0, 0, 192), (192, 0, 0))
WHITE = 235
DIGITS = 6
SMALLEST = 16  # a side's least length, in pixels
# Which of a digit's seven bars are lit: top, upper left, upper right, middle, lower left, lower right, bottom.
LIT = ("1110111", "0010010", "1011101", "1011011", "0111010", "1101011", "1101111", "1010010", "1111111", "1111011")


def draw(array: np.ndarray, number: int) -> None:
    """Fill `array`, (H, W, 3 or 4) uint8 and contiguous, sides of at least SMALLEST, with test picture `number`.

    The picture depends on the number (0 to 2**64 - 1) and the shape only. BGR; a fourth channel is 255, except under
    the number and the check.
    """
    height, width = array.shape[:2]
    np.copyto(array, _background(array.shape))
    line = number * max(1, width // 240) % width
    array[:, line : line + max(2, width // 320), :3] = WHITE
    _write(array[height * 3 // 8 : height * 3 // 4, width // 8 : width - width // 8, :3], number)
    words, rest = _words(array)
    words[:, 0] = number
    words[:, -1] = _check(words, rest)


def number_of(array: np.ndarray) -> int | None:
    """The number that `draw` was given, or None when the array is not exactly what it drew: torn, mixed, damaged."""
    if array.dtype != np.uint8 or array.ndim != 3 or not array.size or array[0].size < 16:
        return None
    words, rest = _words(np.ascontiguousarray(array))
    same_picture = (words[:, 0] == words[0, 0]).all() and np.array_equal(words[:, -1], _check(words, rest))
    return int(words[0, 0]) if same_picture else None


def _words(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A contiguous picture's rows as (H, n) uint64, and what is left of them as (H, 0..7) uint8. Both are views."""
    rows = array.reshape(array.shape[0], -1)
    whole = rows.shape[1] // 8 * 8
    return rows[:, :whole].view("<u8"), rows[:, whole:]


def _check(words: np.ndarray, rest: np.ndarray) -> np.ndarray:
    row = np.arange(len(words), dtype=np.uint64)
    total = words[:, :-1].sum(axis=1, dtype=np.uint64) + rest.sum(axis=1, dtype=np.uint64)
    return total + row * np.uint64(STEP)  # wraps around, which is meant


@lru_cache(maxsize=2)
def _background(shape: tuple[int, int, int]) -> np.ndarray:
    """Colour bars above a grey ramp, with a dark field for the digits."""
    height, width, channels = shape
    picture = np.full(shape, 255, np.uint8)
    bar = np.arange(width) * len(BARS_BGR) // width
    picture[..., :3] = np.array(BARS_BGR, np.uint8)[bar]
    picture[height * 7 // 8 :, :, :3] = np.linspace(0, 255, width).astype(np.uint8)[:, None]
    picture[height * 5 // 16 : height * 13 // 16, width // 16 : width - width // 16, :3] = 16
    picture.flags.writeable = False
    return picture


def _write(field: np.ndarray, number: int) -> None:
    """The last DIGITS digits of `number` in seven-segment digits that fill `field`, (h, w, 3)."""
    height, width = field.shape[0], field.shape[1] // DIGITS
    thick = max(1, min(height, width) // 8)
    right, middle, bottom = width - 2 * thick, (height - thick) // 2, height - thick
    bars = (
        (0, thick, 0, right),
        (0, middle, 0, thick),
        (0, middle, right - thick, right),
        (middle, middle + thick, 0, right),
        (middle, height, 0, thick),
        (middle, height, right - thick, right),
        (bottom, height, 0, right),
    )
    for place, digit in enumerate(f"{number % 10**DIGITS:0{DIGITS}}"):
        cell = field[:, place * width + thick : (place + 1) * width]
        for (top, end, left, far), lit in zip(bars, LIT[int(digit)], strict=True):
            if lit == "1":
                cell[top:end, left:far] = WHITE
