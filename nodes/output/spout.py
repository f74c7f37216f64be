"""Spout: textures for other programs on the same Windows machine (TouchDesigner's Syphon Spout In TOP, Resolume, OBS).

Written to the documentation of the package SpoutGL 0.1.1 and of the Spout SDK; NOT RUN HERE, for want of a Windows
machine with a graphics card. (Under Wine 8 the package takes these calls, and no receiver connects.) Its arguments have
no names and stand for: sendImage(pixels, width, height, GL format, invert, host FBO).
Source: github.com/jlai/Python-SpoutGL (examples/image/sender.py), leadedge.github.io/spout-docs.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import numpy as np
from pydantic import Field, StringConstraints

from engine.errors import BadInput, EngineError
from engine.node import Node
from nodes.output.sink import Sink, SinkConfig, SinkNode, package

GL_RGBA = 0x1908
NO_FBO = 0


class SpoutSink(Sink):
    """invert: turn the picture upside down on its way, should a receiver show it so."""

    def __init__(self, name: str, invert: bool):
        self._module = package("SpoutGL", "SpoutGL")
        self._name, self._invert = name, invert
        self._sender: Any = None

    def open(self, width: int, height: int) -> None:
        self._sender = self._module.SpoutSender()
        if not self._sender.createOpenGL():  # a hidden window's context; Spout does nothing without one
            raise EngineError(
                "Spout gets no OpenGL context from this machine's graphics driver. Install the driver of the card's "
                "maker, and do not run the engine as a service or over Remote Desktop; it is tried again."
            )
        self._sender.setSenderName(self._name)

    def write(self, picture: np.ndarray) -> None:
        height, width = picture.shape[:2]
        if not self._sender.sendImage(picture, width, height, GL_RGBA, self._invert, NO_FBO):
            raise EngineError(
                f"Spout does not take the picture for “{self._name}”. Let the engine and the receiver run on the same "
                "graphics card (Windows settings, Display, Graphics); it is tried again."
            )

    def resize(self, width: int, height: int) -> None:
        """Nothing to do: sendImage follows the size, and receivers stay connected."""

    def close(self) -> None:
        if self._sender is not None:
            self._sender.releaseSender()
            self._sender.closeOpenGL()
            self._sender = None


class Spout(SinkNode, Node):
    """Share every picture with other programs of this Windows machine through Spout (not run here)."""

    class Config(SinkConfig):
        name: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern="^[ -~]+$")] = Field(
            "Utsushi", description="what receivers list it as; ASCII"
        )
        invert: bool = Field(False, description="turn upside down, if the receiver shows it so")

    def sink(self) -> Sink:
        if sys.platform != "win32":
            raise BadInput(
                "Spout exists on Windows only. Use output.syphon on macOS, or output.ndi, which runs everywhere."
            )
        return SpoutSink(self.config.name, self.config.invert)
