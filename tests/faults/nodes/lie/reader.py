"""A reader whose ring hands out every 7th frame twice, or swaps it with the one before, or loses it on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from engine.frame import Frame
from engine.node import Every, Node, NodeConfig
from engine.stress.checker import Checker
from engine.stress.tally import Tally

EVERY = 7


class Reader(Node):
    class Config(NodeConfig):
        tally: str
        how: Literal["repeats", "goes_back", "forgets"]
        delay: float = 0.0

    inputs = {"image": Every}

    def setup(self) -> None:
        self.checker = Checker(Tally(Path(self.config.tally)))
        self.kept: list[tuple[Any, ...]] = []

    def step(self, image: Frame) -> None:
        frame = (image.array.copy(), image.seq, image.ordinal, image.publish_ns)
        lies = image.ordinal % EVERY == 0
        if lies and self.config.how == "forgets":
            return
        if lies and self.config.how == "goes_back":
            self.kept = [frame]
            return
        for one in [frame, *self.kept]:
            self.checker.see(*one, original=True)
        if lies:
            self.checker.see(*frame, original=True)
        self.kept = []
