"""`generator.figure`: draws the people as figures, straight into the output's slot.

A style has a name and a version. What a version draws stays as it is, because generators are trained
on it; a change of the picture is a new version.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from engine.frame import Frame
from engine.node import Image, Latest, Node, NodeConfig, live
from nodes.generator.stage import Fit, on_stage

Side = Annotated[int, Field(ge=16, le=8192)]
Level = Annotated[int, Field(ge=0, le=255)]


class Figure(Node):
    """Draw the people as figures. The picture is RGBA, top down, with premultiplied alpha."""

    class Config(NodeConfig):
        size: tuple[Side, Side] = Field((512, 512), description="width and height of the picture in pixels")
        style: Literal["openpose18/1", "blazepose33/1", "body/1"] = live("body/1", "what is drawn, name/version")
        threshold: float = live(0.5, "points with a lower score are not drawn; body fades around it", ge=0, le=1)
        fit: Fit = live("contain", "contain: show the whole camera picture; cover: fill the canvas")
        mirror: bool = live(False, "show people as in a mirror")
        background: tuple[Level, Level, Level, Level] = live(
            (0, 0, 0, 0), "red, green, blue, alpha behind the figures; openpose18 is always on black"
        )
        trail: float = live(0.5, "strength of the light that the body style leaves behind", ge=0, le=1)
        stick_width: int = live(
            4, "half width of the limbs of openpose18, pixels; 4 is what ControlNet knows", ge=1, le=64
        )

    inputs = {"keypoints": Latest}
    outputs = {"image": Image(channels=4)}

    def setup(self) -> None:
        from nodes.generator.styles import blazepose33, openpose18
        from nodes.generator.styles.body import Body

        self.openpose18, self.blazepose33, self.body = openpose18, blazepose33, Body(self.config.size)

    def step(self, keypoints: Frame) -> None:
        size = width, height = self.config.size
        people = on_stage(keypoints, size, self.config.fit, self.config.mirror)
        ids = (*keypoints.ids, *range(len(keypoints.ids), len(people)))[: len(people)]
        with self.out.begin(
            (height, width, 4), np.uint8, source=keypoints, pixel_format="RGBA", canvas=size, ids=ids
        ) as slot:
            self._draw(slot.array, people, ids, keypoints.capture_ns)

    def _draw(self, canvas: np.ndarray, people: np.ndarray, ids: tuple[int, ...], time_ns: int) -> None:
        """Write all of `canvas`, (H, W, 4) uint8."""
        config = self.config
        *colour, alpha = config.background
        background = (*(level * alpha / 255 for level in colour), alpha)
        if config.style == "openpose18/1":
            _fill(canvas, self.openpose18.BACKGROUND)
            for person in people:
                self.openpose18.draw(canvas, person, config.threshold, config.stick_width)
        elif config.style == "blazepose33/1":
            _fill(canvas, background)
            for person in people:
                self.blazepose33.draw(canvas, person, config.threshold)
        else:
            self.body.draw(
                canvas, people, ids, threshold=config.threshold, trail=config.trail, background=background,
                time_ns=time_ns,
            )  # fmt: skip


def _fill(canvas: np.ndarray, rgba: tuple[float, ...]) -> None:
    """One store per pixel: NumPy fills words many times faster than groups of four bytes."""
    canvas.view(np.uint32)[:] = np.rint(rgba).astype(np.uint8).view(np.uint32)
