"""filter.beside: the pictures of two cameras side by side, each pair of one moment. See docs/PAIRING.md."""

from __future__ import annotations

import numpy as np

from engine.frame import Flags, Frame
from engine.node import Image, Latest, Node, NodeConfig, Paired
from nodes.output.pixels import pixels


class Beside(Node):
    """Each picture of `left`, with the picture of `right` that was captured at the same moment to its right.

    The right one takes the left one's height. Where there is none of that moment its place is black, as wide as the
    last one was, and the frame is flagged DEGRADED.
    """

    class Config(NodeConfig):
        pass

    inputs = {"left": Latest, "right": Paired}
    outputs = {"image": Image(channels=3)}

    def setup(self) -> None:
        import cv2

        self.cv2 = cv2
        self.width = 0  # of the right one
        self.alone = 0

    def step(self, left: Frame, right: Frame | None) -> None:
        first, second = pixels(left), None
        if right is not None:
            second = pixels(right)
            if right.pixel_format != left.pixel_format or second.shape[2] != first.shape[2]:
                raise ValueError("the two cameras' pictures differ in their pixel format")
            height, width = second.shape[:2]
            self.width = max(1, round(width * first.shape[0] / height))
        else:
            self.alone += 1
            self.metric("alone", self.alone)
        height, width, channels = first.shape
        with self.out.begin(
            (height, width + self.width, channels), np.uint8,
            source=[one for one in (left, right) if one is not None], pixel_format=left.pixel_format,
        ) as slot:  # fmt: skip
            slot.array[:, :width] = first
            if second is None:
                slot.array[:, width:] = 0
                slot.flags |= Flags.DEGRADED
            else:
                resized = self.cv2.resize(second, (self.width, height), interpolation=self.cv2.INTER_AREA)
                slot.array[:, width:] = resized.reshape(height, self.width, channels)
