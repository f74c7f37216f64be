"""stress.reader: looks at every picture that it gets. See engine/stress/checker.py."""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import Field

from engine.frame import Frame
from engine.node import Every, Node, NodeConfig, live
from engine.stress.checker import Checker
from engine.stress.tally import Tally


class Reader(Node):
    """Count torn, repeated, reordered, missed and lost frames; with a `delay`, slowly."""

    class Config(NodeConfig):
        tally: str = Field(description="the file to count in")
        delay: float = live(0.0, "how long to sit on each picture", unit="s", ge=0, le=60)

    inputs = {"image": Every}

    def setup(self) -> None:
        self.checker = Checker(Tally(Path(self.config.tally)))

    def step(self, image: Frame) -> None:
        self.checker.see(image.array, image.seq, image.ordinal, image.publish_ns, original=not image.sources)
        if self.config.delay:
            time.sleep(self.config.delay)
