"""How `stress` deals its faults, without an engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgpack
import psutil
import pytest
from engine_kit import until

from engine import bus
from engine.errors import BadMessage
from engine.stress import chaos as faults
from engine.stress import graph
from engine.stress.chaos import Chaos

KINDS = {"kill", "stop/continue", "slow reader", "bad messages", "size change", "TouchDesigner"}


class Still:
    """A show in which nothing runs; it remembers what was set."""

    def __init__(self, folder: Path):
        self.config = graph.synthetic("stress-1", folder, graph.Load())
        self.names = [spec.name for spec in self.config.nodes]
        self.process = SimpleNamespace(pid=0)
        self.directory = {"control_port": 1}
        self.settings: list[tuple[str, dict[str, Any]]] = []
        self.running: dict[str, psutil.Process] = {}

    def node(self, name: str) -> Any:
        return {"restarts": 0}

    def processes(self) -> dict[str, psutil.Process]:
        return self.running

    def set(self, node: str, **values: Any) -> None:
        self.settings.append((node, values))


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Still:
    nobody = SimpleNamespace(suspend=lambda: None, resume=lambda: None)
    monkeypatch.setattr(faults.psutil, "Process", lambda pid: nobody)  # nobody is stopped in earnest
    monkeypatch.setattr(Chaos, "_for", lambda self, seconds: iter(()))
    return Still(tmp_path)


def visit() -> tuple[Any, Any]:
    return lambda: 1, lambda kill: None


def deal(show: Any, seed: int, count: int = 24) -> list[tuple[str, str, str]]:
    chaos = Chaos(show, seed, 1e-9, visit)
    while len(chaos.faults) < count or chaos.busy:
        chaos.turn(more=len(chaos.faults) < count)
    return [(fault.kind, fault.target, fault.note) for fault in chaos.faults]


def test_a_seed_deals_the_same_faults_again(show: Still) -> None:
    assert deal(show, 1) == deal(show, 1) != deal(show, 2)


def test_each_kind_comes_before_any_comes_again(show: Still) -> None:
    dealt = [kind for kind, _, _ in deal(show, 3)]
    assert all(set(dealt[at : at + 6]) == KINDS for at in range(0, 24, 6))


def test_a_node_that_is_started_again_during_a_visit_is_put_down_to_it(show: Still) -> None:
    died: list[str] = []
    show.node = lambda name: {"restarts": died.count(name)}  # type: ignore[method-assign]
    chaos: Any = Chaos(show, 1, 1e-9, lambda: (lambda: 1, lambda kill: died.append("relay")))  # type: ignore[arg-type]
    chaos._kinds = {"TouchDesigner": ["opens and closes"]}
    while not chaos.faults or chaos.busy:
        chaos.turn(more=not chaos.faults)
    assert chaos.faults[0].restarts == 1


def test_what_was_set_is_set_back(show: Still) -> None:
    deal(show, 4)
    last = {(node, key): value for node, values in show.settings for key, value in values.items()}
    assert {key for _, key in last} == {"delay", "size"}
    assert all(value == (0.0 if key == "delay" else [320, 180]) for (_, key), value in last.items())


@pytest.fixture
def child() -> Iterator[subprocess.Popen]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child
        child.kill()


def test_nobody_stays_stopped_when_a_run_is_cut_off(tmp_path: Path, child: subprocess.Popen) -> None:
    show: Any = Still(tmp_path)
    show.running = {name: psutil.Process(child.pid) for name in show.names}
    chaos = Chaos(show, 1, 1e-9, visit)
    chaos._kinds = {"stop/continue": show.names}
    while not chaos.busy:
        chaos.turn()
    chaos.turn()
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED, 10)
    chaos.close()
    until(lambda: psutil.Process(child.pid).status() != psutil.STATUS_STOPPED, 10)


def test_every_bad_message_is_one(show: Still) -> None:
    chaos = Chaos(show, 1, 1.0, visit)  # type: ignore[arg-type]
    noise = chaos._random
    kinds = set()
    for _ in range(1000):
        with pytest.raises(BadMessage) as refused:
            bus.decode(message := chaos._bad_message(noise))
        kinds.add(str(refused.value)[:40])
        assert len(message) < bus.HANG_UP_BYTES
    assert len(kinds) >= 4
    assert bus.decode(msgpack.packb({"v": bus.VERSION, "type": "stop"}))  # and this is what a good one looks like
