"""What travels: an array with its metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag
from typing import NamedTuple

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


@dataclass(slots=True)
class Frame:
    """One frame, copied out of its slot: `array` belongs to the reader until its next read.

    array: any dtype and shape. Pictures are (H, W, C) uint8; keypoints are (P, K, 4) float32 with
        x, y in pixels of a picture of `canvas` size, z in the same unit, and a score in 0..1.
    seq: number within the stream, never repeated, never going back.
    ordinal: how many frames the stream had published with this one; seq gaps that ordinal does
        not show are frames that died with their writer.
    epoch: which life of the writer made it.
    capture_ns: when light met the sensor (`clock.now_ns`), inherited from the oldest source.
    sources: the frames it was made from.
    ids: track id of each person, where the frame holds keypoints.
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
