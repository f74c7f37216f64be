"""A depth camera that looks down into a room with a floor, a wall and a person; see tests/metric_kit.py."""

from __future__ import annotations

import time

import numpy as np
from metric_kit import FLOOR, LENS, PERSON, WALL, room

from engine.node import Depth, Image, Node, NodeConfig, Port

SIZE = (320, 240)
EYE = LENS._replace(fx=190.0, fy=190.0, cx=159.5, cy=119.5)


class Room(Node):
    class Config(NodeConfig):
        floor: bool = True
        colour: bool = True
        lens: bool = True
        pitch: float = 20.0
        height: float = 1.7
        total: int = 0  # 0: for ever; then silence

    outputs = {"image": Image(channels=3), "depth": Depth()}

    @classmethod
    def outputs_of(cls, config: Config) -> dict[str, Port]:
        return cls.outputs if config.colour else {"depth": Depth()}

    def setup(self) -> None:
        boxes = [FLOOR, WALL, PERSON] if self.config.floor else [WALL, PERSON]
        self.depths = [
            room(
                boxes,
                self.config.pitch,
                height=self.config.height,
                noise=0.003,
                holes=0.05,
                lens=EYE,
                size=SIZE,
                seed=seed,
            )
            for seed in range(4)
        ]
        self.number = 0

    def step(self) -> None:
        time.sleep(0.02)
        if self.config.total and self.number >= self.config.total:
            return
        depth = self.depths[self.number % 4][..., None]
        self.number += 1
        for name, out in self.outs.items():
            about = {"pixel_format": "BGR"} if name == "image" else {"pixel_format": "DEPTH"}
            lens = EYE._replace(metres=0.001 if name == "depth" else 0.0) if self.config.lens else None
            shape, dtype = ((240, 320, 3), np.uint8) if name == "image" else ((240, 320, 1), np.uint16)
            with out.begin(shape, dtype, lens=lens, **about) as slot:
                slot.array[:] = depth if name == "depth" else np.clip(depth // 20, 0, 255).astype(np.uint8)
