"""The shared memory of an engine without the engine: a directory and one ring, written by the engine's own code."""

from __future__ import annotations

import itertools
import os
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

from engine import layout, ring
from engine.clock import now_ns
from engine.directory import Directory, segment_name
from engine.ring_writer import RingWriter
from engine.shm import unlink

BRIDGE = Path(__file__).parent.parent / "td_bridge"
if str(BRIDGE) not in sys.path:  # TouchDesigner finds the bridge's modules by their bare names, and so do the tests
    sys.path.insert(0, str(BRIDGE))
import ring_mapping  # noqa: E402
import ring_reader  # noqa: E402
from ring_reader import RingReader  # noqa: E402

__all__ = ["BRIDGE", "FakeEngine", "RingReader", "new_name", "ring_mapping", "ring_reader"]
READY, RETIRED = layout.STATES["READY"], layout.STATES["RETIRED"]


_numbers = itertools.count()


def new_name() -> str:
    """An engine name that no other test uses."""
    return f"b{os.getpid()}-{next(_numbers)}"


def meta_offset(field: str) -> int:
    """Where a field of a frame's metadata is, from the start of its slot."""
    names = [name for name, _ in layout.META_FIELDS]
    before = layout.META_FIELDS[: names.index(field)]
    return layout.META_OFFSET + struct.calcsize("<" + "".join(code for _, code in before))


class FakeEngine:
    """Has the streams 'camera' (no ring) and 'output'. `close` takes its memory away."""

    def __init__(self, name: str, session: int = 1, capacity: int = 4096):
        self.name, self.session = name, session
        self.made: list[Any] = []
        self.directory = Directory.create(name, session, ["output"], [("camera", 0), ("output", 0)])
        self.generation = 0
        self.grow(capacity)
        self.directory["state"] = READY
        self.beat()
        self.directory.segment.publish()

    def beat(self) -> None:
        self.directory["beat_ns"] = now_ns()

    def grow(self, capacity: int) -> None:
        """A ring of another size, as the supervisor makes it; the numbers go on."""
        old = self.ring if self.made else None
        self.generation += 1
        base = {"base_seq": self.writer.head, "base_ordinal": self.writer.ordinal} if old else {}
        name = f"utsu_{self.name}_{self.generation}"
        self.ring = ring.create(name, self.session, capacity=capacity, generation=self.generation, **base)
        self.made.append(self.ring)
        self.restart_writer()
        self.directory.set_stream(1, self.ring, self.generation)
        if old:
            old.words[ring.WORD["state"]] = RETIRED
            old.unlink()

    def restart_writer(self) -> None:
        """The node has died and its successor goes on."""
        self.ring.words[ring.WORD["granted_epoch"]] += 1
        self.writer = RingWriter(self.ring, self.ring.words[ring.WORD["granted_epoch"]])

    def publish(self, value: int = 0, height: int = 2, width: int = 3, channels: int = 4, **about: Any) -> None:
        """A picture whose every row y is `value + y`, with y counted from the picture's top."""
        about = {"pixel_format": "RGBA", "row_order": "BOTTOM_UP", **about}
        with self.writer.begin((height, width, channels), about.pop("dtype", "uint8"), **about) as slot:
            rows = range(height) if about["row_order"] == "TOP_DOWN" else range(height - 1, -1, -1)
            for row, y in enumerate(rows):
                slot.array[row] = value + y

    def lie(self, field: str, *values: int) -> None:
        """Change the newest frame's metadata behind the reader's back."""
        code = dict(layout.META_FIELDS)[field].lstrip("0123456789")
        data = struct.pack(f"<{len(values)}{code}", *values)
        at = self.slot() + meta_offset(field)
        self.ring.buffer[at : at + len(data)] = data

    def slot(self) -> int:
        """Byte offset of the newest frame's slot."""
        return self.writer.geometry.slot(self.writer.head)

    def stop(self) -> None:
        self.directory["state"] = RETIRED

    def close(self) -> None:
        self.writer.close()
        unlink(segment_name(self.name))
        for segment in self.made:
            unlink(segment.name)
            segment.close()
        self.directory.close()


def rows(picture: np.ndarray | None) -> list[int]:
    """The first value of each row, as the array has them."""
    assert picture is not None
    return picture[:, 0, 0].tolist()
