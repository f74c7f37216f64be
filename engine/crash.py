"""A rehearsal of the worst: a node that kills itself in the middle of the protocol.

    UTSUSHI_CRASH_AT=camera:K2:40,pose:K7:100 python3 run_engine.py

Each NAME:POINT:FRAME kills one process once, as `kill -9` would: at K0 to K6 the writer of the stream NAME, in that
frame; at K7 the node NAME, while it copies that frame or the next one that it reads. Only the environment of the
engine's own process can ask for it, no config and no message. Without the variable the writers and readers are the
plain ones, and nothing of this is on the path of a frame.

    K0  after ANNOUNCE (W6), before the next BEGIN     K4  before COMMIT (W4)
    K1  after BEGIN (W2)                               K5  after COMMIT, before PUBLISH (W5)
    K2  in the middle of the payload (W3)              K6  after PUBLISH, before ANNOUNCE
    K3  after the metadata (W3)                        K7  in the middle of a copy (R3)
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import psutil

from engine.errors import BadInput
from engine.ring import WORD
from engine.ring_writer import Slot
from engine.stream import StreamReader, StreamWriter

VARIABLE = "UTSUSHI_CRASH_AT"
FORM = re.compile(r"\s*(?P<name>[^:,\s]+):(?P<point>K[0-7]):(?P<frame>[0-9]{1,12})\s*")
POISON = b"\xa5\x5a"  # half a payload of it at K2: whoever sees it was shown a frame that was never finished
HEAD = WORD["head"]


class Death(NamedTuple):
    name: str
    point: str
    frame: int

    def come(self) -> None:
        print(f"{VARIABLE}: {self.name} dies at {self.point} of frame {self.frame}", file=sys.stderr, flush=True)
        psutil.Process().kill()


def require_known(nodes: Iterable[str], streams: Iterable[str]) -> None:
    """Raises `BadInput` when the environment names somebody whom this engine has not: he would never die."""
    known = {"K7": list(nodes)}
    for death in planned():
        if death.name not in (names := known.get(death.point, streams)):
            raise BadInput(f"{VARIABLE} names {death.name!r}. At {death.point} it must be one of: {', '.join(names)}.")


def stream_types(node: str) -> tuple[Callable[..., StreamReader], Callable[..., StreamWriter]]:
    """What a node reads and writes with. Raises `BadInput`."""
    deaths = planned()
    return (partial(Reader, node, deaths), partial(Writer, deaths)) if deaths else (StreamReader, StreamWriter)


def planned() -> set[Death]:
    """What the environment asks for. Raises `BadInput` when it makes no sense."""
    deaths = set()
    for part in filter(None, os.environ.get(VARIABLE, "").split(",")):
        found = FORM.fullmatch(part)
        if not found:
            raise BadInput(f"{VARIABLE} says {part[:80]!r}. Write NAME:POINT:FRAME, such as camera:K2:40.")
        deaths.add(Death(found["name"], found["point"], int(found["frame"])))
    return deaths


class Writer(StreamWriter):
    """A `StreamWriter` that dies as planned. The ring's own code runs; what it stores into is watched."""

    def __init__(self, deaths: set[Death], *how: Any):
        self._deaths = deaths
        super().__init__(*how)

    def _attach(self) -> None:
        super()._attach()
        self._name = self._directory.stream(self._row).name
        self._frame = 0  # the one being written
        ring, announce = self.ring, self.ring.ring

        def announced() -> None:
            self._at("K6")
            announce()
            self._at("K0")

        ring.ring = announced  # type: ignore[method-assign]
        ring._words = Watched(ring._words, self._before, self._after)  # type: ignore[assignment]
        metadata = Watched(ring.segment.buffer, lambda *_: None, lambda *_: self._at("K3"))
        ring.segment.buffer = metadata  # type: ignore[assignment]

    def begin(self, shape: Any, dtype: Any = "uint8", **about: Any) -> Slot:
        slot = super().begin(shape, dtype, **about)
        if (self._name, "K2", self._frame) in self._deaths:
            payload = slot.array.reshape(-1).view(np.uint8)
            payload[: payload.size // 2] = np.resize(np.frombuffer(POISON, np.uint8), payload.size // 2)
            self._at("K2")
        return slot

    def _before(self, index: int, value: int) -> None:
        if index == HEAD:
            self._at("K5")
        elif value == 2 * self._frame:
            self._at("K4")

    def _after(self, index: int, value: int) -> None:
        if value % 2 and index == self.ring.geometry.slot((value + 1) >> 1) >> 3:
            self._frame = (value + 1) >> 1
            self._at("K1")

    def _at(self, point: str) -> None:
        if (death := Death(self._name, point, self._frame)) in self._deaths:
            death.come()


class Reader(StreamReader):
    """A `StreamReader` that dies as planned, but never in a life's first copy: that may be the same frame again."""

    def __init__(self, node: str, deaths: set[Death], *how: Any):
        self._deaths = sorted(death for death in deaths if death[:2] == (node, "K7"))
        self._copies = 0
        super().__init__(*how)

    def _attach(self) -> None:
        super()._attach()
        ring, take, copied = self.ring, self.ring._take, self.ring._copied

        def taking(seq: int, copy: bool) -> Any:
            self._seq = seq
            return take(seq, copy)

        def copying(view: np.ndarray) -> np.ndarray:
            self._copies += 1
            for death in self._deaths:
                if self._copies > 1 and ring.books.last_seq < death.frame <= self._seq:
                    view.reshape(-1)[: view.size // 2].copy()
                    death.come()
            return copied(view)

        ring._take, ring._copied = taking, copying  # type: ignore[method-assign]


class Watched:
    """Memory that tells of every store into it: `before` and `after`, with index and value."""

    def __init__(self, memory: memoryview, before: Callable[..., None], after: Callable[..., None]):
        self._memory, self._before, self._after = memory, before, after

    def __getitem__(self, index: Any) -> Any:
        return self._memory[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._before(index, value)
        self._memory[index] = value
        self._after(index, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)
