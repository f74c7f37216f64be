"""The engine under test: started as anybody starts it, watched in its shared memory, steered by its control port."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from engine import config as configs
from engine.books import Books
from engine.bus import Client, Message, Pause, Set, Stats, Stop
from engine.clock import now_ns
from engine.directory import Directory, NodeRow
from engine.errors import EngineError, SegmentError
from engine.process import ROOT
from engine.ring import WORD, Geometry, newest_ordinal
from engine.shm import Segment

LEAVE_S = 900
LIVELY = ("RUNNING", "DEGRADED", "PAUSED")


class Show:
    """One engine process. Use as a context manager; it is gone, with all of its nodes, when that closes.

    folder: where its logs and its locks go. seconds: how long it is needed; much later it ends by itself, should its
    tester be killed. Raises `EngineError` with the engine's last lines when it does not come up.
    """

    def __init__(self, config: configs.Config, folder: Path, seconds: float):
        self.config, self.log = config, folder / "engine.txt"
        self.names = [spec.name for spec in config.nodes]
        self.started_ns = now_ns()
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "run_engine.py"), "--config", str(config.path),
                 "--seconds", str(round(seconds) + LEAVE_S)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, "UTSUSHI_HOME": str(folder / "home")},
            )  # fmt: skip
        self._directory: Directory | None = None
        self._client: Client | None = None
        self._rings: dict[int, tuple[int, Segment]] = {}

    def __enter__(self) -> Show:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.process.poll() is None:
            with suppress(EngineError):
                self.stop()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._client is not None:
            self._client.close()
        for _, ring in self._rings.values():
            ring.close()
        if self._directory is not None:
            self._directory.close()

    # --- looking at it ---

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def directory(self) -> Directory:
        assert self._directory is not None, "the engine was not waited for"
        return self._directory

    def node(self, name: str) -> NodeRow:
        return self.directory.node(self.names.index(name))

    def processes(self) -> dict[str, psutil.Process]:
        """The nodes' processes that run now, by name."""
        found = {}
        for name in self.names:
            with suppress(psutil.Error, ValueError):
                process = psutil.Process(self.node(name)["pid"])
                if process.ppid() == self.process.pid:
                    found[name] = process
        return found

    def lively(self, *names: str) -> bool:
        return all(self.node(name)["pid"] and self.node(name).phase in LIVELY for name in names or self.names)

    def ring(self, row: int) -> tuple[Segment, Geometry]:
        """A stream's present ring."""
        found = self.directory.stream(row)
        generation, ring = self._rings.get(row, (0, None))
        if ring is None or generation != found.generation:
            if ring is not None:
                ring.close()
            ring = Segment.attach(found.segment)
            self._rings[row] = found.generation, ring
        return ring, Geometry(ring)

    def heads(self) -> dict[str, int]:
        """The newest number of each stream; of those whose ring is just being changed, none."""
        heads = {}
        for row, stream in enumerate(self.config.streams):
            with suppress(SegmentError):
                heads[stream.name] = self.ring(row)[0].words[WORD["head"]]
        return heads

    def published(self, row: int) -> int:
        """How many frames a quiet stream has published."""
        return newest_ordinal(*self.ring(row))

    def books(self, row: int) -> Iterator[tuple[str, str, Books]]:
        """Node, input port and counts of each reader of a stream."""
        ring, geometry = self.ring(row)
        for line, (node, port) in enumerate(self.config.streams[row].readers):
            yield node, port, Books(ring.words, geometry.line(line))

    # --- steering it ---

    @property
    def client(self) -> Client:
        if self._client is None:
            self._client = Client(self.directory["control_port"])
        return self._client

    def tell(self, message: Message) -> None:
        self.client.send(message)

    def set(self, node: str, **values: Any) -> None:
        self.tell(Set(node=node, values=values, version=0))

    def pause(self, node: str) -> None:
        self.tell(Pause(node=node))

    def figures(self) -> dict[str, Any]:
        """What it has counted, as in --stats; {} when it does not answer."""
        self.tell(Stats())
        deadline = now_ns() + 5_000_000_000
        while now_ns() < deadline:
            answer = self.client.receive(0.2)
            if isinstance(answer, Stats):
                return answer.figures
        return {}

    # --- waiting for it ---

    def until(self, condition: Callable[[], bool], seconds: float, turn: Callable[[], None] = lambda: None) -> bool:
        """Whether it came to that in time. `turn` is called meanwhile. Raises `EngineError` when the engine ends."""
        deadline = now_ns() + round(seconds * 1e9)
        while not condition():
            if not self.alive:
                raise EngineError(f"The engine ended by itself, with code {self.process.poll()}. {self.last_words()}")
            if now_ns() > deadline:
                return False
            turn()
            time.sleep(0.01)
        return True

    def wait_for_start(self, seconds: float = 180) -> float:
        """Wait until all nodes run; returns how many seconds that took."""
        up = self.until(self._attached, seconds) and self.until(self.lively, seconds)
        if not up:
            raise EngineError(f"The engine's nodes did not all start within {seconds:g} s. {self.last_words()}")
        return (now_ns() - self.started_ns) / 1e9

    def _attached(self) -> bool:
        if self._directory is None:
            with suppress(SegmentError):
                found = Directory.attach(self.config.engine.name)
                if found["supervisor_pid"] != self.process.pid:  # what a killed one has left
                    found.close()
                    return False
                self._directory = found
        return self._directory is not None

    def last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        return "Its last lines:\n    " + "\n    ".join(lines) if lines else f"It said nothing; see {self.log.parent}."

    def stop(self) -> int:
        """End it as a person would; returns the exit code."""
        if self._directory is not None:
            self.tell(Stop())
        else:
            self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            raise EngineError(f"The engine did not stop within 30 s. {self.last_words()}") from None
