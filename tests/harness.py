"""Run one node without an engine: its outputs are kept in memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from engine.clock import now_ns, wall_ns
from engine.frame import Flags, Frame, Lens
from engine.node import Node


class Capture:
    """Stands in for engine.stream.StreamWriter: same `begin`, but the frames go into a list."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.ended = False
        self.has_room = True
        self.memory = np.zeros(1 << 20, np.uint8)

    def end(self) -> None:
        self.ended = True

    @contextmanager
    def begin(
        self,
        shape: Sequence[int],
        dtype: Any = np.uint8,
        *,
        source: Frame | Sequence[Frame] = (),
        capture_ns: int | None = None,
        capture_wall_ns: int | None = None,
        pixel_format: str = "NONE",
        row_order: str = "TOP_DOWN",
        canvas: tuple[int, int] = (0, 0),
        ids: Sequence[int] = (),
        lens: Lens | None = None,
        flags: int = 0,
    ) -> Iterator[Any]:
        slot = SimpleNamespace(
            array=np.full(shape, 77, dtype), flags=flags
        )  # a used slot holds an older frame's pixels
        yield slot
        sources = (source,) if isinstance(source, Frame) else tuple(source)
        captured = min((s.capture_ns for s in sources), default=now_ns()) if capture_ns is None else capture_ns
        number = len(self.frames) + 1
        self.frames.append(
            Frame(
                slot.array,
                number,
                1,
                number,
                captured,
                capture_wall_ns or wall_ns(),
                now_ns(),
                0,
                Flags(slot.flags),
                pixel_format,
                row_order,
                canvas,
                tuple(ids),
                tuple(s.source for s in sources),
                lens=lens,
            )  # fmt: skip
        )


class Garbage(Capture):
    """Hands out slots that hold one value."""

    def __init__(self, value: int) -> None:
        super().__init__()
        self.value = value

    @contextmanager
    def begin(self, *args: Any, **meta: Any) -> Iterator[Any]:
        with super().begin(*args, **meta) as slot:
            slot.array[:] = self.value
            yield slot


def make(
    node_class: type[Node], *, offline: bool = False, setup: bool = True, reads: Sequence[str] = (), **settings: Any
) -> Any:
    """A node, set up as the worker would, with `node.frames` as what it published.

    reads: its inputs' names, where it gathers others than the ones it declares."""
    node = node_class()
    node.config = node_class.Config(**settings)
    node.name, node.offline, node.log = "node", offline, logging.getLogger("node")
    node.reads = tuple(reads or node_class.inputs)
    node.outs = {port: Capture() for port in node_class.outputs_of(node.config)}  # type: ignore[misc]
    node.complaints = []  # type: ignore[attr-defined]
    node.degraded = lambda why: why in node.complaints[-1:] or node.complaints.append(why)  # type: ignore[attr-defined, method-assign]
    node.recovered = node.complaints.clear  # type: ignore[attr-defined, method-assign]
    node.metrics = {}  # type: ignore[attr-defined]
    node.metric = node.metrics.__setitem__  # type: ignore[attr-defined, method-assign]
    node.events = []  # type: ignore[attr-defined]
    node.event = lambda *event: node.events.append(event)  # type: ignore[attr-defined, method-assign]
    ended: list[bool] = []
    node.end = lambda: ended.append(True)  # type: ignore[method-assign]
    node.ended = ended  # type: ignore[attr-defined]
    if node.outs:
        node.frames = next(iter(node.outs.values())).frames  # type: ignore[attr-defined]
    if setup:
        node.setup()
    return node


def frame(array: np.ndarray, seq: int = 1, **meta: Any) -> Frame:
    """A frame as a reader would hand it over."""
    now = now_ns()
    values: dict[str, Any] = {
        "epoch": 1, "ordinal": seq, "capture_ns": now, "capture_wall_ns": wall_ns(), "publish_ns": now, **meta,
    }  # fmt: skip
    return Frame(array, seq, **values)
