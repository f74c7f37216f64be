"""What a frame of the engine becomes in TouchDesigner: the array that `copyNumpyArray` takes, bottom row first.

    RGBA, BGRA, RGB, BGR          (H, W, 4) uint8 RGBA; opaque where there was no alpha
    one channel                   (H, W, 1) uint8, uint16 or float32, as it was: a mask, a depth
    keypoints                     (people, points, 4) float32, untouched

Standard library and NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from ring_mapping import DTYPES, PIXEL_FORMATS, ROW_ORDERS

FORMATS = {code: name for name, code in PIXEL_FORMATS.items()}
CHANNELS = {"GRAY": 1, "RGB": 3, "BGR": 3, "RGBA": 4, "BGRA": 4}
NAMELESS = {1: "GRAY", 3: "RGB", 4: "RGBA"}  # what a picture is whose maker did not say
CHUNK_BYTES = 1 << 17  # a part of a picture that stays in the cache between two steps
OPAQUE = 0xFF000000


class Form(NamedTuple):
    """What a frame is. shape, dtype: of the array that is made of it. flips: its top row comes first."""

    pixel_format: str
    shape: tuple[int, ...]
    dtype: np.dtype
    flips: bool


def describes_itself(about: dict[str, Any], capacity: int) -> bool:
    """Do the numbers in a frame's metadata go together, and fit `capacity` bytes? Every one of them may be a lie."""
    ndim, size = about["ndim"], about["payload_bytes"]
    dtype = DTYPES.get(about["dtype"])
    return (
        dtype is not None
        and ndim <= len(about["shape"])
        and size == math.prod(about["shape"][:ndim]) * np.dtype(dtype).itemsize
        and size <= capacity
        and about["row_order"] in ROW_ORDERS.values()
    )


def form_of(about: dict[str, Any]) -> Form | None:
    """The form of a frame that describes itself rightly; None for what is neither a picture nor keypoints."""
    shape, dtype = about["shape"][: about["ndim"]], DTYPES[about["dtype"]]
    pixel_format = FORMATS.get(about["pixel_format"], "")
    flips = about["row_order"] == ROW_ORDERS["TOP_DOWN"]
    if pixel_format == "KEYPOINTS":
        fits = dtype == "float32" and len(shape) == 3 and shape[2] == 4
        return Form(pixel_format, shape, np.dtype(dtype), False) if fits else None
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) != 3 or 0 in shape:
        return None
    height, width, channels = shape
    if pixel_format == "NONE":
        pixel_format = NAMELESS.get(channels, "")
    if CHANNELS.get(pixel_format) != channels or dtype not in ("uint8", "uint16", "float32"):
        return None
    if channels > 1 and dtype != "uint8":
        return None
    return Form(pixel_format, (height, width, 1 if channels == 1 else 4), np.dtype(dtype), flips)


def copy(form: Form, memory: memoryview, start: int, out: np.ndarray) -> None:
    """Bring a frame that begins at byte `start` of `memory`, which is not the first one, to `out`.

    out: of the form's shape and dtype, C-contiguous. A colour picture without alpha is read four bytes at a time, of
    which the first is its neighbour's: five times as fast as a channel at a time.
    """
    # frombuffer holds the mapping open; ndarray(buffer=) would not, and crash after close.
    if form.pixel_format in ("RGB", "BGR"):
        height, width = form.shape[:2]
        near = np.frombuffer(memory, np.uint8, 1 + 3 * height * width, start - 1)
        order = "<u4" if form.pixel_format == "RGB" else ">u4"
        pixels = as_strided(near[:4].view(order), (height, width), (3 * width, 3))
        for source, target in _chunks(form, pixels, out):
            if form.pixel_format == "RGB":
                np.right_shift(source, 8, out=target)
            else:
                np.copyto(target, source)
            np.bitwise_or(target, OPAQUE, out=target)
        return
    whole = np.frombuffer(memory, form.dtype, math.prod(form.shape), start).reshape(form.shape)
    if form.pixel_format != "BGRA":
        np.copyto(out, whole[::-1] if form.flips else whole)
        return
    for source, target in _chunks(form, whole.view(">u4")[..., 0], out):
        turned = source.astype("<u4")  # 0xBBGGRRAA
        np.right_shift(turned, 8, out=target)
        np.left_shift(turned, 24, out=turned)
        np.bitwise_or(target, turned, out=target)


def _chunks(form: Form, pixels: np.ndarray, out: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some rows at a time of a picture of one number per pixel, and where they go to."""
    source, target = pixels[::-1] if form.flips else pixels, out.view("<u4")[..., 0]
    rows = max(1, CHUNK_BYTES // (4 * form.shape[1]))
    for row in range(0, form.shape[0], rows):
        yield source[row : row + rows], target[row : row + rows]
