"""Every reader of a ring behind one face, so that one set of tests holds for all of them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from conformance_child import WATCH_S, poll, watch
from fake_engine import BRIDGE, RingReader

from engine.directory import Directory
from engine.errors import EngineError
from engine.frame import Frame
from engine.process import ROOT
from engine.ring_reader import Policy
from engine.stream import StreamReader

sys.path.insert(0, str(ROOT / "tools"))
from plain_python import VERSIONS, command, folder

NOBODY = "nobody"  # an engine that does not run
KINDS = ["engine-latest", "engine-every", "bridge", *(f"bridge-numpy-{version}" for version in VERSIONS)]


class Seen(NamedTuple):
    """One frame as any reader gives it. array: pictures with their top row first, those that have colours as RGBA."""

    seq: int
    array: np.ndarray
    canvas: tuple[int, int]
    ids: tuple[int, ...]
    sources: tuple[tuple[int, ...], ...]
    version: int


class EngineReader:
    """The engine's own, attached as a node is. missed: by its books; a reader without a line keeps them itself."""

    def __init__(self, engine: str, policy: Policy):
        self.every = policy is Policy.EVERY
        self.refusal = ""
        self._engine, self._policy = engine, policy
        self._directory: Directory | None = None
        self._reader: StreamReader | None = None

    def read(self) -> Seen | None:
        """The next frame; None where there is none, or where `refusal` says why not."""
        self.refusal = ""
        try:
            if self._directory is None:
                self._directory = Directory.attach(self._engine)
            if self._reader is None:
                self._reader = StreamReader(self._directory, 1, self._policy)
            frame = self._reader.read()
        except EngineError as error:
            self.refusal = str(error)
            return None
        return None if frame is None else _seen(frame)

    @property
    def missed(self) -> int:
        assert self._reader is not None
        return self._reader.ring.books.missed

    def watch(self, count: int) -> dict[str, int]:
        seen = mixed = back = last = 0
        deadline = time.monotonic() + WATCH_S
        while seen < count and time.monotonic() < deadline:
            if self._reader is None:
                self.read()
            elif (frame := self._reader.read()) is not None:
                seen, back = seen + 1, back + (frame.seq <= last)
                mixed, last = mixed + int(frame.array.min() != frame.array.max()), frame.seq
        return {"seen": seen, "mixed": mixed, "back": back}

    def close(self) -> None:
        for one in (self._reader, self._directory):
            if one is not None:
                one.close()


class Bridge:
    """The bridge's, in this process."""

    every = False

    def __init__(self, engine: str):
        self._reader = RingReader(engine)
        self._said: dict[str, Any] = {}

    def read(self) -> Seen | None:
        self._said = self._poll()
        new = self._said["new"]
        if not new:
            return None
        array = np.frombuffer(base64.b64decode(new["data"]), new["dtype"]).reshape(new["shape"])
        if new["pixel_format"] != "KEYPOINTS":
            array = array[::-1]
        ids, sources = tuple(new["ids"]), tuple(tuple(source) for source in new["sources"])
        return Seen(new["seq"], array, tuple(new["canvas"]), ids, sources, new["version"])

    @property
    def refusal(self) -> str:
        return "" if self._said["state"] in ("LIVE", "HELD", "PLACEHOLDER") else self._said["message"]

    @property
    def missed(self) -> int:
        return self._said["missed"]

    def _poll(self) -> dict[str, Any]:
        return poll(self._reader)

    def watch(self, count: int) -> dict[str, int]:
        return watch(self._reader, count)

    def close(self) -> None:
        self._reader.close()


class Child:
    """A Python 3.11 that has NumPy and no other package, with the bridge's reader in it. Raises OSError without one."""

    def __init__(self, version: str):
        words = command(folder(), version)
        if words is None:
            raise FileNotFoundError(version)
        program = Path(__file__).with_name("conformance_child.py")
        self._process = subprocess.Popen(
            [*words, str(program), str(folder() / version), str(BRIDGE)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
        )  # fmt: skip

    def ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


class InPlainPython(Bridge):
    """The bridge's, in such a Python."""

    def __init__(self, engine: str, child: Child):
        self._child, self._said = child, {}
        self.about = child.ask(f"open {engine}")

    def _poll(self) -> dict[str, Any]:
        return self._child.ask("poll")

    def watch(self, count: int) -> dict[str, int]:
        return self._child.ask(f"watch {count}")

    def close(self) -> None:
        self._child.ask(f"open {NOBODY}")


Reader = EngineReader | Bridge


class Readers:
    """Makes readers; the plain Pythons are started once for all tests."""

    def __init__(self) -> None:
        self._children: dict[str, Child] = {}

    def of(self, kind: str, engine: str) -> Reader:
        """A reader of one of KINDS. Skips the test where it is not to be had."""
        if kind.startswith("engine"):
            return EngineReader(engine, Policy(kind.removeprefix("engine-")))
        if kind == "bridge":
            return Bridge(engine)
        version = kind.removeprefix("bridge-numpy-")
        if version not in self._children:
            try:
                self._children[version] = Child(version)
            except OSError:
                pytest.skip(f"{folder()} has no Python 3.11 with NumPy {version}; tools/plain_python.py prepares it")
        return InPlainPython(engine, self._children[version])

    def close(self) -> None:
        for child in self._children.values():
            child.close()


def _seen(frame: Frame) -> Seen:
    array = frame.array.copy()
    if frame.pixel_format != "KEYPOINTS":
        array = array if frame.row_order == "TOP_DOWN" else array[::-1]
        array = array.reshape(*array.shape[:2], -1)
        if array.shape[2] > 1:
            array = array[..., [2, 1, 0, 3][: array.shape[2]]] if frame.pixel_format.startswith("BGR") else array
            array = array if array.shape[2] == 4 else np.dstack([array, np.full(array.shape[:2], 255, np.uint8)])
    return Seen(frame.seq, array, frame.canvas, frame.ids, frame.sources, frame.param_version)
