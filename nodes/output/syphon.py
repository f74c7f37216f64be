"""Syphon: textures for other programs on the same Mac (TouchDesigner's Syphon Spout In TOP, Resolume, OBS).

Written to the documentation of the package syphon-python 0.2.0; NOT RUN HERE, for want of a Mac. Whether `flipped`
must be True for a picture with its first row on top is not confirmed: those who publish NumPy pictures and see them
upright flip them. Source: github.com/cansik/syphon-python (README), SyphonMetalServer.h.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import numpy as np
from pydantic import Field, StringConstraints

from engine.errors import BadInput, EngineError
from engine.node import Node
from nodes.output.sink import Sink, SinkConfig, SinkNode, package

PACKAGE = "syphon-python"
RUN_LOOP_S = 0.001  # per picture: the server answers who looks for it from the main thread's run loop only


class SyphonSink(Sink):
    """flipped: what Syphon is told of the picture's rows."""

    def __init__(self, name: str, flipped: bool):
        self._syphon, self._objc = package("syphon", PACKAGE), package("objc", PACKAGE)
        self._raw, self._numpy = package("syphon.utils.raw", PACKAGE), package("syphon.utils.numpy", PACKAGE)
        self._name, self._flipped = name, flipped
        self._server: Any = None
        self._directory: Any = None
        self._texture: Any = None

    def open(self, width: int, height: int) -> None:
        try:
            self._server = self._syphon.SyphonMetalServer(self._name)
        except RuntimeError as error:
            raise EngineError(
                f"Syphon cannot start “{self._name}” ({error}). It needs a Mac with Metal and a user who is logged in "
                "at its screen; it is tried again."
            ) from error
        self._directory = self._syphon.SyphonServerDirectory()
        self._directory.run_loop_interval = RUN_LOOP_S
        self.resize(width, height)

    def write(self, picture: np.ndarray) -> None:
        with self._objc.autorelease_pool():  # else Metal's command buffers pile up until the process ends
            self._numpy.copy_image_to_mtl_texture(picture, self._texture)
            self._server.publish_frame_texture(self._texture, is_flipped=self._flipped)
            self._directory.update_run_loop()

    def resize(self, width: int, height: int) -> None:
        """Another texture; the server, and with it whoever receives, stays."""
        self._texture = self._raw.create_mtl_texture(self._server.device, width, height)
        if self._texture is None:
            raise EngineError(f"Metal gives no texture of {width} x {height}. Choose a smaller `size`.")

    def receivers(self) -> int:
        return int(self._server.has_clients)

    def close(self) -> None:
        if self._directory is not None:
            self._directory.close()
        if self._server is not None:
            self._server.stop()
        self._server = self._directory = self._texture = None


class Syphon(SinkNode, Node):
    """Share every picture with other programs of this Mac through Syphon (not run here)."""

    class Config(SinkConfig):
        name: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(
            "Utsushi", description="what receivers list it as; TouchDesigner lists Python:name"
        )
        flipped: bool = Field(True, description="change it if the receiver shows the picture upside down")

    def sink(self) -> Sink:
        if sys.platform != "darwin":
            raise BadInput(
                "Syphon exists on macOS only. Use output.spout on Windows, or output.ndi, which runs everywhere."
            )
        return SyphonSink(self.config.name, self.config.flipped)
