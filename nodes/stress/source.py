"""stress.source: numbered pictures whose number stands in every 8 bytes of them. See engine/stress/pattern.py."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from engine.clock import Pacer
from engine.node import Image, Node, NodeConfig, live
from engine.stress import pattern
from engine.stress.tally import Tally

LONGEST_WAIT_S = 0.05
Side = Annotated[int, Field(ge=2, le=16384)]


class Source(Node):
    """Publish picture after picture, (H, W, 4) uint8 RGBA, written in place; its number is the frame's ordinal."""

    class Config(NodeConfig):
        tally: str = Field(description="the file to count in")
        size: list[Side] = live([64, 64], "width (even) and height", unit="pixels", min_length=2, max_length=2)
        fps: float = Field(60.0, ge=0, le=100_000, description="pictures per second; 0: as quickly as it goes")
        frames: int = Field(0, ge=0, description="how many pictures to publish in all; 0: no end")

    outputs = {"image": Image(channels=4)}

    def setup(self) -> None:
        pattern.require_size(*self.config.size)
        self.tally = Tally(Path(self.config.tally))
        self.pacer = Pacer(self.config.fps) if self.config.fps else None

    def configured(self) -> None:
        pattern.require_size(*self.config.size)

    def step(self) -> None:
        counts = self.tally.counts
        if self.config.frames and self.out.published >= self.config.frames:
            if counts["number"] != self.out.published:  # a predecessor died with the last one
                counts["number"] = self.out.published
                self.tally.store()
            time.sleep(LONGEST_WAIT_S)
            return
        if self.pacer is not None:
            if not self.pacer.wait(LONGEST_WAIT_S):
                return
            self.pacer.advance()
        width, height = self.config.size
        with self.out.begin((height, width, 4), np.uint8, pixel_format="RGBA") as slot:
            counts["begun"] += 1
            self.tally.store()
            pattern.draw(slot.array, self.out.published + 1)
        counts["done"] += 1
        counts["number"] = self.out.published
        self.tally.store()
