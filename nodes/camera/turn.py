"""How a camera hangs: upside down, upright, or seen as in a mirror. Its pictures, depths and lens are set right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from engine.frame import Lens

Degrees = Literal[0, 90, 180, 270]


class Turn(NamedTuple):
    """rotate: degrees clockwise by which a picture is turned. mirror: left and right are then swapped."""

    rotate: Degrees = 0
    mirror: bool = False

    @property
    def nothing(self) -> bool:
        """Pictures stay as they come: whoever asks first need not copy them."""
        return not (self.rotate or self.mirror)

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) before the turn of what has `size` after it, and the other way round."""
        return (size[1], size[0]) if self.rotate in (90, 270) else size

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The same of (H, W, …)."""
        return (shape[1], shape[0], *shape[2:]) if self.rotate in (90, 270) else shape

    def into(self, picture: np.ndarray, array: np.ndarray) -> None:
        """Fill `array`, of `shape(picture.shape)` and the same dtype, with the turned (H, W) or (H, W, C) picture."""
        import cv2

        if self.rotate:
            codes = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
            cv2.rotate(picture, codes[self.rotate], dst=array)
        if self.mirror:
            cv2.flip(array if self.rotate else picture, 1, dst=array)
        elif not self.rotate:
            np.copyto(array, picture)

    def lens(self, lens: Lens, size: tuple[int, int]) -> Lens:
        """The lens of the turned picture. size: (width, height) of the picture before.

        A point in space turns with the picture, about the camera's z axis; a mirrored picture shows a mirrored space.
        """
        width, height = size
        k1, k2, p1, p2, k3 = lens.coefficients
        fx, fy, cx, cy = lens[:4]
        if self.rotate == 90:
            fx, fy, cx, cy, p1, p2 = fy, fx, height - 1 - cy, cx, p2, -p1
        elif self.rotate == 180:
            cx, cy, p1, p2 = width - 1 - cx, height - 1 - cy, -p1, -p2
        elif self.rotate == 270:
            fx, fy, cx, cy, p1, p2 = fy, fx, cy, width - 1 - cx, -p2, p1
        if self.mirror:
            cx, p2 = self.size(size)[0] - 1 - cx, -p2
        return lens._replace(fx=fx, fy=fy, cx=cx, cy=cy, coefficients=(k1, k2, p1, p2, k3))
