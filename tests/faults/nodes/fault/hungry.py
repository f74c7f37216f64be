"""Passes on its batch as a picture, until it meets the end of a machine that carries `fits` at once."""

from __future__ import annotations

from typing import Literal

from engine.errors import DeviceFailed, OutOfMemory
from engine.frame import Frame
from engine.node import Image, Latest, Node, NodeConfig, live


class Hungry(Node):
    class Config(NodeConfig):
        batch: int = live(4, "what it asks of the machine")
        fits: int = live(4, "what the machine has")
        ends: Literal["out_of_memory", "device_failed", "memory_error"] = "out_of_memory"
        after: int = 5  # steps; 0: in setup

    inputs = {"image": Latest}
    outputs = {"image": Image(channels=3)}
    profiles = ({"batch": 2}, {"batch": 1})

    def setup(self) -> None:
        self.steps = 0
        if not self.config.after:
            self._ask()

    def step(self, image: Frame) -> None:
        self.steps += 1
        if self.steps > self.config.after:
            self._ask()
        with self.out.begin(image.shape, image.dtype, source=image, pixel_format="RGB") as slot:
            slot.array[:] = self.config.batch

    def _ask(self) -> None:
        if self.config.batch <= self.config.fits:
            return
        match self.config.ends:
            case "out_of_memory":
                raise OutOfMemory("The graphics card is full. Choose a smaller batch.")
            case "device_failed":
                raise DeviceFailed("The graphics card fell off. Look at its cables.")
            case "memory_error":
                raise MemoryError
