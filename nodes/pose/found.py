"""What an estimator finds in one picture, before anything is known of who it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from nodes.pose.mask import Mask
    from nodes.pose.picture import Picture


@dataclass(frozen=True)
class Found:
    """One person in one picture, as measured: nothing is filtered.

    handle: the estimator's own number for whom it followed here from the last picture; a number that was not there in
    the last picture claims nothing. xyz: (K, 3) float64, x, y in pixels of the picture, z in the same unit, negative
    towards the camera. score: (K,) 0..1. centre: (2,) pixels, the middle of the hips. size: pixels, the side of a
    square around the whole body. world: (K, 3) float64 metres, x to the right, y down, z away from the camera, from
    the middle of the hips; mask: where the body is. These two only if they were asked for.
    """

    handle: int
    xyz: np.ndarray
    score: np.ndarray
    centre: np.ndarray
    size: float
    world: np.ndarray | None = None
    mask: Mask | None = None


class Estimator(Protocol):
    """Finds people in pictures, `points` points each."""

    points: int

    def step(self, picture: Picture, time_ns: int) -> list[Found]:
        """The people in this picture, in any order. time_ns: when it was taken."""

    def tune(self, config: Any) -> None:
        """The node's settings, at the beginning and after each change."""
