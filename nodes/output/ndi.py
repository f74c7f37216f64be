"""NDI: pictures over the local network, to any program that takes NDI (TouchDesigner's NDI In TOP, OBS, Resolume).

The package cyndilib brings the NDI library along. NDI compresses: colour at half the width, a little loss, alpha kept;
of an odd side it drops the last row or column, so that is repeated.
Source: cyndilib.readthedocs.io (Sender, VideoSendFrame).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any

import numpy as np
from pydantic import Field, StringConstraints

from engine.errors import EngineError
from engine.node import Node
from nodes.output.pixels import even_sided
from nodes.output.sink import Sink, SinkConfig, SinkNode, package


class NdiSink(Sink):
    def __init__(self, name: str, fps: float):
        sender, video, structs = (
            package(f"cyndilib.{part}", "cyndilib") for part in ("sender", "video_frame", "wrapper.ndi_structs")
        )
        self._name, self._rgba, self._frame_class = name, structs.FourCC.RGBA, video.VideoSendFrame
        self._rate = Fraction(fps).limit_denominator(1001)
        # Without a clock: a picture goes out when it is there. With one, `write` would wait.
        self._sender: Any = sender.Sender(name, clock_video=False, clock_audio=False)

    def open(self, width: int, height: int) -> None:
        frame = self._frame_class()
        frame.set_resolution(width + width % 2, height + height % 2)
        frame.set_frame_rate(self._rate)
        frame.set_fourcc(self._rgba)
        try:
            self._sender.set_video_frame(frame)
            self._sender.open()
        except Exception as error:  # MemoryError, too, is what cyndilib raises when NDI gives no sender
            raise EngineError(
                f"NDI cannot send as “{self._name}” ({str(error) or type(error).__name__}). "
                "Close what else sends by that name, or choose another `name`; it is tried again."
            ) from error

    def write(self, picture: np.ndarray) -> None:
        if not self._sender.write_video(even_sided(picture).reshape(-1)):
            raise EngineError(f"The NDI sender “{self._name}” has closed; it is opened again.")

    def receivers(self) -> int:
        return self._sender.get_num_connections(0)

    def close(self) -> None:
        self._sender.close()


class Ndi(SinkNode, Node):
    """Send every picture over the local network with NDI."""

    class Config(SinkConfig):
        name: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(
            "Utsushi", description="what receivers list it as: MACHINE (name)"
        )
        fps: float = Field(60.0, gt=0, le=240, description="the rate told to receivers; pictures go out as they come")

    def sink(self) -> Sink:
        return NdiSink(self.config.name, self.config.fps)
