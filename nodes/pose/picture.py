"""The camera's picture, and the small RGB pieces of it that the networks look at."""

from __future__ import annotations

import cv2
import numpy as np

from engine.errors import BadInput
from engine.frame import Frame

_CHANNELS = {"GRAY": 1, "RGB": 3, "BGR": 3, "RGBA": 4, "BGRA": 4}
_TO_RGB = {
    "GRAY": cv2.COLOR_GRAY2RGB,
    "BGR": cv2.COLOR_BGR2RGB,
    "RGBA": cv2.COLOR_RGBA2RGB,
    "BGRA": cv2.COLOR_BGRA2RGB,
}


class Picture:
    """A picture in any of the pixel formats a camera gives.

    Only the pieces are turned into RGB, never the whole: resampling mixes no channels, so the result is the same.

    Raises BadInput for a frame that is no picture.
    """

    def __init__(self, frame: Frame):
        pixels = frame.array
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        expected = _CHANNELS.get(frame.pixel_format)
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or channels != expected or 0 in pixels.shape:
            raise BadInput(
                f"Pose estimation needs a uint8 picture in {', '.join(_CHANNELS)}, but was given {pixels.dtype} "
                f"{pixels.shape} in {frame.pixel_format}. Connect its input to a camera's image."
            )
        self._pixels = pixels
        self._format = frame.pixel_format
        self.height, self.width = pixels.shape[:2]

    def resized(self, width: int, height: int) -> np.ndarray:
        """The whole picture as (height, width, 3) uint8 RGB."""
        shrinks = 2 * max(width, height) < max(self.width, self.height)
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return self._rgb(cv2.resize(self._pixels, (width, height), interpolation=how))

    def crop(self, matrix: np.ndarray, size: int) -> np.ndarray:
        """A rotated square as (size, size, 3) uint8 RGB, black outside the picture.

        matrix: 2×3, from pixels of the crop to pixels of the picture.
        """
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return self._rgb(cv2.warpAffine(self._pixels, matrix, (size, size), flags=flags))

    def _rgb(self, piece: np.ndarray) -> np.ndarray:
        return piece if self._format == "RGB" else cv2.cvtColor(piece, _TO_RGB[self._format])
