"""`generator.figure`: draws the people as figures, straight into the output's slot."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from engine.frame import Frame
from engine.node import Image, Latest, Node, NodeConfig, live
from nodes.generator.stage import Fit, ids_of, on_stage
from nodes.generator.styles.raster import Raster, Style

Side = Annotated[int, Field(ge=16, le=8192)]
Level = Annotated[int, Field(ge=0, le=255)]


class Figure(Node):
    """Draw the people as figures. The picture is RGBA, top down, with premultiplied alpha."""

    class Config(NodeConfig):
        size: tuple[Side, Side] = Field((512, 512), description="width and height of the picture in pixels")
        style: Style = live("body/1", "what is drawn, name/version")
        threshold: float = live(0.5, "points with a lower score are not drawn; body fades around it", ge=0, le=1)
        fit: Fit = live("contain", "contain: show the whole camera picture; cover: fill the canvas")
        mirror: bool = live(False, "show people as in a mirror")
        background: tuple[Level, Level, Level, Level] = live(
            (0, 0, 0, 0), "red, green, blue, alpha behind the figures; openpose18 and vid2vid25 are always on black"
        )
        trail: float = live(0.5, "strength of the light that the body style leaves behind", ge=0, le=1)
        stick_width: int = live(
            4, "half width of the limbs of openpose18; 4 is what ControlNet knows", unit="pixels", ge=1, le=64
        )

    inputs = {"keypoints": Latest}
    outputs = {"image": Image(channels=4)}

    def setup(self) -> None:
        self.raster = Raster(self.config.size)

    def step(self, keypoints: Frame) -> None:
        config = self.config
        size = width, height = config.size
        people = on_stage(keypoints, size, config.fit, config.mirror)
        ids = ids_of(keypoints, people)
        *colour, alpha = config.background
        background = (*(level * alpha / 255 for level in colour), alpha)
        with self.out.begin(
            (height, width, 4), np.uint8, source=keypoints, pixel_format="RGBA", canvas=size, ids=ids
        ) as slot:
            self.raster.draw(
                slot.array, people, ids, config.style, threshold=config.threshold, stick_width=config.stick_width,
                trail=config.trail, background=background, time_ns=keypoints.capture_ns,
            )  # fmt: skip
