"""stress.relay: looks at every picture that it gets, and passes it on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from engine.frame import Frame
from engine.node import Every, Image, Node, NodeConfig
from engine.stress.checker import Checker
from engine.stress.tally import Tally


class Relay(Node):
    """Check like stress.reader; then copy the picture into a slot of its own stream, torn or not."""

    class Config(NodeConfig):
        tally: str = Field(description="the file to count in")
        size: tuple[int, int] = Field((64, 64), description="[width, height] in pixels that the ring begins with")

    inputs = {"image": Every}
    outputs = {"image": Image(channels=4)}

    def setup(self) -> None:
        self.tally = Tally(Path(self.config.tally))
        self.checker = Checker(self.tally)

    def step(self, image: Frame) -> None:
        self.checker.see(image.array, image.seq, image.ordinal, image.publish_ns, original=not image.sources)
        counts = self.tally.counts
        with self.out.begin(image.shape, image.dtype, source=image, pixel_format=image.pixel_format) as slot:
            counts["begun"] += 1
            self.tally.store()
            np.copyto(slot.array, image.array)
        counts["done"] += 1
        self.tally.store()
