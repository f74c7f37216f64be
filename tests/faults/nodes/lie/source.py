"""A source of numbered pictures that does not keep the rules, once in a while; the engine itself cannot see it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import numpy as np

from engine.node import Image, Node, NodeConfig
from engine.stress import pattern
from engine.stress.tally import Tally

EVERY = 7  # frames


class Source(Node):
    class Config(NodeConfig):
        tally: str
        how: Literal["torn", "repeated", "back", "miscounted"]
        size: tuple[int, int] = (64, 64)

    outputs = {"image": Image(channels=4)}

    def setup(self) -> None:
        self.tally = Tally(Path(self.config.tally))

    def step(self) -> None:
        time.sleep(0.01)
        width, height = self.config.size
        counts = self.tally.counts
        with self.out.begin((height, width, 4), np.uint8, pixel_format="RGBA") as slot:
            counts["begun"] += 1
            number = self.out.published + 1
            pattern.draw(slot.array, number)
            if number % EVERY == 0:
                match self.config.how:
                    case "torn":  # the lower half is that of another frame
                        pattern.draw(slot.array[: height // 2], number + 1)
                    case "miscounted":
                        counts["begun"] -= 1
        counts["done"] += 1 if number % EVERY or self.config.how != "miscounted" else 0
        self.tally.store()
