"""Publishes one person who stands still, as a pose node would."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from engine.node import Keypoints, Node, NodeConfig


class People(Node):
    class Config(NodeConfig):
        fps: float = 30

    outputs = {"keypoints": Keypoints(points=33)}
    paced = True

    def setup(self) -> None:
        sys.path.append(str(Path(__file__).resolve().parents[3]))
        from people import CANVAS, standing

        self.person, self.canvas = standing()[None], CANVAS

    def step(self) -> None:
        with self.out.begin(
            self.person.shape, np.float32, pixel_format="KEYPOINTS", canvas=self.canvas, ids=[1]
        ) as slot:
            slot.array[:] = self.person
