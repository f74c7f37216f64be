"""TouchDesigner's own Shared Mem In TOP: Windows, and no Python in TouchDesigner."""

from __future__ import annotations

import sys
from typing import Literal

from pydantic import Field

from engine.errors import BadInput
from engine.frame import Frame
from engine.node import Node
from nodes.output.sink import Sink, SinkConfig, SinkNode
from nodes.output.touch_shm import TouchSender


class SharedMem(SinkNode, Node):
    """Send every picture to the Shared Mem In TOPs of that name; their Shared Mem Type is Local."""

    class Config(SinkConfig):
        name: str = Field("utsushi", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="the TOP's Shared Mem Name")
        row_order: Literal["bottom_up", "top_down"] = Field(
            "bottom_up",
            description="which row comes first; turn it round if TouchDesigner shows the picture upside down",
        )
        pixel_format: Literal["rgba8", "bgra8", "rgba8_srgb", "bgra8_srgb"] = Field(
            "rgba8",
            description="rgba or bgra: turn it round if red and blue are swapped; _srgb: if it looks too bright",
        )
        info: Literal["both", "double", "single"] = Field(
            "both", description="how often the prefix stands in the info block's name; one of them, if both confuse"
        )

    sender: TouchSender

    def sink(self) -> Sink:
        if sys.platform != "win32":
            raise BadInput(
                "TouchDesigner's Shared Mem In TOP can be fed on Windows only. "
                "Use output.touchdesigner with the Script TOP, or on macOS output.syphon."
            )
        from nodes.output import named_windows

        config = self.config
        self.sender = TouchSender(
            config.name, named_windows, info=config.info, row_order=config.row_order, pixel_format=config.pixel_format
        )
        return self.sender

    def step(self, image: Frame) -> None:
        super().step(image)
        self.metric("receiver", self.sender.answered)
