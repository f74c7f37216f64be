"""A supervisor in this process, whose nodes, clock and messages the test moves by hand."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import bus, config, life, process, rings, supervisor
from engine import osc as gateway
from engine.supervisor import Supervisor

NAME = f"v{os.getpid() % 100000}"
SECOND = 1_000_000_000
NODES = """\
  camera: {type: camera.pattern, size: [16, 16]}
  mirror: {type: filter.mirror, input: camera}
  output: {type: output.touchdesigner, input: mirror, size: [16, 16]}
"""


class Process:
    """A process that does what the test says."""

    numbers = itertools.count(2_000_000_000)

    def __init__(self, spec: dict):
        self.spec, self.pid = spec, next(self.numbers)
        self.code: int | None = None
        self.stdin = None
        self.terminated = False

    def poll(self) -> int | None:
        return self.code

    def wait(self) -> int:
        assert self.code is not None
        return self.code

    def terminate(self) -> None:
        self.terminated = True


class Show:
    """A supervisor, and hands to move its world with."""

    def __init__(
        self,
        folder: Path,
        patch: pytest.MonkeyPatch,
        nodes: str = NODES,
        mode: str = "live",
        port: int = 0,
        osc: str = "{port: 0}",
    ):
        self.ns = 1000 * SECOND
        self.processes: list[Process] = []
        self.refuse: OSError | None = None
        self.said: list[str] = []
        for module in (supervisor, life, rings, gateway):
            patch.setattr(module, "now_ns", lambda: self.ns)
        patch.setattr(process, "start", self._start)
        patch.setattr(process, "kill_tree", self._kill)
        path = folder / "show.yaml"
        path.write_text(f"engine: {{name: {NAME}, mode: {mode}, port: {port}, osc: {osc}}}\nnodes:\n{nodes}")
        self.engine = Supervisor(config.load(path), self.said.append)
        self.sent: list[tuple[bytes, bus.Message]] = []
        self.inbox: list[tuple[bytes, bus.AnyMessage]] = []
        patch.setattr(self.engine.server, "wait", lambda _: None)
        patch.setattr(self.engine.server, "send", lambda *message: self.sent.append(message))
        patch.setattr(self.engine.server, "receive", self._receive)

    def _start(self, spec: dict, log: Any) -> Process:
        if self.refuse:
            raise self.refuse
        self.processes.append(Process(spec))
        return self.processes[-1]

    def _kill(self, pid: int) -> None:
        (victim,) = (one for one in self.processes if one.pid == pid)
        victim.code = -9 if victim.code is None else victim.code

    def _receive(self) -> list[tuple[bytes, bus.AnyMessage]]:
        messages, self.inbox = self.inbox, []
        return messages

    def tick(self, seconds: float = 0.1) -> bool:
        self.ns += round(seconds * SECOND)
        return self.engine.tick()

    def life(self, name: str) -> life.Life:
        return next(one for one in self.engine.lives if one.name == name)

    def newest(self, name: str) -> Process:
        return [one for one in self.processes if one.spec["name"] == name][-1]

    def run(self, *names: str, phase: str = "RUNNING") -> None:
        """Let nodes enter a phase, with a sign of life."""
        for one in self.engine.lives:
            if one.name in names or not names:
                one.row.phase, one.row["beat_ns"] = phase, self.ns

    def connect(self, *names: str) -> None:
        """Let nodes say their first word; before it they hear nothing."""
        chosen = [one for one in self.engine.lives if one.name in names or not names]
        self.inbox = [(one.identity, bus.State(phase="STARTING")) for one in chosen]
        self.tick(0)

    def ask(self, message: bus.AnyMessage, identity: bytes = b"somebody") -> Any:
        self.inbox, self.sent = [(identity, message)], []
        self.tick()
        answers = [answer for to, answer in self.sent if to == identity]
        return answers[0] if answers else None

    def started(self) -> list[str]:
        return [one.spec["name"] for one in self.processes]


@pytest.fixture(name="make")
def make_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Show]]:
    monkeypatch.setenv("UTSUSHI_HOME", str(tmp_path / "home"))
    shows: list[Show] = []

    def make(**how: Any) -> Show:
        shows.append(Show(tmp_path, monkeypatch, **how))
        return shows[-1]

    yield make
    for show in shows:
        show.engine.__exit__()


@pytest.fixture(name="show")
def show_fixture(make: Callable[..., Show]) -> Show:
    show = make()
    show.tick()
    show.connect()
    show.run()
    show.tick()
    return show
