"""Any style by its name, for pictures of one size.

A style has a name and a version. What a version draws stays as it is, because generators are trained
on it; a change of the picture is a new version.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Style = Literal["openpose18/1", "vid2vid25/1", "blazepose33/1", "body/1"]


class Raster:
    """Draws people. The body style remembers their trail."""

    def __init__(self, size: tuple[int, int]):
        from nodes.generator.styles import blazepose33, openpose18, vid2vid25
        from nodes.generator.styles.body import Body

        self._openpose18, self._vid2vid25, self._blazepose33 = openpose18, vid2vid25, blazepose33
        self._body = Body(size)

    def draw(
        self,
        canvas: np.ndarray,
        people: np.ndarray,
        ids: tuple[int, ...],
        style: Style,
        *,
        threshold: float,
        stick_width: int,
        trail: float,
        background: tuple[float, ...],
        time_ns: int,
    ) -> None:
        """Draw people, (P, 33, 4) float64 in pixels of `canvas`, (H, W, 4) uint8 premultiplied RGBA; all of it is
        written. `background`: premultiplied RGBA 0..255; openpose18 and vid2vid25 are always on black.
        """
        if style == "openpose18/1":
            _fill(canvas, self._openpose18.BACKGROUND)
            for person in people:
                self._openpose18.draw(canvas, person, threshold, stick_width)
        elif style == "vid2vid25/1":
            _fill(canvas, self._vid2vid25.BACKGROUND)
            for person in people:
                self._vid2vid25.draw(canvas, person, threshold)
        elif style == "blazepose33/1":
            _fill(canvas, background)
            for person in people:
                self._blazepose33.draw(canvas, person, threshold)
        else:
            self._body.draw(
                canvas, people, ids, threshold=threshold, trail=trail, background=background, time_ns=time_ns
            )


def _fill(canvas: np.ndarray, rgba: tuple[float, ...]) -> None:
    """One store per pixel: NumPy fills words many times faster than groups of four bytes."""
    canvas.view(np.uint32)[:] = np.rint(rgba).astype(np.uint8).view(np.uint32)
