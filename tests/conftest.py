"""Fixtures for more than one file."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ring_kit
from engine_kit import Engine, end, leftovers
from fake_engine import FakeEngine, RingReader, new_name, ring_reader
from wine_kit import Windows

from engine import ring
from engine.ring_writer import RingWriter
from engine.shm import Segment


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    engines: list[Engine] = []

    def launch(nodes: str, mode: str = "live", *arguments: str, **how: Any) -> Engine:
        engines.append(Engine(tmp_path, nodes, mode, *arguments, **how))
        return engines[-1]

    yield launch
    for engine in engines:
        end(engine)
    if engines and engines[-1].process.returncode != -signal.SIGKILL:
        assert leftovers(engines[-1].name) == []


@pytest.fixture
def owner() -> Iterator[Segment]:
    """A ring, as the supervisor has made it and granted it to the writer of epoch 1."""
    segment = ring.create(ring_kit.NAME, 7, capacity=ring_kit.CAPACITY, slots=ring_kit.SLOTS, readers=2)
    segment.words[ring.WORD["granted_epoch"]] = 1
    yield segment
    segment.close()
    segment.unlink()


@pytest.fixture
def writer(owner: Segment) -> Iterator[RingWriter]:
    writer = RingWriter(Segment.attach(ring_kit.NAME), 1)
    yield writer
    writer.close()


@pytest.fixture
def name() -> str:
    return new_name()


@pytest.fixture
def engine(name: str) -> Iterator[FakeEngine]:
    engine = FakeEngine(name)
    yield engine
    engine.close()


@pytest.fixture
def reader(name: str) -> Iterator[RingReader]:
    reader = RingReader(name)
    yield reader
    reader.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The reader's clock; `clock.skip(seconds)` moves it on."""
    clock = SimpleNamespace(skipped=0)
    clock.skip = lambda seconds: setattr(clock, "skipped", clock.skipped + round(seconds * 1e9))
    shifted = SimpleNamespace(perf_counter_ns=lambda: time.perf_counter_ns() + clock.skipped)
    monkeypatch.setattr(ring_reader, "time", shifted)
    return clock


@pytest.fixture
def windows() -> Iterator[Windows]:
    """Runs programs for Windows, under Wine."""
    windows = Windows()
    yield windows
    windows.close()
