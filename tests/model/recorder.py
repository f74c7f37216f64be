"""The real ring on a memory that writes down every access, and the comparison of that with the model's programs.

What one of ours loads, stores and fences must be, one for one, what its program in programs.py does when it is sent
the same values. A step more, a step less, another order or another value is a difference.

Left out: words that never change (a ring's sizes), and the ports of W6, which nothing hangs on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from engine import layout, meta
from engine.ring import META_END, WORD

from .machine import Machine, Node
from .programs import BOOKS

Event = tuple  # ("load", where, value), ("store", where, value), ("fence",)
HEADER = {WORD[word]: word for word in ("base_seq", "base_ordinal", "epoch", "head", "ended", "state")}
HEADER[WORD["granted_epoch"]] = "granted"
LINE_WORDS = layout.READER_LINE_BYTES >> 3
IN_LINE = {layout.READER["port"] >> 3: "port", layout.READER["turn"] >> 3: "turn"}
HALF = layout.READER["half"] >> 3
IN_LINE |= {HALF + len(BOOKS) * half + n: f"{half}.{word}" for half in (0, 1) for n, word in enumerate(BOOKS)}


class Memory:
    """A segment in ordinary memory; what `engine.ring` needs of one."""

    name = "recorded"

    def __init__(self, size: int):
        self.size = size
        self.buffer: Any = memoryview(bytearray(size))
        self.words: Any = self.buffer.cast("Q")
        self.data: Any = np.frombuffer(self.buffer, np.uint8)

    def close(self) -> None:
        pass


class Recorder:
    """A second view of a ring's memory. `events` is what was done through it.

    ignored: words that are not written down. before: called with the number of each event before it takes place.
    """

    name = "recorded"

    def __init__(self, memory: Memory, stride: int, ignored: Collection[str] = ()):
        self.memory, self.size, self._stride, self._ignored = memory, memory.size, stride, ignored
        self.events: list[Event] = []
        self.before: Callable[[int], None] = lambda _: None
        self._busy = False
        self.words, self.buffer = _Words(self), _Buffer(self)
        self.data = np.frombuffer(memory.buffer, np.uint8).view(_Payload)
        self.data.recorder = self

    def close(self) -> None:
        pass

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is done within, others do."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def fence(self) -> None:
        """In the place of `atomics.fence`."""
        if not self._busy:
            self._note("fence", None, lambda: None)

    def where(self, word: int) -> str | None:
        """What the model calls a word; None for one that it does without."""
        lines, slots = layout.READER_LINES >> 3, layout.RING_HEADER_BYTES >> 3
        name = HEADER.get(word)
        if lines <= word < slots:
            line, at = divmod(word - lines, LINE_WORDS)
            name = f"{line}.{IN_LINE[at]}"
        elif word >= slots:
            name = f"mark{(word - slots) * 8 // self._stride}"
        return None if name is None or name in self._ignored or name.endswith(tuple(self._ignored)) else f"0.{name}"

    def slot(self, byte: int) -> int:
        return (byte - layout.RING_HEADER_BYTES) // self._stride

    def access(self, kind: str, where: str | None, value: Callable[[], Any]) -> None:
        """value: what is there to be loaded, or is to be stored; asked for when the access takes place."""
        if where is not None and not self._busy:
            self._note(kind, where, value)

    def _note(self, kind: str, where: str | None, value: Callable[[], Any]) -> None:
        with self.aside():
            self.before(len(self.events))
        self.events.append((kind,) if where is None else (kind, where, value()))


class _Words:
    def __init__(self, recorder: Recorder):
        self._recorder, self._words = recorder, recorder.memory.words

    def __getitem__(self, index: int | slice) -> Any:
        for word in range(index.start, index.stop) if isinstance(index, slice) else (index,):
            self._recorder.access("load", self._recorder.where(word), lambda word=word: self._words[word])
        return self._words[index]

    def __setitem__(self, word: int, value: int) -> None:
        self._recorder.access("store", self._recorder.where(word), lambda: value)
        self._words[word] = value


class _Buffer:
    """Only metadata is read and written as bytes."""

    def __init__(self, recorder: Recorder):
        self._recorder, self.raw = recorder, recorder.memory.buffer

    def __getitem__(self, part: slice) -> Any:
        where = f"0.meta{self._recorder.slot(part.start)}"
        self._recorder.access("load", where, lambda: _about(self.raw[part]))
        return self.raw[part]

    def __setitem__(self, part: slice, data: bytes) -> None:
        assert part.stop - part.start == META_END - layout.META_OFFSET
        self._recorder.access("store", f"0.meta{self._recorder.slot(part.start)}", lambda: _about(data))
        self.raw[part] = data


class _Payload(np.ndarray):
    recorder: Recorder

    def __array_finalize__(self, other: Any) -> None:
        self.recorder = getattr(other, "recorder", None)  # type: ignore[assignment]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.recorder.access("store", self.where(), lambda: tuple(int(number) for number in value[:2]))
        super().__setitem__(index, value)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        assert function is np.copyto
        self.recorder.access("load", self.where(), self.label)
        return function(args[0], self.view(np.ndarray))

    def where(self) -> str:
        start = self.recorder.data.__array_interface__["data"][0]
        return f"0.payload{self.recorder.slot(self.__array_interface__['data'][0] - start)}"

    def label(self) -> tuple[int, int]:
        first = self.view(np.ndarray).reshape(-1)
        return int(first[0]), int(first[1])


def _about(data: Any) -> tuple[int, int, int]:
    seq, epoch, ordinal, *_ = meta.HEAD.unpack(bytes(data[: meta.HEAD.size]))
    return epoch, seq, ordinal


def difference(machine: Machine, start: tuple, events: list[Event], ended: bool = True) -> str:
    """Where the real ring and a program part; empty when they do the same.

    ended: the real one was not killed, so the program must have come to its end, too, or to a new beginning.
    """
    node = _next(machine.root(*start))
    for number, event in enumerate(events):
        kind, *about = event
        expected = node.op
        same = kind == expected[0] and about[:1] == list(expected[1:2])
        if same and kind == "store" and not expected[1].endswith("torn_retries"):
            same = about[1] == expected[2]
        if not same:
            done = "\n  ".join(map(str, events[:number]))
            return f"The ring does {event}, the model {expected} in {node}, after\n  {done}"
        node = _next(node.after(about[1] if kind == "load" else None))
    return f"The ring is done, the model goes on with {node}" if ended and node.steps and node.op[0] != "end" else ""


def _next(node: Node) -> Node:
    while node.op[0] == "note" and node.steps + 1:
        node = node.after(None)
    return node
