"""The performer's show: picture by picture, each drawn from its number alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nodes.camera.painter.angles import rotations
from nodes.camera.painter.choreography import Choreography
from nodes.camera.painter.painter import Painter

NOBODY = np.empty((0, 33, 4), np.float32)


class Show:
    """The dance of `seed` at `fps` pictures per second, after `absent` seconds of empty stage."""

    def __init__(self, width: int, height: int, fps: float = 30.0, seed: int = 0, absent: float = 0.0):
        self._painter, self._choreography = Painter(width, height), Choreography(seed)
        self._fps, self._absent = fps, absent

    def draw(self, picture: np.ndarray, number: int) -> np.ndarray:
        """Fill `picture`, (H, W, 3) uint8 BGR, with picture `number` (0 or later).

        Returns the exact points, (1, 33, 4) float32 as `Painter.draw` describes them; (0, 33, 4) of the empty stage.
        """
        seconds = number / self._fps - self._absent
        if seconds < 0:
            np.copyto(picture, self._painter.plate)
            return NOBODY
        pose = self._choreography.at(seconds)
        return self._painter.draw(picture, rotations(pose), x=pose[0])[None]


@lru_cache(maxsize=4)
def _show(width: int, height: int, seed: int) -> Show:
    return Show(width, height, seed=seed)


def truth(number: int, seed: int = 0, size: tuple[int, int] = (512, 512)) -> tuple[np.ndarray, np.ndarray]:
    """Picture `number` of a dance at 30 pictures per second, (H, W, 3) uint8 BGR, and its (33, 4) float32 points."""
    picture = np.empty((size[1], size[0], 3), np.uint8)
    return picture, _show(*size, seed).draw(picture, number)[0]
