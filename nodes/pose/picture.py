"""The camera's picture, and the small RGB pieces of it that the networks look at."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import cv2
import numpy as np

from engine.errors import BadInput
from engine.frame import Frame
from nodes.pose.light import Light
from nodes.pose.region import WHOLE, Region

_CHANNELS = {"GRAY": 1, "RGB": 3, "BGR": 3, "RGBA": 4, "BGRA": 4}
_TO_RGB = {
    "GRAY": cv2.COLOR_GRAY2RGB,
    "BGR": cv2.COLOR_BGR2RGB,
    "RGBA": cv2.COLOR_RGBA2RGB,
    "BGRA": cv2.COLOR_BGRA2RGB,
}


Part = tuple[float, float, float, float]
"""Left, top, width and height in pixels."""


class Picture:
    """A picture in any of the pixel formats a camera gives, and how it is to be looked at.

    Only the pieces are turned into RGB, never the whole: resampling mixes no channels, so the result is the same.

    region: where people count. part: what of the picture a detector looks at, at first the region. level: whether
    pieces of it that are dark are brightened. expected: x, y and size (pixels) of the squares around those who were
    lost a moment ago, where they may be by now.

    Raises BadInput for a frame that is no picture.
    """

    def __init__(
        self,
        frame: Frame,
        region: Region = WHOLE,
        level: bool = True,
        expected: Sequence[tuple[float, float, float]] = (),
    ):
        pixels = frame.array
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        right = _CHANNELS.get(frame.pixel_format)
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or channels != right or 0 in pixels.shape:
            raise BadInput(
                f"Pose estimation needs a uint8 picture in {', '.join(_CHANNELS)}, but was given {pixels.dtype} "
                f"{pixels.shape} in {frame.pixel_format}. Connect its input to a camera's image."
            )
        self._pixels = pixels
        self._format = frame.pixel_format
        self._time_ns = frame.capture_ns
        self._region, self._level = region, level
        self.expected = expected
        self.height, self.width = pixels.shape[:2]
        self.part: tuple[int, int, int, int] = region.pixels(self.width, self.height)

    def narrowed(self, part: Part) -> Picture:
        """The same picture, of which a detector looks only at what `part` has of the region."""
        left, top, across, down = self.part
        x, y = (int(min(max(part[0], left), left + across - 1)), int(min(max(part[1], top), top + down - 1)))
        right, bottom = min(part[0] + part[2], left + across), min(part[1] + part[3], top + down)
        narrowed = copy.copy(self)
        narrowed.part = (x, y, max(1, round(right) - x), max(1, round(bottom) - y))
        return narrowed

    def holds(self, x: float, y: float) -> bool:
        """Whether a body whose centre is at x, y (pixels) is in the region."""
        return self._region.holds(x / self.width, y / self.height)

    def resized(self, width: int, height: int, light: Light | None = None) -> np.ndarray:
        """Its part as (height, width, 3) uint8 RGB, brightened by `light`."""
        left, top, across, down = self.part
        how = cv2.INTER_AREA if 2 * max(width, height) < max(across, down) else cv2.INTER_LINEAR
        seen = self._pixels[top : top + down, left : left + across]
        return self._rgb(cv2.resize(seen, (width, height), interpolation=how), light)

    def crop(
        self, matrix: np.ndarray, size: int | tuple[int, int], light: Light | None = None, fine: bool = False
    ) -> np.ndarray:
        """A rotated square or rectangle as (height, width, 3) uint8 RGB, black outside the picture, brightened by
        `light`. size: width and height, or a square's side.

        matrix: 2×3, from pixels of the crop to pixels of the picture. fine: what is to become much smaller is first
        averaged, so that no pixel is left out.
        """
        sides = size if isinstance(size, tuple) else (size, size)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        pixels, matrix = _averaged(self._pixels, matrix, sides) if fine else (self._pixels, matrix)
        return self._rgb(cv2.warpAffine(pixels, matrix, sides, flags=flags), light)

    def _rgb(self, piece: np.ndarray, light: Light | None) -> np.ndarray:
        rgb = piece if self._format == "RGB" else cv2.cvtColor(piece, _TO_RGB[self._format])
        return light(rgb, self._time_ns) if light and self._level else rgb


def _averaged(pixels: np.ndarray, matrix: np.ndarray, sides: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """What a crop sees of `pixels`, shrunk by a power of two to no less than it needs, and the matrix for that."""
    shrink = 2 ** int(math.log2(max(1, math.hypot(*matrix[:, 0]))))
    corners = np.array([[x, y, 1] for x in (0, sides[0]) for y in (0, sides[1])]) @ matrix.T
    ends = np.array(pixels.shape[1::-1]) // shrink
    left, top = np.clip(corners.min(0) // shrink - 1, 0, ends).astype(int).tolist()
    right, bottom = np.clip(corners.max(0) // shrink + 2, 0, ends).astype(int).tolist()
    if shrink == 1 or left >= right or top >= bottom:
        return pixels, matrix
    seen = pixels[top * shrink : bottom * shrink, left * shrink : right * shrink]
    small = cv2.resize(seen, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    # The middle of the first pixel is that of shrink × shrink pixels.
    corner = np.array([[0, 0, left * shrink], [0, 0, top * shrink]]) + [0, 0, (shrink - 1) / 2]
    return small, (matrix - corner) / shrink
