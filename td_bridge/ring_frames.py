"""What a frame of the engine becomes in TouchDesigner: the array that `copyNumpyArray` takes, bottom row first.

    RGBA, BGRA, RGB, BGR          (H, W, 4) uint8 RGBA; opaque where there was no alpha
    one channel                   (H, W, 1) uint8, uint16 or float32, as it was: a mask, a depth
    keypoints, points in space    (people, points, 4) float32, untouched

Standard library and NumPy only.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from ring_mapping import DTYPES, FORM, MAX_DIMS, PAGE, PIXEL_FORMATS, ROW_ORDERS

FORMATS = {code: name for name, code in PIXEL_FORMATS.items()}
CHANNELS = {"GRAY": 1, "DEPTH": 1, "RGB": 3, "BGR": 3, "RGBA": 4, "BGRA": 4}
NAMELESS = {1: "GRAY", 3: "RGB", 4: "RGBA"}  # what a picture is whose maker did not say
PLAIN = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))
CHUNK_BYTES = 1 << 17  # a part of a picture that stays in the cache between two steps
OPAQUE = 0xFF000000


class Form(NamedTuple):
    """What frames of one kind have in common.

    size: bytes in the slot. pixel_format: "" for what is neither a picture nor keypoints. shape, dtype: of the array
    that is made of it. flips: its top row comes first.
    """

    size: int
    pixel_format: str
    shape: tuple[int, ...]
    dtype: np.dtype
    flips: bool
    canvas: tuple[int, int]


@lru_cache(32)
def form_of(packed: bytes) -> Form | None:
    """The form in a frame's metadata, or None where the numbers do not go together. Each of them may be a lie."""
    size, code, ndim, *rest = FORM.unpack(packed)
    shape, (format_code, row_order, *canvas) = tuple(rest[:MAX_DIMS]), rest[MAX_DIMS : MAX_DIMS + 4]
    if code not in DTYPES or ndim > MAX_DIMS or row_order not in ROW_ORDERS.values():
        return None
    shape, dtype, pixel_format = shape[:ndim], np.dtype(DTYPES[code]), FORMATS.get(format_code, "")
    if size != math.prod(shape) * dtype.itemsize:
        return None
    if pixel_format in ("KEYPOINTS", "WORLD"):
        fits = dtype == np.float32 and ndim == 3 and shape[2] == 4
        return Form(size, pixel_format if fits else "", shape, dtype, False, (canvas[0], canvas[1]))
    height, width, channels = (*shape, 1) if ndim == 2 else shape if ndim == 3 else (0, 0, 0)
    if pixel_format == "NONE":
        pixel_format = NAMELESS.get(channels, "")
    kinds = PLAIN if channels == 1 else PLAIN[:1]
    if CHANNELS.get(pixel_format) != channels or dtype not in kinds or not height * width:
        pixel_format = ""
    flips = row_order == ROW_ORDERS["TOP_DOWN"]
    return Form(size, pixel_format, (height, width, 1 if channels == 1 else 4), dtype, flips, (canvas[0], canvas[1]))


def empty(form: Form) -> np.ndarray:
    """An array for a frame of this form. It begins at a page, as a slot does: a copy is a seventh faster so."""
    size = math.prod(form.shape) * form.dtype.itemsize
    memory = np.empty(size + PAGE, np.uint8)
    start = -memory.ctypes.data % PAGE
    return memory[start : start + size].view(form.dtype).reshape(form.shape)


def view_of(form: Form, memory: memoryview, start: int) -> np.ndarray:
    """The frame that begins at byte `start` of `memory` (not the first one), bottom row first, before it is copied.

    Pictures with a colour order to change are (H, W) of one 32-bit number per pixel. One of three bytes per pixel is
    read four bytes at a time, of which the first is its neighbour's: five times as fast as a channel at a time.
    """
    # frombuffer holds the mapping open; ndarray(buffer=) would not, and crash after close.
    if form.pixel_format in ("RGB", "BGR"):
        height, width = form.shape[:2]
        near = np.frombuffer(memory, np.uint8, 1 + form.size, start - 1)
        order = "<u4" if form.pixel_format == "RGB" else ">u4"
        pixels = as_strided(near[:4].view(order), (height, width), (3 * width, 3))
    else:
        pixels = np.frombuffer(memory, form.dtype, math.prod(form.shape), start).reshape(form.shape)
        if form.pixel_format == "BGRA":
            pixels = pixels.view(">u4")[..., 0]
    return pixels[::-1] if form.flips else pixels


def copy(form: Form, pixels: np.ndarray, out: np.ndarray) -> None:
    """Bring what `view_of` gave to `out`, which is of the form's shape and dtype and C-contiguous."""
    if form.pixel_format not in ("RGB", "BGR", "BGRA"):
        np.copyto(out, pixels)
        return
    rows = max(1, CHUNK_BYTES // (4 * form.shape[1]))
    numbers = out.view("<u4")[..., 0]  # 0xAABBGGRR
    for row in range(0, form.shape[0], rows):
        source, target = pixels[row : row + rows], numbers[row : row + rows]
        if form.pixel_format == "BGR":  # 0x??BBGGRR
            np.copyto(target, source)
            np.bitwise_or(target, OPAQUE, out=target)
        elif form.pixel_format == "RGB":  # 0xBBGGRR??
            np.right_shift(source, 8, out=target)
            np.bitwise_or(target, OPAQUE, out=target)
        else:  # 0xBBGGRRAA
            turned = source.astype("<u4")
            np.right_shift(turned, 8, out=target)
            np.left_shift(turned, 24, out=turned)
            np.bitwise_or(target, turned, out=target)
