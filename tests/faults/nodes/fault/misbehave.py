"""Passes pictures on, until it misbehaves in the way that the config names."""

from __future__ import annotations

import sys
from typing import Literal

from engine.errors import BadInput
from engine.frame import Frame
from engine.node import Image, Latest, Node, NodeConfig, live


class Misbehave(Node):
    class Config(NodeConfig):
        how: Literal[
            "not", "bad_input", "sys_exit", "raise", "raise_once", "refuse_settings",
        ] = live("not", "what it does wrong")  # fmt: skip
        after: int = 5

    inputs = {"image": Latest}
    outputs = {"image": Image(channels=3)}

    def setup(self) -> None:
        self.steps = 0
        if self.config.how == "bad_input":
            raise BadInput("There is no such thing. Choose another.")

    def configured(self) -> None:
        if self.config.how == "refuse_settings":
            raise ValueError("as the test wished")

    def step(self, image: Frame) -> None:
        self.steps += 1
        assert (image.array == image.array[0, 0, 0]).all(), "torn"
        first_life = image.source.seq < 1000 and self.out.ring.epoch == 1
        if self.steps > self.config.after:
            self._misbehave(first_life)
        with self.out.begin(image.shape, image.dtype, source=image, pixel_format="RGB") as slot:
            slot.array[:] = image.array

    def _misbehave(self, first_life: bool) -> None:
        match self.config.how:
            case "sys_exit" if first_life:
                sys.exit("as the test wished")
            case "raise":
                raise ValueError("as the test wished")
            case "raise_once" if self.steps == self.config.after + 1:
                raise ValueError("as the test wished")
