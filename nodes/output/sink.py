"""What shows pictures to other programs: one small interface, and the node that feeds it.

A sink is any way out of the engine that is opened at a size and then given pictures (Spout, Syphon, NDI, a foreign
shared memory, a window). It knows nothing of frames, configs or retries; `SinkNode` knows nothing of what is behind it:

    class Spout(SinkNode, Node):
        "Send every picture through Spout."
        class Config(SinkConfig):
            name: str = "Utsushi"

        def sink(self) -> Sink:
            return SpoutSink(self.config.name)
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from engine import node
from engine.clock import now_ns
from engine.errors import BadInput, EngineError, Unrecoverable
from engine.frame import Frame
from engine.node import Latest, NodeConfig, live
from nodes.camera.backoff import Backoff
from nodes.output.pixels import pixels

Side = Annotated[int, Field(ge=16, le=16384)]


class Sink:
    """Where pictures go. Every method may raise `EngineError` with a sentence: the node then closes the sink and
    opens it again later. None may wait for the other side."""

    pixel_format: Literal["RGBA", "BGRA"] = "RGBA"
    row_order: Literal["TOP_DOWN", "BOTTOM_UP"] = "TOP_DOWN"

    def open(self, width: int, height: int) -> None:
        """Begin, at this size in pixels. Called again after `close`, when something failed."""
        raise NotImplementedError

    def write(self, picture: np.ndarray) -> None:
        """Show (height, width, 4) uint8, C-contiguous, in this sink's pixel format and row order.

        The array is the caller's and changes after the call."""
        raise NotImplementedError

    def resize(self, width: int, height: int) -> None:
        """The pictures that follow have another size."""
        self.close()
        self.open(width, height)

    def close(self) -> None:
        """Let go of everything. Also called when `open` failed, and twice."""

    def receivers(self) -> int | None:
        """How many programs take the pictures (or just whether one does); None where the sink cannot tell."""
        return None


class SinkConfig(NodeConfig):
    size: tuple[Side, Side] | None = Field(
        None, description="[width, height] in pixels; left out: that of the pictures, also when it changes"
    )
    fit: Literal["contain", "cover", "stretch"] = live(
        "contain", "a picture of other proportions is shown whole (contain), fills it (cover) or is distorted (stretch)"
    )


# Spelt node.Node, because a file that has a class with the base `Node` counts as a node type.
class SinkNode(node.Node):
    """Give every picture, of any size, pixel format and row order, to a sink.

    A sink that fails never ends the node: it is degraded with the sink's sentence, and tries again with the newest
    picture after 0.25 s, then after twice as long, up to 5 s. What is no picture is left out, with a sentence.
    """

    inputs = {"image": Latest}

    def sink(self) -> Sink:
        """Make the sink, not opened yet. Raises `BadInput` for what no waiting mends, such as a missing package."""
        raise NotImplementedError

    def setup(self) -> None:
        import cv2

        from nodes.output.fit import fit_rgba

        self._fit_rgba, self._cv2 = fit_rgba, cv2
        self._sink: Sink = self.sink()
        self._size: tuple[int, int] | None = None  # (width, height) at which the sink is open
        self._buffers = [np.empty((0, 0, 4), np.uint8)]
        self._backoff, self._retry_ns = Backoff(), 0

    def step(self, image: Frame) -> None:
        if now_ns() < self._retry_ns:
            return
        try:
            picture = self._picture(image)
        except ValueError as error:
            self.troubled(str(error))
            return
        try:
            self._show(picture)
        except Unrecoverable:
            raise
        except EngineError as error:
            self._close()
            self._retry_ns = now_ns() + self._backoff.next_ns()
            self.troubled(str(error))
            return
        self._backoff.reset()
        self.troubled(None)

    def close(self) -> None:
        if hasattr(self, "_sink"):  # else setup has failed
            self._close()

    def _picture(self, image: Frame) -> np.ndarray:
        """The picture as the sink takes it, in an array of our own. Raises ValueError for what is no picture."""
        width, height = self.config.size or pixels(image).shape[1::-1]
        if self._buffers[0].shape != (height, width, 4):
            self._buffers = [np.empty((height, width, 4), np.uint8) for _ in range(2)]
        picture, other = self._buffers
        self._fit_rgba(image, self.config.fit, picture)
        if self._sink.pixel_format == "BGRA":
            self._cv2.cvtColor(picture, self._cv2.COLOR_RGBA2BGRA, dst=other)
            picture, other = other, picture
        if self._sink.row_order == "BOTTOM_UP":
            self._cv2.flip(picture, 0, dst=other)
            picture = other
        return picture

    def _show(self, picture: np.ndarray) -> None:
        size = picture.shape[1], picture.shape[0]
        if self._size is None:
            self._sink.open(*size)
            self.log.info("Pictures of %d x %d go out.", *size)
        elif self._size != size:
            self._sink.resize(*size)
        self._size = size
        self._sink.write(picture)
        if (receivers := self._sink.receivers()) is not None:
            self.metric("receivers", receivers)

    def _close(self) -> None:
        self._size = None
        try:
            self._sink.close()
        except EngineError as error:
            self.log.warning("%s", error)


def package(module: str, name: str) -> Any:
    """Import `module` of the optional package `name`. Raises `BadInput` that says how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise BadInput(
            f"This output needs the Python package {name}, which cannot be imported ({error}). "
            f"Install it in Utsushi's .venv: python -m pip install {name}"
        ) from None
