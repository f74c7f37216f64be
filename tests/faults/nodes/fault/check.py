"""Reads pictures and writes down what it saw: `seq epoch value` a line."""

from __future__ import annotations

from pathlib import Path

from engine.frame import Frame
from engine.node import Every, Node, NodeConfig


class Check(Node):
    class Config(NodeConfig):
        path: str
        delay: float = 0

    inputs = {"image": Every}

    def setup(self) -> None:
        self.file = open(Path(self.config.path), "a", encoding="utf-8")  # noqa: SIM115  (closed in close)

    def step(self, image: Frame) -> None:
        if self.config.delay:
            import time

            time.sleep(self.config.delay)
        value = int(image.array.flat[0])
        torn = int((image.array != value).any())
        print(image.seq, image.epoch, value, torn, image.param_version, file=self.file, flush=True)

    def close(self) -> None:
        self.file.close()
