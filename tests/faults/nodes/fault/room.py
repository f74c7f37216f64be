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
        depth: bool = True
        lens: bool = True
        pitch: float = 20.0
        height: float = 1.7
        total: int = 0  # 0: for ever; then silence
        halve_at: int = 0  # from this picture on, a half as large

    outputs = {"image": Image(channels=3), "depth": Depth()}

    @classmethod
    def outputs_of(cls, config: Config) -> dict[str, Port]:
        asked = {"image": config.colour, "depth": config.depth}
        return {name: port for name, port in cls.outputs.items() if asked[name]}

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
        step = 2 if self.config.halve_at and self.number >= self.config.halve_at else 1
        depth = self.depths[self.number % 4][::step, ::step, None]
        lens = EYE._replace(fx=190.0 / step, fy=190.0 / step, cx=159.5 / step, cy=119.5 / step)
        self.number += 1
        for name, out in self.outs.items():
            kind = "DEPTH" if name == "depth" else "BGR"
            seen = lens._replace(metres=0.001 if name == "depth" else 0.0) if self.config.lens else None
            made = depth if name == "depth" else np.clip(depth // 20, 0, 255).astype(np.uint8).repeat(3, 2)
            with out.begin(made.shape, made.dtype, lens=seen, pixel_format=kind) as slot:
                slot.array[:] = made
