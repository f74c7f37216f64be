"""camera.pattern: numbered test pictures, where there is no camera. See nodes/camera/testcard.py."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from engine.clock import Pacer
from engine.errors import BadInput
from engine.node import Image, Node, NodeConfig
from nodes.camera import testcard

LONGEST_WAIT_S = 0.1
Side = Annotated[int, Field(ge=testcard.SMALLEST, le=16384)]


class Pattern(Node):
    """Publish test picture after test picture, (H, W, 3) uint8 BGR. `testcard.number_of` tells which one it is."""

    class Config(NodeConfig):
        size: tuple[Side, Side] = Field((1280, 720), description="[width, height] in pixels")
        fps: float = Field(30.0, gt=0, le=1000, description="pictures per second; offline there are as many as fit")
        start: int = Field(1, ge=0, le=2**62, description="the number of the first picture; the next ones count on")
        frames: int | None = Field(None, ge=1, description="how many pictures to make; left out: no end")

    outputs = {"image": Image(channels=3)}

    def setup(self) -> None:
        if self.offline and self.config.frames is None:
            raise BadInput(f"{self.name} would never end: an offline run needs `frames:`, the number of test pictures.")
        self.number = self.config.start
        self.pacer = Pacer(self.config.fps)
        if self.config.frames:
            self.expect(self.config.frames)

    def step(self) -> None:
        if self.config.frames and self.number >= self.config.start + self.config.frames:
            self.end()
            return
        if not self.offline:
            if not self.pacer.wait(LONGEST_WAIT_S):
                return
            self.pacer.advance()
        width, height = self.config.size
        with self.out.begin((height, width, 3), np.uint8, pixel_format="BGR") as slot:
            testcard.draw(slot.array, self.number)
        self.number += 1
