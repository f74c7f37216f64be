"""camera.performer: a dancer whose every joint is known, where there is no camera. See nodes/camera/painter/."""

from __future__ import annotations

from typing import Annotated
from zipfile import BadZipFile

import numpy as np
from pydantic import Field

from engine.clock import Pacer, now_ns, wall_ns
from engine.errors import BadInput
from engine.node import Image, Keypoints, Node, NodeConfig
from nodes.layouts import BLAZEPOSE_33

LONGEST_WAIT_S = 0.1
Side = Annotated[int, Field(ge=32, le=4096)]


class Performer(Node):
    """Publish pictures of a dance, (H, W, 3) uint8 BGR, and the exact keypoints of each, (1, 33, 4) float32."""

    class Config(NodeConfig):
        size: tuple[Side, Side] = Field(
            (512, 512),
            description="[width, height] in pixels; a wide picture shows more of the stage, a narrow one less",
        )
        fps: float = Field(30.0, gt=0, le=1000, description="pictures per second; offline there are as many as fit")
        seed: int = Field(0, ge=0, le=2**62, description="which dance; each goes on for ever")
        absent: float = Field(0.0, ge=0, description="seconds that the stage is empty before the dance begins")
        frames: int | None = Field(None, ge=1, description="how many pictures there are; left out: no end")

    outputs = {"image": Image(channels=3), "keypoints": Keypoints(points=len(BLAZEPOSE_33))}

    def setup(self) -> None:
        from nodes.camera.painter.show import Show

        config, (width, height) = self.config, self.config.size
        if self.offline and config.frames is None:
            raise BadInput(f"{self.name} would never end: an offline run needs `frames:`, the number of pictures.")
        try:
            self.show = Show(width, height, config.fps, config.seed, config.absent)
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise BadInput(f"The performer cannot be loaded: {error}. Fetch the folder assets again.") from None
        self.number = 0
        self.pacer = Pacer(config.fps)
        if config.frames:
            self.expect(config.frames)

    def step(self) -> None:
        if self.config.frames and self.number >= self.config.frames:
            self.end()
            return
        passed = 1
        if not self.offline:
            if not self.pacer.wait(LONGEST_WAIT_S):
                return
            due_ns = self.pacer.next_ns
            self.pacer.advance()
            passed = (self.pacer.next_ns - due_ns) // self.pacer.period_ns  # when late, the dance keeps time
        self._publish()
        self.number += passed

    def _publish(self) -> None:
        """Both outputs with one capture time; the keypoints come first, so that they are there when the picture is."""
        width, height = self.config.size
        times = {"capture_ns": now_ns(), "capture_wall_ns": wall_ns()}
        with self.outs["image"].begin((height, width, 3), np.uint8, pixel_format="BGR", **times) as image:
            points = self.show.draw(image.array, self.number)
            with self.outs["keypoints"].begin(
                points.shape,
                points.dtype,
                pixel_format="KEYPOINTS",
                canvas=(width, height),
                ids=(1,) * len(points),
                **times,
            ) as keypoints:
                np.copyto(keypoints.array, points)
