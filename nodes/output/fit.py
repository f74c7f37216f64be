"""A picture of any size and channel order, brought to RGBA at the size of the output."""

from __future__ import annotations

import cv2
import numpy as np

from engine.frame import Frame
from nodes.output.pixels import pixels

Box = tuple[int, int, int, int]  # x, y, width, height

TO_RGBA = {1: cv2.COLOR_GRAY2RGBA, 3: cv2.COLOR_RGB2RGBA}
BLUE_FIRST_TO_RGBA = {3: cv2.COLOR_BGR2RGBA, 4: cv2.COLOR_BGRA2RGBA}


def fit_rgba(image: Frame, fit: str, out: np.ndarray) -> None:
    """Fill `out`, (H, W, 4) uint8 with the first row on top, with the picture.

    contain keeps the whole picture and leaves bars (clear where the picture has an alpha channel, else black),
    cover keeps the proportions and cuts what hangs over, stretch does neither. The number of channels says what
    the picture is; its pixel format only whether blue comes first. Raises ValueError for what is not a picture.
    """
    source = pixels(image)
    channels = source.shape[2]
    code = (BLUE_FIRST_TO_RGBA if image.pixel_format in ("BGR", "BGRA") else TO_RGBA).get(channels)
    (x, y, w, h), (to_x, to_y, to_w, to_h) = boxes(
        (source.shape[1], source.shape[0]), (out.shape[1], out.shape[0]), fit
    )
    source, region = source[y : y + h, x : x + w], out[to_y : to_y + to_h, to_x : to_x + to_w]
    if region.shape != out.shape:
        out[:] = (0, 0, 0, 0 if channels == 4 else 255)
    if (w, h) == (to_w, to_h):
        scaled = source
    else:
        way = cv2.INTER_AREA if to_w < w else cv2.INTER_LINEAR
        scaled = cv2.resize(source, (to_w, to_h), dst=region if code is None else None, interpolation=way)
    if code is not None:
        cv2.cvtColor(scaled, code, dst=region)
    elif scaled is source:
        region[:] = source


def boxes(size: tuple[int, int], target: tuple[int, int], fit: str) -> tuple[Box, Box]:
    """Which part of a picture of `size` goes to which part of a picture of size `target`; sizes are (w, h)."""
    if fit == "contain":
        return (0, 0, *size), _inside(target, size)
    if fit == "cover":
        return _inside(size, target), (0, 0, *target)
    return (0, 0, *size), (0, 0, *target)


def _inside(frame: tuple[int, int], shape: tuple[int, int]) -> Box:
    """The largest box with the proportions of `shape` in the middle of `frame`; at least one pixel."""
    scale = min(frame[0] / shape[0], frame[1] / shape[1])
    w, h = (max(1, min(f, round(s * scale))) for f, s in zip(frame, shape, strict=True))
    return (frame[0] - w) // 2, (frame[1] - h) // 2, w, h
