"""A relay that passes every 7th picture on twice, or an older one in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from engine.frame import Frame
from engine.node import Every, Image, Node, NodeConfig
from engine.stress.checker import Checker
from engine.stress.tally import Tally

EVERY = 7


class Relay(Node):
    class Config(NodeConfig):
        tally: str
        how: Literal["repeats", "goes_back"]
        size: tuple[int, int] = (64, 64)

    inputs = {"image": Every}
    outputs = {"image": Image(channels=4)}

    def setup(self) -> None:
        self.tally = Tally(Path(self.config.tally))
        self.checker = Checker(self.tally)
        self.older: list[np.ndarray] = []

    def step(self, image: Frame) -> None:
        self.checker.see(image.array, image.seq, image.ordinal, image.publish_ns, original=True)
        self.older = [*self.older[-2:], image.array.copy()]
        lies = image.ordinal % EVERY == 0 and len(self.older) == 3
        self.publish(image, self.older[0] if lies and self.config.how == "goes_back" else image.array)
        if lies and self.config.how == "repeats":
            self.publish(image, image.array)

    def publish(self, image: Frame, array: np.ndarray) -> None:
        with self.out.begin(image.shape, image.dtype, source=image, pixel_format=image.pixel_format) as slot:
            np.copyto(slot.array, array)
        self.tally.counts["begun"] += 1
        self.tally.counts["done"] += 1
        self.tally.store()
