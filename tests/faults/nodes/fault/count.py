"""A source of numbered pictures: every byte of frame n is n % 251."""

from __future__ import annotations

import time

from pydantic import Field

from engine.node import Image, Node, NodeConfig, live


class Count(Node):
    class Config(NodeConfig):
        size: tuple[int, int] = (64, 64)
        fps: float = Field(100.0, gt=0)
        total: int = 0  # 0: for ever
        grow_at: int = 0  # from this frame on, pictures of twice the size
        gain: int = live(1, "multiplies the number")

    outputs = {"image": Image(channels=3)}

    def setup(self) -> None:
        self.number = 0
        if self.offline:
            self.expect(self.config.total)

    def step(self) -> None:
        if not self.offline:
            time.sleep(1 / self.config.fps)
        self.number += 1
        width, height = self.config.size
        scale = 2 if self.config.grow_at and self.number >= self.config.grow_at else 1
        with self.out.begin((height * scale, width * scale, 3), pixel_format="RGB") as slot:
            slot.array[:] = self.number * self.config.gain % 251
        if self.number == self.config.total:
            self.end()
