"""Pictures ↔ the arrays that a network takes and gives."""

from __future__ import annotations

import cv2
import numpy as np

from nodes.generator.foreign.description import Answered, Shown

_FROM_RGBA = {"rgb": cv2.COLOR_RGBA2RGB, "bgr": cv2.COLOR_RGBA2BGR, "gray": cv2.COLOR_RGBA2GRAY}
_CHANNELS = {"rgb": 3, "bgr": 3, "gray": 1, "rgba": 4}


class Encoder:
    """From (H, W, 4) uint8 RGBA to the one batch that is used again and again."""

    def __init__(self, shown: Shown):
        (width, height), channels = shown.size, _CHANNELS[shown.channels]
        low, high = shown.range
        levels = np.linspace(low, high, 256)[:, None]
        # Range, mean and std at once: a picture has only 256 levels.
        table = (levels - (shown.mean or [0] * channels)) / (shown.std or [1] * channels)
        self._table = table[None].astype(np.float32)
        self._code = _FROM_RGBA[shown.channels]
        planar = shown.layout == "nchw"
        shape = (1, channels, height, width) if planar else (1, height, width, channels)
        self.batch = np.zeros(shape, shown.dtype)
        self._pixels = self.batch[0].transpose(1, 2, 0) if planar else self.batch[0]

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        values = cv2.LUT(cv2.cvtColor(picture, self._code), self._table)
        np.copyto(self._pixels, values.reshape(self._pixels.shape), casting="same_kind")
        return self.batch


class Decoder:
    """From a network's answer to (H, W, 4) uint8 RGBA with premultiplied alpha."""

    def __init__(self, answered: Answered):
        self._planar, self._channels = answered.layout == "nchw", answered.channels
        self._low, high = answered.range
        self._scale = 255 / (high - self._low)

    def pixels(self, answer: np.ndarray) -> np.ndarray:
        """The answer as (H, W, channels), a view. Raises ValueError, a sentence, where it is no picture."""
        count = _CHANNELS[self._channels]
        inner = answer[0] if answer.ndim == 4 and len(answer) == 1 else answer
        view = inner.transpose(1, 2, 0) if inner.ndim == 3 and self._planar else inner
        if view.ndim != 3 or view.shape[2] != count or 0 in view.shape or view.dtype.kind not in "fui":
            wanted = f"(1, {count}, height, width)" if self._planar else f"(1, height, width, {count})"
            raise ValueError(f"it answers {answer.dtype} {answer.shape}, where the description says {wanted}")
        if not np.isfinite(view).all():
            raise ValueError("some values of its picture are not finite (NaN or infinite)")
        return view

    def write(self, pixels: np.ndarray, out: np.ndarray) -> None:
        """Fill `out`, (H, W, 4) uint8, with what `pixels` gave; values beyond the range count as its end."""
        levels = np.subtract(pixels, self._low, dtype=np.float32)
        levels *= np.float32(self._scale)
        np.clip(levels, 0, 255, out=levels)
        if self._channels == "rgba":
            levels[..., :3] *= levels[..., 3:] / 255
            np.rint(levels, out=levels)
            out[:] = levels
        else:
            np.rint(levels, out=levels)
            out[..., :3] = levels[..., ::-1] if self._channels == "bgr" else levels
            out[..., 3] = 255
