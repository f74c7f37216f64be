"""What travels: an array with its metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag
from typing import Literal, NamedTuple

import numpy as np

from engine import layout


class Flags(IntFlag):
    """What a picture is not."""

    HELD = layout.FLAGS["HELD"]  # an older picture, shown again because no new one came
    PLACEHOLDER = layout.FLAGS["PLACEHOLDER"]  # a card that says what is missing
    DEGRADED = layout.FLAGS["DEGRADED"]  # made with less than the node should have had
    FIRST_AFTER_RESTART = layout.FLAGS["FIRST_AFTER_RESTART"]


class Source(NamedTuple):
    """The name of one frame of one stream: enough to find out what a picture was made from."""

    stream: int  # row in the directory
    epoch: int
    seq: int


class Lens(NamedTuple):
    """How a camera sees: where a point in space comes to lie in its picture, after librealsense's rs2_intrinsics.

    fx, fy, cx, cy: focal lengths and principal point in pixels; the middle of a pixel is at whole numbers.
    coefficients: k1, k2, p1, p2, k3 of the distortion. metres: per unit of a depth picture; 0 in other frames.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: Literal["NONE", "BROWN_CONRADY", "INVERSE_BROWN_CONRADY"] = "NONE"
    coefficients: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    metres: float = 0.0


@dataclass(slots=True)
class Frame:
    """One frame, copied out of its slot: `array` belongs to the reader until its next read.

    array: any dtype and shape. Pictures are (H, W, C) uint8, depths (H, W, 1) uint16; keypoints are (P, K, 4)
        float32 with x, y in pixels of a picture of `canvas` size, z in the same unit, and a score in 0..1; points in
        space are the same in metres.
    seq: number within the stream, never repeated, never going back.
    ordinal: how many frames the stream had published with this one; seq gaps that ordinal does
        not show are frames that died with their writer.
    epoch: which life of the writer made it.
    capture_ns: when light met the sensor (`clock.now_ns`), inherited from the oldest source.
    sources: the frames it was made from.
    ids: track id of each person, where the frame holds keypoints.
    lens: of the camera whose picture this is, or whose picture the keypoints refer to; None where nobody said.
    """

    array: np.ndarray
    seq: int
    epoch: int
    ordinal: int
    capture_ns: int
    capture_wall_ns: int
    publish_ns: int
    param_version: int = 0
    flags: Flags = Flags(0)
    pixel_format: str = "NONE"
    row_order: str = "TOP_DOWN"
    canvas: tuple[int, int] = (0, 0)
    ids: tuple[int, ...] = ()
    sources: tuple[Source, ...] = ()
    stream: int = field(default=0)
    lens: Lens | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def source(self) -> Source:
        """This frame's own name, for the lineage of what is made from it."""
        return Source(self.stream, self.epoch, self.seq)
