"""A source of numbered pictures that breaks a rule with every 7th; the engine itself cannot see it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import numpy as np

from engine.node import Image, Node, NodeConfig
from engine.stress import pattern
from engine.stress.tally import Tally

EVERY = 7


class Source(Node):
    class Config(NodeConfig):
        tally: str
        how: Literal["torn", "forgets"]
        size: tuple[int, int] = (64, 64)
        fps: float = 60.0
        frames: int = 0

    outputs = {"image": Image(channels=4)}

    def setup(self) -> None:
        self.tally = Tally(Path(self.config.tally))

    def step(self) -> None:
        time.sleep(1 / self.config.fps)
        width, height = self.config.size
        with self.out.begin((height, width, 4), np.uint8, pixel_format="RGBA") as slot:
            number = self.out.published + 1
            pattern.draw(slot.array, number)
            if number % EVERY == 0 and self.config.how == "torn":
                pattern.draw(slot.array[: height // 2], number - 1)
        if number % EVERY or self.config.how != "forgets":
            self.tally.counts["begun"] += 1
            self.tally.counts["done"] += 1
            self.tally.counts["number"] = self.out.published
            self.tally.store()
