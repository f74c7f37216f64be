"""The smallest useful node, as an example to copy: a new node is a file like this and a block in a config."""

from __future__ import annotations

from typing import Literal

import numpy as np

from engine.frame import Frame
from engine.node import Image, Latest, Node, NodeConfig, live


class Mirror(Node):
    """Flip every picture."""

    class Config(NodeConfig):
        axis: Literal["x", "y"] = live("x", "x swaps left and right, y swaps top and bottom")

    inputs = {"image": Latest}
    outputs = {"image": Image(channels=3)}

    def step(self, image: Frame) -> None:
        picture = image.array
        with self.out.begin(
            picture.shape, picture.dtype, source=image, pixel_format=image.pixel_format, row_order=image.row_order
        ) as slot:
            np.copyto(slot.array, picture[:, ::-1] if self.config.axis == "x" else picture[::-1])
